"""Real consumers take what leaves: TRL's trainers make one step, OpenRLHF's reader reads.

A tiny random model and a tokenizer made of the texts themselves: nothing is fetched.
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.exporters import ExportOptions
from annotator.models import Campaign
from annotator.services.export_files import export_to_file
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, item, make_campaign

pytestmark = [
    pytest.mark.trainers,
    pytest.mark.timeout(300),
    # The trainers' own business, on this machine and with so small a model.
    pytest.mark.filterwarnings("ignore"),
]
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} {{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is it?"}]


@pytest.fixture(params=[False, True], ids=["text", "chat"])
def answered(request: pytest.FixtureRequest, ada: User) -> Campaign:
    """Eight answered pairs, one of them with an edit beside."""
    rows = [item(n, **({"prompt": CHAT} if request.param else {})) for n in range(8)]
    campaign = make_campaign(rows=rows, people=(ada,))
    ask(campaign)
    number = 0
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada, f"{'ab'[number % 2]}{1 + number % 3}")
        number += 1
    return campaign


def loaded(campaign: Campaign, name: str, folder: Path, **options: Any) -> Any:
    """The rows as `datasets` loads the folder, with no column taken away."""
    import datasets

    out = folder / name
    export_to_file(
        campaign=campaign,
        format_name=name,
        out=out,
        container="datasets",
        options=ExportOptions.checked(options),
    )
    return datasets.load_dataset(str(out), split="train", cache_dir=str(folder / "cache"))


def tokenizer(rows: Any) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<unk>", "<pad>", "<eos>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    made.train_from_iterator([json.dumps(row) for row in rows], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>",
        chat_template=TEMPLATE,
    )  # fmt: skip


def sizes(words: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(words),
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "pad_token_id": words.pad_token_id,
        "eos_token_id": words.eos_token_id,
        "bos_token_id": None,
    }


def language_model(words: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**sizes(words)))


def usual(folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(folder / "trained"),
        "max_steps": 1,
        "per_device_train_batch_size": 4,
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "gradient_checkpointing": False,
        "max_length": 256,
    }


def step(trainer: Any) -> None:
    """One step, with a loss that is a number and weights that moved."""
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = trainer.train()
    assert done.global_step == 1
    assert math.isfinite(done.training_loss)
    after = dict(trainer.model.named_parameters())
    assert any(not value.equal(after[name].detach()) for name, value in before.items())


def test_trl_reward_trainer_takes_pairs_with_a_margin(answered: Campaign, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    rows = loaded(answered, "trl-preference", tmp_path, margin="strength", prompts="implicit")
    assert rows.column_names == ["chosen", "rejected", "margin"]
    words = tokenizer(rows)
    model = LlamaForSequenceClassification(LlamaConfig(**sizes(words), num_labels=1))
    step(
        RewardTrainer(
            model=model,
            args=RewardConfig(**usual(tmp_path)),
            train_dataset=rows,
            processing_class=words,
        )
    )


def test_trl_reward_trainer_takes_explicit_prompts_too(answered: Campaign, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    rows = loaded(answered, "reward-pairs", tmp_path)
    words = tokenizer(rows)
    model = LlamaForSequenceClassification(LlamaConfig(**sizes(words), num_labels=1))
    step(
        RewardTrainer(
            model=model,
            args=RewardConfig(**usual(tmp_path)),
            train_dataset=rows,
            processing_class=words,
        )
    )


def test_trl_dpo_trainer_takes_pairs(answered: Campaign, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    rows = loaded(answered, "trl-preference", tmp_path)
    assert rows.column_names == ["prompt", "chosen", "rejected"]
    words = tokenizer(rows)
    step(
        DPOTrainer(
            model=language_model(words),
            ref_model=language_model(words),
            args=DPOConfig(**usual(tmp_path)),
            train_dataset=rows,
            processing_class=words,
        )
    )


def test_trl_kto_trainer_takes_single_responses(answered: Campaign, tmp_path: Path) -> None:
    from trl import KTOConfig, KTOTrainer

    rows = loaded(answered, "trl-unpaired", tmp_path)
    assert rows.column_names == ["prompt", "completion", "label"]
    words = tokenizer(rows)
    step(
        KTOTrainer(
            model=language_model(words),
            ref_model=language_model(words),
            args=KTOConfig(**usual(tmp_path)),
            train_dataset=rows,
            processing_class=words,
        )
    )


def test_trl_sft_trainer_takes_the_best(answered: Campaign, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    rows = loaded(answered, "sft", tmp_path)
    words = tokenizer(rows)
    step(
        SFTTrainer(
            model=language_model(words),
            args=SFTConfig(**usual(tmp_path)),
            train_dataset=rows,
            processing_class=words,
        )
    )


def read_by_openrlhf(row: dict[str, Any], words: Any) -> tuple[str, str, float]:
    """What `openrlhf/datasets/reward_dataset.py` makes of a row with its default keys."""
    as_text = words.apply_chat_template
    margin = row["margin"] if row.get("margin") is not None else 0
    return (
        as_text(row["chosen"], tokenize=False),
        as_text(row["rejected"], tokenize=False),
        margin,
    )


def test_openrlhf_reads_whole_conversations(answered: Campaign, tmp_path: Path) -> None:
    rows = loaded(answered, "openrlhf", tmp_path)
    words = tokenizer(rows)
    for row in rows:
        chosen, rejected, margin = read_by_openrlhf(row, words)
        before = words.apply_chat_template(
            row["chosen"][:-1], tokenize=False, add_generation_prompt=True
        )
        assert chosen.startswith(before)  # how its DPO script finds the prompt
        assert rejected.startswith(before)
        assert chosen != rejected
        assert 1 <= margin <= 3
