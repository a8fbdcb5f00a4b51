"""What the checks before an export found."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from .campaign import Campaign


class CurationReport(models.Model):
    """Findings of all checks on the answers that an export would hold, at one moment.

    `findings` is what `learning.curation` says, in order, with a bounded number of examples by the
    ids of their rows; `left_out` names, for every check, the questions that leaving out takes.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="curations")
    questions = models.PositiveIntegerField(help_text="Looked at, as an export would see them.")
    annotations_seen = models.PositiveIntegerField(help_text="The version of the data, by count.")
    against = models.CharField(max_length=300, blank=True, help_text="Name of the file, if any.")
    findings = models.JSONField(default=list)
    left_out = models.JSONField(default=dict, help_text="Ids of questions by check.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["campaign", "-created_at"], name="curation_newest")]

    def __str__(self) -> str:
        return f"{self.campaign} {self.created_at:%Y-%m-%d %H:%M}"

    def finding(self, name: str) -> dict[str, Any] | None:
        """What one check found."""
        return next((one for one in self.findings if one["name"] == name), None)
