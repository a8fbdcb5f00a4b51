"""The code that a model card shows: how to get a reward with nothing but transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Reading:
    """How the model reads texts, for the code that the card shows.

    Attributes:
        max_tokens: Most tokens.
        way: ``pair`` of segments, ``chat`` template, or ``text`` with an empty line in between.
        ends: Whether the end token has to be put behind a text by hand.
        types: Whether the second segment has a token type of its own.
    """

    max_tokens: int
    way: Literal["pair", "chat", "text"] = "pair"
    ends: bool = False
    types: bool = False


def loading(reading: Reading) -> str:
    """Return the section of the card, as Markdown."""
    most = reading.max_tokens
    return f"""```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained(FOLDER)
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
{_inputs(reading)}
reward = model(**inputs).logits[0, 0].item()
```

`python -m learning score FOLDER FILE --out scored.jsonl` writes the rewards of a whole
file, and cuts what is longer than {most:,} tokens as in training.

To train it further on pairs with TRL:

```python
from trl import RewardConfig, RewardTrainer

trainer = RewardTrainer(
    model=model,
    args=RewardConfig(output_dir="out", max_length={most}),
    train_dataset=pairs,  # columns chosen, rejected
    processing_class=tokenizer,
)
trainer.train()
```

As the reward of `GRPOTrainer` and others: `reward_funcs=FOLDER` with
`reward_processing_classes=tokenizer`."""


def _inputs(reading: Reading) -> str:
    """Lines of Python that make inputs of ``prompt`` and ``response``."""
    if reading.way == "pair":
        types = ", return_token_type_ids=True" if reading.types else ""
        return f'inputs = tokenizer(prompt, response, return_tensors="pt"{types})'
    if reading.way == "chat":
        return """turns = [
    {"role": "user", "content": prompt},
    {"role": "assistant", "content": response},
]
text = tokenizer.apply_chat_template(turns, tokenize=False)
inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")"""
    end = " + tokenizer.eos_token" if reading.ends else ""
    return (
        f'text = prompt + "\\n\\n" + response{end}\ninputs = tokenizer(text, return_tensors="pt")'
    )
