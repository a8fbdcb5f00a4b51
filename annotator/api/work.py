"""Annotating over REST: lease, answer, renew, release. The same services as the pages."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator import selectors
from annotator.api.idempotency import HEADER
from annotator.errors import InvalidAnswer, Missing
from annotator.forms import answer_schema
from annotator.models import Annotation, Annotator, Assignment
from annotator.services import rounds
from annotator.services.annotations import fetch_assignment, record_annotation, undo_last
from annotator.services.assignments import keep_lease, release_lease, visit
from annotator.services.campaigns import ensure_annotator, mark_guidelines_read

REASON = "X-Tiebreak-Reason"
NONE = f"There is no question for you now; the header `{REASON}` says why."


class LeaseRequest(serializers.Serializer[Assignment]):
    """What a caller may say when it asks for a question."""

    after = serializers.UUIDField(
        required=False, help_text="Lease ahead: the one after this assignment, which stays yours"
    )


class AssignmentSerializer(serializers.Serializer[Assignment]):
    """A leased question, as the person may see it: no arm, model, score or other answer."""

    id = serializers.UUIDField(read_only=True)
    campaign = serializers.CharField(source="annotator.campaign.slug", read_only=True)
    state = serializers.CharField(read_only=True)
    forms = serializers.SerializerMethodField()
    prompt = serializers.SerializerMethodField()
    context = serializers.SerializerMethodField()
    responses = serializers.SerializerMethodField()
    answer = serializers.SerializerMethodField()
    submission_key = serializers.UUIDField(read_only=True)
    lease_until = serializers.DateTimeField(read_only=True)
    guidelines_version = serializers.IntegerField(read_only=True)

    def to_representation(self, instance: Assignment) -> dict[str, Any]:
        """One look at the texts for all fields."""
        self._sight = selectors.sight(assignment=instance)
        return super().to_representation(instance)

    def get_forms(self, assignment: Assignment) -> list[dict[str, str]]:
        """The parts of the question, in order."""
        parts = [step.part for step in selectors.steps(assignment.query)]
        return [
            {"name": part.name, "question": str(part.question), "help": str(part.help)}
            for part in parts
        ]

    def get_prompt(self, assignment: Assignment) -> Any:
        """Text or chat turns; empty where each response has a prompt of its own."""
        return self._sight.prompt

    def get_context(self, assignment: Assignment) -> str:
        """Long source text."""
        return self._sight.context

    def get_responses(self, assignment: Assignment) -> list[dict[str, Any]]:
        """The responses in their drawn order, by letter."""
        sight = self._sight
        named = zip(sight.shown.letters, sight.responses, strict=True)
        rows = [{"letter": letter, "text": text} for letter, text in named]
        for row, prompt in zip(rows, sight.prompts, strict=False):
            row["prompt"] = prompt
        return rows

    def get_answer(self, assignment: Assignment) -> dict[str, Any]:
        """JSON Schema of what an answer may say."""
        return answer_schema(selectors.steps(assignment.query), self._sight.shown)


class LeaseSerializer(serializers.Serializer[Assignment]):
    """How long a question is yours."""

    lease_until = serializers.DateTimeField()


class RecordedSerializer(serializers.ModelSerializer[Annotation]):
    """An answer as it was recorded."""

    class Meta:
        model = Annotation
        fields = ["id", "outcome", "strength", "rationale", "late", "recorded_at"]


class Next(generics.GenericAPIView[Assignment]):
    """The next question of a campaign."""

    serializer_class = LeaseRequest

    @extend_schema(responses={200: AssignmentSerializer, 204: OpenApiResponse(description=NONE)})
    def post(self, request: Request, slug: str) -> Response:
        """Lease it, or get the one that is leased already; 204 with a reason when there is none."""
        asked = self.get_serializer(data=request.data or {})
        asked.is_valid(raise_exception=True)
        after = asked.validated_data.get("after")
        annotator, assignment = visit(slug=slug, user=request.user, after=after)
        rounds.status_for(annotator=annotator)
        if assignment is None or assignment.pk == after:
            reason = why_none(annotator)
            return Response(status=status.HTTP_204_NO_CONTENT, headers={REASON: reason})
        assignment.annotator = annotator
        return Response(AssignmentSerializer(assignment).data)


def why_none(annotator: Annotator) -> str:
    """One word for scripts."""
    if annotator.guidelines_read < annotator.guidelines_version:  # type: ignore[attr-defined]
        return "guidelines"
    if annotator.campaign.state != "running":
        return str(annotator.campaign.state)
    if annotator.stage:  # type: ignore[attr-defined]
        return str(annotator.stage)  # type: ignore[attr-defined]
    return selectors.why_empty(campaign=annotator.campaign, annotator=annotator).reason


class AssignmentDetail(APIView):
    """One of your assignments."""

    @extend_schema(responses=AssignmentSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """The question, with its lease."""
        return Response(
            AssignmentSerializer(fetch_assignment(assignment_id=pk, user=request.user)).data
        )


class AnnotationOf(APIView):
    """The answer to one of your assignments."""

    @extend_schema(
        request={"application/json": OpenApiTypes.OBJECT},
        responses=RecordedSerializer,
        parameters=[OpenApiParameter(HEADER, OpenApiTypes.UUID, "header", required=True)],
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """Answer it, once: the same key and answer again give the same record.

        The body has the fields of the assignment's `answer` schema; `Idempotency-Key` is its
        `submission_key`.
        """
        if not isinstance(request.data, dict):
            raise serializers.ValidationError({"answer": ["expected an object"]})
        try:
            said = record_annotation(
                assignment_id=pk,
                user=request.user,
                submission_key=_key(request),
                data=_flat(request.data),
                via=Annotation.Via.API,
            )
        except InvalidAnswer as refused:
            raise serializers.ValidationError(refused.fields) from refused
        return Response(RecordedSerializer(said).data)


def _key(request: Request) -> UUID:
    try:
        return uuid.UUID(request.headers.get(HEADER, ""))
    except ValueError as error:
        said = "expected the assignment's submission_key, a UUID"
        raise serializers.ValidationError({HEADER: [said]}) from error


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    """Values as a submitted form has them; nothing nested."""
    for name, value in data.items():
        nested = isinstance(value, dict) or (
            isinstance(value, list) and not all(isinstance(one, str) for one in value)
        )
        if nested:
            said = "expected text, a number, true, false, null or a list of texts"
            raise serializers.ValidationError({name: [said]})
    return {name: value for name, value in data.items() if value is not None}


class Lease(APIView):
    """The lease of one of your assignments."""

    @extend_schema(request=None, responses=LeaseSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Renew it; 409 when somebody else has the question now."""
        assignment = keep_lease(assignment_id=pk, user=request.user)
        return Response(LeaseSerializer(assignment).data)

    @extend_schema(responses={204: OpenApiResponse(description="Released.")})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Release it: others may have the question at once."""
        release_lease(assignment_id=pk, user=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Undo(APIView):
    """Your last answer in a campaign."""

    @extend_schema(request=None, responses=AssignmentSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Take it back: its assignment is open again, with a new submission key."""
        assignment = undo_last(slug=slug, user=request.user)
        again = fetch_assignment(assignment_id=assignment.pk, user=request.user)
        return Response(AssignmentSerializer(again).data)


class GuidelinesRead(APIView):
    """What you have read of a campaign's guidelines."""

    @extend_schema(request=None, responses={204: OpenApiResponse(description="Noted.")})
    def put(self, request: Request, slug: str, version: int) -> Response:
        """Say that you have read this version: questions come after that."""
        campaign = selectors.campaign_to_answer(slug=slug, user=request.user)
        if not 0 < version <= campaign.guidelines_version:  # type: ignore[attr-defined]
            raise Missing(f"no guidelines version {version}")
        annotator = ensure_annotator(campaign=campaign, user=request.user)
        mark_guidelines_read(annotator=annotator, version=version)
        return Response(status=status.HTTP_204_NO_CONTENT)
