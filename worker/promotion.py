"""The gate: whether a fine-tuned encoder is used, decided on the holdout alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign, EncoderVersion, ModelVersion
from annotator.services.finetuning import Outcome, in_use
from learning.data import moderate
from learning.finetune import gate
from learning.surface import NAMES
from worker import fitting, space, store
from worker.embedding import Progress, Source
from worker.fitting import Fitted
from worker.heard import heard
from worker.jobs import PermanentFailure
from worker.space import Space
from worker.store import Labels

TRIES = 5  # for two views of a pool that grows meanwhile


@dataclass(frozen=True)
class Rivals:
    """Both encoders' features of the same responses, and what was answered.

    Attributes:
        against: The version in use, if it is not the campaign's encoder as it is.
        old: Features of what is in use.
        new: Features of the version that is examined.
        labels: All answers; rows are those of both.
    """

    against: EncoderVersion | None
    old: Space
    new: Space
    labels: Labels


def examine(version: EncoderVersion, *, progress: Progress) -> Outcome:
    """Fit the campaign's head on both encoders' features and compare them on the holdout.

    Raises:
        PermanentFailure: the pool has nothing left to compare.
    """
    campaign = Campaign.objects.select_related("encoder_version").get(pk=version.campaign_id)
    rivals = gather(campaign, version, progress=progress)
    verdict = verdict_on(campaign, rivals, seed=version.number)
    figures = verdict.to_json() | {
        "labels": int((~rivals.labels.holdout & ~rivals.labels.line).sum()),
        "against": rivals.against.number if rivals.against else None,
        "against_key": rivals.old.encoder_key,
        "head": fitting.head_name(campaign, rivals.new),
    }
    return Outcome(
        promoted=verdict.promoted,
        reason=verdict.reason,
        figures=figures,
        against=rivals.against.pk if rivals.against else None,
    )


def gather(campaign: Campaign, version: EncoderVersion, *, progress: Progress) -> Rivals:
    """Features of both encoders, of the same responses although more may be coming in."""
    for _ in range(TRIES):
        old = space.load(campaign, progress=progress)
        new = space.load(campaign, progress=progress, source=Source.tuned(version))
        if np.array_equal(old.index.ids, new.index.ids) and old.has_line == new.has_line:
            labels = store.labels(campaign, new.index)
            return Rivals(in_use(campaign), old, new, labels)
    raise PermanentFailure("the pool grows too fast to compare two encoders on it; try again later")


def verdict_on(campaign: Campaign, rivals: Rivals, *, seed: int) -> gate.Verdict:
    """What the holdout says; both heads are fitted on the same answers."""
    labels = rivals.labels
    tested = labels.holdout & ~labels.line
    exam = labels.comparisons.subset(tested)
    chars = rivals.new.index.surface[:, NAMES.index("log_chars")].astype(np.float64)

    def side(found: Space) -> NDArray[np.float64]:
        said = heard(campaign, found)
        fitted = fitting.fit(campaign, found, labels, ModelVersion.Kind.ALL, said)
        return logits(found, fitted, exam.pairs)

    return gate.examine(
        side(rivals.new),
        side(rivals.old),
        exam.outcome,
        chars[exam.left] - chars[exam.right],
        labels.prompt[tested],
        rng=np.random.default_rng([campaign.seed, seed]),
    )


def logits(found: Space, fitted: Fitted, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of P(left is better), what the head does not know of its weights taken in; ``(n,)``."""
    if not len(pairs):
        return np.empty(0)
    mu, s2 = fitted.belief.margin(found.phi, pairs)
    return moderate(mu, s2)
