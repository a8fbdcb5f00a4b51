import json

import numpy as np
import pytest
import torch

from learning.encoders import load_encoder
from learning.finetune import Plan, averaging, base_of, finetune, memory, model, texts
from tests.learning.finetune import tinymodels

LABELS = tinymodels.examples(24)


@pytest.fixture(scope="module")
def sentence_folder(tmp_path_factory):
    """A sentence encoder: the folder says that it averages."""
    folder = tinymodels.bert(tmp_path_factory.mktemp("sentence"))
    (folder / "1_Pooling").mkdir()
    told = {"pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(told))
    return folder


def standardised(values):
    """A layer's norm with unit weights, in float64."""
    centred = values - values.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)


def test_features_are_the_mean_of_the_encoders_tokens(bert_folder, sentence_folder):
    plain = model.load(bert_folder, max_tokens=64)
    loaded = model.load(sentence_folder, max_tokens=64)
    rows = loaded.reader.rows(LABELS.prompts, LABELS.responses)[:6]
    given = texts.tensors(rows, loaded.reader)
    with torch.no_grad():
        hidden = plain.core.bert(**given).last_hidden_state.double().numpy()
    mask = given["attention_mask"].numpy()[:, :, None]
    mean = (hidden * mask).sum(axis=1) / mask.sum(axis=1)
    both = standardised(standardised(hidden[:, 0] + averaging.MEAN * mean))
    expected = np.tanh(averaging.POOLED * both)
    np.testing.assert_allclose(loaded.read(rows), expected, rtol=1e-4, atol=1e-5)


def test_an_encoder_that_does_not_say_that_it_averages_is_left_as_it_is(bert_folder):
    loaded = model.load(bert_folder)
    assert len(loaded.core.bert.encoder.layer) == 2


@pytest.mark.parametrize("said", ["{", "[]", '{"pooling_mode_mean_tokens": false}'])
def test_what_a_folder_says_is_read_with_care(sentence_folder, tmp_path, said):
    core = model.load(sentence_folder).core
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(said)
    assert not averaging.wanted(core, tmp_path)


def test_decoders_get_no_such_layer(llama_folder, sentence_folder):
    assert not averaging.wanted(model.load(llama_folder).core, sentence_folder)


def test_the_layer_is_the_same_every_time(sentence_folder):
    one, other = (model.load(sentence_folder).core.state_dict() for _ in range(2))
    drawn = "bert.encoder.layer.2.attention.self.query.weight"
    assert torch.equal(one[drawn], other[drawn])
    assert one[drawn].std() > 0


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_layer_learns_and_the_result_loads_as_a_plain_classifier(
    sentence_folder, tmp_path, method
):
    from transformers import AutoModelForSequenceClassification

    plan = Plan(
        method=method, layers=1, epochs=2, folds=1, batch=8, max_tokens=64, learning_rate=1e-3
    )
    tuned = finetune(sentence_folder, LABELS, plan, folder=tmp_path)
    core = AutoModelForSequenceClassification.from_pretrained(tuned.folder, num_labels=1)
    assert core.config.num_hidden_layers == 3
    top = core.bert.encoder.layer[2].attention.self
    assert top.key.weight.abs().sum() > 0
    again = model.load(tuned.folder)
    assert again.has_head
    assert len(again.core.bert.encoder.layer) == 3  # a warm start does not grow
    encoder = load_encoder(f"reward:{tuned.folder}")
    assert encoder.encode(["anything"]).shape == (1, tuned.dim)


def test_memory_counts_the_layer(bert_folder, sentence_folder):
    plain = memory.estimate_memory(bert_folder, Plan(epochs=1), LABELS)
    more = memory.estimate_memory(sentence_folder, Plan(epochs=1), LABELS)
    weights = sum(one.numel() for one in model.load(sentence_folder).core.parameters())
    assert plain.weights < more.weights == 4 * weights
    assert more.activations == pytest.approx(1.5 * plain.activations)


def test_the_small_encoder_begins_where_its_sentence_vectors_are():
    """Directions between texts are those that the frozen encoder sees."""
    said = ["It rains in Paris.", "The weather in Paris is wet.", "Add two eggs and stir."]
    said += ["Whisk the eggs.", "Taxes are due in April."]
    loaded = model.load(base_of("minilm"), max_tokens=64)
    found = loaded.read(loaded.reader.rows([""] * len(said), said)).astype(np.float64)
    vectors = load_encoder("minilm").encode(said).astype(np.float64)
    own, theirs = (np.corrcoef(one) for one in (found, vectors))
    np.testing.assert_allclose(own, theirs, atol=0.1)
    assert np.argsort(own[0]).tolist() == np.argsort(theirs[0]).tolist()
