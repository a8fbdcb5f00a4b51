"""Encoder cards: when one is worth measuring, asking for one, storing what a worker found."""

from __future__ import annotations

from typing import Any

from annotator import dispatch
from annotator.models import Campaign, EncoderCard, Job

FEWEST = 100  # comparisons before a card is measured without being asked for


def request_card(*, campaign: Campaign) -> Job | None:
    """Have a worker measure what the encoder can learn; None when one is at it already."""
    return dispatch.card_wanted(campaign)


def request_card_if_due(*, campaign: Campaign, encoder_key: str, labels: int) -> Job | None:
    """Ask for a card when it would say something new.

    That is when the training comparisons have doubled since this encoder's last one, or when the
    last one tried another function, or other options, than are in force now.
    """
    newest = campaign.encoder_cards.filter(encoder_key=encoder_key).first()
    if labels < FEWEST:
        return None
    if newest is not None and labels < 2 * newest.labels and not _tried_another(newest, campaign):
        return None
    return request_card(campaign=campaign)


def _tried_another(card: EncoderCard, campaign: Campaign) -> bool:
    asked = campaign.acquisition, campaign.acquisition_config
    return bool(card.figures.get("payoff")) and card.payoff(*asked) is None


def record_card(
    *, campaign: Campaign, encoder_key: str, labels: int, figures: dict[str, Any]
) -> EncoderCard:
    """Store a card. Call inside the job's fence."""
    return EncoderCard.objects.create(
        campaign=campaign, encoder_key=encoder_key, labels=labels, figures=figures
    )
