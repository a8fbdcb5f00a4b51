"""`manage.py export CAMPAIGN --format FORMAT --out FILE`: take the dataset away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotator.errors import TiebreakError
from annotator.exporters import FORMATS, ExportOptions
from annotator.exporters.options import listed
from annotator.models import Campaign
from annotator.services.containers import CONTAINERS
from annotator.services.export_files import PROVENANCE, export_to_file


class Command(BaseCommand):
    help = "Write a campaign's answers to FILE, and where each row came from beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="the campaign's slug")
        parser.add_argument("--format", required=True, choices=list(FORMATS))
        parser.add_argument("--out", required=True, type=Path)
        parser.add_argument(
            "--container", default="", help=f"one of {', '.join(CONTAINERS)}; the format's own"
        )
        for option in listed():
            name, about = f"--{option.name.replace('_', '-')}", option.metadata
            said = about["help"].replace("%", "%%")
            if isinstance(option.default, bool):
                parser.add_argument(name, action="store_true", help=said)
            else:
                choices = about["choices"] or None
                kind = type(option.default)
                parser.add_argument(
                    name, type=kind, default=option.default, choices=choices, help=said
                )

    def handle(self, *args: Any, **options: Any) -> None:
        campaign = Campaign.objects.filter(slug=options["campaign"]).first()
        if campaign is None:
            raise CommandError(f"there is no campaign {options['campaign']!r}")
        try:
            manifest = export_to_file(
                campaign=campaign,
                format_name=options["format"],
                container=options["container"],
                out=options["out"],
                options=ExportOptions.checked({one.name: options[one.name] for one in listed()}),
            )
        except TiebreakError as error:
            raise CommandError(str(error)) from error
        data = manifest["files"][manifest["data"][0]]
        self.stdout.write(
            f"{manifest['rows']:,} rows, {data['bytes']:,} bytes, sha256 {data['sha256']}\n"
            f"{options['out']} and {options['out']}.{PROVENANCE}"
        )
        for warning in manifest["warnings"]:
            self.stderr.write(warning)
        for why, number in manifest["left_out"].items():
            self.stderr.write(f"left out: {number:,} {why}")
