"""A better and a worse response to one prompt, as trainers of reward models and DPO read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.importers.base import Made, Misfit, Native, Raw, finished, settled_order
from annotator.importers.chats import as_prompt, as_response, chat, plain, shared_start
from annotator.importers.fields import expected, get, missing

PAIR = ("chosen", "rejected")


def sides(row: Raw) -> tuple[Any, Any]:
    """`chosen` and `rejected`, both text or both conversations."""
    chosen, rejected = (get(row, name, "text or a list of {role, content}") for name in PAIR)
    for name, value in zip(PAIR, (chosen, rejected), strict=True):
        if not isinstance(value, str | list):
            raise expected(name, "text or a list of {role, content}", value)
    if type(chosen) is not type(rejected):
        what = "text" if isinstance(chosen, str) else "a list"
        raise expected("rejected", f"{what}, as chosen is", rejected)
    return chosen, rejected


def conversations(row: Raw) -> tuple[list[dict[str, Any]], list[Any], list[Any]]:
    """The turns that both sides share, prompt first, and what each says then.

    `prompt` may be given by itself, as text or as turns, or be the beginning that both sides
    share; it may also be both.
    """
    chosen, rejected = (chat(row[name], name) for name in PAIR)
    given = row.get("prompt")
    prompt = _turns(given) if given is not None else []
    same = shared_start(chosen, rejected)
    shared = chosen[:same]
    if prompt and shared and _said(shared[-1]) == _said(prompt[-1]):  # it is there twice
        prompt = []
    return prompt + shared, chosen[same:], rejected[same:]


def _said(turn: Raw) -> tuple[Any, Any]:
    return turn["role"], turn.get("content")


def _turns(prompt: Any) -> list[dict[str, Any]]:
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list):
        raise expected("prompt", "text or a list of {role, content}", prompt)
    return chat(prompt, "prompt")


def split_texts(chosen: str, rejected: str) -> tuple[str, str, str]:
    """The prompt that both texts begin with, cut before a word, and what follows in each."""
    pairs = zip(chosen, rejected, strict=False)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(chosen), len(rejected)))
    if same == min(len(chosen), len(rejected)):  # one goes on where the other ends
        same = max(0, same - 1)
    while same and not chosen[same - 1].isspace():
        same -= 1
    prompt = chosen[:same].rstrip()
    if not prompt:
        raise Misfit("prompt", "is missing; expected it here, or as the beginning of both sides")
    return prompt, chosen[len(prompt) :], rejected[len(prompt) :]


def texts_of(row: Raw) -> tuple[Native, Native, Native]:
    """Prompt (with what only `meta` can keep), chosen and rejected, whatever the row's shape."""
    chosen, rejected = sides(row)
    if isinstance(chosen, list):
        turns, after, other = conversations(row)
        if not turns:
            raise missing("prompt", "text or messages, by itself or as the beginning of both sides")
        kept = {} if plain(turns) else {"prompt": turns}
        prompt: Any = as_prompt(turns)
        if isinstance(row.get("prompt"), str) and len(turns) == 1:
            prompt = turns[0]["content"]
        return {"prompt": prompt, "meta": kept}, as_response(after), as_response(other)
    given = row.get("prompt")
    if given is None:
        prompt, chosen, rejected = split_texts(chosen, rejected)
    elif isinstance(given, str):
        prompt = given
    else:
        turns = _turns(given)
        kept = {} if plain(turns) else {"prompt": turns}
        return {"prompt": as_prompt(turns), "meta": kept}, {"text": chosen}, {"text": rejected}
    return {"prompt": prompt, "meta": {}}, {"text": chosen}, {"text": rejected}


def made_pair(
    name: str,
    native: Native,
    better: Native,
    worse: Native,
    said: Mapping[str, Any],
    *,
    names: Sequence[str] = PAIR,
    ratings: Mapping[str, Sequence[Any]] | None = None,
    level: bool = False,
) -> Made:
    """A native row whose order of responses does not say which is better; the annotation does."""
    both = [better, worse]
    order = settled_order(both)
    annotation = {**said, "choice": "tie" if level else order.index(0)}
    if ratings:
        annotation["ratings"] = {key: [marks[n] for n in order] for key, marks in ratings.items()}
    called = {"prompt": "prompt"}
    for place, n in enumerate(order):
        called |= {f"responses[{place}].text": names[n], f"responses[{place}]": names[n]}
    row = {**native, "responses": [both[n] for n in order], "annotations": [annotation]}
    return finished(row, name, called)
