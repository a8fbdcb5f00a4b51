"""Which labels to learn from: all of them, or only people's, or only the judge's.

Fusion is the default, with a taste of its own for the judge where the evidence says so. It is
wrong where the judge errs in a way that the audit has not found, and then it can be far worse
than people's labels alone. So each source is tried on answers of the audit that it has not
seen, and fusion is left where a pure source is clearly better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from learning import _checks
from learning.data import Belief, Comparisons, moderate
from learning.errors import ShapeError
from learning.heads import Head, LinearBT
from learning.routing.data import finite
from learning.routing.deviation import Apart, Deviation, find
from learning.routing.fusion import ROUNDS, Fused, fuse

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Source: TypeAlias = Literal["both", "people", "judge"]

FOLDS: Final = 3
LEAST: Final = 30  # audited answers below which there is no evidence against the default
_CLEARLY: Final = 2.5  # standard errors by which a pure source must be better: it is seldom
_LOG_SCALES: Final = (-4.0, 2.0)
_REFITS: Final = 4  # rounds of EM in a fold, begun at the full fit


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Everything that was said, one row a label.

    Attributes:
        comparisons: The labels, ``n``.
        epsilon: P(wrong) of each, in [0, 1), shape ``(n,)``.
        question: Which question each is about, shape ``(n,)``, int64.
        human: Whether a person gave it, shape ``(n,)``.
        audit: Whether its question is in the random audit, shape ``(n,)``.

    Raises:
        ShapeError: shapes differ or a rate is out of range.
    """

    comparisons: Comparisons
    epsilon: Doubles
    question: Ints
    human: NDArray[np.bool_]
    audit: NDArray[np.bool_]

    def __post_init__(self) -> None:
        n = len(self.comparisons)
        object.__setattr__(self, "epsilon", finite(self.epsilon, "epsilon", length=n))
        for name, dtype in {"question": np.int64, "human": np.bool_, "audit": np.bool_}.items():
            values: ArrayLike = getattr(self, name)
            object.__setattr__(self, name, _checks.vector(values, name, dtype, length=n))
        if ((self.epsilon < 0) | (self.epsilon >= 1)).any():
            raise ShapeError("epsilon must lie in [0, 1)")

    def __len__(self) -> int:
        return len(self.comparisons)

    def subset(self, rows: NDArray[Any]) -> Labels:
        """Return the labels that a boolean mask or an index array picks."""
        return Labels(
            self.comparisons.subset(rows),
            self.epsilon[rows],
            self.question[rows],
            self.human[rows],
            self.audit[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What was learnt, and from whom.

    Attributes:
        belief: The head.
        source: ``both``, ``people`` or ``judge``.
        deviation: How far the judge's taste departs from people's.
        fused: The fusion of both, also where it was not taken.
        log_loss: Mean surprise of each source at audited answers it had not seen, in nats;
            empty where there were too few.
        tested: How many answers that was measured on.
    """

    belief: Belief
    source: Source
    deviation: Deviation
    fused: Fused
    log_loss: Mapping[Source, float]
    tested: int


def learn(
    features: NDArray[np.floating[Any]],
    labels: Labels,
    *,
    human: float,
    rng: np.random.Generator,
    head: Head | None = None,
    start: Belief | None = None,
    recurring: Ints | None = None,
) -> Learnt:
    """Fit on all labels, unless the audit says that a pure source is better.

    The audited questions are dealt into three folds. People's answers to a fold are predicted
    by fusion and by people's labels without them, and by the judge's labels. Each source's
    margins are scaled by one number first: how sure they are depends on how labels were
    weighed, and which side they favour is what counts. A pure source replaces fusion if its
    log-loss is lower by more than 2.5 standard errors. With fewer than 30 audited answers
    there is no evidence, and fusion stays.

    Args:
        features: One row a response, shape ``(m, d)``.
        labels: Everything that was said.
        human: People's error, in [0, 1/2): answers are predicted through it.
        rng: Deals the folds.
        head: What is fitted; the default head where nothing is given.
        start: An earlier belief; saves time.
        recurring: Passed on to the head.
    """
    fits = _Fits.of(features, labels, head or LinearBT(), recurring)
    plainly = fits.deviation.kappa == 0.0  # the judge's taste is people's
    fused = fits.both(labels, start if plainly else None, ROUNDS)
    if fits.deviation.other_taste:
        people = fits.plain(labels.subset(labels.human))
        return Learnt(people, "people", fits.deviation, fused, {}, 0)
    exam = labels.human & labels.audit & labels.comparisons.decisive
    if exam.sum() < LEAST:
        return Learnt(fused.belief, "both", fits.deviation, fused, {}, 0)
    judge = fits.plain(labels.subset(~labels.human))
    begin, rounds = (fused.belief, _REFITS) if plainly else (None, ROUNDS // 2)
    margin: dict[Source, Doubles] = {name: np.zeros(len(labels)) for name in _ALL}
    for fold in _deal(labels.question, exam, rng):
        rest, said = labels.subset(~fold), labels.comparisons.subset(fold)
        refit = fits.both(rest, begin, rounds).belief
        people = fits.plain(rest.subset(rest.human))
        for name, belief in zip(_ALL, (refit, people, judge), strict=True):
            margin[name][fold] = _towards(belief, features, said)
    surprise = {name: _surprise(values[exam], human) for name, values in margin.items()}
    source = _choose(surprise)
    belief = fused.belief
    if source == "people":
        belief = fits.plain(labels.subset(labels.human))
    elif source == "judge":
        belief = judge
    losses = {name: float(values.mean()) for name, values in surprise.items()}
    return Learnt(belief, source, fits.deviation, fused, losses, int(exam.sum()))


_ALL: Final[tuple[Source, ...]] = ("both", "people", "judge")


@dataclass(frozen=True, slots=True, eq=False)
class _Fits:
    """How labels are fitted, and how far the judge's taste departs from people's."""

    features: NDArray[np.floating[Any]]
    head: Head
    recurring: Ints | None
    deviation: Deviation

    @classmethod
    def of(
        cls,
        features: NDArray[np.floating[Any]],
        labels: Labels,
        head: Head,
        recurring: Ints | None,
    ) -> _Fits:
        """Find the judge's departure on all labels."""
        said, epsilon, human = labels.comparisons, labels.epsilon, labels.human
        found, _ = find(features, said, epsilon, human, head=head, recurring=recurring)
        return cls(features, head, recurring, found)

    def both(self, labels: Labels, start: Belief | None, rounds: int) -> Fused:
        """Fuse people's and the judge's labels; the belief is about people's taste."""
        view = Apart.of(
            self.features,
            labels.comparisons,
            labels.human,
            kappa=self.deviation.kappa,
            recurring=self.recurring,
        )
        found = fuse(
            view.features,
            view.labels,
            labels.epsilon,
            head=self.head,
            start=start,
            recurring=view.recurring,
            rounds=rounds,
        )
        return replace(found, belief=view.people(found.belief))

    def plain(self, labels: Labels) -> Belief:
        """Fit labels as they are, all of one source."""
        return self.head.fit(self.features, labels.comparisons, recurring=self.recurring)


def _deal(question: Ints, exam: NDArray[np.bool_], rng: np.random.Generator) -> list[Any]:
    """Masks of the folds: two answers to one question are never in different ones."""
    asked = np.unique(question[exam])
    place = rng.permutation(len(asked)) % FOLDS
    return [exam & np.isin(question, asked[place == fold]) for fold in range(FOLDS)]


def _towards(belief: Belief, features: NDArray[np.floating[Any]], said: Comparisons) -> Doubles:
    """Return the moderated margin towards what each label says, ``(n,)``."""
    mu, s2 = belief.margin(features, said.pairs)
    return moderate(mu * said.outcome, s2)


def _surprise(margin: Doubles, human: float) -> Doubles:
    """Return the surprise at people's answers, in nats, at the scale that makes it least."""

    def at(log_scale: float) -> Doubles:
        p = expit(np.exp(log_scale) * margin)
        return np.asarray(-np.log(np.maximum(human + (1.0 - 2.0 * human) * p, 1e-12)))

    found = minimize_scalar(
        lambda log_scale: at(log_scale).sum(), bounds=_LOG_SCALES, method="bounded"
    )
    return at(float(found.x))


def _choose(surprise: Mapping[Source, Doubles]) -> Source:
    """The better pure source where it clearly beats fusion."""
    pure: tuple[Source, ...] = ("people", "judge")
    best = min(pure, key=lambda name: surprise[name].mean())
    gain = surprise["both"] - surprise[best]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return best if gain.mean() > _CLEARLY * error else "both"
