"""A judge's settings: changed without a word of what workers write meanwhile."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotator.models import Campaign, Judge
from annotator.services import judges
from tests.annotator.judged import AT, add

pytestmark = pytest.mark.django_db


def test_a_change_keeps_what_a_worker_counted_meanwhile(campaign: Campaign) -> None:
    judge = add(campaign)
    judges.book_lost(judge=judge, money=Decimal("0.5"))
    judges.change_judge(judge=judge, model="larger")
    stored = Judge.objects.get()
    assert (stored.model, stored.lost_money) == ("larger", Decimal("0.5"))


def test_one_judge_of_a_campaign_is_asked_at_a_time(campaign: Campaign) -> None:
    first, second = add(campaign), add(campaign, "other")
    assert judges.asked(campaign) == second
    first.refresh_from_db()
    judges.change_judge(judge=first, active=True)
    assert judges.asked(campaign) == first
    add(campaign, "third", active=False)
    assert judges.asked(campaign) == first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_url": "https://example.org/v1?key=sk-secret"}, "an address alone"),
        ({"base_url": "https://sk-secret@example.org/v1"}, "an address alone"),
        ({"base_url": "ftp://example.org/v1"}, "expected http"),
        ({"base_url": "http://[half"}, "expected http"),
        ({"base_url": "http://two words/v1"}, "expected http"),
        ({"template": {"user": "\0"}}, "parts of the prompt"),
        ({"template": {"user": "\ud800"}}, "parts of the prompt"),
        ({"template": {"Us er": "x"}}, "parts of the prompt"),
        ({"template": ["user"]}, "parts of the prompt"),
    ],
)
def test_what_could_not_be_stored_or_would_be_a_secret_is_refused(
    campaign: Campaign, change: dict[str, Any], words: str
) -> None:
    judge = add(campaign)
    with pytest.raises(ValidationError, match=words):
        judges.change_judge(judge=judge, **change)
    assert Judge.objects.filter(base_url=AT, template={}).exists()


def test_short_names_inside_a_network_are_addresses(campaign: Campaign) -> None:
    judge = add(campaign, base_url="http://ollama:11434/v1")
    assert Judge.objects.get(pk=judge.pk).base_url == "http://ollama:11434/v1"


def test_an_operator_may_name_the_hosts_of_judges(campaign: Campaign, settings: Any) -> None:
    judge = add(campaign)
    settings.JUDGE_HOSTS = ["api.example.org"]
    with pytest.raises(ValidationError, match=r"api\.example\.org only \(JUDGE_HOSTS\)"):
        judges.change_judge(judge=judge, base_url="https://elsewhere.example/v1")
    judges.change_judge(judge=judge, base_url="https://api.example.org/v1")
