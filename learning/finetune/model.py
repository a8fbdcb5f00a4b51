"""A model with one number a response: loading, its last layer's input, saving.

The architecture is what ``AutoModelForSequenceClassification`` makes of a folder with
``num_labels=1``. *Features* are the input of its last linear layer, so a linear head on them lives
where the scalar head lives. torch is imported when a model is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.errors import EncoderError
from learning.finetune import averaging, lower, texts
from learning.finetune.checkpoints import placed
from learning.finetune.errors import UnusableModel
from learning.finetune.texts import Reader, Row

ABOUT: Final = "tiebreak.json"  # beside the weights: how they are to be read
MAX_TOKENS: Final = 512  # of a reward model that somebody else has made
_PICKLES: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_OFFSET: Final = frozenset({"camembert", "longformer", "mpnet", "roberta", "xlm-roberta"})
_UNLIMITED: Final = 10**6  # what tokenizers say that know no limit


@dataclass(frozen=True, slots=True, eq=False)
class RewardModel:
    """A loaded model; see :func:`load`.

    Attributes:
        core: What transformers loads.
        last: Its last linear layer.
        reader: How texts become rows.
        decoder: Whether it is read at a text's last token.
        fresh: Names of weights that the folder lacks and that begin at random.
    """

    core: Any = field(repr=False)
    last: Any = field(repr=False)
    reader: Reader
    decoder: bool
    fresh: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        """Width of the features."""
        return int(self.last.in_features)

    @property
    def has_head(self) -> bool:
        """Whether the scalar head was in the folder: a reward model already."""
        names = {id(p): name for name, p in self.core.named_parameters()}
        return names[id(self.last.weight)] not in self.fresh

    def features(self, inputs: Mapping[str, Any]) -> Any:
        """Return the last layer's input for padded rows ``(b, t)``; shape ``(b, dim)``."""
        given = dict(inputs)
        state, layer = given.pop("state", None), given.pop("layer", 0)
        start = nullcontext() if state is None else lower.entered(self.core, layer, state)
        caught: list[Any] = []
        hook = self.last.register_forward_pre_hook(lambda _, found: caught.append(found[0]))
        try:
            more = {"use_cache": False} if self.decoder else {}
            with start:
                self.core(**given, **more)
        finally:
            hook.remove()
        return _at_end(caught[0], inputs["input_ids"], self.reader.pad)

    def rewards(self, features: Any) -> Any:
        """Return the scalar head's rewards, in logits, of features ``(b, dim)``; ``(b,)``.

        In the weights' own precision also where the model computes in half.
        """
        import torch

        bias = self.last.bias
        with torch.autocast(features.device.type, enabled=False):
            found = features.to(self.last.weight.dtype) @ self.last.weight[0]
            return found if bias is None else found + bias[0]

    def read(
        self,
        rows: Sequence[Row],
        *,
        tokens: int = 4_096,
        half: bool = False,
        tick: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float32]:
        """Return the features of rows, ``(n, dim)``, without gradients or dropout.

        Rows go through by length, so that there is little padding, some ``tokens`` at a time;
        ``tick`` is called before each. In ``half``, matrices are multiplied in bfloat16.
        """
        import torch

        out = np.empty((len(rows), self.dim), dtype=np.float32)
        device = next(self.core.parameters()).device
        training = self.core.training
        self.core.eval()
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            for part in parts(rows, tokens):
                tick()
                batch = texts.tensors([rows[place] for place in part], self.reader, device)
                out[part] = self.features(batch).float().cpu().numpy()
        self.core.train(training)
        return out


def parts(rows: Sequence[Row], tokens: int) -> list[list[int]]:
    """Return places of rows by length, in parts of at most ``tokens`` tokens with padding."""
    made: list[list[int]] = []
    part: list[int] = []
    for place in sorted(range(len(rows)), key=lambda one: len(rows[one])):
        if part and (len(part) + 1) * len(rows[place]) > tokens:
            made.append(part)
            part = []
        part.append(place)
    return [*made, part] if part else made


