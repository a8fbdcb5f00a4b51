"""A local language model as a judge; here one of random weights, made on the spot."""

import json
import math

import pytest

from learning.errors import ConfigError, EncoderError
from learning.judges import causal
from learning.judges.base import Message
from learning.judges.errors import TooLong
from learning.judges.filling import fill
from learning.judges.local import LocalJudge
from learning.judges.pointwise import PointwiseJudge
from learning.judges.swapping import judge
from learning.judges.templates import schema_of
from learning.judges.yes_no import LocalYesNo
from tests.learning.judges.judging import asking
from tests.learning.judges.tiny import CHAT, make_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return causal.load(make_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def chatty(tmp_path_factory):
    return causal.load(make_model(tmp_path_factory.mktemp("chat"), chat=CHAT))


def step_by_step(model, before, after):
    """The same log-likelihood, a token at a time and without padding."""
    import torch

    ids = model.tokenizer(before + after)["input_ids"]
    start = len(model.tokenizer(before)["input_ids"])
    total = 0.0
    for place in range(start, len(ids)):
        with torch.inference_mode():
            logits = model.model(torch.tensor([ids[:place]])).logits[0, -1]
        total += float(torch.log_softmax(logits, dim=-1)[ids[place]])
    return total


def test_log_likelihoods_are_those_of_the_model_one_token_at_a_time(model):
    before, after = "Is it? ", ["Yes", "No, it is not"]
    found = model.log_likelihoods(before, after)
    assert found == pytest.approx([step_by_step(model, before, one) for one in after], abs=1e-4)


def test_what_continuations_share_does_not_matter(model):
    one, two = model.log_likelihoods('{"choice": ', ['"A"', '"B"'])
    short, shorter = model.log_likelihoods('{"choice": "', ['A"', 'B"'])
    assert one - two == pytest.approx(short - shorter, abs=1e-4)


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (["compare"], {"compare": {"aspects": ["kind"]}}),
        (["rank"], {}),
        (["best_worst"], {}),
        (["rate"], {"rate": {"thumbs": True}}),
        (["accept"], {}),
    ],
)
def test_every_form_is_answered(model, names, options):
    responses = ["p", "q"] if names == ["compare"] else ["p", "q", "r"]
    ask = asking(*names, responses=responses, **options)
    asked = LocalJudge(model).ask(ask, ask.straight[::-1])
    assert asked.error is None
    assert {n for tier in asked.verdict.tiers for n in tier} == set(ask.straight)
    call = asked.calls[0]
    assert json.loads(call.reply)["reason"] == ""
    assert call.tokens_in > len(call.messages[1].content) > call.tokens_out > 0
    assert (call.model, call.money, call.tries) == (model.name, 0, 1)


def test_the_probability_is_that_of_the_letters_and_both_orders_are_averaged(model):
    ask = asking(compare={"steps": 2, "neither": False})
    who = LocalJudge(model)
    made = judge(who, ask, (0, 1))
    shown_first = []
    for order in ((0, 1), (1, 0)):
        prompt = model.prompt(who.template.render(ask, order))
        a, b = model.log_likelihoods(prompt + '{"reason": "", "choice": ', ['"A"', '"B"'])
        shown_first.append(1 / (1 + math.exp(b - a)))
    assert made.p == pytest.approx((shown_first[0] + 1 - shown_first[1]) / 2, abs=1e-6)
    assert [call.order for call in made.calls] == [(0, 1), (1, 0)]


def test_without_a_chat_template_roles_are_written_out(model):
    text = model.prompt((Message("system", "rules"), Message("user", "hello")))
    assert text == "system: rules\n\nuser: hello\n\nassistant: "


def test_a_chat_template_without_system_messages_gets_the_rules_in_front(chatty):
    text = chatty.prompt((Message("system", "rules"), Message("user", "hello")))
    assert text == "<user>rules\n\nhello</user><assistant>"


def test_a_question_that_does_not_fit_is_too_long(tmp_path):
    short = causal.load(make_model(tmp_path, most=200))
    with pytest.raises(TooLong, match=r"more than .* can read"):
        short.log_likelihoods("x" * 300, ["a", "b"])
    asked = LocalJudge(short).ask(asking(), (0, 1))
    assert (asked.verdict, asked.calls[0].error) == (None, "too_long")


def test_pointwise_mode_needs_one_look_at_each_response(model):
    ask = asking(responses=("p", "quite different"))
    eye = LocalYesNo(model)
    made = judge(PointwiseJudge(eye), ask, (1, 0))
    assert [call.order for call in made.calls] == [(1,), (0,)]
    assert {call.reply for call in made.calls} <= {"Yes", "No"}
    looks = [eye.look(ask, number)[0] for number in (0, 1)]
    odds = [math.log(share / (1 - share)) for share in looks]
    assert made.p == pytest.approx(1 / (1 + math.exp(odds[1] - odds[0])))
    assert not made.inconsistent


def test_pickled_weights_are_refused(tmp_path):
    folder = make_model(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="safetensors"):
        causal.load(folder)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"no config\.json"):
        causal.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        causal.load(tmp_path)


def test_code_of_the_models_own_is_not_run(tmp_path):
    folder = make_model(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    marker = tmp_path / "ran"
    config |= {"model_type": "ours", "auto_map": {"AutoModelForCausalLM": "code.Model"}}
    config["auto_map"]["AutoConfig"] = "code.Config"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(EncoderError, match="cannot be loaded"):
        causal.load(folder)
    assert not marker.exists()


# --- filling -----------------------------------------------------------------------------------


class Fixed:
    """Prefers what it was told to; remembers what it was asked."""

    def __init__(self, *liked):
        self.liked, self.asked = liked, []

    def weigh(self, path, options, so_far):
        self.asked.append((path, list(options), so_far))
        weights = [3.0 if option in self.liked else 1.0 for option in options]
        return [weight / sum(weights) for weight in weights]


def test_a_schema_is_filled_in_from_left_to_right():
    ask = asking("compare", "accept")
    chooser = Fixed("B", 3, False)
    filled = fill(schema_of(ask.forms, "AB"), chooser, reason='It "is".')
    assert json.loads(filled.text) == {
        "reason": 'It "is".',
        "choice": "B",
        "strength": 3,
        "confidence": 50,
        "good": {"A": False, "B": False},
    }
    assert filled.text.startswith(filled.before + "B")
    assert filled.choice == pytest.approx({"A": 1 / 6, "B": 0.5, "tie": 1 / 6, "neither": 1 / 6})
    assert [path for path, _, _ in chooser.asked] == [
        ("choice",),
        ("strength",),
        ("good", "A"),
        ("good", "B"),
    ]
    assert all(filled.text.startswith(so_far) for _, _, so_far in chooser.asked)


def test_a_ranking_names_each_letter_once_and_worst_is_not_best():
    chooser = Fixed("C")
    filled = fill(schema_of(asking("rank", responses="xyz").forms, "ABC"), chooser)
    assert json.loads(filled.text)["ranking"] == [["C"], ["A"], ["B"]]
    filled = fill(schema_of(asking("best_worst", responses="xyz").forms, "ABC"), Fixed("C"))
    assert (json.loads(filled.text)["best"], json.loads(filled.text)["worst"]) == ("C", "A")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number"},
        {"type": "integer"},
        {"type": "array", "items": {"type": "string"}},
        {"properties": {}},
    ],
)
def test_schemas_of_another_kind_are_refused(schema):
    with pytest.raises(ConfigError, match=r"cannot fill in|only groups"):
        fill({"type": "object", "properties": {"x": schema}}, Fixed())
