"""Entropies of prompts that a language model gave to a file's items, under `meta`.

As a campaign reads them: those of one model, never a mixture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning.errors import BadFile

KEY: Final = "language_features"

Told: TypeAlias = tuple[str, float]  # model and length of its answers; nats a token


def told(row: Mapping[str, Any], where: str) -> Told | None:
    """Return whose entropy a row has, and the entropy; nothing where it has none.

    Raises:
        BadFile: it is no number, or below 0.
    """
    meta = row.get("meta")
    found = meta.get(KEY) if isinstance(meta, dict) else None
    value = found.get("entropy_per_token") if isinstance(found, dict) else None
    if value is None or not isinstance(found, dict):
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise BadFile(f"{where}, meta.{KEY}.entropy_per_token: expected nats, 0 or more, or null")
    return f"{found.get('model')} {found.get('max_new_tokens')}", float(value)


@dataclass(slots=True)
class Entropies:
    """What models said of each prompt, by its number."""

    said: dict[str, dict[int, list[float]]] = field(default_factory=dict)

    def add(self, prompt: int, one: Told | None) -> None:
        """Note what was said of a prompt."""
        if one is not None:
            self.said.setdefault(one[0], {}).setdefault(prompt, []).append(one[1])

    def of(self, prompts: int) -> NDArray[np.float64] | None:
        """Return those of the model that knows most prompts, NaN where it says nothing.

        Shape ``(prompts,)``; nothing where no model said anything. Of several figures of one
        prompt it is the mean.
        """
        if not self.said:
            return None
        best = max(self.said.values(), key=len)
        found = np.full(prompts, np.nan)
        for prompt, values in best.items():
            found[prompt] = np.mean(values)
        return found
