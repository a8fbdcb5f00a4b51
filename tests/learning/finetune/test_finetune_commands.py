"""evaluate, score and language-features: whole commands, and what they refuse."""

import gzip
import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from learning.__main__ import main
from learning.errors import EncoderError
from learning.finetune import score_model, score_parts
from learning.replay.files import read_items
from tests.learning.finetune.rewards import reward_folder
from tests.learning.judges.tiny import CHAT, make_model

WORDS = ["salt", "pepper", "a longer answer about cooking", "no", "yes, of course", "12"]


def item(n, **more):
    rng = np.random.default_rng(n)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 5))) + f" {n}.{k}" for k in range(2)]
    return {
        "id": f"t:{n}",
        "source": "t",
        "subset": "even" if n % 2 == 0 else "odd",
        "task": "pairwise",
        "group": f"g{n // 2}",
        "prompt": f"Question {n // 2}?",
        "responses": [{"text": t, "model": m} for t, m in zip(texts, ("m2", "m1"), strict=True)],
        "annotations": [
            {"annotator": "a", "kind": "human", "choice": "tie" if n % 7 == 0 else int(n % 3 == 0)}
        ],
        "meta": {"tags": ["cooking"] if n % 4 else ["cooking", "fours"]},
        **more,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return reward_folder(tmp_path_factory.mktemp("reward"), temperature=2.0, tie=0.3)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(item(n)) + "\n" for n in range(90)))
    return path


def test_scores_are_those_of_transformers_and_the_item_is_otherwise_unchanged(
    folder, file, tmp_path, monkeypatch
):
    monkeypatch.setattr(score_parts, "AT_ONCE", 7)  # several chunks
    out = tmp_path / "scored.jsonl"
    assert main(["score", str(folder), str(file), "--out", str(out), "--threads", "1"]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    given = [json.loads(line) for line in file.read_text().splitlines()]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    words = AutoTokenizer.from_pretrained(folder)
    for row, before in zip(rows, given, strict=True):
        rewards = row["meta"].pop("rewards")
        assert row == before
        for reward, response in zip(rewards, row["responses"], strict=True):
            text = f"{row['prompt']}\n\n{response['text']}"
            with torch.no_grad():
                theirs = model(**words(text, return_tensors="pt")).logits.item()
            assert reward == pytest.approx(theirs, abs=1e-5)
    assert len(list(read_items(out))) == 90


def test_calibrated_scores_are_divided_by_the_temperature(folder, file, tmp_path):
    raw, cool = tmp_path / "1.jsonl.gz", tmp_path / "2.jsonl"
    assert main(["score", str(folder), str(file), "--out", str(raw)]) == 0
    assert main(["score", str(folder), str(file), "--out", str(cool), "--calibrated"]) == 0
    with gzip.open(raw, "rt") as first, cool.open() as second:
        one, two = json.loads(next(first)), json.loads(next(second))
    np.testing.assert_allclose(
        one["meta"]["rewards"], 2 * np.array(two["meta"]["rewards"]), atol=2e-6
    )


def test_nothing_half_written_stays_when_a_line_is_bad(folder, file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(score_parts, "AT_ONCE", 7)
    file.write_text(file.read_text() + '{"prompt": 3, "responses": []}\n')
    out = tmp_path / "scored.jsonl"
    out.write_text("old")
    assert main(["score", str(folder), str(file), "--out", str(out)]) == 2
    assert "line 91, prompt" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["items.jsonl", "scored.jsonl"]


def test_half_an_emoji_survives(folder, tmp_path):
    file, out = tmp_path / "i.jsonl", tmp_path / "o.jsonl"
    one = item(0, responses=[{"text": "\ud83d"}, {"text": "naïve\r\nx"}])
    file.write_text(json.dumps(one) + "\n")
    assert main(["score", str(folder), str(file), "--out", str(out)]) == 0
    assert json.loads(out.read_text())["responses"] == one["responses"]


@pytest.mark.parametrize("decoder", [True, False])
def test_an_evaluation_from_file_to_table_and_json(decoder, file, tmp_path, capsys):
    folder = reward_folder(tmp_path / "m", decoder=decoder, temperature=2.0, tie=0.3)
    out = tmp_path / "figures.json"
    more = ["--slices", "subset,tag,models,task", "--out", str(out), "--threads", "1"]
    assert main(["evaluate", str(folder), str(file), *more]) == 0
    made = json.loads(out.read_text())
    found = made["files"]["items"]
    scorer = score_model.load(str(folder))
    hits, surprise = by_hand(scorer, file)
    assert found["accuracy"]["value"] == pytest.approx(np.mean(hits), abs=1e-6)
    assert found["log_loss"]["value"] == pytest.approx(np.mean(surprise), abs=1e-5)
    assert found["accuracy"]["low"] < found["accuracy"]["value"] < found["accuracy"]["high"]
    assert (found["n"], found["groups"], found["items"], found["cut"]) == (90, 45, 90, found["cut"])
    assert found["ties"] == pytest.approx(13 / 90, abs=1e-6)
    assert found["log_loss_ties"]["value"] > 0
    assert set(found["slices"]) == {"subset", "tag", "models", "task"}
    assert found["slices"]["models"]["m1 | m2"]["accuracy"] == found["accuracy"]
    assert found["slices"]["tag"]["cooking"]["n"] == 90
    assert made["temperature"] == 2.0
    told = capsys.readouterr().out
    assert "at equal length" in told
    assert "by subset" in told


def by_hand(scorer, path):
    hits, surprise = [], []
    for one in read_items(path):
        a, b = scorer.rewards([one.prompt] * 2, one.responses) / 2.0
        for _, _, outcome, _ in one.answers:
            if outcome:
                margin = outcome * (a - b)
                hits.append(margin > 0)
                surprise.append(np.log1p(np.exp(-margin)))
    return hits, surprise


def test_several_files_are_told_each_and_together(folder, file, tmp_path, capsys):
    other = tmp_path / "more.jsonl"
    other.write_text("".join(json.dumps(item(n)) + "\n" for n in range(90, 150)))
    out = tmp_path / "f.json"
    assert main(["evaluate", str(folder), str(file), str(other), "--out", str(out)]) == 0
    files = json.loads(out.read_text())["files"]
    assert list(files) == ["items", "more", "all files"]
    assert files["all files"]["n"] == 150
    assert files["all files"]["groups"] == 75
    assert set(files["all files"]["slices"]["file"]) == {"items", "more"}
    assert "150 answers" in capsys.readouterr().out


def test_only_the_split_that_is_asked_for(folder, tmp_path):
    file, out = tmp_path / "i.jsonl", tmp_path / "f.json"
    rows = [item(n, split="test" if n % 3 else "train") for n in range(60)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["evaluate", str(folder), str(file), "--split", "test", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["files"]["i"]["n"] == 40


def test_what_cannot_be_evaluated_is_named(folder, file, tmp_path, capsys):
    def refused(*given):
        assert main(["evaluate", *map(str, given)]) == 2
        return capsys.readouterr().err

    nothing = tmp_path / "nothing.jsonl"
    nothing.write_text(json.dumps(item(0, annotations=[])) + "\n")
    assert "nobody compared" in refused(folder, nothing)
    assert "no slice 'colour'" in refused(folder, file, "--slices", "colour")
    assert "not a reward folder" in refused(tmp_path / "absent", file)
    assert "--threads" in refused(folder, file, "--threads", "0")
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps(item(0)) + '\n{"prompt": "x", "responses": 5}\n')
    assert "line 2, responses" in refused(folder, bad)
    causal = make_model(tmp_path / "causal")
    assert "reward model" in refused(causal, file)


def test_pickles_and_code_are_refused(file, tmp_path, capsys):
    folder = reward_folder(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.Y"}}))
    assert main(["evaluate", str(folder), str(file)]) == 2
    assert "code of its own" in capsys.readouterr().err
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert main(["evaluate", str(folder), str(file)]) == 2
    assert "pickle" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"temperature": "hot"}, {"tie": -1}])
def test_a_record_without_sense_is_refused(wrong, tmp_path):
    folder = reward_folder(tmp_path / "m", **wrong)
    with pytest.raises(EncoderError, match="must be a number"):
        score_model.load(str(folder))


def test_rewards_that_are_no_numbers_are_refused(tmp_path):
    folder = reward_folder(tmp_path / "m")
    scorer = score_model.load(str(folder))
    with torch.no_grad():
        scorer.model.last.weight.fill_(float("nan"))
    with pytest.raises(EncoderError, match="not finite"):
        scorer.rewards(["a"], ["b"])


def told_of(rows, tmp_path, *more):
    """What the command says of some items."""
    model, file = make_model(tmp_path / "lm", chat=CHAT), tmp_path / "some.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--samples", "2", "--max-new-tokens", "3", "--threads", "1", *more]
    out = tmp_path / "told.jsonl"
    assert main(["language-features", str(model), str(file), "--out", str(out), *words]) == 0
    lines = out.read_text().splitlines()
    return [json.loads(line)["meta"]["language_features"] for line in lines]


