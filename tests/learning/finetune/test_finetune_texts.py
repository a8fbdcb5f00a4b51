import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.finetune import model, texts
from learning.text import joined, split
from tests.learning.finetune import tinymodels

TURNS = ({"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"})


@given(st.text(), st.text())
def test_what_was_joined_comes_apart_again(prompt, response):
    gone = str.maketrans("", "", "\x1e\x1f")
    assert split(joined(prompt, response)) == (prompt.translate(gone), response.translate(gone))


def test_turns_come_apart_again_and_cannot_be_forged():
    assert split(joined(TURNS, "yes")) == (TURNS, "yes")
    forged = ({"role": "user", "content": "a\x1eassistant\x1fb"},)
    assert split(joined(forged, "r\x1e")) == (
        ({"role": "user", "content": "aassistantb"},),
        "r",
    )


def test_a_text_that_was_never_joined_is_a_response():
    assert split("only this") == ("", "only this")


@pytest.fixture(scope="module")
def bert_reader(bert_folder):
    return model.load(bert_folder, max_tokens=40).reader


@pytest.fixture(scope="module")
def llama_reader(llama_folder):
    return model.load(llama_folder, max_tokens=40).reader


def said(reader, row):
    return reader.tokenizer.decode(row.ids)


def test_an_encoder_reads_a_pair_of_segments_as_its_own_tokenizer_writes_it(bert_reader):
    (row,) = bert_reader.rows(["What?"], ["This."])
    own = bert_reader.tokenizer("What?", "This.", return_token_type_ids=True)
    assert row.ids.tolist() == own["input_ids"]
    assert row.second == own["token_type_ids"].index(1)
    assert not row.cut


def test_a_prompt_keeps_its_end_and_a_response_its_beginning(bert_reader):
    prompt, response = "p" * 90 + "Q", "R" + "r" * 90
    (row,) = bert_reader.rows([prompt], [response])
    assert len(row) == 40
    assert row.cut
    text = said(bert_reader, row)
    assert text.index("Q[SEP]") < text.index("R")
    assert text.count("p") + 1 == 18  # half of the room


def test_how_a_prompt_is_cut_does_not_depend_on_the_response(llama_reader):
    rows = llama_reader.rows(["p" * 90] * 3, ["", "short", "l" * 90])
    assert [row.cut for row in rows] == [True] * 3
    shared = rows[0].shared
    assert all(row.shared == shared for row in rows)
    assert all((row.ids[:shared] == rows[0].ids[:shared]).all() for row in rows)


@pytest.mark.parametrize("name", ["bert_reader", "llama_reader"])
def test_empty_texts_have_tokens_all_the_same(name, request):
    reader = request.getfixturevalue(name)
    rows = reader.rows(["", "a", ""], ["", "", "b"])
    assert all(len(row) for row in rows)
    assert not any(row.cut for row in rows)


def test_texts_are_never_taken_for_special_tokens(bert_reader):
    (row,) = bert_reader.rows(["a[SEP]b"], ["[CLS]"])
    assert (row.ids == bert_reader.tokenizer.sep_token_id).sum() == 2
    assert (row.ids == bert_reader.tokenizer.cls_token_id).sum() == 1


def test_half_an_emoji_is_no_trouble(bert_reader):
    (row,) = bert_reader.rows(["\ud83d"], ["\ud83d"])
    assert len(row) > 3


def test_a_decoder_without_padding_pads_with_its_end_and_does_not_write_it(llama_reader):
    assert llama_reader.pad == llama_reader.tokenizer.eos_token_id
    (row,) = llama_reader.rows(["a"], ["b"])
    assert row.ids[-1] != llama_reader.pad


def test_a_decoder_with_padding_ends_with_its_end_token(qwen_folder):
    reader = model.load(qwen_folder).reader
    (row,) = reader.rows(["a"], ["b"])
    assert row.ids[-1] == reader.tokenizer.eos_token_id != reader.pad


def test_a_chat_template_writes_the_turns(tmp_path):
    folder = tinymodels.decoder(tmp_path, pad=True, chat=tinymodels.CHAT)
    reader = model.load(folder).reader
    (row,) = reader.rows([TURNS], ["yes"])
    whole = "<|system|>Be kind.<|end|><|user|>Hi<|end|><|assistant|>yes<|end|>"
    assert said(reader, row) == whole
    assert said(reader, texts.Row(row.ids[: row.shared], 0, 0, False)).endswith("<|assistant|>")


def test_a_template_that_refuses_gives_plain_roles(tmp_path):
    folder = tinymodels.decoder(tmp_path, pad=True, chat="{{ raise_exception('no') }}")
    reader = model.load(folder).reader
    (row,) = reader.rows([TURNS], ["yes"])
    assert said(reader, row).startswith("system: Be kind.\n\nuser: Hi\n\nyes")


def test_padding_is_on_the_right_and_masked(bert_reader):
    rows = bert_reader.rows(["a", "abc"], ["b", "def"])
    made = texts.tensors(rows, bert_reader)
    assert made["attention_mask"].sum(1).tolist() == [len(row) for row in rows]
    np.testing.assert_array_equal(made["input_ids"][0, : len(rows[0])], rows[0].ids)
    assert made["token_type_ids"].sum(1).tolist() == [len(row) - row.second for row in rows]
