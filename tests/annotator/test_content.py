"""Hostile text becomes safe HTML, and nothing of it is clipped."""

from __future__ import annotations

import re
import unicodedata
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.content import (
    to_html,
    to_turns,
    view,
)
from tests.annotator.parsed import Page, check_safe

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](\u200bjavascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](<javascript:alert(1)>)",
    "<javascript:alert(1)>",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![x](data:image/png;base64,iVBORw0KGgo=)",
    "![pixel](https://evil.example/p.png)",
    "![x](javascript:alert(1))",
    '![x](https://pics.example/a.png"onerror="alert(1))',
    '![x" onerror="alert(1)](https://pics.example/a.png)',
    '![x](https://pics.example/a.png "t\\" onload=\\"alert(1)")',
    "![x](https://pics.example@evil.example/a.png)",
    "![x](https://pics.example%2eevil.example/a.png)",
    "![x](https://pics.example.evil.example/a.png)",
    "![x](https://pics.example:444/a.png)",
    "![x](http://pics.example/a.png)",
    "![x](//pics.example/a.png)",
    "![x](https:\\\\evil.example\\@pics.example/a.png)",
    '<a href="https://x" onclick="alert(1)">x</a>',
    "<iframe src=https://evil.example></iframe>",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=https://evil.example>",
    "<base href=https://evil.example>",
    "<form action=https://evil.example><button>x</button></form>",
    '<div style="position:fixed">x</div>',
    "```<script>\nalert(1)\n```",
    '```python" onload="alert(1)\nx = 1\n```',
    "<svg/onload=alert(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "$<img src=x onerror=alert(1)>$",
    "$$\n</div><script>alert(1)</script>\n$$",
    "\\(\\href{javascript:alert(1)}{x}\\)",
    "| a |\n|:-:|\n| <b onmouseover=alert(1)> |",
]
HOSTILE_NAMES = [  # of pictures; an import refuses them as unknown
    "![x](picture:<script>alert(1)</script>)",
    '![x](<picture:a" onerror="alert(1)>)',
    "![x](picture:https://evil.example/a.png)",
    "[x](picture:javascript:alert(1))",
]
HOSTS = ["pics.example"]
MARKUP = "<>&\"'`[]()!*_#$\\|~ \n\tabcjavascript:=/-1.{}^"


@pytest.mark.parametrize("text", [*HOSTILE, *HOSTILE_NAMES])
@pytest.mark.parametrize("hosts", [[], HOSTS])
def test_nothing_hostile_stays_alive(text: str, hosts: list[str]) -> None:
    check_safe(to_html(text, hosts))


@given(st.text(alphabet=MARKUP, max_size=200))
def test_no_text_at_all_makes_live_markup(text: str) -> None:
    check_safe(to_html(text, HOSTS))


@given(
    st.lists(
        st.sampled_from(
            [*HOSTILE, *HOSTILE_NAMES, "word", "\n\n", "> ", "- ", "*", "$", "```", "\u202e"]
        )
    )
)
def test_no_mixture_makes_live_markup_or_loses_words(parts: list[str]) -> None:
    text = " ".join(parts)
    page = check_safe(to_html(text, HOSTS))
    said = page.text + " ".join(" ".join(attrs.values()) for _, attrs in page.elements)
    assert said.count("word") == text.count("word")


@given(st.lists(st.text(alphabet="abcdefgh", min_size=4, max_size=8), max_size=30), st.data())
def test_every_word_survives_whatever_stands_between(words: list[str], data: st.DataObject) -> None:
    between = st.text(alphabet="*_#>-+`$~|![]()\\\n ", min_size=1, max_size=5)
    text = "".join(word + data.draw(between) for word in words)
    page = Page(to_html(text))
    said = page.text + " ".join(" ".join(attrs.values()) for _, attrs in page.elements)
    assert [word for word in words if word not in said] == []


@given(st.text(max_size=300))
def test_what_is_written_stands_on_the_page_to_the_character(text: str) -> None:
    text = text.replace("\x00", "")  # the database takes none
    html = view(text).written
    back = re.sub(r'<span class="unseen[^>]* data-raw="([^"]*)"[^>]*>[^<]*</span>', r"\1", html)
    assert Page(back.replace("\r", "")).text == text or "\ufffd" in text or "&#x" in back
    length = len(re.sub(r"&#x[0-9A-F]+;|&\w+;|&#\d+;", "x", back))
    assert length == len(text)  # places are counted in characters


def test_markdown_is_rendered() -> None:
    html = to_html("# Title\n\n- *one*\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n~~gone~~")
    for part in ("<h1>", "<em>one</em>", '<div class="table-area"><table>', "<s>gone</s>"):
        assert part in html
    assert '<td class="to-right">2</td>' in html


def test_links_lead_out_without_a_trace() -> None:
    html = to_html("[site](https://example.org)")
    assert 'target="_blank"' in html
    assert "noopener" in html
    assert "nofollow" in html


