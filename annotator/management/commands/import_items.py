"""`manage.py import_items CAMPAIGN FILE`: read items of any known format into a campaign."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from annotator.answer_words import first_line
from annotator.errors import TiebreakError
from annotator.forms import FORMS
from annotator.importers import IMPORTERS
from annotator.models import Campaign
from annotator.preview import shown
from annotator.services.campaigns import create_campaign
from annotator.services.files import open_binary
from annotator.services.hub import hub_rows, is_hub_name
from annotator.services.imports import ImportOptions, check_items, import_items
from annotator.services.picture_files import from_path
from annotator.services.pictures import add_pictures
from annotator.services.rows import Rows, open_rows

MOST_NAMED = 20  # problems of a preview


class Command(BaseCommand):
    help = (
        "Import items into a campaign: Tiebreak's own schema or a public format, from JSON Lines, "
        "a JSON array, CSV or Parquet, plain or gzipped, or a data set of the Hugging Face hub."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="the campaign's slug")
        parser.add_argument("file", help="a file, or hf:OWNER/NAME[:CONFIG][:SPLIT]")
        parser.add_argument(
            "--format", choices=list(IMPORTERS), help="how rows are read; recognised without it"
        )
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="FIELD=COLUMN",
            help="what a field is called in the file (prompt=Question, response_1=First, …); can "
            "be given several times",
        )
        parser.add_argument(
            "--answers-by",
            default="",
            metavar="MODEL",
            help="a model gave the answers, where the format does not say who did",
        )
        parser.add_argument(
            "--preview",
            action="store_true",
            help="say how the rows are read and what is wrong with them, and store nothing",
        )
        parser.add_argument("--create", action="store_true", help="create the campaign if missing")
        parser.add_argument(
            "--form", choices=list(FORMS), help="what the campaign that --create makes asks"
        )
        parser.add_argument(
            "--keep-good",
            action="store_true",
            help="store the good rows even when others are bad; rejects go to FILE.rejects.jsonl",
        )
        parser.add_argument("--rejects", type=Path, help="where --keep-good writes the bad rows")
        parser.add_argument(
            "--history", action="store_true", help="record the annotations in the file, too"
        )
        parser.add_argument(
            "--strength-max",
            type=float,
            metavar="X",
            help="strength that means 'much better' in this file; without it, what the format "
            "fixes, or else strengths are kept as they are but not learnt from",
        )
        parser.add_argument(
            "--pictures",
            type=Path,
            action="append",
            default=[],
            metavar="PATH",
            help="pictures that the texts show, stored first: a file, a folder or a ZIP archive; "
            "can be given several times",
        )
        parser.add_argument(
            "--keep-location",
            action="store_true",
            help="also take pictures that say where they were taken",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name: str = options["file"]
        if options["preview"] and options["pictures"]:
            raise CommandError("--preview stores nothing, so expected no --pictures with it")
        rejects_path = options["rejects"] or Path(f"{_file_name(name)}.rejects.jsonl")
        try:
            with ExitStack() as stack:
                stack.enter_context(transaction.atomic())  # a refused file leaves no campaign
                rows = self._rows(name, stack)
                rejects = None
                if options["keep_good"] and not options["preview"]:
                    rejects = stack.enter_context(rejects_path.open("w", encoding="utf-8"))
                campaign = self._campaign(
                    options["campaign"], create=options["create"], form=options["form"]
                )
                if options["pictures"]:
                    self._pictures(campaign, options["pictures"], options["keep_location"])
                how = _how(options, rejects)
                if options["preview"]:
                    self._preview(campaign, rows, how)
                    transaction.set_rollback(True)  # a campaign that --create made is gone, too
                    return
                report = import_items(campaign=campaign, rows=rows, options=how)
        except (TiebreakError, OSError) as error:
            raise CommandError(f"{name.rpartition('/')[2]}: {error}") from error
        if report.format != "native":
            self.stdout.write(f"read as {IMPORTERS[report.format].title} ({report.format})")
        self.stdout.write(str(report))
        if report.rejected:
            self.stderr.write(f"{report.rejected} bad rows written to {rejects_path}")

    def _rows(self, name: str, stack: ExitStack) -> Rows:
        if is_hub_name(name):
            return hub_rows(name)
        return open_rows(stack.enter_context(open_binary(Path(name))))

    def _preview(self, campaign: Campaign, rows: Rows, how: ImportOptions) -> None:
        report, first = check_items(campaign=campaign, rows=rows, options=how)
        importer = IMPORTERS[report.format]
        say = self.stdout.write
        say(f"read as {importer.title} ({importer.name}), {report.container}")
        say(
            f"{report.read:,} rows: {report.items:,} new items, {report.unchanged:,} known "
            f"already, {report.annotations:,} answers, {report.rejected:,} bad rows"
        )
        for problem in report.problems[:MOST_NAMED]:
            say(f"  {problem}")
        if len(report.problems) > MOST_NAMED:
            say("  …")
        strongest = importer.strength_max if how.strength_max is None else how.strength_max
        for item in first:
            one = shown(item, strongest)
            say(f"\n{one.id}")
            for role, text in one.turns:
                say(f"  {role or 'prompt'}: {first_line(text)}")
            for letter, _, text in one.responses:
                say(f"  {letter}: {first_line(text)}")
            for answer in one.answers:
                say(f"  {answer.who}: {answer.words}")
        say("\nnothing was stored")

    def _pictures(self, campaign: Campaign, paths: list[Path], keep_location: bool) -> None:
        try:
            with ExitStack() as stack:
                sources = [source for path in paths for source in from_path(path, stack)]
                said = add_pictures(campaign=campaign, sources=sources, keep_location=keep_location)
        except TiebreakError as error:
            raise CommandError(f"pictures: {error}") from error
        self.stdout.write(str(said))

    def _campaign(self, slug: str, *, create: bool, form: str | None) -> Campaign:
        found: Campaign | None = Campaign.objects.filter(slug=slug).first()
        if found is not None:
            if form not in (None, found.form):
                raise CommandError(
                    f"campaign {slug!r} has the form {found.form}, not {form}; "
                    "--form is for a campaign that --create makes"
                )
            return found
        if not create:
            known = ", ".join(Campaign.objects.values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"there is no campaign {slug!r} (known: {known}); --create makes it")
        asked = {"form": form} if form else {}
        try:
            return create_campaign(slug=slug, name=slug.replace("-", " ").capitalize(), **asked)
        except ValidationError as error:
            raise CommandError(f"campaign {slug!r}: {'; '.join(error.messages)}") from error


def _file_name(name: str) -> str:
    """Where a data set's bad rows go: into a file of its name, here."""
    return re.sub(r"[^\w.-]+", "_", name) if is_hub_name(name) else name


def _how(options: dict[str, Any], rejects: IO[str] | None) -> ImportOptions:
    columns = {}
    for given in options["column"]:
        field, equals, column = given.partition("=")
        if not (field and equals and column):
            raise CommandError(f"--column {given!r}: expected FIELD=COLUMN")
        columns[field] = column
    return ImportOptions(
        keep_good=options["keep_good"],
        history=options["history"],
        strength_max=options["strength_max"],
        rejects=rejects,
        format=options["format"] or "",
        columns=columns,
        llm=options["answers_by"],
    )
