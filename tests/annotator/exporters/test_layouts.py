"""Rows of each format as the consumer reads them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from annotator.exporters import FORMATS, SELECTION, ExportOptions
from annotator.exporters.base import Prompt, Text
from annotator.exporters.edit_pairs import differences
from annotator.exporters.options import listed
from annotator.services.containers import arrow_schema
from tests.answered import context, made, question, said, texts

A, B, TIE = [[1], [2]], [[2], [1]], [[1, 2]]
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
EDIT = Text(7, 1, "first, edited", "", 1, {})
RATED = {"rate": {"ratings": {"helpfulness": {"1": 4, "2": 1}, "overall": {"1": 3, "2": 0}}}}


def test_margin_and_weight_are_there_only_when_wanted() -> None:
    asked = question(said("ada", A, strength=3))
    assert set(made("trl-preference", asked)[0]) == {"prompt", "chosen", "rejected"}
    (row,) = made("trl-preference", asked, margin="strength", weights="propensity")
    assert (row["margin"], row["weight"]) == (3.0, 2.0)


def test_a_tie_both_ways_has_no_margin_and_half_the_weight() -> None:
    rows = made("reward-pairs", question(said("ada", TIE)), ties="both")
    assert [(r["chosen"], r["margin"], r["weight"], r["tie"]) for r in rows] == [
        ("first", 0.0, 0.5, True),
        ("second", 0.0, 0.5, True),
    ]


def test_an_implicit_prompt_stands_in_front_of_each_response() -> None:
    (row,) = made("trl-preference", question(said("ada", A)), prompts="implicit")
    assert row == {"chosen": "Why?\n\nfirst", "rejected": "Why?\n\nsecond"}


def test_equal_texts_of_two_models_are_no_pair() -> None:
    known = context()
    same = question(said("ada", A), responses=texts("same", "same"))
    assert list(FORMATS["trl-preference"].make(same, known)) == []
    assert known.left_out == {"pairs of equal texts": 1}


def test_one_chat_makes_every_prompt_of_a_file_a_chat() -> None:
    (row,) = made("trl-preference", question(said("ada", A)), chat=True)
    assert row["prompt"] == [{"role": "user", "content": "Why?"}]
    assert row["chosen"] == [{"role": "assistant", "content": "first"}]


def test_pairs_of_a_ranking_share_a_group_and_a_weight() -> None:
    three = question(said("ada", [[1], [2], [3]]), responses=texts("a", "b", "c"))
    rows = made("reward-pairs", three)
    assert [(r["chosen"], r["rejected"]) for r in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert {(r["weight"], r["group_id"]) for r in rows} == {(0.5, "item:1")}


def test_across_prompts_a_pair_needs_its_prompts_in_front() -> None:
    other = Prompt(2, "q" * 32, "How?", "", False)
    responses = [*texts("first"), Text(2, 2, "second", "", None, {})]
    asked = question(said("ada", A), responses=responses)
    asked.prompts = {1: asked.prompt, 2: other}
    assert made("trl-preference", asked) == []
    (row,) = made("trl-preference", asked, prompts="implicit")
    assert row == {"chosen": "Why?\n\nfirst", "rejected": "How?\n\nsecond"}
    (row,) = made("openrlhf", asked)
    assert row["rejected"][0]["content"] == "How?"
    assert [r["prompt"] for r in made("trl-unpaired", asked)] == ["Why?", "How?"]


def test_openrlhf_has_whole_conversations_and_a_margin() -> None:
    asked = question(said("ada", A, strength=1), prompt=Prompt(1, "p" * 32, CHAT, "", False))
    (row,) = made("openrlhf", asked, chat=True)
    assert row["chosen"] == [*CHAT, {"role": "assistant", "content": "first"}]
    assert row["margin"] == 1.0


def test_rankings_name_the_annotator_and_share_a_group() -> None:
    rows = made("ranking", question(said("ada", A), said("ben", TIE)))
    assert [(r["annotator_id"], r["ranks"], r["group_id"]) for r in rows] == [
        ("ada", [1, 2], "item:1"),
        ("ben", [1, 1], "item:1"),
    ]
    (row,) = made("ranking", question(said("ada", B), said("ben", B)), consensus="majority")
    assert (row["annotator_id"], row["ranks"]) == (None, [2, 1])


def test_helpsteer_has_a_column_for_each_aspect_and_rounds_the_mean() -> None:
    other = {"rate": {"ratings": {"helpfulness": {"1": 1, "2": 1}}}}
    asked = question(said("ada", A, details=RATED), said("ben", A, details=other))
    known = context("helpsteer")
    known.aspects = ("helpfulness", "overall")
    rows = [row for row, _ in FORMATS["helpsteer"].make(asked, known)]
    assert rows[0] == {"prompt": "Why?", "response": "first", "helpfulness": 3, "overall": 3}
    assert rows[1]["helpfulness"] == 1


def test_imported_marks_count_and_the_line_of_good_enough_is_none() -> None:
    extra = {"ratings": {"helpfulness": [2.5, None], "acceptable": [1, 0]}}
    known = context("helpsteer")
    known.aspects = ("helpfulness",)
    asked = question(said("ada", A, via="import", extra=extra))
    rows = [row for row, _ in FORMATS["helpsteer"].make(asked, known)]
    assert rows == [{"prompt": "Why?", "response": "first", "helpfulness": 2.5}]


def test_ultrafeedback_has_marks_by_aspect_and_an_overall_score() -> None:
    known = context("ultrafeedback")
    known.aspects = ("helpfulness", "overall")
    asked = question(said("ada", A, details=RATED, rationale="Clear."))
    ((row, _),) = FORMATS["ultrafeedback"].make(asked, known)
    first = row["completions"][0]
    assert row["models"] == ["model-1", "model-2"]
    assert (first["overall_score"], first["critique"]) == (3.0, "Clear.")
    assert first["annotations"] == {
        "helpfulness": {
            "Rating": "4",
            "Rationale": "",
            "Type": None,
            "Rationale For Rating": None,
        }
    }
    assert row["marked_by"] == "people"


def test_ultrafeedback_names_the_judges_that_gave_marks() -> None:
    known = context("ultrafeedback", judges="in")
    known.aspects = ("helpfulness",)
    both = [said(who, A, details=RATED) for who in ("judge", "ada")]
    ((row, _),) = FORMATS["ultrafeedback"].make(question(*both), known)
    assert row["marked_by"] == "people, judge"


def test_sft_takes_the_edit_else_the_best_that_is_good_enough() -> None:
    assert made("sft", question(said("ada", A)))[0]["completion"] == "first"
    edited = question(said("ada", [[7], [1]]), edits=[EDIT])
    assert made("sft", edited) == [
        {"prompt": "Why?", "completion": "first, edited", "kind": "edit"}
    ]
    assert made("sft", question(said("ada", A, acceptable=0))) == []
    assert made("sft", question(said("ada", TIE))) == []


def test_edit_pairs_mark_what_was_changed() -> None:
    details = {"edit": {"of": 1, "reasons": ["tone"]}}
    (row,) = made("edit-pairs", question(said("ada", [[7], [1]], details=details), edits=[EDIT]))
    assert [row["chosen"][a:b] for a, b in row["chosen_spans"]] == [", edited"]
    assert (row["rejected_spans"], row["reasons"]) == ([], ["tone"])
    assert row["weight"] == 1.0


@pytest.mark.parametrize(
    ("old", "new", "gone", "came"),
    [
        ("a red fox", "a blue fox", ["red"], ["blue"]),
        ("one two", "one  two", [" "], ["  "]),
        ("grün 😀", "grün 😀!", [], ["!"]),
        ("", "all new", [], ["all new"]),
    ],
    ids=["replaced", "spaces", "beyond-the-basic-plane", "from-nothing"],
)
def test_spans_are_the_characters_that_only_one_has(
    old: str, new: str, gone: list[str], came: list[str]
) -> None:
    lost, made_, distance = differences(old, new)
    assert [old[a:b] for a, b in lost] == gone
    assert [new[a:b] for a, b in made_] == came
    assert 0 < distance <= 1
    assert differences(new, new) == ([], [], 0.0)


# Argilla 2.8: `Record.from_dict`, `Settings.from_json` and its models of questions and fields.
ARGILLA_RECORD = {
    "type": "object",
    "required": ["id", "fields", "responses"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "fields": {"type": "object", "additionalProperties": {"type": ["string", "array"]}},
        "metadata": {"type": "object"},
        "vectors": {"type": "object"},
        "suggestions": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["value"],
                "properties": {"value": {}, "score": {}, "agent": {"type": ["string", "null"]}},
                "additionalProperties": False,
            },
        },
        "responses": {
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["value", "user_id", "status"],
                    "properties": {
                        "value": {},
                        "user_id": {"type": "string", "pattern": "^[0-9a-f-]{36}$"},
                        "status": {"enum": ["draft", "submitted", "discarded"]},
                    },
                    "additionalProperties": False,
                },
            },
        },
    },
}


def full(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """One question with everything, in a tool's format, and what stands beside it."""
    known = context(name, judges="in", include_skips=True)
    known.aspects, known.most = ("helpfulness", "overall"), 3
    three = [[1], [2, 3]]
    asked = question(
        said("ada", three, details=RATED, strength=2, rationale="Clear."),
        said("ben", None, outcome="skip"),
        said("judge", three),
        responses=texts("a", "b", "c"),
    )
    ((row, _),) = FORMATS[name].make(asked, known)
    beside = FORMATS[name].companions
    assert beside is not None
    return row, beside(known, "Be fair.")


