"""Choosing a function and its parameters: all are offered, checked, and kept as typed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.test import Client

from annotator.admin.campaign_form import PREFIX, SHOW
from annotator.catalogue import ACQUISITIONS, DEFAULT_ACQUISITION, HEADS, Option, options_of
from annotator.models import Campaign
from annotator.services.campaigns import add_member, create_campaign
from tests.annotator.conftest import signed_in
from tests.annotator.test_admin import ADMIN, fields

pytestmark = pytest.mark.django_db
ADD = f"{ADMIN}/campaign/add/"


def offered(page: str) -> set[str]:
    """Parameters that a page has fields for."""
    return set(re.findall(rf'name="{PREFIX}(\w+)"', page))


def another(option: Option) -> Any:
    """A valid value that is not the default."""
    if option.kind == "bool":
        return not option.default
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    if option.kind == "str":
        return f"{option.default}x"
    above = (
        option.default + 1 if option.kind == "int" else (option.default + (option.high or 9)) / 2
    )
    fits = option.high is None or above <= option.high
    return above if fits and above != option.default else type(option.default)(option.low or 0)


def typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def create(client: Client, name: str, **options: Any) -> Any:
    sent = {PREFIX + key: typed(value) for key, value in options.items()}
    return client.post(ADD, fields(acquisition=name, **sent))


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_every_function_is_explained_with_all_its_parameters(as_ruth: Client, name: str) -> None:
    page = as_ruth.post(ADD, fields(acquisition=name, **{SHOW: "1"})).content.decode()
    own, shared = options_of(name)
    assert offered(page) == {option.name for option in own + shared}
    assert f"<p>{ACQUISITIONS[name].summary[:40]}" in page
    for option in own + shared:
        assert option.help[:40] in page
    assert not Campaign.objects.exists()  # showing saves nothing


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_every_parameter_can_be_set_and_is_shown_again(as_ruth: Client, name: str) -> None:
    wanted = {option.name: another(option) for option in sum(options_of(name), ())}
    reply = create(as_ruth, name, **wanted)
    assert reply.status_code == 302, reply.context["errors"]
    campaign = Campaign.objects.get()
    assert (campaign.acquisition, campaign.acquisition_config) == (name, wanted)
    page = as_ruth.get(f"{ADMIN}/campaign/{campaign.pk}/change/").context["adminform"].form
    for key, value in wanted.items():
        assert page[PREFIX + key].value() == (typed(value) if isinstance(value, bool) else value)


def test_what_is_left_empty_or_equals_its_default_is_not_stored(as_ruth: Client) -> None:
    create(as_ruth, "entropy", screen="", per_prompt=1, random_share=0.25)
    assert Campaign.objects.get().acquisition_config == {"random_share": 0.25}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("random_share", "1.5", "random share must be at most 1.0, got 1.5"),
        ("per_prompt", "-1", "per prompt must be at least 0, got -1"),
        ("per_prompt", "1.5", "Enter a whole number"),
        ("screen", "nan", "Enter a number"),
        ("per_minute", "perhaps", "not one of the available choices"),
    ],
)
def test_a_bad_parameter_is_named_at_its_field_and_nothing_typed_is_lost(
    as_ruth: Client, option: str, value: str, said: str
) -> None:
    reply = create(as_ruth, "entropy", **{"prefilter": 77, option: value})
    form = reply.context["adminform"].form
    assert said in " ".join(form.errors[PREFIX + option])
    assert form[PREFIX + "prefilter"].value() == "77"
    assert form["name"].value() == "Sea"
    assert not Campaign.objects.exists()


def test_another_function_is_shown_with_everything_typed_so_far(as_ruth: Client) -> None:
    sent = fields(acquisition="entropy", name="", **{PREFIX + "screen": "2.5", SHOW: "1"})
    sent |= {"memberships-TOTAL_FORMS": 1, "memberships-0-role": "viewer"}
    page = as_ruth.post(ADD, sent)
    form = page.context["adminform"].form
    assert (form[PREFIX + "screen"].value(), form["guidelines_text"].value()) == ("2.5", "Be fair.")
    assert not form.errors  # an empty name is no error yet
    assert 'value="viewer" selected' in page.content.decode()


def test_parameters_follow_the_function_when_it_changes(ruth: User, as_ruth: Client) -> None:
    campaign = create_campaign(
        slug="sea", name="Sea", owner=ruth, acquisition="entropy", acquisition_config={"screen": 2}
    )
    where = f"{ADMIN}/campaign/{campaign.pk}/change/"
    assert as_ruth.post(where, fields(acquisition="random")).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.acquisition, campaign.acquisition_config) == ("random", {})


def test_the_form_opens_with_the_default_and_explains_every_function(as_ruth: Client) -> None:
    page = as_ruth.get(ADD).content.decode()
    assert f'<option value="{DEFAULT_ACQUISITION}" selected>' in page
    assert page.index("Recommended") < page.index("For comparison (diagnostic)")
    for entry in [*ACQUISITIONS.values(), *HEADS.values()]:
        assert f"<strong>{entry.name}</strong>: {entry.summary[:40]}" in page


def test_who_may_only_look_sees_the_parameters(ruth: User, sam: User) -> None:
    campaign = create_campaign(
        slug="sea", name="Sea", owner=ruth, acquisition="entropy", acquisition_config={"screen": 2}
    )
    add_member(campaign=campaign, user=sam, role="researcher")
    User.objects.filter(pk=sam.pk).update(is_staff=True)
    sam.user_permissions.set(Permission.objects.filter(codename="view_campaign"))
    page = signed_in(User.objects.get(pk=sam.pk)).get(f"{ADMIN}/campaign/{campaign.pk}/change/")
    assert page.status_code == 200
    assert "screen&quot;: 2.0" in page.content.decode()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"screen": -1}, "entropy.screen must be at least 0.0, got -1.0"),
        ({"colour": "red"}, "entropy has no option 'colour'; it has: "),
        ([1], "expected options by name"),
    ],
)
def test_a_campaign_made_by_a_script_is_checked_alike(config: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        create_campaign(slug="x", name="X", acquisition="entropy", acquisition_config=config)


def test_a_campaign_made_by_a_script_stores_only_what_differs() -> None:
    config = {"screen": 4, "per_prompt": 3}
    made = create_campaign(slug="x", name="X", acquisition="entropy", acquisition_config=config)
    made.refresh_from_db()
    assert made.acquisition_config == {"per_prompt": 3}
