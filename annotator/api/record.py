"""What was asked and answered, for those who may see it: queries, annotations, annotators."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from rest_framework import generics, serializers

from annotator.api.base import Filters, Pages, conditional, filters, found, readable
from annotator.models import Annotation, Annotator, Query, Route
from annotator.selectors import JUDGED


class RouteSerializer(serializers.ModelSerializer[Route]):
    """Who was to answer a question, a person or the judge, and why."""

    judge = serializers.CharField(source="judge.name", allow_null=True, default=None)

    class Meta:
        model = Route
        fields = [
            *("to", "reason", "policy", "judge", "audit", "error", "value", "propensity"),
            *("seconds", "created_at"),
        ]


class QuerySerializer(serializers.ModelSerializer[Query]):
    """A question: its responses, and why it was asked."""

    round = serializers.IntegerField(source="round.number", allow_null=True, default=None)
    item = serializers.CharField(source="item.external_id", allow_null=True, default=None)
    responses = serializers.SerializerMethodField()
    flagged = serializers.DateTimeField(source="flagged_at", allow_null=True)
    route = RouteSerializer(allow_null=True, default=None)

    class Meta:
        model = Query
        fields = [
            *("id", "round", "item", "form", "parts", "arm", "acquisition", "score"),
            *("propensity", "flagged", "withdrawn", "route", "responses", "created_at"),
        ]

    def get_responses(self, query: Query) -> list[dict[str, Any]]:
        """Ids, as annotations name them, with texts and models."""
        members = sorted((one.response for one in query.members.all()), key=lambda r: r.pk)
        return [{"id": r.pk, "text": r.text, "model": r.model} for r in members]


class QueryFilters(Filters):
    """Which queries."""

    arm = serializers.ChoiceField(choices=Query.Arm.choices, required=False)
    round = serializers.IntegerField(source="round__number", min_value=1, required=False)
    acquisition = serializers.CharField(required=False)
    withdrawn = serializers.BooleanField(required=False)
    to = serializers.ChoiceField(
        choices=Route.To.choices,
        source="route__to",
        required=False,
        help_text="Who was to answer, where a campaign has a judge",
    )
    reason = serializers.CharField(source="route__reason", required=False)


class QueryList(generics.ListAPIView[Query]):
    """Questions that were put, the newest first."""

    serializer_class = QuerySerializer
    pagination_class = Pages
    filter_serializer = QueryFilters

    def get_queryset(self) -> QuerySet[Query]:
        """Queries of one campaign that this person may read."""
        return _queries(self).filter(**filters(self.filter_serializer, self.request))


@conditional
class QueryDetail(generics.RetrieveAPIView[Query]):
    """One question."""

    serializer_class = QuerySerializer

    def get_object(self) -> Query:
        """The query, if its campaign may be read."""
        return found(_queries(self), "query", pk=self.kwargs["pk"])


def _queries(view: generics.GenericAPIView[Query]) -> QuerySet[Query]:
    asked = readable(view.request, view.kwargs["slug"]).queries
    asked = asked.select_related("round", "item", "route__judge")
    return asked.prefetch_related("members__response")


class AnnotationSerializer(serializers.ModelSerializer[Annotation]):
    """One recorded answer. `tiers` is the weak order over response ids, best first."""

    annotator = serializers.CharField(source="annotator.pseudonym")
    kind = serializers.CharField(source="annotator.kind")
    query = serializers.IntegerField(source="query_id")
    arm = serializers.CharField(source="query.arm")
    supersedes = serializers.IntegerField(source="supersedes_id", allow_null=True)

    class Meta:
        model = Annotation
        fields = [
            *("id", "query", "arm", "annotator", "kind", "via", "outcome", "tiers"),
            *("acceptable", "strength", "rationale", "details", "late", "display_order"),
            *("guidelines_version", "supersedes", "shown_at", "recorded_at"),
            *("first_action_ms", "active_ms"),
        ]


class AnnotationFilters(Filters):
    """Which annotations."""

    annotator = serializers.CharField(source="annotator__pseudonym", required=False)
    kind = serializers.ChoiceField(
        choices=Annotator.Kind.choices, source="annotator__kind", required=False
    )
    outcome = serializers.ChoiceField(choices=Annotation.Outcome.choices, required=False)
    query = serializers.IntegerField(source="query_id", required=False)
    since = serializers.DateTimeField(source="recorded_at__gte", required=False)
    standing = serializers.BooleanField(
        default=False, help_text="Only what counts: not taken back, not corrected, no skips"
    )


class AnnotationList(generics.ListAPIView[Annotation]):
    """Everything that was recorded, the newest first: corrections and undone answers too."""

    serializer_class = AnnotationSerializer
    pagination_class = Pages
    filter_serializer = AnnotationFilters

    def get_queryset(self) -> QuerySet[Annotation]:
        """Annotations of one campaign that this person may read."""
        said = Annotation.objects.filter(campaign=readable(self.request, self.kwargs["slug"]))
        chosen = filters(self.filter_serializer, self.request)
        if chosen.pop("standing"):
            said = said.standing()
        return said.filter(**chosen).select_related("annotator", "query")


class AnnotatorSerializer(serializers.ModelSerializer[Annotator]):
    """Who answers, under a pseudonym."""

    answers = serializers.IntegerField()
    skips = serializers.IntegerField()
    flags = serializers.IntegerField()
    last_at = serializers.DateTimeField(allow_null=True)

    class Meta:
        model = Annotator
        fields = [
            *("pseudonym", "kind", "guidelines_read", "answers", "skips", "flags", "last_at"),
        ]


class AnnotatorList(generics.ListAPIView[Annotator]):
    """People, imported pseudonyms and judges of a campaign."""

    serializer_class = AnnotatorSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Annotator]:
        """Annotators of one campaign that this person may read, with what they did."""
        campaign = readable(self.request, self.kwargs["slug"])
        said = "annotations__outcome"
        return Annotator.objects.filter(campaign=campaign).annotate(
            answers=Count("annotations", Q(**{f"{said}__in": JUDGED})),
            skips=Count("annotations", Q(**{said: "skip"})),
            flags=Count("annotations", Q(**{said: "flag"})),
            last_at=Max("annotations__recorded_at"),
        )
