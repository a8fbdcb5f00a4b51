"""Questions whose answer is known: for practice, for the qualification test, and as gold."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from .campaign import Campaign
from .query import Query


class GoldAnswer(models.Model):
    """One version of the answer that is expected to a question; the newest active one decides.

    Written once: a change is the next version, so that a contested key is decided anew in the
    open. A question without an active version is retired.
    """

    class Purpose(models.TextChoices):
        PRACTICE = "practice", "practice, explained after the answer"
        QUALIFICATION = "qualification", "qualification test"
        GOLD = "gold", "gold, mixed in"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="gold_answers")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="gold_answers")
    purpose = models.CharField(max_length=16, choices=Purpose)
    version = models.PositiveIntegerField(default=1)
    active = models.BooleanField(default=True)
    tiers = models.JSONField(
        null=True, blank=True, help_text="The expected weak order in response ids, best first."
    )
    good = models.JSONField(
        default=dict, blank=True, help_text="Response id to whether it is good enough."
    )
    explanation = models.TextField(
        blank=True, help_text="Markdown. Shown after a practice answer, and never otherwise."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["query_id", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["query", "version"], name="one_gold_version"),
            models.UniqueConstraint(
                fields=["query"], condition=Q(active=True), name="one_active_gold_answer"
            ),
        ]
        indexes = [
            models.Index(
                fields=["campaign", "purpose"], condition=Q(active=True), name="gold_by_purpose"
            )
        ]

    def __str__(self) -> str:
        return f"{self.purpose} answer to {self.query}, v{self.version}"
