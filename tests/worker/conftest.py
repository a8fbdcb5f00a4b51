"""The same cast as on the web side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign
from annotator.services.campaigns import create_campaign, start_campaign
from tests.annotator.conftest import ada, as_ada, as_ruth, ben, campaign, ruth, sam
from tests.campaigns import join, load
from tests.learning.judges.judging import serving
from tests.worker.judge_loops import Serve
from tests.worker.loops import FIELDS, rich

__all__ = ["ada", "as_ada", "as_ruth", "ben", "campaign", "ruth", "sam"]


@pytest.fixture
def running(ada: User) -> Campaign:
    campaign = create_campaign(slug="loop", name="Loop", **FIELDS)
    load(campaign, [rich(number) for number in range(60)])
    join(campaign, ada)
    return start_campaign(campaign=campaign)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A judge's endpoint; stopped after the test."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(serving(*args, **kwargs))
