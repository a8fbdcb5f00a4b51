"""Every language says everything that annotators read, with the same placeholders; none lags."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils.translation import gettext, ngettext, override, to_locale

from config import translations
from config.translations import Message, NoTextError, in_code, in_template

LANGUAGES = translations.languages()
PLACES = re.compile(r"%\(\w+\)[a-z]|%%[a-z]|\{\w+\}")
MARKUP = re.compile(r"</?\w+[^>]*>|[\"&<>]")
END = re.compile(r"\s*[.:?!…]?\s*$")

each_language = pytest.mark.parametrize("language", LANGUAGES)


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(translations.folder(language) / "django.po"))


def pairs(language: str) -> list[tuple[str, str]]:
    """What is said, and how a language says it; of a plural, each form beside the plural."""
    return [
        (entry.msgid_plural or entry.msgid, said)
        for entry in catalogue(language)
        for said in (entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr])
    ]


def test_the_languages_that_are_offered_are_those_that_have_a_catalogue() -> None:
    offered = {to_locale(code) for code, _name in settings.LANGUAGES} - {"en"}
    assert offered == set(LANGUAGES) >= {"de"}


@each_language
def test_a_catalogue_has_every_message_of_code_and_templates_and_no_other(language: str) -> None:
    known = {Message(entry.msgid, entry.msgid_plural) for entry in catalogue(language)}
    wanted = translations.collected().keys()
    assert (wanted - known, known - wanted) == (set(), set()), "run: make translations"


@each_language
def test_nothing_is_left_untranslated_or_unsure(language: str) -> None:
    known = catalogue(language)
    assert [entry.msgid for entry in known.untranslated_entries()] == []
    assert [entry.msgid for entry in (*known.fuzzy_entries(), *known.obsolete_entries())] == []
    forms = int(known.metadata["Plural-Forms"].partition("nplurals=")[2][0])
    for entry in known:
        assert not entry.msgid_plural or len(entry.msgstr_plural) == forms
        assert all(entry.msgstr_plural.values())


@each_language
def test_placeholders_are_those_of_the_message(language: str) -> None:
    """Of a plural, each form has those of the singular or those of the plural."""
    for entry in catalogue(language):
        wanted = [sorted(PLACES.findall(said)) for said in (entry.msgid, entry.msgid_plural)]
        for there in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            found = sorted(PLACES.findall(there))
            assert found in (wanted if entry.msgid_plural else wanted[:1]), (entry.msgid, there)


@each_language
def test_markup_is_that_of_the_message(language: str) -> None:
    """Templates put a text into the page as it stands, also between the quotes of an attribute."""
    for said, there in pairs(language):
        assert Counter(MARKUP.findall(there)) == Counter(MARKUP.findall(said)), (said, there)


@each_language
def test_a_sentence_ends_as_the_message_does(language: str) -> None:
    for said, there in pairs(language):
        assert END.search(said)[0] == END.search(there)[0], (said, there)  # type: ignore[index]


@each_language
def test_what_is_compiled_is_what_was_written(language: str) -> None:
    compiled = polib.mofile(str(translations.folder(language) / "django.mo"))

    def said(entries: polib.POFile | polib.MOFile) -> dict[Message, object]:
        return {Message(e.msgid, e.msgid_plural): e.msgstr_plural or e.msgstr for e in entries}

    assert said(compiled) == said(catalogue(language)), "run: make translations"
    assert compiled.metadata["Plural-Forms"] == catalogue(language).metadata["Plural-Forms"]


def test_german_is_formal_and_has_its_own_quotes() -> None:
    for _said, there in pairs("de"):
        assert not re.search(r"\b(du|dich|dir|dein\w*|euch|euer)\b", there, re.IGNORECASE), there
        assert there.count("„") == there.count("“"), there
        assert "”" not in there


def test_django_finds_what_was_compiled() -> None:
    with override("de"):
        assert gettext("My campaigns") == "Meine Kampagnen"
        said = ngettext("%(n)s turn", "%(n)s turns, newest last", 3) % {"n": 3}
    assert said == "3 Beiträge, der neueste zuletzt"


# --- collecting ----------------------------------------------------------------------------


def test_messages_of_code_are_found_wherever_they_stand() -> None:
    source = """
A = later("one " "text")
def f(n, _other): return f"{_('inside')} {ngettext('a thing', 'things', n)}" + other("none")
"""
    found = set(in_code(source))
    assert found == {Message("one text"), Message("inside"), Message("a thing", "things")}


@pytest.mark.parametrize("source", ["_(said)", "_(f'{a} b')", "later('a' + b)", "ngettext('a', b)"])
def test_what_nobody_can_collect_is_refused(source: str) -> None:
    with pytest.raises(NoTextError, match=r"page\.py:1"):
        list(in_code(source, "page.py"))


def test_messages_of_a_template_are_those_that_django_looks_up(
    settings: pytest.FixtureRequest, tmp_path: Path
) -> None:
    text = """{% load i18n %}{% if a %}{% translate "100 % here" %}{% endif %}{% for b in c %}
{% blocktranslate count n=b|length %}{{ x }}: one{% plural %}{{ x }}: {{ n }}{% endblocktranslate %}
{% include "y.html" with empty=_("nothing") %}{% endfor %}{# _("no") #}_("no")"""
    (tmp_path / "x.html").write_text(text)
    templates = settings.TEMPLATES[0]  # type: ignore[attr-defined]
    settings.TEMPLATES = [{**templates, "DIRS": [tmp_path]}]  # type: ignore[attr-defined]
    assert set(in_template("x.html")) == {
        Message("100 %% here"),
        Message("%(x)s: one", "%(x)s: %(n)s"),
        Message("nothing"),
    }


def test_an_update_keeps_translations_adds_what_is_new_and_drops_what_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(translations, "BASE_DIR", tmp_path)
    old, gone, things = Message("old"), Message("gone"), Message("a thing", "things")
    made = translations.update("pl", {old: ["a.py"], gone: ["a.py"]})
    assert made.metadata["Plural-Forms"].startswith("nplurals=4;")
    for entry in made:
        entry.msgstr = entry.msgid.upper()
    made.save(str(translations.folder("pl") / "django.po"))
    translations.update("pl", {things: ["b.py"], old: ["b.py"]})
    now = {entry.msgid: entry for entry in catalogue("pl")}
    assert now.keys() == {"old", "a thing"}
    assert now["old"].msgstr == "OLD"
    assert now["a thing"].msgstr_plural == {0: "", 1: "", 2: "", 3: ""}
    compiled = polib.mofile(str(translations.folder("pl") / "django.mo"))
    assert [(entry.msgid, entry.msgstr) for entry in compiled] == [("old", "OLD")]
    assert translations.languages() == ["pl"]
