"""What a router sees and what it says: frozen arrays, validated once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from learning import _checks
from learning.data import Pool
from learning.errors import ConfigError, ShapeError

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

HUMAN: Final = 1
JUDGE: Final = 0
WAIT: Final = -1  # nobody now: no budget for a person, and the judge may not answer it

REASONS: Final = (
    "safety",  # people answer what touches safety, whatever it costs
    "no_judge",  # the judge gave no usable answer
    "related",  # the judge is related to the author of a response
    "undecided",  # the judge called it a tie
    "inconsistent",  # the judge changed its mind with the order of the responses
    "pilot",  # the judge is being measured: it was asked about drawn questions alone
    "doubt",  # by what both said, its taste seems another than people's
    "drift",  # the judge got worse; nothing is left to it until it is looked at
    "audit",  # drawn at random, whatever is known about it
    "value",  # a person's answer is (not) worth its time
    "confidence",  # the judge is (not) sure enough
    "budget",  # what was wanted could not be paid
    "policy",  # the policy looks at nothing else
)
_LARGEST_LOGIT: Final = 6.0  # what a judge says beyond 400 to 1 is not more than that


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Signs:
    """What is known about questions, before a person answers, that may tell of judge errors.

    Attributes:
        probability: The judge's probability that the left response is better, averaged over
            both orders, in [0, 1], NaN where it gave no usable answer; shape ``(n,)``.
        inconsistent: Whether its two orders named different winners, shape ``(n,)``.
        tags: Membership in tags, in [0, 1], shape ``(n, t)``; ``t`` may be 0.
        length_gap: Log length of the left response minus that of the right, shape ``(n,)``.
        similarity: Likeness of the two responses, such as a cosine, shape ``(n,)``.
        head_margin: The head's mean margin in logits, or ``None`` for all.
        head_sd: Its standard deviation, or ``None`` for all.

    Raises:
        ShapeError: shapes differ, or a value is out of range, infinite, or NaN where it may
            not be.
    """

    probability: Doubles
    inconsistent: Flags
    tags: Doubles
    length_gap: Doubles
    similarity: Doubles
    head_margin: Doubles | None = None
    head_sd: Doubles | None = None

    def __post_init__(self) -> None:
        n = len(np.atleast_1d(np.asarray(self.probability)))
        probability = _checks.vector(self.probability, "probability", np.float64, length=n)
        known = probability[~np.isnan(probability)]
        if ((known < 0) | (known > 1)).any():
            raise ShapeError("probability must lie in [0, 1], or be NaN where there is none")
        inconsistent = _checks.vector(self.inconsistent, "inconsistent", np.bool_, length=n)
        object.__setattr__(self, "probability", probability)
        object.__setattr__(self, "inconsistent", inconsistent)
        object.__setattr__(self, "tags", _tags(self.tags, n))
        for name in ("length_gap", "similarity", "head_margin", "head_sd"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, finite(given, name, length=n))
        if (self.head_margin is None) != (self.head_sd is None):
            raise ShapeError("head_margin and head_sd are given together or not at all")
        if self.head_sd is not None and (self.head_sd < 0).any():
            raise ShapeError("head_sd must be at least 0")

    @classmethod
    def of(
        cls,
        probability: ArrayLike,
        *,
        inconsistent: ArrayLike | None = None,
        tags: ArrayLike | None = None,
        length_gap: ArrayLike | None = None,
        similarity: ArrayLike | None = None,
    ) -> Signs:
        """Build from anything array-like; what is not given is the same for all questions."""
        n = len(np.atleast_1d(np.asarray(probability)))
        return cls(
            probability=np.asarray(probability, dtype=np.float64),
            inconsistent=np.zeros(n, np.bool_)
            if inconsistent is None
            else np.asarray(inconsistent),
            tags=np.zeros((n, 0)) if tags is None else np.asarray(tags),
            length_gap=np.zeros(n) if length_gap is None else np.asarray(length_gap),
            similarity=np.zeros(n) if similarity is None else np.asarray(similarity),
        )

    def __len__(self) -> int:
        return len(self.probability)

    @property
    def answered(self) -> Flags:
        """Where the judge named a winner: neither nothing nor exactly one half; ``(n,)``."""
        return np.asarray(~np.isnan(self.probability) & (self.probability != 0.5))

    @property
    def outcome(self) -> NDArray[np.int8]:
        """The judge's winner, ``+1`` left, ``-1`` right, 0 where it named none; ``(n,)``."""
        return np.where(self.answered, np.sign(self.probability - 0.5), 0).astype(np.int8)

    @property
    def margin(self) -> Doubles:
        """The size of the judge's logit, in [0, 6], 0 where it named no winner; ``(n,)``."""
        p = np.where(self.answered, self.probability, 0.5)
        return np.asarray(np.minimum(np.abs(logit(p)), _LARGEST_LOGIT))

    @property
    def confidence(self) -> Doubles:
        """The judge's probability of its winner, in [1/2, 1]; ``(n,)``."""
        p = np.where(self.answered, self.probability, 0.5)
        return np.asarray(np.maximum(p, 1.0 - p))

    def subset(self, rows: NDArray[Any]) -> Signs:
        """Return the questions that a boolean mask or an index array picks."""
        return Signs(
            probability=self.probability[rows],
            inconsistent=self.inconsistent[rows],
            tags=self.tags[rows],
            length_gap=self.length_gap[rows],
            similarity=self.similarity[rows],
            head_margin=None if self.head_margin is None else self.head_margin[rows],
            head_sd=None if self.head_sd is None else self.head_sd[rows],
        )

    def with_head(self, margin: Doubles, variance: Doubles) -> Signs:
        """Return the same questions with what a head believes, as ``Belief.margin`` gives it."""
        return replace(self, head_margin=margin, head_sd=np.sqrt(variance))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Questions:
    """The questions of a batch that are to be routed.

    Attributes:
        pool: Features of responses and the pair of each question, ``n`` pairs.
        signs: What tells of judge errors, ``n`` rows.
        safety: Whether a question touches safety, shape ``(n,)``.
        related: Whether the judge is related to the author of a response, shape ``(n,)``.
        seconds: A person's time for each question, positive, shape ``(n,)``.
        money: What the judge's answer is going to cost (both orders), at least 0, shape
            ``(n,)``; 0 where it is there already.

    Raises:
        ShapeError: shapes differ or a cost is not a number in range.
    """

    pool: Pool
    signs: Signs
    safety: Flags
    related: Flags
    seconds: Doubles
    money: Doubles

    def __post_init__(self) -> None:
        n = len(self.pool)
        if len(self.signs) != n:
            raise ShapeError(f"signs must be of {n} questions, got {len(self.signs)}")
        for name in ("safety", "related"):
            flags = _checks.vector(getattr(self, name), name, np.bool_, length=n)
            object.__setattr__(self, name, flags)
        for name in ("seconds", "money"):
            object.__setattr__(self, name, finite(getattr(self, name), name, length=n))
        if (self.seconds <= 0).any() or (self.money < 0).any():
            raise ShapeError("seconds must be positive and money at least 0")

    @classmethod
    def of(
        cls,
        pool: Pool,
        signs: Signs,
        *,
        safety: ArrayLike | None = None,
        related: ArrayLike | None = None,
        seconds: ArrayLike | None = None,
        money: ArrayLike | None = None,
    ) -> Questions:
        """Build with defaults: no rule applies, a second a question, and free judge answers."""
        n = len(pool)
        return cls(
            pool=pool,
            signs=signs,
            safety=np.zeros(n, np.bool_) if safety is None else np.asarray(safety),
            related=np.zeros(n, np.bool_) if related is None else np.asarray(related),
            seconds=np.ones(n) if seconds is None else np.asarray(seconds),
            money=np.zeros(n) if money is None else np.asarray(money),
        )

    def __len__(self) -> int:
        return len(self.pool)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent on a batch.

    Attributes:
        seconds: Of people's time, at least 0; infinity is no limit.
        money: On the judge, at least 0; infinity is no limit.
    """

    seconds: float = float("inf")
    money: float = float("inf")

    def __post_init__(self) -> None:
        if not (self.seconds >= 0 and self.money >= 0):
            raise ConfigError("a budget must be at least 0 seconds and 0 money")

    def minus(self, seconds: float, money: float) -> Budget:
        """Return what is left after that was spent, never less than nothing."""
        return Budget(max(self.seconds - seconds, 0.0), max(self.money - money, 0.0))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Decisions:
    """Who answers each question of a batch, and why.

    Attributes:
        who: ``HUMAN``, ``JUDGE`` or ``WAIT``, shape ``(n,)``, int8.
        reason: One of :data:`REASONS` each.
        audit: Whether it is in the random stratum, shape ``(n,)``. Only these questions may
            estimate anything about the judge.
        error: Predicted probability that the judge is wrong, shape ``(n,)``.
        value: Value of a person's answer, as the policy sees it, shape ``(n,)``.
        propensity: Probability with which it was sent to a person, shape ``(n,)``: that of
            the audit's draw for the audit and for what was left to the judge or waits, 1 where
            a rule or the policy's order decided.
        seconds: Of people's time that this costs.
        money: That the judge costs.
    """

    who: NDArray[np.int8]
    reason: tuple[str, ...]
    audit: Flags
    error: Doubles
    value: Doubles
    propensity: Doubles
    seconds: float
    money: float

    def __len__(self) -> int:
        return len(self.who)

    @property
    def human(self) -> NDArray[np.int64]:
        """Questions for people, ascending."""
        return np.flatnonzero(self.who == HUMAN)

    @property
    def judge(self) -> NDArray[np.int64]:
        """Questions whose judge's answer stands, ascending."""
        return np.flatnonzero(self.who == JUDGE)


def finite(values: ArrayLike, name: str, *, length: int | None = None) -> Doubles:
    """Return a finite read-only vector.

    Raises:
        ShapeError: another shape, NaN or infinite values; says where.
    """
    array = _checks.vector(values, name, np.float64, length=length)
    bad = ~np.isfinite(array)
    if bad.any():
        raise ShapeError(f"{name} has NaN or infinite values, first in row {int(bad.argmax())}")
    return array


def _tags(values: ArrayLike, n: int) -> Doubles:
    given = np.asarray(values, dtype=np.float64)
    tags = _checks.matrix(given if given.size or given.ndim == 2 else np.zeros((n, 0)), "tags")
    if len(tags) != n:
        raise ShapeError(f"tags must have shape ({n}, t), got {tags.shape}")
    if tags.size and (tags.min() < 0 or tags.max() > 1):
        raise ShapeError("tags must lie in [0, 1]")
    return np.asarray(tags)
