"""Scripts of ruth and ada that talk to the real site over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.authtoken.models import Token

from annotator.models import Campaign as Stored
from annotator.services.rounds import request_round_if_due
from tests.annotator.conftest import ada, ben, campaign, ruth, sam
from tests.worker.loops import work
from tiebreak.client import Campaign, Client

__all__ = ["ada", "ben", "campaign", "ruth", "sam"]


def token(user: User) -> str:
    """This person's token."""
    return str(Token.objects.get_or_create(user=user)[0].key)


@pytest.fixture
def script(live_server: Any) -> Iterator[Callable[..., Client]]:
    """A client of the running site in somebody's name."""

    begun: list[Client] = []

    def begin(user: User, url: str = "", **options: Any) -> Client:
        made = Client(url or live_server.url, token(user), **{"patience": 10.0, **options})
        begun.append(made)
        return made

    yield begin
    for made in begun:
        made.close()


@pytest.fixture
def working(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker beside the test, which does what waits or is due; scripts look often."""
    for module in ("record", "work"):
        monkeypatch.setattr(f"tiebreak.client.{module}.POLL", 0.1)
    stop = threading.Event()

    def loop() -> None:
        try:
            while not stop.wait(0.1):
                for one in Stored.objects.filter(state="running"):
                    request_round_if_due(campaign=one)
                work()
        finally:
            connection.close()

    worker = threading.Thread(target=loop)
    worker.start()
    yield
    stop.set()
    worker.join()


@pytest.fixture
def site(script: Callable[..., Client], ruth: User) -> Client:
    """The researcher's."""
    return script(ruth)


@pytest.fixture
def sky(site: Client, campaign: Any) -> Campaign:
    """The campaign of the cast, as the researcher's script has it."""
    Stored.objects.update(encoder="hashed")  # should a worker start a round
    return site.campaign(campaign.slug)


@pytest.fixture
def desk(script: Callable[..., Client], ada: User, campaign: Any) -> Campaign:
    """The same campaign, as ada's script has it."""
    return script(ada).campaign(campaign.slug)
