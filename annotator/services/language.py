"""What a language model says of an item: `meta.language_features`, as the command writes it.

`python -m learning language-features` makes the file; it is imported like any other. The figures
are no part of an item's content: they may come later, and newer ones take the place of older.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from django.db import connection

from annotator.importers.fields import kind_of
from annotator.models import Campaign

KEY = "language_features"
LONGEST_NAME = 300
Figures = dict[str, Any]

# As jsonb, not as text: equal figures are equal however they are written.
ADD = """
UPDATE annotator_item AS item
SET extra = jsonb_set(
    item.extra, '{meta}',
    coalesce(item.extra -> 'meta', '{}') || jsonb_build_object('language_features', given.figures)
)
FROM (SELECT unnest(%s::text[]) AS id, unnest(%s::text[])::jsonb AS figures) AS given
WHERE item.campaign_id = %s AND item.external_id = given.id
    AND item.extra #> '{meta,language_features}' IS DISTINCT FROM given.figures
"""


def figures_in(extra: Mapping[str, Any]) -> Figures | None:
    """The figures among what a row says besides."""
    meta = extra.get("meta")
    found = meta.get(KEY) if isinstance(meta, dict) else None
    return found if isinstance(found, dict) else None


def without_figures(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says besides, but for the figures; a `meta` that holds nothing else goes too."""
    if figures_in(extra) is None:
        return dict(extra)
    rest = {name: value for name, value in extra["meta"].items() if name != KEY}
    kept = {name: value for name, value in extra.items() if name != "meta"}
    return {**kept, "meta": rest} if rest else kept


class Told(Protocol):
    """A row that may bring figures."""

    @property
    def id(self) -> str:
        """The item's."""

    @property
    def figures(self) -> Figures | None:
        """What a language model says of it."""


def add_figures(campaign: Campaign, rows: Sequence[Told]) -> int:
    """Give items that are there the figures that rows bring; how many have other ones now."""
    told = {row.id: json.dumps(row.figures) for row in rows if row.figures is not None}
    if not told:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(ADD, [list(told), list(told.values()), campaign.pk])
        return int(cursor.rowcount)


# --- checking -------------------------------------------------------------------------------


def misfits(meta: Any, responses: int) -> Iterator[tuple[str, str]]:
    """Field and complaint of everything that is wrong in the figures of a row."""
    found = meta.get(KEY) if isinstance(meta, dict) else None
    if found is None:
        return
    at = f"meta.{KEY}"
    if not isinstance(found, dict):
        yield at, f"expected an object, got {kind_of(found)}"
        return
    for name in sorted(set(found) - set(RULES) - set(LISTS)):
        yield f"{at}.{name}", f"is not known; expected {', '.join([*RULES, *LISTS])}"
    for name, (fits, what) in RULES.items():
        if not fits(found.get(name)):
            yield f"{at}.{name}", _said(what, found.get(name), missing=name not in found)
    for name, (fits, what) in LISTS.items():
        given = found.get(name)
        if given is None:
            continue
        if not isinstance(given, list) or len(given) != responses:
            yield f"{at}.{name}", _said(f"a list of {responses} values, one a response", given)
            continue
        for place, value in enumerate(given):
            if not fits(value):
                yield f"{at}.{name}[{place}]", _said(what, value)


def _said(what: str, value: Any, *, missing: bool = False) -> str:
    if missing:
        return f"is missing; expected {what}"
    if isinstance(value, list):
        return f"expected {what}, got {len(value)}"
    return f"expected {what}, got {f'{value!r:.40}' if _number(value) else kind_of(value)}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nats(value: Any) -> bool:
    return value is None or (_number(value) and 0 <= value <= 1e9)


def _log(value: Any) -> bool:
    return value is None or (_number(value) and -1e9 <= value <= 0)


def _count(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (whole and 0 <= value < 2**63)


def _model(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= LONGEST_NAME


Rules = Mapping[str, tuple[Callable[[Any], bool], str]]

RULES: Rules = {
    "model": (_model, f"the model's name, up to {LONGEST_NAME} characters"),
    "entropy": (_nats, "nats, 0 or more, or null"),
    "entropy_per_token": (_nats, "nats, 0 or more, or null"),
    "entropy_error": (_nats, "nats, 0 or more, or null"),
    "samples": (_count, "a whole number"),
    "max_new_tokens": (_count, "a whole number"),
    "seed": (_count, "a whole number"),
    "unfinished": (_count, "a whole number"),
}
LISTS: Rules = {
    "log_likelihood": (_log, "nats, 0 or less, or null"),
    "per_token": (_log, "nats, 0 or less, or null"),
    "tokens": (_count, "a whole number"),
    "cut": (lambda value: isinstance(value, bool), "true or false"),
}
