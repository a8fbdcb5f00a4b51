"""What is taken home: immutable exports."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from .campaign import Campaign


class Snapshot(models.Model):
    """An immutable export: rows, manifest, checksums. Built by a job, never changed after."""

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        BUILDING = "building", "building"
        READY = "ready", "ready"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    LIVE = (State.QUEUED, State.BUILDING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="snapshots")
    format = models.CharField(max_length=30)
    container = models.CharField(
        max_length=12, default="jsonl", help_text="What the rows are written into."
    )
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    error = models.TextField(blank=True)
    manifest = models.JSONField(default=dict, help_text="Counts, checksums, versions, filter.")
    path = models.CharField(max_length=300, blank=True, help_text="Folder below the store.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.campaign} {self.format} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def rows(self) -> int | None:
        """Number of rows, once it is built."""
        rows: int | None = self.manifest.get("rows")
        if rows is None:  # built by an earlier version
            rows = self.manifest.get("files", {}).get("data.jsonl", {}).get("rows")
        return rows

    @property
    def data(self) -> list[str]:
        """Names of the files with rows, the first for training."""
        named: list[str] = self.manifest.get("data", ["data.jsonl"])
        return named

    @property
    def beside(self) -> list[str]:
        """Files for the tool that reads the data, such as its settings."""
        known = {*self.data, "provenance.jsonl"}
        return sorted(set(self.manifest.get("files", {})) - known)

    @property
    def size(self) -> int | None:
        """Bytes of all its files, once it is built."""
        files = self.manifest.get("files")
        return sum(about["bytes"] for about in files.values()) if files else None

    @property
    def sha256(self) -> str:
        """Checksum of the first of its data, once it is built."""
        files = self.manifest.get("files", {})
        return str(files.get(self.data[0], {}).get("sha256", ""))

    @property
    def under_way(self) -> bool:
        """Whether a worker still has to finish it."""
        return self.state in self.LIVE
