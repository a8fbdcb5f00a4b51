"""What the tests of pages share: a part as htmx asks for it, its text, and what it costs."""

from __future__ import annotations

import re
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

HTMX = {"HTTP_HX_REQUEST": "true"}
CONTROL = re.compile(r"^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)")


def html(reply: Any) -> str:
    """The page as text."""
    return str(reply.content.decode())


def queries(act: Any) -> list[str]:
    """The statements of one request, without transaction control."""
    with CaptureQueriesContext(connection) as captured:
        act()
    return [q["sql"] for q in captured if not CONTROL.match(q["sql"])]
