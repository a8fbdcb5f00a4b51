"""Reward models that learn their own features: training of encoders and decoders."""

from __future__ import annotations

from learning.finetune.data import Examples
from learning.finetune.errors import (
    CheckpointFailed,
    DeviceLost,
    Diverged,
    FinetuneError,
    NothingToLearn,
    OutOfMemory,
    UnusableModel,
)
from learning.finetune.memory import MemoryEstimate, estimate_memory
from learning.finetune.model import base_of
from learning.finetune.plan import Plan
from learning.finetune.train import finetune
from learning.finetune.train_state import Progress, Tuned, quiet

__all__ = [
    "CheckpointFailed",
    "DeviceLost",
    "Diverged",
    "Examples",
    "FinetuneError",
    "MemoryEstimate",
    "NothingToLearn",
    "OutOfMemory",
    "Plan",
    "Progress",
    "Tuned",
    "UnusableModel",
    "base_of",
    "estimate_memory",
    "finetune",
    "quiet",
]
