"""The model card of a reward model: what it is, what it learnt from, how good it is.

Figures and counts go in, never texts: no prompt, response or name of a person is in a card. Names
that people chose are cleaned, so that a card cannot be broken or made to say something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from learning.finetune.evaluate_figures import Bin, Figures
from learning.metrics import Estimate

_LICENSE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")
_BASE: Final = re.compile(r"[\w.-]{1,96}(?:/[\w.-]{1,96})?")
_MOST_SLICES: Final = 20


@dataclass(frozen=True, slots=True)
class Data:
    """What it learnt from.

    Attributes:
        snapshot: Id of the immutable export with the labels, or what else names them.
        sha256: Of that export; nothing where not known.
        labels, ties, prompts, responses, people: Counts; None where not known.
        sources: Counts by kind of answer, such as ``people`` and ``judge``.
    """

    snapshot: str = ""
    sha256: str = ""
    labels: int | None = None
    ties: int | None = None
    prompts: int | None = None
    responses: int | None = None
    people: int | None = None
    sources: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card says besides what the folder knows of itself.

    Attributes:
        name: Of the model.
        base: Encoder or model it was trained from, as a name on the hub if it has one.
        data: What it learnt from.
        holdout: Figures on answers that were not trained on; None where nobody measured.
        holdout_name: What these answers are.
        slices: The same by kind and name of slice.
        record: How it was trained: the record of fine-tuning.
        temperature: What margins are divided by to be log odds.
        license: Identifier; ``unknown`` unless told.
        language: Codes of the languages of the texts, where known.
        use: What it was made for, in words of whoever made it.
    """

    name: str
    base: str
    data: Data = field(default_factory=Data)
    holdout: Figures | None = None
    holdout_name: str = "answers on prompts that were held out"
    slices: Mapping[str, Mapping[str, Figures]] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 1.0
    license: str = "unknown"
    language: Sequence[str] = ()
    use: str = ""


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


def card(facts: Facts, reading: Reading) -> str:
    """Return the card as Markdown with the YAML header that the hub reads."""
    parts = [
        _header(facts),
        f"# {clean(facts.name)}",
        _intro(facts),
        "## Intended use",
        _use(facts),
        "## Training data",
        _data(facts.data),
        "## Figures",
        _figures(facts),
        "## Calibration",
        _calibration(facts),
        "## Length",
        _length(facts.holdout),
        "## How it was trained",
        _record(facts.record),
        "## Limitations",
        _limits(facts, reading.max_tokens),
        "## How to load it",
        _loading(reading),
    ]
    return "\n\n".join(parts) + "\n"


