"""Forms, their options and the pool must fit together, whoever makes the campaign."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotator.errors import InvalidInput
from annotator.forms import FORMS, PARTS
from annotator.models import Campaign, Round
from annotator.services.asking import FOLLOWING, ORDER
from annotator.services.campaigns import create_campaign, start_campaign
from tests.campaigns import item, load

pytestmark = pytest.mark.django_db


def make(**fields: Any) -> Campaign:
    return create_campaign(slug="sea", name="Sea", **fields)


def refused(field: str, **fields: Any) -> str:
    """What is said beside this field, and only there."""
    with pytest.raises(ValidationError) as caught:
        make(**fields)
    assert list(caught.value.message_dict) == [field]
    assert not Campaign.objects.exists()
    return " ".join(caught.value.message_dict[field])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_chosen_with_all_that_may_follow_it(form: str) -> None:
    later = [name for name in FOLLOWING if ORDER.index(name) > ORDER.index(form)]
    assert make(form=form, follow_ups=later).follow_ups == later


def test_follow_ups_are_kept_in_the_order_in_which_they_are_asked() -> None:
    assert make(follow_ups=["edit", "rate", "accept"]).follow_ups == ["rate", "accept", "edit"]


@pytest.mark.parametrize(
    ("form", "follow_ups", "said"),
    [
        ("compare", ["compare"], "compare is the campaign's form already"),
        ("compare", ["edit", "edit"], "edit is listed 2 times"),
        (
            "compare",
            ["rank"],
            "compare asks about 2 responses and rank asks about 3 to 10 responses: they cannot be "
            "asked about the same responses",
        ),
        ("rate", ["compare"], "compare gives an order of its own"),
        ("rank", ["best_worst"], "best_worst gives an order of its own"),
        ("edit", ["accept"], "make accept the form, and let edit follow"),
        ("accept", ["rate"], "make rate the form, and let accept follow"),
    ],
)
def test_forms_that_do_not_go_together_are_refused(
    form: str, follow_ups: list[str], said: str
) -> None:
    assert said in refused("follow_ups", form=form, follow_ups=follow_ups)


def test_a_form_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="form"):
        make(form="guess")
    with pytest.raises(ValidationError, match="follow_ups"):
        make(follow_ups=["guess"])


@pytest.mark.parametrize(("form", "size"), [("compare", 2), ("rank", 10), ("edit", 1), ("rank", 0)])
def test_a_set_size_that_the_forms_can_show_is_taken(form: str, size: int) -> None:
    assert make(form=form, set_size=size).set_size == size


@pytest.mark.parametrize(
    ("form", "follow_ups", "size", "said"),
    [
        ("compare", [], 3, "compare asks about 2 responses; expected such a number, or 0, got 3"),
        ("rank", ["accept"], 2, "rank and accept ask about 3 to 10 responses"),
        ("best_worst", [], 7, "3 to 6"),
    ],
)
def test_a_set_size_beyond_the_forms_is_refused(
    form: str, follow_ups: list[str], size: int, said: str
) -> None:
    assert said in refused("set_size", form=form, follow_ups=follow_ups, set_size=size)


def test_responses_to_different_prompts_are_only_compared() -> None:
    assert make(candidates="any", form_options={"rationale": {"ask": "always"}}).pk


@pytest.mark.parametrize("fields", [{"form": "rate"}, {"follow_ups": ["accept"]}])
def test_responses_to_different_prompts_are_refused_for_other_forms(fields: Any) -> None:
    assert "can only be compared" in refused("candidates", candidates="any", **fields)


def test_options_are_kept_where_they_differ_from_their_defaults() -> None:
    options = {
        "compare": {"steps": "5", "neither": True, "aspects": "helpful, harmless"},
        "edit": {"unchanged": True},
        "rationale": {"ask": "sampled", "share": 0.2},
    }
    made = make(follow_ups=["edit"], form_options=options)
    assert made.form_options == {
        "compare": {"steps": 5, "aspects": ["helpful", "harmless"]},
        "rationale": {"ask": "sampled"},
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compare": {"colour": "red"}}, "compare: there is no option 'colour'; there are: steps"),
        ({"compare": {"steps": 8}}, "compare, steps: Select a valid choice"),
        ({"compare": {"neither": "no"}}, "compare, neither: expected true or false, got 'no'"),
        ({"rank": {"ties": False}}, "rank is not asked here; asked are: compare, rationale"),
        ({"guess": {}}, "guess is not asked here"),
        ({"compare": 5}, "expected options by form"),
        ([1], "expected options by form"),
        ({"rationale": {"share": 1.5}}, "rationale, share: "),
        ({"rationale": {"share": float("nan")}}, "rationale, share: "),
        ({"rationale": {"tags": ["x" * 41]}}, "41 characters; the limit is 40"),
        ({"rationale": {"tags": [1, 2]}}, "expected a list of words"),
        (
            {"compare": {"steps": 3}, "rationale": {"ask": "extreme"}},
            "a reason would never be required",
        ),
    ],
)
def test_bad_options_are_refused_in_words(options: Any, said: str) -> None:
    assert said in refused("form_options", form_options=options)


def test_every_complaint_comes_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        make(set_size=9, image_hosts=["*"], form_options={"compare": {"steps": 1}})
    assert set(caught.value.message_dict) == {"set_size", "image_hosts", "form_options"}


def test_hosts_are_kept_in_small_letters_and_once() -> None:
    hosts = [
        " Images.Example.org",
        "images.example.org",
        "localhost",
        "10.0.0.1",
        "xn--mnchen-3ya.de",
    ]
    assert make(image_hosts=hosts).image_hosts == [
        "images.example.org",
        "localhost",
        "10.0.0.1",
        "xn--mnchen-3ya.de",
    ]


@pytest.mark.parametrize(
    "host",
    [
        *("https://images.example.org", "images.example.org/cats", "images.example.org:8080"),
        *("*.example.org", "*", "a b.org", "'self'", "a.org; script-src *", "-a.org", "a..org"),
        *("user@a.org", "a.org\nb.org", "a.org.", "x" * 64 + ".org", "münchen.de"),
    ],
)
def test_what_is_no_host_name_is_refused(host: str) -> None:
    assert "is not the name of a host" in refused("image_hosts", image_hosts=[host])


def test_a_list_of_hosts_has_an_end() -> None:
    hosts = [f"h{n}.example.org" for n in range(51)]
    assert refused("image_hosts", image_hosts=hosts) == "51 hosts; the limit is 50"


def pool(sizes: list[int], **fields: Any) -> Campaign:
    """A draft with items of these sizes, imported before its form was chosen."""
    made = make(candidates="prompt", holdout_prompts=0, holdout_share=0)
    tasks = {1: "edit", 2: "pairwise"}
    for n, size in enumerate(sizes):
        said = [{"text": f"{n}, {k}", "model": "m"} for k in range(size)]
        load(made, [item(n, task=tasks.get(size, "listwise"), responses=said)])
    Campaign.objects.filter(pk=made.pk).update(**({"candidates": "item"} | fields))
    made.refresh_from_db()
    return made


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"form": "rank"}, "shows at least 3 responses; none of its items has as many"),
        (
            {"form": "rank", "candidates": "prompt"},
            "shows at least 3 responses; none of its prompts has as many",
        ),
        ({"form": "rate", "set_size": 4}, "shows at least 4 responses"),
        ({"form": "edit", "follow_ups": ["accept"], "set_size": 3}, "at least 3 responses"),
    ],
)
def test_a_pool_that_is_too_small_for_the_form_is_not_started(
    fields: dict[str, Any], said: str
) -> None:
    campaign = pool([2, 2], **fields)
    with pytest.raises(InvalidInput, match=re.escape(said)):
        start_campaign(campaign=campaign)
    campaign.refresh_from_db()
    assert (campaign.state, Round.objects.count()) == ("draft", 0)


@pytest.mark.parametrize(
    ("sizes", "fields"),
    [
        ([2, 3], {"form": "rank"}),
        ([1, 2], {"form": "rate"}),
        ([1, 1], {"candidates": "any"}),
        ([2, 2], {"form": "compare", "candidates": "prompt"}),
    ],
)
def test_one_set_that_is_large_enough_is_enough(sizes: list[int], fields: dict[str, Any]) -> None:
    assert start_campaign(campaign=pool(sizes, **fields)).state == "running"


def test_the_models_forms_are_the_forms_that_there_are() -> None:
    assert list(Campaign.Form) == list(FORMS)
    assert {*FORMS, "rationale"} == set(PARTS)
    assert set(FOLLOWING) <= set(FORMS)
