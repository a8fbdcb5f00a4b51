"""`manage.py export CAMPAIGN --format FORMAT --out FILE`: take the dataset away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotator.errors import TiebreakError
from annotator.models import Campaign
from annotator.services.exports import FORMATS, ExportOptions
from annotator.services.snapshots import export_to_file


class Command(BaseCommand):
    help = "Write a campaign's answers to FILE, and where each row came from beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="the campaign's slug")
        parser.add_argument("--format", required=True, choices=list(FORMATS))
        parser.add_argument("--out", required=True, type=Path)
        parser.add_argument(
            "--include-holdout",
            action="store_true",
            help="also prompts that are reserved for testing: never train on these",
        )
        parser.add_argument(
            "--include-gold",
            action="store_true",
            help="also questions whose answer was known: gold, practice, tests",
        )
        parser.add_argument(
            "--include-repeats",
            action="store_true",
            help="also second answers of a person to the same question",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        campaign = Campaign.objects.filter(slug=options["campaign"]).first()
        if campaign is None:
            raise CommandError(f"there is no campaign {options['campaign']!r}")
        try:
            manifest = export_to_file(
                campaign=campaign,
                format_name=options["format"],
                out=options["out"],
                options=ExportOptions(
                    include_holdout=options["include_holdout"],
                    include_gold=options["include_gold"],
                    include_repeats=options["include_repeats"],
                ),
            )
        except TiebreakError as error:
            raise CommandError(str(error)) from error
        data = manifest["files"]["data.jsonl"]
        self.stdout.write(
            f"{data['rows']:,} rows, {data['bytes']:,} bytes, sha256 {data['sha256']}\n"
            f"{options['out']} and {options['out']}.provenance.jsonl"
        )
