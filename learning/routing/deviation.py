"""How far the judge's taste departs from people's, by the evidence of all labels.

Fusion takes a judge's errors as accidents. A judge that prefers, say, longer answers errs in one
direction, again and again, and a thousand of its labels would outvote people however they are
weighed. So its reward may differ: people's is ``phi . theta``, the judge's ``phi . (theta +
kappa delta)``, both ``theta`` and ``delta`` with the head's own prior. With ``kappa = 0`` both
have one reward; the larger it is, the less the judge's labels say about people's; at 10 next to
nothing. The ``kappa`` taken is the one under which all labels are most probable.

Any head will do: the judge is seen to answer about copies of the responses whose features have
a second part. This is the feature augmentation of Daume (2007), "Frustratingly easy domain
adaptation", with the width of the second part chosen by evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.data import Belief, Comparisons, Posterior
from learning.heads import Head
from learning.routing.fusion import weighted

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

KAPPAS: Final = (0.0, 0.3, 1.0, 3.0, 10.0)
LEAST: Final = 30  # answers of people below which nothing is said of tastes
_OTHER: Final = 3.0  # from here on the judge has another taste
DOUBT: Final = 0.4  # what two of five that are equally likely have before there is any evidence
_CLEARLY: Final = 5.0  # nats of evidence against one taste: 150 to one


@dataclass(frozen=True, slots=True)
class Deviation:
    """What the evidence says about the judge's taste.

    Attributes:
        kappa: How far it may depart from people's, the most probable of :data:`KAPPAS`.
        gain: Evidence for that against one taste for both, in nats, at least 0.
        doubt: Probability that it has another taste, a ``kappa`` of 3 or more, each of
            :data:`KAPPAS` being as likely beforehand; 0 where there is no evidence at all.
    """

    kappa: float = 0.0
    gain: float = 0.0
    doubt: float = 0.0

    @property
    def other_taste(self) -> bool:
        """Whether the judge's labels say next to nothing about people's preferences."""
        return self.kappa >= _OTHER and self.gain > _CLEARLY

    @property
    def doubtful(self) -> bool:
        """Whether the evidence is rather for another taste: no more is to be spent on the judge.

        More answers of people may settle it, either way; its labels stay in the fit meanwhile,
        with the ``kappa`` that is most probable.
        """
        return self.doubt > DOUBT


@dataclass(frozen=True, slots=True, eq=False)
class Apart:
    """Features and labels in which people and the judge may have rewards of their own.

    Attributes:
        features: People's view of the responses that labels or ``recurring`` name, then the
            judge's of those that it compared; with ``kappa = 0`` the features as they were.
        labels: Rows point into ``features``; the judge's to its view.
        recurring: Rows that recur in pairs, in both views, or ``None``.
        rows: Which responses people's view has, ascending; ``None`` for one view.
        width: Features of a response as they were.
    """

    features: NDArray[np.floating[Any]]
    labels: Comparisons
    recurring: Ints | None
    rows: Ints | None
    width: int

    @classmethod
    def of(
        cls,
        features: NDArray[np.floating[Any]],
        labels: Comparisons,
        human: Flags,
        *,
        kappa: float,
        recurring: Ints | None = None,
    ) -> Apart:
        """Make the two views.

        Args:
            features: One row a response, shape ``(m, d)``.
            labels: ``n`` comparisons.
            human: Which are people's, shape ``(n,)``.
            kappa: How far the judge's reward may depart; 0 for not at all.
            recurring: Rows that recur in pairs.
        """
        d = features.shape[1]
        if kappa == 0.0:
            return cls(features, labels, recurring, None, d)
        judged = np.unique(labels.pairs[~human])
        also = np.empty(0, np.int64) if recurring is None else recurring
        rows = np.union1d(np.unique(labels.pairs[human]), also)  # a pool may have many more
        ours, theirs = features[rows], features[judged]
        people = np.hstack([ours, np.zeros_like(ours)])
        judge = np.hstack([theirs, theirs * features.dtype.type(kappa)])

        def moved(ends: Ints) -> Ints:
            mine = np.searchsorted(rows, ends)
            return np.where(human, mine, len(rows) + np.searchsorted(judged, ends))

        apart = replace(labels, left=moved(labels.left), right=moved(labels.right))
        if recurring is not None:
            again = len(rows) + np.flatnonzero(np.isin(judged, recurring))
            recurring = np.concatenate([np.searchsorted(rows, recurring), again])
        return cls(np.vstack([people, judge]), apart, recurring, rows, d)

    def people(self, belief: Belief) -> Belief:
        """Return the belief about people's rewards, as of a head on the features as they were."""
        if self.rows is None:
            return belief
        assert isinstance(belief, Posterior)  # noqa: S101 - only such heads are asked
        ours = belief.items < len(self.rows)
        keep = np.concatenate([np.arange(self.width), belief.width + np.flatnonzero(ours)])
        return Posterior(
            belief.theta[keep],
            belief.factor[keep],
            belief.prior_precision,
            items=self.rows[belief.items[ours]],
            item_precision=belief.item_precision,
            tie=belief.tie,
            strength_slope=belief.strength_slope,
            strength_cuts=belief.strength_cuts,
            log_evidence=belief.log_evidence,
            n_comparisons=belief.n_comparisons,
        )


