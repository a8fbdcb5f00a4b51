"""From the answers to a question to what they say together: the one place where policies live.

Of each pair of responses an answer says that one is better, that they are level, or nothing:

- level: both in one tier, as a tie is; not where the form left a tier uncompared;
- nothing: one of the two was not ranked; a person who says nothing of a pair still counts as one
  who is for neither side, except about edits, which only those who made them were asked about;
- "neither is good enough": by the option `neither`.

`majority`: a side wins with more than half of all votes. `reliability`: a side wins whose
posterior probability is more than one half. `all`: every answer speaks for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from . import reliability
from .base import ASIDE, Context, Question, Said, Text, depths

UNSAID = 2.0  # the strength of a preference that has none: plainly better, in the middle of 1 to 3
AHEAD, BEHIND, LEVEL = 1, -1, 0
UNKNOWN: int | None = None


class Vote(NamedTuple):
    """What one answer says about a pair: 1 the first is better, -1 the second, 0 level, or None."""

    said: Said
    side: int | None
    strength: float
    weight: float


class Verdict(NamedTuple):
    """What answers say together about two responses.

    Attributes:
        better, worse: For a tie, in the order of the question.
        tie: Whether they are level.
        agreement: Share of the votes, or probability, behind it. 0 to 1.
        margin: Mean signed strength of those who compared them, positive for `better`. -3 to 3.
        weight: Of an ordinary judgement: less than 1 for what a judge alone says.
        votes: How many said what: for, against, level, unknown.
        said: The one answer, where each speaks for itself.
    """

    better: Text
    worse: Text
    tie: bool
    agreement: float
    margin: float
    weight: float
    votes: dict[str, int]
    said: Said | None


class Good(NamedTuple):
    """What answers say together about one response by itself."""

    response: Text
    good: bool
    agreement: float
    weight: float
    votes: dict[str, int]
    said: Said | None


def counted(question: Question, context: Context) -> list[tuple[Said, float]]:
    """The answers that vote, and what each weighs, by the options on judges."""
    judge = context.judge_weight
    return [
        (said, weight)
        for said in question.answers
        if said.outcome not in ASIDE and (weight := 1.0 if said.kind == "human" else judge) > 0
    ]


def pairs(question: Question, context: Context) -> Iterator[tuple[Text, Text, bool]]:
    """Pairs to decide: of the responses, and each edit with its original; True for these."""
    for left, right in combinations(question.responses, 2):
        yield left, right, False
    if context.options.edits == "in" and question.edits:
        by_id = {response.pk: response for response in question.responses}
        for edit in question.edits:
            yield edit, by_id[edit.parent_id or 0], True


def votes(
    answers: Sequence[tuple[Said, float]],
    left: Text,
    right: Text,
    context: Context,
    *,
    edited: bool = False,
) -> list[Vote]:
    """What everybody says about a pair."""
    neither = context.options.neither
    left_first, right_first = [[left.pk], [right.pk]], [[right.pk], [left.pk]]
    found = []
    for said, weight in answers:
        tiers, side = said.tiers, UNKNOWN
        if said.outcome == "neither":
            if neither == "out":
                continue
            side = LEVEL if neither == "tie" else UNKNOWN
        elif tiers == left_first:  # the usual case, at once
            side = AHEAD
        elif tiers == right_first:
            side = BEHIND
        elif tiers:
            side = _side(said, tiers, left.pk, right.pk)
        if edited and side is None:
            continue
        found.append(Vote(said, side, _strength(said), weight))
    return found


def _side(said: Said, tiers: list[list[int]], left: int, right: int) -> int | None:
    tier = {pk: depth for depth, level in enumerate(tiers) for pk in level}
    if left not in tier or right not in tier:
        return UNKNOWN
    if tier[left] == tier[right]:
        return UNKNOWN if said.details.get("uncompared") or _picked(said) else LEVEL
    return AHEAD if tier[left] < tier[right] else BEHIND


def _picked(said: Said) -> bool:
    """An imported choice of one among several: nobody compared the others."""
    if said.via != "import" or isinstance(said.extra.get("ranking"), list):
        return False
    several = sum(len(tier) for tier in said.tiers or ()) > 2
    return several and isinstance(said.extra.get("choice"), int)


def _strength(said: Said) -> float:
    """What was pressed, where the answer is about two responses; of a ranking, the usual one."""
    if said.strength and said.tiers is not None and sum(map(len, said.tiers)) == 2:
        return float(said.strength)
    return UNSAID


def verdicts(question: Question, context: Context) -> Iterator[Verdict]:
    """What is decided about the pairs of a question; what is not is counted as left out."""
    options, left_out = context.options, context.left_out
    answers = counted(question, context)
    for left, right, edited in pairs(question, context):
        found = votes(answers, left, right, context, edited=edited)
        if len(found) < options.minimum_answers:
            left_out["no answer, or too few" if not edited else "edits that nobody compares"] += 1
            continue
        if options.consensus == "all":
            yield from _each(found, left, right, context)
            continue
        decided = _decided(found, left, right, context)
        if decided is None:
            left_out["pairs without a majority"] += 1
        elif decided.agreement < options.minimum_agreement:
            left_out["pairs with too little agreement"] += 1
        else:
            yield decided


def _decided(found: Sequence[Vote], left: Text, right: Text, context: Context) -> Verdict | None:
    ahead, behind, level, total = _sums(found)
    if context.options.consensus == "reliability":
        sides = [(v.said.annotator_id, v.side, v.weight) for v in found if v.side is not None]
        if not sides:
            return None
        chances = reliability.posterior(sides, context.skill)
    else:
        chances = (ahead / total, behind / total, level / total) if total else (0.0, 0.0, 0.0)
    best = max(chances)
    if best <= 0.5:
        return None
    side = (AHEAD, BEHIND, LEVEL)[chances.index(best)]
    return _verdict(found, left, right, side, best)


def _each(found: Sequence[Vote], left: Text, right: Text, context: Context) -> Iterator[Verdict]:
    ahead, behind, level, total = _sums(found)
    share = {AHEAD: ahead / total, BEHIND: behind / total, LEVEL: level / total}
    for vote in found:
        if vote.side is None:
            context.left_out["answers that say nothing of a pair"] += 1
        elif share[vote.side] < context.options.minimum_agreement:
            context.left_out["pairs with too little agreement"] += 1
        else:
            made = _verdict([vote], left, right, vote.side, share[vote.side])
            yield made._replace(votes=_counts(found, vote.side), said=vote.said)


def _verdict(
    found: Sequence[Vote], left: Text, right: Text, side: int, agreement: float
) -> Verdict:
    sign = -1 if side == BEHIND else 1
    better, worse = (right, left) if side == BEHIND else (left, right)
    weight = margin = 0.0
    for vote in found:
        if vote.side is not None:
            weight += vote.weight
            margin += vote.weight * vote.side * vote.strength
    return Verdict(
        better,
        worse,
        side == LEVEL,
        agreement,
        margin * sign / weight if weight else 0.0,
        max([vote.weight for vote in found], default=1.0),
        _counts(found, side),
        None,
    )


def _sums(found: Sequence[Vote]) -> tuple[float, float, float, float]:
    ahead = behind = level = total = 0.0
    for _, side, _, weight in found:
        total += weight
        if side == AHEAD:
            ahead += weight
        elif side == BEHIND:
            behind += weight
        elif side == LEVEL:
            level += weight
    return ahead, behind, level, total


def _counts(found: Sequence[Vote], side: int) -> dict[str, int]:
    said = [vote.side for vote in found]
    mine = BEHIND if side == BEHIND else AHEAD
    return {
        "for": said.count(mine),
        "against": said.count(-mine),
        "level": said.count(LEVEL),
        "unknown": said.count(UNKNOWN),
    }


# --- each response by itself ---------------------------------------------------------------


def marks(said: Said, context: Context) -> dict[int, bool]:
    """Which responses one answer finds good, and which not.

    A line of good enough decides. Without one, the best is good and the worst is not; both are
    good in a tie where the options say so; what was left uncompared says nothing.
    """
    tiers, options = said.tiers, context.options
    if said.outcome == "neither" and options.neither == "out":
        return {}
    if not tiers:
        return {}
    if said.acceptable is not None:
        line = said.acceptable
        return {pk: depth < line for depth, tier in enumerate(tiers) for pk in tier}
    if len(tiers) == 1:
        tie = said.outcome == "tie" and options.ties == "both"
        return dict.fromkeys(tiers[0], True) if tie else {}
    first, last = tiers[0], tiers[-1]
    found = dict.fromkeys(first, True)
    if len(last) == 1 or not (said.details.get("uncompared") or _picked(said)):
        found |= dict.fromkeys(last, False)
    return found


def goods(question: Question, context: Context) -> Iterator[Good]:
    """What is decided about each response, and about each edit."""
    options = context.options
    everybody = [
        (said, weight, marks(said, context)) for said, weight in counted(question, context)
    ]
    edits = question.edits if options.edits == "in" else []
    for text in [*question.responses, *edits]:
        found = [
            (said, weight, good[text.pk]) for said, weight, good in everybody if text.pk in good
        ]
        if not found or len(found) < options.minimum_answers:
            context.left_out["responses without a mark, or with too few"] += 1
        elif options.consensus == "all":
            yield from _each_good(text, found, context)
        else:
            yield from _decided_good(text, found, context)


def _each_good(
    text: Text, found: Sequence[tuple[Said, float, bool]], context: Context
) -> Iterator[Good]:
    total = sum(weight for _, weight, _ in found)
    for said, weight, good in found:
        share = sum(w for _, w, other in found if other is good) / total
        if share >= context.options.minimum_agreement:
            yield Good(text, good, share, weight, _good_counts(found), said)
        else:
            context.left_out["responses with too little agreement"] += 1


def _decided_good(
    text: Text, found: Sequence[tuple[Said, float, bool]], context: Context
) -> Iterator[Good]:
    total = sum(weight for _, weight, _ in found)
    yes = sum(weight for _, weight, good in found if good) / total
    if context.options.consensus == "reliability":
        sides = [(said.annotator_id, 1 if good else -1, weight) for said, weight, good in found]
        yes = reliability.posterior(sides, context.skill, level=0.0)[0]
    share = max(yes, 1.0 - yes)
    if share <= 0.5:
        context.left_out["responses without a majority"] += 1
    elif share < context.options.minimum_agreement:
        context.left_out["responses with too little agreement"] += 1
    else:
        weight = max(weight for _, weight, _ in found)
        yield Good(text, yes > 0.5, share, weight, _good_counts(found), None)


def _good_counts(found: Sequence[tuple[Said, float, bool]]) -> dict[str, int]:
    good = sum(good for _, _, good in found)
    return {"good": good, "not_good": len(found) - good}


# --- the whole set --------------------------------------------------------------------------


class Ranked(NamedTuple):
    """A weak order of responses by everybody, or by one."""

    responses: list[Text]
    ranks: list[int]
    agreement: float
    weight: float
    said: Said | None


def rankings(question: Question, context: Context) -> Iterator[Ranked]:
    """Each answer's order; or one for all, by how many others a response wins against.

    For the one order each pair that is won counts 1 and each that is level or undecided ½
    (Copeland). Responses of one tier share a rank, also where nobody compared them.
    """
    texts = [*question.responses, *(question.edits if context.options.edits == "in" else [])]
    if context.options.consensus == "all":
        for said, weight in counted(question, context):
            place = depths(said)
            ranked = [text for text in texts if text.pk in place]
            if said.outcome == "neither" or len(ranked) < 2:
                context.left_out["answers without an order"] += 1
            else:
                numbers = _dense([place[text.pk] for text in ranked])
                yield Ranked(ranked, numbers, 1.0, weight, said)
        return
    won = {text.pk: 0.0 for text in texts}
    agreements, compared = [], set()
    for verdict in verdicts(question, context):
        agreements.append(verdict.agreement)
        compared |= {verdict.better.pk, verdict.worse.pk}
        won[verdict.better.pk] += 0.0 if verdict.tie else 0.5
        won[verdict.worse.pk] -= 0.0 if verdict.tie else 0.5
    ranked = [text for text in texts if text.pk in compared]
    if len(ranked) < 2:
        context.left_out["questions without an order"] += 1
        return
    numbers = _dense([-won[text.pk] for text in ranked])
    yield Ranked(ranked, numbers, sum(agreements) / len(agreements), 1.0, None)


def _dense(values: Sequence[float]) -> list[int]:
    number = {value: n for n, value in enumerate(sorted(set(values)), start=1)}
    return [number[value] for value in values]