def load(folder: Path, *, max_tokens: int | None = None, dtype: str = "float32") -> RewardModel:
    """Load a folder with one label; a missing scalar head starts at zero.

    A sentence encoder without one gets a layer that averages (`learning.finetune.averaging`).

    Args:
        folder: Of an encoder, a decoder or a reward model.
        max_tokens: Most tokens to read; by default what the folder says. Never more than the
            model can.
        dtype: Of the weights: ``float32``, ``bfloat16`` or ``float64``.

    Raises:
        UnusableModel: no weights as safetensors, code of its own, or not loadable.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from learning.encoders.huggingface import no_bars

    check(folder)
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    wanted = {"num_labels": 1, "use_safetensors": True, "dtype": getattr(torch, dtype)}
    try:
        with no_bars(), _silent():
            tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
            core, info = AutoModelForSequenceClassification.from_pretrained(
                folder, output_loading_info=True, **wanted, **safe
            )
    except Exception as error:  # whatever hostile files bring about
        raise UnusableModel(f"The model in {folder.name} cannot be loaded: {error}") from error
    fresh = tuple(sorted(info["missing_keys"]))
    if len(fresh) > len(list(core.parameters())) // 2:
        raise UnusableModel(f"The weights in {folder.name} are of another model than its config.")
    texts.ready(tokenizer, core.config)
    made = assemble(core, tokenizer, limit=max_tokens or told(folder), fresh=fresh)
    if not made.has_head and averaging.wanted(core, folder):
        averaging.add(core)
    return made


def assemble(core: Any, tokenizer: Any, *, limit: int, fresh: tuple[str, ...] = ()) -> RewardModel:
    """Put a model and its tokenizer together; also for a model without storage (``meta``).

    Raises:
        UnusableModel: it has no last linear layer with one output.
    """
    import torch

    last = last_layer(core)
    decoder = _reads_last_token(core, last)
    most = min(limit, _can_read(core.config, tokenizer))
    reader = texts.reader(tokenizer, limit=most, pair=not decoder)
    made = RewardModel(core.eval(), last, reader, decoder, fresh)
    if not made.has_head and not last.weight.is_meta:
        with torch.no_grad():
            for weight in last.parameters():
                weight.zero_()
    return made


def last_layer(core: Any) -> Any:
    """Return the last linear layer with one output.

    Raises:
        UnusableModel: there is none.
    """
    import torch

    found = [m for m in core.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 1]
    if not found:
        raise UnusableModel("The model has no last linear layer with one output.")
    return found[-1]


def check(folder: Path) -> None:
    """Look at a folder's files before anything is loaded.

    Raises:
        UnusableModel: no config or weights, pickle weights, code of its own, two stacks.
    """
    config = _json(folder / "config.json")
    for name in ("config.json", "tokenizer_config.json"):
        if (folder / name).is_file() and _json(folder / name).get("auto_map"):
            raise UnusableModel(f"The model in {folder.name} brings code of its own; none is run.")
    if config.get("is_encoder_decoder"):
        raise UnusableModel(f"The model in {folder.name} has an encoder and a decoder; use either.")
    if any(folder.glob("*.safetensors")):
        return
    if any(found for pattern in _PICKLES for found in folder.glob(pattern)):
        raise UnusableModel(
            f"The weights in {folder.name} are pickles, which can run code when they are read; "
            "only safetensors are."
        )
    raise UnusableModel(f"{folder.name} holds no weights as safetensors.")


def base_of(name: str) -> Path:
    """Return the folder of an encoder that can be trained, by its name (`learning.encoders`).

    Raises:
        UnusableModel: the encoder has no weights.
        EncoderError: there is no such encoder.
    """
    from learning import encoders
    from learning.encoders import huggingface, minilm

    resolved = encoders.resolve(name)
    if resolved == "hashed":
        raise UnusableModel("The encoder 'hashed' counts words; it has no weights to train.")
    if resolved == "minilm":
        where = minilm.folder()
        minilm.verify(where)
        return where
    _, _, rest = resolved.partition(":")
    return huggingface.locate(rest)


def save(model: RewardModel, folder: Path, about: Mapping[str, Any]) -> None:
    """Write a reward folder, aside and renamed; one that is there is replaced.

    Args:
        model: What to write.
        folder: Gets config, weights as safetensors, tokenizer and ``tiebreak.json``.
        about: More for ``tiebreak.json``, as JSON.

    Raises:
        CheckpointFailed: it cannot be written.
    """
    from learning.encoders.huggingface import no_bars

    told = {"format": 1, "max_tokens": model.reader.limit, "decoder": model.decoder, **about}

    def write(where: Path) -> None:
        model.core.save_pretrained(where)
        model.reader.tokenizer.save_pretrained(where)
        (where / ABOUT).write_text(json.dumps(told, indent=1, allow_nan=False))

    with no_bars(), _silent():
        placed(folder, write, what="model")


def told(folder: Path) -> int:
    """Return how many tokens a reward folder was trained to read.

    Raises:
        EncoderError: its ``tiebreak.json`` says nothing sensible.
    """
    path = folder / ABOUT
    if not path.is_file():
        return MAX_TOKENS
    most = _json(path).get("max_tokens")
    if not isinstance(most, int) or isinstance(most, bool) or not 0 < most < _UNLIMITED:
        raise EncoderError(f"{path} names no sensible max_tokens: {most!r}")
    return most


def _can_read(config: Any, tokenizer: Any) -> int:
    text = config.get_text_config()
    most = getattr(text, "max_position_embeddings", None)
    limits = [tokenizer.model_max_length, most if isinstance(most, int) and most > 0 else None]
    found = min(one for one in (*limits, _UNLIMITED) if one)
    spare = 2 if getattr(text, "model_type", "") in _OFFSET and found == most else 0
    return int(found) - spare


def _at_end(caught: Any, ids: Any, pad: int) -> Any:
    """What the last layer reads: all of it, or at the last token that is not padding."""
    import torch

    if caught.ndim == 2:
        return caught
    place = torch.arange(ids.shape[1], device=ids.device)
    last = (place * (ids != pad)).argmax(dim=1)
    return caught[torch.arange(len(ids), device=ids.device), last]


def _reads_last_token(core: Any, last: Any) -> bool:
    """Whether the last layer gets every token, and the model then takes one: tried, not guessed."""
    import torch

    caught: list[int] = []
    hook = last.register_forward_pre_hook(lambda _, given: caught.append(given[0].ndim))
    device = next(core.parameters()).device
    pad = core.config.pad_token_id
    ids = torch.full((1, 3), 0 if pad else 1, dtype=torch.long, device=device)
    try:
        with torch.no_grad():
            core.eval()(input_ids=ids)
    except Exception as error:
        raise UnusableModel(f"The model does not run: {error}") from error
    finally:
        hook.remove()
    return caught[0] == 3


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UnusableModel(f"{path.parent.name} holds no readable {path.name}.") from error
    if not isinstance(found, dict):
        raise UnusableModel(f"{path.parent.name} holds no readable {path.name}.")
    return found


@contextmanager
def _silent() -> Iterator[None]:
    """Keep transformers' reports about missing weights out of the log: `fresh` has them."""
    import transformers

    logging: Any = transformers.utils.logging
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
