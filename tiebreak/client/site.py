"""Where scripts begin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Self, Unpack

import urllib3

from tiebreak.client.campaign import Campaign
from tiebreak.client.encoders import Encoder
from tiebreak.client.exports import Export
from tiebreak.client.http import Connection
from tiebreak.client.imports import Import
from tiebreak.client.judges import Judge
from tiebreak.client.results import CampaignInfo, read
from tiebreak.client.settings import CampaignSettings
from tiebreak.client.webhooks import Webhook
from tiebreak.client.work import Assignment


class Client:
    """A site, in one person's name."""

    def __init__(
        self,
        url: str = "",
        token: str = "",
        *,
        patience: float = 60.0,
        timeout: float = 60.0,
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: Of the site; `TIEBREAK_URL` in the environment where it is empty.
            token: As `manage.py drf_create_token NAME` prints it; else `TIEBREAK_TOKEN`.
            patience: Seconds for which a request is repeated while the site cannot be reached, is
                restarting, or says that it was asked too often.
            timeout: Seconds to wait for one answer.
            pool: A urllib3 pool of one's own: for a proxy, or certificates of one's own.

        Raises:
            ValueError: there is no address.
        """
        url = url or os.environ.get("TIEBREAK_URL", "")
        if not url.startswith(("http://", "https://")):
            raise ValueError(
                f"expected the address of a site, such as https://tiebreak.example.org; got {url!r}"
                " (give url, or set TIEBREAK_URL)"
            )
        token = token or os.environ.get("TIEBREAK_TOKEN", "")
        self._site = Connection(url, token, patience=patience, timeout=timeout, pool=pool)

    def __repr__(self) -> str:
        return f"Client({self._site.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; what is asked for after that connects anew."""
        self._site.close()

    @property
    def url(self) -> str:
        """Address of the site."""
        return self._site.url

    def campaigns(self) -> Iterator[Campaign]:
        """Campaigns that you may read."""
        for row in self._site.pages("GET /campaigns/"):
            yield Campaign(self._site, row["slug"], read(CampaignInfo, row))

    def campaign(self, slug: str) -> Campaign:
        """One campaign; nothing is sent, for annotators may not read its settings."""
        return Campaign(self._site, slug)

    def create_campaign(
        self, slug: str, name: str, **settings: Unpack[CampaignSettings]
    ) -> Campaign:
        """Make a draft that is yours."""
        row = self._site.create("POST /campaigns/", {"slug": slug, "name": name, **settings})
        return Campaign(self._site, slug, read(CampaignInfo, row))

    def get_export(self, id: str) -> Export:  # noqa: A002
        """An export that was asked for before."""
        return read(Export, self._site.call("GET /exports/{id}/", id=id), _site=self._site)

    def get_import(self, id: str) -> Import:  # noqa: A002
        """An import that was asked for before."""
        return read(Import, self._site.call("GET /imports/{id}/", id=id), _site=self._site)

    def assignment(self, id: str) -> Assignment:  # noqa: A002
        """One of your assignments."""
        row = self._site.call("GET /assignments/{id}/", id=id)
        return read(Assignment, row, _site=self._site)

    def judge(self, id: int) -> Judge:  # noqa: A002
        """One judge."""
        return read(Judge, self._site.call("GET /judges/{id}/", id=id), _site=self._site)

    def encoder(self, id: int) -> Encoder:  # noqa: A002
        """One encoder that was trained on a campaign's answers."""
        return read(Encoder, self._site.call("GET /encoders/{id}/", id=id), _site=self._site)

    def webhook(self, id: int) -> Webhook:  # noqa: A002
        """One webhook."""
        return read(Webhook, self._site.call("GET /webhooks/{id}/", id=id), _site=self._site)
