"""``make translations``: collect what annotators read, and write `locale/*/LC_MESSAGES/django.po`.

New texts are added to each language, empty; those that are gone are dropped. The compiled ``.mo``
beside it is written anew. Needs no GNU gettext: Python is read by `ast`, templates as Django reads
them, so that a message here is to the letter what is looked up at run time.
"""

import ast
import gettext
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import django
import polib
from django.template import Node
from django.template.loader import get_template
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

from config.env import BASE_DIR

ONE = {"_", "later", "gettext", "gettext_lazy"}
SEVERAL = {"ngettext", "ngettext_lazy"}
IN_ENGLISH = {"admin", "campaign"}  # templates for researchers, see `annotator.middleware.ENGLISH`
IN_TAG = re.compile(r"{[{%](?:(?![%}]}).)*?_\(\"((?:[^\"\\]|\\.)*)\"\)", re.DOTALL)
FORMATTED = re.compile(r"%\(\w+\)|%%")
HEADER = {
    "Project-Id-Version": "Tiebreak",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=UTF-8",
    "Content-Transfer-Encoding": "8bit",
}


@dataclass(frozen=True, order=True)
class Message:
    """One text that is looked up in a catalogue; with a plural, for a number of things."""

    msgid: str
    plural: str = ""


class NoTextError(ValueError):
    """A call for a translation without a text to collect."""


def collected() -> dict[Message, list[str]]:
    """Every message of code and templates, with the files that say it."""
    found: defaultdict[Message, set[str]] = defaultdict(set)
    for path in sorted((BASE_DIR / "annotator").rglob("*.py")):
        for message in in_code(path.read_text(encoding="utf-8"), str(path.relative_to(BASE_DIR))):
            found[message].add(str(path.relative_to(BASE_DIR)))
    for path in sorted((BASE_DIR / "templates").rglob("*.html")):
        name = path.relative_to(BASE_DIR / "templates")
        if name.parts[0] not in IN_ENGLISH:
            for message in in_template(str(name)):
                found[message].add(str(path.relative_to(BASE_DIR)))
    return {message: sorted(found[message]) for message in sorted(found)}


def in_code(source: str, name: str = "") -> Iterator[Message]:
    """Messages of Python source.

    Raises:
        NoTextError: something is translated that is no plain text.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        number = 1 if node.func.id in ONE else 2 if node.func.id in SEVERAL else 0
        texts = [arg.value for arg in node.args[:number] if isinstance(arg, ast.Constant)]
        if len(texts) != number or not all(isinstance(text, str) for text in texts):
            raise NoTextError(f"{name}:{node.lineno}: expected a text to translate")
        if number:
            yield Message(*map(str, texts))


def in_template(name: str) -> Iterator[Message]:
    """Messages of a template: `translate`, `blocktranslate`, and `_()` inside other tags."""
    template = get_template(name).template  # type: ignore[attr-defined]
    for node in template.nodelist.get_nodes_by_type(Node):
        if isinstance(node, TranslateNode):
            text = node.filter_expression.var.literal
            if not isinstance(text, str):
                raise NoTextError(f"{name}: {node.token}: expected a text to translate")
            yield Message(text.replace("%", "%%"))
        elif isinstance(node, BlockTranslateNode):
            texts = [node.singular, node.plural] if node.plural else [node.singular]
            yield Message(*(node.render_token_list(tokens)[0] for tokens in texts))
    for text in IN_TAG.findall(template.source):
        yield Message(text.replace("%", "%%"))


def folder(language: str) -> Path:
    """Where the catalogue of a language lies."""
    return BASE_DIR / "locale" / language / "LC_MESSAGES"


def update(language: str, messages: dict[Message, list[str]]) -> polib.POFile:
    """Bring one catalogue up to date and compile it; translations stay."""
    place = folder(language)
    place.mkdir(parents=True, exist_ok=True)
    path = place / "django.po"
    before = polib.pofile(str(path)) if path.exists() else polib.POFile()
    known = {Message(entry.msgid, entry.msgid_plural): entry for entry in before}
    catalogue = polib.POFile(wrapwidth=100)
    catalogue.header = before.header
    catalogue.metadata = before.metadata or {
        **HEADER,
        "Language": language,
        "Plural-Forms": plural_forms(language),
    }
    for message, places in messages.items():
        entry = known.get(message) or polib.POEntry(
            msgid=message.msgid,
            msgid_plural=message.plural,
            msgstr_plural=dict.fromkeys(range(_forms(catalogue)), "") if message.plural else {},
        )
        entry.occurrences = [(place, "") for place in places]
        entry.flags = ["python-format"] if FORMATTED.search(message.msgid) else []
        catalogue.append(entry)
    catalogue.save(str(path))
    catalogue.save_as_mofile(str(path.with_suffix(".mo")))
    return catalogue


def plural_forms(language: str) -> str:
    """How a language counts, as Django's own catalogue of it says; two forms where it has none."""
    place = Path(django.__file__).parent / "conf" / "locale" / language / "LC_MESSAGES/django.mo"
    if not place.exists():
        return "nplurals=2; plural=(n != 1);"
    with place.open("rb") as file:
        return gettext.GNUTranslations(file).info()["plural-forms"]


def _forms(catalogue: polib.POFile) -> int:
    return int(catalogue.metadata["Plural-Forms"].partition("nplurals=")[2][0])


def languages() -> list[str]:
    """Languages that have a catalogue, by the names of their folders."""
    return sorted(path.parent.parent.name for path in BASE_DIR.glob("locale/*/LC_MESSAGES/*.po"))


def main(new: Sequence[str]) -> None:
    """Update all catalogues and those that are named."""
    messages = collected()
    for language in sorted({*languages(), *new}):
        left = len(update(language, messages).untranslated_entries())
        sys.stdout.write(f"{language}: {len(messages)} messages, {left} not translated\n")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    main(sys.argv[1:])
