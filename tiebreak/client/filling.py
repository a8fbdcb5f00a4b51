"""Bringing prompts and responses into a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, cast

from tiebreak.client.http import BYTES, InCampaign, new_key
from tiebreak.client.imports import Import
from tiebreak.client.progress import Wish, progress
from tiebreak.client.results import ImportReport, read
from tiebreak.client.rows import Source, Watched, opened

HUB = "hf:"


class Filling(InCampaign):
    """Rows of the native schema at once; files of any format by a worker."""

    def import_items(
        self,
        source: Source,
        *,
        history: bool = False,
        keep_good: bool = False,
        strength_max: float | None = None,
        progress_bar: Wish = None,
    ) -> ImportReport:
        """Import rows of the native schema, all or none; ids make it repeatable.

        Args:
            source: A file of JSON Lines (also `.gz`), or rows.
            history: Record the annotations in the rows, too.
            keep_good: Store the good rows even when others are bad.
            strength_max: Strength that means "much better" in the rows.
            progress_bar: A function that is told (bytes sent, of how many), or whether to draw.

        Raises:
            Invalid: rows cannot be used; `problems` names them.
        """
        query = {"history": history, "keep_good": keep_good, "strength_max": strength_max}
        with (
            opened(source) as (file, size),
            progress(progress_bar, f"import into {self.slug}", unit="B") as tell,
        ):
            watched = cast(IO[bytes], Watched(file, size, tell))
            where = "POST /campaigns/{slug}/items/"
            row = self._site.upload(where, watched, size, query, slug=self.slug)
        return read(ImportReport, row)

    def import_file(
        self,
        file: str | Path,
        *,
        file_format: str | None = None,
        columns: Mapping[str, str] | None = None,
        llm: str | None = None,
        keep_good: bool = False,
        history: bool = False,
        strength_max: float | None = None,
        timeout: float = 3600.0,
        progress_bar: Wish = None,
    ) -> Import:
        """Have a worker take in a file of any format, or a data set of a hub; wait until it did.

        Args:
            file: A file, or `hf:OWNER/NAME`.
            file_format: One of docs/how-to/import.md; found out where it is left out.
            columns: Of a data set by name, where it is a table: our field to their column.
            llm: Annotators with these words in their name are judges.
            keep_good: Store the good rows even when others are bad.
            history: Record the annotations in the rows, too.
            strength_max: Strength that means "much better" in the rows.
            timeout: Seconds to wait for the worker.
            progress_bar: As everywhere.

        Raises:
            ImportRefused: nothing was stored; `problems` says why.
            TimedOut: the worker is not done; it goes on.
        """
        asked = self.request_import(
            file,
            file_format=file_format,
            columns=columns,
            llm=llm,
            keep_good=keep_good,
            history=history,
            strength_max=strength_max,
            progress_bar=progress_bar,
        )
        return asked.wait(timeout=timeout, progress_bar=progress_bar)

    def request_import(
        self,
        file: str | Path,
        *,
        file_format: str | None = None,
        columns: Mapping[str, str] | None = None,
        llm: str | None = None,
        keep_good: bool = False,
        history: bool = False,
        strength_max: float | None = None,
        look_first: bool = False,
        progress_bar: Wish = None,
    ) -> Import:
        """Hand a file over; nothing is waited for.

        With `look_first` it is only looked at, until `Import.confirm`; else as `import_file`.
        """
        query = {
            "file_format": file_format,
            "llm": llm,
            "keep_good": keep_good,
            "history": history,
            "strength_max": strength_max,
            "look_first": look_first,
        }
        where = "POST /campaigns/{slug}/imports/"
        if str(file).startswith(HUB):
            body = {"name": str(file), "columns": dict(columns or {})}
            row = self._site.create(where, body, query=query, slug=self.slug)
            return read(Import, row, _site=self._site)
        path = Path(file)
        size = path.stat().st_size
        with path.open("rb") as raw, progress(progress_bar, path.name, unit="B") as tell:
            watched = cast(IO[bytes], Watched(raw, size, tell))
            row = self._site.upload(
                where,
                watched,
                size,
                {**query, "filename": path.name},
                kind=BYTES,
                key=new_key(),
                slug=self.slug,
            )
        return read(Import, row, _site=self._site)

    def imports(self) -> Iterator[Import]:
        """Imports by workers, the newest first."""
        for row in self._site.pages("GET /campaigns/{slug}/imports/", slug=self.slug):
            yield read(Import, row, _site=self._site)
