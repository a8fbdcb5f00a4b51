"""The OpenAPI document is valid and complete, and what the site answers is what it says."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from annotator.api.docs import groups
from annotator.api.examples import ANSWERS, REQUESTS
from annotator.api.urls import urlpatterns


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return made


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate_schema(document)
    assert document["openapi"].startswith("3.1")


def test_every_address_is_in_it(document: dict[str, Any]) -> None:
    named = {f"/api/{one.pattern}".partition("<")[0] for one in urlpatterns}
    described = {path.partition("{")[0] for path in document["paths"]}
    assert named - described == {"/api/schema/", "/api/docs/"}


def test_every_operation_says_what_it_does_and_how_it_refuses(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for verb, said in operations.items():
            assert said["description"].strip(), (verb, path)
            assert said["tags"] != ["Other"], (verb, path)
            assert "default" in said["responses"], (verb, path)


def test_creating_calls_take_an_idempotency_key(document: dict[str, Any]) -> None:
    without = {
        path
        for path, operations in document["paths"].items()
        if "post" in operations
        and not any(
            p["name"] == "Idempotency-Key" for p in operations["post"].get("parameters", [])
        )
    }
    # These are idempotent by themselves: items by id, leases by person, answers by key.
    assert {path.rpartition("}/")[2] for path in without} == {"items/", "next/", "undo/", "lease/"}


def body(document: dict[str, Any], verb: str, path: str, status: str = "") -> Any:
    said = document["paths"][path][verb]
    content = (said["responses"][status] if status else said["requestBody"])["content"]
    return content["application/json"]


def test_every_body_that_is_sent_has_an_example(document: dict[str, Any]) -> None:
    sent = {
        (verb, path)
        for path, operations in document["paths"].items()
        for verb, said in operations.items()
        if "application/json" in said.get("requestBody", {}).get("content", {})
    }
    assert sent == set(REQUESTS)


@pytest.mark.parametrize("where", [*REQUESTS, *ANSWERS], ids=" ".join)
def test_an_example_is_what_its_schema_says(
    document: dict[str, Any], where: tuple[str, ...]
) -> None:
    shown = body(document, *where)
    root = {**shown["schema"], "components": document["components"]}
    Draft202012Validator(root).validate(shown["example"])


def test_the_page_has_every_operation(document: dict[str, Any], client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    shown = [one for operations in groups().values() for one in operations]
    assert len(shown) == sum(len(verbs) for verbs in document["paths"].values())
    for one in shown:
        assert f"<strong>{one.method}</strong> {one.path}" in page


@pytest.mark.django_db
def test_the_document_is_served_without_a_token(client: Client, ruth: User) -> None:
    assert client.get("/api/schema/?format=json").json()["info"]["title"] == "Tiebreak"
