"""Requests that were answered, so that sending one again does nothing twice."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class AnsweredRequest(models.Model):
    """What was answered to a creating request under its `Idempotency-Key`.

    Kept for a day. The same person's same key and request get this answer again.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="answered_requests"
    )
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField(default=0)
    body = models.JSONField(null=True)
    location = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_idempotency_key")
        ]
        indexes = [models.Index(fields=["created_at"], name="answered_request_by_time")]

    def __str__(self) -> str:
        return f"answer to {self.key}"