def test_argilla_records_fit_their_schema_and_settings() -> None:
    row, beside = full("argilla")
    jsonschema.validate(row, ARGILLA_RECORD)
    settings = json.loads(beside["settings.json"])
    kinds = {one["name"]: one["settings"]["type"] for one in settings["questions"]}
    assert set(row["fields"]) <= {one["name"] for one in settings["fields"]}
    assert set(row["responses"]) | set(row["suggestions"]) <= set(kinds)
    assert row["responses"]["ranking-3"][0]["value"] == [
        {"value": "response-1", "rank": 1},
        {"value": "response-2", "rank": 2},
        {"value": "response-3", "rank": 2},
    ]
    assert [one["status"] for one in row["responses"]["outcome"]] == ["submitted", "discarded"]
    assert row["suggestions"]["outcome"]["agent"] == "judge"
    assert settings["guidelines"] == "Be fair."


# labelstud.io/guide/task_format, and the values of the tags that config.xml names.
RESULT = {
    "type": "object",
    "required": ["id", "from_name", "to_name", "type", "value"],
    "properties": {
        "type": {"enum": ["choices", "pairwise", "ranker", "rating", "number", "textarea"]},
        "value": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {
                "choices": {"type": "array", "items": {"type": "string"}},
                "selected": {"enum": ["left", "right"]},
                "ranker": {"type": "object", "additionalProperties": {"type": "array"}},
                "rating": {"type": "integer", "minimum": 1},
                "number": {"type": "number"},
                "text": {"type": "array", "items": {"type": "string"}},
            },
            "additionalProperties": False,
        },
    },
}
LABEL_STUDIO_TASK = {
    "type": "object",
    "required": ["data", "annotations"],
    "properties": {
        "data": {"type": "object"},
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["result", "was_cancelled"],
                "properties": {
                    "result": {"type": "array", "items": RESULT},
                    "was_cancelled": {"type": "boolean"},
                    "ground_truth": {"type": "boolean"},
                    "lead_time": {"type": ["number", "null"]},
                },
            },
        },
        "predictions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["result"],
                "properties": {"result": {"type": "array", "items": RESULT}},
            },
        },
    },
}


