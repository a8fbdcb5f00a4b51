"""Judges and routing in the campaign form: policies, their options, and people's time."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils.html import escape

from annotator.admin.option_blocks import ROUTING_PREFIX as PREFIX
from annotator.admin.options import SHOW
from annotator.catalogue import DEFAULT_ROUTING, ROUTINGS
from annotator.models import Campaign
from annotator.services.campaigns import add_member, create_campaign
from tests.annotator.conftest import signed_in
from tests.annotator.test_admin import ADMIN, fields
from tests.annotator.test_campaign_form import another, typed

pytestmark = pytest.mark.django_db
ADD = f"{ADMIN}/campaign/add/"


def offered(page: str) -> set[str]:
    """Options of a policy that a page has fields for."""
    return set(re.findall(rf'name="{PREFIX}(\w+)"', page))


def create(client: Client, name: str, **options: Any) -> Any:
    sent = {PREFIX + key: typed(value) for key, value in options.items()}
    return client.post(ADD, fields(routing=name, **sent))


@pytest.mark.parametrize("name", ROUTINGS)
def test_every_policy_is_explained_with_all_its_options(as_ruth: Client, name: str) -> None:
    reply = as_ruth.post(ADD, fields(routing=name, **{SHOW: "1"}))
    page = unescape(reply.content.decode())
    options = ROUTINGS[name].options
    assert offered(page) == {option.name for option in options}
    assert f"<p>{ROUTINGS[name].summary[:40]}" in page
    for option in options:
        assert option.help[:40] in page
        grey = reply.context["adminform"].form.fields[PREFIX + option.name].widget.attrs
        assert grey["placeholder"] == str(option.default)
    assert not Campaign.objects.exists()  # showing saves nothing


@pytest.mark.parametrize("name", ROUTINGS)
def test_every_option_can_be_set_and_is_shown_again(as_ruth: Client, name: str) -> None:
    wanted = {option.name: another(option) for option in ROUTINGS[name].options}
    reply = create(as_ruth, name, **wanted)
    assert reply.status_code == 302, reply.context["errors"]
    campaign = Campaign.objects.get()
    assert (campaign.routing, campaign.routing_config) == (name, wanted)
    assert campaign.acquisition_config == {}
    form = as_ruth.get(f"{ADMIN}/campaign/{campaign.pk}/change/").context["adminform"].form
    assert {key: form[PREFIX + key].value() for key in wanted} == wanted


def test_the_form_opens_with_the_default_policy_and_people_answer_half(as_ruth: Client) -> None:
    page = as_ruth.get(ADD)
    text, form = page.content.decode(), page.context["adminform"].form
    assert f'<option value="{DEFAULT_ROUTING}" selected>' in text
    assert form["human_share"].value() == 0.5
    assert form["human_minutes"].value() is None
    for entry in ROUTINGS.values():
        assert f"<strong>{entry.name}</strong>: {escape(entry.summary[:40])}" in text


def test_what_is_left_empty_or_equals_its_default_is_not_stored(as_ruth: Client) -> None:
    create(as_ruth, "guaranteed", alpha="", pilot=100, delta=0.05)
    assert Campaign.objects.get().routing_config == {"delta": 0.05}


def test_peoples_time_and_their_own_tags_are_stored_and_shown_again(as_ruth: Client) -> None:
    sent = {"human_share": "0.3", "human_minutes": "90", "people_only": "safety, medical\nlaw"}
    as_ruth.post(ADD, fields(**sent))
    campaign = Campaign.objects.get()
    assert (campaign.human_share, campaign.human_minutes) == (0.3, 90.0)
    assert campaign.people_only == ["safety", "medical", "law"]
    form = as_ruth.get(f"{ADMIN}/campaign/{campaign.pk}/change/").context["adminform"].form
    assert form["people_only"].value() == "safety\nmedical\nlaw"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("routing", "magic", "not one of the available choices"),
        ("routing_audit", "0.1", "audit must be at least 0.15, got 0.1"),
        ("routing_audit", "2", "audit must be at most 1.0, got 2"),
        ("routing_pilot", "1.5", "Enter a whole number"),
        ("routing_floor", "nan", "Enter a number"),
        ("human_share", "1.5", "less than or equal to 1"),
        ("human_share", "", "required"),
        ("human_minutes", "-1", "greater than or equal to 0"),
        ("people_only", "x" * 101, "the limit is 100"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_nothing_typed_is_lost(
    as_ruth: Client, field: str, value: str, said: str
) -> None:
    form = as_ruth.post(ADD, fields(**{field: value})).context["adminform"].form
    assert list(form.errors) == [field]
    assert said in " ".join(form.errors[field])
    assert form[field].value() == value
    assert form["name"].value() == "Sea"
    assert not Campaign.objects.exists()


def test_another_policy_is_shown_with_everything_typed_so_far(as_ruth: Client) -> None:
    sent = fields(routing="guaranteed", name="", routing_audit="0.4", human_share="", **{SHOW: "1"})
    form = as_ruth.post(ADD, sent).context["adminform"].form
    assert (form["routing_audit"].value(), form["human_share"].value()) == ("0.4", "")
    assert "routing_alpha" in form.fields
    assert not form.errors


def test_options_follow_the_policy_and_leave_those_of_the_function(
    ruth: User, as_ruth: Client
) -> None:
    campaign = create_campaign(
        slug="sea", name="Sea", owner=ruth, routing="guaranteed", routing_config={"alpha": 0.1}
    )
    where = f"{ADMIN}/campaign/{campaign.pk}/change/"
    sent = fields(routing="learned", acquisition="entropy", option_screen="2.5")
    assert as_ruth.post(where, sent).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.routing, campaign.routing_config) == ("learned", {})
    assert campaign.acquisition_config == {"screen": 2.5}


def test_who_may_only_look_sees_the_options(ruth: User, sam: User) -> None:
    campaign = create_campaign(
        slug="sea", name="Sea", owner=ruth, routing="guaranteed", routing_config={"alpha": 0.125}
    )
    add_member(campaign=campaign, user=sam, role="researcher")
    User.objects.filter(pk=sam.pk).update(is_staff=True)
    sam.user_permissions.set(Permission.objects.filter(codename="view_campaign"))
    client = signed_in(User.objects.get(pk=sam.pk))
    page = client.get(f"{ADMIN}/campaign/{campaign.pk}/change/").content.decode()
    assert "alpha&quot;: 0.125" in page


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"routing": "magic"}, "expected one of"),
        ({"routing_config": {"alpha": 0.1}}, "learned has no option 'alpha'; it has: "),
        ({"routing_config": {"audit": 3}}, "learned.audit must be at most 1.0, got 3"),
        ({"routing_config": [1]}, "expected options by name"),
    ],
)
def test_a_campaign_made_by_a_script_is_checked_alike(settings: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        create_campaign(slug="x", name="X", **settings)
