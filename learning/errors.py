"""The one exception tree of the library.

::

    LearningError
    ├── ShapeError          an array has the wrong shape, dtype or values
    ├── ConfigError         an option is unknown or out of range
    ├── NotEnoughData       too few comparisons for what was asked
    ├── MissingFeatures     texts without stored features (``.missing``: how many)
    ├── StoreError          a feature store on disk belongs to another encoder or is damaged
    ├── BadFile             a file of annotated items cannot be read; says where
    ├── EncoderError        an encoder is missing, unknown or not the one it claims to be
    ├── FinetuneError       what keeps an encoder from being trained: `learning.finetune.errors`
    └── JudgeError          what keeps a judge from answering: see `learning.judges.errors`
"""

from __future__ import annotations


class LearningError(Exception):
    """Anything this library refuses to do."""


class ShapeError(LearningError, ValueError):
    """An array has the wrong shape, dtype or values; the message says what came."""


class ConfigError(LearningError, ValueError):
    """An option is unknown or out of range; the message names it."""


class NotEnoughData(LearningError):
    """Too few comparisons for what was asked."""


class MissingFeatures(LearningError, LookupError):
    """Features were asked for texts that have not been embedded.

    Attributes:
        missing: How many of the texts that were asked for are unknown.
        asked: How many were asked for.
    """

    def __init__(self, missing: int, asked: int) -> None:
        super().__init__(f"{missing} of {asked} texts have no stored features; embed them first")
        self.missing = missing
        self.asked = asked


class StoreError(LearningError):
    """A feature store on disk belongs to another encoder or is damaged."""


class BadFile(LearningError):
    """A file of annotated items cannot be read; the message names file, line and field."""


class EncoderError(LearningError):
    """An encoder is missing, unknown or not the one it claims to be."""
