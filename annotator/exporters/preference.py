"""Pairs of a better and a worse response: `trl-preference`, `reward-pairs`, `openrlhf`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .base import VOTING, Columns, Context, Format, Question, Row, Rows, Text, input_of, output_of
from .base import whole as in_one
from .consensus import Verdict, verdicts

ACROSS = "pairs across prompts, which need the prompt in front of each response"


def ordered(question: Question, context: Context) -> Iterator[tuple[Verdict, Text, Text, float]]:
    """Each pair to write: the verdict, better, worse and weight; a tie both ways or not at all."""
    for verdict in verdicts(question, context):
        better, worse, weight = verdict.better, verdict.worse, verdict.weight
        if better.text == worse.text:
            context.left_out["pairs of equal texts"] += 1
        elif not verdict.tie:
            yield verdict, better, worse, weight
        elif context.options.ties == "both":
            yield verdict, better, worse, weight / 2
            yield verdict, worse, better, weight / 2
        else:
            context.left_out["ties"] += 1


def about(verdict: Verdict, better: Text, worse: Text) -> Row:
    """Where a pair came from."""
    votes = verdict.votes
    found = {
        "chosen_model": better.model or None,
        "rejected_model": worse.model or None,
        "votes": {"for": votes["for"], "against": votes["against"]},
        "level": votes["level"],
        "neither_or_unknown": votes["unknown"],
        "agreement": round(verdict.agreement, 6),
    }
    return found | ({"annotation": verdict.said.pk} if verdict.said else {})


def _texts(question: Question, better: Text, worse: Text, context: Context) -> Row:
    """The columns of the texts, by the option on prompts."""
    if context.options.prompts == "implicit":
        return {
            "chosen": in_one(question, better, context.chat),
            "rejected": in_one(question, worse, context.chat),
        }
    return {
        "prompt": input_of(question.prompt, context.chat),
        "chosen": output_of(better.text, context.chat),
        "rejected": output_of(worse.text, context.chat),
    }


def _text_columns(context: Context) -> Columns:
    own = ("prompt",) if context.options.prompts == "explicit" else ()
    return dict.fromkeys((*own, "chosen", "rejected"), context.turns)


def trl_preference(question: Question, context: Context) -> Rows:
    """`prompt`, `chosen`, `rejected`, and `margin` or `weight` where they are wanted."""
    options = context.options
    if question.across and options.prompts == "explicit":
        context.left_out[ACROSS] += 1
        return
    chosen_by = context.weight(question)
    for verdict, better, worse, weight in ordered(question, context):
        row = _texts(question, better, worse, context)
        if options.margin == "strength":
            row["margin"] = _margin(verdict)
        if options.weights != "none":
            row["weight"] = round(weight * chosen_by, 6)
        yield row, about(verdict, better, worse)


def _margin(verdict: Verdict) -> float:
    return 0.0 if verdict.tie else round(verdict.margin, 6)


def _trl_columns(context: Context) -> Columns:
    found = _text_columns(context)
    if context.options.margin == "strength":
        found["margin"] = "number"
    if context.options.weights != "none":
        found["weight"] = "number"
    return found


def reward_pairs(question: Question, context: Context) -> Rows:
    """Pairs with everything that a loss can use; of k responses each pair weighs 1/(k - 1)."""
    if question.across and context.options.prompts == "explicit":
        context.left_out[ACROSS] += 1
        return
    share = context.weight(question) / max(len(question.responses) - 1, 1)
    for verdict, better, worse, weight in ordered(question, context):
        row = _texts(question, better, worse, context)
        row |= {
            "margin": _margin(verdict),
            "weight": round(weight * share, 6),
            "agreement": round(verdict.agreement, 6),
            "tie": verdict.tie,
            "answers": sum(verdict.votes.values()),
            "group_id": question.id,
        }
        yield row, about(verdict, better, worse)


def _reward_columns(context: Context) -> Columns:
    return _text_columns(context) | {
        "margin": "number",
        "weight": "number",
        "agreement": "number",
        "tie": "boolean",
        "answers": "integer",
        "group_id": "string",
    }


def openrlhf(question: Question, context: Context) -> Rows:
    """`chosen` and `rejected` as whole conversations, and `margin` for its margin loss."""
    for verdict, better, worse, _ in ordered(question, context):
        row: dict[str, Any] = {
            "chosen": in_one(question, better, True),
            "rejected": in_one(question, worse, True),
            "margin": _margin(verdict),
        }
        yield row, about(verdict, better, worse)


def _openrlhf_columns(context: Context) -> Columns:
    from .base import TURNS

    return {"chosen": TURNS, "rejected": TURNS, "margin": "number"}


TRL = Format(
    name="trl-preference",
    title="TRL preference",
    summary="prompt, chosen, rejected: for TRL's DPO, reward, CPO and ORPO trainers.",
    make=trl_preference,
    columns=_trl_columns,
    heeds=VOTING | {"margin", "weights", "prompts"},
)
REWARD = Format(
    name="reward-pairs",
    title="Reward-model pairs",
    summary="Pairs with margin, weight, agreement and group_id, for a reward model of your own; "
    "all pairs of one ranking share a group and weigh 1/(k−1) each.",
    make=reward_pairs,
    columns=_reward_columns,
    heeds=VOTING | {"weights", "prompts"},
)
OPENRLHF = Format(
    name="openrlhf",
    title="OpenRLHF",
    summary="chosen and rejected as whole conversations, with margin: what OpenRLHF's reward and "
    "DPO scripts read without a key of their own.",
    make=openrlhf,
    columns=_openrlhf_columns,
)
