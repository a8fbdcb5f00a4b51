"""One's own keys: saved, shown on the buttons, refused beside their field."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Campaign, Preferences
from annotator.services.preferences import save_keys
from tests.annotator.views.pages import html, queries


def keys(**changed: str) -> dict[str, str]:
    """The page of keys as it is sent: every action has a field."""
    return {f"key-{action.replace('_', '.')}": key for action, key in changed.items()}


def test_keys_are_saved_and_are_on_the_buttons(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    reply = as_ada.post("/keys/", keys(skip="é", choice_1="ф"))
    assert (reply.status_code, reply["Location"]) == (302, "/keys/")
    assert Preferences.objects.get().keys == {"skip": "é", "choice.1": "ф"}
    assert 'name="key-skip" value="é"' in html(as_ada.get("/keys/"))
    page = html(as_ada.get(f"/c/{campaign.slug}/"))
    assert re.search(r'value="skip"[^>]*data-key="é"', page)
    assert re.search(r'value="a3"[^>]*data-key="ф"', page)


def test_a_clash_is_shown_beside_both_fields_and_nothing_is_stored(
    ada: User, as_ada: Client
) -> None:
    save_keys(user=ada, given={"undo": "w"})
    reply = as_ada.post("/keys/", keys(skip="f", undo="q", flag="f"))
    assert reply.status_code == 422
    page = html(reply)
    for action in ("skip", "flag"):
        assert re.search(rf'name="key-{action}" value="f"[^>]*aria-invalid="true"', page)
        assert f'id="error-{action}"' in page
    assert Preferences.objects.get().keys == {"undo": "w"}


@pytest.mark.parametrize("key", ["ab", "\u202e", "\0", "x" * 5000, "<script>alert(1)</script>"])
def test_what_is_no_key_is_refused(as_ada: Client, key: str) -> None:
    reply = as_ada.post("/keys/", keys(skip=key))
    assert reply.status_code == 422
    assert "<script>alert" not in html(reply)
    assert not Preferences.objects.exists()


def test_back_to_the_defaults(ada: User, as_ada: Client) -> None:
    save_keys(user=ada, given={"undo": "w"})
    assert as_ada.post("/keys/", {"what": "defaults"}).status_code == 302
    assert Preferences.objects.get().keys == {}


def test_keys_are_ones_own(campaign: Campaign, ada: User, as_ada: Client, as_ben: Client) -> None:
    save_keys(user=ada, given={"skip": "é"})
    assert 'data-key="é"' not in html(as_ben.get(f"/c/{campaign.slug}/"))


@pytest.mark.parametrize("where", ["//evil.example/", "https://evil.example/", "javascript:x"])
def test_the_way_back_stays_on_this_site(as_ada: Client, where: str) -> None:
    assert where not in html(as_ada.get("/keys/", {"next": where}))
    assert as_ada.post("/keys/", {"next": where})["Location"] == "/keys/"


def test_the_way_back_is_kept(campaign: Campaign, as_ada: Client) -> None:
    back = f"/c/{campaign.slug}/"
    assert f'href="/keys/?next={back}"' in html(as_ada.get(back))
    where = as_ada.post("/keys/", {"next": back})["Location"]
    assert f'href="{back}"' in html(as_ada.get(where))


def test_keys_need_somebody() -> None:
    assert Client().get("/keys/")["Location"].startswith("/signin/")


@pytest.mark.parametrize("method", ["put", "delete"])
def test_keys_take_get_and_post_only(as_ada: Client, method: str) -> None:
    assert getattr(as_ada, method)("/keys/").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_keys_cost_three_queries(ada: User, as_ada: Client) -> None:
    assert len(queries(lambda: as_ada.get("/keys/"))) <= 3
