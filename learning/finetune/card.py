"""The model card of a reward model: what it is, what it learnt from, how good it is.

Figures and counts go in, never texts: no prompt, response or name of a person is in a card. Names
that people chose are cleaned, so that a card cannot be broken or made to say something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from learning.finetune.card_figures import calibration, clean, figures_told, length_told
from learning.finetune.card_loading import Reading, loading
from learning.finetune.evaluate_figures import Figures

_LICENSE: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")
_BASE: Final = re.compile(r"[\w.-]{1,96}(?:/[\w.-]{1,96})?")


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
        figures_told(facts.holdout, facts.holdout_name, facts.slices),
        "## Calibration",
        calibration(facts.temperature, facts.holdout),
        "## Length",
        length_told(facts.holdout),
        "## How it was trained",
        _record(facts.record),
        "## Limitations",
        _limits(facts, reading.max_tokens),
        "## How to load it",
        loading(reading),
    ]
    return "\n\n".join(parts) + "\n"


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


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


__all__ = ["Data", "Facts", "Reading", "card", "clean"]
