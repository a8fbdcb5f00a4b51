"""The rows. One module per concern; every model has at most eight methods, none across tables."""

from .annotation import Annotation
from .campaign import Annotator, Campaign, Guidelines, Membership, Preferences
from .curation import CurationReport
from .dataset import Snapshot
from .intake import Import
from .job import Job
from .judging import Judge, JudgeCall, Judgement, JudgeReport, Route
from .learner import EncoderCard, EncoderVersion, ModelVersion, TrainingEstimate
from .picture import Picture
from .pool import Item, ItemResponse, Prompt, Response
from .quality import GoldAnswer
from .query import Assignment, Query, QueryResponse, Round, Slot
from .replay import AnsweredRequest
from .webhook import Delivery, Webhook

__all__ = [
    "Annotation",
    "Annotator",
    "AnsweredRequest",
    "Assignment",
    "Campaign",
    "CurationReport",
    "Delivery",
    "EncoderCard",
    "EncoderVersion",
    "GoldAnswer",
    "Guidelines",
    "Import",
    "Item",
    "ItemResponse",
    "Job",
    "Judge",
    "JudgeCall",
    "JudgeReport",
    "Judgement",
    "Membership",
    "ModelVersion",
    "Picture",
    "Preferences",
    "Prompt",
    "Query",
    "QueryResponse",
    "Response",
    "Round",
    "Route",
    "Slot",
    "Snapshot",
    "TrainingEstimate",
    "Webhook",
]
