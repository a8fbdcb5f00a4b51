"""What a format can say comes back: foreign → native → foreign by our exports, and the reverse."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.importers import IMPORTERS
from annotator.importers.base import Native, Reading, Source
from annotator.models import Annotation, Campaign
from annotator.services.campaigns import create_campaign
from annotator.services.imports import ImportOptions, import_items
from tests.campaigns import item, load

Row = dict[str, Any]

# --- by our own exports -----------------------------------------------------------------------


def answered(number: int, texts: list[str], **said: Any) -> Row:
    responses = [{"text": f"{text} {number}", "model": f"m-{text}"} for text in texts]
    given = {"annotator": f"w{number % 3}", "kind": "human", "choice": None, **said}
    task = "pairwise" if len(texts) == 2 else "listwise"
    return item(number, task=task, responses=responses, annotations=[given])


ROWS = [
    answered(1, ["sky", "sea"], choice=0, strength=1, rationale="bluer"),
    answered(2, ["sky", "sea"], choice=1, strength=3),
    answered(3, ["sky", "sea"], choice="tie"),
    answered(4, ["sky", "sea"], choice="tie", ratings={"acceptable": [1, 1]}),
    answered(5, ["sky", "sea"], ratings={"acceptable": [0, 0]}),
    answered(6, ["sky", "sea"], ratings={"helpfulness": [4, 2], "acceptable": [1, 0]}),
    answered(7, ["a", "b", "c"], ranking=[2, 1, 3]),
    answered(8, ["a", "b", "c"], ranking=[1, 1, 2]),
    item(
        9,
        prompt=[
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Why blue?"},
            {"role": "assistant", "content": "What is?"},
            {"role": "user", "content": "The sky."},
        ],
        annotations=[{"annotator": "w1", "kind": "human", "choice": 0}],
    ),
]


def taken_home(campaign: Campaign, name: str, folder: Path, *options: str) -> bytes:
    out = folder / f"{name}.out"
    call_command("export", campaign.slug, "--format", name, "--out", str(out), *options)
    return out.read_bytes()


def facts(campaign: Campaign) -> set[tuple[Any, ...]]:
    """Every answer: the last words of its prompt, and tiers of texts. Without who said it."""
    found = set()
    for said in Annotation.objects.filter(campaign=campaign).select_related("query__prompt"):
        texts = {place.response_id: place.response.text for place in said.query.members.all()}
        tiers = tuple(frozenset(texts[pk] for pk in tier) for tier in said.tiers or [])
        prompt = said.query.prompt.content
        last = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        found.add((last, tiers, said.acceptable))
    return found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("export", "format_name", "says"),
    [
        ("native", "native", {"pairs", "ties", "neither", "ranks", "good"}),
        ("trl-preference", "trl-preference", {"pairs"}),
        ("reward-pairs", "trl-preference", {"pairs"}),
        ("openrlhf", "trl-preference", {"pairs"}),
        ("trl-unpaired", "trl-unpaired", set()),
        ("ranking", "ranking", {"pairs", "ties", "ranks"}),
        ("argilla", "argilla", {"pairs", "ties", "neither", "ranks"}),
        ("label-studio", "label-studio", {"pairs", "ties", "neither", "ranks"}),
        ("helpsteer", "helpsteer2", set()),
        ("ultrafeedback", "ultrafeedback", set()),
    ],
)
def test_an_export_of_ours_is_read_again_and_says_the_same(
    tmp_path: Path, export: str, format_name: str, says: set[str]
) -> None:
    one = create_campaign(slug="one", name="One")
    load(one, ROWS, history=True, strength_max=3)
    blob = taken_home(one, export, tmp_path)
    other = create_campaign(slug="other", name="Other")
    report = import_items(
        campaign=other, stream=io.BytesIO(blob), options=ImportOptions(history=True)
    )
    assert report.format == format_name
    assert report.annotations
    before, after = facts(one), facts(other)
    orders = {(last, tiers) for last, tiers, _ in before}
    again = {(last, tiers) for last, tiers, _ in after}
    wanted = set()
    if "pairs" in says:
        wanted |= {fact for fact in orders if len(fact[1]) == 2 and _pair(fact)}
    if "ranks" in says:
        wanted |= {fact for fact in orders if len(fact[1]) > 1}
    if "ties" in says:
        neither = {(last, tiers) for last, tiers, good in before if good == 0}
        wanted |= {fact for fact in orders - neither if len(fact[1]) == 1}
    if "neither" in says:
        assert [good for *_, good in after].count(0) == 1
    assert wanted <= again
    if "good" in says:
        assert before == after
    if export == "ultrafeedback":  # its marks are a model's, and those stay here
        return
    once_more = taken_home(other, export, tmp_path)
    third = create_campaign(slug="third", name="Third")
    import_items(campaign=third, stream=io.BytesIO(once_more), options=ImportOptions(history=True))
    assert facts(third) >= after


@pytest.mark.django_db
def test_an_item_whose_responses_are_equal_leaves_with_both(tmp_path: Path) -> None:
    twice = [answered(1, ["sky", "sky"], choice=1), answered(2, ["a", "b", "a"], ranking=[1, 2, 3])]
    one = create_campaign(slug="one", name="One")
    load(one, twice, history=True)
    left = [json.loads(line) for line in taken_home(one, "native", tmp_path).splitlines()]
    assert [(row["responses"], row["annotations"]) for row in left] == [
        (row["responses"], row["annotations"]) for row in twice
    ]


def _pair(fact: tuple[Any, ...]) -> bool:
    return all(len(tier) == 1 for tier in fact[1])


# --- written here as the format's own readers expect it ---------------------------------------

WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
SAID = (
    WORD.map(str.strip)
    .filter(lambda text: bool(text) and "Human:" not in text)
    .filter(lambda text: "Assistant:" not in text)
)


@st.composite
def judged(draw: Any) -> tuple[list[Row], str, str]:
    """A conversation that ends on a question, a better and a worse answer."""
    turns = draw(st.integers(0, 2))
    prompt = []
    for _ in range(turns):
        prompt += [{"role": "user", "content": draw(SAID)}]
        prompt += [{"role": "assistant", "content": draw(SAID)}]
    prompt.append({"role": "user", "content": draw(SAID)})
    better = draw(SAID)
    return prompt, better, draw(SAID.filter(lambda text: text != better))


def explicit(prompt: list[Row], better: str, worse: str) -> Row:
    turns = [[{"role": "assistant", "content": text}] for text in (better, worse)]
    return {"prompt": prompt, "chosen": turns[0], "rejected": turns[1]}


def implicit(prompt: list[Row], better: str, worse: str) -> Row:
    row = explicit(prompt, better, worse)
    return {name: prompt + row[name] for name in ("chosen", "rejected")}


def both(prompt: list[Row], better: str, worse: str) -> Row:
    return {**implicit(prompt, better, worse), "prompt": prompt}


def transcript(prompt: list[Row], better: str, worse: str) -> Row:
    names = {"user": "Human", "assistant": "Assistant"}
    start = "".join(f"\n\n{names[turn['role']]}: {turn['content']}" for turn in prompt)
    return {
        "chosen": f"{start}\n\nAssistant: {better}",
        "rejected": f"{start}\n\nAssistant: {worse}",
    }


def arena(prompt: list[Row], better: str, worse: str) -> Row:
    row = implicit(prompt, better, worse)
    return {
        "question_id": "q",
        "model_a": "a",
        "model_b": "b",
        "winner": "model_a",
        "conversation_a": row["chosen"],
        "conversation_b": row["rejected"],
    }


def steer(prompt: list[Row], better: str, worse: str) -> Row:
    return {
        "context": prompt,
        "response1": worse,
        "response2": better,
        "overall_preference": 3,
        "individual_preference": [],
    }


WRITTEN: dict[str, tuple[str, Callable[[list[Row], str, str], Row]]] = {
    "TRL, explicit": ("trl-preference", explicit),
    "TRL, implicit": ("trl-preference", implicit),
    "TRL, both": ("trl-preference", both),
    "HH": ("hh-rlhf", transcript),
    "arena": ("arena", arena),
    "HelpSteer3": ("helpsteer3", steer),
}


def read(name: str, rows: list[Row]) -> list[Native]:
    sources = (Source(n, row) for n, row in enumerate(rows, start=1))
    units = list(IMPORTERS[name].convert(sources, Reading()))
    assert [str(unit.misfit) for unit in units if unit.misfit] == []
    return [made.native for unit in units for made in unit.made]


@pytest.mark.parametrize("kind", WRITTEN)
@settings(max_examples=80)
@given(one=judged())
def test_a_judged_pair_survives_the_format(kind: str, one: tuple[list[Row], str, str]) -> None:
    name, write = WRITTEN[kind]
    prompt, better, worse = one
    row = json.loads(json.dumps(write(*one)))
    assert IMPORTERS[name].recognises(row)
    (native,) = read(name, [row])
    texts = [response["text"] for response in native["responses"]]
    assert native["prompt"] == prompt
    assert sorted(texts) == sorted([better, worse])
    assert texts[native["annotations"][0]["choice"]] == better
    assert read(name, [row]) == [native]  # the id, too


@settings(max_examples=80)
@given(prompt=WORD, better=WORD, worse=WORD)
def test_text_that_was_joined_is_cut_where_nothing_gets_lost(
    prompt: str, better: str, worse: str
) -> None:
    row = {"chosen": f"start {prompt} {better}", "rejected": f"start {prompt} {worse}"}
    (native,) = read("trl-preference", [row])
    chosen = native["responses"][native["annotations"][0]["choice"]]["text"]
    assert native["prompt"] + chosen == row["chosen"]
    assert {native["prompt"] + one["text"] for one in native["responses"]} == set(row.values())


@settings(max_examples=60)
@given(ranks=st.lists(st.none() | st.integers(1, 4), min_size=2, max_size=6), data=st.data())
def test_ranks_survive(ranks: list[int | None], data: Any) -> None:
    texts = data.draw(st.lists(WORD, min_size=len(ranks), max_size=len(ranks), unique=True))
    (native,) = read("ranking", [{"prompt": "p", "completions": texts, "ranks": ranks}])
    again = [response["text"] for response in native["responses"]]
    said = native["annotations"][0]["ranking"]
    assert dict(zip(again, said, strict=True)) == dict(zip(texts, ranks, strict=True))


@settings(max_examples=60)
@given(
    labels=st.dictionaries(
        st.tuples(st.sampled_from("pqr"), st.sampled_from("abcd")), st.booleans(), min_size=1
    )
)
def test_labels_survive(labels: dict[tuple[str, str], bool]) -> None:
    rows = [{"prompt": p, "completion": c, "label": label} for (p, c), label in labels.items()]
    found = {}
    for native in read("trl-unpaired", rows):
        marks = native["annotations"][0]["ratings"]["acceptable"]
        for response, mark in zip(native["responses"], marks, strict=True):
            found[native["prompt"], response["text"]] = bool(mark)
    assert found == labels
