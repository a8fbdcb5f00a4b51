"""Conversations: messages of foreign rows as prompts and responses of the native schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from annotator.importers.base import ROLES, Misfit, Native, Raw, Turn
from annotator.importers.fields import expected, get, listed, mapped, missing


def chat(value: Any, name: str) -> list[dict[str, Any]]:
    """A list of messages, each with a role and a content that can be shown as text."""
    turns = listed(value, name, "a list of {role, content}")
    if not turns:
        raise Misfit(name, "expected at least one message, got an empty list")
    for index, turn in enumerate(turns):
        _check_turn(mapped(turn, f"{name}[{index}]"), f"{name}[{index}]")
    return turns


def _check_turn(turn: dict[str, Any], at: str) -> None:
    role = get(turn, "role", "user, assistant, …", f"{at}.")
    if not isinstance(role, str) or role not in ROLES:
        what = f"{', '.join(ROLES[:-1])} or {ROLES[-1]}"
        raise Misfit(f"{at}.role", f"expected {what}, got {role!r:.40}")
    shown_turn(turn, at)


def shown_turn(turn: Raw, at: str = "") -> str:
    """The text of a message: its parts joined, its calls of tools as JSON below it."""
    content, calls = turn.get("content"), turn.get("tool_calls") or []
    if content is None and not calls:
        raise (missing if "content" not in turn else _no_text)(f"{at}.content", "text")
    if isinstance(content, list):
        content = "\n\n".join(_part(part, f"{at}.content[{n}]") for n, part in enumerate(content))
    if content is not None and not isinstance(content, str):
        raise expected(f"{at}.content", "text", content)
    shown = [content] if content else []
    for index, call in enumerate(listed(calls, f"{at}.tool_calls")):
        mapped(call, f"{at}.tool_calls[{index}]")
        shown.append(f"```json\n{json.dumps(call, ensure_ascii=False, indent=2)}\n```")
    return "\n\n".join(shown)


def _no_text(name: str, what: str) -> Misfit:
    return expected(name, what, None)


def _part(part: Any, at: str) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    raise Misfit(at, "expected a part with text; pictures are uploaded by themselves")


def plain(turns: Sequence[Raw]) -> bool:
    """Whether nothing gets lost when only role and text are kept."""
    return all(
        set(turn) <= {"role", "content"} and isinstance(turn["content"], str) for turn in turns
    )


def as_prompt(turns: Sequence[Raw]) -> list[Turn]:
    """Messages as the native schema has them."""
    return [{"role": turn["role"], "content": shown_turn(turn)} for turn in turns]


def any_prompt(row: Raw, name: str) -> tuple[str | list[Turn], dict[str, Any]]:
    """A prompt that is text or messages, and what of it only `meta` can keep."""
    value = get(row, name, "text or a list of {role, content}")
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, list):
        raise expected(name, "text or a list of {role, content}", value)
    turns = chat(value, name)
    return as_prompt(turns), {} if plain(turns) else {"prompt": turns}


def key_of(row: Raw, name: str) -> str:
    """What rows with the same prompt have in common."""
    prompt, _ = any_prompt(row, name)
    return prompt if isinstance(prompt, str) else json.dumps(prompt)


def as_response(turns: Sequence[Raw], **more: Any) -> Native:
    """What follows the prompt, as one response: several turns are one text, with headings."""
    first, *others = turns
    said = [shown_turn(first)] if first["role"] == "assistant" else [_headed(first)]
    response: Native = {"text": "\n\n".join([*said, *map(_headed, others)]), **more}
    if others or first["role"] != "assistant" or not plain(turns):
        response["messages"] = list(turns)
    return response


def _headed(turn: Raw) -> str:
    return f"**{turn['role'].capitalize()}:** {shown_turn(turn)}"


def shared_start(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many items two lists have in common at their beginning, leaving each at least one."""
    most = min(len(one), len(other)) - 1
    return next((n for n in range(most) if one[n] != other[n]), max(0, most))
