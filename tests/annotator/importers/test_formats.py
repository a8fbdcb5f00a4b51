"""Each format: recognised as itself only, and what it says is what is stored."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.importers import IMPORTERS, base, detect
from annotator.importers.base import Reading, Source
from annotator.services.native import parse_row
from config.env import BASE_DIR
from tests.annotator.importers.reading import misfit, natives, texts, units, winner
from tests.foreign import BAD, FLAT_TREE, GOOD, SAMPLES, USER

Row = dict[str, Any]
FORMATS = list(IMPORTERS)


def test_there_is_a_sample_of_every_format() -> None:
    assert set(SAMPLES) == set(IMPORTERS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_recognised_as_itself_only(name: str) -> None:
    found = detect(SAMPLES[name])
    assert found is not None
    assert found.name == name
    for row in SAMPLES[name]:
        taken = {one.name for one in IMPORTERS.values() if one.recognises(row)}
        assert taken - {"table"} == {name} - {"table"}


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_format_gives_is_a_valid_native_row_with_a_stable_id(name: str) -> None:
    made = natives(name)
    assert made
    for native in made:
        raw = json.dumps(native)
        row, problems = parse_row(1, json.loads(raw), raw, longest=1000, fewest=1)
        assert problems == []
        assert row is not None
    assert [one["id"] for one in made] == [one["id"] for one in natives(name)]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_explained_where_imports_are(name: str) -> None:
    page = (BASE_DIR / "docs" / "how-to" / "import.md").read_text(encoding="utf-8")
    about = IMPORTERS[name].about.replace("<extra_id_1>", "`<extra_id_1>`")
    assert f"| `{name}` | **{IMPORTERS[name].title}.** {about} |" in page


# --- anything at all in any field -----------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any) -> Iterator[Callable[[Any, Any], None]]:
    """For each place inside a value, what puts something else there."""

    def at(path: list[Any]) -> Callable[[Any, Any], None]:
        def put(root: Any, new: Any) -> None:
            for step in path[:-1]:
                root = root[step]
            if new is DROP:
                del root[path[-1]]
            else:
                root[path[-1]] = new

        return put

    waiting: list[tuple[Any, list[Any]]] = [(value, [])]
    while waiting:
        here, path = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here))
        for key in keys:
            yield at([*path, key])
            if isinstance(here[key], dict | list):
                waiting.append((here[key], [*path, key]))


DROP = object()


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60)
@given(data=st.data())
def test_anything_in_any_place_is_converted_or_named_never_a_crash(name: str, data: Any) -> None:
    rows = copy.deepcopy(SAMPLES[name])
    row = data.draw(st.sampled_from(rows))
    put = data.draw(st.sampled_from(list(places(row))))
    put(row, data.draw(st.just(DROP) | JSON))
    for unit in units(name, rows):
        if unit.misfit is not None:
            source, problem = unit.misfit
            assert 1 <= source.line <= len(rows)
            assert problem.field
            assert problem.message.startswith(("expected", "is missing"))
        for made in unit.made:
            raw = json.dumps(made.native)
            parse_row(1, json.loads(raw), raw, longest=1000, fewest=1)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60)
@given(row=st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_recognising_survives_any_row(name: str, row: Row) -> None:
    IMPORTERS[name].recognises(row)


# --- TRL ------------------------------------------------------------------------------------


def test_trl_pairs_keep_prompt_winner_and_margin_in_all_four_shapes() -> None:
    chat, text, implicit_chat, implicit_text = natives("trl-preference")
    assert chat["prompt"] == implicit_chat["prompt"] == [USER]
    assert winner(chat) == winner(implicit_chat) == GOOD["content"]
    assert chat["annotations"][0]["strength"] == 2
    assert (text["prompt"], winner(text)) == ("The sky is", " blue.")
    assert (implicit_text["prompt"], winner(implicit_text)) == ("The sky is", " blue.")


def test_the_order_of_a_pair_says_nothing_about_who_won() -> None:
    pairs = [{"prompt": f"{n}", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(60)]
    first = sum(
        native["annotations"][0]["choice"] == 0 for native in natives("trl-preference", pairs)
    )
    assert 15 < first < 45


def test_two_judgements_of_one_pair_are_one_item() -> None:
    pair = {"prompt": "p", "chosen": "a", "rejected": "b"}
    one, other = natives("trl-preference", [pair, {**pair, "chosen": "b", "rejected": "a"}])
    assert (one["id"], texts(one)) == (other["id"], texts(other))
    assert {winner(one), winner(other)} == {"a", "b"}


def test_system_turns_stay_and_calls_of_tools_are_shown_and_kept() -> None:
    call = {"type": "function", "function": {"name": "look", "arguments": {"at": "sky"}}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    told = {"role": "tool", "content": "blue", "name": "look"}
    system = {"role": "system", "content": "Be short."}
    prompt = [system, USER, asked, told]
    row = {"prompt": prompt, "chosen": [GOOD], "rejected": [BAD], "tools": [{"name": "look"}]}
    (native,) = natives("trl-preference", [row])
    assert native["prompt"][0] == system
    assert '"name": "look"' in native["prompt"][2]["content"]
    assert native["meta"] == {"tools": [{"name": "look"}], "prompt": prompt}


@pytest.mark.parametrize("prompt", [USER["content"], [USER], None])
def test_a_prompt_that_both_sides_repeat_is_there_once(prompt: Any) -> None:
    system = {"role": "system", "content": "Be short."}
    for before in ([], [system]):
        row = {"chosen": [*before, USER, GOOD], "rejected": [*before, USER, BAD]}
        (native,) = natives("trl-preference", [row | ({"prompt": prompt} if prompt else {})])
        single = isinstance(prompt, str) and not before
        assert native["prompt"] == (prompt if single else [*before, USER])
        assert sorted(texts(native)) == sorted([GOOD["content"], BAD["content"]])


def test_several_turns_of_one_side_are_one_response_and_kept() -> None:
    more = [GOOD, {"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Yes."}]
    (native,) = natives("trl-preference", [{"prompt": [USER], "chosen": more, "rejected": [BAD]}])
    assert winner(native) == f"{GOOD['content']}\n\n**User:** Sure?\n\n**Assistant:** Yes."
    assert next(r for r in native["responses"] if "messages" in r)["messages"] == more


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chosen": 3}, "chosen: expected text or a list of {role, content}, got a number"),
        ({"rejected": "x"}, "rejected: expected a list, as chosen is, got text 'x'"),
        (
            {"chosen": [GOOD, {"role": "bot", "content": "x"}]},
            "chosen[1].role: expected system, user, assistant or tool, got 'bot'",
        ),
        ({"chosen": [{"role": "user"}]}, "chosen[0].content: is missing; expected text"),
        ({"chosen": []}, "chosen: expected at least one message, got an empty list"),
        ({"prompt": 7}, "prompt: expected text or a list of {role, content}, got a number"),
        ({"margin": "big"}, "margin: expected a number"),
        ({"prompt": None}, "prompt: is missing"),
    ],
)
def test_a_misfit_of_a_pair_names_its_field(change: Row, said: str) -> None:
    assert misfit("trl-preference", SAMPLES["trl-preference"][0] | change).startswith(said)


def test_completions_of_a_prompt_come_together_however_they_are_mixed() -> None:
    rows = [{"prompt": f"p{n}", "completion": f"good {n}", "label": True} for n in range(50)]
    rows += [{"prompt": f"p{n}", "completion": f"bad {n}", "label": "false"} for n in range(50)]
    made = natives("trl-unpaired", rows)
    assert [texts(native) for native in made] == [[f"good {n}", f"bad {n}"] for n in range(50)]
    assert made[0]["annotations"][0]["ratings"] == {"acceptable": [1, 0]}
    assert made[0]["annotations"][0]["choice"] is None


def test_long_rows_wait_for_fewer_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MOST_HELD", 500)
    rows = [{"prompt": f"p{n}", "completion": "x" * 100, "label": True} for n in range(20)]
    waiting = IMPORTERS["trl-unpaired"].convert(
        (Source(n, row) for n, row in enumerate(rows, start=1)), Reading()
    )
    first = next(waiting)
    assert first.sources[0].line == 1
    assert sum(1 for _ in waiting) == 19


def test_groups_end_at_ten_and_go_on_in_another() -> None:
    rows = [{"prompt": "p", "completion": f"c{n}", "label": True} for n in range(23)]
    assert [len(texts(native)) for native in natives("trl-unpaired", rows)] == [10, 10, 3]


def test_a_second_label_of_a_completion_is_a_second_answer() -> None:
    rows = [{"prompt": "p", "completion": c, "label": x} for c, x in (("a", 1), ("a", 0), ("b", 1))]
    (native,) = natives("trl-unpaired", rows)
    assert [said["ratings"]["acceptable"] for said in native["annotations"]] == [[1, 1], [0, None]]


def test_a_lonely_completion_is_an_item_of_one() -> None:
    (native,) = natives("trl-unpaired", SAMPLES["trl-unpaired"][:1])
    assert native["task"] == "rating"


def test_ranks_follow_their_completions() -> None:
    (native,) = natives("ranking")
    said = native["annotations"][0]
    assert dict(zip(texts(native), said["ranking"], strict=True)) == {
        "Air.": 2,
        "Paint.": 3,
        "Scattering.": 1,
    }
    assert (said["annotator"], native["group"]) == ("a1", "g1")
    short = SAMPLES["ranking"][0] | {"ranks": [1]}
    assert misfit("ranking", short) == "ranks: expected 3 ranks, got 1"
    half = SAMPLES["ranking"][0] | {"ranks": [1, 1.5, 2]}
    assert misfit("ranking", half).startswith("ranks[1]: expected a whole number")


# --- data sets ------------------------------------------------------------------------------


def test_transcripts_share_their_prompt_up_to_the_last_question() -> None:
    (native,) = natives("hh-rlhf")
    assert [turn["content"] for turn in native["prompt"]] == [
        "Why is the sky blue?",
        "Do you want it short?",
        "Yes.",
    ]
    assert winner(native) == "Air scatters blue light."
    parted = {
        "chosen": "\n\nHuman: Hi\n\nAssistant: A\n\nHuman: More?\n\nAssistant: B",
        "rejected": "\n\nHuman: Hi\n\nAssistant: C",
    }
    (native,) = natives("hh-rlhf", [parted])
    assert winner(native) == "A\n\n**User:** More?\n\n**Assistant:** B"
    other = {"chosen": parted["chosen"], "rejected": "\n\nHuman: Bye\n\nAssistant: C"}
    assert "the same question" in misfit("hh-rlhf", other)


def test_ratings_of_one_prompt_are_one_answer_about_two_responses() -> None:
    (native,) = natives("helpsteer2")
    said = native["annotations"][0]
    assert texts(native) == ["Air.", "Paint."]
    assert said["ratings"]["helpfulness"] == [4, 1]
    assert next(iter(said["ratings"])) == "helpfulness"
    bad = SAMPLES["helpsteer2"][0] | {"coherence": 9}
    assert misfit("helpsteer2", bad) == "coherence: expected a number from 0 to 4, got 9"
    turns = SAMPLES["helpsteer2"][0] | {
        "prompt": "Hi\n<extra_id_1>Assistant\nHello\n<extra_id_1>User\nWhy?"
    }
    (native,) = natives("helpsteer2", [turns])
    assert native["prompt"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Why?"},
    ]


def test_each_person_of_a_helpsteer_preference_answers() -> None:
    (native,) = natives("helpsteer2-preference")
    said = native["annotations"]
    assert [(one["choice"], one["strength"]) for one in said] == [(0, 2), (0, 3), ("tie", 0)]
    assert said[0]["rationale"] == "Response 1 is better. True."
    assert (native["split"], native["meta"]["split"]) == ("test", "val")
    assert native["meta"]["preference_strength"] == -2
    alone = {
        key: value
        for key, value in SAMPLES["helpsteer2-preference"][0].items()
        if not key.startswith(("three", "all"))
    }
    (native,) = natives("helpsteer2-preference", [alone])
    assert [one["strength"] for one in native["annotations"]] == [2]
    (native,) = natives("helpsteer3")
    assert winner(native) == "Paint."
    assert native["annotations"][0]["meta"]["feedback1"] == "dull"


def test_ultrafeedback_is_a_models_and_its_misread_ten_is_a_one() -> None:
    (native,) = natives("ultrafeedback")
    said = native["annotations"][0]
    assert (said["kind"], said["annotator"]) == ("llm", "gpt-4")
    assert said["ratings"]["overall"] == [1, 8.5]
    assert said["ratings"]["honesty"] == [1, 5]
    assert said["rationale"] == "[1] Worth 10.\n[2] Worth 8.5."
    assert native["responses"][0]["custom_system_prompt"] == "Be helpful."
    (native,) = natives("ultrafeedback-binarized")
    assert (winner(native), native["annotations"][0]["strength"]) == (GOOD["content"], 5.5)
    assert native["prompt"] == USER["content"]
    assert native["meta"] == {"prompt_id": "p1"}
    swapped = SAMPLES["ultrafeedback-binarized"][0] | {"score_chosen": 1}
    assert misfit("ultrafeedback-binarized", swapped).startswith("score_chosen: expected at least")


def test_multipref_keeps_every_person() -> None:
    (native,) = natives("multipref")
    said = [(a["annotator"], a["choice"], a["strength"]) for a in native["annotations"]]
    assert said == [("w1", 0, 2), ("w2", "tie", 0), ("e1", 1, 1)]
    assert [a["meta"]["level"] for a in native["annotations"]] == ["normal", "normal", "expert"]
    assert native["annotations"][1]["time_s"] == 60.5
    wrong = SAMPLES["multipref"][0] | {"normal_worker_annotations": [{"overall_pref": "maybe"}]}
    assert misfit("multipref", wrong).startswith(
        "normal_worker_annotations[0].overall_pref: expected one of A-is-clearly-better"
    )


def test_the_arena_tells_ties_from_both_bad() -> None:
    said = [native["annotations"][0] for native in natives("arena")]
    assert [one["choice"] for one in said] == [0, 1, "tie", None]
    assert said[3]["ratings"] == {"acceptable": [0, 0]}
    (native,) = natives("arena-55k")
    assert native["prompt"] == [USER]
    assert winner(native) == "Air.\n\n**User:** And at dusk?\n\n**Assistant:** More air."
    both = SAMPLES["arena-55k"][0] | {"winner_tie": 1}
    assert "exactly one of the three" in misfit("arena-55k", both)
    model = SAMPLES["arena"][0] | {"judge": "gpt4_pair"}
    assert natives("arena", [model])[0]["annotations"][0]["kind"] == "llm"


@pytest.mark.parametrize("name", ["oasst", "oasst-messages"])
def test_replies_that_were_ranked_become_an_item(name: str) -> None:
    (native,) = natives(name)
    assert (native["id"], native["group"]) == ("m1", "m1")
    assert texts(native) == ["Air scatters blue light.", "It is painted."]
    assert native["annotations"][0]["ranking"] == [1, 2]


def test_a_message_without_its_tree_is_named() -> None:
    assert misfit("oasst-messages", FLAT_TREE[3]).startswith("parent_id: expected one first")
