"""Open Assistant: trees of messages whose replies were ranked; whole, or a message a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from annotator.importers.base import (
    MOST_RESPONSES,
    Importer,
    Made,
    Misfit,
    Raw,
    Reading,
    Source,
    Turn,
    each,
    finished,
    in_groups,
    one_by_one,
)
from annotator.importers.fields import get, listed, mapped, number, optional_text, rest, text

ROLE = {"prompter": "user", "assistant": "assistant", "system": "system"}
USED = ("message_id", "parent_id", "text", "role", "replies", "rank", "model_name", "deleted")
DEEPEST = 200
LARGEST_TREE = 20_000  # messages

Path = tuple[Turn, ...]


def _turn(message: Raw, at: str) -> Turn:
    role = text(message, "role", at)
    if role not in ROLE:
        raise Misfit(at + "role", f"expected prompter or assistant, got {role!r:.40}")
    return {"role": ROLE[role], "content": text(message, "text", at)}


def _items(root: dict[str, Any], tree: str) -> Iterator[Made]:
    """An item for each message with two replies of the assistant or more; without recursion."""
    waiting: list[tuple[dict[str, Any], Path, str]] = [(root, (), "prompt.")]
    while waiting:
        message, path, at = waiting.pop()
        if len(path) > DEEPEST:
            raise Misfit(at + "replies", f"expected at most {DEEPEST} levels of replies")
        path = (*path, _turn(message, at))
        given = listed(message.get("replies") or [], at + "replies")
        replies = [
            (mapped(reply, f"{at}replies[{n}]"), f"{at}replies[{n}].")
            for n, reply in enumerate(given)
        ]
        replies = [(reply, where) for reply, where in replies if not reply.get("deleted")]
        waiting += [(reply, path, where) for reply, where in reversed(replies)]
        said = [pair for pair in replies if pair[0].get("role") == "assistant"]
        if len(said) > 1:
            yield _item(message, path, said, at, tree)


def _item(
    message: Raw, path: Path, replies: list[tuple[dict[str, Any], str]], at: str, tree: str
) -> Made:
    ranks = {where: _rank(reply, where) for reply, where in replies}
    in_order = sorted(replies, key=lambda pair: (ranks[pair[1]] is None, ranks[pair[1]] or 0))
    kept = sorted(in_order[:MOST_RESPONSES], key=lambda pair: str(pair[0].get("message_id")))
    places = [ranks[where] for _, where in kept]
    ranked = sum(place is not None for place in places) > 1
    said = {"annotator": None, "kind": "human", "choice": None, "ranking": places}
    meta = rest(message, *USED)
    if len(in_order) > len(kept):
        meta["more_replies"] = len(in_order) - len(kept)
    native = {
        "id": text(message, "message_id", at),
        "group": tree,
        "prompt": list(path),
        "responses": [_response(reply, where) for reply, where in kept],
        "annotations": [said] if ranked else [],
        "meta": meta,
    }
    names = {"id": at + "message_id", "prompt": at + "text", "responses": at + "replies"}
    for n, (_, where) in enumerate(kept):
        names |= {f"responses[{n}].text": where + "text", f"responses[{n}]": where[:-1]}
    return finished(native, "oasst", names)


def _rank(reply: Raw, at: str) -> int | None:
    value = reply.get("rank")
    return None if value is None else int(number(value, at + "rank", 0, 1e6)) + 1


def _response(reply: Raw, at: str) -> dict[str, Any]:
    more = rest(reply, *USED)
    if reply.get("message_id") is not None:
        more["message_id"] = reply["message_id"]
    return {
        "text": text(reply, "text", at),
        "model": optional_text(reply, "model_name", at),
        **more,
    }


def _is_tree(row: Raw) -> bool:
    return "message_tree_id" in row and isinstance(row.get("prompt"), dict)


def _tree(row: Raw, how: Reading) -> list[Made]:
    name = text(row, "message_tree_id")
    return list(_items(mapped(get(row, "prompt", "an object"), "prompt"), name))


ABOUT = (
    "Every message with two replies of the assistant or more becomes an item: the conversation up "
    "to it is the prompt, rank 0 is the best reply, equal ranks are level, replies without rank "
    "are unranked. The ranks are the merged ones of several people, so they count as one answer. "
    "Deleted replies are left out; of more than ten the best ten stay. Labels stay with their "
    "message."
)
TREES = Importer(
    name="oasst",
    title="Open Assistant trees",
    about="message_tree_id, prompt with its replies. " + ABOUT,
    recognises=_is_tree,
    convert=one_by_one(_tree),
)


# --- a message a row ------------------------------------------------------------------------


def _is_message(row: Raw) -> bool:
    return {"message_id", "parent_id", "message_tree_id", "text", "role"} <= set(row)


def _grown(sources: Sequence[Source], how: Reading) -> list[Made]:
    """The tree that these messages make; order does not matter."""
    messages = each(sources, lambda row: {**row, "replies": [], "id": text(row, "message_id")})
    by_id = {message.pop("id"): message for message in messages}
    roots: list[dict[str, Any]] = []
    for message in messages:
        parent = by_id.get(optional_text(message, "parent_id"))
        (roots if parent is None else parent["replies"]).append(message)
    if not roots or len(roots) > 1 or roots[0].get("parent_id") is not None:
        raise Misfit("parent_id", "expected one first message a tree, with its rows side by side")
    return [
        Made(made.native, {key: name.rpartition(".")[2] for key, name in made.names.items()})
        for made in _items(roots[0], sources[0].value["message_tree_id"])
    ]


MESSAGES = Importer(
    name="oasst-messages",
    title="Open Assistant messages",
    about="message_id, parent_id, message_tree_id, text, role, rank; the rows of a tree follow "
    "each other, as they are published. " + ABOUT,
    recognises=_is_message,
    convert=in_groups(lambda row: text(row, "message_tree_id"), _grown, most=LARGEST_TREE),
)
