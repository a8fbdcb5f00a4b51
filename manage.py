#!/usr/bin/env python
"""Tiebreak's command line: ``python manage.py help``."""

import os
import sys

# These need no database, so none is started for them.
WITHOUT_DATABASE = {"help", "version", "collectstatic", "compilemessages", "makemessages"}


def main() -> None:
    """Run one command; without ``DATABASE_URL`` the embedded database is up meanwhile."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from config.embedded_postgres import ensure_running
    from config.postgres_files import EmbeddedPostgresError

    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    asks_for_help = bool({"--help", "-h", "--version"} & set(sys.argv[1:]))
    if command not in WITHOUT_DATABASE and not asks_for_help:
        try:
            ensure_running()
        except EmbeddedPostgresError as error:
            sys.exit(f"{error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
