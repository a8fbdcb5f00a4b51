"""Bayesian Bradley-Terry with an effect of its own for each response that recurs.

``P(left wins | somebody wins) = sigmoid((phi_left - phi_right) . theta + b_left - b_right)``
with ``theta ~ N(0, I / lambda)`` and ``b ~ N(0, I / lambda_b)``: what features cannot tell
apart, answers about other pairs with the same response can. Everything else is as in
:mod:`~learning.heads.linear_bt`; both precisions are chosen by the Laplace evidence.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from learning._checks import matrix, vector, within
from learning.data import Belief, Comparisons, Posterior
from learning.heads import _shared as shared
from learning.heads._items import WithItems
from learning.heads._laplace import Guess, Hyper
from learning.heads._recurring import MAX_ITEMS
from learning.heads._recurring import recurring as recurring_rows
from learning.heads.linear_bt import LinearBT

logger = logging.getLogger(__name__)

EFFECT_MARGIN_VARIANCE: Final = 1.0  # logits^2 that effects add to a pair before any answer
_CENTRE: Final = 2.0 / EFFECT_MARGIN_VARIANCE  # a margin has two effects


@dataclass(frozen=True, slots=True)
class ItemBT:
    """The head for pools in which responses recur in many pairs.

    Attributes:
        tie: Fix Davidson's ``nu`` instead of estimating it, as in :class:`LinearBT`.
        item_precision: Fix ``lambda_b`` (positive) instead of estimating it.
        max_items: Most responses with an effect; those compared most often come first. The
            posterior takes ``8 (d + k)^2`` bytes. Responses that are compared within small
            groups cost little time; where all are compared with each other, a first fit of
            2 048 takes 15 seconds of one core.
    """

    name: ClassVar[str] = "item_bt"
    tie: float | None = None
    item_precision: float | None = None
    max_items: int = MAX_ITEMS

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        comparisons: Comparisons,
        *,
        prior_precision: float | None = None,
        start: Belief | None = None,
        recurring: NDArray[np.int64] | None = None,
    ) -> Posterior:
        """Return the Laplace posterior; the prior where there are no comparisons.

        The prior of the effects is a wide log-normal too, around an addition of 1 logit^2 to
        the variance of a pair. Without any recurring response this is :class:`LinearBT`.

        Args:
            features: One row a response, shape ``(m, d)``; about unit scale.
            comparisons: Judgements whose rows point into ``features``.
            prior_precision: Fix ``lambda``, that of the feature weights (positive).
            start: An earlier belief of the same width. Effects are taken over by row; the
                responses that have one may be others now.
            recurring: Rows to have an effect, those of no comparison included: a design must
                know how uncertain and how related they are. By default those that occur in
                two different pairs of ``comparisons``.

        Raises:
            ShapeError: as :class:`LinearBT`, or ``recurring`` is out of range.
        """
        features = matrix(features, "features")
        given = {"prior_precision": prior_precision, "item_precision": self.item_precision}
        shared.check(features, comparisons, tie=self.tie, start=start, **given)
        items = self._items(comparisons, recurring, rows=len(features))
        if not len(items) or not len(comparisons):
            linear = LinearBT(self.tie).fit(
                features, comparisons, prior_precision=prior_precision, start=start
            )
            return linear if not len(items) else self._with_prior_effects(linear, items)
        X = shared.differences(features, comparisons)
        centre = shared.typical_precision(np.square(X).sum(axis=1).mean())
        hyper = Hyper((centre, _CENTRE), (prior_precision, self.item_precision))
        places = (_places(items, rows) for rows in (comparisons.left, comparisons.right))
        left, right = places
        found = shared.solve(
            partial(WithItems, left=left, right=right, k=len(items)),
            X,
            comparisons,
            self._guess(start, items, X.shape[1], hyper),
            hyper=hyper,
            tie=self.tie,
        )
        of_features, of_items = found.pop("prior")
        return Posterior(**found, prior_precision=of_features, item_precision=of_items, items=items)

    def _items(
        self, data: Comparisons, wanted: NDArray[np.int64] | None, *, rows: int
    ) -> NDArray[np.int64]:
        """Return the rows that have an effect, ascending."""
        if wanted is None:
            items = recurring_rows(data.pairs)
        else:
            items = np.unique(vector(wanted, "recurring", np.int64))
            within(items, "recurring", rows=rows)
        if len(items) <= self.max_items:
            return items
        logger.warning(
            "%d responses recur; the %d compared most have an effect", len(items), self.max_items
        )
        compared = np.bincount(data.pairs.ravel(), minlength=rows)[items]
        return np.sort(items[np.argsort(-compared, kind="stable")[: self.max_items]])

    def _guess(self, start: Belief | None, items: NDArray[np.int64], d: int, hyper: Hyper) -> Guess:
        """Begin with the weights of ``start``, effects found by row, the rest 0."""
        theta = np.zeros(d + len(items))
        if not isinstance(start, Posterior):
            return Guess(theta, hyper.centres, shared.first_model(None, self.tie))
        theta[:d] = start.theta[:d]
        both, here, there = np.intersect1d(items, start.items, return_indices=True)
        theta[d + here] = start.theta[d + there]
        of_items = start.item_precision if len(both) else hyper.centres[1]
        prior = (start.prior_precision, of_items)
        return Guess(theta, prior, shared.first_model(start, self.tie))

    def _with_prior_effects(self, linear: Posterior, items: NDArray[np.int64]) -> Posterior:
        precision = self.item_precision or _CENTRE
        d, k = linear.dim, len(items)
        factor = np.zeros((d + k, d + k))
        factor[:d, :d] = linear.factor
        factor[np.arange(d, d + k), np.arange(d, d + k)] = precision**-0.5
        return replace(
            linear,
            theta=np.zeros(d + k),
            factor=factor,
            items=items,
            item_precision=precision,
        )


def _places(items: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each row in ``items``, -1 where it has none."""
    at = np.minimum(np.searchsorted(items, rows), len(items) - 1)
    return np.where(items[at] == rows, at, -1)
