"""TRL's preference and unpaired types, and OpenRLHF's; rankings as our own exports write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from annotator.importers.base import (
    Importer,
    Made,
    Misfit,
    Raw,
    Reading,
    Source,
    each,
    finished,
    in_groups,
    one_by_one,
    settled_order,
)
from annotator.importers.chats import any_prompt, as_response, chat, key_of
from annotator.importers.fields import expected, get, listed, number, optional_text, rest, switch
from annotator.importers.pairs import PAIR, made_pair, texts_of

NEAR = 2000  # prompts between two completions of one prompt
LARGEST = 1e9


def _is_pair(row: Raw) -> bool:
    other = {"score_chosen", "score_rejected"} & set(row)
    transcript = isinstance(row.get("chosen"), str) and row["chosen"].startswith("\n\nHuman:")
    return set(PAIR) <= set(row) and not other and not (transcript and not row.get("prompt"))


def _pair(row: Raw, how: Reading) -> Made:
    native, better, worse = texts_of(row)
    said = dict(how.who)
    if row.get("margin") is not None:
        said["strength"] = number(row["margin"], "margin", -LARGEST, LARGEST)
    native["meta"] |= rest(row, "prompt", *PAIR, "margin", "group_id", "tie")
    native["group"] = optional_text(row, "group_id")
    level = row.get("tie") is not None and switch(row["tie"], "tie")
    return made_pair("trl-preference", native, better, worse, said, level=level)


PREFERENCE = Importer(
    name="trl-preference",
    title="TRL preference",
    about="prompt, chosen, rejected: text or messages, the prompt by itself or as the beginning "
    "of both sides. One person prefers chosen; margin is the strength, group_id the group. There "
    "are no ties, unless a column tie says so. The order of the two responses is drawn from their "
    "content.",
    recognises=_is_pair,
    convert=one_by_one(_pair),
)


# --- prompt, completion, label --------------------------------------------------------------


def _is_unpaired(row: Raw) -> bool:
    return {"prompt", "completion", "label"} <= set(row)


def _completion(row: Raw) -> tuple[str, dict[str, Any], bool]:
    value = get(row, "completion", "text or a list of {role, content}")
    label = switch(get(row, "label", "true or false"), "label")
    if isinstance(value, str):
        return value, {"text": value}, label
    turns = chat(value, "completion")
    return str(turns), as_response(turns), label


def _unpaired(sources: Sequence[Source], how: Reading) -> list[Made]:
    """One item a prompt; the second label of a completion is a second person's."""
    read = each(sources, _completion)
    labels: dict[str, list[bool]] = {}
    for key, _, label in read:
        labels.setdefault(key, []).append(label)
    responses = {key: response for key, response, _ in read}
    row: dict[str, Any] = {"responses": list(responses.values()), "annotations": []}
    for turn in range(max(map(len, labels.values()))):
        marks = [int(said[turn]) if turn < len(said) else None for said in labels.values()]
        answer = {**how.who, "choice": None, "ratings": {"acceptable": marks}}
        row["annotations"].append(answer)
    row["prompt"], row["meta"] = any_prompt(sources[0].value, "prompt")
    others = [rest(source.value, "prompt", "completion", "label") for source in sources]
    if any(others):
        row["meta"]["rows"] = others
    if len(responses) == 1:
        row["task"] = "rating"
    names = {"prompt": "prompt", "responses": "completion"}
    names |= {f"responses[{n}].text": "completion" for n in range(len(responses))}
    return [finished(row, "trl-unpaired", names)]


UNPAIRED = Importer(
    name="trl-unpaired",
    title="TRL unpaired (KTO)",
    about="prompt, completion, label. Completions of one prompt become one item of up to ten; "
    f"they may lie up to {NEAR:,} other prompts apart. The label says whether a completion is "
    "good enough: all true is both good, all false is neither. A prompt with one completion can "
    "be asked about only where responses of several models join it.",
    recognises=_is_unpaired,
    convert=in_groups(lambda row: key_of(row, "prompt"), _unpaired, apart=NEAR),
)


# --- prompt, completions, ranks -------------------------------------------------------------


def _is_ranking(row: Raw) -> bool:
    return {"prompt", "completions", "ranks"} <= set(row)


def _ranking(row: Raw, how: Reading) -> Made:
    completions = listed(get(row, "completions", "a list of texts"), "completions")
    ranks = listed(get(row, "ranks", "a list of ranks"), "ranks")
    if len(ranks) != len(completions):
        raise Misfit("ranks", f"expected {len(completions)} ranks, got {len(ranks)}")
    responses = [_ranked(value, f"completions[{n}]") for n, value in enumerate(completions)]
    places = [_rank(value, f"ranks[{n}]") for n, value in enumerate(ranks)]
    prompt, kept = any_prompt(row, "prompt")
    order = settled_order(responses)
    said = dict(how.who)
    if row.get("annotator_id") is not None:
        said["annotator"] = str(row["annotator_id"])
    said |= {"choice": None, "ranking": [places[n] for n in order]}
    native: dict[str, Any] = {
        "prompt": prompt,
        "responses": [responses[n] for n in order],
        "group": optional_text(row, "group_id"),
        "annotations": [said],
        "meta": rest(row, "prompt", "completions", "ranks", "annotator_id", "group_id"),
    }
    native["meta"] |= kept
    names = {"prompt": "prompt", "responses": "completions", "group": "group_id"}
    for place, n in enumerate(order):
        names |= {f"responses[{place}].text": f"completions[{n}]"}
    return finished(native, "ranking", names | {"annotations[0].ranking": "ranks"})


def _ranked(value: Any, at: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list):
        return as_response(chat(value, at))
    raise expected(at, "text or a list of {role, content}", value)


def _rank(value: Any, at: str) -> int | None:
    if value is None:
        return None
    rank = number(value, at, 1, LARGEST)
    if rank != int(rank):
        raise expected(at, "a whole number, 1 is best", value)
    return int(rank)


RANKING = Importer(
    name="ranking",
    title="Ranking",
    about="prompt, completions, ranks (1 is best, equal ranks are level, null is unranked), "
    "annotator_id, group_id. Rows with the same completions are one item, ranked by several.",
    recognises=_is_ranking,
    convert=one_by_one(_ranking),
)
