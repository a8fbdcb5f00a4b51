"""Tables in Markdown, as GitHub reads them, but that no cell is left out."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block.state_block import StateBlock
from markdown_it.rules_block.table import escapedSplit, getLine, table
from markdown_it.token import Token


def plugin(parser: MarkdownIt) -> None:
    """Teach a parser tables."""
    parser.enable("table")
    parser.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
    # Its own area: a table that scrolls by itself would no longer be a table for screen readers.
    parser.add_render_rule("table_open", _open)
    parser.add_render_rule("table_close", lambda *_anything: "</table></div>\n")


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Keep the cells of a row that its header has no column for: they are content.

    GitHub ignores them (GFM 0.29, section 4.10).
    """
    first = len(state.tokens)
    if not table(state, start, end, silent):
        return False
    made, line, shown = state.tokens[first:], start, 0
    del state.tokens[first:]
    for token in made:
        if token.type == "tr_open":
            line, shown = (token.map or [start])[0], 0
        elif token.type == "td_open":
            shown += 1
        elif token.type == "tr_close" and shown:
            for text in _cells(getLine(state, line))[shown:]:
                opening, inside, closing = map(copy, state.tokens[-3:])
                opening.attrs, inside.content, inside.children = {}, text, []
                state.tokens += [opening, inside, closing]
        state.tokens.append(token)
    return True


def _cells(line: str) -> list[str]:
    """Texts of a row, as the table rule splits it; without empty ones at the end."""
    found = [cell.strip() for cell in escapedSplit(line.strip())]
    while found and not found[-1]:
        found.pop()
    return found[1:] if found and not found[0] else found


def _open(self: Any, tokens: Sequence[Token], index: int, *_more: Any) -> str:
    return f'<div class="table-area"><table{self.renderAttrs(tokens[index])}>\n'