# --- code --------------------------------------------------------------------------------


def test_code_is_highlighted_with_classes_only() -> None:
    html = to_html("```python\nx = 1\n```")
    assert '<span class="mi">1</span>' in html
    assert "style" not in html
    assert '<span class="language">python</span>' in html
    assert "<code" in to_html("```nolanguage\nx\n```")
    assert Page(to_html("```python\nunclosed")).text.rstrip().endswith("unclosed")


@pytest.mark.parametrize("code", ["\n\n  x = 1\n\n", "a\n\tb", "print('<b>')", "x"])
def test_code_is_shown_to_the_character(code: str) -> None:
    html = to_html(f"```python\n{code}\n```")
    assert Page(html.partition("<pre>")[2]).text.strip("\n") == code.strip("\n")
    assert Page(html.partition("<pre>")[2].partition("</pre>")[0]).text == f"{code}\n"


def test_code_runs_from_left_to_right_whatever_is_around_it() -> None:
    html = to_html("مرحبا `x = 1`\n\n```\nx\n```")
    assert '<code dir="ltr">x = 1</code>' in html
    assert '<div class="code" dir="ltr">' in html


# --- maths -------------------------------------------------------------------------------


def maths(text: str) -> list[str]:
    html = to_html(text)
    found = re.findall(r'<(?:span|div) class="(math(?: display)?)" dir="ltr">(.*?)</', html, re.S)
    return [("D " if "display" in kind else "") + source for kind, source in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("so $x^2$.", ["$x^2$"]),
        ("$x$ and $y_1$", ["$x$", "$y_1$"]),
        ("函数$f(x)$是", ["$f(x)$"]),
        ("so \\(a < b\\) holds", ["\\(a &lt; b\\)"]),
        ("\\(x\\)", ["\\(x\\)"]),
        ("$$x = 1$$", ["D $$x = 1$$"]),
        ("text $$x = 1$$ text", ["D $$x = 1$$"]),
        ("$$\nx\n- y\n= z\n$$", ["D $$\nx\n- y\n= z\n$$"]),
        ("before\n\\[\na_1 * b_2 * c\n\\]\nafter", ["D \\[\na_1 * b_2 * c\n\\]"]),
        ("1. so\n   $$\n   x\n   $$\n2. then", ["D $$\nx\n$$"]),
        ("> $$\n> x\n> $$", ["D $$\nx\n$$"]),
        (
            "\\begin{align}\na &= b\\\\\nc &= d\n\\end{align}",
            ["D \\begin{align}\na &amp;= b\\\\\nc &amp;= d\n\\end{align}"],
        ),
        ("| $a$ | b |\n|--|--|\n| $c$ | d |", ["$a$", "$c$"]),
    ],
)
def test_maths_is_told_apart_and_kept_as_it_was_written(text: str, found: list[str]) -> None:
    assert maths(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10.",
        "$5-$10, or ($6) and 7$",
        "US$5 and US$6",
        "I have $20 and you have 30$",
        "$HOME/bin:$PATH",
        "a $ b $ c",
        "\\$x\\$",
        "`$x$`",
        "```\n$x$\n```",
        "\\[see the note\\]",
        "\\[1\\]",
        "\\(as said before\\)",
        "$$ unclosed",
        "$$",
        "$$$$",
        "\\[",
        "\\begin{align} unclosed",
        "\\begin{document}\nx\n\\end{document}",
    ],
)
def test_money_and_brackets_are_no_maths(text: str) -> None:
    assert maths(text) == []


def test_maths_is_one_element_and_markdown_does_not_reach_into_it() -> None:
    assert "<em>" not in to_html("$a_1 * b * c_2$ and $$\na *b* c\n$$")


# --- directions and characters that nobody sees -------------------------------------------


def test_each_block_runs_in_its_own_direction() -> None:
    html = to_html("Hello\n\nمرحبا\n\n- one\n- اثنان\n\n> שלום\n\n| a | ب |\n|--|--|\n| ج | d |")
    assert "<p>Hello</p>" in html
    assert '<p dir="rtl">مرحبا</p>' in html
    assert "<li>one</li>" in html
    assert '<li dir="rtl">اثنان</li>' in html
    assert '<blockquote dir="rtl">\n<p>שלום</p>' in html
    assert '<th dir="rtl">ب</th>' in html
    # In a text that begins from the right, what begins from the left says so.
    assert to_html("مرحبا\n\nHello") == '<p>مرحبا</p>\n<p dir="ltr">Hello</p>\n'


def test_code_and_maths_do_not_decide_a_direction() -> None:
    assert '<p dir="rtl">' in to_html("Hello\n\n`x` مرحبا")
    assert '<p dir="rtl">' in to_html("Hello\n\n$x$ مرحبا")


