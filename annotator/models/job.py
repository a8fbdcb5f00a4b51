"""Background work. The row is the truth; the broker's message is only a doorbell."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from annotator.querysets import JobQuerySet

from .campaign import Campaign


class Job(models.Model):
    """One piece of background work: kind, arguments, state, progress, attempt, lease, error."""

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    kind = models.CharField(max_length=30)
    queue = models.CharField(max_length=20, default="default")
    arguments = models.JSONField(default=dict)
    campaign = models.ForeignKey(
        Campaign, null=True, blank=True, on_delete=models.CASCADE, related_name="jobs"
    )
    key = models.CharField(
        max_length=120, help_text="Only one live job per key: asking twice is asking once."
    )
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=500, blank=True)
    error = models.TextField(blank=True)
    attempt = models.PositiveIntegerField(default=0, help_text="Fences off writers of the past.")
    max_attempts = models.PositiveIntegerField(default=5)
    lease_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Running: the worker's lease. Queued: not to be tried before.",
    )
    rung_at = models.DateTimeField(null=True, blank=True, help_text="Last doorbell.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=Q(state__in=["queued", "running"]),
                name="one_live_job_per_key",
            )
        ]
        indexes = [
            models.Index(
                fields=["state", "lease_until"],
                condition=Q(state__in=["queued", "running"]),
                name="job_live",
            )
        ]

    def __str__(self) -> str:
        return f"job {self.pk} {self.kind}"

    @property
    def under_way(self) -> bool:
        """Whether a worker still has to finish it."""
        return self.state in (self.State.QUEUED, self.State.RUNNING)
