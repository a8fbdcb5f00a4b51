"""Tiebreak's own schema: rows as they are."""

from __future__ import annotations

from annotator.importers.base import Importer, Made, Raw, Reading, one_by_one


def recognises(row: Raw) -> bool:
    """A list of responses to a prompt, and no other format's mark."""
    return isinstance(row.get("responses"), list) and "prompt" in row


def _convert(row: Raw, how: Reading) -> Made:
    return Made(dict(row))


IMPORTER = Importer(
    name="native",
    title="Tiebreak",
    about="One item a row: id, prompt, responses, and the annotations made before. Nothing is "
    "changed; whatever else a row says is kept.",
    recognises=recognises,
    convert=one_by_one(_convert),
)
