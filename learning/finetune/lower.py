"""Training the upper layers only: what the lower ones make of a text is computed once.

Lower layers that stay as they are give the same numbers in every pass and every fold of the
cross-validation. They are computed once for each text, kept in memory, and given to the first
layer that is trained. The embeddings stay as they are as well; what follows the layers (a pooler,
the last norm, the head) is trained.

Source:
    Lee, Tang and Lin (2019), arXiv:1911.03090: a quarter of the layers of BERT or RoBERTa is
    enough for most of what all of them gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.finetune import texts
from learning.finetune.errors import UnusableModel
from learning.finetune.texts import Row

if TYPE_CHECKING:
    from learning.finetune.model import RewardModel

_TOKENS: Final = 4_096  # at a time
_TRIED: Final = 3  # texts on which both ways are compared
_CLOSE: Final = 1e-3  # of the largest feature, in single precision
_CLOSE_IN_HALF: Final = 0.05


class _Reached(Exception):
    """The layer whose input is wanted has been reached."""


def below(core: Any, keep: int) -> int:
    """Return how many layers lie below the uppermost ``keep``; 0 where all are trained.

    Args:
        core: What transformers loads.
        keep: Layers to train, 0 for all.

    Raises:
        UnusableModel: the model has no layers that could be told apart.
    """
    return max(0, len(_place(core)[2]) - keep) if keep else 0


def upper(core: Any, left_out: int) -> frozenset[str]:
    """Return the names of all weights but those of the embeddings and the lower layers.

    A model registers its parts in the order in which it uses them: what comes before the layers
    are its embeddings.
    """
    names = {id(weight): name for name, weight in core.named_parameters()}
    if not left_out:
        return frozenset(names.values())
    first = names[id(next(_place(core)[2][left_out].parameters()))]
    ordered = list(names.values())
    return frozenset(ordered[ordered.index(first) :])


def freeze(core: Any, left_out: int) -> None:
    """Keep the embeddings and the lower layers as they are."""
    if left_out:
        trained = upper(core, left_out)
        for name, weight in core.named_parameters():
            weight.requires_grad_(name in trained)


def with_states(
    model: RewardModel,
    rows: Sequence[Row],
    left_out: int,
    *,
    half: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> list[Row] | None:
    """Return the rows with what the lower layers make of them.

    Args:
        model: Before training.
        rows: At least one.
        left_out: Layers below those that are trained, at least 1.
        half: Whether matrices are multiplied in bfloat16.
        tick: Called before every batch.

    Returns:
        ``None`` where the model does not give the same features that way: tried on a few.
    """
    import torch

    from learning.finetune.model import parts

    made = list(rows)
    device = next(model.core.parameters()).device.type
    with torch.autocast(device, torch.bfloat16, enabled=half):
        for part in parts(rows, _TOKENS):
            tick()
            states = _states(model, [rows[place] for place in part], left_out)
            for place, state in zip(part, states, strict=True):
                made[place] = replace(rows[place], state=state, layer=left_out)
    tried = range(0, len(rows), max(1, len(rows) // _TRIED))
    plain = model.read([rows[place] for place in tried], half=half)
    short = model.read([made[place] for place in tried], half=half)
    close = _CLOSE_IN_HALF if half else _CLOSE
    return made if np.abs(plain - short).max() <= close * np.abs(plain).max() else None


@contextmanager
def entered(core: Any, layer: int, state: Any) -> Iterator[None]:
    """Have the model begin at a layer, whose input ``(b, t, h)`` is given."""
    parent, name, layers = _place(core)
    with _fed(layers[layer], lambda hidden: state.to(hidden.dtype)):
        setattr(parent, name, layers[layer:])
        try:
            yield
        finally:
            setattr(parent, name, layers)


def _states(model: RewardModel, rows: Sequence[Row], layer: int) -> list[NDArray[np.float32]]:
    """The input of a layer for every row, ``(t, h)`` each."""
    import torch

    caught: list[Any] = []

    def stop(hidden: Any) -> Any:
        caught.append(hidden)
        raise _Reached

    core = model.core
    device = next(core.parameters()).device
    with torch.no_grad(), _fed(_place(core)[2][layer], stop), suppress(_Reached):
        model.features(texts.tensors(rows, model.reader, device))
    hidden = caught[0].float().cpu().numpy()
    return [hidden[place, : len(row)].copy() for place, row in enumerate(rows)]


@contextmanager
def _fed(layer: Any, change: Callable[[Any], Any]) -> Iterator[None]:
    """Put what ``change`` makes of a layer's input in its place."""

    def hook(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if given:
            return (change(given[0]), *given[1:]), named
        return given, named | {"hidden_states": change(named["hidden_states"])}

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _place(core: Any) -> tuple[Any, str, Any]:
    """The longest list of like layers: what holds it, under which name, and the list."""
    import torch

    found = [
        (parent, name, child)
        for parent in core.modules()
        for name, child in parent.named_children()
        if isinstance(child, torch.nn.ModuleList) and len({type(one) for one in child}) == 1
    ]
    longest = max(found, key=lambda one: len(one[2]), default=None)
    if longest is None or len(longest[2]) < 2:
        raise UnusableModel("The model has no layers of which the upper ones could be trained.")
    return longest
