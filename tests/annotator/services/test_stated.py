"""What annotations of a file state: order, line, edit; where it is not clear, nothing."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.forms import EDITED, Edit
from annotator.models import Annotation, Campaign, Response
from annotator.services.stated import Stated, stated, weak_order
from tests.campaigns import item, load, make_campaign

Outcome = Annotation.Outcome
PLACES = {0: 10, 1: 11, 2: 12}
TEXTS = ["one", "two", "three"]


def said(places: int = 3, **what: Any) -> Stated:
    return stated(what, {n: PLACES[n] for n in range(places)}, TEXTS[:places])


def test_ratings_order_what_nobody_ranked() -> None:
    found = said(ratings={"coverage": [3, 2, 1], "overall": [1, 5, 5]})
    assert found.tiers == [[11, 12], [10]]
    assert (found.outcome, found.uncompared) == (Outcome.PREFERENCE, False)


def test_the_first_criterion_counts_where_none_is_overall_and_less_of_a_penalty_is_better() -> None:
    assert said(ratings={"mqm_penalty": [5.0, 0.1, None]}).tiers == [[11], [10]]
    assert said(ratings={"adequacy": [5, 1, 1]}).tiers == [[10], [11, 12]]


def test_ratings_do_not_overrule_a_ranking() -> None:
    assert said(ranking=[2, 1, None], ratings={"overall": [9, 1, 5]}).tiers == [[11], [10]]


def test_a_choice_among_three_leaves_the_others_uncompared() -> None:
    found = said(choice=1)
    assert (found.tiers, found.uncompared) == ([[11], [10, 12]], True)
    assert not said(places=2, choice=1).uncompared


def test_an_export_of_ours_says_what_was_left_uncompared() -> None:
    meta = {"details": {"uncompared": True}}
    assert said(ranking=[1, 2, 2], meta=meta).uncompared
    assert not said(ranking=[1, 2, 2]).uncompared


@pytest.mark.parametrize(
    ("marks", "line"),
    [([1, 0], 1), ([1, 1], 2), ([0, 0], 0), ([0, 1], None), ([1, None], None), ([1], None)],
)
def test_the_line_runs_where_the_order_lets_it(marks: list[int], line: int | None) -> None:
    found = said(places=2, choice=0, ratings={"acceptable": marks})
    assert (found.tiers, found.acceptable) == ([[10], [11]], line)


def test_good_enough_alone_makes_two_tiers_with_the_line_between() -> None:
    found = said(ratings={"acceptable": [0, 1, 0]})
    assert (found.tiers, found.acceptable, found.uncompared) == ([[11], [10, 12]], 1, True)
    none = said(ratings={"acceptable": [0, 0, None]})
    assert (none.tiers, none.acceptable, none.outcome) == ([[10, 11]], 0, Outcome.NEITHER)
    assert said(places=1, ratings={"acceptable": [1]}).outcome == Outcome.OTHER


def test_an_edit_is_better_than_its_original() -> None:
    found = said(places=1, edit={"response": 0, "text": "one, better"})
    assert (found.tiers, found.edit) == ([[EDITED], [10]], Edit(10, "one, better"))
    assert found.acceptable is None


def test_an_edit_of_the_best_is_better_than_all_and_of_another_has_no_clear_place() -> None:
    edit = {"response": 1, "text": "two, better"}
    assert said(ranking=[2, 1, 3], edit=edit).tiers == [[EDITED], [11], [10], [12]]
    assert said(ranking=[1, 2, 3], edit=edit).edit is None


def test_a_text_left_as_it_is_is_good_enough() -> None:
    found = said(places=1, edit={"response": 0, "text": "one\n"})
    assert (found.tiers, found.acceptable, found.edit) == ([[10]], 1, None)


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"ratings": {"overall": "high"}},
        {"ratings": {"overall": [1, 2]}},
        {"ratings": {"overall": [1, None, None]}},
        {"edit": {"response": 7, "text": "x"}},
        {"edit": {"response": "0", "text": "x"}},
        {"edit": {"response": 0, "text": "  "}},
    ],
)
def test_what_says_nothing_clear_is_recorded_without_an_order(what: dict[str, Any]) -> None:
    found = said(**what)
    assert (found.tiers, found.acceptable, found.outcome) == (None, None, Outcome.OTHER)


def test_gold_keys_are_orders_only() -> None:
    assert weak_order({"ratings": {"overall": [1, 2, 3]}}, PLACES) is None
    assert weak_order({"choice": "tie"}, PLACES) == [[10, 11, 12]]


@pytest.mark.django_db
def test_an_imported_edit_becomes_a_response_once() -> None:
    campaign: Campaign = make_campaign(form="edit")
    edit = {"response": 0, "text": "A better one."}
    row = item(
        70,
        task="edit",
        responses=[{"text": "A poor one."}],
        annotations=[{"annotator": who, "choice": None, "edit": edit} for who in "ab"],
    )
    assert load(campaign, [row], history=True).annotations == 2
    assert load(campaign, [row], history=True).annotations == 0
    made = Response.objects.get(parent__isnull=False)
    assert (made.text, made.parent.text) == ("A better one.", "A poor one.")
    for annotation in Annotation.objects.all():
        assert annotation.tiers == [[made.pk], [made.parent_id]]
        assert annotation.outcome == "preference"
