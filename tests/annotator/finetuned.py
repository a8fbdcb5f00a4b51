"""Fine-tuned encoders as workers would leave them: rows, no weights."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from annotator.models import Campaign, EncoderVersion, TrainingEstimate
from annotator.services import estimates, finetuning
from annotator.services.finetuning import Outcome

REASON = "better on the holdout: log-loss 0.601 against 0.652"


def figure(new: float, old: float, low: float, high: float) -> dict[str, float]:
    return {"new": new, "old": old, "value": new - old, "low": low, "high": high}


GATE: dict[str, Any] = {
    "n": 160,
    "prompts": 84,
    "against": None,
    "log_loss": figure(0.601, 0.652, -0.08, -0.02),
    "accuracy": figure(0.68, 0.62, 0.01, 0.11),
    "ece": figure(0.04, 0.05, -0.03, 0.02),
    "length": figure(0.10, 0.14, -0.2, 0.1),
}


def begun(campaign: Campaign, **named: Any) -> EncoderVersion:
    """A training that waits for a worker."""
    made = finetuning.request_finetuning(campaign=campaign, **named)
    assert made is not None
    return made


def ended(
    campaign: Campaign, *, promoted: bool = True, reason: str = REASON, **named: Any
) -> EncoderVersion:
    """One that came to its end."""
    made = begun(campaign, **named)
    finetuning.keep(
        version=made, comparisons=900, key=f"reward:{made.number}", dim=8, record={"seconds": 90.0}
    )
    campaign.refresh_from_db()
    current = finetuning.in_use(campaign)
    outcome = Outcome(promoted, reason, GATE, current.pk if current else None)
    with transaction.atomic():
        assert finetuning.conclude(version=made, outcome=outcome)
    made.campaign.jobs.filter(kind="finetune").update(state="done")
    campaign.refresh_from_db()
    made.refresh_from_db()
    return made


FIGURES: dict[str, Any] = {
    "labels": 1012,
    "groups": 400,
    "responses": 1800,
    "folds": 3,
    "epochs": [1, 4],
    "memory": {
        "total": 1_313_427_472,
        "smallest": 1_032_671_248,
        "available": 22_850_526_464,
        "pairs": 8,
        "fits": True,
    },
    "duration": {
        "steps": [95, 380],
        "tokens": [400_000, 1_600_000],
        "read": [900_000, 1_100_000],
        "truncated": 0.12,
        "seconds": [720.0, 1500.0],
        "tokens_per_second": 850.0,
        "device": "cpu",
    },
    "max_tokens": 256,
    "threads": 1,
    "pool": 5000,
    "members": 0,
    "aspects": 0,
    "judges_counted": True,
    "held_out": 84,
    "held_out_needed": 30,
}


def measured(campaign: Campaign, figures: dict[str, Any]) -> TrainingEstimate:
    """An estimate that a worker has made."""
    made = estimates.request_estimate(campaign=campaign, options={"epochs": 2})
    assert made is not None
    estimates.record_estimate(estimate_id=made.pk, figures=figures)
    campaign.jobs.filter(kind="estimate").update(state="done")
    made.refresh_from_db()
    return made
