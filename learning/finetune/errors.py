"""What keeps an encoder from being trained: one branch of the library's exception tree.

::

    FinetuneError
    ├── NothingToLearn      no labels, or none that prefers one response
    ├── UnusableModel       no weights, pickle weights, code of its own, no usable tokenizer
    ├── OutOfMemory         it cannot fit, or did not even with one pair at a time
    ├── Diverged            the loss is not a number (``.step``: where)
    ├── DeviceLost          the GPU went away; the checkpoint stays
    └── CheckpointFailed    it could not be written; the one before stays
"""

from __future__ import annotations

from learning.errors import LearningError


class FinetuneError(LearningError):
    """An encoder could not be trained; the message is a plain sentence."""


class NothingToLearn(FinetuneError):
    """There are no labels, or none that prefers one response to another."""


class UnusableModel(FinetuneError):
    """A folder that cannot be trained from; the message says why."""


class OutOfMemory(FinetuneError):
    """The model does not fit, even with one pair at a time."""


class Diverged(FinetuneError):
    """The loss is not a number any more.

    Attributes:
        step: Optimiser step at which that was seen, from 1.
    """

    def __init__(self, step: int) -> None:
        super().__init__(
            f"The loss was not a number at step {step}; a smaller learning rate may help. "
            "What was trained before is kept."
        )
        self.step = step


class DeviceLost(FinetuneError):
    """The GPU stopped answering in mid-training."""


class CheckpointFailed(FinetuneError):
    """A checkpoint or model could not be written; the one before is untouched."""
