"""What the site answers, as frozen dataclasses named after its words.

Fields that a newer site adds are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from tiebreak.client.errors import TiebreakError

T = TypeVar("T")
Prompt = str | list[dict[str, Any]]  # text or chat turns


@dataclass(frozen=True)
class CampaignInfo:
    """A campaign's settings and where it stands."""

    slug: str
    name: str
    description: str
    state: str
    form: str
    follow_ups: tuple[str, ...]
    form_options: dict[str, Any]
    set_size: int
    candidates: str
    image_hosts: tuple[str, ...]
    acquisition: str
    acquisition_config: dict[str, Any]
    fall_back: bool
    head: str
    encoder: str
    finetune: str
    seed: int
    routing: str
    routing_config: dict[str, Any]
    human_share: float
    human_minutes: float | None
    people_only: tuple[str, ...]
    overlap: int
    batch_size: int
    labels_per_round: int
    queue_low: int
    lease_minutes: int
    random_share: float
    holdout_share: float
    holdout_prompts: float
    qualification_pass: float
    gold_share: float
    repeat_share: float
    created_at: datetime
    started_at: datetime | None


@dataclass(frozen=True)
class Guidelines:
    """One version of the guidelines, Markdown."""

    version: int
    text: str
    created_at: datetime


@dataclass(frozen=True)
class Member:
    """What one person may do."""

    user: str
    role: str


@dataclass(frozen=True)
class RowProblem:
    """One thing wrong in one row of an import."""

    line: int
    id: str
    field: str
    message: str


@dataclass(frozen=True)
class ImportReport:
    """What an import did: new items, prompts, responses, recorded annotations, known answers.

    `language_features` counts the items that were given a language model's figures.
    """

    read: int
    items: int
    unchanged: int
    prompts: int
    responses: int
    annotations: int
    gold: int
    language_features: int
    rejected: int
    problems: tuple[RowProblem, ...]


@dataclass(frozen=True)
class ItemResponse:
    """A response of an item, and who wrote it."""

    text: str
    model: str


@dataclass(frozen=True)
class Item:
    """One imported item: a prompt with its responses."""

    id: str
    task: str
    source: str
    group: str
    prompt: Prompt
    context: str
    holdout: bool
    responses: tuple[ItemResponse, ...]


@dataclass(frozen=True)
class QueryResponse:
    """A response as annotations name it."""

    id: int
    text: str
    model: str


@dataclass(frozen=True)
class Route:
    """Who was to answer a question, a person or a judge, and why.

    `error` is the predicted chance that the judge is wrong, `propensity` the probability with which
    a person was asked.
    """

    to: str
    reason: str
    policy: str
    judge: str | None
    audit: bool
    error: float | None
    value: float | None
    propensity: float
    seconds: float
    created_at: datetime


@dataclass(frozen=True)
class Query:
    """A question that was put, and why."""

    id: int
    round: int | None
    item: str | None
    form: str
    parts: list[Any]
    arm: str
    acquisition: str
    score: float | None
    propensity: float | None
    flagged: datetime | None
    withdrawn: bool
    responses: tuple[QueryResponse, ...]
    created_at: datetime
    route: Route | None = None


@dataclass(frozen=True)
class Annotation:
    """One recorded answer; `tiers` is the weak order over response ids, best first."""

    id: int
    query: int
    arm: str
    annotator: str
    kind: str
    via: str
    outcome: str
    tiers: list[list[int]] | None
    acceptable: int | None
    strength: int | None
    rationale: str
    details: dict[str, Any]
    late: bool
    display_order: list[int] | None
    guidelines_version: int
    supersedes: int | None
    shown_at: datetime | None
    recorded_at: datetime
    first_action_ms: int | None
    active_ms: int | None


@dataclass(frozen=True)
class Annotator:
    """Who answers, under a pseudonym."""

    pseudonym: str
    kind: str
    guidelines_read: int
    answers: int
    skips: int
    flags: int
    last_at: datetime | None


@dataclass(frozen=True)
class Round:
    """One fit → score → select → publish cycle."""

    number: int
    state: str
    words: str
    trigger: str
    error: str
    annotations_seen: int
    report: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class ModelVersion:
    """One fitted head and how good it is on the holdout."""

    id: int
    round: int
    kind: str
    head: str
    encoder_key: str
    annotations_seen: int
    comparisons: int
    hyperparameters: dict[str, Any]
    metrics: dict[str, Any]
    artifact_sha256: str
    created_at: datetime


@dataclass(frozen=True)
class SlotCounts:
    """Wanted answers by what became of them."""

    open: int
    answered: int
    held: int


@dataclass(frozen=True)
class EncoderCard:
    """What the encoder can learn, and whether choosing pays."""

    encoder_key: str
    labels: int
    figures: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Metrics:
    """How a campaign stands; `curve` has every model version on today's holdout answers."""

    prompts: int
    holdout_prompts: int
    responses: int
    judgements: int
    by_outcome: dict[str, int]
    by_arm: dict[str, int]
    slots: SlotCounts
    queries_waiting: int
    fresh_judgements: int
    curve: list[dict[str, Any]]
    encoder_card: EncoderCard | None


@dataclass(frozen=True)
class FormPart:
    """One part of a question: its form, what it asks, and help."""

    name: str
    question: str
    help: str


@dataclass(frozen=True)
class AskedResponse:
    """A response as it is shown; with a prompt of its own in questions across prompts."""

    letter: str
    text: str
    prompt: Prompt | None = None


@dataclass(frozen=True)
class Recorded:
    """An answer as it was recorded."""

    id: int
    outcome: str
    strength: int | None
    rationale: str
    late: bool
    recorded_at: datetime


@dataclass(frozen=True)
class Difference:
    """How an export differs from an older one: rows, and options that are not the same."""

    added: int
    removed: int
    changed: int
    same: int
    examples: dict[str, Any]
    options: dict[str, Any]


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one webhook."""

    id: str
    event: str
    payload: dict[str, Any]
    state: str
    attempts: int
    due_at: datetime
    status: int | None
    error: str
    created_at: datetime
    delivered_at: datetime | None


def read(kind: type[T], data: Mapping[str, Any], **more: Any) -> T:
    """A dataclass from an answer of the site.

    A field that has another name there says so: `named("answer")`.

    Raises:
        TiebreakError: a field is missing: this is another API than the client was made for.
    """
    known = {
        name: _value(hint, data[key]) for name, key, hint in _wire(cast(Any, kind)) if key in data
    }
    try:
        return kind(**known, **more)
    except TypeError as error:
        raise TiebreakError(f"the site's answer is no {kind.__name__}: {error}") from error


def named(key: str) -> dict[str, str]:
    """Metadata of a field that has another name in the site's answers."""
    return {"key": key}


@cache
def _wire(kind: Any) -> list[tuple[str, str, Any]]:
    """Name, name in the site's answers, and type of each field that is read."""
    hints = get_type_hints(kind)
    return [
        (one.name, one.metadata.get("key", one.name), hints[one.name])
        for one in fields(kind)
        if not one.name.startswith("_")
    ]


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (UnionType, Union):
        if value is None:
            return None
        wanted = [one for one in get_args(hint) if one is not type(None)]
        return _value(wanted[0], value) if len(wanted) == 1 else value
    if hint is datetime:
        return datetime.fromisoformat(value)
    if hint is Decimal:
        return Decimal(value)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], one) for one in value)
    if is_dataclass(hint):
        return read(hint, value)  # type: ignore[arg-type] # a class, not an instance
    return value
