"""Judges of a campaign: adding them, what they said, and who answers what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from annotator import dispatch
from annotator.errors import InvalidInput
from annotator.models import (
    Annotation,
    Annotator,
    Campaign,
    Judge,
    JudgeCall,
    Judgement,
    JudgeReport,
    Query,
    Round,
    Route,
    Slot,
)
from annotator.services import budgets, webhooks

ALL_HUMAN = "all_human"
JUDGED_ARMS = (Query.Arm.POLICY, Query.Arm.RANDOM)  # the random arm is answered by both
MIND = ("provider", "base_url", "model", "mode", "template")  # another one is another judge
WORSE = "it got worse"
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


@dataclass(frozen=True)
class Decision:
    """Who is to answer one question."""

    query_id: int
    to: str
    reason: str
    audit: bool = False
    error: float | None = None
    value: float | None = None
    propensity: float = 1.0
    seconds: float = 0.0


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
    there = urlsplit(judge.base_url)
    if there.scheme not in ("http", "https", "") or "@" in there.netloc or there.query:
        said = "expected only an address, http or https: a key is named below, and never stored"
        raise ValidationError({"base_url": said})
    texts = judge.template
    if not isinstance(texts, dict) or not all(map(_is_part, texts, texts.values())):
        raise ValidationError({"template": "expected texts by parts of the prompt"})


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


def hand_over(*, made: Round, queries: Sequence[Query]) -> list[Query]:
    """Give a new round's questions to the judge; returns those that people get at once.

    What the policy chose waits for the router. The random arm goes to both: what people and the
    judge say there, drawn from everything, is what the judge is measured on.
    """
    if not any(query.arm in JUDGED_ARMS for query in queries):
        return list(queries)
    ask_judge(made.campaign)
    return [query for query in queries if query.arm != Query.Arm.POLICY]


def ask_judge(campaign: Campaign) -> None:
    """Have a worker ask the judge about what it was not asked yet, then route it."""
    arguments = {"campaign": campaign.pk}
    dispatch.enqueue(
        kind="judge", key=judge_key(campaign.pk), arguments=arguments, campaign=campaign
    )


def judge_key(campaign_id: int) -> str:
    """One campaign's judge is asked by one worker at a time."""
    return f"judge:{campaign_id}"


def unrouted(campaign: Campaign) -> Any:
    """Questions that the policy chose and nobody was told to answer."""
    chosen = Query.objects.filter(campaign=campaign, arm=Query.Arm.POLICY, round__isnull=False)
    return chosen.filter(route__isnull=True, slots__isnull=True, withdrawn=False)


@transaction.atomic
def apply_routes(
    *, campaign: Campaign, judge: Judge | None, policy: str, decisions: Sequence[Decision]
) -> int:
    """Store who answers what, and offer people what is theirs. Returns how many are theirs.

    A question that was routed meanwhile keeps its route.
    """
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)  # one router at a time
    waiting = {query.pk: query for query in unrouted(campaign).select_related("round")}
    fresh = [one for one in decisions if one.query_id in waiting]
    Route.objects.bulk_create(
        Route(
            query_id=one.query_id,
            judge=judge,
            to=one.to,
            reason=one.reason,
            policy=policy,
            audit=one.audit,
            error=one.error,
            value=one.value,
            propensity=one.propensity,
            seconds=one.seconds,
        )
        for one in fresh
    )
    theirs = [waiting[one.query_id] for one in fresh if one.to == Route.To.HUMAN]
    Slot.objects.bulk_create(
        Slot(campaign=campaign, query=query, place=query.round.number if query.round else 0)
        for query in theirs
        for _ in range(campaign.overlap)
    )
    left = [one.query_id for one in fresh if one.to == Route.To.NOBODY]
    Query.objects.filter(pk__in=left).update(withdrawn=True)
    return len(theirs)


def route_to_people(*, campaign: Campaign, judge: Judge | None, reason: str) -> int:
    """Let people answer everything that waits for a decision."""
    found = unrouted(campaign).values_list("pk", flat=True)
    decisions = [Decision(query_id, Route.To.HUMAN, reason) for query_id in found]
    return apply_routes(
        campaign=campaign, judge=judge, policy=campaign.routing, decisions=decisions
    )


def go_on(campaign: Campaign) -> bool:
    """See to questions that wait for a decision and that no job will decide about.

    After a message that was lost, a judge that was switched off, or a round that was published
    just when the judge was done. True if there were any.
    """
    if campaign.jobs.live().filter(key=judge_key(campaign.pk)).exists():
        return False
    if not budgets.spent(campaign):
        _ask_again(campaign)
    if not unrouted(campaign).exists():
        return False
    if asked(campaign) is not None:
        ask_judge(campaign)
    else:
        route_to_people(campaign=campaign, judge=None, reason="no_judge")
    return True


@transaction.atomic
def _ask_again(campaign: Campaign) -> None:
    """What nobody was to answer while people's time was up is decided about anew."""
    routes = Route.objects.filter(query__campaign=campaign, to=Route.To.NOBODY)
    if again := list(routes.values_list("query_id", flat=True)):
        routes.delete()
        Query.objects.filter(pk__in=again).update(withdrawn=False)


def give_up_judging(*, campaign_id: int, error: str) -> None:
    """The judge cannot be asked: people answer, and its page says why."""
    campaign = Campaign.objects.get(pk=campaign_id)
    judge = asked(campaign)
    if judge is not None:
        stop_asking(judge=judge, why=error)
    route_to_people(campaign=campaign, judge=judge, reason="no_judge")


def record_report(*, judge: Judge, audited: int, figures: Mapping[str, Any]) -> JudgeReport:
    """Store what is known of a judge."""
    return JudgeReport.objects.create(judge=judge, audited=audited, figures=dict(figures))


def refuse_unless_ready(judge: Judge) -> None:
    """Say why a judge cannot be asked.

    Raises:
        InvalidInput: it is switched off, or in trouble.
    """
    if not judge.active:
        raise InvalidInput(f"judge {judge.name!r} is switched off")
    if judge.trouble:
        raise InvalidInput(f"judge {judge.name!r} is not asked: {judge.trouble}")
