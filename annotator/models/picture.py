"""Pictures that a campaign's texts show."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from annotator.querysets import PictureQuerySet

from .campaign import Campaign


class Picture(models.Model):
    """One uploaded picture under the name by which texts refer to it; never changed after."""

    class Kind(models.TextChoices):
        PNG = "image/png", "PNG"
        JPEG = "image/jpeg", "JPEG"
        WEBP = "image/webp", "WebP"
        GIF = "image/gif", "GIF"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="pictures")
    name = models.CharField(max_length=200, help_text="As texts write it: picture:NAME.")
    sha256 = models.CharField(max_length=64, help_text="Of the file, which is kept as it came.")
    media_type = models.CharField(max_length=10, choices=Kind, help_text="By content, not by name.")
    width = models.PositiveIntegerField(help_text="In pixels, as it is shown.")
    height = models.PositiveIntegerField(help_text="In pixels, as it is shown.")
    size = models.PositiveIntegerField("bytes", help_text="Of the file.")
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    uploaded_at = models.DateTimeField(auto_now_add=True)

    objects = PictureQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "name"], name="one_picture_per_name")
        ]
        indexes = [models.Index(fields=["campaign", "sha256"], name="picture_by_content")]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        """Where the file lies in the store: by content, so the same bytes are there once."""
        return f"pictures/{self.campaign_id}/{self.sha256[:2]}/{self.sha256}"
