"""Anthropic's HH-RLHF: two transcripts, Human and Assistant by turns, alike until they part."""

from __future__ import annotations

import re
from typing import Any

from annotator.importers.base import Importer, Made, Misfit, Raw, Reading, one_by_one
from annotator.importers.chats import as_prompt, as_response, shared_start
from annotator.importers.fields import rest, text
from annotator.importers.pairs import PAIR, made_pair

TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
ROLE = {"Human": "user", "Assistant": "assistant"}


def _recognises(row: Raw) -> bool:
    two = [row.get(name) for name in PAIR]
    return not row.get("prompt") and all(
        isinstance(side, str) and side.lstrip("\n").startswith("Human:") for side in two
    )


def _turns(transcript: str, name: str) -> list[dict[str, Any]]:
    before, *pieces = TURN.split(transcript)
    if before.strip() or not pieces:
        raise Misfit(name, f"expected it to begin with 'Human:', got {transcript!r:.40}")
    roles, said = pieces[::2], pieces[1::2]
    return [
        {"role": ROLE[role], "content": content.strip()}
        for role, content in zip(roles, said, strict=True)
    ]


def _convert(row: Raw, how: Reading) -> Made:
    chosen, rejected = (_turns(text(row, name), name) for name in PAIR)
    same = shared_start(chosen, rejected)
    while same and chosen[same - 1]["role"] != "user":  # the prompt ends with what a person asks
        same -= 1
    if same == 0:
        raise Misfit("rejected", "expected to begin with the same question as chosen")
    native = {"prompt": as_prompt(chosen[:same]), "meta": rest(row, *PAIR)}
    return made_pair(
        "hh-rlhf", native, as_response(chosen[same:]), as_response(rejected[same:]), how.who
    )


IMPORTER = Importer(
    name="hh-rlhf",
    title="Anthropic HH-RLHF",
    about="chosen and rejected are whole transcripts of Human and Assistant. The turns that both "
    "share are the prompt, up to the last question; what follows is the response, several turns "
    "as one text. One person prefers chosen; there are no ties, strengths or system turns.",
    recognises=_recognises,
    convert=one_by_one(_convert),
)
