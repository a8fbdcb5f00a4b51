"""What the card of a trained encoder says: counts and figures, never texts or names of people."""

from __future__ import annotations

import numpy as np
from django.conf import settings

from annotator.models import Annotation, Campaign, EncoderVersion
from learning.data import Comparisons
from learning.errors import NotEnoughData
from learning.finetune.card import Data, Facts
from learning.finetune.evaluate_figures import Figures, Judged, figures
from learning.finetune.score_model import Scorer, load
from learning.surface import NAMES
from worker import embedding, encoderfiles, store, textindex
from worker.store import Ints
from worker.textindex import TextIndex

USE = (
    "Ranking responses to prompts like those of the campaign, as the people who answered there "
    "would; a start for training a policy on their preferences."
)


def facts(version: EncoderVersion) -> Facts:
    """All that is known of a version, its own head measured on the holdout."""
    campaign = version.campaign
    scorer = load(str(encoderfiles.folder(version)), threads=settings.TORCH_THREADS)
    index = textindex.refresh(campaign.pk)
    labels = store.labels(campaign, index)
    used = labels.comparisons.subset(~labels.holdout & ~labels.line)
    rows = np.unique(used.pairs)
    tested = labels.holdout & ~labels.line
    exam = labels.comparisons.subset(tested)
    return Facts(
        name=f"{campaign.slug} {version.number}",
        base=embedding.encoder_name(campaign),
        data=Data(
            snapshot=f"{campaign.slug}, {version.annotations_seen} recorded annotations",
            labels=version.comparisons,
            ties=int((~used.decisive).sum()),
            prompts=len(np.unique(labels.prompt[~labels.holdout & ~labels.line])),
            responses=len(rows),
            people=_people(campaign),
        ),
        holdout=_measured(scorer, index, exam, labels.prompt[tested], seed=campaign.seed),
        record=version.record,
        temperature=scorer.temperature,
        use=USE,
    )


def _people(campaign: Campaign) -> int:
    said = Annotation.objects.filter(campaign=campaign, annotator__kind="human").labels()
    return int(said.values("annotator_id").distinct().count())


def _measured(
    scorer: Scorer, index: TextIndex, exam: Comparisons, prompt: Ints, *, seed: int
) -> Figures | None:
    """Of the model's own head on held-out answers; None where nobody has decided any."""
    rows, places = np.unique(exam.pairs, return_inverse=True)
    texts = list(textindex.read_texts(index.ids[rows]))
    rewards = scorer.rewards([one for _, one, _ in texts], [one for _, _, one in texts])
    left, right = places.reshape(-1, 2).T
    chars = index.surface[rows, NAMES.index("log_chars")].astype(np.float64)
    judged = Judged(
        margin=(rewards[left] - rewards[right]) / scorer.temperature,
        outcome=exam.outcome,
        length=chars[left] - chars[right],
        group=prompt,
        slices={},
    )
    try:
        return figures(judged, tie=scorer.tie, seed=seed)
    except NotEnoughData:
        return None