def test_a_language_model_reads_the_source_text_before_what_the_user_says_last(tmp_path):
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    pairs = [
        ({"context": "Salt.", "prompt": "Sum up."}, "Salt.\n\nSum up."),
        (
            {"context": "Salt.", "prompt": [*said, {"role": "user", "content": "Sum up."}]},
            [*said, {"role": "user", "content": "Salt.\n\nSum up."}],
        ),
        ({"context": "Salt.", "prompt": said[1:]}, [{"role": "user", "content": "Salt."}, said[1]]),
    ]
    apart = told_of([item(0, **one) for one, _ in pairs], tmp_path)
    together = told_of([item(0, prompt=prompt) for _, prompt in pairs], tmp_path)
    assert apart == together
    assert apart != told_of([item(0, prompt=one["prompt"]) for one, _ in pairs], tmp_path)


def test_language_features_of_every_item(file, tmp_path, capsys):
    model, out = make_model(tmp_path / "lm"), tmp_path / "features.jsonl"
    more = ["--samples", "2", "--max-new-tokens", "3", "--out", str(out), "--threads", "1"]
    assert main(["language-features", str(model), str(file), *more]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    told = [row["meta"].pop("language_features") for row in rows]
    assert rows == [item(n) for n in range(90)]  # otherwise unchanged
    assert all(len(one["log_likelihood"]) == 2 and one["entropy_per_token"] > 0 for one in told)
    assert all(one["model"] == told[0]["model"] != "" for one in told)
    assert told[0]["entropy"] == told[1]["entropy"]  # of one prompt
    assert told[0]["entropy"] != told[2]["entropy"]
    assert main(["language-features", str(model), str(file), *more, "--samples", "0"]) == 0
    assert "entropy" not in json.loads(out.read_text().splitlines()[0])["meta"]["language_features"]
    assert main(["language-features", str(tmp_path), str(file), *more]) == 2
    assert "config.json" in capsys.readouterr().err
