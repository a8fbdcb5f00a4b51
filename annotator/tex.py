r"""LaTeX in Markdown: `$…$`, `\(…\)`, `$$…$$`, `\[…\]` and `\begin{align}`. Typeset in the page.

The source stays the text of the element, with its delimiters: without JavaScript, or where it is
malformed, that is what is read. Money is no maths: "$5 and $10" has a space before its second
sign; nor are shell variables, after whose sign a letter follows.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

LONGEST = 5000  # characters of one formula
TALLEST = 200  # lines
CLOSER = re.compile(r"(?<![\s\\$])\$(?![0-9A-Za-z$])")
SIGN = re.compile(r"(?<!\\)\$")
OPENED = re.compile(r"[0-9A-Za-z$]")  # right before a sign that opens nothing
AMOUNT = re.compile(r"\d[^\\]*?[\s\-–][A-Za-z]{2,}")  # a number, and then words
OPERATOR = re.compile(r"[\\^_=+<>]")
WORD = re.compile(r"[A-Za-z]{4,}")
ENVIRONMENT = re.compile(r"\\begin\{((?:equation|align|alignat|gather)\*?)\}")


def plugin(parser: MarkdownIt) -> None:
    """Teach a parser maths."""
    parser.inline.ruler.before("escape", "math", _inline)
    stops = ["paragraph", "reference", "blockquote", "list"]
    parser.block.ruler.before("fence", "math", _block, {"alt": stops})
    parser.add_render_rule("math", _render)


def _render(_self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    tag = "div" if token.block else "span"
    kind = "math display" if token.meta["display"] else "math"
    end = "\n" if token.block else ""
    return f'<{tag} class="{kind}" dir="ltr">{escapeHtml(token.content)}</{tag}>{end}'


# --- inside a paragraph ------------------------------------------------------------------


def _inline(state: StateInline, silent: bool) -> bool:
    sign = state.src[state.pos]
    if sign == "$":
        end = _after_dollars(state)
    elif sign == "\\":
        end = _after_backslash(state)
    else:
        return False
    if end == 0:
        return False
    if not silent:
        token = state.push("math", "", 0)
        token.content = state.src[state.pos : end]
        token.meta = {"display": state.src.startswith(("$$", "\\["), state.pos)}
    state.pos = end
    return True


def _after_dollars(state: StateInline) -> int:
    """Where the formula that starts here ends; 0 if none does."""
    src, start = state.src, state.pos
    if start and OPENED.match(src, start - 1):
        return 0
    if src.startswith("$$", start):
        end = src.find("$$", start + 2, min(start + LONGEST, state.posMax))
        return end + 2 if end > start + 2 and src[start + 2 : end].strip() else 0
    if start + 1 >= state.posMax or src[start + 1].isspace():
        return 0
    closers = _closers(state)
    at = bisect_right(closers, start + 1)
    if at == len(closers) or closers[at] >= state.posMax:
        return 0
    inner = src[start + 1 : closers[at]]
    if len(inner) > LONGEST or SIGN.search(inner) or (AMOUNT.match(inner) and "\\" not in inner):
        return 0
    return closers[at] + 1


def _closers(state: StateInline) -> list[int]:
    """Signs that can close a formula, found once for each paragraph."""
    kept: dict[str, Any] = state.env.setdefault("tex", {})
    if kept.get("of") is not state.src:
        kept["of"], kept["at"] = state.src, [m.start() for m in CLOSER.finditer(state.src)]
    found: list[int] = kept["at"]
    return found


def _after_backslash(state: StateInline) -> int:
    src, start = state.src, state.pos
    close = {"(": "\\)", "[": "\\]"}.get(src[start + 1 : start + 2])
    if close is None:
        return 0
    end = src.find(close, start + 2, min(start + LONGEST, state.posMax))
    inner = src[start + 2 : max(end, 0)]
    # In Markdown these are also plain brackets that shall not make a link: \[see there\].
    plain = close == "\\]" or WORD.search(inner)
    if not inner.strip() or (plain and not OPERATOR.search(inner)):
        return 0
    return end + 2


# --- on lines of its own -----------------------------------------------------------------


def _block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    line = state.src[begin : state.eMarks[start]].rstrip()
    if line.startswith("$$"):
        close, skip = "$$", 2
    elif line.startswith("\\["):
        close, skip = "\\]", 2
    elif named := ENVIRONMENT.match(line):
        close, skip = f"\\end{{{named[1]}}}", named.end()
    else:
        return False
    end = _closing_line(state, start, last, close, line[skip:])
    if end is None:
        return False
    content = state.getLines(start, end + 1, state.blkIndent, False).strip()
    inner = content[skip : -len(close)]
    if not inner.strip() or len(inner) > LONGEST or close in inner:
        return False
    if close == "\\]" and "\n" not in inner and not OPERATOR.search(inner):
        return False
    if silent:
        return True
    token = state.push("math", "", 0)
    token.block, token.content, token.meta = True, content, {"display": True}
    token.map = [start, end + 1]
    state.line = end + 1
    return True


def _closing_line(state: StateBlock, start: int, last: int, close: str, rest: str) -> int | None:
    """The first line from here that ends a formula, if it is near and in the same container."""
    if rest.endswith(close):
        return start
    if close in rest:
        return None  # something follows on its line: the paragraph sees to it
    kept: dict[str, list[int]] = state.env.setdefault("tex lines", {})
    if close not in kept:
        ends = ((n, state.src[max(0, end - 80) : end]) for n, end in enumerate(state.eMarks))
        kept[close] = [n for n, tail in ends if tail.rstrip().endswith(close)]
    at = bisect_right(kept[close], start)
    if at == len(kept[close]):
        return None
    end = kept[close][at]
    if end >= last or end - start > TALLEST:
        return None
    inside = (state.isEmpty(n) or state.sCount[n] >= state.blkIndent for n in range(start, end + 1))
    return end if all(inside) else None
