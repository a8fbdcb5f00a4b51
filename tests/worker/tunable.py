"""A campaign that only a trained encoder can learn: what is better depends on the prompt.

A frozen encoder is given responses alone, and each kind of response is as often better as worse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from annotator.models import Campaign, EncoderVersion
from annotator.services import finetuning
from annotator.services.campaigns import create_campaign, start_campaign
from tests.campaigns import item, load

PLAN: dict[str, Any] = {
    "epochs": 6,
    "learning_rate": 3e-3,
    "batch": 16,
    "folds": 1,
    "max_tokens": 32,
}
FIELDS: dict[str, Any] = {
    "batch_size": 8,
    "labels_per_round": 4,
    "queue_low": 2,
    "holdout_prompts": 0.25,
    "random_share": 0.25,
    "holdout_share": 0.25,
    "acquisition": "random",
}


def asked(number: int, choice: int | None = None) -> dict[str, Any]:
    """Prompts A want an x, prompts B a y."""
    wants_x = number % 2 == 0
    better = (0 if wants_x else 1) if choice is None else choice
    return item(
        number,
        prompt=f"{'A' if wants_x else 'B'}{number}",
        responses=[{"text": f"x{number % 5}"}, {"text": f"y{number % 5}"}],
        annotations=[{"annotator": "w", "kind": "human", "choice": better}],
    )


def tunable(base: Path, *, items: int = 280, unanswered: int = 60, **fields: Any) -> Campaign:
    """A running campaign with history, and with prompts that nobody has answered."""
    campaign = create_campaign(slug="loop", name="Loop", encoder=f"hf:{base}", **(FIELDS | fields))
    rows = [asked(number) for number in range(items)]
    fresh = [{**asked(items + n), "annotations": []} for n in range(unanswered)]
    load(campaign, [*rows, *fresh], history=True)
    return start_campaign(campaign=campaign)


def begin(campaign: Campaign, **named: Any) -> EncoderVersion:
    """A training that waits for a worker."""
    made = finetuning.request_finetuning(campaign=campaign, options={**PLAN, **named})
    assert made is not None
    return made
