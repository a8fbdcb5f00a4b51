import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from learning import encoders
from learning.errors import EncoderError
from learning.finetune import CheckpointFailed, UnusableModel, base_of, model, texts
from tests.learning.finetune import tinymodels

PROMPTS, RESPONSES = ["one", "two and more", ""], ["a", "", "something longer"]


@pytest.fixture
def copied(bert_folder, tmp_path):
    return shutil.copytree(bert_folder, tmp_path / "copied")


@pytest.fixture(params=["bert_folder", "llama_folder", "qwen_folder"])
def loaded(request):
    made = model.load(request.getfixturevalue(request.param))
    torch.manual_seed(0)
    torch.nn.init.normal_(made.last.weight)
    return made


def rewards(made):
    rows = made.reader.rows(PROMPTS, RESPONSES)
    with torch.no_grad():
        return made.rewards(made.features(texts.tensors(rows, made.reader))).numpy()


def test_a_head_that_is_not_there_starts_at_zero(bert_folder):
    made = model.load(bert_folder)
    assert not made.has_head
    assert made.fresh == ("classifier.bias", "classifier.weight")
    assert (rewards(made) == 0).all()


def test_rewards_of_features_are_the_models_own_logits(loaded):
    rows = loaded.reader.rows(PROMPTS, RESPONSES)
    with torch.no_grad():
        own = loaded.core(**texts.tensors(rows, loaded.reader)).logits[:, 0].numpy()
    np.testing.assert_allclose(rewards(loaded), own, atol=1e-6)


def test_what_is_saved_loads_anywhere_and_gives_the_same(loaded, tmp_path):
    model.save(loaded, tmp_path / "model", {"base": "x"})
    core = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert core.config.pad_token_id == tokenizer.pad_token_id
    again = model.load(tmp_path / "model")
    assert again.has_head
    assert again.reader.limit == loaded.reader.limit
    stored, kept = again.core.state_dict(), loaded.core.state_dict()
    assert all(torch.equal(stored[name], value) for name, value in kept.items())
    # Weights that lie elsewhere in memory may be multiplied in another order.
    np.testing.assert_allclose(rewards(again), rewards(loaded), rtol=1e-6)
    assert not list((tmp_path / "model").glob("*.bin"))
    assert json.loads((tmp_path / "model" / model.ABOUT).read_text())["base"] == "x"


def test_an_encoder_of_that_name_gives_the_features(loaded, tmp_path):
    model.save(loaded, tmp_path / "model", {})
    name = f"reward:{tmp_path / 'model'}"
    encoder = encoders.load_encoder(name, threads=1)
    assert (encoder.key, encoder.dim) == (encoders.encoder_key(name), encoders.encoder_dim(name))
    assert encoder.key.endswith(f":last256:{encoders.recipe_of(name)}")
    both = [encoders.joined(*pair) for pair in zip(PROMPTS, RESPONSES, strict=True)]
    found = encoder.encode([*both, both[0]])
    weight = loaded.last.weight.detach().numpy()[0]
    bias = 0.0 if loaded.last.bias is None else float(loaded.last.bias.detach())
    np.testing.assert_allclose(found[:3] @ weight + bias, rewards(loaded), atol=1e-5)
    np.testing.assert_array_equal(found[3], found[0])
    assert encoder.encode([]).shape == (0, 32)


def test_an_encoder_without_a_head_is_no_reward_encoder(bert_folder):
    with pytest.raises(EncoderError, match="no head"):
        encoders.load_encoder(f"reward:{bert_folder}")


def test_recipes_tell_what_an_encoder_reads():
    assert encoders.recipe_of("hashed") == "response-1"
    assert encoders.recipe_of("reward:x") == "pair-1"
    with pytest.raises(EncoderError, match="unknown"):
        encoders.recipe_of("reward:")


def test_the_hashed_encoder_cannot_be_trained():
    with pytest.raises(UnusableModel, match="no weights"):
        base_of("hashed")


def test_pickle_weights_are_refused(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(UnusableModel, match="pickles"):
        model.load(copied)


def test_a_folder_without_weights_is_refused(copied):
    (copied / "model.safetensors").unlink()
    with pytest.raises(UnusableModel, match="no weights"):
        model.load(copied)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_its_own_is_refused(copied, name):
    tinymodels.edit(copied, name, auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(UnusableModel, match="code of its own"):
        model.load(copied)


def test_a_broken_config_or_broken_weights_are_refused(copied):
    (copied / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UnusableModel, match="cannot be loaded"):
        model.load(copied)
    (copied / "config.json").write_text("[]")
    with pytest.raises(UnusableModel, match="no readable config"):
        model.load(copied)


def test_weights_of_another_model_are_refused(copied, llama_folder):
    shutil.copy(llama_folder / "model.safetensors", copied)
    with pytest.raises(UnusableModel, match="another model"):
        model.load(copied)


def test_a_tokenizer_without_any_token_to_pad_with_is_refused(copied):
    tinymodels.words().save_pretrained(copied)
    with pytest.raises(UnusableModel, match="neither a padding nor an end token"):
        model.load(copied)


def test_never_more_tokens_than_the_model_can_read(bert_folder):
    assert model.load(bert_folder, max_tokens=10_000).reader.limit == 256
    with pytest.raises(UnusableModel, match="too few"):
        model.load(bert_folder, max_tokens=5)


def test_a_disk_that_is_full_leaves_the_old_model(bert_folder, tmp_path, monkeypatch):
    made = model.load(bert_folder)
    model.save(made, tmp_path / "model", {"is": "old"})

    def full(*_args, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(made.core, "save_pretrained", full)
    with pytest.raises(CheckpointFailed, match="the disk is full"):
        model.save(made, tmp_path / "model", {"is": "new"})
    assert json.loads((tmp_path / "model" / model.ABOUT).read_text())["is"] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_features_do_not_depend_on_the_batch(loaded):
    rows = loaded.reader.rows(PROMPTS, RESPONSES)
    np.testing.assert_allclose(loaded.read(rows), loaded.read(rows, tokens=1), atol=1e-5)
