"""Judges of a small campaign: how they decide, and what became of the questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from annotator.models import Campaign, Judge, Query, Route
from annotator.services import judges
from tests.learning.judges.judging import Server, responses_in
from worker import judging

Serve = Callable[..., Server]


def longer(body: Any) -> str:
    """A judge that likes long answers, as people do here."""
    shown = responses_in(body)
    best = max(shown, key=lambda letter: len(shown[letter]))
    return f'{{"reason": "longer", "choice": "{best}", "strength": 2, "confidence": 90}}'


def judge_of(campaign: Campaign, server: Server, *, pilot: int = 0, **settings: Any) -> Judge:
    """A judge that is asked about everything, once so many questions measured it."""
    Campaign.objects.filter(pk=campaign.pk).update(routing_config={"pilot": pilot})
    campaign.refresh_from_db()
    settings = {"model": "tiny", "base_url": server.url, "price_in": 1, "price_out": 2} | settings
    return judges.add_judge(campaign=campaign, name="tiny-judge", **settings)


def counted(campaign: Campaign) -> Counter[tuple[str, str]]:
    found = Route.objects.filter(query__campaign=campaign)
    return Counter(found.values_list("to", "reason"))


def everything_went_to_people(campaign: Campaign) -> bool:
    waiting = Query.objects.filter(campaign=campaign, arm="policy")
    return waiting.count() == waiting.filter(slots__isnull=False).distinct().count() == 6


def hurried(act: Callable[[], None]) -> None:
    """Without sleeping between tries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging.Stop, "wait", lambda self, seconds: None)
        act()
