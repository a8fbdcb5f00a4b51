"""Encoder cards: measured on training answers only, when they say something new."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from annotator import wording
from annotator.models import Campaign, EncoderCard, Job, Query, Round
from annotator.services.campaigns import create_campaign, start_campaign
from annotator.services.cards import record_card, request_card, request_card_if_due
from tests.campaigns import join, load
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from worker import cards, grouping, payoffs, store, textindex

pytestmark = pytest.mark.django_db


def answered(numbers: range, **changes: Any) -> list[dict[str, Any]]:
    """Rows whose longer response won, but for one in ten."""
    return [
        rich(n)
        | {"annotations": [{"annotator": "w", "kind": "human", "choice": int(n % 10 > 0)}]}
        | changes
        for n in numbers
    ]


@pytest.fixture
def known(ruth: User) -> Campaign:
    """A started campaign that came with 150 answers."""
    campaign = create_campaign(slug="loop", name="Loop", owner=ruth, **FIELDS)
    load(campaign, answered(range(150)), history=True)
    load(campaign, [rich(n) for n in range(200, 240)])
    return campaign


def test_an_import_with_answers_is_measured_by_itself(known: Campaign) -> None:
    assert Job.objects.filter(kind="card").count() == 1
    work()
    made = EncoderCard.objects.get()
    assert made.learnable is True
    assert made.figures["accuracy"] > 0.8
    assert "There is something to learn here" in made.sentence or "adds nothing" in made.sentence
    assert made.figures["labels"] == made.labels


def test_an_import_without_answers_is_not(known: Campaign) -> None:
    Job.objects.all().delete()
    load(known, [rich(n) for n in range(300, 310)], history=True, strength_max=3)
    assert Job.objects.filter(kind="card").exists()  # these rows have answers
    Job.objects.all().delete()
    load(known, [rich(n) for n in range(320, 330)])
    assert not Job.objects.filter(kind="card").exists()


def test_prompts_that_are_or_will_be_held_out_are_never_looked_at(known: Campaign) -> None:
    index = textindex.refresh(known.pk)
    draft = store.labels(known, index)
    allowed = draft.prompt[cards.trainable(known, draft)]
    start_campaign(campaign=known)
    known.refresh_from_db()
    started = store.labels(known, index)
    assert sorted(allowed) == sorted(started.prompt[~started.holdout])
    assert 0 < len(allowed) < len(draft.prompt)
    work()
    assert EncoderCard.objects.get().labels == len(allowed)


def test_prompts_of_one_group_are_kept_together(ruth: User) -> None:
    campaign = create_campaign(slug="loop", name="Loop", owner=ruth, **FIELDS)
    rows = answered(range(6))
    for number, group in enumerate(["a", "a", "b", "", "", "b"]):
        rows[number]["group"] = group
    load(campaign, rows, history=True)
    prompts = list(campaign.prompts.order_by("pk").values_list("pk", flat=True))
    found = grouping.groups(campaign, np.array(prompts)).tolist()
    assert found[0] == found[1]
    assert found[2] == found[5]
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    ("before", "labels", "due"),
    [(None, 99, False), (None, 100, True), (100, 199, False), (100, 200, True), (30, 100, True)],
)
def test_a_round_asks_for_a_card_when_the_answers_have_doubled(
    known: Campaign, before: int | None, labels: int, due: bool
) -> None:
    Job.objects.all().delete()
    if before is not None:
        record_card(campaign=known, encoder_key="mine", labels=before, figures={})
        record_card(campaign=known, encoder_key="other", labels=10_000, figures={})
    asked = request_card_if_due(campaign=known, encoder_key="mine", labels=labels)
    assert (asked is not None) == due


def test_a_round_that_has_enough_answers_asks_for_a_card(known: Campaign) -> None:
    Job.objects.all().delete()
    start_campaign(campaign=known)
    work()
    assert Round.objects.get().state == "published"
    assert Job.objects.get(kind="card").state == "queued"


# --- whether choosing pays ------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replays instead of twenty."""
    monkeypatch.setattr(payoffs, "seeds_for", lambda head: 2)


@pytest.mark.usefixtures("quick")
def test_a_card_tries_whether_choosing_pays_on_answers_drawn_blindly(known: Campaign) -> None:
    Campaign.objects.update(acquisition="entropy", acquisition_config={"screen": 3})
    load(known, answered(range(300, 550)), history=True)
    work()
    made = EncoderCard.objects.get()
    found = made.payoff("entropy", {"screen": 3})
    assert found is not None
    assert found["pairs"] == found["answers"] == made.labels
    assert (found["seeds"], found["head"]) == (2, made.figures["head"])
    assert found["pays"] in (True, False)
    assert made.payoff("entropy", {}) is None
    assert made.payoff("dopt", {"screen": 3}) is None


