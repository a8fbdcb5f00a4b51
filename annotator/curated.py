"""Reading reports of the checks before an export, with the texts of their examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.text import Truncator

from annotator.models import Annotation, Campaign, CurationReport, Prompt, Response
from annotator.services.curation import CHECKS

MOST_SHOWN = 20  # examples of a check
LONGEST = 800  # characters of a text
SCORES = {
    "duplicates": "overlap",
    "source": "probability of the chosen one by the names",
    "length": "logarithm of the ratio of lengths",
    "margin": "probability of the chosen one by the model",
    "contradictions": "share of the minority",
    "label_errors": "probability that the choice is wrong",
    "contamination": "share of its runs of words",
}


@dataclass(frozen=True)
class Shown:
    """One row that a check is about, as a page or a command shows it."""

    question: str
    prompt: str
    chosen: str
    rejected: str
    chosen_model: str
    rejected_model: str
    said: str
    score: float
    note: str
    other: str


@dataclass(frozen=True)
class Check:
    """One check with its examples."""

    name: str
    title: str
    sentence: str
    rows: int
    of: int
    leaves_out: int
    score_means: str
    win_rates: list[dict[str, Any]]
    examples: list[Shown]


def checks(report: CurationReport) -> list[Check]:
    """All checks of a report; two queries for the texts."""
    texts = _Texts(report)
    return [
        Check(
            name=one["name"],
            title=CHECKS[one["name"]],
            sentence=one["sentence"],
            rows=one["rows"],
            of=one["of"],
            leaves_out=one["leaves_out"],
            score_means=SCORES[one["name"]],
            win_rates=one["figures"].get("win_rates", []),
            examples=[texts.shown(example) for example in one["examples"][:MOST_SHOWN]],
        )
        for one in report.findings
        if one["name"] in CHECKS
    ]


def answers_since(report: CurationReport) -> int:
    """How many annotations came after the report."""
    now = Annotation.objects.filter(campaign_id=report.campaign_id).count()
    return max(0, now - report.annotations_seen)


def newest(campaign: Campaign) -> CurationReport | None:
    """The newest report, without the long lists of what would be left out."""
    return campaign.curations.defer("left_out").first()


class _Texts:
    """Prompts and responses of all examples; what was deleted meanwhile is empty."""

    def __init__(self, report: CurationReport) -> None:
        examples = [e for one in report.findings for e in one["examples"][:MOST_SHOWN]]
        prompts = {e["prompt"] for e in examples} | {e["other"] for e in examples if e["other"]}
        responses = {pk for e in examples for pk in (e["chosen"], e["rejected"])}
        own = Prompt.objects.filter(campaign_id=report.campaign_id, pk__in=prompts)
        self.prompts = {pk: _said(content) for pk, content in own.values_list("pk", "content")}
        made = Response.objects.filter(
            prompt__campaign_id=report.campaign_id, pk__in=responses
        ).values_list("pk", "text", "model")
        self.responses = {pk: (text, model) for pk, text, model in made}

    def shown(self, example: dict[str, Any]) -> Shown:
        chosen, chosen_model = self.responses.get(example["chosen"], ("", ""))
        rejected, rejected_model = self.responses.get(example["rejected"], ("", ""))
        return Shown(
            question=example["question"],
            prompt=_short(self.prompts.get(example["prompt"], "")),
            chosen=_short(chosen),
            rejected=_short(rejected),
            chosen_model=chosen_model,
            rejected_model=rejected_model,
            said=who_chose(*example["votes"]),
            score=example["score"],
            note=example["note"],
            other=_short(self.prompts.get(example["other"], "")),
        )


def who_chose(first: int, second: int, level: int) -> str:
    """Votes in words."""
    said = [f"{first} {'person' if first == 1 else 'people'} chose the first"]
    if second:
        said.append(f"{second} the second")
    if level:
        said.append(f"{level} called them level")
    return ", ".join(said)


def _said(content: Any) -> str:
    """A prompt as one text."""
    if isinstance(content, str):
        return content
    return "\n\n".join(f"{turn.get('role', '')}: {turn.get('content', '')}" for turn in content)


def _short(text: str) -> str:
    return Truncator(text).chars(LONGEST)
