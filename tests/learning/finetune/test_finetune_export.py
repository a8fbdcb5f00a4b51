"""The exported folder loads elsewhere, TRL trains it on, and its card says what was measured."""

import json
import math

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from learning.errors import EncoderError
from learning.finetune import model, score_model
from learning.finetune.card import Data, Facts, Reading, card, clean
from learning.finetune.errors import UnusableModel
from learning.finetune.evaluate_figures import Judged, figures
from learning.finetune.export import export
from tests.learning.finetune import tinymodels
from tests.learning.finetune.rewards import reward_folder


def measured(n=200):
    rng = np.random.default_rng(0)
    margin = rng.normal(size=n)
    outcome = np.where(rng.random(n) < 1 / (1 + np.exp(-margin)), 1, -1).astype(np.int8)
    return figures(Judged(margin, outcome, rng.normal(size=n), np.arange(n) // 2, {}))


def facts(**more):
    known = {
        "name": "Everyday answers",
        "base": "sentence-transformers/all-MiniLM-L6-v2",
        "data": Data(snapshot="snap-12", sha256="ab" * 32, labels=1234, people=3),
        "holdout": measured(),
        "temperature": 1.7,
        "record": {"plan": {"method": "lora"}, "epochs": 2, "texts": ["secret"]},
    }
    return Facts(**{**known, **more})


def trained(kind, tmp_path):
    """A reward folder as fine-tuning leaves it, with a head of its own."""
    base = tinymodels.bert(tmp_path / "base") if kind == "encoder" else tinymodels.decoder(
        tmp_path / "base", pad=kind != "decoder", chat=tinymodels.CHAT if kind == "chat" else ""
    )  # fmt: skip
    found = model.load(base, max_tokens=96)
    with torch.no_grad():
        found.last.weight.normal_()
    record = {"answers": {"tie": 0.25}, "plan": {"seed": 1}}
    model.save(found, tmp_path / "m", {"temperature": 1.7, "record": record, "run": "mine"})
    return tmp_path / "m"


@pytest.mark.parametrize("kind", ["encoder", "decoder", "ending decoder", "chat"])
def test_the_code_on_the_card_gives_the_rewards_that_we_give(kind, tmp_path):
    out = export(trained(kind, tmp_path), tmp_path / "out", facts())
    code = (out / "README.md").read_text().split("```python\n")[1].split("```")[0]
    scorer = score_model.load(str(out))
    for prompt, text in [("Why?", "Because."), ("Name a colour", "Blue, I would say")]:
        names = {"FOLDER": str(out), "prompt": prompt, "response": text}
        exec(code, names)  # noqa: S102 - our own
        ours = scorer.rewards([prompt], [text])[0]
        assert names["reward"] == pytest.approx(ours, abs=1e-5)
    assert (scorer.temperature, scorer.tie) == (1.7, 0.25)
    assert set(scorer.about) == {"format", "max_tokens", "decoder", "temperature", "tie"}


@pytest.mark.trainers
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # the trainer's own business
def test_trl_takes_a_step_on_the_exported_folder(tmp_path):
    import datasets
    from trl import RewardConfig, RewardTrainer

    out = export(reward_folder(tmp_path / "m"), tmp_path / "out", facts())
    core = AutoModelForSequenceClassification.from_pretrained(out)
    words = AutoTokenizer.from_pretrained(out)
    words.eos_token = "<pad>"  # the tiny tokenizer has no end token, and TRL adds one
    before = core.score.weight.detach().clone()
    rows = [{"chosen": f"good answer {n}", "rejected": f"bad {n}"} for n in range(8)]
    args = RewardConfig(
        output_dir=str(tmp_path / "trl"), max_steps=1, per_device_train_batch_size=4,
        report_to=[], max_length=64, use_cpu=True, bf16=False, learning_rate=1e-2,
        save_strategy="no", disable_tqdm=True, gradient_checkpointing=False,
    )  # fmt: skip
    trainer = RewardTrainer(
        model=core,
        args=args,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=words,
    )
    assert math.isfinite(trainer.train().training_loss)
    assert not torch.equal(before, core.score.weight.detach())


def test_only_what_is_needed_goes_along(tmp_path):
    folder = reward_folder(tmp_path / "m")
    (folder / "training_args.bin").write_bytes(b"pickle")
    (folder / "prompts.json").write_text("[]")
    (folder / "vocab.json").symlink_to("/etc/hostname")
    out = export(folder, tmp_path / "out", facts())
    names = {path.name for path in out.iterdir()}
    assert {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
        "tiebreak.json",
    } <= names
    assert not names & {"training_args.bin", "prompts.json", "vocab.json"}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(tmp_path):
    folder = reward_folder(tmp_path / "m")
    with pytest.raises(EncoderError, match="not a reward folder"):
        export(tmp_path / "absent", tmp_path / "out", facts())
    (tmp_path / "there").mkdir()
    with pytest.raises(EncoderError, match="there already"):
        export(folder, tmp_path / "there", facts())
    (folder / "tiebreak.json").write_text("[1]")
    with pytest.raises(EncoderError, match="must hold an object"):
        export(folder, tmp_path / "out", facts())
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnusableModel, match="pickle"):
        export(folder, tmp_path / "out", facts())
    assert not (tmp_path / "out").exists()


def test_the_card_has_a_header_and_the_figures_with_their_intervals():
    said = facts()
    text = card(said, Reading(128))
    _, header, body = text.split("---\n", 2)
    told = yaml.safe_load(header)
    assert told["license"] == "unknown"
    assert told["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert "reward-model" in told["tags"]
    accuracy = said.holdout.accuracy
    assert (
        f"| Accuracy | {accuracy.value:.1%} | {accuracy.low:.1%} to {accuracy.high:.1%} |" in body
    )
    assert f"{said.holdout.ece.value:.3f}" in body
    assert "Temperature: 1.7" in body
    assert "snap-12" in body
    assert "1,234" in body
    assert "Only 3 people" in body
    assert "| method | lora |" in body
    for heading in ("Intended use", "Limitations", "Calibration", "Length", "How to load it"):
        assert f"## {heading}\n" in body
    assert "RewardTrainer" in body


def test_texts_and_tricks_do_not_get_into_a_card():
    nasty = "x\n---\nlicense: mit\n<script>alert(1)</script>[a](http://e.vil)`|"
    said = facts(
        name=nasty, base=nasty, license=nasty, use=nasty, holdout_name=nasty,
        slices={nasty: {nasty: measured(60)}}, record={nasty: nasty, "prompts": ["secret"]},
        data=Data(snapshot=nasty, sha256=nasty, sources={nasty: 3}), language=["no", "<b>"],
    )  # fmt: skip
    text = card(said, Reading(128, "text"))
    _, header, body = text.split("---\n", 2)
    told = yaml.safe_load(header)
    assert told["license"] == "unknown"
    assert "base_model" not in told
    assert told["language"] == ["no"]
    assert "<script" not in body
    assert "](http" not in body
    assert "secret" not in text
    assert body.count("\n---\n") == 0


def test_a_card_says_so_where_nothing_was_measured():
    text = card(Facts(name="m", base="b", license="Apache-2.0"), Reading(64, "chat"))
    assert "license: apache-2.0" in text
    assert "not measured on answers" in text
    assert "Nothing is known about the data" in text
    assert "nan" not in text


def test_clean_names_are_one_line():
    assert clean("a\nb\t<i>") == "a b i"
    assert clean("") == "unnamed"
    assert json.dumps(clean("x" * 500)) == json.dumps("x" * 120)
