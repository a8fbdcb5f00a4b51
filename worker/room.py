"""Whether a training fits into what memory is left, before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings

from learning.finetune import estimate_memory
from learning.finetune.data import Examples
from learning.finetune.plan import Plan
from worker.jobs import PermanentFailure

MEMINFO = Path("/proc/meminfo")
MEGABYTE = 1024 * 1024


def refuse_too_large(base: Path, plan: Plan, examples: Examples) -> dict[str, Any]:
    """What the training needs, in bytes by part, and what is free.

    Raises:
        PermanentFailure: it needs more; says how much, and what would need less.
    """
    needed = estimate_memory(base, plan, examples)
    free, where = free_memory()
    if free is not None and needed.total > free:
        raise PermanentFailure(
            f"training this encoder takes about {_gigabytes(needed.total)}, and "
            f"{_gigabytes(free)} of {where} are free: choose LoRA, checkpointing, fewer tokens or "
            "fewer pairs at a time"
        )
    return {**needed.to_dict(), "free": free, "where": where}


def free_memory() -> tuple[int | None, str]:
    """Bytes that a training may use, and of what; None where nobody knows.

    `FINETUNE_MEMORY_MB` says it; otherwise what the GPU, or the machine, has left.
    """
    if settings.FINETUNE_MEMORY_MB:
        return settings.FINETUNE_MEMORY_MB * MEGABYTE, "the memory set aside for it"
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0]), "the GPU's memory"
    return _of_the_machine(), "the machine's memory"


def _of_the_machine() -> int | None:
    """What Linux could give without swapping, or less where a container may have less."""
    try:
        said = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        free = int(said["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    left = [limit - used for limit, used in _groups()]
    return min([free, *left])


def _groups() -> list[tuple[int, int]]:
    """Limit and use of this container's memory, where it has a limit."""
    root = Path("/sys/fs/cgroup")
    try:
        limit, used = ((root / name).read_text() for name in ("memory.max", "memory.current"))
        return [(int(limit), int(used))]
    except (OSError, ValueError):  # no limit says "max"
        return []


def _gigabytes(size: int) -> str:
    return f"{size / 1024**3:.1f} GB"
