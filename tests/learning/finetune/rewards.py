"""Reward folders of a few thousand random weights, made where they are needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.learning.judges.tiny import make_model


def reward_folder(folder: Path, *, decoder: bool = True, **about: Any) -> Path:
    """A random reward model with a byte-level tokenizer, read as it is without a template."""
    import torch
    from transformers import (
        AutoTokenizer,
        BertConfig,
        BertForSequenceClassification,
        LlamaConfig,
        LlamaForSequenceClassification,
    )

    make_model(folder)
    words = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(3)
    sizes: dict[str, Any] = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "num_labels": 1,
    }
    if decoder:
        core: Any = LlamaForSequenceClassification(LlamaConfig(**sizes, num_key_value_heads=2))
        last = core.score
    else:
        core = BertForSequenceClassification(BertConfig(**sizes))
        last = core.classifier
    torch.nn.init.normal_(last.weight, std=2.0)
    core.save_pretrained(folder)
    words.save_pretrained(folder)
    told = {"format": 1, "max_tokens": 200, "decoder": decoder, **about}
    (folder / "tiebreak.json").write_text(json.dumps(told))
    return folder
