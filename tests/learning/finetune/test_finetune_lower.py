from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from learning.finetune import Plan, UnusableModel, finetune, lower, memory, model, texts
from learning.finetune.prefix import possible
from tests.learning.finetune import tinymodels

LABELS = tinymodels.examples(24)
PLAN = Plan(
    layers=1, epochs=2, folds=1, batch=8, max_tokens=64, learning_rate=1e-3, share_prefix="off",
    packing="off",
)  # fmt: skip


def rows_of(loaded):
    return loaded.reader.rows(LABELS.prompts, LABELS.responses)


def entered_at(loaded, rows, layer):
    found = lower.with_states(loaded, rows, layer)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["bert", "llama", "qwen2", "gpt2", "gpt_neox"])
def test_a_text_that_begins_at_a_layer_gives_the_same_features_and_gradients(tmp_path, kind):
    if kind == "bert":
        folder = tinymodels.bert(tmp_path)
    else:
        folder = tinymodels.decoder(tmp_path, kind, pad=True)
    loaded = model.load(folder, max_tokens=64)
    rows = rows_of(loaded)[:7]
    short = entered_at(loaded, rows, 1)
    upper = [
        weight
        for name, weight in loaded.core.named_parameters()
        if name in lower.upper(loaded.core, 1) and weight is not loaded.last.weight
    ]
    found = []
    for given in (rows, short):
        features = loaded.features(texts.tensors(given, loaded.reader))
        wanted = [one for one in upper if one is not loaded.last.bias]
        gradients = torch.autograd.grad(features.square().sum(), wanted, allow_unused=True)
        found.append((features.detach(), [g for g in gradients if g is not None]))
    (plain, one), (entered, other) = found
    torch.testing.assert_close(entered, plain, rtol=1e-5, atol=1e-6)
    assert len(one) == len(other) > 4
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)


def test_in_half_precision_the_lower_layers_are_computed_once_as_well(bert_folder):
    loaded = model.load(bert_folder, max_tokens=64)
    rows = rows_of(loaded)
    whole = lower.with_states(loaded, rows, 1)
    half = lower.with_states(loaded, rows, 1, half=True)
    assert whole is not None
    assert half is not None
    states = np.concatenate([row.state for row in whole])
    rounded = np.concatenate([row.state for row in half])
    assert not np.array_equal(states, rounded)
    np.testing.assert_allclose(rounded, states, atol=0.05 * np.abs(states).max())
    assert not np.array_equal(loaded.read(rows, half=True), loaded.read(rows))


def test_the_model_is_whole_again_after_every_batch(bert_folder):
    loaded = model.load(bert_folder, max_tokens=64)
    names = [name for name, _ in loaded.core.named_parameters()]
    loaded.read(entered_at(loaded, rows_of(loaded), 1))
    assert [name for name, _ in loaded.core.named_parameters()] == names


def test_only_upper_layers_are_computed(bert_folder):
    loaded = model.load(bert_folder, max_tokens=64)
    short = entered_at(loaded, rows_of(loaded), 1)
    seen = []
    for place, layer in enumerate(loaded.core.bert.encoder.layer):
        layer.register_forward_hook(lambda *_, place=place: seen.append(place))
    loaded.read(short)
    assert set(seen) == {1}


def trained(folder, where, plan):
    tuned = finetune(folder, LABELS, plan, folder=where)
    return load_file(tuned.folder / "model.safetensors"), tuned


def margins(tuned):
    """Of the labels' pairs, by the model as it was saved."""
    loaded = model.load(tuned.folder)
    features = loaded.read(loaded.reader.rows(LABELS.prompts, LABELS.responses))
    rewards = features @ loaded.last.weight.detach().numpy()[0]
    left, right = LABELS.comparisons.pairs.T
    return rewards[left] - rewards[right]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_what_lies_below_stays_as_it_was(bert_folder, tmp_path, method):
    before = model.load(bert_folder).core.state_dict()
    after, _ = trained(bert_folder, tmp_path, replace(PLAN, method=method))
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    matrix = "bert.encoder.layer.1.attention.self.query.weight"
    assert {matrix, "classifier.weight"} <= changed
    assert not [name for name in changed if "embeddings" in name or ".layer.0." in name]


