"""Campaigns, to read."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import generics, serializers

from annotator.models import Campaign


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    """A campaign with its policy."""

    class Meta:
        model = Campaign
        fields = [
            "slug",
            "name",
            "description",
            "state",
            "form",
            "acquisition",
            "overlap",
            "batch_size",
            "created_at",
        ]


class _Readable:
    def get_queryset(self) -> QuerySet[Campaign]:
        """Campaigns whose figures this person may see."""
        return Campaign.objects.readable_by(self.request.user)  # type: ignore[attr-defined]


class CampaignList(_Readable, generics.ListAPIView[Campaign]):
    """GET: campaigns this token may read."""

    serializer_class = CampaignSerializer


class CampaignDetail(_Readable, generics.RetrieveAPIView[Campaign]):
    """GET: one campaign."""

    serializer_class = CampaignSerializer
    lookup_field = "slug"
