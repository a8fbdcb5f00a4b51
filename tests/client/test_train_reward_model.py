"""The tutorial's script on the real site, a worker beside it: from a file to a reward model."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Round
from examples import train_reward_model as script
from tests.client.conftest import token

DATA = Path("annotator/demo/everyday_pool.jsonl")


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A model of one small layer with random weights, on disk."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[SEP]"]
    trainer = trainers.WordLevelTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    made.train_from_iterator(DATA.read_text().splitlines(), trainer)
    words = PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", sep_token="[SEP]"
    )
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_labels": 1}
    config = BertConfig(
        vocab_size=len(words),
        num_attention_heads=2,
        max_position_embeddings=256,
        **sizes,
    )
    folder = tmp_path / "tiny"
    BertForSequenceClassification(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(300)
def test_the_script_goes_from_a_file_to_a_reward_model(
    live_server: Any,
    ruth: User,
    ada: User,
    working: None,
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TIEBREAK_URL", live_server.url)
    monkeypatch.setenv("TIEBREAK_TOKEN", token(ruth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of trainers
        script.main(
            [
                *(str(DATA), "--labels=60", "--batch=24", "--encoder=hashed", f"--model={tiny}"),
                *(
                    "--epochs=1",
                    "--patience=60",
                    f"--out={tmp_path / 'trained'}",
                    f"--annotator=ada={token(ada)}",
                ),
            ]
        )
    said = capsys.readouterr().out
    assert "338 items" in said
    assert "60 answers; the site's own model" in said
    assert re.search(r"labels: accuracy 0\.\d{3}", said)
    assert re.search(r"after training: \d+ of \d+ pairs \(\d+%\) held out", said)
    assert (tmp_path / "trained" / "model.safetensors").exists()
    assert set(Annotation.objects.values_list("via", flat=True)) == {"api"}
    assert Annotation.objects.values("annotator").distinct().count() == 2
    assert Round.objects.filter(state="published").count() >= 3


def test_pairs_of_a_public_file_become_rows(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    turns = [{"role": "assistant", "content": "4"}]
    file.write_text(
        json.dumps({"prompt": "2 + 2?", "chosen": turns, "rejected": "5"}) + "\n", encoding="utf-8"
    )
    (row,) = script.native_rows(file)
    assert row["id"] == "pairs:1"
    assert [one["text"] for one in row["responses"]] == ["4", "5"]
    assert row["annotations"][0]["choice"] == 0
