"""Hostile text to safe HTML: Markdown without HTML, then an allow-list. Nothing is ever clipped."""

from __future__ import annotations

from functools import lru_cache

import nh3
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

TAGS = {
    *("a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("li", "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr"),
    *("ul", "div"),
}
ATTRIBUTES = {
    "a": {"href", "title", "target"},
    "code": {"class"},
    "div": {"class"},
    "ol": {"start"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
}
DEEPEST = 60  # levels of lists and quotes
LONGEST_HIGHLIGHTED = 50_000
# Bidirectional controls and invisible characters make a text read as another one: dropped.
INVISIBLE = dict.fromkeys([0x200B, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def _highlight(code: str, language: str, _attributes: str) -> str:
    """Pygments with classes; unknown languages and very long code stay plain."""
    if not language or len(code) > LONGEST_HIGHLIGHTED:
        return ""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""
    inner = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return f'<pre><code class="highlight">{inner}</code></pre>'


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt(
        "commonmark", {"html": False, "breaks": True, "highlight": _highlight, "typographer": False}
    ).enable(["table", "strikethrough"])
    parser.options["maxNesting"] = DEEPEST
    # Images would fetch from third parties: the link to them stays, the picture does not load.
    # Reference definitions would vanish from the page: a line like "[Answer]: 42" is content.
    return parser.disable(["image", "reference"])


def to_html(text: str) -> SafeString:
    """Render one untrusted Markdown text."""
    shown = text.translate(INVISIBLE)
    parser = _parser()
    tokens = parser.parse(shown)
    if any(token.level >= DEEPEST - 1 for token in tokens):  # the parser would drop what is deeper
        return format_html("<pre>{}</pre>", shown)
    rendered = parser.renderer.render(tokens, parser.options, {})
    clean = nh3.clean(
        rendered,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return mark_safe(clean)  # noqa: S308 - cleaned by the allow-list above


def to_turns(prompt: str | list[dict[str, str]]) -> list[dict[str, str]]:
    """A prompt as chat turns with safe HTML: a plain text is one turn of the user."""
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return [
        {"role": turn["role"], "html": to_html(turn["content"]), "text": turn["content"]}
        for turn in turns
    ]
