"""The OpenAPI document: what every operation has in common is added here, once."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from annotator.api import examples
from annotator.api.idempotency import HEADER

PROBLEM: Final = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"description": "What is wrong, by field; only where fields are wrong."},
        "problems": {
            "type": "array",
            "items": {"type": "object"},
            "description": "What is wrong, by line; only of imports.",
        },
    },
    "required": ["type", "title", "status", "detail"],
}
REFUSED: Final = {
    "description": "Refused: why, in words.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
TAGS: Final = {
    "campaigns": "Campaigns",
    "pool": "Items",
    "imports": "Imports",
    "work": "Annotating",
    "record": "What was answered",
    "loop": "The loop",
    "finetuning": "Encoders",
    "estimates": "Encoders",
    "judges": "Judges",
    "exports": "Exports",
    "webhooks": "Webhooks",
}


class Described(AutoSchema):
    """Filters, idempotency keys and tags from the views themselves."""

    def get_override_parameters(self) -> list[Any]:
        """Query parameters of lists, and the key of what can be repeated."""
        found = list(super().get_override_parameters())
        if self.method == "GET" and hasattr(self.view, "filter_serializer"):
            found.append(self.view.filter_serializer)
        if getattr(getattr(self.view, self.method.lower()), "idempotent", False):
            said = "Sent again with the same key, a request is answered again and done once."
            found.append(
                OpenApiParameter(
                    HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER, description=said
                )
            )
        return found

    def get_tags(self) -> list[str]:
        """By module."""
        return [TAGS.get(type(self.view).__module__.rpartition(".")[2], "Other")]

    def get_description(self) -> str:
        """Of the method; of the view where that says nothing."""
        return str(super().get_description() or "")


def finished(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Every operation may be refused, and says how; examples show what goes in and comes out."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = REFUSED
    examples.put_into(result)
    return result
