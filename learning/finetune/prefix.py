"""A prompt read once for all its responses, and several prompts in one row: decoders only.

A row of a batch holds groups of (prompt, response, response, ...). Every response sees its prompt
and itself, and nothing else: a block mask; its positions go on where the prompt's end. So each
token computes what it would have computed alone, and rewards and gradients are the plain ones to
rounding. (Prefix sharing as in "Hydragen", Juravsky et al. 2024, arXiv:2402.05099, here for
training; packing: Krell et al. 2021, arXiv:2107.02027.)

An encoder reads in both directions: its prompt's states depend on the response, so there is
nothing to share. Whether a model allows it is tried, not looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.finetune.model import RewardModel
from learning.finetune.texts import Row, tensors

_CLOSE: Final = 1e-3  # relative difference that rounding cannot explain in single precision


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Rows with several texts in each.

    Attributes:
        ids: Tokens, shape ``(b, t)``.
        positions: Of each token in its own text, shape ``(b, t)``.
        segment: Number of the text that a token belongs to, shape ``(b, t)``; 0 is padding.
        group: Number of the prompt, shape ``(b, t)``; 0 is padding.
        prompt: Whether a token is one of a shared prompt, shape ``(b, t)``.
        row, last: Where each text ends, each of shape ``(n,)``, in the order given.
    """

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    segment: NDArray[np.int64]
    group: NDArray[np.int64]
    prompt: NDArray[np.bool_]
    row: NDArray[np.int64]
    last: NDArray[np.int64]


def pack(rows: Sequence[Row], pad: int, *, share: bool = True, capacity: int = 0) -> Packed:
    """Lay texts out.

    Args:
        rows: The texts, at least one.
        pad: The padding token.
        share: Read equal prompts once.
        capacity: Tokens of a row that is filled with further groups; 0 gives each its own.
    """
    groups: dict[bytes, list[int]] = {}
    for place, row in enumerate(rows):
        name = row.ids[: row.shared].tobytes() if share else place.to_bytes(8, "little")
        groups.setdefault(name, []).append(place)
    members = list(groups.values())
    sizes = [_size(rows, group, share=share) for group in members]
    bins = _bins(sizes, capacity)
    width = max(sum(sizes[number] for number in one) for one in bins)
    shape = (len(bins), width)
    made = Packed(
        ids=np.full(shape, pad, dtype=np.int64),
        positions=np.zeros(shape, dtype=np.int64),
        segment=np.zeros(shape, dtype=np.int64),
        group=np.zeros(shape, dtype=np.int64),
        prompt=np.zeros(shape, dtype=np.bool_),
        row=np.zeros(len(rows), dtype=np.int64),
        last=np.zeros(len(rows), dtype=np.int64),
    )
    for line, numbers in enumerate(bins):
        at = 0
        for number in numbers:
            at = _lay(made, rows, members[number], line, at, pad=pad, share=share)
    return made


def _size(rows: Sequence[Row], group: Sequence[int], *, share: bool) -> int:
    shared = rows[group[0]].shared if share else 0
    return shared + sum(len(rows[place]) - shared for place in group)


