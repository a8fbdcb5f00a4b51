"""Forms of feedback, by name. A new one is a module here and a line below."""

from __future__ import annotations

from .base import Answer, FormKind, Timing
from .compare import Compare

FORMS: dict[str, FormKind] = {form.name: form for form in (Compare(),)}

__all__ = ["FORMS", "Answer", "FormKind", "Timing"]
