"""What the strict content policy forbids is not in any template, and what they name exists."""

import gzip
import hashlib
import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import get_template

from annotator.keys import DEFAULTS, checked

TEMPLATES_DIR = Path(settings.BASE_DIR) / "templates"
STATIC_DIR = Path(settings.BASE_DIR) / "static"
TEMPLATES = sorted(TEMPLATES_DIR.rglob("*.html"))
SCRIPTS = sorted((STATIC_DIR / "js").glob("*.js"))

each_template = pytest.mark.parametrize(
    "path", TEMPLATES, ids=lambda path: str(path.relative_to(TEMPLATES_DIR))
)


@each_template
def test_a_template_compiles(path):
    get_template(str(path.relative_to(TEMPLATES_DIR)))


@each_template
def test_a_template_has_nothing_inline(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<style\b", text)
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert not re.search(r"hx-on\b|hx-vals=[\"']js:|javascript:", text)
    assert all("src=" in tag for tag in re.findall(r"<script\b[^>]*>", text))


@each_template
def test_a_template_asks_no_third_party(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href|action)=[\"'](?:https?:)?//", text)


@each_template
def test_every_post_form_carries_the_token(path):
    text = path.read_text(encoding="utf-8")
    for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", text, flags=re.DOTALL):
        assert "{% csrf_token %}" in form


@each_template
def test_every_static_file_named_exists(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"{%\s*static\s+[\"']([^\"']+)[\"']", text)
    named += re.findall(r"=\"/static/([^\"]+)\"", text)
    assert [name for name in named if finders.find(name) is None] == []


def test_the_page_for_a_crash_depends_on_nothing_but_words():
    text = (TEMPLATES_DIR / "500.html").read_text(encoding="utf-8")
    words = {"load", "translate", "get_current_language", "get_current_language_bidi"}
    assert set(re.findall(r"{%\s*(\w+)", text)) <= words | {"if", "else", "endif"}
    assert re.findall(r"{%\s*load ([^%]+?)\s*%}", text) == ["i18n"]
    assert re.findall(r"{{\s*(\w+)", text) == ["LANGUAGE_CODE"]


def test_htmx_neither_evaluates_nor_styles_and_swaps_the_answers_that_are_errors():
    text = (TEMPLATES_DIR / "partials" / "htmx.html").read_text(encoding="utf-8")
    config = json.loads(re.search(r"content='([^']+)'", text)[1])
    assert config["allowEval"] is config["includeIndicatorStyles"] is False

    def swaps(status):
        rules = config["responseHandling"]
        return next(rule["swap"] for rule in rules if re.search(rule["code"], str(status)))

    assert {status: swaps(status) for status in (200, 204, 401, 404, 409, 422, 500)} == {
        **dict.fromkeys((200, 401, 404, 409, 422), True),
        **dict.fromkeys((204, 500), False),
    }


def test_no_two_actions_of_one_page_share_a_default_key():
    assert checked(DEFAULTS) == {}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_needs_no_other_module_and_no_evaluation(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*import\b|\bimport\(", text, flags=re.MULTILINE)  # names are hashed
    assert not re.search(r"\beval\(|new Function\(|https?://", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_no_words_of_its_own(path):
    """Templates give them in `data-*`, in the language of the page."""
    code = re.sub(
        r"/\*.*?\*/|(?<!:)//[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    texts = re.findall(r"\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`", code)
    assert [text for text in texts if re.search(r"[A-Z][a-z]+[^\"`]* [a-z]+", text)] == []


def vendored():
    lines = (STATIC_DIR / "vendor.txt").read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def test_vendored_files_are_the_reviewed_ones():
    for name, release, _licence, package, digest in vendored():
        content = Path(finders.find(name)).read_bytes()
        if name.endswith(".min.js"):
            assert f'version:"{release.split(".")[0]}.'.encode() in content
        ours = package.startswith("npm:")  # a file in this repository never changes by itself
        if ours or version(package.partition("==")[0]) == package.partition("==")[2]:
            assert hashlib.sha256(content).hexdigest() == digest


def test_every_vendored_file_is_listed_and_comes_with_its_licence():
    files = [path for path in (STATIC_DIR / "vendor").rglob("*") if path.is_file()]
    named = {name for name, *_ in vendored()}
    assert {path.relative_to(STATIC_DIR).as_posix() for path in files} <= named
    for folder in (STATIC_DIR / "vendor").iterdir():
        assert (folder / "LICENSE").is_file()


def test_vendored_styles_name_only_files_that_are_here():
    for path in (STATIC_DIR / "vendor").rglob("*.css"):
        named = re.findall(r"url\(([^)]+)\)", path.read_text(encoding="utf-8"))
        assert named
        assert [name for name in named if not (path.parent / name).is_file()] == []


def test_the_first_page_of_the_workspace_is_light():
    named = [
        name
        for path in ("base.html", "annotate/workspace.html", "partials/htmx.html")
        for name in re.findall(
            r"{%\s*static\s+[\"']([^\"']+)[\"']", (TEMPLATES_DIR / path).read_text("utf-8")
        )
    ]
    assert len(named) > 8
    weight = sum(len(gzip.compress(Path(finders.find(name)).read_bytes())) for name in set(named))
    assert weight < 120_000  # of 150 kB over the wire; the rest is for texts
