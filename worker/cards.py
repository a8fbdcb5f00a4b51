"""Measuring what a campaign's encoder can learn from the answers that are there.

And, where there is something to learn, whether choosing has paid so far. With the head that the
campaign uses: tested on prompts that it has not seen, or, where responses
recur and have effects of their own, on pairs that it has not seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from annotator.models import Campaign
from annotator.services.cards import record_card
from annotator.services.finetuning import in_use
from learning.card import encoder_card
from learning.data import Comparisons
from worker import fitting, payoffs, space, store
from worker.grouping import groups
from worker.jobs import RunningJob
from worker.store import Ints, Labels

SMALL = 1024  # features
FLATTERED = (
    "The encoder was trained on most of these answers, which flatters it here; how good it is, the "
    "holdout said when it was promoted."
)
KNOWS_RESPONSES = {"item_bt"}  # what it learnt of a response helps with its other pairs


def run(job: RunningJob) -> None:
    """Cross-validate on the training side and store the card."""
    campaign = Campaign.objects.get(pk=job.arguments["campaign"])
    found = space.load(campaign, progress=lambda done, n: job.progress(done, n, "embedding"))
    labels = store.labels(campaign, found.index)
    training = trainable(campaign, labels) & ~labels.line
    comparisons = labels.comparisons.subset(training)
    job.progress(0, 0, f"measuring on {len(comparisons)} answers")
    name = fitting.head_name(campaign, found)
    units = groups(campaign, labels.prompt[training])
    if name in KNOWS_RESPONSES:
        units = pair_numbers(comparisons)
    # Of small matrices' threads most wait for each other.
    with threadpool_limits(1 if found.phi.shape[1] <= SMALL else None):
        card = encoder_card(
            found.embedded,
            found.index.surface,
            comparisons,
            units,
            rng=np.random.default_rng(campaign.seed),
            head=fitting.head_of(name, found),
        )
    tested = "pair" if name in KNOWS_RESPONSES else "prompt"
    figures = {**card.to_json(), "head": name, "tested": tested}
    if in_use(campaign) is not None:
        figures["sentence"] = f"{figures['sentence']} {FLATTERED}"
    blind = labels.blind[training]
    if card.learnable and blind.any():
        figures["payoff"] = payoffs.measure(
            job,
            campaign,
            found,
            comparisons.subset(blind),
            prompt=labels.prompt[training][blind],
            group=units[blind],
            head=name,
        )
    with job.fence():
        record_card(
            campaign=campaign,
            encoder_key=found.encoder_key,
            labels=len(comparisons),
            figures=figures,
        )


def pair_numbers(comparisons: Comparisons) -> Ints:
    """A number for each compared pair, the same for all answers about it."""
    pairs = np.sort(comparisons.pairs, axis=1)
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)


def trainable(campaign: Campaign, labels: Labels) -> NDArray[np.bool_]:
    """Which labels may be looked at: not those of prompts that are, or will be, held out.

    Before the start nothing is reserved yet, but the lots are drawn: what they will reserve is
    left alone already.
    """
    allowed = ~labels.holdout
    if campaign.started_at is None:
        drawn = campaign.prompts.filter(lot__lt=campaign.holdout_prompts)
        reserved = np.fromiter(drawn.values_list("pk", flat=True), np.int64)
        allowed &= ~np.isin(labels.prompt, reserved)
    return allowed
