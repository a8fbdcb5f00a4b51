"""A bug is answered in the shape that the caller reads."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Campaign
from tests.annotator.api.scripts import Script, refused


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr("annotator.querysets.CampaignQuerySet.readable_by", crash)


@pytest.mark.usefixtures("broken")
def test_a_bug_is_a_problem_for_scripts_and_a_page_for_people(
    campaign: Campaign, ruth: User, as_ruth: Client
) -> None:
    script = Script(ruth)
    for client in (script.client, as_ruth):
        client.raise_request_exception = False
    body = refused(script.get("campaigns/"), 500, "something broke")
    assert "secret" not in str(body)
    page = as_ruth.get(f"/c/{campaign.slug}/progress/")
    assert page.status_code == 500
    assert page["Content-Type"].startswith("text/html")


def test_a_request_for_another_host_is_a_problem_for_scripts(ruth: User, client: Client) -> None:
    refused(client.get("/api/campaigns/", headers={"Host": "evil.example"}), 400, "understood")
    page = client.get("/", headers={"Host": "evil.example"})
    assert (page.status_code, page["Content-Type"]) == (400, "text/html; charset=utf-8")
