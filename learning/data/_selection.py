"""What goes into an acquisition function besides the pool, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning import _checks
from learning.errors import ShapeError


def _no_rows() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


def _no_pairs() -> NDArray[np.int64]:
    return np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """What is known of prompts, for functions that look at them.

    Attributes:
        ids: Prompt numbers as in :attr:`Pool.prompt`, distinct, shape ``(P,)``: those of the
            pool and those already answered.
        vectors: One embedding a prompt, shape ``(P, e)``; ``e`` is 0 where nobody looks at them.
        entropy: Predictive entropy of the language model's answers, in nats (per token, so
            that length does not decide), shape ``(P,)``, NaN where it is not known; ``None``
            where no such model ran.
        model: Names that language model.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.floating[Any]]
    entropy: NDArray[np.float64] | None = None
    model: str = ""

    def __post_init__(self) -> None:
        ids = _checks.vector(self.ids, "prompt ids", np.int64)
        if len(np.unique(ids)) != len(ids):
            raise ShapeError("prompt ids must be distinct")
        vectors = _checks.matrix(self.vectors, "prompt vectors")
        if len(vectors) != len(ids):
            raise ShapeError(f"{len(ids)} prompts, but {len(vectors)} vectors")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "vectors", vectors)
        if self.entropy is not None:
            entropy = _checks.vector(self.entropy, "prompt entropy", np.float64, length=len(ids))
            object.__setattr__(self, "entropy", entropy)


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Where the campaign stands when a batch is chosen.

    Attributes:
        round: Number of the round, from 0.
        labelled_prompts: Prompt numbers that already have an answer, once an answered pair,
            shape ``(k,)``.
        pending: Pairs that are handed out and not answered yet, as rows of the pool's feature
            matrix, shape ``(p, 2)``. Every function is given a belief that counts them as
            answered already, with unknown outcome; they are not eligible again anyway.
        targets: Pairs the reward model should get right, same rows, shape ``(t, 2)``; empty
            means the pool itself.
        per_prompt: At most so many picks of one prompt in a batch; ``None`` is no limit.
        prompts: What is known of prompts; ``None`` where nobody looked.
        quality: A score of each response on a scale of its own, shape ``(m,)``, for functions
            that want good answers; ``None`` means the model's own reward.
        memory: Where a function may keep what is expensive and does not depend on answers,
            such as a neighbour graph; the caller hands the same one to later rounds.
        budget_left: Answers that may still be bought; ``None`` is unlimited.

    Raises:
        ShapeError: an array of the wrong shape.
    """

    round: int = 0
    labelled_prompts: NDArray[np.int64] = field(default_factory=_no_rows)
    pending: NDArray[np.int64] = field(default_factory=_no_pairs)
    targets: NDArray[np.int64] = field(default_factory=_no_pairs)
    per_prompt: int | None = None
    prompts: Prompts | None = None
    quality: NDArray[np.float64] | None = None
    memory: MutableMapping[str, Any] = field(default_factory=dict)
    budget_left: int | None = None

    def __post_init__(self) -> None:
        labelled = _checks.vector(self.labelled_prompts, "labelled_prompts", np.int64)
        object.__setattr__(self, "labelled_prompts", labelled)
        for name in ("pending", "targets"):
            checked = _checks.pairs(getattr(self, name), name, rows=np.iinfo(np.int64).max)
            object.__setattr__(self, name, checked)
        if self.per_prompt is not None and self.per_prompt < 1:
            raise ShapeError(f"per_prompt must be at least 1, got {self.per_prompt}")
        if self.quality is not None:
            quality = _checks.vector(self.quality, "quality", np.float64)
            object.__setattr__(self, "quality", quality)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The picks of one acquisition function.

    Attributes:
        indices: Indices into the pool, best first, without repeats, shape ``(B,)``.
        gain: What each pick was worth when it was made, shape ``(B,)``, in the unit of the
            function, named in ``info["unit"]``, times the pair's rate.
        score: First-step score of every pair in the pool, ``-inf`` where not eligible, shape
            ``(N,)``; ``None`` where the function does not score.
        info: Facts for the log and the dashboard.
        propensity: Probability with which each pick was drawn, shape ``(B,)``; ``None`` for a
            deterministic rule.
    """

    indices: NDArray[np.int64]
    gain: NDArray[np.float64]
    score: NDArray[np.float64] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    propensity: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        indices = _checks.vector(self.indices, "indices", np.int64)
        object.__setattr__(self, "indices", indices)
        gain = _checks.vector(self.gain, "gain", np.float64, length=len(indices))
        object.__setattr__(self, "gain", gain)
        if len(np.unique(indices)) != len(indices):
            raise ShapeError("a selection holds each pair at most once")

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def empty(cls, **info: Any) -> Selection:
        """Nothing to choose from."""
        return cls(indices=_no_rows(), gain=np.empty(0), info=info)
