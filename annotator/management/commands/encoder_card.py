"""`manage.py encoder_card CAMPAIGN`: what the campaign's encoder can learn, as last measured."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotator import wording
from annotator.models import Campaign
from annotator.services.cards import request_card


class Command(BaseCommand):
    help = "Print the newest encoder card of a campaign, or ask a worker for another one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign", help="the campaign's slug")
        parser.add_argument(
            "--measure", action="store_true", help="ask a worker to measure it (again)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        campaign = Campaign.objects.filter(slug=options["campaign"]).first()
        if campaign is None:
            raise CommandError(f"there is no campaign {options['campaign']!r}")
        if options["measure"]:
            asked = request_card(campaign=campaign) is not None
            said = "a worker has been asked to measure it" if asked else "it is being measured"
            self.stdout.write(f"{campaign.slug}: {said}; look again with: encoder_card CAMPAIGN")
            return
        card = campaign.encoder_cards.first()
        if card is None:
            raise CommandError(f"{campaign.slug} has no card yet; ask for one with --measure")
        payoff = card.figures.get("payoff") or {}
        said = " ".join(text for text in (card.sentence, payoff.get("sentence")) if text)
        self.stdout.write(f"{said}\n\nencoder {card.encoder_key}")
        self.stdout.write(f"measured on {card.labels} answers, {card.created_at:%Y-%m-%d %H:%M %Z}")
        for name, value, interval in wording.card_rows(card.figures):
            self.stdout.write(f"{name:<56} {value:>9}  {interval}".rstrip())
        for point in card.figures.get("curve", []):
            accuracy, loss = f"{point['accuracy']:.1%}", f"{point['log_loss']:.3f}"
            self.stdout.write(f"{point['labels']:>8} answers: accuracy {accuracy}, log-loss {loss}")
