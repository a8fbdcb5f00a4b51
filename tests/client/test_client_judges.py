"""The client against the running site: judges, what they said, and who answers what."""

from __future__ import annotations

from decimal import Decimal

import pytest

from annotator.models import Judge as Stored
from annotator.models import Query
from annotator.services import judges
from tests.annotator.judged import AT, SECRET_PROMPT, route, say
from tiebreak.client import Campaign, Client, Invalid, NotFound

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_judge_is_added_changed_and_switched_off(sky: Campaign, site: Client) -> None:
    made = sky.add_judge(
        "small-judge",
        base_url=AT,
        model="tiny",
        key_name="JUDGE_KEY_TINY",
        price_in=Decimal("0.000000001"),
        price_out="0.6",
        spend_limit=20,
    )
    assert (made.active, made.trouble, made.asked, made.spent) == (True, "", 0, Decimal(0))
    assert (made.price_in, made.price_out) == (Decimal("1e-9"), Decimal("0.6"))
    assert (made.spend_limit, made.key_name) == (Decimal(20), "JUDGE_KEY_TINY")
    judges.stop_asking(judge=Stored.objects.get(), why="401: no such key")
    assert made.refresh().trouble == "401: no such key"
    changed = made.change(template={"system": "Be fair."}, spend_limit=None)
    assert (changed.trouble, changed.template) == ("", {"system": "Be fair."})
    assert changed.spend_limit is None
    assert not made.change(active=False).active
    assert [one.id for one in sky.judges()] == [site.judge(made.id).id] == [made.id]


def test_what_a_judge_said_is_read(sky: Campaign) -> None:
    made = sky.add_judge("small-judge", base_url=AT, model="tiny")
    stored = Stored.objects.get()
    one, two = Query.objects.order_by("pk")[:2]
    say(stored, one)
    say(stored, two, error="refused")
    failed, said = made.judgements()
    assert (said.query, said.outcome, said.money) == (one.pk, "preference", Decimal("0.0024"))
    assert (failed.error, failed.calls) == ("refused", None)
    (only,) = made.judgements(query=one.pk, calls=True)
    assert only.calls is not None
    assert [call.messages[0]["content"] for call in only.calls] == [SECRET_PROMPT] * 2
    assert only.calls[0].order == only.calls[1].order[::-1]
    with pytest.raises(NotFound, match="no report yet"):
        made.report()
    judges.record_report(judge=stored, audited=60, figures={"agreement": 0.8})
    assert (made.report().audited, made.report().figures) == (60, {"agreement": 0.8})


def test_who_was_to_answer_is_read_with_the_question(sky: Campaign) -> None:
    sky.add_judge("small-judge", base_url=AT, model="tiny")
    one, two = Query.objects.order_by("pk")[:2]
    route(Stored.objects.get(), one, "judge")
    route(Stored.objects.get(), two, audit=True, reason="audit")
    (asked,) = sky.queries(to="human", reason="audit")
    assert asked.route is not None
    assert (asked.id, asked.route.audit, asked.route.judge) == (two.pk, True, "small-judge")
    assert asked.route.propensity == 0.6
    assert {query.id for query in sky.queries() if query.route is None} == set(
        Query.objects.exclude(pk__in=[one.pk, two.pk]).values_list("pk", flat=True)
    )


def test_routing_is_set_with_the_other_settings(sky: Campaign) -> None:
    said = sky.change(routing="guaranteed", routing_config={"alpha": 0.1}, people_only=["law"])
    assert (said.routing, said.routing_config, said.people_only) == (
        *("guaranteed", {"alpha": 0.1}, ("law",)),
    )
    assert (said.human_share, said.human_minutes) == (0.5, None)


def test_wrong_settings_are_named_by_field(sky: Campaign) -> None:
    with pytest.raises(Invalid) as refused:
        sky.add_judge("small-judge", base_url=AT, model="tiny", key_name="sk-a-real-key")
    assert list(refused.value.errors) == ["key_name"]
    assert sky.judges() == []