def clean(text: str, most: int = 120) -> str:
    """Return a name on one line in which nothing is Markdown, HTML or YAML."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(text))
    bare = re.sub(r"[<>&`*_\[\]()#|!\\~{}$]", " ", line)
    return " ".join(bare.split())[:most] or "unnamed"


def _header(facts: Facts) -> str:
    license_ = facts.license.lower().strip()
    lines = ["---", f"license: {license_ if _LICENSE.fullmatch(license_) else 'unknown'}"]
    lines += ["library_name: transformers", "pipeline_tag: text-classification"]
    lines += ["tags:", "- reward-model", "- preference", "- trl"]
    if _BASE.fullmatch(facts.base):
        lines.append(f"base_model: {json.dumps(facts.base)}")
    codes = [code for code in facts.language if re.fullmatch(r"[a-z]{2,3}", code)]
    if codes:
        lines += ["language:", *(f"- {json.dumps(code)}" for code in codes)]  # "no" is a language
    return "\n".join([*lines, "---"])


def _intro(facts: Facts) -> str:
    return (
        f"A reward model: one number for a response to a prompt, higher for what people preferred. "
        f"Trained from {clean(facts.base)} on preferences collected with Tiebreak. The difference "
        "of two rewards, divided by the temperature below, is the log odds that the first response "
        "is preferred."
    )


def _use(facts: Facts) -> str:
    said = clean(facts.use, 600) if facts.use else "Nothing was said about its purpose."
    return (
        f"{said}\n\nIt compares responses to the *same* prompt, of the kind that it was trained "
        "on. Rewards of different prompts are not comparable. It is no measure of truth or safety."
    )


def _data(data: Data) -> str:
    named = {
        "Snapshot": clean(data.snapshot) if data.snapshot else None,
        "SHA-256": data.sha256 if re.fullmatch(r"[0-9a-f]{64}", data.sha256) else None,
        "Labels": data.labels,
        "of them ties": data.ties,
        "Prompts": data.prompts,
        "Responses": data.responses,
        "People": data.people,
        **{f"Answers of kind {clean(name)}": count for name, count in data.sources.items()},
    }
    rows = [
        f"| {name} | {f'{value:,}' if isinstance(value, int) else value} |"
        for name, value in named.items()
        if value is not None
    ]
    if not rows:
        return "Nothing is known about the data."
    return "\n".join(["| | |", "|---|---|", *rows])


def _figures(facts: Facts) -> str:
    found = facts.holdout
    if found is None:
        return "It was not measured on answers that it has not seen."
    told = [
        ("Accuracy", found.accuracy, ".1%"),
        ("Accuracy at equal length", found.length.accuracy, ".1%"),
        ("Log-loss, nats", found.log_loss, ".3f"),
        ("Log-loss with ties, nats", found.log_loss_ties, ".3f"),
        ("Expected calibration error", found.ece, ".3f"),
    ]
    lines = [
        f"On {clean(facts.holdout_name)}: {found.n:,} answers ({found.decisive:,} not ties) in "
        f"{found.groups:,} groups. Intervals are 95 %, groups redrawn.",
        "",
        "| figure | value | interval |",
        "|---|---|---|",
    ]
    lines += [_line(name, one, form) for name, one, form in told if not np.isnan(one.value)]
    for kind, parts in facts.slices.items():
        lines += ["", f"By {clean(kind)}:", "", "| slice | answers | accuracy | log-loss |"]
        lines.append("|---|---|---|---|")
        for name, one in list(parts.items())[:_MOST_SLICES]:
            lines.append(
                f"| {clean(name, 60)} | {one.n:,} | {_told(one.accuracy, '.1%')} | "
                f"{_told(one.log_loss, '.3f')} |"
            )
    return "\n".join(lines)


def _calibration(facts: Facts) -> str:
    lines = [f"Temperature: {facts.temperature:.4g}. P(first is preferred) = sigmoid((reward of "
             "the first - reward of the second) / temperature)."]  # fmt: skip
    if facts.holdout is not None:
        lines += [
            "",
            "| confidence | answers | mean confidence | share right |",
            "|---|---|---|---|",
        ]
        lines += [_bin(one) for one in facts.holdout.reliability]
    return "\n".join(lines)


def _length(found: Figures | None) -> str:
    if found is None or np.isnan(found.length.bias.value):
        return "How much of the reward is length was not measured."
    length = found.length
    rows = [
        ("Model's slope", length.slope, "+.3f"),
        ("People's slope", length.people, "+.3f"),
        ("Bias: what the model values length beyond people", length.bias, "+.3f"),
        ("Accuracy where the longer response won", length.longer_won, ".1%"),
        ("Accuracy where the shorter response won", length.shorter_won, ".1%"),
    ]
    return "\n".join(
        [
            f"Logits per standard deviation ({length.unit:.2f}) of the difference of log length.",
            "",
            "| figure | value | interval |",
            "|---|---|---|",
            *(_line(name, one, form) for name, one, form in rows if not np.isnan(one.value)),
        ]
    )


def _record(record: Mapping[str, Any]) -> str:
    """Numbers and words of the record; nothing nested but the plan."""
    plan = record.get("plan")
    flat = {**(plan if isinstance(plan, Mapping) else {}), **record}
    rows = [
        f"| {clean(name, 40)} | {clean(_value(value), 80)} |"
        for name, value in flat.items()
        if isinstance(value, str | int | float | bool)
    ]
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else "Nothing is known about it."


def _limits(facts: Facts, max_tokens: int) -> str:
    lines = [
        f"- It reads {max_tokens:,} tokens; a longer prompt keeps its end, a longer response its "
        "beginning.",
        "- It has learnt the taste of the people who answered, with their mistakes.",
        "- It can be exploited: a policy that is trained against it will find responses that it "
        "values and people do not.",
    ]
    if facts.data.people is not None and facts.data.people < 5:
        lines.append(f"- Only {facts.data.people} people answered.")
    if facts.holdout is None:
        lines.append("- No figure says how good it is.")
    elif facts.holdout.length.bias.low > 0:
        lines.append("- It values long responses more than people do.")
    return "\n".join(lines)


def _loading(reading: Reading) -> str:
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


def _line(name: str, found: Estimate, form: str) -> str:
    low, high = f"{found.low:{form}}", f"{found.high:{form}}"
    return (
        f"| {name} | {found.value:{form}} | {'' if np.isnan(found.low) else f'{low} to {high}'} |"
    )


def _told(found: Estimate, form: str) -> str:
    if np.isnan(found.low):
        return f"{found.value:{form}}"
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def _bin(one: Bin) -> str:
    return (
        f"| {one.low:.0%} to {one.high:.0%} | {one.n:,} | {one.confidence:.1%} | "
        f"{one.accuracy:.1%} |"
    )


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
