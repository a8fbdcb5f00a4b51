"""Keys: they come with a file or from an item, are revised by versions, and retired."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from annotator.errors import ImportRejected, InvalidInput
from annotator.models import Campaign, GoldAnswer, Item, Query, Slot
from annotator.services.campaigns import create_campaign
from annotator.services.gold import add_gold, restore_gold, retire_gold, revise_gold
from tests.campaigns import ask, item, known, load, make_campaign

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft() -> Campaign:
    return create_campaign(slug="pool", name="Pool")


@pytest.fixture
def gold(draft: Campaign) -> GoldAnswer:
    load(draft, [known(1)])
    return GoldAnswer.objects.get()


def ids(gold: GoldAnswer) -> list[int]:
    places = gold.query.item.places.all()  # type: ignore[union-attr]
    return [place.response_id for place in places]


# --- with a file --------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["gold", "practice", "qualification"])
def test_a_row_may_carry_its_answer(draft: Campaign, purpose: str) -> None:
    report = load(draft, [item(1), known(2, purpose, choice=1, explanation="Because.")])
    key = GoldAnswer.objects.get()
    first, second = ids(key)
    assert (report.gold, key.purpose, key.query.arm) == (1, purpose, purpose)
    assert key.tiers == [[second], [first]]
    assert (key.explanation, key.version, key.active) == ("Because.", 1, True)
    assert not Slot.objects.exists()


@pytest.mark.parametrize(
    ("said", "tiers", "good"),
    [
        ({"choice": "tie"}, [[0, 1]], {}),
        ({"ranking": [2, 1]}, [[1], [0]], {}),
        ({"acceptable": [1, 0]}, None, {0: True, 1: False}),
        ({"choice": 0, "acceptable": [True, None]}, [[0], [1]], {0: True}),
    ],
)
def test_every_way_to_say_it(draft: Campaign, said: Any, tiers: Any, good: Any) -> None:
    load(draft, [known(1, **said)])
    key = GoldAnswer.objects.get()
    names = ids(key)
    assert key.tiers == (tiers and [[names[n] for n in tier] for tier in tiers])
    assert key.good == {str(names[n]): value for n, value in good.items()}


def test_a_file_twice_makes_one_key(draft: Campaign) -> None:
    for _ in range(2):
        load(draft, [known(1)])
    assert GoldAnswer.objects.count() == Query.objects.count() == 1


@pytest.mark.parametrize(
    ("said", "field", "expected"),
    [
        ([], "meta.gold", "expected an object"),
        ({"choice": 0}, "meta.gold.purpose", "expected one of gold, practice, qualification"),
        ({"purpose": "exam", "choice": 0}, "meta.gold.purpose", "'exam'"),
        ({"purpose": "gold"}, "meta.gold", "expected an answer"),
        ({"purpose": "gold", "choice": 2}, "meta.gold.choice", "0 to 1"),
        ({"purpose": "gold", "choice": 0, "ranking": [1, 2]}, "meta.gold", "got both"),
        ({"purpose": "gold", "ranking": [1]}, "meta.gold.ranking", "a list of 2 ranks"),
        ({"purpose": "gold", "ranking": [1, None]}, "meta.gold", "expected an answer"),
        ({"purpose": "gold", "acceptable": [1]}, "meta.gold.acceptable", "a list of 2 marks"),
        ({"purpose": "gold", "acceptable": [2, 0]}, "meta.gold.acceptable", "1, 0 or null"),
        ({"purpose": "gold", "acceptable": "yes"}, "meta.gold.acceptable", "a list of 2 marks"),
        ({"purpose": "gold", "choice": 0, "why": "x"}, "meta.gold.why", "is not known"),
        ({"purpose": "gold", "choice": 0, "explanation": 3}, "meta.gold.explanation", "text"),
    ],
)
def test_a_bad_key_is_named(draft: Campaign, said: Any, field: str, expected: str) -> None:
    with pytest.raises(ImportRejected) as caught:
        load(draft, [item(1), known(2) | {"meta": {"gold": said}}])
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (2, field)
    assert expected in problem.message
    assert not Item.objects.exists()


@pytest.mark.parametrize("label", [0, 1.0, "tie"])
def test_what_a_data_set_calls_gold_itself_is_only_kept(draft: Campaign, label: Any) -> None:
    load(draft, [item(1) | {"meta": {"gold": label}}])
    assert Item.objects.get().extra["meta"] == {"gold": label}
    assert not GoldAnswer.objects.exists()


def test_a_question_that_would_stand_out_is_refused(draft: Campaign) -> None:
    row = known(1, ranking=[1, 2, 3])
    row["responses"] = [*row["responses"], {"text": "Magic."}]
    with pytest.raises(ImportRejected, match="expected 2 responses, as the campaign asks about"):
        load(draft, [row])


def test_equal_responses_have_no_expected_order(draft: Campaign) -> None:
    row = known(1)
    row["responses"] = [row["responses"][0]] * 2
    with pytest.raises(ImportRejected, match="responses that differ"):
        load(draft, [row])


# --- from an item, by versions ------------------------------------------------------------


def test_a_changed_key_is_the_next_version(gold: GoldAnswer, ruth: User) -> None:
    first, second = ids(gold)
    later = revise_gold(gold=gold, tiers=[[second], [first]], good={}, explanation="", user=ruth)
    gold.refresh_from_db()
    assert (later.version, later.active, gold.active) == (2, True, False)
    assert (later.query_id, later.created_by) == (gold.query_id, ruth)


def test_a_retired_key_comes_back_in_its_newest_version(gold: GoldAnswer) -> None:
    later = revise_gold(gold=gold, tiers=None, good={ids(gold)[0]: True}, explanation="")
    retire_gold(gold=gold)
    assert not GoldAnswer.objects.filter(active=True).exists()
    for _ in range(2):
        restore_gold(gold=gold)
    assert GoldAnswer.objects.get(active=True) == later


def test_two_active_keys_are_refused_by_the_database(gold: GoldAnswer) -> None:
    again = {"campaign": gold.campaign, "query": gold.query, "purpose": "gold", "version": 2}
    with pytest.raises(IntegrityError, match="one_active_gold_answer"), transaction.atomic():
        GoldAnswer.objects.create(**again)


@pytest.mark.parametrize(
    ("tiers", "good", "said"),
    [(None, {}, "says nothing"), ([[0], [0]], {}, "twice"), ([[0], [9]], {}, "does not have")],
)
def test_a_key_that_says_nothing_or_something_else_is_refused(
    gold: GoldAnswer, tiers: Any, good: Any, said: str
) -> None:
    names = {0: ids(gold)[0], 9: 10**9}
    order = tiers and [[names[n] for n in tier] for tier in tiers]
    with pytest.raises(InvalidInput, match=said):
        revise_gold(gold=gold, tiers=order, good=good, explanation="")


def test_an_item_becomes_gold(ada: User) -> None:
    campaign = make_campaign(prompts=2, people=(ada,))
    chosen = campaign.items.order_by("pk")[0]
    first, second = (place.response_id for place in chosen.places.all())
    made = add_gold(item=chosen, purpose="gold", tiers=[[first], [second]], good={})
    assert made.query.item == chosen
    assert set(made.query.responses.values_list("pk", flat=True)) == {first, second}
    assert len(ask(campaign)) == 1
