"""Locks that services share. They fall with the transaction."""

from __future__ import annotations

from django.db import connection

from annotator.models import Campaign

POOL = 0x1B_0C  # first half of the advisory lock's key


def lock_pool(campaign: Campaign) -> None:
    """Imports into a campaign, and its start, take turns; annotators notice nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [POOL, campaign.pk])