def test_label_studio_tasks_fit_their_schema_and_configuration() -> None:
    row, beside = full("label-studio")
    jsonschema.validate(row, LABEL_STUDIO_TASK)
    results = [one for part in row["annotations"] for one in part["result"]]
    for one in results:
        assert f'name="{one["from_name"]}"' in beside["config.xml"]
        assert all(f'name="{of}"' in beside["config.xml"] for of in one["to_name"].split(","))
    (ranked,) = [one["value"]["ranker"] for one in results if one["type"] == "ranker"]
    assert ranked == {"rank1": ["answer1"], "rank2": ["answer2", "answer3"]}
    assert [part["was_cancelled"] for part in row["annotations"]] == [False, True]


def test_label_studio_keeps_the_side() -> None:
    (row,) = made("label-studio", question(said("ada", B)))
    (pair,) = [r for r in row["annotations"][0]["result"] if r["type"] == "pairwise"]
    assert (pair["to_name"], pair["value"]) == ("answer1,answer2", {"selected": "right"})
    assert (row["data"]["answer1"], row["data"]["answer2"]) == ("first", "second")


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("chat", [False, True], ids=["text", "chat"])
def test_rows_have_just_the_columns_that_are_stated(name: str, chat: bool) -> None:
    import pyarrow

    options = {"weights": "propensity"} if "weights" in FORMATS[name].heeds else {}
    known = context(name, chat=chat, **options)
    known.aspects = ("helpfulness", "overall")
    asked = question(
        said("ada", [[7], [1], [2]], details=RATED), edits=[EDIT],
        prompt=Prompt(1, "p" * 32, CHAT if chat else "Why?", "", False),
    )  # fmt: skip
    rows = [row for row, _ in FORMATS[name].make(asked, known)]
    assert rows
    columns = FORMATS[name].columns
    if columns is None:
        return
    schema = arrow_schema(columns(known))
    assert all(list(row) == schema.names for row in rows)
    assert pyarrow.Table.from_pylist(rows, schema=schema).to_pylist() == rows


def test_every_option_is_heeded_by_some_format_and_known_to_it() -> None:
    names = {one.name for one in listed()}
    heeded = SELECTION.union(*(one.heeds for one in FORMATS.values()))
    assert heeded == names
    assert ExportOptions().changed() == {}
