"""The forms that a judge can answer, one module each.

``edit`` is not among them: a judge chooses between responses and writes none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from learning.errors import ConfigError
from learning.judges.errors import CannotAsk
from learning.judges.forms.accept import Accept, Acceptance
from learning.judges.forms.base import LETTERS, Form, Given, Order, Said, Tiers
from learning.judges.forms.best_worst import BestWorst, Extremes
from learning.judges.forms.compare import Compare, Comparison
from learning.judges.forms.rank import Rank, Ranking
from learning.judges.forms.rate import Rate, Ratings

FORMS: Final[Mapping[str, type[Form]]] = {
    form.name: form for form in (Compare, Rank, BestWorst, Rate, Accept)
}


def form(name: str, options: Mapping[str, Any] | None = None) -> Form:
    """A form by its name, with a campaign's options; those left out are the campaign's defaults.

    Raises:
        CannotAsk: there is no such form for judges.
        ConfigError: an option is unknown or has a value that it cannot have.
    """
    if name == "edit":
        raise CannotAsk("edit: a judge chooses between responses and writes none")
    if name not in FORMS:
        raise CannotAsk(f"there is no form {name!r} for judges; there are: {', '.join(FORMS)}")
    kind = FORMS[name]
    known = list(getattr(kind, "__dataclass_fields__", {}))
    if unknown := sorted(set(options or {}) - set(known)):
        there_are = ", ".join(known) or "none"
        raise ConfigError(f"{name} has no option {unknown[0]!r}; there are: {there_are}")
    return kind(**dict(options or {}))


__all__ = [
    "FORMS",
    "LETTERS",
    "Accept",
    "Acceptance",
    "BestWorst",
    "Compare",
    "Comparison",
    "Extremes",
    "Form",
    "Given",
    "Order",
    "Rank",
    "Ranking",
    "Rate",
    "Ratings",
    "Said",
    "Tiers",
    "form",
]
