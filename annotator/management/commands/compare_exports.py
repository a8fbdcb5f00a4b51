"""`manage.py compare_exports OLD NEW`: what lies between two exports."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotator.errors import TiebreakError
from annotator.models import Snapshot
from annotator.services.differences import compare, compare_rows, find


class Command(BaseCommand):
    help = "Say which rows came, went and changed from one export to another."

    def add_arguments(self, parser: CommandParser) -> None:
        said = "id of a snapshot, or a file with its provenance beside it"
        parser.add_argument("old", help=said)
        parser.add_argument("new", help=said)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            old, new = find(options["old"]), find(options["new"])
            if isinstance(old, Snapshot) and isinstance(new, Snapshot):
                found = compare(old=old, new=new)
            elif isinstance(old, Snapshot) or isinstance(new, Snapshot):
                raise CommandError("compare two snapshots or two files, not one with the other")
            else:
                found = compare_rows(lambda: old.open("rb"), lambda: new.open("rb"))
        except TiebreakError as error:
            raise CommandError(str(error)) from error
        for name, (was, is_) in found.options.items():
            self.stdout.write(f"{name}: {was} -> {is_}")
        for kind in ("added", "removed", "changed"):
            number, ids = getattr(found, kind), found.examples.get(kind, [])
            self.stdout.write(f"{kind}: {number:,}")
            for name in ids:
                self.stdout.write(f"  {name}")
            if number > len(ids):
                self.stdout.write(f"  and {number - len(ids):,} more")
        self.stdout.write(f"same: {found.same:,}")
