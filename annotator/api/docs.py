"""The human page of the API, made from the OpenAPI document: nothing in it is written twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator

from annotator.errors import Missing

Schema = dict[str, Any]
VERBS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One method of one address, as the page shows it."""

    method: str
    path: str
    summary: str
    details: str
    parameters: list[dict[str, Any]]
    bodies: list[tuple[str, str]]
    answers: list[tuple[str, str, str]]

    @property
    def anchor(self) -> str:
        """Where it is on the page."""
        return f"{self.method}-{self.path}".replace("/", "-").replace("{", "").replace("}", "")


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every operation, its parameters, and what goes in and comes out."""
    return render(request, "api/docs.html", {"groups": groups()})


@csrf_exempt  # it changes nothing, and a refusal for want of a token would be a page
def nothing_here(request: HttpRequest) -> HttpResponse:
    """An address under /api/ that does not exist is refused like everything else."""
    raise Missing(f"there is nothing at {request.path}; every address is listed at /api/docs/")


@cache
def groups() -> dict[str, list[Operation]]:
    """Operations by tag, in the order of the addresses."""
    generator: Any = SchemaGenerator
    document: Schema = generator().get_schema(public=True)
    schemas = document["components"]["schemas"]
    found: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for verb in VERBS:
            if verb in methods:
                made = _operation(verb, path, methods[verb], schemas)
                found.setdefault(methods[verb]["tags"][0], []).append(made)
    return found


def _operation(verb: str, path: str, said: Schema, schemas: Schema) -> Operation:
    summary, _, details = said.get("description", "").partition("\n")
    body = said.get("requestBody", {}).get("content", {})
    answers = said["responses"].items()
    return Operation(
        method=verb.upper(),
        path=path,
        summary=summary,
        details=details.strip(),
        parameters=[_parameter(one) for one in said.get("parameters", [])],
        bodies=[(kind, _written(one, schemas)) for kind, one in body.items()],
        answers=[
            (code, one.get("description", ""), _answer(one, schemas))
            for code, one in answers
            if code != "default"
        ],
    )


def _parameter(one: Schema) -> dict[str, Any]:
    schema = one.get("schema", {})
    return {
        "name": one["name"],
        "where": one["in"],
        "required": one.get("required", False),
        "type": " or ".join(schema.get("enum", [])) or schema.get("type", ""),
        "default": schema.get("default"),
        "description": one.get("description", ""),
    }


def _answer(one: Schema, schemas: Schema) -> str:
    content = next(iter(one.get("content", {}).values()), None)
    return _written(content, schemas) if content else ""


def _written(content: Schema, schemas: Schema) -> str:
    """The example of a body, or its shape where there is none; indented JSON."""
    shape = content.get("example") or _shape(content.get("schema", {}), schemas, depth=0)
    return json.dumps(shape, indent=2, ensure_ascii=False) if shape not in ({}, None) else ""


def _shape(schema: Schema, schemas: Schema, *, depth: int) -> Any:
    if "$ref" in schema:
        return _shape(schemas[schema["$ref"].rpartition("/")[2]], schemas, depth=depth + 1)
    for joined in ("allOf", "oneOf", "anyOf"):
        if joined in schema:
            return _shape(schema[joined][0], schemas, depth=depth + 1)
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    if "properties" in schema and depth < 8:
        return {
            name: _shape(one, schemas, depth=depth + 1)
            for name, one in schema["properties"].items()
        }
    if schema.get("type") == "array":
        return [_shape(schema.get("items", {}), schemas, depth=depth + 1)]
    kind = schema.get("type", "any")
    kind = " | ".join(kind) if isinstance(kind, list) else kind
    return f"{kind} ({schema['format']})" if "format" in schema else kind
