"""What comes in: files and data sets on their way into a campaign's pool."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from .campaign import Campaign


class Import(models.Model):
    """One file or data set: looked at, confirmed by a person, stored whole or not at all."""

    class State(models.TextChoices):
        CHECKING = "checking", "is being looked at"
        CHECKED = "checked", "waits to be confirmed"
        STORING = "storing", "is being stored"
        DONE = "done", "is stored"
        REFUSED = "refused", "was refused: nothing was stored"
        FAILED = "failed", "failed: nothing was stored"
        CANCELLED = "cancelled", "was cancelled: nothing was stored"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="imports")
    name = models.CharField(max_length=300, help_text="Of the file, or hf:OWNER/NAME.")
    file = models.CharField(
        max_length=300, blank=True, help_text="In the default storage, until it is stored."
    )
    size = models.PositiveBigIntegerField("bytes", default=0)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the file as it came.")
    options = models.JSONField(default=dict, help_text="How it is read, and what is stored of it.")
    state = models.CharField(max_length=10, choices=State, default=State.CHECKING)
    format = models.CharField(max_length=30, blank=True, help_text="As it was recognised.")
    container = models.CharField(max_length=30, blank=True)
    counts = models.JSONField(default=dict, help_text="Rows read, items, annotations, rejected, …")
    shown = models.JSONField(default=list, help_text="The first items, shortened.")
    problems = models.JSONField(default=list, help_text="The first problems.")
    rejects = models.CharField(max_length=300, blank=True, help_text="File of the bad rows.")
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} into {self.campaign}"

    @property
    def under_way(self) -> bool:
        """Whether a worker still has to finish it."""
        return self.state in (self.State.CHECKING, self.State.STORING)

    @property
    def open(self) -> bool:
        """Whether a person can have it stored, perhaps with other options."""
        return self.state in (self.State.CHECKED, self.State.REFUSED, self.State.FAILED)

    @property
    def job_key(self) -> str:
        """Names its job."""
        return f"import:{self.pk}"
