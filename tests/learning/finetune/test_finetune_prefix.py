import shutil

import numpy as np
import pytest
import torch

from learning.finetune import model, prefix, texts
from tests.learning.finetune import tinymodels

PROMPTS = ["first prompt", "first prompt", "first prompt", "other", "", "other", "long " * 60]
RESPONSES = ["a", "", "a longer response", "b", "c", "", "x" * 200]
# Of gradients in float64: the norms of the others compute in float32 whatever they are given.
EXACT = {"gpt2": 1e-11, "gpt_neox": 1e-11}
LAYOUTS = [(True, 0), (True, 200), (True, 2000), (False, 300), (False, 0)]


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3", "gpt_neox", "gpt2"])
def folder(request, tmp_path_factory):
    where = tmp_path_factory.mktemp(request.param)
    return tinymodels.decoder(where, request.param, pad=request.param == "qwen2")


def loaded(folder, dtype):
    made = model.load(folder, dtype=dtype)
    torch.manual_seed(1)
    torch.nn.init.normal_(made.last.weight)
    return made


def with_gradients(made, features):
    """Rewards, and the gradient of a sum in which no two rewards count the same."""
    made.core.zero_grad()
    rewards = made.rewards(features)
    (rewards * torch.linspace(-1, 2, len(rewards), dtype=rewards.dtype)).sum().backward()
    grads = {n: p.grad.clone() for n, p in made.core.named_parameters() if p.grad is not None}
    return rewards.detach(), grads


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("share", "capacity"), LAYOUTS)
def test_rewards_and_gradients_equal_the_plain_way(folder, dtype, share, capacity):
    made = loaded(folder, dtype)
    kind = made.core.config.model_type
    close = EXACT.get(kind, 1e-6) if dtype == "float64" else 3e-4
    rows = made.reader.rows(PROMPTS, RESPONSES)
    plain, plain_grads = with_gradients(made, made.features(texts.tensors(rows, made.reader)))
    packed = prefix.pack(rows, made.reader.pad, share=share, capacity=capacity)
    shared, shared_grads = with_gradients(made, prefix.features(made, packed))
    torch.testing.assert_close(shared, plain, rtol=close, atol=close)
    assert shared_grads.keys() == plain_grads.keys()
    for name, grad in plain_grads.items():
        scale = max(float(grad.abs().max()), 1.0)
        assert float((grad - shared_grads[name]).abs().max()) <= close * scale, name


def test_a_shared_prompt_is_laid_out_once(folder):
    made = loaded(folder, "float32")
    rows = made.reader.rows(PROMPTS[:3], RESPONSES[:3])
    packed = prefix.pack(rows, made.reader.pad)
    assert packed.ids.shape == (1, rows[0].shared + sum(len(r) - r.shared for r in rows))


def test_several_prompts_fill_one_row(folder):
    made = loaded(folder, "float32")
    rows = made.reader.rows(PROMPTS[:6], RESPONSES[:6])
    assert len(prefix.pack(rows, made.reader.pad).ids) == 3
    assert len(prefix.pack(rows, made.reader.pad, capacity=1000).ids) == 1


def test_whether_it_is_possible_is_tried(folder, bert_folder):
    assert prefix.possible(loaded(folder, "float32"))
    assert not prefix.possible(model.load(bert_folder))


def test_a_model_that_does_not_take_the_mask_is_found_out(llama_folder, monkeypatch):
    made = loaded(llama_folder, "float32")

    def everything(segment, *_):
        return torch.ones((1, 1, segment.shape[1], segment.shape[1]), dtype=torch.bool)

    monkeypatch.setattr(prefix, "block_mask", everything)
    assert not prefix.possible(made)


def test_a_sliding_window_is_not_replaced_by_the_mask(llama_folder, tmp_path):
    where = shutil.copytree(llama_folder, tmp_path / "m")
    tinymodels.edit(where, "config.json", model_type="mistral", sliding_window=8)
    assert not prefix.possible(model.load(where))


def test_the_mask_of_a_known_layout():
    segment = torch.tensor([[1, 1, 2, 3, 4, 0]])
    group = torch.tensor([[1, 1, 1, 1, 2, 0]])
    prompt = torch.tensor([[True, True, False, False, False, False]])
    found = prefix.block_mask(segment, group, prompt)[0, 0].int().tolist()
    assert found == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    assert np.array(found).diagonal().all()
