"""Whatever the schema allows, and much that it does not: no 5xx, and no answer but what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from rest_framework.authtoken.models import Token
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from annotator.models import Assignment, Campaign, Import, Query, Snapshot
from annotator.services.campaigns import ensure_annotator
from annotator.services.judges import record_report
from annotator.services.webhooks import add_webhook, try_webhook
from tests.annotator.acts import lease
from tests.annotator.finetuned import FIGURES, ended, measured
from tests.annotator.judged import add, route, say

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(public=True))
SCHEMA.app = get_wsgi_application()
OPERATIONS = {
    f"{made.ok().method.upper()} {made.ok().path}": made.ok()
    for made in SCHEMA.get_all_operations()
}
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))


KINDS = (
    "assignment",
    "encoder-estimate",
    "encoder",
    "judge",
    "webhook",
    "export",
    "import",
    "quer",
)


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Requests stay on the test's connection, as those of Django's own client do."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def there(campaign: Campaign, ada: User, ruth: User) -> dict[str, Any]:
    """Things that exist, so that not every path is a 404."""
    ensure_annotator(campaign=campaign, user=ruth)
    assignment = lease(campaign, ada)
    Assignment.objects.filter(pk=assignment.pk).update(
        annotator=ensure_annotator(campaign=campaign, user=ruth)
    )
    hook = add_webhook(
        campaign=campaign, url="https://example.org/", events=["round.published"], user=ruth
    )
    judge, query = add(campaign), Query.objects.first()
    assert query is not None
    say(judge, query)
    route(judge, query)
    record_report(judge=judge, audited=9, figures={"agreement": 0.8})
    return {
        "slug": campaign.slug,
        "item": "toy:1",
        "number": 1,
        "version": 1,
        "quer": query.pk,
        "encoder": ended(campaign).pk,
        "encoder-estimate": measured(campaign, FIGURES).pk,
        "judge": judge.pk,
        "webhook": hook.pk,
        "delivery": str(try_webhook(webhook=hook).pk),
        "export": str(Snapshot.objects.create(campaign=campaign, format="native").pk),
        "import": str(Import.objects.create(campaign=campaign, name="x", state="done").pk),
        "assignment": str(assignment.pk),
    }


def known(path: str, name: str, there: dict[str, Any]) -> Any:
    """What exists under this parameter."""
    if name == "id":
        name = next(kind for kind in KINDS if kind in path)
    return there[name]


@pytest.mark.django_db
@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_keeps_its_word(name: str, ruth: User, there: dict[str, Any]) -> None:
    operation = OPERATIONS[name]
    token = Token.objects.create(user=ruth).key

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def fuzz(case: Any) -> None:
        for key in list(case.path_parameters or {}):
            case.path_parameters[key] = known(case.path, key, there)
        case.call_and_validate(headers={"Authorization": f"Token {token}"}, checks=CHECKS)

    fuzz()
