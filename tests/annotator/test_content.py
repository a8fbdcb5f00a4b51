"""Hostile text becomes safe HTML, and nothing of it is clipped."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.content import to_html, to_turns

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![pixel](https://evil.example/p.png)",
    '<a href="https://x" onclick="alert(1)">x</a>',
    "<iframe src=https://evil.example></iframe>",
    "<style>*{display:none}</style>",
    '<div style="position:fixed">x</div>',
    "```<script>\nalert(1)\n```",
    '```python" onload="alert(1)\nx = 1\n```',
    "<svg/onload=alert(1)>",
]
LIVE = re.compile(
    r"<(script|img|iframe|style|svg|form|input|object|embed)|\son\w+\s*=|style=|javascript:|data:",
    re.IGNORECASE,
)


def tags(html: str) -> str:
    """Only the markup, without the text between."""
    return " ".join(re.findall(r"<[^>]*>", html))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_stays_alive(text: str) -> None:
    assert not LIVE.search(tags(to_html(text)))


@given(st.text(alphabet="<>&\"'`[]()!*_#\n abcjavascript:=/-", max_size=200))
def test_no_text_at_all_makes_live_markup(text: str) -> None:
    assert not LIVE.search(tags(to_html(text)))


def test_markdown_is_rendered() -> None:
    html = to_html("# Title\n\n- *one*\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n~~gone~~")
    for part in ("<h1>", "<em>one</em>", "<table>", "<s>gone</s>"):
        assert part in html


def test_links_lead_out_without_a_trace() -> None:
    html = to_html("[site](https://example.org)")
    assert 'target="_blank"' in html
    assert "noopener" in html
    assert "nofollow" in html


def test_code_is_highlighted_with_classes_only() -> None:
    html = to_html("```python\nx = 1\n```")
    assert '<span class="' in html
    assert "style" not in html
    assert "<code" in to_html("```nolanguage\nx\n```")
    assert "<code" in to_html("```python\nunclosed")


@pytest.mark.parametrize("control", ["\u202e", "\u2066", "\u200b", "\ufeff"])
def test_characters_that_make_a_text_read_as_another_are_dropped(control: str) -> None:
    assert to_html(f"ab{control}cd") == "<p>abcd</p>\n"


def test_what_scripts_and_emoji_need_is_kept() -> None:
    joined = "\U0001f469\u200d\U0001f4bb می\u200cخواهم"
    assert joined in to_html(joined)


@pytest.mark.parametrize("depth", [10, 30, 80, 400])
def test_deep_nesting_hides_nothing(depth: int) -> None:
    lists = "\n".join("  " * level + f"- item{level}" for level in range(depth))
    assert f"item{depth - 1}" in to_html(lists)
    assert "quoted" in to_html("> " * depth + "quoted")


def test_a_line_that_looks_like_a_reference_is_content() -> None:
    assert "42" in to_html("[Answer]: 42")


def test_a_megabyte_is_shown_to_the_end() -> None:
    assert "the end" in to_html("word " * 200_000 + "the end")


def test_a_prompt_is_shown_turn_by_turn_with_its_text_as_written() -> None:
    (only,) = to_turns("Hi\n    there")
    assert (only["role"], only["text"]) == ("user", "Hi\n    there")
    chat = [{"role": "system", "content": "be"}, {"role": "user", "content": "*hi*"}]
    assert [turn["role"] for turn in to_turns(chat)] == ["system", "user"]
    assert "<em>hi</em>" in to_turns(chat)[1]["html"]
