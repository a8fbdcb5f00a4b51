"""Which head a campaign uses, and that what it learnt of single responses stays with them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from annotator.catalogue import HEADS
from annotator.models import Campaign, EncoderCard, ModelVersion, Round
from annotator.services import rounds
from annotator.services.campaigns import create_campaign, start_campaign
from annotator.services.cards import request_card
from tests.annotator.acts import answer, lease
from tests.campaigns import item, join, load
from tests.worker.loops import FIELDS, prefer_longer, work
from worker import beliefs, textindex

pytestmark = pytest.mark.django_db


def quality(text: str) -> bytes:
    """A hidden order of texts that no feature shows."""
    return hashlib.sha256(text.encode()).digest()


def several(prompt: int, responses: int = 6, first: int = 0) -> list[dict[str, Any]]:
    """Items of one prompt; with `candidates="prompt"` every two of their responses are a pair."""
    texts = [{"text": f"answer {n} to {prompt}"} for n in range(first, first + responses)]
    return [
        item(1000 * prompt + first + n, prompt=f"Question {prompt}?", responses=texts[n : n + 2])
        for n in range(0, responses, 2)
    ]


def prefer_the_better(campaign: Campaign, person: User) -> None:
    while (assignment := lease(campaign, person)) is not None:
        texts = dict(assignment.query.responses.values_list("pk", "text"))
        a, b = (quality(texts[pk]) for pk in assignment.display_order)
        answer(assignment, person, "a2" if a > b else "b2")


@pytest.fixture
def recurring(ada: User) -> Campaign:
    """Eight prompts with six responses each, every one in five pairs."""
    policy = {"acquisition": "dopt", "acquisition_config": {"after": 16}}
    campaign = create_campaign(slug="loop", name="Loop", candidates="prompt", **policy, **FIELDS)
    load(campaign, [row for prompt in range(8) for row in several(prompt)])
    join(campaign, ada)
    return start_campaign(campaign=campaign)


def teach(campaign: Campaign, person: User, n: int = 3) -> None:
    for _ in range(n):
        work()
        prefer_the_better(campaign, person)
        rounds.request_round(campaign=campaign, trigger="test")
    work()


def newest(kind: str = "all") -> ModelVersion:
    return ModelVersion.objects.filter(kind=kind).order_by("-round__number")[0]


def test_auto_takes_the_linear_head_where_every_pair_has_its_own_responses(
    running: Campaign, ada: User
) -> None:
    work()
    prefer_longer(running, ada)
    rounds.request_round(campaign=running, trigger="test")
    work()
    assert set(ModelVersion.objects.values_list("head", flat=True)) == {"linear_bt"}
    assert Round.objects.first().report["head"] == "linear_bt"


def test_auto_takes_item_effects_where_responses_recur(recurring: Campaign, ada: User) -> None:
    teach(recurring, ada)
    version = newest()
    held = recurring.prompts.filter(is_holdout=True).count()
    assert version.head == "item_bt"
    assert version.hyperparameters["item_effects"] == 6 * (8 - held)
    assert version.hyperparameters["item_precision"] > 0
    loaded = beliefs.load(version, ids=textindex.refresh(recurring.pk).ids)
    assert loaded is not None
    assert loaded[0].n_comparisons == version.comparisons > 16


@pytest.mark.parametrize("head", HEADS)
def test_every_head_can_be_chosen_and_closes_the_loop(
    recurring: Campaign, ada: User, head: str
) -> None:
    recurring.head = head
    recurring.full_clean()
    recurring.save()
    teach(recurring, ada, n=2)
    assert set(ModelVersion.objects.values_list("head", flat=True)) == {head}
    last = Round.objects.order_by("-number")[0]
    assert (last.state, last.report["policy"]["name"]) == ("published", "dopt")
    assert {point["round"] for point in last.report["curve"]} == {1, 2, 3}


def test_a_head_may_be_changed_between_rounds(recurring: Campaign, ada: User) -> None:
    """Each starts from what another kind of head had found, as far as that helps."""
    order = ["linear_bt", "item_bt", "ensemble", "item_bt", "linear_bt"]
    assert set(order) == set(HEADS)
    for head in order:
        Campaign.objects.update(head=head)
        work()
        prefer_the_better(recurring, ada)
        rounds.request_round(campaign=recurring, trigger="test")
    used = ModelVersion.objects.filter(kind="all").order_by("round__number")
    assert list(used.values_list("head", flat=True)) == order


def test_an_unknown_head_is_refused(recurring: Campaign) -> None:
    recurring.head = "magic"
    with pytest.raises(ValidationError, match="expected one of auto, linear_bt"):
        recurring.full_clean()


def test_new_responses_do_not_move_what_earlier_versions_knew(
    recurring: Campaign, ada: User
) -> None:
    """Effects are kept by response: the curve grades old versions alike after an import."""
    teach(recurring, ada)
    before = {(p["round"], p["kind"]): p for p in Round.objects.first().report["curve"]}
    more = [row for prompt in range(20) for row in several(prompt, first=50)]
    load(recurring, more)
    lowest = int(textindex.refresh(recurring.pk).ids[0]) - 1  # it commits last
    first = recurring.prompts.filter(is_holdout=False)[0]
    first.responses.create(pk=lowest, digest="0" * 32, text="an answer with the lowest id")
    rounds.request_round(campaign=recurring, trigger="test")
    work()
    after = {(p["round"], p["kind"]): p for p in Round.objects.first().report["curve"]}
    assert len(before) == 8
    for key, point in before.items():
        assert after[key]["n"] == point["n"] > 3
        for figure in ("accuracy", "log_loss"):
            assert after[key][figure] == pytest.approx(point[figure], abs=1e-6)


def test_a_card_of_recurring_responses_is_tested_on_pairs(recurring: Campaign, ada: User) -> None:
    teach(recurring, ada, n=4)
    request_card(campaign=recurring)
    work()
    figures = EncoderCard.objects.get().figures
    assert (figures["head"], figures["tested"]) == ("item_bt", "pair")
    assert figures["groups"] == figures["labels"] > 16  # overlap 1: an answer a pair
    assert np.isfinite(figures["majority_accuracy"])
