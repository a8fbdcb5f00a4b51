"""Reading fine-tuned encoders: what is in use, what was tried, and why each is used or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from annotator.dispatch import estimate_key, finetune_key
from annotator.models import Campaign, EncoderVersion, Job, TrainingEstimate
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
class Expected:
    """What a training would take, as the page says it."""

    it: TrainingEstimate
    job: Job | None  # while it is measured

    @property
    def options(self) -> str:
        """What it was measured for."""
        chosen = [f"{name.replace('_', ' ')} {value}" for name, value in self.it.plan.items()]
        return ", ".join([str(self.it.get_method_display()), *(chosen or ["default options"])])

    @property
    def time(self) -> str:
        """From its low to its high end; nothing where memory does not suffice."""
        duration = self.it.figures.get("duration")
        return span_of_time(*duration["seconds"]) if duration else ""

    @property
    def ensemble_time(self) -> str:
        """Of an ensemble's adapters, beside that; nothing where it was not measured."""
        duration = self.it.figures.get("duration") or {}
        return span_of_time(*duration["ensemble"]) if duration.get("ensemble") else ""

    @property
    def decides(self) -> bool:
        """Whether enough prompts are held out for anything to be promoted."""
        figures = self.it.figures
        return bool(figures.get("held_out", 0) >= figures.get("held_out_needed", 0))


@dataclass(frozen=True)
class Encoders:
    """The page of a campaign's encoders."""

    current: EncoderVersion | None
    before: EncoderVersion | None  # what a roll back leads to; None: the campaign's own encoder
    live: EncoderVersion | None
    job: Job | None
    lines: list[Line]
    expected: Expected | None

    @property
    def last_trained(self) -> EncoderVersion | None:
        """The newest version whose training came to an end: what the next may take."""
        return next((line.it for line in self.lines if line.it.record.get("seconds")), None)


def page(campaign: Campaign) -> Encoders:
    """Everything the page says. At most seven queries."""
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
        expected=None if live else expected(campaign, versions[0] if versions else None),
    )


def expected(campaign: Campaign, last: EncoderVersion | None) -> Expected | None:
    """The newest estimate, until a training begins: then it has been of use. Two queries."""
    newest = campaign.training_estimates.first()
    if newest is None or (last is not None and last.created_at > newest.created_at):
        return None
    measured = newest.state != TrainingEstimate.State.WAITING
    key = estimate_key(campaign)
    return Expected(newest, None if measured else Job.objects.live().filter(key=key).first())


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


UNITS = (
    (1, 90, "second"),
    (60, 90 * 60, "minute"),
    (3600, 48 * 3600, "hour"),
    (86400, float("inf"), "day"),
)


def span_of_time(low: float, high: float) -> str:
    """Two durations in seconds as people say them: 12 to 25 minutes."""
    size, name = next((n, word) for n, most, word in UNITS if high < most)
    ends = [max(1, round(low / size)), max(1, round(high / size))]
    said = f"{ends[0]} to {ends[1]}" if ends[0] != ends[1] else f"{ends[0]}"
    return f"{said} {name}{'s' if ends[1] > 1 else ''}"
