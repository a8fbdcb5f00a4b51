"""Checks of texts before an export: prompts that resemble each other, and known passages."""

from __future__ import annotations

import gzip
import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.curation import (
    contamination,
    duplicates,
    near_duplicates,
    read_documents,
)
from learning.curation._words import words
from learning.errors import BadFile, ConfigError

WORDS = [f"w{n}" for n in range(400)]


def rng(seed=0):
    return np.random.default_rng(seed)


def sentence(length, seed):
    return " ".join(rng(seed).choice(WORDS, length))


def overlap(a, b):
    """A second, obvious implementation of the overlap of runs of three words."""

    def runs(text):
        padded = ["<", "<", *words(text), ">", ">"]
        return {tuple(padded[i : i + 3]) for i in range(len(padded) - 2)}

    return len(runs(a) & runs(b)) / len(runs(a) | runs(b))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_near_duplicates_are_those_of_the_obvious_implementation(data):
    base = data.draw(st.lists(st.sampled_from(WORDS[:30]), min_size=1, max_size=40))
    texts = [" ".join(base)]
    for _ in range(data.draw(st.integers(1, 12))):
        changed = list(base)
        for _ in range(data.draw(st.integers(0, 4))):
            changed[data.draw(st.integers(0, len(base) - 1))] = data.draw(st.sampled_from(WORDS))
        texts.append(" ".join(changed))
    pairs, found = near_duplicates(texts)
    for (a, b), one in zip(pairs.tolist(), found.tolist(), strict=True):
        assert a < b
        assert one == pytest.approx(overlap(texts[a], texts[b]))
        assert one >= 0.7
    sure = {
        (a, b) for a, b in combinations(range(len(texts)), 2) if overlap(texts[a], texts[b]) > 0.9
    }
    assert sure <= {tuple(pair) for pair in pairs.tolist()}


def test_at_the_threshold_hardly_any_pair_is_missed():
    texts, wanted = [], 0
    for n in range(400):
        base = sentence(30, n).split()
        other = [*base]
        other[15] = "changed"
        texts += [" ".join(base), " ".join(other)]
        wanted += overlap(*texts[-2:]) >= 0.7
    assert wanted == 400
    assert len(near_duplicates(texts)[0]) >= 0.98 * wanted


def test_case_punctuation_and_width_do_not_count_and_empty_texts_are_equal():
    pairs, found = near_duplicates(["What IS it?", "what is it", "Ｗhat is it…", "", "?!"])
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 2], [3, 4]]
    assert found.tolist() == [1.0] * 4


def test_long_texts_are_compared_by_their_sketch():
    base = sentence(3000, 1).split()
    changed = [*base[:2900], *sentence(100, 2).split()]
    texts = [" ".join(base), " ".join(changed), sentence(3000, 3)]
    pairs, found = near_duplicates(texts)
    assert pairs.tolist() == [[0, 1]]
    assert found[0] == pytest.approx(overlap(*texts[:2]), abs=0.08)


def test_many_equal_prompts_do_not_cost_all_their_pairs():
    pairs, _ = near_duplicates(["the very same prompt again and again"] * 500)
    assert len(pairs) < 1500
    assert set(pairs.ravel().tolist()) == set(range(500))


def test_nothing_at_all_and_an_empty_band():
    assert len(near_duplicates([])[0]) == 0
    with pytest.raises(ConfigError, match="similar"):
        near_duplicates(["a"], similar=0)


PROMPTS = [
    "why is the sky blue in the morning and red in the evening, tell me please",
    "Why is the sky blue in the morning and red in the evening? Tell me please!",
    "how do I bake a large loaf of sourdough bread at home without a special oven",
    "How do I bake a large loaf of sourdough bread at home without a special oven?",
    "something else entirely",
]


