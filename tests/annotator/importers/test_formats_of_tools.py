"""Formats of other annotation tools, and tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from annotator.importers import detect
from tests.annotator.importers.reading import misfit, natives, winner
from tests.foreign import SAMPLES, TWO, USER, result, task

Row = dict[str, Any]


def test_argilla_people_and_suggestions_answer_and_discarded_ones_do_not() -> None:
    (native,) = natives("argilla")
    person, judge = native["annotations"]
    assert (person["annotator"], person["choice"], person["ranking"]) == ("u1", 0, [1, 2])
    assert person["ratings"] == {"quality": [5, None]}
    assert person["rationale"] == "It is true."
    assert (judge["annotator"], judge["kind"], judge["choice"]) == ("judge-7b", "llm", 1)
    assert native["meta"] == {"topic": "physics", "status": "completed"}


def test_flat_argilla_columns_say_the_same() -> None:
    flat = {
        "id": "r1",
        "status": "completed",
        "prompt": USER["content"],
        "response-1": "Air.",
        "response-2": "Paint.",
        "better.suggestion": "response-2",
        "better.suggestion.score": 0.7,
        "better.suggestion.agent": "judge-7b",
        "better.responses": ["response-1", "response-2"],
        "better.responses.users": ["u1", "u2"],
        "better.responses.status": ["submitted", "discarded"],
        "why.responses": ["It is true."],
        "why.responses.users": ["u1"],
    }
    found = detect([flat])
    assert found is not None
    assert found.name == "argilla"
    (native,) = natives("argilla", [flat])
    person, judge = native["annotations"]
    assert (person["choice"], person["rationale"], judge["choice"]) == (0, "It is true.", 1)


def test_label_studio_sides_rankers_ratings_and_ties() -> None:
    pair, ranked, rated = natives("label-studio")
    assert (winner(pair), pair["annotations"][0]["annotator"]) == (TWO["answer1"], "user 3")
    assert pair["annotations"][0]["time_s"] == 7.5
    assert ranked["annotations"][0]["ranking"] == [2, 1]
    said = rated["annotations"][0]
    assert said["ratings"] == {"quality": [4, 2]}
    assert (said["choice"], said["rationale"]) == ("tie", "It is true.")


def test_label_studio_sides_follow_the_names_that_were_shown() -> None:
    swapped = result("pairwise", {"selected": "left"}, ["answer2", "answer1"])
    (native,) = natives("label-studio", [task(1, TWO, [swapped])])
    assert winner(native) == TWO["answer2"]


@pytest.mark.parametrize(
    ("buckets", "ranks"),
    [
        ({"_": ["i2"], "best of 3": ["i1"]}, [1, None]),
        ({"rank1": ["i2", "i1"]}, [1, 1]),
        ({"rank1": ["i2"], "rank2": ["i1"]}, [2, 1]),
        ({"relevant": ["i2"], "biased": ["i1"]}, None),
    ],
)
def test_label_studio_buckets_are_orders_only_where_that_is_clear(
    buckets: dict[str, list[str]], ranks: list[int | None] | None
) -> None:
    data = SAMPLES["label-studio"][1]["data"]
    row = task(1, data, [result("ranker", {"ranker": buckets}, "items")])
    (native,) = natives("label-studio", [row])
    assert native["annotations"][0].get("ranking") == ranks


def test_label_studio_names_of_people_are_not_kept() -> None:
    said = result("pairwise", {"selected": "left"}, ["answer1", "answer2"])
    row = task(1, TWO, [said], updated_by=[{"email": "ann@example.org"}])
    row["annotations"][0] |= {
        "completed_by": {"id": 3, "email": "ann@example.org"},
        "created_username": "Ann ann@example.org, 3",
    }
    (native,) = natives("label-studio", [row])
    assert "ann@example.org" not in json.dumps(native)


def test_label_studio_predictions_are_a_models_and_cancelled_answers_are_none() -> None:
    said = result("pairwise", {"selected": "right"}, ["answer1", "answer2"])
    row = task(1, TWO, [said], predictions=[{"model_version": "m7", "result": [said]}])
    row["annotations"][0]["was_cancelled"] = True
    (native,) = natives("label-studio", [row])
    (judge,) = native["annotations"]
    assert (judge["annotator"], judge["kind"], judge["choice"]) == ("m7", "llm", 1)


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        *(("A", 0), ("Answer B", 1), ("2", 1), ("left", 0), ("model_b", 1), ("Tie", "tie")),
        *(("second", 1), ("both good", "tie"), ("neither", None), ("m-two", 1)),
    ],
)
def test_a_choice_in_a_table_can_be_written_in_many_ways(said: str, choice: Any) -> None:
    row = SAMPLES["table"][0] | {"Winner": said, "model_a": "m-one", "model_b": "m-two"}
    (native,) = natives("table", [row])
    assert native["annotations"][0]["choice"] == choice
    assert [response["model"] for response in native["responses"]] == ["m-one", "m-two"]


def test_columns_can_be_named() -> None:
    columns = {"prompt": "Frage", "response_1": "eins", "response_2": "zwei", "choice": "wer"}
    row = {"Frage": "Warum?", "eins": "Luft", "zwei": "Farbe", "wer": 2, "system": "Kurz."}
    (native,) = natives("table", [row], columns=columns)
    assert native["prompt"][0] == {"role": "system", "content": "Kurz."}
    assert winner(native) == "Farbe"
    assert misfit("table", {"x": 1}, columns=columns).startswith("Frage: is missing")
    assert misfit("table", row | {"wer": "perhaps"}, columns=columns).startswith(
        "wer: expected one"
    )


@pytest.mark.parametrize("name", ["argilla", "label-studio", "table"])
def test_a_column_that_is_not_there_is_named(name: str) -> None:
    for columns in ({"prompt": "nowhere"}, {"response_1": "nowhere", "response_2": "else"}):
        assert "nowhere" in misfit(name, SAMPLES[name][0], columns=columns)


def test_a_model_can_be_named_as_the_author_of_answers() -> None:
    (native, *_) = natives("trl-preference", llm="judge-7b")
    assert native["annotations"][0]["annotator"] == "judge-7b"
    assert native["annotations"][0]["kind"] == "llm"