def _bins(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """First fit, longest first: which groups share a row."""
    made: list[list[int]] = []
    room: list[int] = []
    for number in sorted(range(len(sizes)), key=lambda one: -sizes[one]):
        place = next((p for p, left in enumerate(room) if left >= sizes[number]), None)
        if place is None:
            made.append([number])
            room.append(max(capacity, sizes[number]) - sizes[number] if capacity else 0)
        else:
            made[place].append(number)
            room[place] -= sizes[number]
    return made


def _lay(
    made: Packed,
    rows: Sequence[Row],
    group: Sequence[int],
    line: int,
    at: int,
    *,
    pad: int,
    share: bool,
) -> int:
    """Write one group from ``at`` on; return where the next may begin."""
    first = rows[group[0]]
    shared = first.shared if share else 0
    number = int(made.group[line].max()) + 1
    segment = int(made.segment[line].max()) + 1
    start = at
    if shared:
        part = slice(at, at + shared)
        made.ids[line, part], made.positions[line, part] = first.ids[:shared], np.arange(shared)
        made.segment[line, part], made.group[line, part] = segment, number
        made.prompt[line, part] = True
        at = part.stop
    for place in group:
        segment += 1
        ids = rows[place].ids
        part = slice(at, at + len(ids) - shared)
        made.ids[line, part] = ids[shared:]
        made.positions[line, part] = np.arange(shared, len(ids))
        made.segment[line, part], made.group[line, part] = segment, number
        at = part.stop
        # transformers reads a text at its last token that does not look like padding
        real = np.flatnonzero(ids != pad)
        end = int(real[-1]) if len(real) else 0
        made.row[place] = line
        made.last[place] = start + end if end < shared else part.start + end - shared
    return at


def features(model: RewardModel, packed: Packed) -> Any:
    """Return the last layer's input for every text, in the order given, shape ``(n, dim)``."""
    import torch

    device = next(model.core.parameters()).device

    def there(values: NDArray[Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    mask = block_mask(there(packed.segment), there(packed.group), there(packed.prompt))
    if getattr(model.core.config, "_attn_implementation", "") != "sdpa":  # it adds the mask
        kind = model.last.weight.dtype
        mask = torch.where(mask, 0.0, torch.finfo(kind).min).to(kind)
    out = model.core.base_model(
        input_ids=there(packed.ids),
        attention_mask=mask,
        position_ids=there(packed.positions),
        use_cache=False,
    )
    return out.last_hidden_state[there(packed.row), there(packed.last)]


def block_mask(segment: Any, group: Any, prompt: Any) -> Any:
    """Return who sees whom, ``(b, 1, t, t)`` bool: earlier tokens of its text or its prompt.

    Padding sees itself, so that no row of the mask is empty.
    """
    import torch

    t = segment.shape[1]
    earlier = torch.ones((t, t), dtype=torch.bool, device=segment.device).tril()
    same = segment[:, :, None] == segment[:, None, :]
    own_prompt = (group[:, :, None] == group[:, None, :]) & prompt[:, None, :]
    return ((same | own_prompt) & earlier)[:, None]


def possible(model: RewardModel) -> bool:
    """Whether the model gives the same rewards with a shared prompt: tried on a few tokens."""
    import torch

    if not model.decoder or _slides(model):
        return False
    rng = np.random.default_rng(0)
    most = min(int(model.core.config.get_text_config().vocab_size), 1_000)
    prompt = rng.integers(0, most, size=7)
    rows = []
    for length in (3, 5, 4):
        ids = np.concatenate([prompt, rng.integers(0, most, size=length)])
        ids[ids == model.reader.pad] = (model.reader.pad + 1) % most
        rows.append(Row(ids.astype(np.int32), len(prompt), len(ids), False))
    other = Row(rows[0].ids[::-1].copy(), 4, 10, False)
    device = next(model.core.parameters()).device
    training = model.core.training
    model.core.eval()
    try:
        with torch.no_grad():
            plain = model.features(tensors([*rows, other], model.reader, device)).float()
            packed = pack([*rows, other], model.reader.pad, capacity=64)
            shared = features(model, packed).float()
    except Exception:  # a model that takes no such mask says so in its own way
        return False
    finally:
        model.core.train(training)
    close = _CLOSE if model.last.weight.dtype != torch.bfloat16 else 0.05
    return bool((plain - shared).abs().max() <= close * plain.abs().max())


def _slides(model: RewardModel) -> bool:
    """Whether some layer sees only the tokens near by: the block mask would replace its window."""
    text = model.core.config.get_text_config()
    kinds = getattr(text, "layer_types", None)
    window = getattr(text, "sliding_window", None)
    if not window or (kinds is not None and "sliding_attention" not in kinds):
        return False
    return bool(getattr(text, "use_sliding_window", True)) and window < model.reader.limit
