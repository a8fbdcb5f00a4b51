"""Hostile text to safe HTML: Markdown without HTML, then an allow-list. Nothing is ever clipped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from time import thread_time
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import nh3
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml, unescapeAll
from markdown_it.token import Token
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from annotator import tables, tex, unseen

TAGS = {
    *("a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("img", "li", "ol", "p", "pre", "s", "small", "span", "strong", "table", "tbody", "td", "th"),
    *("thead", "tr", "ul", "div"),
}
BLOCKS = ("blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "p", "table", "td", "th")
ATTRIBUTES = {
    **{tag: {"dir"} for tag in (*BLOCKS, "ul")},
    "a": {"href", "title", "target", "class"},
    "code": {"class", "dir"},
    "div": {"class", "dir"},
    "img": {"src", "alt", "title", "width", "height", "loading", "decoding", "referrerpolicy"},
    "ol": {"start", "dir"},
    "pre": {"class", "dir"},
    "span": {"class", "dir"},
    "td": {"class", "dir"},
    "th": {"class", "dir"},
}
DEEPEST = 60  # levels of lists and quotes
LONGEST_HIGHLIGHTED = 20_000
LONGEST_LINE = 1000
COLOUR_SECONDS = 0.4  # of processor time, for all code of one text
# What costs time is not length but signs that may mean something: about 20 microseconds each, and
# twice that for a line, which counts twice. A page may wait one to two seconds for a text.
SIGNS = "\n\n!#$%&*+-:<=>@[\\]^_`{}~|"
MOST_SIGNS = 50_000
MOST_STEPS = 150_000  # places at which the parser looked for something
MOST_TOKENS = 100_000  # a short row of a wide table has all the cells it does not name
PICTURE_HOST = re.compile(r"(https?://)?([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?)")
REFUSED_LINK = re.compile(r"\s*(?:javascript|vbscript|file|data):", re.IGNORECASE)
UPLOADED = "picture:"  # the scheme by which texts name pictures of their campaign
# Most are written so that they can be found without the parser, a thousand times as fast ...
PLAINLY = re.compile(r"!\[[^\[\]\n]*\]\(picture:([\w./-]+)\)")
# ... in texts without code, maths, escapes and the like, in which a picture may be none.
PERHAPS_NONE = re.compile(r"[`~$\\<&\t]| {4}")
TALLEST = 384  # pixels; larger pictures are shown smaller until somebody enlarges them
ALIGNED = re.compile(r"text-align:(left|right|center)")


class TooMuch(Exception):
    """A text asks for more work than a page may take."""


@dataclass(frozen=True)
class Text:
    """One text as a page shows it.

    Attributes:
        html: Formatted, or as it was written where formatting would take too long.
        written: As it was written, with codes for characters that cannot be seen.
        unseen: How many of those there are.
        plain: Whether it was too much to format.
    """

    html: SafeString
    written: SafeString
    unseen: int
    plain: bool


@dataclass(frozen=True)
class Picture:
    """An uploaded picture as a page shows it: its address, and its size in pixels."""

    url: str
    width: int
    height: int

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height that keep its shape and leave room for the text."""
        share = min(1.0, TALLEST / self.height)
        return max(1, round(self.width * share)), max(1, round(self.height * share))


Pictures = Mapping[str, Picture]  # by name
NO_PICTURES: Pictures = MappingProxyType({})


def view(text: str, hosts: Iterable[str] = (), pictures: Pictures = NO_PICTURES) -> Text:
    """A text in all the ways in which a page can show it."""
    html = to_html(text, hosts, pictures)
    plain = html.startswith('<pre class="plain"')
    return Text(html, unseen.written(text), unseen.count(text), plain)