@pytest.mark.usefixtures("quick")
def test_with_too_few_answers_the_page_says_how_many_it_takes(
    known: Campaign, as_ruth: Any
) -> None:
    work()
    found = EncoderCard.objects.get().figures["payoff"]
    assert found["pays"] is None
    page = as_ruth.get(f"/c/{known.slug}/progress/").content.decode()
    assert "Whether choosing by dopt pays here cannot be tried yet" in page


@pytest.mark.usefixtures("quick")
def test_prompts_are_looked_at_where_the_function_does(known: Campaign) -> None:
    Campaign.objects.update(acquisition="balpm")
    load(known, answered(range(300, 550)), history=True)
    work()
    assert EncoderCard.objects.get().figures["payoff"]["seeds"] == 2


@pytest.mark.parametrize("name", ["random", "random_unique"])
def test_what_draws_at_random_itself_is_not_tried(known: Campaign, name: str) -> None:
    Campaign.objects.update(acquisition=name)
    work()
    assert EncoderCard.objects.get().figures["payoff"] is None


def test_what_the_policy_chose_is_not_replayed(known: Campaign, ada: User) -> None:
    join(known, ada)
    start_campaign(campaign=known)
    work()
    prefer_longer(known, ada)
    Query.objects.filter(arm="policy").update(acquisition="dopt")
    half = list(Query.objects.filter(arm="policy").values_list("pk", flat=True)[::2])
    Query.objects.filter(pk__in=half).update(acquisition="random_unique")
    found = store.labels(known, textindex.refresh(known.pk))
    drawn = {p: (a, m) for p, a, m in Query.objects.values_list("prompt_id", "arm", "acquisition")}
    seen = set()
    for prompt, blind, held in zip(found.prompt, found.blind, found.holdout, strict=True):
        if not held:
            seen.add((*drawn[prompt], bool(blind)))
    assert seen == {
        ("imported", "", True),
        ("random", "random", True),
        ("policy", "random_unique", True),
        ("policy", "dopt", False),
    }


@pytest.mark.parametrize(
    ("payoff", "due"),
    [
        (None, False),
        ({"acquisition": "dopt", "config": {}}, False),
        ({"acquisition": "dopt", "config": {"after": 16}}, True),
        ({"acquisition": "entropy", "config": {}}, True),
    ],
)
def test_another_function_in_force_is_a_reason_for_a_card(
    known: Campaign, payoff: dict[str, Any] | None, due: bool
) -> None:
    Job.objects.all().delete()
    record_card(campaign=known, encoder_key="mine", labels=150, figures={"payoff": payoff})
    asked = request_card_if_due(campaign=known, encoder_key="mine", labels=160)
    assert (asked is not None) == due


def test_no_answers_give_a_card_that_says_so(ruth: User) -> None:
    campaign = create_campaign(slug="loop", name="Loop", owner=ruth, **FIELDS)
    load(campaign, [rich(n) for n in range(20)])
    request_card(campaign=campaign)
    work()
    made = EncoderCard.objects.get()
    assert (made.labels, made.learnable) == (0, None)
    assert made.sentence.startswith("Too little to go by")


def test_a_measurement_that_cannot_be_made_says_why(known: Campaign, as_ruth: Any) -> None:
    Campaign.objects.update(encoder="hf:/no/such/model")
    work()
    assert not EncoderCard.objects.exists()
    page = as_ruth.get(f"/c/{known.slug}/progress/").content.decode()
    assert "The last measurement failed" in page
    assert "/no/such/model" in page


def test_the_page_leads_with_the_sentence_and_has_the_figures_behind_it(
    known: Campaign, as_ruth: Any
) -> None:
    page = as_ruth.get(f"/c/{known.slug}/progress/").content.decode()
    assert "Waiting for a worker to measure it" in page
    work()
    page = as_ruth.get(f"/c/{known.slug}/progress/").content.decode()
    made = EncoderCard.objects.get()
    assert made.sentence.split(":")[0] in page
    assert page.index("encoder-card") < page.index("learning-title")
    for name, value, _ in wording.card_rows(made.figures):
        assert f"{name}</th>" in page
        assert value in page
    assert "Measure again" in page


def test_the_button_asks_for_a_card_once(known: Campaign, as_ruth: Any) -> None:
    Job.objects.all().delete()
    where = f"/admin/annotator/campaign/{known.pk}/do/card/"
    assert as_ruth.get(where).status_code == 302
    assert not Job.objects.exists()
    for _ in range(2):
        assert as_ruth.post(where, {"back": "progress"})["Location"] == "/c/loop/progress/"
    assert Job.objects.filter(kind="card").count() == 1


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("encoder_card", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_the_newest_card(known: Campaign) -> None:
    with pytest.raises(CommandError, match="no card yet"):
        run("loop")
    assert "it is being measured" in run("loop", "--measure")
    work()
    said = run("loop")
    made = EncoderCard.objects.get()
    assert said.startswith(f"{made.sentence} {made.figures['payoff']['sentence']}\n")
    assert "accuracy with this encoder" in said
    assert "answers: accuracy" in said
    with pytest.raises(CommandError, match="no campaign 'sea'"):
        run("sea")