def test_rows_near_a_held_out_prompt_go_and_of_others_one_group_stays():
    found = duplicates(
        PROMPTS,
        [True, False, False, False, False],
        ["a", "b", "c", "d", "e"],
        [1, 2, 2, 3, 4],
        [("x", "y"), ("x", "y"), ("x", "z"), ("x", "y"), ("x", "y")],
    )
    assert found.rows == 4
    assert found.drop.tolist() == [0, 3]  # "c" has two rows and stays
    assert found.figures["near_held_out"] == 1
    assert found.figures["near_others"] == 3
    assert "1 row nearly repeats a held-out prompt" in found.sentence
    assert {(one.row, one.other) for one in found.examples} == {(0, 0), (1, 3), (3, 2)}


def test_what_an_import_grouped_is_no_danger():
    found = duplicates(PROMPTS[2:4], [False, False], ["a", "a"], [0, 1], [("x", "y"), ("x", "z")])
    assert (found.rows, len(found.drop), found.examples) == (0, 0, ())
    assert found.sentence.startswith("No prompt nearly repeats")


def test_a_row_that_says_the_same_twice_is_left_out_once():
    rows = [("yes", "no"), ("no", "yes"), ("yes", "perhaps")]
    found = duplicates(PROMPTS[4:], [False], ["a"], [0, 0, 0], rows)
    assert found.drop.tolist() == [1]
    assert found.examples[0].other == 0


def test_no_rows_are_no_trouble():
    found = duplicates(PROMPTS, [True] * 5, list("abcde"), [], [])
    assert (found.rows, found.of) == (0, 0)


# --- contamination ---------------------------------------------------------------------------


PASSAGE = (
    "A train leaves the station at nine and travels west at sixty miles an hour until it meets "
    "another train that left an hour later."
)


def test_a_passage_of_thirteen_words_is_found_whatever_its_case_and_punctuation():
    text = "intro words here " + PASSAGE.upper().replace(" ", ", ") + " and more"
    found = contamination(["clean " * 30, text], [PASSAGE, "short"])
    assert found.drop.tolist() == [1]
    assert found.examples[0].note.startswith("a train leaves the station")
    assert found.examples[0].score > 0.5


def test_twelve_words_in_common_are_none_and_a_short_document_matches_whole():
    twelve = " ".join(PASSAGE.split()[:12])
    assert contamination([twelve + " sea"], [PASSAGE]).rows == 0
    assert contamination([f"please: {twelve}, thanks"], [twelve]).rows == 1
    assert (
        contamination(["only seven words are in this text"], ["seven words are in this text"]).rows
        == 0
    )


def test_a_phrase_of_many_documents_does_not_count():
    documents = [f"{PASSAGE} number {n}" for n in range(11)]
    assert contamination([PASSAGE], documents).rows == 0
    assert contamination([PASSAGE], documents[:10]).rows == 1


def test_runs_never_reach_from_one_row_into_the_next():
    first, second = " ".join(PASSAGE.split()[:12]), " ".join(PASSAGE.split()[12:24])
    assert contamination([first, second, ""], [PASSAGE]).rows == 0
    assert contamination([], [PASSAGE]).of == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 2000))
def test_a_match_is_what_a_set_of_tuples_says(start, size, seed):
    document = sentence(60, seed).split()
    row = [*sentence(20, seed + 1).split(), *document[start : start + size], "end"]
    runs = {tuple(document[i : i + 13]) for i in range(48)}
    wanted = any(tuple(row[i : i + 13]) in runs for i in range(max(0, len(row) - 12)))
    assert (contamination([" ".join(row)], [" ".join(document)]).rows == 1) == wanted


def test_files_are_read_as_json_lines_or_as_paragraphs(tmp_path):
    lines = tmp_path / "bench.jsonl.gz"
    with gzip.open(lines, "wt", encoding="utf-8") as file:
        file.write(json.dumps({"q": "one", "a": ["two", {"x": "three"}], "n": 4}) + "\n\n")
        file.write("not { json\nbut two lines\n\nlast")
    assert list(read_documents(lines)) == [
        "one\ntwo\nthree",
        "not { json\n but two lines\n",
        "last",
    ]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "a.txt", "no text"),
        (b"\xff\xfe\x00", "a.txt", "not UTF-8"),
        (b"no gzip", "a.gz", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, content, name, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadFile, match=said):
        list(read_documents(path))
