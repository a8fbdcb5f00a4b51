"""What the workers learnt: heads, encoders of a campaign's own, what an encoder is good for."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotator.querysets import EncoderVersionQuerySet

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


class EncoderVersion(models.Model):
    """One fine-tuning of a campaign's encoder, and what became of it.

    `base` is the campaign's setting that the chain of versions began with, `base_version` the
    version that this one was trained further from. `gate` has the figures of both models on the
    holdout, `reason` in a sentence why this one is used or not. A version without `promoted_at`
    was never better and is never used.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting for a worker"
        TUNING = "tuning", "choosing how long to train"
        TRAINING = "training", "training"
        EMBEDDING = "embedding", "computing features"
        EXAMINING = "examining", "comparing on the holdout"
        PROMOTED = "promoted", "promoted"
        NOT_PROMOTED = "not_promoted", "not promoted"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    class Method(models.TextChoices):
        FULL = "full", "all weights"
        LORA = "lora", "low-rank adapters (LoRA)"

    ENDED = (State.PROMOTED, State.NOT_PROMOTED, State.FAILED, State.CANCELLED)

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="encoders")
    number = models.PositiveIntegerField()
    base = models.CharField(max_length=200, help_text="The encoder it all began with.")
    base_version = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The version that it was trained further from.",
    )
    method = models.CharField(max_length=10, choices=Method, default=Method.FULL)
    plan = models.JSONField(
        default=dict, blank=True, help_text="Options that differ from their defaults."
    )
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    detail = models.CharField(max_length=500, blank=True)
    error = models.TextField(blank=True)
    reason = models.TextField(blank=True, help_text="Why it is used, or not.")
    record = models.JSONField(default=dict, help_text="Of the training.")
    gate = models.JSONField(default=dict, help_text="Both models on the holdout, with intervals.")
    key = models.CharField(max_length=300, blank=True, help_text="Of its features.")
    dim = models.PositiveIntegerField(default=0)
    path = models.CharField(max_length=300, blank=True, help_text="Folder below the store.")
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of its files' checksums.")
    archive = models.JSONField(default=dict, help_text="The file to download.")
    annotations_seen = models.PositiveIntegerField(default=0, help_text="The version by count.")
    comparisons = models.PositiveIntegerField(default=0, help_text="Comparisons trained on.")
    trigger = models.CharField(max_length=200, help_text="Why it was started.")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    promoted_at = models.DateTimeField(null=True, blank=True)
    rolled_back_at = models.DateTimeField(null=True, blank=True)

    objects = EncoderVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "number"], name="one_encoder_version_per_number"
            ),
            models.UniqueConstraint(
                fields=["campaign"],
                condition=~Q(state__in=["promoted", "not_promoted", "failed", "cancelled"]),
                name="one_finetuning_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} encoder {self.number}"

    @property
    def under_way(self) -> bool:
        """Whether a worker still has to finish it."""
        return self.state not in self.ENDED


class TrainingEstimate(models.Model):
    """What training with some options would take, as a worker measured it before anybody starts.

    `figures` is what `learning.finetune.estimate` says, with counts of the campaign; `error` says
    in a sentence why there is none.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "being measured"
        DONE = "done", "measured"
        FAILED = "failed", "failed"

    campaign = models.ForeignKey(
        Campaign, on_delete=models.CASCADE, related_name="training_estimates"
    )
    method = models.CharField(
        max_length=10, choices=EncoderVersion.Method, default=EncoderVersion.Method.FULL
    )
    plan = models.JSONField(
        default=dict, blank=True, help_text="Options that differ from their defaults."
    )
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    figures = models.JSONField(default=dict, help_text="Labels, steps, tokens, seconds, memory.")
    error = models.TextField(blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.campaign} estimate {self.pk}"
