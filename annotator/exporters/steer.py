"""`helpsteer2-preference`: two responses, how much better one is, and everybody's reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .base import Columns, Context, Format, Prompt, Question, Row, Rows, Said, Text
from .consensus import counted, votes

CLOSEST = 3  # people whose words count, as in HelpSteer2
MARK = "\n<extra_id_1>{}\n"
SPEAKERS = {"user": "User", "assistant": "Assistant"}
SPLITS = {"train": "train", "test": "val"}
ALL = "all_preferences_unprocessed"
PREFERENCE = {"statement": "string", "elaboration": "string", "strength": "integer"}


class _Preference(NamedTuple):
    """What one person says of the pair: -3, the first is much better, to 3."""

    strength: int
    weight: float
    statement: str
    elaboration: str
    came: bool  # with an import

    @property
    def row(self) -> Row:
        """As the format has it."""
        return {
            "statement": self.statement,
            "elaboration": self.elaboration,
            "strength": self.strength,
        }


def make(question: Question, context: Context) -> Rows:
    """A row for each pair: the strength, who is closest to each other, and all who said so."""
    if question.across:
        context.left_out["pairs across prompts, which this format cannot hold"] += 1
        return
    prompt = prompt_text(question.prompt)
    if prompt is None:
        context.left_out["prompts with turns that this format cannot hold"] += 1
        return
    answers = counted(question, context)
    for n, left in enumerate(question.responses):
        for right in question.responses[n + 1 :]:
            said = [
                _preference(vote.said, vote.side, vote.strength, vote.weight)
                for vote in votes(answers, left, right, context)
                if vote.side is not None
            ]
            if not said or len(said) < context.options.minimum_answers:
                context.left_out["pairs that nobody compared, or too few"] += 1
                continue
            yield _row(question, prompt, left, right, said), _about(left, right, said)


def prompt_text(prompt: Prompt) -> str | None:
    """The prompt as HelpSteer2 has it: one text, with marks between turns.

    A system turn and a context stand in front of the first question; None where turns are by
    others than user and assistant, or do not begin with the user.
    """
    before = [prompt.context] if prompt.context else []
    if isinstance(prompt.content, str):
        return "\n\n".join([*before, prompt.content])
    turns = list(prompt.content)
    while turns and turns[0]["role"] == "system":
        before.append(turns.pop(0)["content"])
    roles = [turn["role"] for turn in turns]
    if roles[:1] != ["user"] or not set(roles) <= set(SPEAKERS):
        return None
    first, *others = turns
    said = "\n\n".join([*before, first["content"]])
    return said + "".join(MARK.format(SPEAKERS[t["role"]]) + t["content"] for t in others)


def _preference(said: Said, side: int, strength: float, weight: float) -> _Preference:
    """Statement and elaboration apart where an import told them apart."""
    meta = said.extra.get("meta") if said.via == "import" else None
    why = meta if isinstance(meta, dict) and {"statement", "elaboration"} <= set(meta) else {}
    return _Preference(
        int(-side * strength),
        weight,
        str(why.get("statement", said.rationale)),
        str(why.get("elaboration", "")),
        said.via == "import",
    )


def _row(
    question: Question, prompt: str, left: Text, right: Text, said: Sequence[_Preference]
) -> Row:
    near = closest(said)
    total = sum(one.weight for one in near)
    mean = sum(one.weight * one.strength for one in near) / total
    overall = int(abs(mean) + 0.5) * (-1 if mean < 0 else 1)
    imported = _imported(question)
    words = _words(imported if all(one.came for one in said) else {}, near, overall)
    everybody = [one.row for one in said]
    if isinstance(imported.get(ALL), list):  # more than those who answer here
        everybody = [_plain(one) for one in imported[ALL]]
        everybody += [one.row for one in said if not one.came]
    return {
        "split": _split(question, imported),
        "prompt": prompt,
        "response_1": left.text,
        "response_2": right.text,
        "preference_strength": overall,
        "preference_statement": words[0],
        "preference_elaboration": words[1],
        "three_most_similar_preferences": [one.row for one in near],
        ALL: everybody,
    }


def closest(said: Sequence[_Preference]) -> list[_Preference]:
    """The three who differ least, in their order; all where there are no more."""
    if len(said) <= CLOSEST:
        return list(said)
    order = sorted(range(len(said)), key=lambda n: said[n].strength)
    runs = [order[n : n + CLOSEST] for n in range(len(order) - CLOSEST + 1)]
    best = min(runs, key=lambda run: said[run[-1]].strength - said[run[0]].strength)
    return [said[n] for n in sorted(best)]


def _imported(question: Question) -> Row:
    """What the item's own row said beside the answers."""
    meta = question.item.extra.get("meta") if question.item else None
    return meta if isinstance(meta, dict) else {}


def _words(imported: Row, near: Sequence[_Preference], overall: int) -> tuple[str, str]:
    """The reasons that stand for all: those that came, or of the first who says what all say."""
    if "preference_statement" in imported:
        found = (imported.get(f"preference_{name}") for name in ("statement", "elaboration"))
        statement, elaboration = (one if isinstance(one, str) else "" for one in found)
        return statement, elaboration
    agree = [one for one in near if one.strength * overall > 0 or one.strength == overall]
    first = next((one for one in agree if one.statement or one.elaboration), None)
    return (first.statement, first.elaboration) if first else ("", "")


def _plain(one: Any) -> Row:
    """A preference as it came, without what the format does not have."""
    given = one if isinstance(one, dict) else {}
    found = {name: given[name] for name in ("statement", "elaboration") if name in given}
    strength = given.get("strength")
    return found | {"strength": round(strength) if isinstance(strength, int | float) else None}


def _split(question: Question, imported: Row) -> str:
    if question.split:
        return SPLITS[question.split]
    known = question.item.extra.get("split") if question.item else None
    return str(imported.get("split") or SPLITS.get(str(known), "train"))


def _about(left: Text, right: Text, said: Sequence[_Preference]) -> Row:
    models = [text.model or None for text in (left, right)]
    return {"response_models": models, "answers": len(said)}


def _columns(context: Context) -> Columns:
    return {
        "split": "string",
        "prompt": "string",
        "response_1": "string",
        "response_2": "string",
        "preference_strength": "integer",
        "preference_statement": "string",
        "preference_elaboration": "string",
        "three_most_similar_preferences": [PREFERENCE],
        ALL: [PREFERENCE],
    }


FORMAT = Format(
    name="helpsteer2-preference",
    title="HelpSteer2 preferences",
    summary="prompt, response_1, response_2, preference_strength from -3 to 3, and everybody's "
    "preferences with their reasons.",
    make=make,
    columns=_columns,
    heeds=frozenset({"minimum_answers", "judges", "judge_weight", "neither"}),
)
