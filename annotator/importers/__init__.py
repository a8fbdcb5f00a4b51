"""Foreign formats of preference data: one module each, all turning rows into native ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.importers import (
    arena,
    argilla,
    helpsteer,
    hh_rlhf,
    label_studio,
    multipref,
    native,
    oasst,
    table,
    trl,
    ultrafeedback,
)
from annotator.importers.base import Importer
from annotator.importers.columns import columns_of

# The table comes last: it takes what no other knows.
IMPORTERS: Mapping[str, Importer] = {
    one.name: one
    for one in (
        native.IMPORTER,
        trl.PREFERENCE,
        trl.UNPAIRED,
        trl.RANKING,
        hh_rlhf.IMPORTER,
        helpsteer.RATINGS,
        helpsteer.PREFERENCES,
        helpsteer.THIRD,
        ultrafeedback.FULL,
        ultrafeedback.BINARISED,
        multipref.IMPORTER,
        arena.CONVERSATIONS,
        arena.ONE_HOT,
        oasst.TREES,
        oasst.MESSAGES,
        argilla.IMPORTER,
        label_studio.IMPORTER,
        table.IMPORTER,
    )
}


def detect(rows: Sequence[Any], columns: Mapping[str, str] | None = None) -> Importer | None:
    """The format that most of these rows have, the first of the list at a draw; None if unknown.

    Columns that a person has named make a table of what no other format knows.
    """
    objects = [row for row in rows if isinstance(row, dict)]
    votes = {one.name: sum(map(one.recognises, objects)) for one in IMPORTERS.values()}
    table_votes = votes.pop(table.IMPORTER.name)
    best = max(votes, key=lambda name: votes[name])
    if votes[best]:
        return IMPORTERS[best]
    if table_votes or (columns and any(columns_of(row, columns).responses for row in objects)):
        return table.IMPORTER
    return None


__all__ = ["IMPORTERS", "Importer", "detect"]
