"""`manage.py import_items CAMPAIGN FILE`: read a native JSON Lines file into a campaign."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from annotator.errors import TiebreakError
from annotator.forms import FORMS
from annotator.models import Campaign
from annotator.services.campaigns import create_campaign
from annotator.services.files import open_binary
from annotator.services.imports import ImportOptions, import_items
from annotator.services.picture_files import from_path
from annotator.services.pictures import add_pictures


class Command(BaseCommand):
    help = "Import items (native JSON Lines, plain or gzipped) into a campaign."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="the campaign's slug")
        parser.add_argument("file", type=Path)
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
            help="strength that means 'much better' in this file; without it strengths are kept "
            "as they are but not learnt from",
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
        file: Path = options["file"]
        try:
            with ExitStack() as stack:
                stack.enter_context(transaction.atomic())  # a refused file leaves no campaign
                stream = stack.enter_context(open_binary(file))
                rejects_path = options["rejects"] or file.with_name(file.name + ".rejects.jsonl")
                rejects = None
                if options["keep_good"]:
                    rejects = stack.enter_context(rejects_path.open("w", encoding="utf-8"))
                campaign = self._campaign(
                    options["campaign"], create=options["create"], form=options["form"]
                )
                if options["pictures"]:
                    self._pictures(campaign, options["pictures"], options["keep_location"])
                report = import_items(
                    campaign=campaign,
                    stream=stream,
                    options=ImportOptions(
                        keep_good=options["keep_good"],
                        history=options["history"],
                        strength_max=options["strength_max"],
                        rejects=rejects,
                    ),
                )
        except (TiebreakError, OSError) as error:
            raise CommandError(f"{file.name}: {error}") from error
        self.stdout.write(str(report))
        if report.rejected:
            self.stderr.write(f"{report.rejected} bad rows written to {rejects_path}")

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
