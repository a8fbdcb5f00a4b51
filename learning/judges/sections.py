"""Reading a prompt as a model receives it: what stands between the marked lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from learning.errors import ConfigError
from learning.judges.base import Message

_SECTION: Final = re.compile(
    r"^<<<begin (?P<name>[^\n]*?) (?P<mark>[0-9a-f]{12})>>>\n(?P<text>.*?)\n"
    r"<<<end (?P=name) (?P=mark)>>>$",
    re.DOTALL | re.MULTILINE,
)
_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})


@dataclass(frozen=True, slots=True)
class Sections:
    """What a prompt asks about.

    Attributes:
        asked: The last thing that the user of the judged conversation said.
        context: A source text, or empty.
        responses: By letter; one alone has the letter ``""``.
    """

    asked: str
    context: str
    responses: Mapping[str, str]


def sections(messages: Sequence[Message]) -> Sections:
    """Find the sections of a prompt that one of our templates made.

    Raises:
        ConfigError: there is no response in it.
    """
    text = "\n".join(turn.content for turn in messages if turn.role != "assistant")
    said, context, responses = "", "", dict[str, str]()
    for found in _SECTION.finditer(text):
        name, inside = found["name"], found["text"]
        if name == "context":
            context = inside
        elif name.startswith("response"):
            responses[name.removeprefix("response").strip()] = inside
        elif name == "user" or (name in _ROLES and not said):
            said = inside
    if not responses:
        raise ConfigError("the prompt has no section with a response; is it one of our templates?")
    return Sections(said, context, responses)
