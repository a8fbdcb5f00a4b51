"""What was answered, in words, for every form; from what the forms themselves store."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.answer_words import FIRST_LINE, Told, first_line, in_words, verdict
from annotator.forms import EDITED, Shown, parse, sequence

ORDER = (30, 10, 20, 40, 50)
MADE = 99  # the response that an edit made


def told(forms: str, size: int, options: dict[str, Any] | None = None, **sent: Any) -> Told:
    """Answer a question through its forms, and remember what is stored."""
    names = forms.split()
    order = ORDER[:size]
    shown = Shown(order, tuple(f"text {pk}" for pk in order))
    answer, _ = parse(sent, steps=sequence(names, options or {}), shown=shown)
    tiers = [[MADE if pk == EDITED else pk for pk in tier] for tier in answer.tiers or ()]
    return Told(
        forms=names,
        order=order,
        outcome=answer.outcome,
        tiers=tiers if answer.tiers is not None else None,
        acceptable=answer.acceptable,
        strength=answer.strength,
        rationale=answer.rationale,
        details=answer.details,
    )


def words(*args: Any, **sent: Any) -> str:
    return "; ".join(in_words(told(*args, **sent)))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("a3", "A better than B, much"),
        ("a2", "A better than B, clearly"),
        ("b1", "B better than A, slightly"),
        ("tie", "A and B equally good"),
        ("both", "Both are good"),
        ("neither", "Neither is good enough"),
    ],
)
def test_compare(choice: str, said: str) -> None:
    assert words("compare", 2, {"compare": {"both_good": True}}, choice=choice) == said


@pytest.mark.parametrize(
    ("steps", "said"), [(2, "B better than A"), (4, "B better than A, clearly")]
)
def test_compare_on_shorter_scales(steps: int, said: str) -> None:
    assert words("compare", 2, {"compare": {"steps": steps}}, choice=f"b{steps // 2}") == said


def test_compare_with_aspects_and_confidence() -> None:
    options = {"compare": {"aspects": ["helpful", "kind"], "confidence": True}}
    sent = {"verdict": "a1", "aspect-0": "b", "aspect-1": "tie", "confidence": "3"}
    expected = "A better than B, slightly; helpful: B; kind: equal; sure"
    assert words("compare", 2, options, **sent) == expected


def places(said: str) -> dict[str, str]:
    return {f"rank-{letter}": place for letter, place in zip("ABCDE", said, strict=False)}


def test_rank_with_a_tie_and_an_unranked_one() -> None:
    sent = {k: v for k, v in places("2132-").items() if v != "-"}
    assert words("rank", 5, **sent) == "B > A = D > C; E unranked"


def test_rank_where_all_are_wrong() -> None:
    assert words("rank", 3, all_wrong="on") == "None of them is good enough"
    said = words("rank", 3, all_wrong="on", **places("123"))
    assert said == "A > B > C; none of them is good enough"


def test_best_and_worst() -> None:
    assert words("best_worst", 4, best="C", worst="A") == "C best, A worst"


def test_rate_with_thumbs() -> None:
    options = {"rate": {"aspects": ["overall", "true"], "thumbs": True}}
    sent = {"rate-A-0": "4", "rate-B-0": "1", "rate-A-1": "3", "rate-B-1": "0"}
    sent |= {"thumb-A": "up", "thumb-B": "down"}
    assert words("rate", 2, options, **sent) == "overall: A 4, B 1; true: A 3, B 0; A good; B bad"


def test_accept() -> None:
    good = {"good-A": "yes", "good-B": "no", "good-C": "yes"}
    assert words("accept", 3, **good) == "2 of 3 good enough: A, C"
    assert words("accept", 3, **dict.fromkeys(good, "no")) == "0 of 3 good enough"
    assert words("accept", 1, **{"good-A": "yes"}) == "Good enough"
    assert words("accept", 1, **{"good-A": "no"}) == "Not good enough"


def test_edit() -> None:
    sent = {"edit_text": "new", "edit_reasons": ["tone"]}
    assert words("edit", 1, **sent) == "Edited A (tone)"
    assert words("edit", 1, unchanged="on") == "Nothing to change in A"
    sent |= {"edit_of": "B", "edit_now": "other"}
    assert words("edit", 2, **sent) == "Edited B (tone); the other one is still better"


def test_several_forms_on_one_question() -> None:
    sent = {"verdict": "a2", "good-A": "yes", "good-B": "no", "edit_of": "B", "edit_text": "new"}
    said = words("compare accept edit", 2, edit_now="edit", **sent)
    assert said == (
        "A better than B, clearly; 1 of 2 good enough: A; Edited B; it is the better one now"
    )


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("tie", "A and B equally good"),
        ("both", "Both are good"),
        ("neither", "Neither is good enough"),
    ],
)
def test_an_edit_does_not_hide_what_was_said_before_it(verdict: str, said: str) -> None:
    options = {"compare": {"both_good": True}}
    sent = {"verdict": verdict, "edit_of": "A", "edit_text": "new", "edit_now": "edit"}
    first, *_ = in_words(told("compare edit", 2, options, **sent))
    assert first == said


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("skip", "Skipped"), ("flag", "Flagged: odd"), ("undone", "Taken back")],
)
def test_what_is_no_answer(outcome: str, said: str) -> None:
    assert in_words(Told(["compare"], ORDER[:2], outcome, rationale="odd")) == [said]


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 6, 7])
def test_the_button_that_says_it_is_found_again(steps: int) -> None:
    from annotator.forms.compare import others, scale

    options = {"steps": steps, "neither": True, "both_good": True}
    buttons = [button.value for button in scale(steps)] + [value for value, _ in others(options)]
    for button in buttons:
        assert verdict(told("compare", 2, {"compare": options}, choice=button)) == button


def test_no_button_says_what_other_forms_say() -> None:
    assert verdict(told("rank", 3, **places("123"))) == ""
    assert verdict(Told(["compare"], ORDER[:2], "skip")) == ""


@given(st.text())
def test_a_first_line_is_one_short_line_of_the_text(text: str) -> None:
    line = first_line(text)
    assert len(line) <= FIRST_LINE
    assert line.splitlines() in ([], [line])
    assert (line == "") == (not text.strip())


def test_a_first_line_skips_what_is_empty() -> None:
    assert first_line("\n \n  Why\tis  it?\nBecause") == "Why is it?"
    assert first_line("x" * 500) == "x" * (FIRST_LINE - 1) + "…"
