"""Chainable named filters: permission is part of fetching, races are one conditional UPDATE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from annotator.models import (  # noqa: F401 - named in the annotations below
        Annotation,
        Assignment,
        Campaign,
        EncoderVersion,
        Job,
        Picture,
        Round,
        Slot,
    )

STEERING = ("owner", "researcher")
ANSWERING = ("owner", "researcher", "annotator")
READING = ("owner", "researcher", "viewer")
TESTS = ("practice", "qualification")  # arms that are openly no work
CHECKS = (*TESTS, "gold", "repeat")  # arms whose answers say something about the person: no labels


class CampaignQuerySet(models.QuerySet["Campaign"]):
    """Campaigns a person may touch."""

    def _for_roles(self, user: User, roles: tuple[str, ...]) -> CampaignQuerySet:
        if user.is_superuser:
            return self
        return self.filter(memberships__user=user, memberships__role__in=roles)

    def answered_by(self, user: User) -> CampaignQuerySet:
        """Campaigns in which this person may answer; needs a membership, also for superusers."""
        return self.filter(memberships__user=user, memberships__role__in=ANSWERING)

    def readable_by(self, user: User) -> CampaignQuerySet:
        """Campaigns whose figures this person may see."""
        return self._for_roles(user, READING)

    def steered_by(self, user: User) -> CampaignQuerySet:
        """Campaigns that this person may change."""
        return self._for_roles(user, STEERING)


class PictureQuerySet(models.QuerySet["Picture"]):
    """Pictures a person may see."""

    def shown_to(self, user: User) -> PictureQuerySet:
        """Those of campaigns in which this person answers, or whose figures they may see."""
        from annotator.models import Campaign

        answered = Campaign.objects.answered_by(user).exclude(state="draft")
        read = Campaign.objects.readable_by(user)
        return self.filter(Q(campaign__in=answered) | Q(campaign__in=read))


class RoundQuerySet(models.QuerySet["Round"]):
    """Rounds by state."""

    def live(self) -> RoundQuerySet:
        """Rounds that have neither been published nor failed; at most one per campaign."""
        return self.exclude(state__in=("published", "failed"))


class EncoderVersionQuerySet(models.QuerySet["EncoderVersion"]):
    """Fine-tuned encoders by state."""

    def live(self) -> EncoderVersionQuerySet:
        """Those that a worker still has to finish; at most one per campaign."""
        return self.exclude(state__in=("promoted", "not_promoted", "failed", "cancelled"))


class SlotQuerySet(models.QuerySet["Slot"]):
    """Slots by what can be done with them."""

    def shared(self) -> SlotQuerySet:
        """The common queue, without what is kept for one person."""
        return self.filter(reserved_for__isnull=True)

    def on_offer(self) -> SlotQuerySet:
        """Shared slots of queries that are neither held by a flag nor withdrawn."""
        return self.shared().filter(query__flagged_at__isnull=True, query__withdrawn=False)

    def untouched(self) -> SlotQuerySet:
        """Open slots of queries that nobody has been given."""
        from annotator.models import Assignment

        given = Assignment.objects.filter(query_id=OuterRef("query_id"))
        return self.on_offer().filter(~Exists(given), state="open")

    def unseen_by(self, annotator_id: int) -> SlotQuerySet:
        """Slots of queries this annotator was never given."""
        from annotator.models import Assignment

        given = Assignment.objects.filter(query_id=OuterRef("query_id"), annotator_id=annotator_id)
        return self.on_offer().filter(~Exists(given))


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    """Assignments by owner and state."""

    def of_person(self, user: User) -> AssignmentQuerySet:
        """Assignments of this person in campaigns where they may still answer."""
        return self.filter(
            annotator__user=user,
            query__campaign__memberships__user=user,
            query__campaign__memberships__role__in=ANSWERING,
        )

    def open(self) -> AssignmentQuerySet:
        """Assignments without an answer."""
        return self.filter(state="open")

    def work(self) -> AssignmentQuerySet:
        """Without practice and qualification tests."""
        return self.exclude(query__arm__in=TESTS)


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    """Annotations by standing. `current` is the version by count when counted."""

    def current(self) -> AnnotationQuerySet:
        """The latest word of each chain; what was taken back is gone from it."""
        return self.filter(superseded_by__isnull=True).exclude(outcome="undone")

    def judgements(self) -> AnnotationQuerySet:
        """Those that say something about the responses (no skips, flags or undone ones)."""
        return self.filter(outcome__in=("preference", "tie", "neither", "other"))

    def labels(self) -> AnnotationQuerySet:
        """What is learnt from, measured on and counted: standing, and no check of a person."""
        return self.standing().exclude(query__arm__in=CHECKS)

    def standing(self) -> AnnotationQuerySet:
        """Judgements that count: inside the overlap, or recorded without a slot (history)."""
        return (
            self.current()
            .judgements()
            .filter(Q(counted_in__isnull=False) | Q(assignment__isnull=True))
        )


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs by what a worker or the sweep does with them."""

    def live(self) -> JobQuerySet:
        """Queued or running."""
        return self.filter(state__in=("queued", "running"))

    def claimable(self) -> JobQuerySet:
        """Queued, or running under a lease that ran out, with attempts left.

        The database's clock decides: workers' clocks differ.
        """
        free = Q(lease_until__lt=Now())
        return self.filter(
            Q(state="queued") & (free | Q(lease_until__isnull=True)) | Q(state="running") & free,
            attempt__lt=F("max_attempts"),
        )
