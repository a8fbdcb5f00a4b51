"""What an export holds and how answers become rows: every choice, with its default and a sentence.

The command's options, the page's form and the dataset card are made of this one list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from annotator.errors import InvalidInput

AUTO = "auto"
Choice = str | float | int | bool


def _option(
    default: Choice,
    said: str,
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
) -> Any:
    about = {"help": said, "choices": choices, "low": low, "high": high}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class ExportOptions:
    """What to include, and what becomes of hard cases; the defaults are safe for training.

    Each option says itself what it does; a format that cannot heed one refuses it.
    """

    include_holdout: bool = _option(
        False, "Also prompts that are reserved for testing: never train on these."
    )
    include_gold: bool = _option(
        False, "Also questions whose answer was known: gold, practice, tests."
    )
    include_repeats: bool = _option(False, "Also second answers of a person to the same question.")
    include_late: bool = _option(
        False, "Also answers that count for no slot: they came when somebody else had it."
    )
    include_skips: bool = _option(False, "Also skips and flags, as such.")
    consensus: str = _option(
        AUTO,
        "How several answers become one: majority (more than half), reliability (people weigh by "
        "how often they agree with others), or all (a row for each answer).",
        choices=(AUTO, "majority", "reliability", "all"),
    )
    minimum_agreement: float = _option(
        0.0, "Least share of the votes, or least probability, behind a row.", low=0.0, high=1.0
    )
    minimum_answers: int = _option(1, "Least number of answers behind a row.", low=1, high=50)
    ties: str = _option(
        "out",
        "Ties: out, or both (a pair both ways with half the weight; unpaired: two good ones).",
        choices=("out", "both"),
    )
    neither: str = _option(
        "abstain",
        "“Neither is good enough”, in pairs: abstain (a person for neither side), tie, or out "
        "(as if it had not been said).",
        choices=("abstain", "tie", "out"),
    )
    edits: str = _option("in", "Rewritten responses: in, or out.", choices=("in", "out"))
    judges: str = _option(
        "out",
        "Answers of judges: out, in (each like a person), or weighted (each as much as "
        "judge_weight).",
        choices=("out", "in", "weighted"),
    )
    judge_weight: float = _option(
        0.5, "What a judge's answer weighs, where judges are weighted.", low=0.0, high=1.0
    )
    margin: str = _option(
        "none",
        "Add margin, the mean signed strength from -3 to 3: none, or strength.",
        choices=("none", "strength"),
    )
    weights: str = _option(
        "none",
        "Weights: none, or propensity (each question by one over the probability with which it "
        "was chosen, at most 20).",
        choices=("none", "propensity"),
    )
    prompts: str = _option(
        "explicit",
        "Where the prompt is: explicit (a column of its own), or implicit (in front of each "
        "response, as reward trainers like it).",
        choices=("explicit", "implicit"),
    )
    test_share: float = _option(
        0.0,
        "Share of the prompts that goes into a test file; what an import grouped stays together.",
        low=0.0,
        high=0.9,
    )
    duplicates: str = _option(
        "keep", "Rows that say the same twice: keep, or first.", choices=("keep", "first")
    )
    leave_out: str = _option(
        "",
        "Rows that the newest check before the export found: names of checks with commas, such as "
        "duplicates, label_errors.",
    )
    annotators: str = _option(
        "pseudonyms",
        "Names of people: pseudonyms, or numbers (imported names go, too).",
        choices=("pseudonyms", "numbers"),
    )
    license: str = _option(
        "unknown", "The licence that the dataset card states, such as cc-by-4.0."
    )

    def as_json(self) -> dict[str, Any]:
        """For the manifest: every option, also where it is the default."""
        return asdict(self)

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> ExportOptions:
        """Options from what a form, a file or a script gave.

        Raises:
            InvalidInput: an option is not known, or has a value that it cannot have.
        """
        known = {one.name: one for one in fields(cls)}
        if unknown := sorted(set(given) - set(known)):
            raise InvalidInput(f"there is no option {unknown[0]!r}; there are: {', '.join(known)}")
        valid: dict[str, Any] = {name: _valid(known[name], value) for name, value in given.items()}
        return cls(**valid)

    def changed(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        usual = type(self)()
        return {
            name: value for name, value in asdict(self).items() if value != getattr(usual, name)
        }


def _valid(one: Any, value: Any) -> Choice:
    kind, about = type(one.default), one.metadata
    if kind is bool:
        if not isinstance(value, bool):
            raise InvalidInput(f"{one.name}: expected true or false, got {value!r:.40}")
        return value
    if kind is str:
        text = str(value).strip() or str(one.default)
        if about["choices"] and text not in about["choices"]:
            listed = ", ".join(about["choices"])
            raise InvalidInput(f"{one.name}: expected one of {listed}; got {value!r:.40}")
        if len(text) > 100:
            raise InvalidInput(f"{one.name}: expected at most 100 characters, got {len(text)}")
        return text
    try:
        number: float = kind(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"{one.name}: expected a number, got {value!r:.40}") from None
    if isinstance(value, bool) or not about["low"] <= number <= about["high"]:
        raise InvalidInput(
            f"{one.name}: expected {about['low']} to {about['high']}, got {value!r:.40}"
        )
    return number


def listed() -> list[Any]:
    """The options in order, as `dataclasses.fields` has them."""
    return [one for one in fields(ExportOptions) if one.default is not MISSING]
