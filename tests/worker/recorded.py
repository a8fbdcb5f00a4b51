"""Real annotations as the fields that a person would send, and what they say, counted by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from annotator.models import Assignment, Campaign, Item
from annotator.services.annotations import record_annotation
from annotator.services.campaigns import create_campaign, start_campaign
from tests.annotator.acts import lease
from tests.campaigns import join, load

Row = dict[str, Any]
Said = dict[str, Any]
Fields = dict[str, Any]
Counted = Counter[tuple[str, str, str]]  # better, worse, "better" or "tie"; the line is LINE

FOLDER = Path(__file__).parents[1] / "data" / "recorded"
LINE = "\0line"
LEVELS = {1: "1", 2: "2"}  # tulu1: slightly better, better


def rows(name: str, folder: Path = FOLDER) -> list[Row]:
    """The items of a slice."""
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Replay:
    """How one file is answered with one form.

    Attributes:
        file, form: Names.
        usable: Whether an annotation has what the form asks for.
        fields: What is sent: position of each letter, annotation and row in.
        says: What that says of those shown, counted without the product's code, by text.
        options: Of the form.
        people: How many answer each question.
    """

    file: str
    form: str
    usable: Callable[[Said], bool]
    fields: Callable[[list[int], Said, Row], Fields]
    says: Callable[[list[int], Said, Row], Counted]
    options: dict[str, Any] | None = None
    people: int = 1


def run(replay: Replay, people: list[User], items: list[Row], **more: Any) -> Campaign:
    """A running campaign with these items and people."""
    fields: dict[str, Any] = {
        "encoder": "hashed",
        "form": replay.form,
        "form_options": {replay.form: replay.options} if replay.options else {},
        "overlap": replay.people,
        "batch_size": 60,
        "labels_per_round": 1,
        "holdout_prompts": 0.25,
        "holdout_share": 0.25,
        "random_share": 0.25,
    }
    campaign = create_campaign(slug="told", name="Told", **(fields | more))
    load(campaign, [row | {"annotations": []} for row in items])
    for person in people:
        join(campaign, person)
    return start_campaign(campaign=campaign)


def answer(
    replay: Replay, campaign: Campaign, people: list[User], items: list[Row], most: int = 10**6
) -> Counted:
    """Answer all that is asked as recorded; returns what was said."""
    by_id = {row["id"]: row for row in items}
    told: Counted = Counter()
    given = 0
    for number, person in enumerate(people):
        while given < most and (assignment := lease(campaign, person)) is not None:
            item = Item.objects.get(queries=assignment.query_id)
            row = by_id[item.external_id]
            places = {place.response_id: place.position for place in item.places.all()}
            order = [places[pk] for pk in assignment.display_order]
            said = [one for one in row["annotations"] if replay.usable(one)]
            one = said[number % len(said)]
            send(assignment, person, replay.fields(order, one, row))
            told += replay.says(order, one, row)
            given += 1
    return told


def send(assignment: Assignment, person: User, data: Fields) -> None:
    """As the page does."""
    record_annotation(
        assignment_id=assignment.pk,
        user=person,
        submission_key=assignment.submission_key,
        data=data,
    )


def lettered(order: list[int]) -> Iterator[tuple[str, int]]:
    """Letter and position, as shown."""
    return zip("ABCDEFGHIJ"[: len(order)], order, strict=True)


def askable(replay: Replay, items: list[Row]) -> list[Row]:
    """Those that somebody judged, and whose responses differ where there are two."""
    judged = [row for row in items if any(map(replay.usable, row["annotations"]))]
    return [row for row in judged if len(row["responses"]) != 2 or len(set(texts(row))) == 2]


def texts(row: Row) -> list[str]:
    """Of the responses."""
    return [response["text"] for response in row["responses"]]


def by_value(order: list[int], value: list[float], row: Row) -> Counted:
    """What values say of every two responses shown, larger is better."""
    text, found = texts(row), Counter[tuple[str, str, str]]()
    for i, j in combinations(order, 2):
        if value[i] == value[j]:
            found[(*sorted([text[i], text[j]]), "tie")] += 1  # type: ignore[index]
        else:
            better, worse = (i, j) if value[i] > value[j] else (j, i)
            found[text[better], text[worse], "better"] += 1
    return found


def _rank(order: list[int], said: Said, row: Row) -> Fields:
    return {f"rank-{letter}": str(said["ranking"][n]) for letter, n in lettered(order)}


def _worst(said: Said, row: Row) -> int:
    """The response that fewest people chose; the file has no worst ones."""
    votes = Counter(one["choice"] for one in row["annotations"])
    others = [n for n in range(len(row["responses"])) if n != said["choice"]]
    return min(others, key=lambda n: (votes[n], n))


def _best_worst(order: list[int], said: Said, row: Row) -> Fields:
    letter = {n: name for name, n in lettered(order)}
    return {"best": letter[said["choice"]], "worst": letter[_worst(said, row)]}


def _says_best_worst(order: list[int], said: Said, row: Row) -> Counted:
    best, worst, text = said["choice"], _worst(said, row), texts(row)
    middle = [n for n in range(len(text)) if n not in (best, worst)]
    pairs = [(best, worst), *((best, n) for n in middle), *((n, worst) for n in middle)]
    return Counter((text[a], text[b], "better") for a, b in pairs)


def _mark(penalty: float) -> int:
    """Five marks from a weighted count of errors."""
    return 4 - sum(penalty > bound for bound in (0, 1, 5, 10))


def _rate(order: list[int], said: Said, row: Row) -> Fields:
    marks = said["ratings"]["mqm_penalty"]
    return {f"rate-{letter}-0": str(_mark(marks[n])) for letter, n in lettered(order)}


def _rate_tenths(order: list[int], said: Said, row: Row) -> Fields:
    marks = said["ratings"]["overall"]
    return {f"rate-{letter}-0": str(round(marks[n] / 10)) for letter, n in lettered(order)}


def _accept(order: list[int], said: Said, row: Row) -> Fields:
    good = said["ratings"]["acceptable"]
    return {f"good-{letter}": "yes" if good[n] else "no" for letter, n in lettered(order)}


def _says_accept(order: list[int], said: Said, row: Row) -> Counted:
    found: Counted = Counter()
    good, text = said["ratings"]["acceptable"], texts(row)
    for n, mark in enumerate(good):
        found[(text[n], LINE, "better") if mark else (LINE, text[n], "better")] += 1
    if good[0] != good[1]:
        found[text[good.index(1)], text[good.index(0)], "better"] += 1
    return found


def _compare(order: list[int], said: Said, row: Row) -> Fields:
    if said["choice"] == "tie":
        return {"choice": "tie"}
    return {"choice": "ab"[order.index(said["choice"])] + LEVELS[said["strength"]]}


def _says_compare(order: list[int], said: Said, row: Row) -> Counted:
    if said["choice"] == "tie":
        return by_value(order, [0, 0], row)
    return by_value(order, [float(said["choice"] == n) for n in range(2)], row)


def _edit(order: list[int], said: Said, row: Row) -> Fields:
    if _unchanged(said, row):
        return {"unchanged": "on"}
    return {"edit_text": said["edit"]["text"].replace("\n", "\r\n")}


def _unchanged(said: Said, row: Row) -> bool:
    return bool(said["edit"]["text"].strip() == texts(row)[0].strip())


def _says_edit(order: list[int], said: Said, row: Row) -> Counted:
    if _unchanged(said, row):
        return Counter([(texts(row)[0], LINE, "better")])
    return Counter([(said["edit"]["text"], texts(row)[0], "better")])


def _has(*names: str) -> Callable[[Said], bool]:
    return lambda said: all(said.get(name) is not None for name in names)


def _rated(name: str) -> Callable[[Said], bool]:
    return lambda said: None not in (said.get("ratings") or {}).get(name, [None])


TENTHS = {"labels": [str(10 * n) for n in range(11)]}

REPLAYS = {
    "rank": Replay(
        "lamp_rankings",
        "rank",
        _has("ranking"),
        _rank,
        lambda order, said, row: by_value(order, [-rank for rank in said["ranking"]], row),
        people=2,
    ),
    "rank, 75 stories": Replay(
        "squality",
        "rank",
        _has("ranking"),
        _rank,
        lambda order, said, row: by_value(order, [-rank for rank in said["ranking"]], row),
        people=2,
    ),
    "best_worst": Replay(
        "community_alignment",
        "best_worst",
        _has("choice"),
        _best_worst,
        _says_best_worst,
        people=2,
    ),
    "rate": Replay(
        "wmt23_mqm",
        "rate",
        _rated("mqm_penalty"),
        _rate,
        lambda order, said, row: by_value(
            order, [_mark(p) for p in said["ratings"]["mqm_penalty"]], row
        ),
    ),
    "rate, 0 to 100": Replay(
        "squality",
        "rate",
        _rated("overall"),
        _rate_tenths,
        lambda order, said, row: by_value(
            order, [round(v / 10) for v in said["ratings"]["overall"]], row
        ),
        options=TENTHS,
        people=2,
    ),
    "accept": Replay("tulu1", "accept", _rated("acceptable"), _accept, _says_accept),
    "compare": Replay(
        "tulu1",
        "compare",
        _has("choice"),
        _compare,
        _says_compare,
        options={"steps": 5},
    ),
    "edit": Replay("lamp_edits", "edit", _has("edit"), _edit, _says_edit),
    "edit, translations": Replay("mlqe_pe", "edit", _has("edit"), _edit, _says_edit),
}
