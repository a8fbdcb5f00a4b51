"""Logs carry the request's id, as text and as JSON."""

import io
import json
import logging

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from config import logs
from config.middleware import request_id


def logged(**extra: object) -> dict[str, object]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    handler.addFilter(logs.RequestIdFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        raise ValueError("broken")
    except ValueError:
        logger.warning("line one\nline %s", "two", extra=extra, exc_info=True)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    return dict(json.loads(lines[0]))


def test_a_record_is_one_json_line_with_its_extras() -> None:
    line = logged(job=7, message_id=object())
    assert line["message"] == "line one\nline two"
    assert line["level"] == "warning"
    assert line["job"] == 7
    assert "ValueError: broken" in str(line["exception"])


def test_a_request_is_named_in_logs_and_answer() -> None:
    seen: list[str] = []

    def view(request: object) -> HttpResponse:
        seen.append(str(logged()["request_id"]))
        return HttpResponse()

    response = request_id(view)(RequestFactory().get("/", headers={"X-Request-ID": "abc-1"}))
    assert response["X-Request-ID"] == "abc-1" == seen[0]
    assert logs.request_id.get() == "-"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'x"y'])
def test_an_odd_request_id_is_replaced(given: str) -> None:
    request = RequestFactory().get("/", headers={"X-Request-ID": given})
    response = request_id(lambda request: HttpResponse())(request)
    assert response["X-Request-ID"] != given
    assert len(response["X-Request-ID"]) == 12
