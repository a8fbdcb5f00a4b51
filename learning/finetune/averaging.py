"""A last layer that averages: where classifiers read one token, sentence encoders read them all.

Classifiers of the BERT family read the first token. An encoder that was trained on the mean of its
tokens says little there: out of fold, a head on the frozen MiniLM predicts `ukp_convarg1` at 0.656
nats from the first token and at 0.617 from the mean (500 labels; decision 0016). So one layer is
put on top, of the architecture's own kind, that begins as an average: its attention is uniform,
because all keys are zero; values pass as they are; the residual path is small beside it; what
follows in the layer adds nothing. The pooler begins as a small multiple of the identity, where its
tanh is nearly a line. All of it is then trained like any layer, and what comes out is loaded by
``AutoModelForSequenceClassification`` as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

MEAN: Final = 10.0  # the average, beside the first token's own 1
POOLED: Final = 0.3  # standard deviation of what goes into the pooler's tanh


def wanted(core: Any, folder: Path) -> bool:
    """Whether a folder's encoder was trained on the mean of its tokens, and can get the layer."""
    if core.config.model_type != "bert" or core.base_model.pooler is None:
        return False
    try:
        told = json.loads((folder / "1_Pooling" / "config.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("pooling_mode_mean_tokens") is True


def add(core: Any) -> None:
    """Put an averaging layer on top of a ``BertForSequenceClassification``.

    What is drawn in it is the same every time.
    """
    import torch

    layers, pooler = core.base_model.encoder.layer, core.base_model.pooler.dense
    like: dict[str, Any] = {"dtype": core.dtype, "device": core.device}
    core.config.num_hidden_layers += 1
    one = type(layers[0])(core.config, layer_idx=len(layers)).to(**like)
    unit = torch.eye(int(core.config.hidden_size), **like)
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for linear in (m for m in one.modules() if isinstance(m, torch.nn.Linear)):
            start = torch.empty(linear.weight.shape)
            start.normal_(0.0, float(core.config.initializer_range), generator=drawn)
            linear.weight.copy_(start)
            linear.bias.zero_()
        one.attention.self.key.weight.zero_()
        one.attention.self.value.weight.copy_(unit)
        one.attention.output.dense.weight.copy_(MEAN * unit)
        one.output.dense.weight.zero_()
        pooler.weight.copy_(POOLED * unit)
        pooler.bias.zero_()
    layers.append(one.train(core.training))
