"""`manage.py curate CAMPAIGN [--against FILE]`: check what an export would hold, and print it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotator import curated
from annotator.errors import InvalidInput
from annotator.models import Campaign, Job
from annotator.services.curation import request_curation

EVERY = 1.0  # seconds between two looks


class Command(BaseCommand):
    help = "Have a worker check what an export would hold, wait for it, and print the findings."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="the campaign's slug")
        parser.add_argument(
            "--against", type=Path, metavar="FILE", help="look for passages of this file too"
        )
        parser.add_argument(
            "--newest", action="store_true", help="print the newest report, without checking again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        campaign = Campaign.objects.filter(slug=options["campaign"]).first()
        if campaign is None:
            raise CommandError(f"there is no campaign {options['campaign']!r}")
        if not options["newest"]:
            self._wait(self._ask(campaign, options["against"]))
        elif options["against"]:
            raise CommandError("--newest prints what is there: --against needs a new check")
        report = curated.newest(campaign)
        if report is None:
            raise CommandError(f"{campaign.slug} has not been checked yet")
        self.stdout.write(
            f"{report.questions:,} questions, {report.created_at:%Y-%m-%d %H:%M %Z}, report "
            f"{report.pk}"
        )
        for check in curated.checks(report):
            self.stdout.write(f"\n{check.title} ({check.name}): {check.sentence}")
            self.stdout.write(
                f"  rows: {check.rows:,} of {check.of:,}; questions that leaving out takes: "
                f"{check.leaves_out:,}"
            )
            for row in check.examples[:5]:
                self.stdout.write(f"  {row.question}  {row.score:.2f}  {row.note}".rstrip())

    def _ask(self, campaign: Campaign, against: Path | None) -> Job:
        try:
            if against is None:
                asked = request_curation(campaign=campaign)
            else:
                with against.open("rb") as source:
                    asked = request_curation(
                        campaign=campaign, against=File(source, name=against.name)
                    )
        except OSError as error:
            raise CommandError(f"{against}: {error.strerror}") from error
        except InvalidInput as error:
            raise CommandError(str(error)) from error
        if asked is None:
            raise CommandError(f"{campaign.slug} is being checked already; try again later")
        return asked

    def _wait(self, job: Job) -> None:
        said = ""
        while job.under_way:
            time.sleep(EVERY)
            job.refresh_from_db()
            if job.message != said:
                said = job.message
                self.stderr.write(said)
        if job.state != Job.State.DONE:
            raise CommandError(f"the check ended as {job.state}: {job.error}")