@pytest.mark.parametrize("control", ["\u202e", "\u2066", "\u200b", "\ufeff", "\xad", "\x1b"])
def test_characters_that_make_a_text_read_as_another_are_dropped_and_shown(control: str) -> None:
    shown = view(f"ab{control}cd")
    assert shown.html == "<p>abcd</p>\n"
    assert shown.unseen == 1
    assert f"U+{ord(control):04X}" in shown.written
    assert control not in shown.written


def test_a_hidden_message_in_tag_characters_is_shown() -> None:
    shown = view("ok" + "".join(chr(0xE0000 + ord(char)) for char in "obey"))
    assert shown.html == "<p>ok</p>\n"
    assert "U+E006F" in shown.written
    assert shown.unseen == 4


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\U0001f4bb",
        "می\u200cخواهم",
        "a\u200e b\u200f",
        "\U0001f3f4\U000e0067\U000e007f",
    ],
)
def test_what_scripts_and_emoji_need_is_kept(text: str) -> None:
    shown = view(text)
    assert text in shown.html
    assert shown.written == text
    assert shown.unseen == 0


def test_joiners_between_latin_letters_hide_something() -> None:
    assert view("pass\u200dword").html == "<p>password</p>\n"


def test_line_ends_of_other_systems_are_counted_and_not_seen() -> None:
    shown = view("a\r\nb\rc")
    assert shown.unseen == 0
    assert shown.html == "<p>a<br>\nb<br>\nc</p>\n"
    assert shown.written.count("data-raw") == 2


# --- size and depth ----------------------------------------------------------------------


@pytest.mark.parametrize("depth", [10, 30, 80, 400])
def test_deep_nesting_hides_nothing(depth: int) -> None:
    lists = "\n".join("  " * level + f"- item{level}" for level in range(depth))
    assert f"item{depth - 1}" in to_html(lists)
    assert "quoted" in to_html("> " * depth + "quoted")
    assert "inner" in to_html("[" * depth + "inner" + "](a)" * depth)


def test_a_line_that_looks_like_a_reference_is_content() -> None:
    assert "42" in to_html("[Answer]: 42")


def test_a_megabyte_is_shown_to_the_end() -> None:
    shown = view("word " * 200_000 + "the end")
    assert "the end" in shown.html
    assert not shown.plain


MEGABYTE = 1_000_000
WORST = {
    "brackets": "[",
    "closed brackets": "[a](b)",
    "pictures": "![a](b)",
    "backticks": "` ",
    "emphasis": "**a *b ",
    "underscores": "_a",
    "table": "|a|b|\n|-|-|\n|1|2|\n",
    "quotes": "> > a\n",
    "numbers": "1. a\n",
    "code": "```python\nx\n```\n",
    "dollars": "$a ",
    "formulas": "$$\na\n",
    "brackets of maths": "\\[\n",
    "environments": "\\begin{align}\n",
    "angles": "<a ",
    "controls": "\u202ea",
    "returns": "a\r",
}


@pytest.mark.parametrize("unit", WORST.values(), ids=WORST)
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(MEGABYTE, marks=pytest.mark.slow),
        pytest.param(100_000, marks=pytest.mark.slow),
        40_000,
    ],
)
def test_hostile_texts_are_shown_in_bounded_time(unit: str, size: int) -> None:
    text = (unit * size)[:size]
    began = thread_time()
    shown = view(text)
    assert thread_time() - began < 8  # a bound against hanging; docs have the measured times
    if shown.plain:
        visible = "".join(char for char in Page(shown.html).text if not char.isspace())
        assert len(visible) >= len("".join(text.split())) - shown.unseen


@pytest.mark.parametrize("language", ["diff", "yaml", "perl", "markdown", "rust"])
def test_code_that_a_lexer_chokes_on_is_shown_without_colours(language: str) -> None:
    began = thread_time()
    html = to_html(f"```{language}\n" + "'\\<&" * 4000 + "\n```")
    assert thread_time() - began < 4
    assert "&lt;&amp;" in html


# --- turns -------------------------------------------------------------------------------


def test_a_prompt_is_shown_turn_by_turn() -> None:
    (only,) = to_turns("Hi\n    there")
    assert only == {"role": "user", "text": "Hi\n    there"}
    chat = [{"role": "system", "content": "be"}, {"role": "user", "content": "*hi*"}]
    assert [turn["role"] for turn in to_turns(chat)] == ["system", "user"]


def test_every_control_that_is_dropped_has_no_width() -> None:
    """The list of what is dropped has no letter in it."""
    kept = [chr(code) for code in range(0x250) if chr(code) in view(f"x{chr(code)}x").written]
    gone = {chr(code) for code in range(1, 0x250)} - set(kept)
    escaped = set("<>&\"'")
    assert {unicodedata.category(char) for char in gone - escaped} <= {"Cc", "Cf"}
