"""What texts contain, in a real browser: code, maths, pictures, directions, differences, marks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Assignment, Campaign
from annotator.services.campaigns import publish_guidelines
from tests.annotator.test_content import HOSTILE
from tests.campaigns import ask, item, make_campaign
from tests.e2e.axe import violations
from tests.e2e.test_whole_path import press, question, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

SHOTS = os.environ.get("SHOTS")  # a folder: screenshots, to be looked at
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63646060f80f0001050101cfa69ae20000000049454e44ae426082"
)


@pytest.fixture
def desk(ada: User, page: Any, live_server: Any) -> Any:
    """Opens two responses (and a prompt) for ada."""

    def show(
        a: str, b: str = "b", *, prompt: Any = "Why?", hosts: tuple[str, ...] = (), **fields: Any
    ) -> Any:
        rows = [
            item(n, prompt=prompt, responses=[{"text": a, "model": "m"}, {"text": b, "model": "n"}])
            for n in range(1)
        ]
        made = make_campaign(people=(ada,), rows=rows, **fields)
        Campaign.objects.update(image_hosts=list(hosts))  # with ports, which only tests need
        ask(made)
        page.goto(f"{live_server.url}/c/{made.slug}/")
        sign_in(page, "ada")
        question(page)
        page.wait_for_timeout(300)
        return page

    return show


def with_text(page: Any, part: str) -> Any:
    """The response that has this in it: sides are drawn."""
    return page.locator(".response").filter(has_text=part).first


def shoot(page: Any, name: str) -> None:
    if not SHOTS:
        return
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.screenshot(path=Path(SHOTS) / f"{name}-{theme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_timeout(200)
    page.screenshot(path=Path(SHOTS) / f"{name}-phone.png", full_page=True)
    check_width(page)
    page.set_viewport_size({"width": 1280, "height": 860})


def check_width(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


# --- code --------------------------------------------------------------------------------

CODE = (
    "Use this:\n\n```python\ndef f(x):\n\treturn 'a  b' + " + "x + " * 60 + "''\n```\n\nand `f(1)`."
)


def test_code_is_copied_with_the_keyboard(desk: Any) -> None:
    page = desk(CODE, "no code")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shoot(page, "code")
    page.focus("button.copy")
    page.keyboard.press("Enter")
    page.wait_for_selector("button.copy:text('Copied')")
    code = CODE.partition("```python\n")[2].partition("\n```")[0]
    assert page.evaluate("navigator.clipboard.readText()") == code
    page.wait_for_function("() => document.querySelector('#announce').textContent === 'Copied'")
    assert page.inner_text(".code .language") == "python"
    assert page.evaluate("document.querySelector('.prose pre').tabIndex") == 0  # scrolls inside
    check_width(page)


def test_without_a_clipboard_code_is_copied_all_the_same(desk: Any) -> None:
    page = desk(CODE)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click("button.copy")
    page.wait_for_selector("button.copy:text('Copied')")


def test_an_unclosed_fence_is_code_to_the_end(desk: Any) -> None:
    page = desk("so:\n\n```js\nlet x = 1;\n\n# not a title", "b")
    assert "# not a title" in page.inner_text(".prose pre")


# --- maths -------------------------------------------------------------------------------

MATHS = (
    "Then $x^2 + y^2 = r^2$, so\n\n$$\n\\int_0^1 \\frac{1}{1 + x^2}\\,dx = \\frac{\\pi}{4}\n$$\n\n"
    "and \\(a \\le b\\). It costs $5 and $10.\n\n"
    "\\begin{align}\na &= b + c \\\\\nd &= e\n\\end{align}"
)


def test_maths_is_typeset(desk: Any) -> None:
    page = desk(MATHS, "none")
    page.wait_for_selector(".math.typeset .katex-html")
    page.wait_for_function("() => document.querySelectorAll('.math.typeset').length === 4")
    assert page.locator(".katex-display").count() == 2
    assert page.locator(".math math").count() == 4  # for screen readers
    assert "$5 and $10" in page.inner_text(".columns")
    page.wait_for_function("() => document.fonts.check('16px KaTeX_Main')")
    shoot(page, "maths")


def test_maths_is_fetched_only_where_there_is_some(desk: Any) -> None:
    asked: list[str] = []
    page = desk("no maths, $5", "none")
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    question(page)
    page.wait_for_timeout(500)
    assert [url for url in asked if "katex" in url] == []


MALFORMED = [
    "\\frac{1}{",
    "\\undefined{x}^",
    "\\def\\a{\\a\\a}\\a",
    "\\def\\a{\\b\\b}\\def\\b{\\c\\c}\\def\\c{\\d\\d}\\def\\d{\\e\\e}\\def\\e{\\f\\f}" * 3 + "\\a^",
    "{" * 2000 + "}" * 2000 + "^",
    "\\frac{" * 300 + "1^" + "}{2}" * 300 + "^",
]
COMMANDS = [
    "\\href{javascript:alert(1)}{x}^2",
    "\\url{javascript:alert(1)}^2",
    "\\includegraphics{https://evil.example/x.png}^2",
    "\\htmlStyle{position:fixed}{x}^2",
    "\\htmlClass{primary}{x}^2",
    "\\rule{1000em}{1000em}^2",
    "\\color{red}x^2",
]


def test_malformed_maths_is_shown_as_its_source_and_breaks_nothing(desk: Any) -> None:
    text = "\n\n".join(f"$${tex}$$" for tex in MALFORMED) + "\n\n$x^2$ the end"
    page = desk(text, "none")
    page.wait_for_selector(".math.malformed")
    page.evaluate("document.querySelectorAll('.math').forEach(m => m.scrollIntoView())")
    page.wait_for_function(
        "() => document.querySelectorAll('.math:not(.typeset, .malformed)').length === 0",
        timeout=20_000,
    )
    assert page.locator(".math.malformed").first.inner_text() == "$$\\frac{1}{$$"
    assert "cannot be typeset" in page.locator(".math.malformed").first.get_attribute("title")
    assert page.locator(".math.typeset").count() >= 1
    check_width(page)


def test_commands_that_reach_out_of_a_formula_do_nothing(desk: Any) -> None:
    page = desk("\n\n".join(f"$${tex}$$" for tex in COMMANDS), "none")
    page.wait_for_selector(".math.typeset")
    page.wait_for_timeout(500)
    assert page.locator(".math :is(a, img)").count() == 0
    assert page.locator(".math .primary").count() == 0
    tall = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.math')].map(m => m.offsetHeight))"
    )
    assert tall < 1000
    check_width(page)


# --- pictures ----------------------------------------------------------------------------


@pytest.fixture
def pictures() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A host with one picture, and the headers of what was asked of it."""
    asked: list[dict[str, str]] = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            found = self.path.startswith("/cat")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(PIXEL if found else b"")

        def log_message(self, *_anything: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_picture_of_an_allowed_host_is_shown_and_enlarged(
    desk: Any, pictures: tuple[str, list[dict[str, str]]]
) -> None:
    host, asked = pictures
    page = desk(
        f"Look: ![a cat](http://{host}/cat.png)\n\n![a dog](http://{host}/dog.png)",
        "none",
        hosts=(f"http://{host}",),
    )
    page.wait_for_function("() => document.querySelector('.prose img')?.naturalWidth === 1")
    assert "referer" not in asked[0]
    page.wait_for_selector(".broken-picture")
    assert "a dog" in page.inner_text(".broken-picture")
    assert "could not be loaded" in page.inner_text(".broken-picture")
    page.focus("a.picture")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog#picture[open] img")
    assert page.get_attribute("dialog#picture img", "alt") == "a cat"
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog#picture:not([open])", state="attached")
    assert page.evaluate("document.activeElement.className") == "picture"
    assert Annotation.objects.count() == 0


def test_nothing_is_asked_of_a_host_that_is_not_allowed(
    desk: Any, pictures: tuple[str, list[dict[str, str]]]
) -> None:
    host, asked = pictures
    page = desk(f"![a cat](http://{host}/cat.png)", "none", hosts=("pics.example",))
    assert page.locator(f".prose a[href='http://{host}/cat.png']").inner_text() == "a cat"
    page.wait_for_timeout(300)
    assert asked == []


# --- hostile texts -----------------------------------------------------------------------


def test_hostile_texts_stay_texts(desk: Any) -> None:
    prompt = [
        {"role": "system", "content": "\n\n".join(HOSTILE)},
        {"role": "user", "content": "and?"},
    ]
    page = desk("\n\n".join(HOSTILE), "b", prompt=prompt)
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    assert page.locator(":is(.prose, .as-written) :is(script, iframe, svg, form, img)").count() == 0
    page.keyboard.press("p")
    assert "<script>alert(1)</script>" in with_text(page, "script").inner_text()
    page.wait_for_timeout(200)
    assert said == []


def test_a_megabyte_can_be_read_and_answered(desk: Any) -> None:
    page = desk("*word* [x](y) " * 70_000 + "the very end", "b")
    assert "Too much to format" in with_text(page, "the very end").inner_text()
    press(page, "4")
    assert Annotation.objects.count() == 1


# --- directions --------------------------------------------------------------------------

MIXED = (
    "English first, then:\n\nمرحبا بالعالم، هذا نص `x = 1` عربي.\n\n- one\n- اثنان وثلاثة\n\n"
    "> שלום עולם\n\n| a | ب |\n|---|---|\n| 1 | نعم |"
)


def test_each_paragraph_runs_in_its_own_direction(desk: Any) -> None:
    page = desk(MIXED, "\u200fمرحبا\n\nthen English", prompt="لماذا؟ because")
    shoot(page, "mixed")
    found = page.evaluate(
        "[...document.querySelectorAll('.columns .prose :is(p, li, td, code)')]"
        ".map(e => [e.textContent.trim(), getComputedStyle(e).direction])"
    )
    directions = dict(found)
    assert directions["one"] == directions["x = 1"] == directions["English first, then:"] == "ltr"
    assert directions["اثنان وثلاثة"] == directions["שלום עולם"] == directions["نعم"] == "rtl"
    assert directions["then English"] == "ltr"
    check_width(page)


def test_characters_that_nobody_sees_are_told_and_shown(desk: Any) -> None:
    page = desk("pay \u202e001\u202c now\u200b", "b")
    response = with_text(page, "pay")
    assert "3 invisible characters" in response.inner_text()
    page.keyboard.press("p")
    page.wait_for_selector(".unseen.badge")
    assert "pay U+202E001U+202C nowU+200B" in response.inner_text()
    shoot(page, "unseen")


# --- long texts beside each other ----------------------------------------------------------

LONG = "\n\n".join(f"Paragraph {n} of a long text about light and air." for n in range(60))
LONGER = "\n\n".join(f"Line {n} of a longer text, which goes on and on." for n in range(160))


def tops(page: Any) -> list[float]:
    return page.evaluate(
        "[...document.querySelectorAll('.columns .response-text')]"
        ".map(e => e.scrollTop / Math.max(1, e.scrollHeight - e.clientHeight))"
    )


def scroll_first(page: Any, share: float) -> None:
    page.evaluate(
        "share => { const e = document.querySelector('.columns .response-text');"
        " e.scrollTop = share * (e.scrollHeight - e.clientHeight) }",
        share,
    )
    page.wait_for_timeout(150)


def test_long_responses_scroll_apart_or_together(desk: Any) -> None:
    page = desk(LONG, LONGER)
    assert "Scroll: page" in page.inner_text("#scrolling")
    page.keyboard.press("l")
    assert "Scroll: apart" in page.inner_text("#scrolling")
    scroll_first(page, 0.5)
    assert tops(page)[0] == pytest.approx(0.5, abs=0.01)
    assert tops(page)[1] == 0
    page.keyboard.press("l")
    page.wait_for_function(
        "() => document.querySelector('#announce').textContent.includes('together')"
    )
    scroll_first(page, 0.5)
    assert tops(page) == pytest.approx([0.5, 0.5], abs=0.01)
    scroll_first(page, 1)
    assert tops(page) == pytest.approx([1, 1], abs=0.01)
    shoot(page, "together")
    page.focus(".response.side-b .response-text")  # by keyboard, from the other side
    page.keyboard.press("Home")
    page.wait_for_timeout(400)
    assert tops(page) == pytest.approx([0, 0], abs=0.01)
    page.keyboard.press("l")
    assert page.locator("[data-scrolling]").count() == 0


def test_short_responses_need_no_areas(desk: Any) -> None:
    page = desk("short", "short too")
    assert not page.is_visible("#scrolling")
    page.keyboard.press("l")
    assert page.locator("[data-scrolling]").count() == 0


# --- differences -------------------------------------------------------------------------


def test_differences_are_marked_on_both_sides_and_told(desk: Any) -> None:
    page = desk(
        "The sky is blue because air scatters *short* waves more than long ones.",
        "The sky looks blue because air scatters short waves far more than long ones.",
    )
    page.keyboard.press("v")
    page.wait_for_selector(".differences mark")
    shoot(page, "differences")
    assert page.get_attribute("#differences", "aria-pressed") == "true"
    read = (
        "e => { const c = e.cloneNode(true);"
        " c.querySelectorAll('.visually-hidden').forEach(h => h.remove()); return c.textContent }"
    )
    first = with_text(page, "*short*").locator(".differences mark")
    assert [first.nth(n).evaluate(read) for n in range(first.count())] == ["is", "*", "*"]
    assert "only here: is end" in " ".join(first.first.text_content().split())
    assert not page.locator(".columns .prose").first.is_visible()
    page.keyboard.press("v")
    assert page.locator(".differences").count() == 0
    assert page.locator(".columns .prose").first.is_visible()


def test_the_same_text_twice_is_said_to_be_the_same(desk: Any) -> None:
    page = desk("same  words", "same words")
    page.evaluate(
        "document.querySelectorAll('.columns .as-written').forEach(e => { e.textContent = 'x y' })"
    )
    page.keyboard.press("v")
    assert "The two responses are the same" in page.inner_text(".differences >> nth=0")


# --- marks -------------------------------------------------------------------------------

MARKING = {"rationale": {"tags": ["correct", "unsafe"], "highlights": True}}
TEXT = "A first 👍 sentence.\r\nA *second* one\u200b here. The third."


def select(page: Any, part: str, where: str) -> None:
    """As a mouse would: a range over one piece of text."""
    page.evaluate(
        """([part, where]) => {
          for (const root of document.querySelectorAll(`.columns ${where}`)) {
            const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
              const at = walker.currentNode.data.indexOf(part);
              if (at >= 0) return getSelection().setBaseAndExtent(
                walker.currentNode, at, walker.currentNode, at + part.length);
            }
          }
          throw new Error(part);
        }""",
        [part, where],
    )
    page.wait_for_timeout(100)


def stored_marks(page: Any) -> list[dict[str, Any]]:
    press(page, "4")
    said = Annotation.objects.get()
    return list(said.details["rationale"]["highlights"])


def test_marks_are_stored_in_characters_of_the_text(desk: Any) -> None:
    page = desk(TEXT, "other words", form_options=MARKING)
    page.wait_for_selector(".marking #mark")
    page.keyboard.press("p")
    select(page, "second", ".as-written")
    page.select_option("#mark-tag", "unsafe")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li")
    assert "second" in page.inner_text(".marks-list")
    select(page, " here.", ".as-written")
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li >> nth=1")
    assert page.evaluate("CSS.highlights.get('marks').size") >= 2
    shoot(page, "marks")
    second, here = stored_marks(page)
    assert TEXT[second["start"] : second["end"]] == "second"
    assert second["tag"] == "unsafe"
    assert TEXT[here["start"] : here["end"]] == "here."


def test_marks_in_formatted_text_are_found_or_asked_for_again(desk: Any) -> None:
    page = desk("Some *very* plain words. Words, words.", "other", form_options=MARKING)
    select(page, "plain words", ".prose")
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li")
    select(page, "ords", ".prose")  # stands there three times
    page.keyboard.press("m")
    page.wait_for_function(
        "() => document.querySelector('#announce').textContent.includes('more than once')"
    )
    assert page.get_attribute("#as-written", "aria-pressed") == "true"
    assert page.locator(".marks-list li").count() == 1
    (only,) = stored_marks(page)
    assert (only["start"], only["end"], only["tag"]) == (12, 23, "")


def test_marks_with_the_keyboard_only(desk: Any) -> None:
    page = desk(
        "One sentence. Two sentences.", "One sentence. Two sentences.", form_options=MARKING
    )
    page.focus("[data-sentence='1']")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('#announce').textContent === 'A: Two sentences.'"
    )
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li")
    page.focus(".response.side-b .as-written")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.wait_for_timeout(100)
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li >> nth=1")
    first, last = stored_marks(page)
    said = Annotation.objects.get()
    assert (first["response"], first["start"], first["end"]) == (said.display_order[0], 14, 28)
    assert (last["response"], last["start"], last["end"]) == (said.display_order[1], 0, 3)


