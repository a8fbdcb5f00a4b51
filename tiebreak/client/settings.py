"""What can be set: of campaigns, of judges, and of exports. Every key may be left out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal, TypedDict

Amount = Decimal | float | str


class CampaignSettings(TypedDict, total=False):
    """Settings of a campaign; what they do is in docs/how-to/campaign.md."""

    description: str
    form: str
    follow_ups: list[str]
    form_options: dict[str, Any]
    set_size: int
    candidates: str
    image_hosts: list[str]
    acquisition: str
    acquisition_config: dict[str, Any]
    fall_back: bool
    head: str
    encoder: str
    finetune: Literal["hand", "saturated"]
    seed: int
    routing: str
    routing_config: dict[str, Any]
    human_share: float
    human_minutes: float | None
    people_only: list[str]
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


class JudgeSettings(TypedDict, total=False):
    """Settings of a judge; what they do is in docs/how-to/routing.md."""

    provider: Literal["endpoint", "local"]
    base_url: str
    model: str
    key_name: str | None
    mode: Literal["form", "pointwise"]
    template: dict[str, str]
    max_tokens: int
    price_in: Amount
    price_out: Amount
    spend_limit: Amount | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    workers: int
    timeout: int
    history_sample: int
    active: bool


class ExportOptions(TypedDict, total=False):
    """What an export holds, and how answers become rows; see docs/how-to/export.md."""

    container: str
    include_holdout: bool
    include_gold: bool
    include_repeats: bool
    include_late: bool
    include_skips: bool
    consensus: Literal["auto", "majority", "reliability", "all"]
    minimum_agreement: float
    minimum_answers: int
    ties: Literal["out", "both"]
    neither: Literal["abstain", "tie", "out"]
    edits: Literal["in", "out"]
    judges: Literal["out", "in", "weighted"]
    judge_weight: float
    margin: Literal["none", "strength"]
    weights: Literal["none", "propensity"]
    prompts: Literal["explicit", "implicit"]
    test_share: float
    leave_out: str
    duplicates: Literal["keep", "first"]
    annotators: Literal["pseudonyms", "numbers"]
    license: str
