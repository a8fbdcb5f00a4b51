"""Models of a few thousand random weights, made where they are needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from learning.data import Comparisons
from learning.finetune import Examples

CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}


def words(**special: str | None) -> object:
    """A tokenizer of bytes, with the special tokens that are named."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    named = [token for token in special.values() if token]
    vocabulary = {letter: place for place, letter in enumerate([*named, *alphabet])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


def bert(folder: Path, *, dropout: float = 0.1, seed: int = 3) -> Path:
    """An encoder without a scalar head; its tokenizer has no end token."""
    import torch
    from tokenizers.processors import BertProcessing
    from transformers import BertConfig, BertModel

    made = words(pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]")
    made.backend_tokenizer.post_processor = BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(made),
        pad_token_id=0,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **SIZES,
    )
    BertModel(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def decoder(folder: Path, kind: str = "llama", *, pad: bool = False, chat: str = "") -> Path:
    """A language model; its tokenizer has an end token and, unless asked for, no padding."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    made = words(eos_token="<eos>", **({"pad_token": "<pad>"} if pad else {}))
    if chat:
        made.chat_template = chat
    sizes = dict(SIZES)
    if kind == "gpt2":
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
    elif kind != "gpt_neox":
        sizes["num_key_value_heads"] = 2
    torch.manual_seed(5)
    more = {"bos_token_id": None, "eos_token_id": made.eos_token_id, "tie_word_embeddings": False}
    config = AutoConfig.for_model(kind, vocab_size=len(made), pad_token_id=None, **sizes, **more)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def examples(n: int = 24, *, seed: int = 0, ties: bool = True, responses: int = 3) -> Examples:
    """Rankings of responses of which the one with more letters "a" is better."""
    rng = np.random.default_rng(seed)
    prompts, texts, rows, outcome = [], [], [], []
    while len(rows) < n:
        first = len(texts)
        prompt = "Say " + "".join(rng.choice(list("xyz "), size=int(rng.integers(4, 30))))
        score = rng.integers(0, 8, size=responses)
        for one in score:
            prompts.append(prompt)
            letters = list("a" * int(one) + "b" * int(8 - one) + "c" * int(rng.integers(0, 9)))
            texts.append("".join(rng.permutation(letters)))
        for left in range(responses):
            for right in range(left + 1, responses):
                said = int(np.sign(score[left] - score[right]))
                if said or ties:
                    rows.append((first + left, first + right))
                    outcome.append(said)
    left, right = np.array(rows[:n]).T
    outcome = np.array(outcome[:n])
    strength = np.where(outcome == 0, 0, rng.integers(0, 4, size=n))
    weight = rng.choice([0.5, 1.0], size=n)
    data = Comparisons.of(left, right, outcome, strength=strength, weight=weight)
    return Examples.of(prompts, texts, data)


def edit(folder: Path, name: str, **values: object) -> None:
    """Change values of a JSON file."""
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
