"""Reading judges: what they were asked and cost, and why one is not asked."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import (
    Count,
    DecimalField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotator.models import Annotation, Annotator, Judge, JudgeCall, Judgement, Query
from annotator.models.judging import MONEY

DRAWN = (Query.Arm.RANDOM, Query.Arm.IMPORTED)  # from everything, by lot


def with_figures(judges: QuerySet[Judge]) -> QuerySet[Any]:
    """With `asked` (questions), `failed` (of these, without a verdict) and `spent` (money)."""
    answers = Coalesce(Sum("judgements__money"), Value(Decimal(0)), output_field=_money())
    return judges.annotate(
        asked=Count("judgements"),
        failed=Count("judgements", filter=~Q(judgements__error="")),
        spent=answers + F("lost_money"),
    )


def with_tokens(judgements: QuerySet[Judgement]) -> QuerySet[Any]:
    """With `tokens_in` and `tokens_out` of all calls; looked up for the rows of a page only."""
    calls = JudgeCall.objects.filter(judgement=OuterRef("pk")).order_by().values("judgement")
    return judgements.annotate(
        **{
            f"tokens_{way}": Coalesce(
                Subquery(calls.annotate(n=Sum(f"tokens_{way}")).values("n")), Value(0)
            )
            for way in ("in", "out")
        }
    )


def doubly_decided(judge: Judge) -> int:
    """Questions of the random stratum that people and the judge, as it is now, have decided."""
    said = judge.judgements.filter(
        created_at__gte=judge.measured_from, annotation__outcome=Annotation.Outcome.PREFERENCE
    )
    drawn = Q(query__arm__in=DRAWN) | Q(query__route__audit=True)
    people = Annotation.objects.filter(
        annotator__kind=Annotator.Kind.HUMAN, outcome=Annotation.Outcome.PREFERENCE
    ).labels()
    found = said.filter(drawn, query__withdrawn=False).exclude(p=0.5)
    return found.filter(Exists(people.filter(query=OuterRef("query")))).count()


def plain(money: Decimal) -> str:
    """An amount without zeros at its end: `0.00216`."""
    return f"{money.normalize():f}"


def standing(judge: Judge) -> str:
    """In words: it is asked, it is switched off, or what is wrong with it."""
    if not judge.active:
        return "switched off"
    if not judge.trouble:
        return "is asked"
    since = f" since {_when(judge.troubled_at)}" if judge.troubled_at else ""
    again = f" (tried again from {_when(judge.retry_at)} on)" if judge.retry_at else ""
    return f"not asked{since}: {judge.trouble}{again}"


def _when(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M %Z}"


def _money() -> DecimalField[Any, Any]:
    return DecimalField(**MONEY)
