"""The researcher's desk for questions with a known answer, and for appeals."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from annotator.models import Annotator, Campaign, GoldAnswer, Item
from annotator.services.gold import retire_gold
from tests.annotator.conftest import signed_in
from tests.campaigns import known, load

PAGE = "/admin/annotator/goldanswer"


@pytest.fixture
def chosen(campaign: Campaign) -> Item:
    return campaign.items.order_by("pk")[0]


@pytest.fixture
def gold(campaign: Campaign) -> GoldAnswer:
    load(campaign, [known(1, choice=0, explanation="Because.")])
    return GoldAnswer.objects.get()


def make(client: Client, chosen: Item, /, **changes: Any) -> Any:
    sent = {"item": chosen.pk, "purpose": "practice", "order": "B > A", "good_enough": ""}
    return client.post(f"{PAGE}/add/", sent | {"explanation": "Read *both*."} | changes)


def test_an_item_becomes_a_practice_question(chosen: Item, as_ruth: Client) -> None:
    page = as_ruth.get(f"/admin/annotator/item/{chosen.pk}/change/").content.decode()
    assert f"{PAGE}/add/?item={chosen.pk}" in page
    assert f'value="{chosen.pk}"' in as_ruth.get(f"{PAGE}/add/?item={chosen.pk}").content.decode()
    reply = make(as_ruth, chosen)
    assert reply.status_code == 302, reply.context["errors"]
    key = GoldAnswer.objects.get()
    first, second = (place.response_id for place in chosen.places.all())
    assert (key.purpose, key.tiers, key.good) == ("practice", [[second], [first]], {})
    assert (key.explanation, key.query.item) == ("Read *both*.", chosen)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"order": "A > C"}, "expected letters from A to B"),
        ({"order": "A"}, "two letters or more"),
        ({"order": "A > A"}, "each once"),
        ({"order": ""}, "Say which order is expected"),
        ({"good_enough": "Z"}, "expected letters from A to B"),
        ({"item": 10**9}, "valid choice"),
        ({"purpose": "exam"}, "valid choice"),
    ],
)
def test_a_bad_key_is_said_at_its_field(
    chosen: Item, as_ruth: Client, changes: dict[str, Any], said: str
) -> None:
    reply = make(as_ruth, chosen, **changes)
    assert reply.status_code == 200
    assert said in reply.content.decode()
    assert not GoldAnswer.objects.exists()


def test_what_is_good_enough_is_said_in_letters(chosen: Item, as_ruth: Client) -> None:
    make(as_ruth, chosen, order="", good_enough="b")
    first, second = (place.response_id for place in chosen.places.all())
    assert GoldAnswer.objects.get().good == {str(first): False, str(second): True}


def test_a_changed_key_is_the_next_version(gold: GoldAnswer, as_ruth: Client) -> None:
    page = as_ruth.get(f"{PAGE}/{gold.pk}/change/").content.decode()
    assert "Chlorophyll" in page
    assert 'value="A &gt; B"' in page
    sent = {"order": "A = B", "good_enough": "none", "explanation": "Both are."}
    assert as_ruth.post(f"{PAGE}/{gold.pk}/change/", sent).status_code == 302
    key = GoldAnswer.objects.get(active=True)
    assert (key.version, len(key.tiers), set(key.good.values())) == (2, 1, {False})
    old = as_ruth.get(f"{PAGE}/{gold.pk}/change/").content.decode()
    assert "_save" not in old
    assert as_ruth.post(f"{PAGE}/{gold.pk}/change/", sent).status_code == 403


def test_keys_are_listed_retired_and_taken_up_again(gold: GoldAnswer, as_ruth: Client) -> None:
    assert "A better than B" in as_ruth.get(f"{PAGE}/").content.decode()
    for action, active in (("retire", False), ("restore", True)):
        as_ruth.post(f"{PAGE}/", {"action": action, "_selected_action": [gold.pk]})
        gold.refresh_from_db()
        assert gold.active is active


def test_other_peoples_campaigns_are_out_of_reach(
    gold: GoldAnswer, chosen: Item, sam: User
) -> None:
    User.objects.filter(pk=sam.pk).update(is_staff=True)
    sam.user_permissions.set(Permission.objects.filter(codename__contains="campaign"))
    as_sam = signed_in(User.objects.get(pk=sam.pk))
    assert as_sam.get(f"{PAGE}/{gold.pk}/change/").status_code == 302
    assert make(as_sam, chosen).status_code == 200
    assert GoldAnswer.objects.count() == 1


def test_annotators_have_no_access(gold: GoldAnswer, as_ada: Client) -> None:
    assert as_ada.get(f"{PAGE}/").status_code == 302


def test_appeals_are_decided_under_annotators(ada: User, campaign: Campaign, ruth: User) -> None:
    client = signed_in(ruth)
    me = Annotator.objects.get(user=ada)
    for action, qualified in (("give_another_try", False), ("waive_test", True)):
        Annotator.objects.update(disqualified_at=timezone.now())
        sent = {"action": action, "_selected_action": [me.pk]}
        client.post("/admin/annotator/annotator/", sent)
        me.refresh_from_db()
        assert (me.disqualified_at, me.qualified_at is not None) == (None, qualified)


def test_the_settings_of_attention_are_on_the_campaigns_page(
    campaign: Campaign, as_ruth: Client
) -> None:
    page = as_ruth.get(f"/admin/annotator/campaign/{campaign.pk}/change/").content.decode()
    assert "Attention and onboarding" in page
    for name in ("qualification_pass", "gold_share", "repeat_share"):
        assert f'name="{name}"' in page


def test_a_retired_key_can_still_be_looked_at(gold: GoldAnswer, as_ruth: Client) -> None:
    retire_gold(gold=gold)
    assert "Chlorophyll" in as_ruth.get(f"{PAGE}/{gold.pk}/change/").content.decode()
