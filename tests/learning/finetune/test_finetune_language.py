"""Log-likelihoods against one text at a time, entropies against exact ones, and who uses them."""

import numpy as np
import pytest
import torch

from learning.acquisition import METHODS
from learning.data import Context, Pool, Posterior, Prompts
from learning.errors import ConfigError, NotEnoughData, ShapeError
from learning.finetune.language import log_likelihoods, predictive_entropy
from learning.judges.causal import load
from tests.learning.judges.tiny import CHAT, make_model

PROMPTS = [
    "Why is the sky blue?",
    "Hi",
    "Name a colour, any colour, and say why you like it.",
    "Hi",
]
RESPONSES = ["Light scatters.", "Hello there, how are you?", "", "Good day"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load(make_model(tmp_path_factory.mktemp("lm")), threads=1)


def one_by_one(model, prompt, response):
    """The sum over a plain forward pass of one text."""
    before = model.tokenizer(prompt)["input_ids"]
    after = model.tokenizer(response, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model.model(torch.tensor([before + after])).logits[0].double()
    logs = torch.log_softmax(logits, dim=-1)
    return sum(float(logs[len(before) - 1 + n, token]) for n, token in enumerate(after))


@pytest.mark.parametrize("batch_tokens", [1, 40, 4096])
def test_batches_say_what_one_text_at_a_time_says(model, batch_tokens):
    found = log_likelihoods(model, PROMPTS, RESPONSES, batch_tokens=batch_tokens)
    wanted = [one_by_one(model, p, r) for p, r in zip(PROMPTS, RESPONSES, strict=True)]
    np.testing.assert_allclose(found.total, wanted, rtol=1e-5)
    assert found.tokens.tolist() == [len(r) for r in RESPONSES]
    assert not found.truncated.any()


def test_an_empty_response_costs_nothing_and_has_no_mean(model):
    found = log_likelihoods(model, PROMPTS, RESPONSES)
    assert found.total[2] == 0
    assert np.isnan(found.mean[2])
    assert found.mean[0] == pytest.approx(found.total[0] / len(RESPONSES[0]))


def test_nothing_in_front_leaves_the_first_token_uncounted(model):
    found = log_likelihoods(model, [""], ["abc"])
    assert found.tokens.tolist() == [2]


def test_what_is_too_long_keeps_the_end_of_the_prompt_and_the_start_of_the_response(tmp_path):
    small = load(make_model(tmp_path, most=16))
    found = log_likelihoods(small, ["a" * 30 + "xyz", "ab"], ["b" * 30, "cd"])
    assert found.truncated.tolist() == [True, False]
    assert found.tokens[0] == 8
    assert found.total[0] == pytest.approx(one_by_one(small, "aaaaaxyz", "b" * 8), rel=1e-5)


def test_chats_go_through_the_template(tmp_path):
    chatty = load(make_model(tmp_path, chat=CHAT))
    chat = [{"role": "user", "content": "Hi"}]
    told = log_likelihoods(chatty, [chat], ["Yo"])
    assert told.total[0] == pytest.approx(one_by_one(chatty, "<user>Hi</user><assistant>", "Yo"))


def test_prompts_and_responses_come_in_equal_number(model):
    with pytest.raises(ShapeError, match="1 prompts for 2"):
        log_likelihoods(model, ["a"], ["b", "c"])


def test_the_entropy_of_one_token_is_that_of_its_distribution(model):
    found = predictive_entropy(model, "Why", samples=4000, max_tokens=1)
    with torch.inference_mode():
        logs = torch.log_softmax(model.model(torch.tensor([ids(model, "Why")])).logits[0, -1], -1)
    exact = float(-(logs.exp() * logs).sum())
    assert abs(found.total - exact) < 4 * found.error + 1e-9
    assert found.total == found.per_token
    assert found.unfinished == 4000


def ids(model, text):
    return model.tokenizer(text)["input_ids"]


def test_an_entropy_depends_on_seed_and_prompt_alone(model):
    one = predictive_entropy(model, "Why", samples=3, max_tokens=5, seed=1)
    predictive_entropy(model, "How", samples=2, max_tokens=5)
    assert predictive_entropy(model, "Why", samples=3, max_tokens=5, seed=1) == one
    assert predictive_entropy(model, "Why", samples=3, max_tokens=5, seed=2) != one
    assert one.per_token == pytest.approx(one.total / 5)


def test_an_answer_ends_where_the_model_ends_it(tmp_path):
    ending = load(make_model(tmp_path))
    ending.tokenizer.eos_token = "A"  # one of 257 letters
    found = predictive_entropy(ending, "Why", samples=200, max_tokens=60)
    assert 0 < found.unfinished < 200
    assert found.total < 60 * found.per_token


def test_what_cannot_be_estimated_is_refused(model, tmp_path):
    with pytest.raises(ConfigError, match="at least one sample"):
        predictive_entropy(model, "Why", samples=0)
    with pytest.raises(NotEnoughData, match="empty prompt"):
        predictive_entropy(model, "")
    small = load(make_model(tmp_path, most=16))
    with pytest.raises(ConfigError, match="no room"):
        predictive_entropy(small, "Why", max_tokens=16)


def test_apl_asks_about_the_prompt_that_the_language_model_finds_most_open(model):
    asked = ["Why is the sky blue?", "Hi", "Tell me a story."]
    entropy = np.array(
        [predictive_entropy(model, p, samples=4, max_tokens=6).per_token for p in asked]
    )
    features = np.random.default_rng(0).normal(size=(6, 3))
    pool = Pool.of(features, [(0, 1), (2, 3), (4, 5)], prompt=[0, 1, 2])
    known = Prompts(ids=np.arange(3), vectors=np.zeros((3, 1)), entropy=entropy)
    belief = Posterior(np.ones(3), np.eye(3), 1.0)
    method = METHODS["apl_two_stage"]
    picked = method.select(
        pool, belief, Context(prompts=known), 1,
        rng=np.random.default_rng(0), config=method.parse_config({"oversample": 100}),
    )  # fmt: skip
    assert picked.info["entropy"] == "language model"
    assert picked.indices.tolist() == [int(entropy.argmax())]
