"""What an answer to a question may say, as JSON Schema: for front ends and scripts of one's own.

Made from the very fields that check an answer, so that the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from .base import Shown
from .sequence import AsideInput, Step, TimingInput

Schema = dict[str, Any]


def answer_schema(steps: Sequence[Step], shown: Shown) -> Schema:
    """JSON Schema (2020-12) of an answer: all parts together, or a way out (skip, flag).

    Args:
        steps: The parts of the question.
        shown: The responses in their drawn order: A is the first.
    """
    fields: dict[str, forms.Field] = {}
    for step in steps:
        fields |= step.part.inputs({}, shown=shown, options=step.options).fields
    timing = TimingInput({}).fields
    whole = _object(fields | timing)
    aside = _object(AsideInput({}).fields | timing)
    return {"anyOf": [whole, aside]}


def _object(fields: dict[str, forms.Field]) -> Schema:
    """Fields as an object; what is not named is ignored."""
    return {
        "type": "object",
        "properties": {name: _field(field) for name, field in fields.items()},
        "required": sorted(name for name, field in fields.items() if _demanded(field)),
    }


def _demanded(field: forms.Field) -> bool:
    return bool(field.required) and not isinstance(field, forms.BooleanField)


def _field(field: forms.Field) -> Schema:
    if isinstance(field, forms.MultipleChoiceField):
        some = {"items": _choices(field)} if field.choices else {"maxItems": 0}
        return {"type": "array", **some}
    if isinstance(field, forms.ChoiceField):
        return _choices(field)
    if isinstance(field, forms.BooleanField):
        return {"type": "boolean"}
    if isinstance(field, forms.IntegerField):
        limits = {"minimum": field.min_value, "maximum": field.max_value}
        return {"type": ["integer", "null"], **{k: v for k, v in limits.items() if v is not None}}
    most = getattr(field, "max_length", None)
    return {"type": "string"} | ({"maxLength": most} if most is not None else {})


def _choices(field: forms.ChoiceField) -> Schema:
    """Each value with its words."""
    listed: Any = field.choices
    return {"oneOf": [{"const": str(value), "title": str(words)} for value, words in listed]}
