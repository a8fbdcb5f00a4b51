"""What the workers learnt: versions of the reward model, and what an encoder is good for."""

from __future__ import annotations

from typing import Any

from django.db import models

from .campaign import Campaign
from .query import Round


class ModelVersion(models.Model):
    """One fitted head, with what it saw and how well it does on the holdout."""

    class Kind(models.TextChoices):
        ALL = "all", "all training labels"
        RANDOM = "random", "only labels of the random arm (control)"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="model_versions")
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="model_versions")
    kind = models.CharField(max_length=10, choices=Kind)
    head = models.CharField(max_length=40)
    encoder_key = models.CharField(max_length=200)
    annotations_seen = models.PositiveIntegerField(help_text="The version by count.")
    comparisons = models.PositiveIntegerField(help_text="Comparisons fitted on.")
    hyperparameters = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, help_text="On the holdout, with intervals.")
    artifact = models.CharField(max_length=300, blank=True, help_text="Path below the store.")
    artifact_sha256 = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["round", "kind"], name="one_version_per_round_and_kind")
        ]

    def __str__(self) -> str:
        return f"{self.campaign} model {self.round.number} ({self.kind})"


class EncoderCard(models.Model):
    """What an encoder can learn here, measured by cross-validation on the training labels.

    `figures` is what `learning.card` says, and under `payoff` what `learning.replay.payoff` says of
    the function that was in force. Sentences are for people; `learnable` and `pays` decide whether
    the policy falls back to random.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="encoder_cards")
    encoder_key = models.CharField(max_length=200)
    labels = models.PositiveIntegerField(help_text="Training comparisons it was measured on.")
    figures = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["campaign", "-created_at"], name="encoder_card_newest")]

    def __str__(self) -> str:
        return f"{self.campaign}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """The finding in plain words."""
        return str(self.figures.get("sentence", ""))

    @property
    def learnable(self) -> bool | None:
        """Whether there is something to learn with it; None while there is too little to tell."""
        return bool(self.figures.get("learnable")) if self.figures.get("enough") else None

    def payoff(self, acquisition: str, config: dict[str, Any]) -> dict[str, Any] | None:
        """What choosing by a function with these options was found to be worth, if it was tried."""
        found: dict[str, Any] | None = self.figures.get("payoff")
        if found is None or (found["acquisition"], found["config"]) != (acquisition, config):
            return None
        return found
