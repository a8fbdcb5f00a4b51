"""What a form needs to know of this library, as plain JSON: one source, no second list."""

from __future__ import annotations

from typing import Any

from learning import heads, options
from learning.acquisition import METHODS, Common
from learning.finetune.plan import Plan
from learning.routing.policies import POLICIES


def catalogue() -> dict[str, Any]:
    """Return acquisition functions, heads, routing policies and what else has options."""
    return {
        "acquisition": [
            {
                "name": method.name,
                "summary": method.summary,
                "diagnostic": method.diagnostic,
                "common": method.wrapped,
                "options": options.describe(method.config_type),
            }
            for method in METHODS.values()
        ],
        "common": options.describe(Common),
        "heads": [{"name": name, "summary": heads.SUMMARIES[name]} for name in heads.HEADS],
        "routing": [
            {
                "name": policy.name,
                "summary": policy.summary,
                "options": options.describe(policy.config_type),
            }
            for policy in POLICIES.values()
        ],
        "finetuning": options.describe(Plan),
    }
