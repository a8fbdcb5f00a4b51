"""Annotated files: what each kind of annotation says, and what is wrong with a bad line."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from learning.errors import BadFile, NotEnoughData
from learning.replay.corpus import collect, read, stem
from learning.replay.files import Item, answers_of, read_items
from tests.learning.replayed import line, write


def said(annotation, responses):
    return list(answers_of(annotation, responses))


def test_a_choice_puts_one_above_all_others_and_says_nothing_of_these():
    third = 1 / 3
    assert said({"choice": 1}, 4) == [(0, 1, -1, third), (1, 2, 1, third), (1, 3, 1, third)]


def test_a_tie_is_between_two_only():
    assert said({"choice": "tie"}, 2) == [(0, 1, 0, 1.0)]
    assert said({"choice": "tie"}, 3) == []


def test_a_ranking_orders_every_two_and_comes_before_the_choice():
    ranked = {"choice": 2, "ranking": [3, 1, 1]}
    assert said(ranked, 3) == [(0, 1, -1, 0.5), (0, 2, -1, 0.5), (1, 2, 0, 0.5)]


def test_responses_without_a_rank_are_left_out():
    assert said({"ranking": [2, None, 1]}, 3) == [(0, 2, -1, 1.0)]


def test_ratings_count_where_nobody_chose_by_overall_or_else_the_first():
    several = {"choice": None, "ratings": {"correct": [9, 1], "overall": [1, 9]}}
    assert said(several, 2) == [(0, 1, -1, 1.0)]
    assert said({"ratings": {"taste": [7, 7, None]}}, 3) == [(0, 1, 0, 1.0)]
    assert said({"choice": 0, "ratings": {"overall": [1, 9]}}, 2) == [(0, 1, 1, 1.0)]


def test_of_a_penalty_less_is_better():
    assert said({"ratings": {"mqm_penalty": [8.1, 0.0]}}, 2) == [(0, 1, -1, 1.0)]


def test_an_annotation_that_compares_nothing_gives_nothing():
    assert said({"choice": None}, 2) == []
    assert said({"choice": 0}, 1) == []


def test_judges_stand_apart_and_gzip_is_read_as_well(tmp_path):
    judge = {"kind": "llm", "annotator": "m", "choice": 1}
    row = line("a", [0, judge, {"choice": "tie"}], subset="part")
    path = tmp_path / "x.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n" + json.dumps(row) + "\n")
    (item,) = read_items(path)
    assert [outcome for _, _, outcome, _ in item.answers] == [1, 0]
    assert item.judged == (("m", (0, 1, -1, 1.0)),)
    assert item.subset == "part"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"annotations": [{"choice": 2}]}, "annotations[0].choice"),
        ({"annotations": [{"choice": True}]}, "annotations[0].choice"),
        ({"annotations": [{"ranking": [1]}]}, "annotations[0].ranking"),
        ({"annotations": [{"ratings": {"x": [1, "2"]}}]}, "annotations[0].x"),
        ({"annotations": {"choice": 0}}, "annotations"),
        ({"responses": ["one", "two"]}, "responses"),
        ({"prompt": [{"role": "user"}]}, "prompt"),
        ({"group": 7}, "group"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_field(tmp_path, change, field):
    path = write(tmp_path / "bad.jsonl", [line("a", [0]), {**line("b", [0]), **change}])
    with pytest.raises(BadFile) as refused:
        list(read_items(path))
    assert f"bad.jsonl, line 2, {field}:" in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"{", b"[1]\n", b'{"x": NaN}\n', b"\xff\xfe", b"\x1f\x8bnot gzip"]
)
def test_what_is_no_json_lines_is_refused(tmp_path, content):
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=r"x\.jsonl"):
        list(read_items(path))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadFile, match="No such file"):
        list(read_items(tmp_path / "nowhere.jsonl"))


def test_the_name_of_a_file_is_its_stem():
    assert stem(Path("data/tulu1.jsonl.gz")) == "tulu1"


# --- the corpus ---------------------------------------------------------------------------


def items(*rows):
    return [Item(prompt, "", group, texts, answers) for prompt, group, texts, answers in rows]


def test_a_response_that_recurs_in_its_prompt_is_one_row():
    corpus = collect(
        items(
            ("p", "", ("a", "b"), ((0, 1, 1, 1.0),)),
            ("p", "", ("b", "c"), ((0, 1, 1, 1.0),)),
            ("q", "", ("a", "b"), ((0, 1, 1, 1.0),)),
        ),
        name="x",
    )
    assert corpus.texts == ("a", "b", "c", "a", "b")
    assert corpus.owner.tolist() == [0, 0, 0, 1, 1]
    assert corpus.pairs.tolist() == [[0, 1], [1, 2], [3, 4]]


def test_answers_about_the_same_pair_are_gathered_whatever_the_order():
    corpus = collect(
        items(
            ("p", "", ("a", "b"), ((0, 1, 1, 1.0),)),
            ("p", "", ("c", "d"), ((0, 1, 0, 0.5),)),
            ("p", "", ("b", "a"), ((0, 1, 1, 1.0), (0, 1, 0, 1.0))),
        ),
        name="x",
    )
    assert corpus.pairs.tolist() == [[0, 1], [2, 3]]
    assert corpus.answers.count.tolist() == [3, 1]
    assert corpus.answers.outcome.tolist() == [1, -1, 0, 0]
    assert corpus.answers.pair.tolist() == [0, 0, 0, 1]
    assert corpus.answers.weight.tolist() == [1, 1, 1, 0.5]


def test_equal_texts_are_not_compared():
    with pytest.raises(NotEnoughData, match="nobody compared"):
        collect(items(("p", "", ("a", "a"), ((0, 1, 1, 1.0),))), name="x")


def test_a_prompt_and_its_context_are_one_prompt():
    with_context = [Item("p", context, "", ("a", "b"), ((0, 1, 1, 1.0),)) for context in ("x", "y")]
    assert collect(with_context, name="x").owner.tolist() == [0, 0, 1, 1]


def told(key, entropy, *, model="tiny", longest=8, prompt=None):
    figures = {"model": model, "max_new_tokens": longest, "entropy_per_token": entropy}
    return line(key, [0], prompt=prompt, meta={"language_features": figures})


def test_a_language_model_may_have_told_how_open_prompts_are(tmp_path):
    rows = [told("a", 1.0, prompt="p"), told("b", 2.0, prompt="p"), line("c", [0]), told("d", 0)]
    corpus = read(write(tmp_path / "x.jsonl", [*rows, told("e", None)]))
    np.testing.assert_array_equal(corpus.prompt_entropy, [1.5, np.nan, 0.0, np.nan])


def test_entropies_of_two_models_are_not_mixed(tmp_path):
    rows = [told("a", 9.0, model="large"), told("b", 1.0), told("c", 2.0), told("d", 3, longest=9)]
    corpus = read(write(tmp_path / "x.jsonl", rows))
    np.testing.assert_array_equal(corpus.prompt_entropy, [np.nan, 1.0, 2.0, np.nan])


def test_a_file_without_entropies_has_none(tmp_path):
    rows = [line("a", [0]), line("b", [0], meta={"language_features": {"model": "tiny"}})]
    assert read(write(tmp_path / "x.jsonl", rows)).prompt_entropy is None


@pytest.mark.parametrize("entropy", [-1, "high", True])
def test_an_entropy_that_is_none_is_named(tmp_path, entropy):
    file = write(tmp_path / "x.jsonl", [line("a", [0]), told("b", entropy)])
    with pytest.raises(BadFile, match=r"line 2, meta\.language_features\.entropy_per_token: "):
        read(file)


def test_groups_that_share_a_prompt_are_one_group():
    win = ((0, 1, 1, 1.0),)
    corpus = collect(
        items(
            ("p", "g1", ("a", "b"), win),
            ("p", "g2", ("c", "d"), win),
            ("q", "g2", ("a", "b"), win),
            ("r", "g3", ("a", "b"), win),
        ),
        name="x",
    )
    first, second, third, other = corpus.group.tolist()
    assert first == second == third != other
    assert corpus.notes == ()


def test_one_prompt_for_all_keeps_the_groups_of_the_file_and_says_so():
    win = ((0, 1, 1, 1.0),)
    corpus = collect(items(("p", "g1", ("a", "b"), win), ("p", "g2", ("b", "c"), win)), name="x")
    assert len(np.unique(corpus.group)) == 2
    assert "share one prompt" in corpus.notes[0]


def test_a_whole_file_is_read(tmp_path):
    rows = [line("a", [0, 1], group="g"), line("b", ["tie"], texts=("x", "y"))]
    corpus = read(write(tmp_path / "some.file.jsonl", rows))
    assert corpus.name == "some"
    assert corpus.answers.outcome.tolist() == [1, -1, 0]
