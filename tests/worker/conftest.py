"""The same cast as on the web side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign
from annotator.services.campaigns import create_campaign, start_campaign
from tests.annotator.conftest import ada, as_ada, as_ruth, ben, campaign, ruth, sam
from tests.campaigns import join, load
from tests.learning.finetune import tinymodels
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


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an encoder small enough to train in a test."""
    return tinymodels.bert(tmp_path_factory.mktemp("base"), dropout=0.0)


@pytest.fixture
def place(settings: Any, tmp_path: Path) -> None:
    """Trainings keep their files in the test's folder, and do not give way to other processes."""
    settings.VAR_DIR, settings.TORCH_THREADS, settings.FINETUNE_NICE = tmp_path, 1, 0