def test_computed_once_or_every_time_the_result_is_the_same(bert_folder, tmp_path, monkeypatch):
    """To rounding. AdamW steps as far for a gradient that is nothing but rounding, such as that of
    a bias that cancels between two responses: so not weight by weight."""
    _, told = trained(bert_folder, tmp_path / "once", PLAN)
    monkeypatch.setattr(memory, "room_for_states", lambda tokens, width: False)
    _, other = trained(bert_folder, tmp_path / "every", PLAN)
    assert other.record["losses"] == pytest.approx(told.record["losses"], rel=1e-4)
    once, every = margins(told), margins(other)
    assert np.abs(once).mean() > 0.1
    np.testing.assert_allclose(every, once, atol=5e-4 * np.abs(once).mean())


def test_a_model_with_fewer_layers_is_trained_as_a_whole(bert_folder, tmp_path):
    before = model.load(bert_folder).core.state_dict()
    after, _ = trained(bert_folder, tmp_path, replace(PLAN, layers=2))
    assert not torch.equal(
        after["bert.embeddings.word_embeddings.weight"],
        before["bert.embeddings.word_embeddings.weight"],
    )


def test_a_model_that_says_something_else_that_way_is_computed_every_time(bert_folder, monkeypatch):
    loaded = model.load(bert_folder, max_tokens=64)
    real = lower._states
    monkeypatch.setattr(lower, "_states", lambda *given: [one[::-1] for one in real(*given)])
    assert lower.with_states(loaded, rows_of(loaded), 1) is None


def test_a_model_without_layers_is_refused():
    core = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1))
    with pytest.raises(UnusableModel, match="no layers"):
        lower.below(core, 1)
    assert lower.below(core, 0) == 0


def test_half_precision_on_a_processor_is_estimated_with_the_kernels_it_compiles(
    bert_folder, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    plain, half = (
        memory.estimate_memory(bert_folder, replace(PLAN, precision=precision), LABELS)
        for precision in ("float32", "bfloat16")
    )
    assert half.activations == plain.activations
    assert half.total - plain.total == 2 * 2**30


def test_memory_counts_what_is_trained_and_what_is_kept(bert_folder):
    whole = memory.estimate_memory(bert_folder, replace(PLAN, layers=0), LABELS)
    part = memory.estimate_memory(bert_folder, PLAN, LABELS)
    assert part.trained < whole.trained
    assert part.activations < whole.activations
    loaded = model.load(bert_folder, max_tokens=64)
    kept = entered_at(loaded, rows_of(loaded), 1)
    held = sum(row.state.nbytes for row in kept)
    assert whole.states == 0
    assert part.states == pytest.approx(held, rel=0.05)


def test_nothing_is_kept_where_prompts_are_shared(llama_folder):
    shared = memory.estimate_memory(llama_folder, replace(PLAN, share_prefix="auto"), LABELS)
    assert shared.states == 0 < memory.estimate_memory(llama_folder, PLAN, LABELS).states


def test_a_shared_prompt_is_read_once_in_all_layers(llama_folder, tmp_path):
    assert possible(model.load(llama_folder))
    before = model.load(llama_folder).core.state_dict()
    plan = replace(PLAN, share_prefix="on")
    after, tuned = trained(llama_folder, tmp_path, plan)
    assert tuned.record["shared_prefix"]
    assert torch.equal(after["model.embed_tokens.weight"], before["model.embed_tokens.weight"])
    assert not np.array_equal(
        after["model.layers.1.mlp.up_proj.weight"], before["model.layers.1.mlp.up_proj.weight"]
    )
