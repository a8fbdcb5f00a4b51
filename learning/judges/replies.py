"""From what a model wrote to a verdict, or to an error with a name.

Strict about what was said, tolerant about how: JSON may stand in a code fence or after
reasoning, letters may be written ``"Response B"``, numbers may be text. What cannot be read
without guessing is an error that names the field. Nothing but `ReplyError` leaves `read`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from learning.judges.base import Ask
from learning.judges.errors import CutOff, EmptyReply, Malformed, Refused, ReplyError
from learning.judges.forms import LETTERS, Comparison, Given, Order, Said
from learning.judges.templates import REASON
from learning.judges.verdict import Verdict, verdict

_LONGEST: Final = 200_000  # characters that are looked at, from the end
_STARTS: Final = 200  # opening braces that are tried, from the end
_LONGEST_REASON: Final = 4_000
_THOUGHTS: Final = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_REFUSAL: Final = re.compile(
    r"\bi(?:'m| am)? ?(?:sorry|unable|cannot|can't|won't|will not|must decline|do not feel"
    r"|don't feel|am not able|'m not able|'m not comfortable)|\bas an ai\b|\bi apologi[sz]e\b",
    re.IGNORECASE,
)


def read(text: str, ask: Ask, order: Order, *, cut_off: bool = False) -> Verdict:
    """Read a reply.

    Args:
        text: What the model wrote.
        ask: What it was asked.
        order: The display order in which it was asked.
        cut_off: The endpoint says that the model ran into its limit of tokens.

    Raises:
        ReplyError: there is no verdict in it; the class says why.
    """
    ask.check(order)
    said = _THOUGHTS.sub("", text[-_LONGEST:]).strip()
    if not said:
        raise CutOff if cut_off else EmptyReply
    letters = LETTERS[: len(order)]
    keys = {key for form in ask.forms for key in form.keys(letters)}
    given = Given(_chosen(said, keys, cut_off=cut_off), order)
    parts: dict[str, Said] = {form.name: form.read(given) for form in ask.forms}
    return verdict(parts, _reason(given.values.get(REASON)))


def with_probability(found: Verdict, order: Order, letters: Mapping[str, float]) -> Verdict:
    """Put the model's own probabilities of the letters in the place of what it stated.

    Args:
        found: A verdict with a comparison in it.
        order: The display order.
        letters: Probability of each word of the choice (``A``, ``B``, ``tie``, ...) at the
            place where it stands in the reply; others may be missing.

    Returns:
        The verdict with ``p`` = P(first) / (P(first) + P(second)); unchanged where neither
        letter has a probability, or where the reply chose no letter.
    """
    part = found.said.get("compare")
    both = letters.get("A", 0.0) + letters.get("B", 0.0)
    if not isinstance(part, Comparison) or not part.level or not both > 0:
        return found
    first = letters.get("A", 0.0) / both
    p = first if order[0] == 0 else 1 - first
    return verdict({**found.said, "compare": replace(part, p=p)}, found.rationale)


def choice_probabilities(tokens: list[Mapping[str, Any]], text: str) -> dict[str, float]:
    """Probabilities of the words of the choice, from an endpoint's ``logprobs.content``.

    Args:
        tokens: One entry a token: ``token``, ``logprob``, ``top_logprobs``.
        text: The reply that they make up.

    Returns:
        By word, summed over spellings; empty where the choice cannot be found in the tokens.
    """
    matches = list(re.finditer(r'"choice"\s*:\s*"', text, re.IGNORECASE))
    if not matches:
        return {}
    wanted, at = matches[-1].end(), 0
    for entry in tokens:
        token = entry.get("token")
        if not isinstance(token, str):
            return {}
        if at <= wanted < at + len(token):
            return _spellings(entry, lead=token[: wanted - at])
        at += len(token)
    return {}


def _spellings(entry: Mapping[str, Any], *, lead: str) -> dict[str, float]:
    """Probabilities of the alternatives at one token that begin like the one written."""
    found: dict[str, float] = {}
    others = entry.get("top_logprobs")
    alternatives = others if isinstance(others, list) and others else [entry]
    for one in alternatives:
        token, logprob = (one.get("token"), one.get("logprob")) if isinstance(one, dict) else (0, 0)
        if not isinstance(token, str) or not isinstance(logprob, int | float):
            continue
        word = token.removeprefix(lead).strip(' "\n').rstrip('",').strip()
        if not token.startswith(lead) or not word or math.isnan(logprob) or logprob > 0:
            continue
        word = word.upper() if len(word) == 1 else word.lower()
        found[word] = found.get(word, 0.0) + math.exp(logprob)
    return found


def _chosen(said: str, keys: set[str], *, cut_off: bool) -> dict[str, Any]:
    """The last object that answers something; reasoning before it may hold drafts.

    Raises:
        ReplyError: there is none.
    """
    found = [{str(k).strip().lower(): v for k, v in one.items()} for one in _objects(said)]
    for one in reversed(found):
        if keys & one.keys():
            return one
    if _REFUSAL.search(said[:1_000]):
        raise Refused(said)
    if cut_off or (not found and said.count("{") > said.count("}")):
        raise CutOff
    if found and said.lstrip("`json \n").startswith("{"):
        raise Malformed(sorted(keys)[0], "this key in the reply", sorted(found[-1]))
    raise Malformed("reply", "one JSON object", said)


def _objects(said: str) -> Iterator[dict[str, Any]]:
    """JSON objects in a text, outermost ones, in their order."""
    decoder = json.JSONDecoder(strict=False)  # models break lines inside strings
    starts = [match.start() for match in re.finditer(r"\{", said)]
    end = 0
    for start in starts[-_STARTS:] if len(starts) > _STARTS else starts:
        if start < end:
            continue
        try:
            value, end = decoder.raw_decode(said, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _reason(said: Any) -> str:
    return said.strip()[:_LONGEST_REASON] if isinstance(said, str) else ""


def complaint(error: ReplyError) -> str:
    """What a model is told about a reply that was no verdict, so that it can try again."""
    return (
        f"That reply could not be used: {error}. Reply again with one JSON object, with exactly "
        "the keys that were asked for, and with nothing else."
    )
