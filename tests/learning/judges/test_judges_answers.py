"""A verdict's fields are what a person's page sends: the site reads the same answer from them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator import forms as pages
from learning.judges.base import Ask
from learning.judges.errors import Malformed
from learning.judges.forms import form
from learning.judges.replies import read

IDS = (70, 30, 90, 10)  # of responses 0 to 3


def options_of(draw, name):
    if name == "compare":
        return {
            "steps": draw(st.integers(2, 7)),
            "neither": True,
            "both_good": draw(st.booleans()),
            "aspects": draw(st.sampled_from([[], ["helpful", "true"]])),
            "confidence": draw(st.booleans()),
        }
    if name == "rank":
        return {"ties": True, "all_wrong": True}
    if name == "rate":
        return {
            "aspects": draw(st.sampled_from([["overall"], ["helpful", "overall"]])),
            "low": draw(st.integers(0, 1)),
            "labels": ["bad", "so so", "good"],
            "thumbs": draw(st.booleans()),
        }
    return {}


def reply_to(draw, name, options, letters):
    if name == "compare":
        words = ["A", "B", "neither"] + ["both"] * options["both_good"]
        made = {
            "choice": draw(st.sampled_from(words + ["tie"] * (options["steps"] % 2))),
            "strength": draw(st.integers(1, options["steps"] // 2)),
            "confidence": draw(st.integers(50, 100)),
        }
        step = st.sampled_from(["A", "tie", "B"])
        return made | {"aspects": {name: draw(step) for name in options["aspects"]}}
    if name == "rank":
        places = draw(st.lists(st.integers(1, 3), min_size=len(letters), max_size=len(letters)))
        tiers = [[x for x, p in zip(letters, places, strict=True) if p == n] for n in (1, 2, 3)]
        return {"ranking": [tier for tier in tiers if tier], "all_wrong": draw(st.booleans())}
    if name == "best_worst":
        best, worst = draw(st.permutations(letters))[:2]
        return {"best": best, "worst": worst}
    if name == "rate":
        mark = st.integers(options["low"], options["low"] + 2)
        marks = {x: {a: draw(mark) for a in options["aspects"]} for x in letters}
        thumbs = {x: draw(st.sampled_from(["up", "down"])) for x in letters}
        return {"ratings": marks, "thumbs": thumbs}
    return {"good": {x: draw(st.booleans()) for x in letters}}


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (["compare"], 2),
        (["rank"], 4),
        (["best_worst"], 4),
        (["rate"], 3),
        (["accept"], 3),
        (["compare", "accept"], 2),
        (["rank", "accept"], 4),
        (["best_worst", "rate"], 3),
    ],
)
@settings(max_examples=30)
@given(data=st.data())
def test_the_site_reads_the_same_answer(names, count, data):
    chosen = {name: options_of(data.draw, name) for name in names}
    if "accept" in names and "compare" in names:
        chosen["compare"] |= {"neither": False, "both_good": False}  # as the site itself does
    order = tuple(data.draw(st.permutations(range(count))))
    reply = {"reason": "It is right."}
    for name in names:
        reply |= reply_to(data.draw, name, chosen[name], "ABCD"[:count])
    asked = [form(name, chosen[name]) for name in names]
    ask = Ask.of(asked, "?", ["x"] * count)
    shown = pages.Shown(tuple(IDS[n] for n in order), ("x",) * count)
    try:
        found = read(json.dumps(reply), ask, order)
    except Malformed as error:  # a reply that contradicts itself, or "neither" where none is left
        assert error.field in ("good", "choice")  # noqa: PT017
        return
    steps = pages.sequence(names, chosen)
    answer, _ = pages.parse(found.fields(order), steps=steps, shown=shown)
    ours = [{IDS[n] for n in tier} for tier in found.tiers]
    assert [set(tier) for tier in answer.tiers] == ours
    assert answer.acceptable == found.acceptable
    assert answer.strength == found.strength
    if len(names) == 1 or names[0] == "compare":
        assert answer.outcome == found.outcome
    assert answer.rationale == "It is right."
    assert bool(answer.details.get("uncompared")) == found.uncompared
