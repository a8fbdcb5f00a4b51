"""The encoder card: what can be learnt here from these features, before more people are paid.

Everything is cross-validated by group, so that no figure is about a prompt that was trained on,
and every statement in the sentence is decided by an interval over groups.
"""

from learning.card._card import CurvePoint, EncoderCard
from learning.card._make import encoder_card

__all__ = ["CurvePoint", "EncoderCard", "encoder_card"]
