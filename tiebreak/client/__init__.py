"""A typed client of the REST API.

    from tiebreak.client import Client

    site = Client("https://tiebreak.example.org", token="…")
    campaign = site.create_campaign("mine", "Mine", form="compare")
    campaign.import_items("items.jsonl")
    campaign.start()
    dataset = campaign.load_dataset("trl-preference")

It needs urllib3 and nothing of the site. How to use it is in docs/how-to/client.md.
"""

from tiebreak.client.campaign import Campaign
from tiebreak.client.encoders import Encoder, TrainingEstimate
from tiebreak.client.errors import (
    ApiError,
    Conflict,
    Corrupt,
    ExportFailed,
    Forbidden,
    ImportRefused,
    Invalid,
    NotFound,
    ServerError,
    Stopped,
    TiebreakError,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from tiebreak.client.exports import Export
from tiebreak.client.imports import Import
from tiebreak.client.judges import Judge, JudgeCall, Judgement, JudgeReport
from tiebreak.client.results import (
    Annotation,
    Annotator,
    AskedResponse,
    CampaignInfo,
    Delivery,
    Difference,
    EncoderCard,
    FormPart,
    Guidelines,
    ImportReport,
    Item,
    ItemResponse,
    Member,
    Metrics,
    ModelVersion,
    Query,
    QueryResponse,
    Recorded,
    Round,
    Route,
    RowProblem,
    SlotCounts,
)
from tiebreak.client.settings import CampaignSettings, ExportOptions, JudgeSettings
from tiebreak.client.site import Client
from tiebreak.client.webhooks import Webhook
from tiebreak.client.work import Assignment, Nothing

__all__ = [
    "Annotation",
    "Annotator",
    "ApiError",
    "AskedResponse",
    "Assignment",
    "Campaign",
    "CampaignInfo",
    "CampaignSettings",
    "Client",
    "Conflict",
    "Corrupt",
    "Delivery",
    "Difference",
    "Encoder",
    "EncoderCard",
    "Export",
    "ExportFailed",
    "ExportOptions",
    "Forbidden",
    "FormPart",
    "Guidelines",
    "Import",
    "ImportRefused",
    "ImportReport",
    "Invalid",
    "Item",
    "ItemResponse",
    "Judge",
    "JudgeCall",
    "JudgeReport",
    "JudgeSettings",
    "Judgement",
    "Member",
    "Metrics",
    "ModelVersion",
    "NotFound",
    "Nothing",
    "Query",
    "QueryResponse",
    "Recorded",
    "Round",
    "Route",
    "RowProblem",
    "ServerError",
    "SlotCounts",
    "Stopped",
    "TiebreakError",
    "TimedOut",
    "TooManyRequests",
    "TrainingEstimate",
    "Unauthorized",
    "Unreachable",
    "Webhook",
]