def to_html(text: str, hosts: Iterable[str] = (), pictures: Pictures = NO_PICTURES) -> SafeString:
    """Render one untrusted Markdown text; pictures only from these hosts, and uploaded ones."""
    shown = unseen.dropped(text)
    parser = _parser()
    env = _env() | {"origins": origins(hosts), "pictures": pictures}
    try:
        rendered = parser.renderer.render(_tokens(shown, env), parser.options, env)
    except (TooMuch, RecursionError):
        return format_html('<pre class="plain">{}</pre>', shown)
    clean = nh3.clean(
        rendered,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return mark_safe(clean)  # noqa: S308 - cleaned by the allow-list above


def _env() -> dict[str, Any]:
    return {"steps": 0, "colouring": 0.0}


def _tokens(shown: str, env: dict[str, Any]) -> list[Token]:
    if sum(map(shown.count, SIGNS)) > MOST_SIGNS:
        raise TooMuch
    tokens = _parser().parse(shown, env)
    if len(tokens) > MOST_TOKENS:
        raise TooMuch
    if any(token.level >= DEEPEST - 1 for token in tokens):  # it would drop what is deeper
        raise TooMuch
    return tokens


def pictures_in(text: str) -> list[str]:
    """Names of the uploaded pictures that a text shows, as often as it shows them."""
    often = text.lower().count(UPLOADED)
    if not often:
        return []
    found = PLAINLY.findall(text)
    short = 2 * len(text) <= MOST_SIGNS
    if short and len(found) == often and not PERHAPS_NONE.search(text):
        return [unicodedata.normalize("NFKC", name) for name in found]
    try:
        return list(_named(_tokens(unseen.dropped(text), _env())))
    except (TooMuch, RecursionError):  # shown as it was written
        return []


def _named(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "image" and (name := picture_name(str(token.attrs.get("src", "")))):
            yield name
        yield from _named(token.children or ())


def picture_name(source: str) -> str:
    """The name in `picture:NAME`, as uploads are known; empty where it is another address."""
    if not _is_uploaded(source):
        return ""
    return unicodedata.normalize("NFKC", unquote(source[len(UPLOADED) :]))


def _is_uploaded(source: str) -> bool:
    return source[: len(UPLOADED)].lower() == UPLOADED


def to_turns(prompt: str | list[dict[str, str]]) -> list[dict[str, str]]:
    """A prompt as chat turns: a plain text is one turn of the user."""
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return [{"role": turn["role"], "text": turn["content"]} for turn in turns]


def origins(hosts: Iterable[str]) -> frozenset[str]:
    """Where pictures may come from, as a content policy writes it. HTTPS unless a host says http.

    What is no plain host name is left out: it would end up in a header.
    """
    found = (PICTURE_HOST.fullmatch(host.strip().lower()) for host in hosts)
    return frozenset((match[1] or "https://") + match[2] for match in found if match)


# --- the parser --------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "typographer": False})
    parser.enable("strikethrough")
    parser.use(tables.plugin)
    parser.options["maxNesting"] = DEEPEST
    # Reference definitions would vanish from the page: a line like "[Answer]: 42" is content.
    parser.disable(["reference"])
    parser.use(tex.plugin)
    parser.inline.ruler.before("text", "steps", _count_step)
    parser.block.ruler.before("table", "steps", lambda state, *_lines: _count_step(state, False))
    skip = parser.inline.skipToken  # steps over what was looked at before, without asking any rule

    def counted(state: Any) -> None:
        _count_step(state, True)
        skip(state)

    parser.inline.skipToken = counted  # type: ignore[method-assign]
    parser.core.ruler.push("linked", lambda state: _note_linked(state.tokens))
    parser.core.ruler.push("direction", lambda state: _directions(state.tokens))
    parser.validateLink = lambda url: not REFUSED_LINK.match(url)  # type: ignore[method-assign]
    address = parser.normalizeLink
    parser.normalizeLink = lambda url: url if _is_uploaded(url) else address(url)  # type: ignore[method-assign]
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("code_block", _fence)
    parser.add_render_rule("code_inline", _code)
    parser.add_render_rule("image", _picture)
    return parser


def _count_step(state: Any, _silent: bool) -> bool:
    """Some texts make the parser look at every place again and again: stop in bounded time."""
    state.env["steps"] += 1
    if state.env["steps"] > MOST_STEPS:
        raise TooMuch
    return False


def _fence(_self: Any, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    """Code with its language; the script puts a button to copy it beside."""
    token = tokens[index]
    info = unescapeAll(token.info).strip()
    named = f'<span class="language">{escapeHtml(info)}</span>' if info else ""
    inner = _highlight(token.content, info.partition(" ")[0], env) or escapeHtml(token.content)
    return (
        f'<div class="code" dir="ltr">{named}<pre><code class="highlight">{inner}</code></pre>'
        "</div>\n"
    )


def _code(_self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    return f'<code dir="ltr">{escapeHtml(tokens[index].content)}</code>'


def _highlight(code: str, language: str, env: dict[str, Any]) -> str:
    """Pygments with classes. Unknown languages, and what would take long, stay plain.

    Some lexers search to the end of a line, or of the text, at every place; so lines are short,
    and the time is measured. It decides about colours only.
    """
    if not language or len(code) > LONGEST_HIGHLIGHTED or env["colouring"] > COLOUR_SECONDS:
        return ""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return ""
    if any(len(line) > LONGEST_LINE for line in code.split("\n")):
        return ""
    found = []
    before, began = env["colouring"], thread_time()
    for token in lexer.get_tokens(code):
        found.append(token)
        env["colouring"] = before + thread_time() - began
        if env["colouring"] > COLOUR_SECONDS:
            return ""
    out = StringIO()
    HtmlFormatter(nowrap=True).format(found, out)
    return out.getvalue()


# --- pictures ----------------------------------------------------------------------------


def _picture(self: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A picture from an allowed host, else a link to it: pages ask no third party by themselves."""
    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    alt = self.renderInlineAsText(token.children, options, env)
    title = f' title="{escapeHtml(str(token.attrs["title"]))}"' if token.attrs.get("title") else ""
    linked = bool(token.meta.get("linked"))
    if name := picture_name(source):
        return _uploaded(env["pictures"].get(name), alt, title, name=name, linked=linked)
    if not _allowed(source, env["origins"]):
        said = escapeHtml(alt or source)
        return said if linked else f'<a href="{escapeHtml(source)}"{title}>{said}</a>'
    shown = (
        f'<img src="{escapeHtml(source)}" alt="{escapeHtml(alt)}"{title} loading="lazy" '
        'decoding="async" referrerpolicy="no-referrer">'
    )
    return shown if linked else f'<a class="picture" href="{escapeHtml(source)}">{shown}</a>'


def _uploaded(found: Picture | None, alt: str, title: str, *, name: str, linked: bool) -> str:
    """A picture of the campaign with room kept for it, else its words and that it is missing."""
    if found is None:
        missing = (
            f"{escapeHtml(alt or name)} <small>{_('This picture could not be loaded.')}</small>"
        )
        return f'<span class="broken-picture">{missing}</span>'
    width, height = found.shown
    shown = (
        f'<img src="{escapeHtml(found.url)}" alt="{escapeHtml(alt or _("Picture without words"))}"'
        f'{title} width="{width}" height="{height}" loading="lazy" decoding="async">'
    )
    return shown if linked else f'<a class="picture" href="{escapeHtml(found.url)}">{shown}</a>'


def _allowed(source: str, from_where: frozenset[str]) -> bool:
    try:
        parts = urlsplit(source)
    except ValueError:
        return False
    return f"{parts.scheme}://{parts.netloc}".lower() in from_where


def _note_linked(tokens: Sequence[Token]) -> None:
    """Tell pictures inside a link that they are: a link cannot stand in another."""
    for token in tokens:
        depth = 0
        for child in token.children or []:
            depth += child.nesting if child.type in ("link_open", "link_close") else 0
            if child.type == "image":
                child.meta["linked"] = depth > 0


# --- right to left -----------------------------------------------------------------------


def _directions(tokens: Sequence[Token]) -> None:
    """Say the direction of each block that differs from the block around it.

    As `dir=auto` would, by the first strong character, but for lists and quotes too, whose own
    text stands in blocks further in. Code and maths do not count.
    """
    opened: list[Token] = []
    own: dict[int, str] = {}
    for token in tokens:
        if token.nesting > 0:
            opened.append(token)
        elif token.nesting < 0:
            opened.pop()
        elif token.type == "inline" and (found := _direction(token.children or [])):
            for block in (None, *opened):
                own.setdefault(id(block), found)
    around = [own.get(id(None), "ltr")]
    for token in tokens:
        if token.nesting > 0:
            said = own.get(id(token), around[-1])
            if token.tag in ("tr", "thead", "tbody"):
                said = around[-1]  # columns of one table all stand in one order
            if said != around[-1]:
                token.attrSet("dir", said)
            around.append(said)
            if aligned := ALIGNED.fullmatch(str(token.attrs.pop("style", ""))):
                token.attrSet("class", f"to-{aligned[1]}")
        elif token.nesting < 0:
            around.pop()


def _direction(children: Sequence[Token]) -> str | None:
    for child in children:
        if child.type not in ("text", "image"):
            continue
        for char in child.content:
            kind = unicodedata.bidirectional(char)
            if kind in ("R", "AL"):
                return "rtl"
            if kind == "L":
                return "ltr"
    return None
