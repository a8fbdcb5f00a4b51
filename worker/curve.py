"""The learning curve: every model version measured on the same answers, the newest holdout.

A version that was measured when ten holdout answers were in and one that was measured with a
hundred cannot be compared: the curve would show the luck of the questions. So each round
measures the earlier versions again, on all holdout answers of today, with the same bootstrap
draws of prompts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign, ModelVersion
from learning import metrics
from learning.data import Belief, Comparisons, moderate
from learning.features import Standardizer, assemble
from learning.finetune.saturation import Saturation, saturation
from learning.line import with_line
from worker.beliefs import load
from worker.store import Labels
from worker.textindex import TextIndex

MOST_POINTS = 24  # of each kind: a curve needs no more, and a round should not read them all
FEWEST_PROMPTS = 10
INTERVAL = ("value", "low", "high")
FIGURES = ("accuracy", "log_loss", "brier", "ece", "log_loss_ties")


@dataclass(frozen=True)
class Exam:
    """The holdout answers of today, with the raw features of the responses they are about.

    Attributes:
        comparisons: Of two responses; rows point into `ids`, `embedded` and `surface`.
        prompt: Prompt id of each, shape ``(n,)``.
        line: Of a response and the line of good enough, whose row is ``len(ids)``.
        line_prompt: Prompt id of each of these.
        ids: Response id of each row, ascending, shape ``(m,)``.
        embedded: Embeddings of the responses, shape ``(m, e)``.
        surface: Surface features, shape ``(m, s)``.
        seed: Of the bootstrap: the same draws for every version.
    """

    comparisons: Comparisons
    prompt: NDArray[np.int64]
    line: Comparisons
    line_prompt: NDArray[np.int64]
    ids: NDArray[np.int64]
    embedded: NDArray[np.float32]
    surface: NDArray[np.float32]
    seed: int

    @classmethod
    def of(
        cls, labels: Labels, index: TextIndex, embedded: NDArray[np.float32], *, seed: int
    ) -> Exam:
        """The holdout side of the labels; `embedded` has the rows of the index."""
        tested = labels.comparisons.subset(labels.holdout)
        rows, places = np.unique(tested.pairs, return_inverse=True)
        left, right = places.reshape(-1, 2).T
        # The line's row is the last one there, here as well.
        rows = rows[rows < len(index.ids)]
        moved = replace(tested, left=left, right=right)
        line, prompt = labels.line[labels.holdout], labels.prompt[labels.holdout]
        return cls(
            comparisons=moved.subset(~line),
            prompt=prompt[~line],
            line=moved.subset(line),
            line_prompt=prompt[line],
            ids=index.ids[rows],
            embedded=embedded[rows],
            surface=index.surface[rows],
            seed=seed,
        )

    @property
    def width(self) -> int:
        """Dimensions of the features, without the line's column."""
        return int(self.embedded.shape[1] + self.surface.shape[1])

    def fits(self, belief: Belief, standardizer: Standardizer) -> bool:
        """Whether a stored model is about these features; an older release may have had others.

        It has a column for the line if somebody had spoken of it by then.
        """
        same = len(standardizer.mean) == self.width
        return same and belief.width in (self.width, self.width + 1)

    def grade(self, belief: Belief, standardizer: Standardizer) -> dict[str, Any]:
        """Figures of one model with 95 % intervals over prompts, ready for JSON.

        They are about pairs of responses; those about good enough or not stand beside them under
        `good_enough`, where the model knows of the line. The belief's rows must be those of this
        exam.
        """
        phi: NDArray[Any] = assemble(self.embedded, self.surface, standardizer)
        knows = belief.width > self.width
        phi = with_line(phi) if knows else phi
        graded: dict[str, Any] = {"n": len(self.comparisons), "n_decisive": 0}
        if self.comparisons.decisive.any():
            graded = self._figures(belief, phi, self.comparisons, self.prompt)
        if knows and len(self.line):
            graded["good_enough"] = self._figures(belief, phi, self.line, self.line_prompt)
        return graded

    def surprise(self, belief: Belief, standardizer: Standardizer) -> NDArray[np.float64]:
        """Of a model at each decisive answer about two responses, in nats, shape ``(n,)``."""
        phi: NDArray[Any] = assemble(self.embedded, self.surface, standardizer)
        phi = with_line(phi) if belief.width > self.width else phi
        said = self.comparisons.subset(self.comparisons.decisive)
        mu, s2 = belief.margin(phi, said.pairs)
        return np.asarray(np.logaddexp(0.0, -moderate(mu, s2) * said.outcome))

    def _figures(
        self,
        belief: Belief,
        phi: NDArray[Any],
        comparisons: Comparisons,
        prompt: NDArray[np.int64],
    ) -> dict[str, Any]:
        rng = np.random.default_rng(self.seed)
        found = metrics.evaluate(belief, phi, comparisons, prompt, rng)
        graded: dict[str, Any] = {
            "n": found.n,
            "n_decisive": found.n_decisive,
            "prompts": len(np.unique(prompt)),
        }
        for name in FIGURES:
            estimate = getattr(found, name)
            graded[name] = {key: _finite(getattr(estimate, key)) for key in INTERVAL}
            if graded["prompts"] < FEWEST_PROMPTS:  # too few to say how far chance may reach
                graded[name] |= {"low": None, "high": None}
        return graded


def last_doubling(campaign: Campaign, exam: Exam, newest: ModelVersion) -> Saturation | None:
    """What the last doubling of the labels brought; None while there is no model with half."""
    earlier = campaign.model_versions.filter(
        kind=ModelVersion.Kind.ALL,
        encoder_key=newest.encoder_key,
        head=newest.head,
        comparisons__gt=0,
        comparisons__lte=newest.comparisons // 2,
    )
    half = earlier.order_by("-comparisons", "-round__number").first()
    models = [load(one, ids=exam.ids) for one in (half, newest) if one is not None]
    known = [one for one in models if one is not None and exam.fits(*one)]
    if len(known) < 2:
        return None
    before, after = (exam.surprise(*one) for one in known)
    prompt = exam.prompt[exam.comparisons.decisive]
    return saturation(before, after, prompt, rng=np.random.default_rng(exam.seed))


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
            loaded = load(version, ids=exam.ids)
            if loaded is not None and exam.fits(*loaded):
                points.append(point(version, exam.grade(*loaded), version.round.number))
    return points
