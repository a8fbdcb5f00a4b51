"""Whether a training fits into what memory is left, before it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings

from learning.finetune import Examples, MemoryEstimate, Plan, estimate_memory
from learning.finetune import lora_ensemble_run as ensembles

MEGABYTE = 1024 * 1024


def refuse_too_large(base: Path, plan: Plan, examples: Examples) -> dict[str, Any]:
    """What the training needs, in bytes by part, and what is free.

    `FINETUNE_MEMORY_MB` sets a limit below what the GPU, or the machine, has left.

    Raises:
        OutOfMemory: it needs more even with one pair at a time; says how much, and what needs less.
    """
    needed = _bounded(estimate_memory(base, plan, examples))
    needed.check()
    if plan.members:
        beside = _bounded(ensembles.estimate_ensemble(base, plan, examples))
        ensembles.refuse_too_large(beside, plan.members)
    return needed.to_dict()


def _bounded(needed: MemoryEstimate) -> MemoryEstimate:
    if not settings.FINETUNE_MEMORY_MB:
        return needed
    limit = settings.FINETUNE_MEMORY_MB * MEGABYTE
    return replace(needed, available=min(needed.available, limit))
