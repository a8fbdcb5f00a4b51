"""A deep ensemble of small adapters on frozen features.

Twenty networks with two hidden layers, each anchored to its own draw from the prior and
trained without one fifth of the comparisons. What a member says of the fifth that it has not
seen sets the scale of the rewards and the model of ties and strengths, so that no label is
set aside for validation: nothing is ever stopped early, either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeGuard

import numpy as np
from numpy.typing import NDArray

from learning._checks import matrix
from learning.data import Belief, Comparisons, Ensemble, Networks
from learning.errors import ConfigError
from learning.heads import _shared as shared
from learning.heads._anchors import (
    PRIOR_MARGIN_VARIANCE,
    Problem,
    batches,
    draw_anchors,
    folds_of,
)
from learning.heads._answers import fit_answer_model
from learning.heads._bags import OutOfBag, choose_scale
from learning.heads._likelihood import AnswerModel

_WARM: Final = 3  # a warm start takes so many times fewer steps
_ROUNDS: Final = 2  # scale and answer model in turn; a third changes nothing that shows
_PROBES: Final = 500


@dataclass(frozen=True, slots=True)
class DeepEnsemble:
    """The head for what a linear reward cannot express.

    Attributes:
        members: Networks; the rank of the belief. At least two a fold.
        width: Units in each of the two hidden layers.
        folds: Parts of the comparisons; a member never sees one of them.
        epochs: Passes over the comparisons, but no fewer steps than ``least_steps``. A warm
            start takes a third.
        least_steps: Of the optimiser, whatever the number of comparisons.
        batch: Comparisons a step.
        learning_rate: Of the first step; falls linearly to a tenth.
        tie: Fix Davidson's ``nu`` instead of estimating it, as in ``LinearBT``.
        seed: Decides everything that is random.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
    """

    name: ClassVar[str] = "ensemble"
    members: int = 20
    width: int = 64
    folds: int = 5
    epochs: int = 5
    least_steps: int = 200
    batch: int = 128
    learning_rate: float = 3e-3
    tie: float | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("width", "epochs", "least_steps", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.folds < 2 or self.members < 2 * self.folds:
            raise ConfigError(
                f"an ensemble needs two folds and two members a fold, "
                f"got {self.members} members in {self.folds} folds"
            )

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        comparisons: Comparisons,
        *,
        prior_precision: float | None = None,
        start: Belief | None = None,
        recurring: NDArray[np.int64] | None = None,
    ) -> Ensemble:
        """Return the trained ensemble; draws from the prior where there are no comparisons.

        ``log_evidence`` is the log-likelihood of the comparisons out of bag.

        Args:
            features: One row a response, shape ``(m, d)``; about unit scale.
            comparisons: Judgements whose rows point into ``features``.
            prior_precision: Factor on the pull of every member to its draw; 1 unless given.
            start: An earlier belief of the same width. From an ensemble of the same shape,
                half-way back to the draws, a third of the steps will do: members that are
                merely trained on overfit round by round. Any other is not used.
            recurring: Not used: no response has an effect of its own.

        Raises:
            ShapeError: rows out of range, widths that differ, NaN features, or ties although
                ``tie`` is fixed at 0.
            ConfigError: the device is not here.
        """
        features = matrix(features, "features")
        shared.check(
            features, comparisons, tie=self.tie, start=start, prior_precision=prior_precision
        )
        if not len(comparisons):
            return self._prior(features)
        anchors = draw_anchors(
            features, comparisons.pairs, members=self.members, width=self.width, seed=self.seed
        )
        earlier = start if _alike(start, anchors.networks) else None
        model = self._first_model(comparisons, earlier)
        fold = folds_of(comparisons, self.folds)
        kept = fold != np.arange(self.members)[:, None] % self.folds
        task = Problem(features, comparisons, kept, model, anchors, prior_precision or 1.0)
        networks = self._train(task, earlier)
        return self._calibrated(networks, task)

    def _prior(self, features: NDArray[np.floating[Any]]) -> Ensemble:
        """Draws from the prior, on the scale of random pairs."""
        rng = np.random.default_rng(self.seed)
        pairs = np.zeros((1, 2), dtype=np.int64)
        if len(features) > 1:
            one = rng.integers(0, len(features), _PROBES)
            other = (one + rng.integers(1, len(features), _PROBES)) % len(features)
            pairs = np.stack([one, other], axis=1)
        anchors = draw_anchors(
            features, pairs, members=self.members, width=self.width, seed=self.seed
        )
        return Ensemble(anchors.networks, **shared.answers(shared.first_model(None, self.tie)))

    def _first_model(self, data: Comparisons, start: Ensemble | None) -> AnswerModel:
        """The answer model to train with: that of the start, or what the prior expects."""
        if start is not None:
            return shared.first_model(start, self.tie)
        mu, s2 = np.zeros(len(data)), np.full(len(data), PRIOR_MARGIN_VARIANCE)
        return fit_answer_model(
            mu, s2, data, shared.first_model(None, self.tie), fixed_tie=self.tie
        )

    def _train(self, task: Problem, start: Ensemble | None) -> Networks:
        # torch takes a second to load, and nothing else in a round needs it.
        from learning.heads._training import train

        n = len(task.data)
        steps = max(self.least_steps, -(-self.epochs * n // self.batch))
        if start is not None:
            steps = -(-steps // _WARM)
        return train(
            _start(task.anchors.networks, start),
            task,
            batches(n, self.batch, steps, self.seed),
            learning_rate=self.learning_rate,
            device=self.device,
        )

    def _calibrated(self, networks: Networks, task: Problem) -> Ensemble:
        """Put the answer model and the scale of rewards to what members say out of bag."""
        data = task.data
        used, place = np.unique(data.pairs, return_inverse=True)
        left, right = place.reshape(-1, 2).T
        rewards = networks.rewards(task.features[used].astype(np.float32)).astype(np.float64)
        bag = OutOfBag.of((rewards[left] - rewards[right]).T, task.kept)
        model, scale = task.model, 1.0
        for _ in range(_ROUNDS):
            scale = choose_scale(bag, data, model)
            mu, s2 = scale * bag.mean, scale**2 * bag.variance
            model = fit_answer_model(mu, s2, data, model, fixed_tie=self.tie)
        return Ensemble(
            networks,
            scale=scale,
            log_evidence=float(data.weight @ bag.log_likelihood(scale, data, model)),
            n_comparisons=len(data),
            **shared.answers(model),
        )


def _start(anchors: Networks, start: Ensemble | None) -> Networks:
    """Return the anchors, or the middle between them and an earlier ensemble.

    Source:
        Ash and Adams (2020), arXiv:1910.08475, shrink and perturb; here the draw perturbs.
    """
    if start is None:
        return anchors
    earlier = start.networks.arrays()
    half = np.float32(0.5)
    return Networks(**{n: half * (then + earlier[n]) for n, then in anchors.arrays().items()})


def _alike(start: Belief | None, networks: Networks) -> TypeGuard[Ensemble]:
    """Whether ``start`` can be trained on."""
    return isinstance(start, Ensemble) and start.networks.first.shape == networks.first.shape
