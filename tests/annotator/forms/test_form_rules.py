"""What each form takes and what it means: weak orders, the line of good enough, refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import InvalidAnswer, InvalidInput
from annotator.forms import EDITED, FORMS, PARTS, Shown, checked, parse, sequence, sizes
from annotator.forms.base import LETTERS, Answer
from annotator.forms.sequence import defaults

TEXTS = ("Alpha said so.", "Beta differs.", "Gamma.", "Delta\r\nhas lines.")


def said(
    names: str | tuple[str, ...],
    data: dict[str, Any],
    *,
    order: tuple[int, ...] = (11, 22),
    texts: tuple[str, ...] = TEXTS,
    lot: float = 0.5,
    **options: dict[str, Any],
) -> Answer:
    """One answer to one form, or to several."""
    steps = sequence((names,) if isinstance(names, str) else names, options)
    shown = Shown(order, texts[: len(order)], lot)
    return parse({"choice": "submit", **data}, steps=steps, shown=shown)[0]


def refused(*args: Any, **named: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidAnswer) as caught:
        said(*args, **named)
    return caught.value.fields


# --- compare --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "values", "strengths"),
    [
        (2, "a1 b1", [None, None]),
        (3, "a1 tie b1", [None, None, None]),
        (4, "a2 a1 b1 b2", [3, 1, 1, 3]),
        (5, "a2 a1 tie b1 b2", [3, 1, None, 1, 3]),
        (6, "a3 a2 a1 b1 b2 b3", [3, 2, 1, 1, 2, 3]),
        (7, "a3 a2 a1 tie b1 b2 b3", [3, 2, 1, None, 1, 2, 3]),
    ],
)
def test_a_row_of_strengths_is_mirrored(
    steps: int, values: str, strengths: list[int | None]
) -> None:
    found = [said("compare", {"choice": v}, compare={"steps": steps}) for v in values.split()]
    assert [answer.strength for answer in found] == strengths
    sides = [answer.tiers for answer in found]
    assert sides[: steps // 2] == [((11,), (22,))] * (steps // 2)
    assert sides[-(steps // 2) :] == [((22,), (11,))] * (steps // 2)
    assert (((11, 22),) in sides) == (steps % 2 == 1)


def test_tie_neither_and_both_are_three_different_things() -> None:
    found = {
        value: said("compare", {"choice": value}, compare={"both_good": True})
        for value in ("tie", "neither", "both")
    }
    assert {value: a.acceptable for value, a in found.items()} == {
        "tie": None,
        "neither": 0,
        "both": 1,
    }
    assert [a.outcome for a in found.values()] == ["tie", "neither", "tie"]


def test_what_a_campaign_does_not_offer_is_refused() -> None:
    assert "a3" in refused("compare", {"choice": "a3"}, compare={"steps": 4})["verdict"][0]
    assert "verdict" in refused("compare", {"choice": "tie"}, compare={"steps": 6})
    assert "verdict" in refused("compare", {"choice": "both"})
    assert "verdict" in refused("compare", {"choice": "neither"}, compare={"neither": False})


def test_aspects_and_confidence_are_asked_and_kept() -> None:
    options = {"compare": {"aspects": ["helpful", "a name with spaces"], "confidence": True}}
    missing = refused("compare", {"verdict": "a1"}, **options)
    assert set(missing) == {"aspect-0", "aspect-1", "confidence"}
    data = {"verdict": "a1", "aspect-0": "b", "aspect-1": "tie", "confidence": "1"}
    details = said("compare", data, **options).details["compare"]
    assert details["aspects"] == {"helpful": 22, "a name with spaces": "tie"}
    assert details["confidence"] == 1


# --- rank -----------------------------------------------------------------------------------


def test_equal_places_are_a_tie_and_gaps_mean_nothing() -> None:
    data = {"rank-A": "4", "rank-B": "1", "rank-C": "1"}
    assert said("rank", data, order=(5, 6, 7, 8)).tiers == ((6, 7), (5,))
    assert said("rank", data, order=(5, 6, 7, 8)).details["rank"] == {"unranked": [8]}


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ({"rank-A": "1"}, {}, "at least two"),
        ({"rank-A": "1", "rank-B": "0"}, {}, "from 1 to 3"),
        ({"rank-A": "1", "rank-B": "9"}, {}, "from 1 to 3"),
        ({"rank-A": "1", "rank-B": "best"}, {}, "from 1 to 3"),
        ({"rank-A": "1", "rank-B": "2", "rank-D": "3"}, {}, "not one of these"),
        ({"rank-A": "1", "rank-B": "2", "rank-17": "3"}, {}, "not one of these"),
        ({"rank-A": "1", "rank-B": "2"}, {"unranked": False}, "missing: C"),
        ({"rank-A": "1", "rank-B": "1", "rank-C": "2"}, {"ties": False}, "A and B share"),
        ({"all_wrong": "on"}, {"all_wrong": False}, "wants a ranking"),
        ({}, {}, "at least two"),
    ],
)
def test_a_ranking_that_is_wrong_is_told_why(
    data: dict[str, str], options: dict[str, Any], words: str
) -> None:
    fields = refused("rank", data, order=(5, 6, 7), rank=options)
    assert any(words in line for lines in fields.values() for line in lines), fields


def test_all_wrong_stands_with_and_without_a_ranking() -> None:
    bare = said("rank", {"all_wrong": "on"}, order=(5, 6, 7))
    assert (bare.outcome, bare.acceptable, bare.tiers) == ("neither", 0, ((5, 6, 7),))
    data = {"rank-A": "1", "rank-B": "2", "rank-C": "3", "all_wrong": "on"}
    ranked = said("rank", data, order=(5, 6, 7))
    assert (ranked.outcome, ranked.acceptable) == ("preference", 0)


@given(
    places=st.lists(st.integers(1, 5), min_size=5, max_size=5),
    order=st.permutations([31, 32, 33, 34, 35]),
)
def test_the_order_on_the_page_does_not_change_a_ranking(
    places: list[int], order: list[int]
) -> None:
    wanted = dict(zip((31, 32, 33, 34, 35), places, strict=True))
    data = {f"rank-{x}": str(wanted[pk]) for x, pk in zip(LETTERS, order, strict=False)}
    found = said("rank", data, order=tuple(order), texts=TEXTS * 2)
    assert found.tiers is not None
    assert [set(tier) for tier in found.tiers] == [
        {pk for pk in wanted if wanted[pk] == place} for place in sorted(set(places))
    ]


# --- best and worst, rate, accept -------------------------------------------------------------


def test_best_and_worst_leave_the_middle_open() -> None:
    found = said("best_worst", {"best": "C", "worst": "A"}, order=(5, 6, 7, 8))
    assert found.tiers == ((7,), (6, 8), (5,))
    assert found.details["uncompared"] is True


def test_one_response_is_not_best_and_worst() -> None:
    fields = refused("best_worst", {"best": "B", "worst": "B"}, order=(5, 6, 7))
    assert "cannot be" in fields["worst"][0]
    fields = refused("best_worst", {"best": "D", "worst": "B"}, order=(5, 6, 7))
    assert "“D” is not one of A, B, C" in fields["best"][0]


def test_marks_order_by_overall_or_the_first_aspect() -> None:
    data = {"rate-A-0": "1", "rate-B-0": "3", "rate-A-1": "4", "rate-B-1": "2"}
    first = said("rate", data, rate={"aspects": ["true", "kind"]})
    assert first.tiers == ((22,), (11,))
    overall = said("rate", data, rate={"aspects": ["true", "overall"]})
    assert overall.tiers == ((11,), (22,))
    assert overall.details["rate"]["ratings"]["true"] == {"11": 1, "22": 3}


def test_a_mark_outside_the_scale_is_refused() -> None:
    fields = refused("rate", {"rate-A-0": "5", "rate-B-0": "0"})
    assert "expected 0 to 4" in fields["rate-A-0"][0]
    assert "rate-B-0" in refused("rate", {"rate-A-0": "1", "rate-B-0": "0"}, rate={"low": 1})


def test_thumbs_draw_the_line_and_marks_order_within() -> None:
    data = {"rate-A-0": "4", "rate-B-0": "2", "rate-C-0": "1"}
    thumbs = {"thumb-A": "down", "thumb-B": "up", "thumb-C": "up"}
    found = said("rate", data | thumbs, order=(5, 6, 7), rate={"thumbs": True})
    assert (found.tiers, found.acceptable) == (((6,), (7,), (5,)), 2)


@pytest.mark.parametrize(
    ("answers", "tiers", "acceptable", "outcome"),
    [
        ("yes no yes", ((5, 7), (6,)), 1, "preference"),
        ("no no no", ((5, 6, 7),), 0, "neither"),
        ("yes yes yes", ((5, 6, 7),), 1, "other"),
    ],
)
def test_good_enough_or_not(answers: str, tiers: Any, acceptable: int, outcome: str) -> None:
    data = {f"good-{x}": value for x, value in zip("ABC", answers.split(), strict=True)}
    found = said("accept", data, order=(5, 6, 7))
    assert (found.tiers, found.acceptable, found.outcome) == (tiers, acceptable, outcome)


@pytest.mark.parametrize(("answers", "acceptable"), [("yes", 3), ("no", 0)])
def test_a_ranking_stays_one_whatever_is_good_enough(answers: str, acceptable: int) -> None:
    ranked = {f"rank-{letter}": str(place) for place, letter in enumerate("ABC", start=1)}
    good = {f"good-{letter}": answers for letter in "ABC"}
    found = said(("rank", "accept"), ranked | good, order=(5, 6, 7))
    assert (found.outcome, found.acceptable) == ("preference", acceptable)
    assert found.tiers == ((5,), (6,), (7,))


def test_a_line_through_a_ranking_runs_between_tiers() -> None:
    ranked = {"rank-A": "1", "rank-B": "2", "rank-C": "2"}
    good = {"good-A": "yes", "good-B": "no", "good-C": "no"}
    found = said(("rank", "accept"), ranked | good, order=(5, 6, 7))
    assert (found.tiers, found.acceptable) == (((5,), (6, 7)), 1)
    wrong = refused(("rank", "accept"), ranked | good | {"good-B": "yes"}, order=(5, 6, 7))
    assert "level with it or above" in wrong["good-B"][0]


def test_a_tie_stays_a_tie_when_it_is_also_asked_what_is_good_enough() -> None:
    good = {"good-A": "yes", "good-B": "yes"}
    found = said(("compare", "accept"), {"verdict": "tie"} | good)
    assert (found.tiers, found.outcome, found.acceptable) == (((11, 22),), "tie", 1)
    assert "uncompared" not in found.details
    assert said("accept", good).details["uncompared"]


# --- edit -------------------------------------------------------------------------------------


def test_an_edit_is_better_than_its_original() -> None:
    found = said("edit", {"edit_text": "Alpha said no.", "edit_reasons": ["tone"]}, order=(11,))
    assert (found.tiers, found.outcome) == (((EDITED,), (11,)), "preference")
    assert found.edit is not None
    assert (found.edit.of, found.edit.text) == (11, "Alpha said no.")
    assert found.details["edit"]["reasons"] == ["tone"]


@pytest.mark.parametrize("text", ["Alpha said so.", "  Alpha said so.\r\n", "", " \n "])
def test_an_edit_that_changes_nothing_or_leaves_nothing_is_refused(text: str) -> None:
    assert "edit_text" in refused("edit", {"edit_text": text}, order=(11,))


def test_line_ends_of_a_browser_are_no_change() -> None:
    fields = refused("edit", {"edit_text": "Delta\nhas lines."}, order=(4,), texts=TEXTS[3:])
    assert "Nothing was changed" in fields["edit_text"][0]


def test_a_reason_that_is_no_chip_is_refused() -> None:
    data = {"edit_text": "New.", "edit_reasons": ["because I can"]}
    assert "edit_reasons" in refused("edit", data, order=(11,))


@pytest.mark.parametrize(
    ("verdict", "of", "now", "tiers"),
    [
        ("a2", "A", "", ((EDITED,), (11,), (22,))),
        ("a2", "B", "edit", ((EDITED,), (11,), (22,))),
        ("a2", "B", "same", ((11, EDITED), (22,))),
        ("a2", "B", "other", ((11,), (EDITED,), (22,))),
        ("tie", "A", "edit", ((EDITED,), (11, 22))),
        ("tie", "A", "same", ((22, EDITED), (11,))),
        ("tie", "A", "other", ((22,), (EDITED,), (11,))),
    ],
)
def test_an_edit_takes_its_place_in_the_order_before(
    verdict: str, of: str, now: str, tiers: Any
) -> None:
    data = {"verdict": verdict, "edit_of": of, "edit_now": now, "edit_text": "New."}
    found = said(("compare", "edit"), data)
    assert found.tiers == tiers
    ids = [pk for tier in found.tiers for pk in tier]
    assert sorted(ids) == sorted([11, 22, EDITED])


def test_where_an_edit_stands_has_to_be_said_and_not_against_the_order_before() -> None:
    data = {"verdict": "a2", "edit_of": "B", "edit_text": "New."}
    assert "better now" in refused(("compare", "edit"), data)["edit_now"][0]
    worse = data | {"edit_of": "A", "edit_now": "other"}
    assert "You put A first" in refused(("compare", "edit"), worse)["edit_now"][0]


def test_both_bad_and_then_edited_is_good_enough() -> None:
    data = {"verdict": "neither", "edit_of": "A", "edit_now": "edit", "edit_text": "New."}
    found = said(("compare", "edit"), data)
    assert (found.tiers, found.acceptable) == (((EDITED,), (11, 22)), 1)
    assert found.outcome == "preference"


def test_what_was_not_compared_is_no_tie() -> None:
    data = {"verdict": "neither", "edit_of": "A", "edit_now": "edit", "edit_text": "New."}
    assert said(("compare", "edit"), data).details["uncompared"] is True
    assert said("rank", {"all_wrong": "on"}, order=(5, 6, 7)).details["uncompared"] is True
    edit = {"edit_of": "A", "edit_text": "New.", "edit_now": "same"}
    assert "uncompared" not in said("edit", edit).details
    assert said("edit", edit, order=(5, 6, 7)).details["uncompared"] is True
    tie = {"verdict": "tie", "edit_of": "A", "edit_now": "edit", "edit_text": "New."}
    assert "uncompared" not in said(("compare", "edit"), tie).details


# --- rationale, skip, flag --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "choice", "lot", "needed"),
    [
        ("optional", "a3", 0.0, False),
        ("always", "tie", 0.9, True),
        ("extreme", "a3", 0.0, True),
        ("extreme", "a2", 0.0, False),
        ("sampled", "a1", 0.1, True),
        ("sampled", "a1", 0.3, False),
        ("never", "a3", 0.0, False),
    ],
)
def test_a_reason_is_needed_when_the_campaign_says_so(
    ask: str, choice: str, lot: float, needed: bool
) -> None:
    options = {"rationale": {"ask": ask, "share": 0.2, "tags": ["clear"]}}
    if needed:
        assert "rationale" in refused("compare", {"choice": choice}, lot=lot, **options)
        tagged = said("compare", {"choice": choice, "tags": ["clear"]}, lot=lot, **options)
        assert tagged.details["rationale"] == {"tags": ["clear"]}
    else:
        assert said("compare", {"choice": choice}, lot=lot, **options).tiers is not None


@pytest.mark.parametrize(
    "mark",
    [
        {"response": "C", "start": 0, "end": 1},
        {"response": "AB", "start": 0, "end": 1},
        {"response": "A", "start": -1, "end": 1},
        {"response": "A", "start": 3, "end": 3},
        {"response": "A", "start": 0, "end": 10_000},
        {"response": "A", "start": True, "end": 2},
        {"response": "A", "start": 0, "end": 1, "tag": "unknown"},
        "A",
    ],
)
def test_a_mark_outside_of_what_was_shown_is_refused(mark: Any) -> None:
    options = {"rationale": {"highlights": True}}
    sent = {"choice": "a1", "highlights": json.dumps([mark])}
    assert "highlights" in refused("compare", sent, **options)


def test_marks_are_kept_by_response_and_tag() -> None:
    options = {"rationale": {"highlights": True, "tags": ["wrong"]}}
    sent = '[{"response": "B", "start": 0, "end": 4, "tag": "wrong"}]'
    found = said("compare", {"choice": "a1", "highlights": sent}, **options)
    assert found.details["rationale"]["highlights"] == [
        {"response": 22, "start": 0, "end": 4, "tag": "wrong"}
    ]


@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_can_be_skipped_and_flagged(form: str) -> None:
    order = tuple(range(1, FORMS[form].least + 1))
    assert said(form, {"choice": "skip"}, order=order).outcome == "skip"
    assert "rationale" in refused(form, {"choice": "flag"}, order=order)
    flag = said(form, {"choice": "flag", "rationale": "spam"}, order=order)
    assert (flag.outcome, flag.rationale) == ("flag", "spam")


@pytest.mark.parametrize("form", list(FORMS))
def test_an_empty_answer_is_refused_in_words_by_every_form(form: str) -> None:
    order = tuple(range(1, FORMS[form].least + 1))
    fields = refused(form, {}, order=order)
    assert all(lines and all(lines) for lines in fields.values())


def test_all_parts_complain_at_once() -> None:
    fields = refused(("compare", "accept"), {"good-A": "maybe"}, rationale={"ask": "always"})
    assert set(fields) == {"verdict", "good-A", "good-B", "rationale"}


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PARTS))
def test_the_defaults_of_every_part_are_valid_and_say_nothing(name: str) -> None:
    assert checked(name, defaults(name)) == {}
    assert checked(name, {}) == {}


def test_options_are_checked_by_name_and_value() -> None:
    assert checked("compare", {"steps": 5, "neither": True}) == {"steps": 5}
    with pytest.raises(InvalidInput, match=r"no option 'step'.*steps"):
        checked("compare", {"step": 5})
    with pytest.raises(InvalidInput, match="steps"):
        checked("compare", {"steps": 9})
    with pytest.raises(InvalidInput, match="labels"):
        checked("rate", {"labels": ["only one"]})


def test_how_many_responses_forms_can_be_asked_about() -> None:
    assert sizes(("rank",)) == (3, 10)
    assert sizes(("rank", "best_worst")) == (3, 6)
    assert sizes(("compare", "edit")) == (2, 2)
