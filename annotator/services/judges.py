"""Judges of a campaign: adding and changing them, what they said, and what that cost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from annotator.models import (
    Annotation,
    Annotator,
    Campaign,
    Judge,
    JudgeCall,
    Judgement,
    JudgeReport,
)
from annotator.services import webhooks

ALL_HUMAN = "all_human"
MIND = ("provider", "base_url", "model", "mode", "template")  # another one is another judge
WORSE = "it got worse"
ACCEPTED = "accepted"  # of a pilot
BRIEF = 500  # characters of an error that are kept
PART = re.compile(r"[a-z_]{1,40}")  # of a prompt
ODD = re.compile(r"[\0\ud800-\udfff]")
SETTINGS = (
    *("provider", "base_url", "model", "key_name", "mode", "template", "max_tokens"),
    *("price_in", "price_out", "spend_limit", "requests_per_minute", "tokens_per_minute"),
    *("workers", "timeout", "history_sample"),
)


@dataclass(frozen=True)
class Said:
    """What a judge said to one question, in database ids.

    Attributes:
        order: Response ids as first shown.
        calls: Columns of each call.
        answer: Columns of the annotation; None where there was no verdict.
        outcome: The other columns of the judgement.
    """

    query_id: int
    order: tuple[int, ...]
    calls: Sequence[Mapping[str, Any]]
    answer: Mapping[str, Any] | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def add_judge(*, campaign: Campaign, name: str, **settings: Any) -> Judge:
    """Let a judge answer in a campaign; the one that was asked until now is not asked any more.

    Raises:
        ValidationError: by field; also for a name that is taken.
    """
    annotator = Annotator(campaign=campaign, kind=Annotator.Kind.LLM, pseudonym=name)
    judge = Judge(campaign=campaign, name=name, **settings)
    judge.full_clean(exclude=["annotator"], validate_constraints=False)
    check(judge)
    try:
        with transaction.atomic():
            annotator.save(force_insert=True)
    except IntegrityError:
        raise ValidationError({"name": f"the campaign has a judge {name!r} already"}) from None
    _take_over(judge)
    judge.annotator = annotator
    judge.save(force_insert=True)
    return judge


def check(judge: Judge) -> None:
    """Refuse settings that do not fit together.

    Raises:
        ValidationError: by field.
    """
    if judge.provider == Judge.Provider.ENDPOINT and not judge.base_url:
        raise ValidationError({"base_url": "expected the address of the endpoint, with /v1"})
    if judge.provider == Judge.Provider.LOCAL and (judge.base_url or judge.key_name):
        raise ValidationError({"base_url": "a local model has neither an address nor a key"})
    if judge.base_url:
        _check_address(judge.base_url)
    texts = judge.template
    if not isinstance(texts, dict) or not all(map(_is_part, texts, texts.values())):
        raise ValidationError({"template": "expected texts by parts of the prompt"})


def _check_address(address: str) -> None:
    """Refuse what cannot be asked, what would hold a secret, and hosts the operator did not name.

    Raises:
        ValidationError: at `base_url`.
    """
    try:
        there = urlsplit(address)
        host = there.hostname or ""
    except ValueError:
        raise ValidationError({"base_url": "expected http://HOST/v1 or https://…"}) from None
    if there.scheme not in ("http", "https") or not host or re.search(r"\s", address):
        raise ValidationError({"base_url": f"expected http(s)://HOST/v1, got {address[:80]!r}"})
    if "@" in there.netloc or there.query or there.fragment:
        said = "expected an address alone: a key is named below, and never stored"
        raise ValidationError({"base_url": said})
    if settings.JUDGE_HOSTS and host not in settings.JUDGE_HOSTS:
        known = ", ".join(settings.JUDGE_HOSTS)
        raise ValidationError({"base_url": f"judges may be asked at {known} only (JUDGE_HOSTS)"})


def _is_part(name: Any, text: Any) -> bool:
    """No database takes a null character or half a pair."""
    return bool(PART.fullmatch(name)) and isinstance(text, str) and not ODD.search(text)


def _take_over(judge: Judge) -> None:
    """No other judge of the campaign is asked; of two at once, the second waits."""
    if judge.active:
        Campaign.objects.select_for_update(no_key=True).get(pk=judge.campaign_id)
        others = Judge.objects.filter(campaign_id=judge.campaign_id, active=True)
        others.exclude(pk=judge.pk).update(active=False)


@transaction.atomic
def change_judge(*, judge: Judge, **settings: Any) -> Judge:
    """Change settings; what was wrong with it is forgotten, it is asked again from now on.

    What it said before stays, with the model and the template it was said by; how good it is gets
    measured anew after a change of these, and after it had got worse.

    Raises:
        ValidationError: by field.
    """
    other = any(getattr(judge, name) != settings.get(name, getattr(judge, name)) for name in MIND)
    if other or judge.trouble.startswith(WORSE):
        judge.measured_from = timezone.now()
    for name, value in settings.items():
        setattr(judge, name, value)
    judge.full_clean(exclude=["annotator"], validate_constraints=False)
    check(judge)
    judge.trouble, judge.troubled_at, judge.retry_at = "", None, None
    _take_over(judge)
    # Only these: a worker adds to what was lost meanwhile.
    changed = ("trouble", "troubled_at", "retry_at", "measured_from")
    judge.save(update_fields=[*settings, *changed])
    return judge


def stop_asking(*, judge: Judge, why: str, again_in: timedelta | None = None) -> None:
    """Leave everything to people from now on, and say why.

    Until a person changes something about the judge, or for so long.
    """
    now = timezone.now()
    Judge.objects.filter(pk=judge.pk).update(
        trouble=why[:BRIEF],
        troubled_at=now,
        retry_at=None if again_in is None else now + again_in,
    )


def trust_again(*, judge: Judge) -> None:
    """It answers: what was wrong with it is over."""
    Judge.objects.filter(pk=judge.pk).exclude(trouble="").update(
        trouble="", troubled_at=None, retry_at=None
    )


def book_lost(*, judge: Judge, money: Decimal) -> None:
    """Count what calls cost that did not end in an answer."""
    if money:
        Judge.objects.filter(pk=judge.pk).update(lost_money=F("lost_money") + money)


def asked(campaign: Campaign) -> Judge | None:
    """The judge that answers in this campaign now."""
    if campaign.routing == ALL_HUMAN:
        return None
    fine = Q(trouble="") | Q(retry_at__lte=Now())
    found: Judge | None = campaign.judges.filter(fine, active=True).first()
    return found


def accepted(judge: Judge) -> bool:
    """Whether the newest report on the judge as it is now lets it answer all that waits."""
    newest = judge.reports.filter(created_at__gte=judge.measured_from).first()
    return newest is not None and (newest.figures.get("pilot") or {}).get("state") == ACCEPTED


def spent(judge: Judge) -> Decimal:
    """What all its calls cost."""
    found = Judge.objects.filter(pk=judge.pk).aggregate(
        judged=Sum("judgements__money"), lost=Max("lost_money")
    )
    return (found["judged"] or Decimal(0)) + (found["lost"] or Decimal(0))


def record_judgement(*, judge: Judge, said: Said) -> Judgement | None:
    """Store what a judge said with every call and what it cost, once. One transaction.

    None, and nothing stored, when this question has been judged already.
    """
    try:
        with transaction.atomic():
            return _record(judge, said)
    except IntegrityError:
        if judge.judgements.filter(query_id=said.query_id).exists():
            return None
        raise


def _record(judge: Judge, said: Said) -> Judgement:
    annotation = None
    if said.answer is not None:
        annotation = Annotation.objects.create(
            campaign_id=judge.campaign_id,
            query_id=said.query_id,
            annotator_id=judge.annotator_id,
            via=Annotation.Via.JUDGE,
            display_order=list(said.order),
            **said.answer,
        )
        webhooks.emit(
            campaign_id=judge.campaign_id,
            event=webhooks.Event.ANNOTATION,
            data=webhooks.about(annotation, judge.name),
        )
    made = Judgement.objects.create(
        judge=judge,
        query_id=said.query_id,
        annotation=annotation,
        order=list(said.order),
        money=sum((call["money"] for call in said.calls), Decimal(0)),
        seconds=sum(call["seconds"] for call in said.calls),
        **said.outcome,
    )
    JudgeCall.objects.bulk_create(JudgeCall(judgement=made, **call) for call in said.calls)
    return made


def record_report(*, judge: Judge, audited: int, figures: Mapping[str, Any]) -> JudgeReport:
    """Store what is known of a judge."""
    return JudgeReport.objects.create(judge=judge, audited=audited, figures=dict(figures))
