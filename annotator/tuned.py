"""Reading fine-tuned encoders: what is in use, what was tried, and why each is used or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from annotator.dispatch import finetune_key
from annotator.models import Campaign, EncoderVersion, Job
from annotator.services.finetuning import before_it, in_use

FIGURES = {  # of the gate: what it is called, and its decimals
    "log_loss": ("Log-loss", 3),
    "accuracy": ("Accuracy", 3),
    "ece": ("Calibration error beyond chance", 3),
    "length": ("Length bias", 2),
}


@dataclass(frozen=True)
class Line:
    """One version as the page shows it."""

    it: EncoderVersion
    used: bool
    usable: bool
    figures: list[dict[str, Any]]


@dataclass(frozen=True)
class Encoders:
    """The page of a campaign's encoders."""

    current: EncoderVersion | None
    before: EncoderVersion | None  # what a roll back leads to; None: the campaign's own encoder
    live: EncoderVersion | None
    job: Job | None
    lines: list[Line]

    @property
    def last_trained(self) -> EncoderVersion | None:
        """The newest version whose training came to an end: what the next may take."""
        return next((line.it for line in self.lines if line.it.record.get("seconds")), None)


def page(campaign: Campaign) -> Encoders:
    """Everything the page says. At most five queries."""
    versions = list(campaign.encoders.select_related("base_version", "requested_by"))
    for version in versions:
        version.campaign = campaign
    current = in_use(campaign)
    live = next((version for version in versions if version.under_way), None)
    job = Job.objects.live().filter(key=finetune_key(campaign)).first() if live else None
    return Encoders(
        current=current,
        before=before_it(current) if current else None,
        live=live,
        job=job,
        lines=[_line(one, campaign, current) for one in versions if not one.under_way],
    )


def _line(version: EncoderVersion, campaign: Campaign, current: EncoderVersion | None) -> Line:
    used = current is not None and current.pk == version.pk
    usable = version.promoted_at is not None and version.base == campaign.encoder
    return Line(
        it=version,
        used=used,
        usable=usable and not used,
        figures=[_figure(name, version.gate[name]) for name in FIGURES if version.gate.get(name)],
    )


def _figure(name: str, said: dict[str, float]) -> dict[str, Any]:
    title, digits = FIGURES[name]
    words = {part: f"{said[part]:.{digits}f}" for part in ("new", "old")}
    words |= {part: f"{said[part]:+.{digits}f}" for part in ("value", "low", "high")}
    return {"title": title, **{part: text.replace("-", "−") for part, text in words.items()}}
