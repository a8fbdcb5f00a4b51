"""Items of the pool: read, and imported as JSON Lines or JSON."""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import Any, BinaryIO

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.api.base import Filters, Pages, conditional, filters, found, readable, steered
from annotator.errors import ImportRejected, InvalidInput
from annotator.models import Item
from annotator.services.imports import ImportOptions, import_items

NATIVE = {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}
SPOOL = 8_000_000  # bytes of a body that are kept in memory; the rest goes to a file


class ItemSerializer(serializers.ModelSerializer[Item]):
    """One imported item: a prompt with its responses."""

    id = serializers.CharField(source="external_id")
    prompt = serializers.JSONField(source="prompt.content")
    context = serializers.CharField(source="prompt.context")
    holdout = serializers.BooleanField(source="prompt.is_holdout")
    responses = serializers.SerializerMethodField()

    class Meta:
        model = Item
        fields = ["id", "task", "source", "group", "prompt", "context", "holdout", "responses"]

    def get_responses(self, item: Item) -> list[dict[str, str]]:
        """Texts and who wrote them, in the order of the import."""
        places = sorted(item.places.all(), key=lambda place: place.position)
        return [{"text": one.response.text, "model": one.response.model} for one in places]


class ItemFilters(Filters):
    """Which items."""

    group = serializers.CharField(required=False)
    source = serializers.CharField(required=False)
    task = serializers.CharField(required=False)


class ImportQuery(Filters):
    """How to treat the rows that are sent."""

    keep_good = serializers.BooleanField(default=False)
    history = serializers.BooleanField(default=False)
    strength_max = serializers.FloatField(required=False, min_value=0.001)


class ProblemOfRow(serializers.Serializer[Any]):
    """One thing wrong in one row."""

    line = serializers.IntegerField()
    id = serializers.CharField(source="item_id")
    field = serializers.CharField()
    message = serializers.CharField()


class ImportReportSerializer(serializers.Serializer[Any]):
    """What an import did."""

    read = serializers.IntegerField()
    items = serializers.IntegerField(help_text="New ones")
    unchanged = serializers.IntegerField(help_text="Known already")
    prompts = serializers.IntegerField()
    responses = serializers.IntegerField()
    annotations = serializers.IntegerField()
    gold = serializers.IntegerField()
    language_features = serializers.IntegerField(
        help_text="Items that were given a language model's figures"
    )
    rejected = serializers.IntegerField()
    problems = ProblemOfRow(many=True)


class JSONLinesParser(BaseParser):
    """JSON Lines, handed on as a stream."""

    media_type = "application/x-ndjson"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """The stream itself: rows are read one by one."""
        return stream


class ItemList(generics.ListAPIView[Item]):
    """The items of a campaign; POST imports more, all of them or none."""

    serializer_class = ItemSerializer
    pagination_class = Pages
    filter_serializer = ItemFilters
    parser_classes = [JSONLinesParser, JSONParser]

    def get_queryset(self) -> QuerySet[Item]:
        """Items of one campaign that this person may read."""
        items = readable(self.request, self.kwargs["slug"]).items
        chosen = filters(self.filter_serializer, self.request)
        return items.filter(**chosen).select_related("prompt").prefetch_related("places__response")

    @extend_schema(
        parameters=[ImportQuery],
        request={"application/json": NATIVE, "application/x-ndjson": OpenApiTypes.BINARY},
        responses={201: ImportReportSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Import rows of the native schema; ids make it repeatable.

        `application/x-ndjson` is read as a stream; `application/json` is one row or a list.
        """
        campaign = steered(request, slug)
        options = ImportOptions(**filters(ImportQuery, request))
        with tempfile.SpooledTemporaryFile(max_size=SPOOL) as rows:
            _spool(request.data, rows)
            try:
                report = import_items(campaign=campaign, stream=rows, options=options)
            except ImportRejected as refused:
                return Response(
                    {
                        "type": "about:blank",
                        "title": "That cannot be used",
                        "status": 422,
                        "detail": f"{refused.total} problem(s); nothing was imported",
                        "problems": ProblemOfRow(refused.problems, many=True).data,
                    },
                    status=status.HTTP_422_UNPROCESSABLE_ENTITY,
                    content_type="application/problem+json",
                )
        said = ImportReportSerializer(report).data
        return Response(said, status=status.HTTP_201_CREATED)


def _spool(data: Any, rows: BinaryIO) -> None:
    """Write what was sent as JSON Lines.

    Raises:
        InvalidInput: more than an upload may have.
    """
    if isinstance(data, list | dict):
        for row in data if isinstance(data, list) else [data]:
            rows.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    else:
        shutil.copyfileobj(data, rows)
    if rows.tell() > settings.MAX_UPLOAD_BYTES:
        raise InvalidInput(
            f"the body has {rows.tell():,} bytes; the limit is {settings.MAX_UPLOAD_BYTES:,}: send "
            "it in several parts, or use the command import_items on the server"
        )
    rows.seek(0)


@conditional
class ItemDetail(generics.RetrieveAPIView[Item]):
    """One item, by its id in the import."""

    serializer_class = ItemSerializer

    def get_object(self) -> Item:
        """The item, if its campaign may be read."""
        items = readable(self.request, self.kwargs["slug"]).items.select_related("prompt")
        with_texts = items.prefetch_related("places__response")
        return found(with_texts, "item", external_id=self.kwargs["item"])
