"""The layouts that leave the system; each is one short module over a `Question`."""

from . import (
    argilla,
    edit_pairs,
    label_studio,
    native,
    preference,
    ranking,
    rated,
    sft,
    steer,
    unpaired,
)
from .base import SELECTION, Context, Format, Question
from .options import ExportOptions

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        native.FORMAT,
        preference.TRL,
        unpaired.FORMAT,
        ranking.FORMAT,
        preference.REWARD,
        preference.OPENRLHF,
        rated.HELPSTEER,
        steer.FORMAT,
        rated.ULTRAFEEDBACK,
        sft.FORMAT,
        edit_pairs.FORMAT,
        argilla.FORMAT,
        label_studio.FORMAT,
    )
}

__all__ = ["FORMATS", "SELECTION", "Context", "ExportOptions", "Format", "Question"]