def find(
    features: NDArray[np.floating[Any]],
    labels: Comparisons,
    epsilon: Doubles,
    human: Flags,
    *,
    head: Head,
    recurring: Ints | None = None,
) -> tuple[Deviation, Belief]:
    """Return the judge's deviation, and people's rewards by weighted labels under it.

    One fit on :func:`learning.routing.fusion.weighted` labels for each ``kappa``; the search
    stops when the evidence falls by more than it could recover. A judge that hardly ever ties
    where people often do counts as one of another taste: its answers are about something
    else. With fewer than 30 answers of people or of the judge, and for heads that are no
    Gaussian over weights, ``kappa`` is 0.

    Where the judge has another taste, people's labels alone give the belief: in one fit with
    the judge's, precision and tie-proneness would still be common to both.

    Args:
        features: One row a response, shape ``(m, d)``.
        labels: ``n`` comparisons of people and the judge.
        epsilon: P(wrong) of each, shape ``(n,)``.
        human: Which are people's, shape ``(n,)``.
        head: What is fitted.
        recurring: Rows that recur in pairs, passed on to the head.

    Returns:
        The deviation, and the belief: its uncertainty counts labels for what they tell, which
        is what choosing questions needs.
    """
    enough = min(human.sum(), (~human).sum()) >= LEAST

    def fit(rows: Flags, kappa: float) -> Belief:
        some = labels.subset(rows)
        view = Apart.of(features, some, human[rows], kappa=kappa, recurring=recurring)
        said = weighted(view.labels, epsilon[rows])
        return view.people(head.fit(view.features, said, recurring=view.recurring))

    everything = np.ones(len(labels), np.bool_)
    best, belief = Deviation(), fit(everything, 0.0)
    if enough and isinstance(belief, Posterior):
        alone = belief.log_evidence
        gains = {0.0: 0.0}
        for kappa in KAPPAS[1:]:
            found = fit(everything, kappa)
            gains[kappa] = gain = found.log_evidence - alone
            if gain > best.gain:
                best, belief = Deviation(kappa, gain), found
            elif gain < best.gain - _CLEARLY:
                break
        best = replace(best, doubt=_doubt(gains))
    return best, fit(human, 0.0) if best.other_taste else belief


def _doubt(gains: Mapping[float, float]) -> float:
    """P(another taste) by the evidence for each ``kappa`` that was tried, in nats."""
    most = max(gains.values())
    share = {kappa: np.exp(gain - most) for kappa, gain in gains.items()}
    other = sum(part for kappa, part in share.items() if kappa >= _OTHER)
    return float(other / sum(share.values()))
