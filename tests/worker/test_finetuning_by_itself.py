"""Rounds that notice that the head has stopped learning, and start a training themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, EncoderVersion, Job, ModelVersion, Round
from annotator.services import finetuning, rounds
from annotator.services.campaigns import create_campaign, start_campaign
from tests.annotator.acts import answer, lease
from tests.campaigns import join, load
from tests.worker.loops import work
from tests.worker.tunable import FIELDS, asked
from worker import child, jobs

pytestmark = pytest.mark.django_db
FRESH = 250  # in place of 500: the rule is the same, and rounds take seconds
LOTS = np.random.default_rng(5).integers(0, 2, 6000)  # nothing is better than anything


@pytest.fixture(autouse=True)
def hurry(place: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetuning, "FRESH", FRESH)


@pytest.fixture
def campaign(base: Path, ada: User) -> Campaign:
    made = create_campaign(
        slug="loop", name="Loop", encoder=f"hf:{base}", finetune="saturated", **FIELDS
    )
    unanswered = [{**row, "annotations": []} for row in rows(5000, 100)]
    load(made, [*rows(0, 120), *unanswered], history=True)
    join(made, ada)
    started = start_campaign(campaign=made)
    work()  # the first round
    assert Round.objects.get().state == "published"
    return started


def rows(start: int, count: int) -> list[dict[str, Any]]:
    return [asked(number, int(LOTS[number])) for number in range(start, start + count)]


@dataclass
class Loop:
    """A person who answers what is asked, beside records that are imported by the hundred."""

    campaign: Campaign
    person: User
    imported: int = 120

    def round(self, more: int) -> int:
        """Answers, and the round that they make due; how many comparisons it learnt from."""
        load(self.campaign, rows(self.imported, more), history=True)
        self.imported += more
        answered = 0
        while (assignment := lease(self.campaign, self.person)) is not None:
            answer(assignment, self.person, "a2" if LOTS[answered] else "b2")
            answered += 1
        assert answered >= self.campaign.labels_per_round
        made = rounds.request_round_if_due(campaign=self.campaign)
        assert made is not None
        assert made.trigger == f"{answered} new answers"
        job = Job.objects.get(kind="round", state="queued")
        claimed = jobs.claim(job.pk)
        assert claimed is not None
        child.main(claimed.id, claimed.attempt)
        made.refresh_from_db()
        assert made.state == "published", made.error
        return ModelVersion.objects.get(round=made, kind="all").comparisons

    def rounds_until(self, versions: int) -> int:
        """Rounds until so many trainings were started; how many comparisons the last one saw."""
        for _ in range(10):
            seen = self.round(80)
            if EncoderVersion.objects.count() == versions:
                return seen
        raise AssertionError(f"no training after {seen} comparisons")


def test_a_head_that_learns_no_more_starts_a_training_and_not_again_before_enough_is_new(
    campaign: Campaign, ada: User
) -> None:
    loop = Loop(campaign, ada)
    seen = loop.rounds_until(1)
    assert seen >= FRESH
    version = EncoderVersion.objects.get()
    assert (version.state, version.requested_by) == ("waiting", None)
    assert version.trigger.startswith("the last doubling of labels improved the log-loss by")
    work()
    version.refresh_from_db()
    assert version.state == "not_promoted", (version.state, version.error, version.reason)
    assert version.comparisons == version.record["labels"] == seen
    assert finetuning.in_use(campaign) is None  # nothing is better than chance

    assert loop.rounds_until(2) >= version.comparisons + FRESH
    second = EncoderVersion.objects.get(number=2)
    assert second.state == "waiting"
    assert second.trigger.startswith("the last doubling of labels")


def test_where_trainings_start_by_hand_no_round_starts_one(campaign: Campaign, ada: User) -> None:
    Campaign.objects.update(finetune="hand")
    campaign.refresh_from_db()
    loop = Loop(campaign, ada)
    while loop.round(120) < 2 * FRESH:
        pass
    assert not EncoderVersion.objects.exists()
