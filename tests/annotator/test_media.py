"""Pictures: which hosts a page may ask, and what names from files may do to a page."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client

from annotator.models import Campaign, Response
from tests.annotator.conftest import ada
from tests.campaigns import ask, make_campaign

__all__ = ["ada"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(ada: User) -> Any:
    """The workspace's answer for a campaign with these picture hosts."""

    def get(*hosts: str, where: str = "") -> Any:
        made = make_campaign(people=(ada,), image_hosts=list(hosts))
        ask(made)
        Response.objects.update(
            text="![a](https://pics.example/a.png) ![b](https://other.example/b.png)"
        )
        client = Client()
        client.force_login(ada)
        return client.get(f"/c/{made.slug}/{where}")

    return get


def images(answer: Any) -> list[str]:
    """What the policy says about pictures."""
    rules = answer.headers["Content-Security-Policy"].split(";")
    (rule,) = (rule.split() for rule in rules if rule.split()[0] == "img-src")
    return list(rule[1:])


@pytest.mark.parametrize("where", ["", "guidelines/"])
def test_a_page_may_ask_the_hosts_of_its_campaign(page: Any, where: str) -> None:
    answer = page("pics.example", where=where)
    assert images(answer) == ["'self'", "data:", "https://pics.example"]


def test_without_hosts_a_page_asks_nobody(page: Any) -> None:
    answer = page()
    assert images(answer) == ["'self'", "data:"]
    assert b'<img src="https' not in answer.content


def test_other_pages_keep_the_strict_policy(page: Any) -> None:
    assert images(page("pics.example").client.get("/")) == ["'self'", "data:"]


def test_pictures_of_other_hosts_are_links(page: Any) -> None:
    html = page("pics.example").content.decode()
    assert '<img src="https://pics.example/a.png"' in html
    assert '<img src="https://other.example' not in html
    assert 'href="https://other.example/b.png"' in html


def test_a_host_that_came_past_the_form_cannot_widen_the_policy(page: Any) -> None:
    answer = page("pics.example")
    Campaign.objects.update(image_hosts=["x; script-src *", "*", "'unsafe-inline'", "pics.example"])
    again = answer.client.get("/c/sky/")
    assert images(again) == ["'self'", "data:", "https://pics.example"]
    assert "*" not in again.headers["Content-Security-Policy"]


def test_a_hostile_role_stays_a_name() -> None:
    prompt = [{"role": "<script>alert(1)</script>\u202e", "content": "x"}]
    html = render_to_string("annotate/turns.html", {"prompt": prompt})
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in html
