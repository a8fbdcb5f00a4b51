"""The learning curve: every model version measured on the same answers, the newest holdout.

A version that was measured when ten holdout answers were in and one that was measured with a
hundred cannot be compared: the curve would show the luck of the questions. So each round
measures the earlier versions again, on all holdout answers of today, with the same bootstrap
draws of prompts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign, ModelVersion
from learning import metrics
from learning.data import Comparisons, Posterior
from learning.features import Standardizer, assemble
from worker import artifacts
from worker.store import Labels

logger = logging.getLogger(__name__)
MOST_POINTS = 24  # of each kind: a curve needs no more, and a round should not read them all
FEWEST_PROMPTS = 10
INTERVAL = ("value", "low", "high")
FIGURES = ("accuracy", "log_loss", "brier", "ece", "log_loss_ties")


@dataclass(frozen=True)
class Exam:
    """The holdout answers of today, with the raw features of the responses they are about.

    Attributes:
        comparisons: Their rows point into `embedded` and `surface`.
        prompt: Prompt id of each, shape ``(n,)``.
        embedded: Embeddings of the responses, shape ``(m, e)``.
        surface: Surface features, shape ``(m, s)``.
        seed: Of the bootstrap: the same draws for every version.
    """

    comparisons: Comparisons
    prompt: NDArray[np.int64]
    embedded: NDArray[np.float32]
    surface: NDArray[np.float32]
    seed: int

    @classmethod
    def of(
        cls,
        labels: Labels,
        embedded: NDArray[np.float32],
        surface: NDArray[np.float32],
        *,
        seed: int,
    ) -> Exam:
        """The holdout side of the labels."""
        tested = labels.comparisons.subset(labels.holdout)
        rows, places = np.unique(tested.pairs, return_inverse=True)
        places = places.reshape(-1, 2)
        moved = Comparisons.of(
            places[:, 0],
            places[:, 1],
            tested.outcome,
            strength=tested.strength,
            weight=tested.weight,
        )
        return cls(moved, labels.prompt[labels.holdout], embedded[rows], surface[rows], seed)

    @property
    def width(self) -> int:
        """Dimensions of a model that fits; an older release may have used other features."""
        return int(self.embedded.shape[1] + self.surface.shape[1])

    def grade(self, posterior: Posterior, standardizer: Standardizer) -> dict[str, Any]:
        """Figures of one model with 95 % intervals over prompts, ready for JSON."""
        people = len(self.comparisons)
        if not self.comparisons.decisive.any():
            return {"n": people, "n_decisive": 0}
        phi = assemble(self.embedded, self.surface, standardizer)
        rng = np.random.default_rng(self.seed)
        found = metrics.evaluate(posterior, phi, self.comparisons, self.prompt, rng)
        graded: dict[str, Any] = {
            "n": found.n,
            "n_decisive": found.n_decisive,
            "prompts": len(np.unique(self.prompt)),
        }
        for name in FIGURES:
            estimate = getattr(found, name)
            graded[name] = {key: _finite(getattr(estimate, key)) for key in INTERVAL}
            if graded["prompts"] < FEWEST_PROMPTS:  # too few to say how far chance may reach
                graded[name] |= {"low": None, "high": None}
        return graded


def _finite(value: float | None) -> float | None:
    """JSON has no NaN: a figure that cannot be had is null."""
    return float(value) if value is not None and np.isfinite(value) else None


def point(version: ModelVersion, graded: dict[str, Any], number: int) -> dict[str, Any]:
    """One point of the curve, as it is stored in the round's report."""
    return {
        "round": number,
        "kind": version.kind,
        "labels": version.comparisons,
        **{key: graded.get(key) for key in ("n", "prompts", "accuracy", "log_loss")},
    }


def earlier_points(campaign: Campaign, exam: Exam, *, encoder_key: str) -> list[dict[str, Any]]:
    """Grade earlier versions on today's exam; at most `MOST_POINTS` of each kind, evenly spread.

    Versions on another encoder or other features, and files that cannot be read, are left out.
    """
    points = []
    for kind in ModelVersion.Kind:
        versions = list(
            campaign.model_versions.filter(kind=kind, encoder_key=encoder_key)
            .select_related("round")
            .order_by("round__number")
        )
        if len(versions) > MOST_POINTS:
            keep = np.unique(np.linspace(0, len(versions) - 1, MOST_POINTS).round().astype(int))
            versions = [versions[i] for i in keep]
        for version in versions:
            loaded = load(version)
            if loaded is not None and loaded[0].dim == exam.width:
                points.append(point(version, exam.grade(*loaded), version.round.number))
    return points


def load(version: ModelVersion) -> tuple[Posterior, Standardizer] | None:
    """A stored model with its scaling; None, with a warning, when it cannot be read."""
    try:
        arrays = artifacts.read(version)
    except artifacts.BrokenArtifact as error:
        logger.warning("%s is left out: %s", version, error)
        return None
    scaling = {k.removeprefix(SCALING): v for k, v in arrays.items() if k.startswith(SCALING)}
    rest = {k: v for k, v in arrays.items() if not k.startswith(SCALING)}
    return Posterior.from_arrays(rest), Standardizer.from_arrays(scaling)


def stored_arrays(posterior: Posterior, standardizer: Standardizer) -> artifacts.Arrays:
    """What `load` reads back."""
    scaling = {f"{SCALING}{key}": value for key, value in standardizer.to_arrays().items()}
    return {**posterior.to_arrays(), **scaling}


SCALING = "standardizer."  # prefix of the scaling's arrays in a stored model
