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
from learning.finetune.model import base_of
from learning.finetune.plan import Plan

__all__ = [
    "CheckpointFailed",
    "DeviceLost",
    "Diverged",
    "Examples",
    "FinetuneError",
    "NothingToLearn",
    "OutOfMemory",
    "Plan",
    "UnusableModel",
    "base_of",
]
