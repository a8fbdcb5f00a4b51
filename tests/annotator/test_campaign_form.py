"""Choosing a function and its parameters: all are offered, checked, and kept as typed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils.html import escape

from annotator.admin.option_blocks import ASKED_PREFIX, PREFIX
from annotator.admin.options import SHOW
from annotator.catalogue import ACQUISITIONS, DEFAULT_ACQUISITION, HEADS, Option, options_of
from annotator.forms import FORMS, PARTS
from annotator.models import Campaign
from annotator.services.campaigns import add_member, create_campaign
from tests.annotator.conftest import signed_in
from tests.annotator.test_admin import ADMIN, fields
from tests.campaigns import item, make_campaign

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


# --- forms and their options -------------------------------------------------------------


def asked(page: str) -> set[str]:
    """Options of forms that a page has fields for, as `form_option`."""
    return set(re.findall(rf'name="{ASKED_PREFIX}(\w+)"', page))


def options_of_forms(*names: str) -> set[str]:
    return {f"{name}_{key}" for name in names for key in PARTS[name].options.base_fields}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_shown_with_its_options_and_those_of_the_reason(
    as_ruth: Client, form: str
) -> None:
    page = as_ruth.post(ADD, fields(form=form, **{SHOW: "1"})).content.decode()
    assert asked(page) == options_of_forms(form, "rationale")
    assert escape(PARTS[form].help[:40]) in page
    assert not Campaign.objects.exists()


def test_options_follow_the_forms_in_the_order_in_which_they_are_asked(as_ruth: Client) -> None:
    sent = fields(follow_ups=["edit", "rate"], name="", **{SHOW: "1"})
    page = as_ruth.post(ADD, sent)
    text = page.content.decode()
    assert asked(text) == options_of_forms("compare", "rate", "edit", "rationale")
    order = ["Options of compare", "Options of rate", "Options of edit", "The reason"]
    assert [text.index(title) for title in order] == sorted(text.index(title) for title in order)
    assert not page.context["adminform"].form.errors


def test_what_accept_asks_is_no_option_of_the_comparison_before_it(as_ruth: Client) -> None:
    page = as_ruth.post(ADD, fields(follow_ups=["accept"], **{SHOW: "1"})).content.decode()
    assert {"compare_neither", "compare_both_good"} & asked(page) == set()


def test_forms_and_their_options_are_stored_and_shown_again(as_ruth: Client) -> None:
    sent = {
        "asked_compare_steps": "5",
        "asked_compare_both_good": "true",
        "asked_compare_aspects": "helpful\nharmless",
        "asked_edit_reasons": "-",
        "asked_rationale_ask": "sampled",
        "asked_rationale_share": "0.5",
        "image_hosts": "Images.example.org\ncats.example.org",
    }
    reply = as_ruth.post(ADD, fields(follow_ups=["edit"], **sent))
    assert reply.status_code == 302, reply.context["errors"]
    campaign = Campaign.objects.get()
    assert campaign.form_options == {
        "compare": {"steps": 5, "both_good": True, "aspects": ["helpful", "harmless"]},
        "edit": {"reasons": []},
        "rationale": {"ask": "sampled", "share": 0.5},
    }
    assert campaign.image_hosts == ["images.example.org", "cats.example.org"]
    form = as_ruth.get(f"{ADMIN}/campaign/{campaign.pk}/change/").context["adminform"].form
    shown = {name: str(form[name].value()) for name in sent}
    assert shown == sent | {"image_hosts": sent["image_hosts"].lower()}


def test_options_left_empty_are_the_defaults(as_ruth: Client) -> None:
    as_ruth.post(ADD, fields(asked_compare_steps="", asked_rationale_share="0.2"))
    assert Campaign.objects.get().form_options == {}


@pytest.mark.parametrize(
    ("field", "changes", "said"),
    [
        ("asked_rationale_share", {"asked_rationale_share": "1.5"}, "less than or equal to 1"),
        ("asked_compare_steps", {"asked_compare_steps": "9"}, "not one of the available choices"),
        ("asked_rationale_tags", {"asked_rationale_tags": "x" * 41}, "the limit is 40"),
        (
            "asked_rate_labels",
            {"form": "rate", "asked_rate_labels": "one"},
            "expected at least two marks",
        ),
        (
            "asked_rationale_ask",
            {"form": "rank", "asked_rationale_ask": "extreme"},
            "a reason would never be required",
        ),
        ("follow_ups", {"follow_ups": ["rank"]}, "not one of the available choices"),
        ("follow_ups", {"form": "edit", "follow_ups": ["rate"]}, "make rate the form"),
        ("set_size", {"set_size": "3"}, "expected such a number, or 0, got 3"),
        ("candidates", {"form": "rank", "candidates": "any"}, "can only be compared"),
        ("image_hosts", {"image_hosts": "https://a.org"}, "is not the name of a host"),
    ],
)
def test_what_cannot_be_asked_is_said_beside_its_field(
    as_ruth: Client, field: str, changes: dict[str, Any], said: str
) -> None:
    form = as_ruth.post(ADD, fields(**changes)).context["adminform"].form
    assert list(form.errors) == [field]
    assert said in " ".join(form.errors[field])
    assert form["name"].value() == "Sea"
    assert not Campaign.objects.exists()


@pytest.fixture
def running(ruth: User) -> Campaign:
    campaign = make_campaign("sea", rows=[item(n) for n in range(2)])
    add_member(campaign=campaign, user=ruth, role="owner")
    return campaign


def change(client: Client, campaign: Campaign, **changes: Any) -> Any:
    return client.post(f"{ADMIN}/campaign/{campaign.pk}/change/", fields(**changes))


def test_what_follows_may_change_while_a_campaign_runs_and_the_form_may_not(
    as_ruth: Client, running: Campaign
) -> None:
    sent = {"form": "rate", "follow_ups": ["accept"], "asked_rationale_ask": "always"}
    assert change(as_ruth, running, **sent).status_code == 302
    running.refresh_from_db()
    assert (running.form, running.follow_ups) == ("compare", ["accept"])
    assert running.form_options == {"rationale": {"ask": "always"}}


def test_options_of_a_form_that_is_asked_no_more_are_dropped(
    as_ruth: Client, running: Campaign
) -> None:
    change(as_ruth, running, follow_ups=["rate"], asked_rate_thumbs="true")
    running.refresh_from_db()
    assert running.form_options == {"rate": {"thumbs": True}}
    change(as_ruth, running)
    running.refresh_from_db()
    assert (running.follow_ups, running.form_options) == ([], {})


def test_a_size_that_no_item_of_a_running_campaign_has_is_refused(
    as_ruth: Client, running: Campaign
) -> None:
    Campaign.objects.filter(pk=running.pk).update(form="rate")
    reply = change(as_ruth, running, set_size="3")
    assert "shows at least 3 responses" in str(reply.context["adminform"].form.errors["follow_ups"])
    running.refresh_from_db()
    assert running.set_size == 0
