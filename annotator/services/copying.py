"""Many rows at once by PostgreSQL's COPY: an import's rows are too many to be made into objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models
from psycopg import sql


def new_ids(model: type[models.Model], count: int) -> list[int]:
    """Ids that no row has or will get, so that rows can refer to each other before they exist."""
    if not count:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [model._meta.db_table, count],
        )
        return [pk for (pk,) in cursor.fetchall()]


def copy_in(
    model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write rows of these fields; those that are left out are null.

    Raises:
        IntegrityError: as an INSERT does.
    """
    columns = [model._meta.get_field(name) for name in fields]
    places = [n for n, field in enumerate(columns) if isinstance(field, models.JSONField)]
    names = [sql.Identifier(str(field.column)) for field in columns]  # type: ignore[union-attr]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(model._meta.db_table), sql.SQL(", ").join(names)
    )
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for row in rows:
            values = list(row)
            for place in places:
                values[place] = json.dumps(values[place], ensure_ascii=False)
            copy.write_row(values)