def test_marks_are_drafts_too_and_can_be_removed(desk: Any) -> None:
    page = desk("Some words to mark.", "other", form_options=MARKING)
    for part in ("Some words", "to mark"):
        select(page, part, ".prose")
        page.keyboard.press("m")
    page.wait_for_selector(".marks-list li >> nth=1")
    page.wait_for_timeout(1500)
    assert "Some" not in str(Assignment.objects.get().draft)  # places, not words
    page.reload()
    question(page)
    page.wait_for_selector(".marks-list li >> nth=1")
    page.focus(".marks-list li:first-child button")
    page.keyboard.press("Enter")
    assert page.locator(".marks-list li").count() == 1
    page.wait_for_timeout(300)
    (only,) = stored_marks(page)
    assert (only["start"], only["end"]) == (11, 18)


# --- access ------------------------------------------------------------------------------

TABLE = (
    "| " + " | ".join(f"a long heading {n}" for n in range(9)) + " |\n" + "|---" * 9 + "|\n| 1 |"
)


@pytest.mark.parametrize("key", ["", "p", "v", "l"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view_of_rich_texts(desk: Any, key: str, theme: str) -> None:
    rich = "\n\n".join(
        [MATHS, CODE, TABLE, MIXED, LONG, "$\\frac{$ \u202e [x](https://example.org)"]
    )
    page = desk(rich, LONGER, form_options=MARKING)
    page.emulate_media(color_scheme=theme)
    page.evaluate("scrollTo(0, 600)")
    page.wait_for_selector(".math.typeset")
    select(page, "Line 7 of", ".prose")
    page.keyboard.press("m")
    if key:
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert violations(page) == []


# --- guidelines --------------------------------------------------------------------------


def test_guidelines_may_have_maths_and_code(
    ada: User, ruth: User, page: Any, live_server: Any
) -> None:
    made: Campaign = make_campaign(people=(ada,))
    publish_guidelines(campaign=made, text=MATHS + "\n\n" + CODE)
    page.goto(f"{live_server.url}/c/{made.slug}/guidelines/")
    sign_in(page, "ada")
    page.wait_for_selector(".math.typeset")
    page.wait_for_selector("button.copy")
    check_width(page)
