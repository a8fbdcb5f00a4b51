"""What the campaign form offers is what there is, and it refuses what would be refused there."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator import catalogue
from annotator.catalogue import FILE, Refused, normalised, options_of
from config.env import BASE_DIR
from learning.acquisition import METHODS, Common, Recipe
from learning.catalogue import catalogue as registered
from learning.errors import ConfigError
from learning.finetune.plan import Plan

VALUES = (
    st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
    | st.sampled_from([0, 1, 2, 0.5, 1.0, 10**400, -(10**400), float("inf"), 2**63])
)


def said(name: str, given_options: dict[str, Any]) -> str:
    """What this side says of some options; empty when it takes them."""
    try:
        normalised(name, given_options)
    except Refused as refused:
        return str(refused)
    return ""


def said_there(name: str, given_options: dict[str, Any]) -> str:
    """What the learning side says of them."""
    try:
        Recipe.of(name, given_options)
    except ConfigError as error:
        return str(error)
    return ""


def some_options(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Options of a function, some that it does not have among them, with any values."""
    choices = [choice for option in sum(options_of(name), ()) for choice in option.choices or ()]
    known = [option.name for option in sum(options_of(name), ())]
    names = st.sampled_from([*known, "colour"])
    values = VALUES | st.sampled_from(choices) if choices else VALUES
    return st.dictionaries(names, values, max_size=3)


def test_the_file_is_what_the_learning_side_registers() -> None:
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    command = "python -m learning catalogue --out annotator/catalogue.json"
    assert stored == json.loads(json.dumps(registered())), f"out of date; run {command}"


def test_the_defaults_are_registered() -> None:
    assert catalogue.DEFAULT_ACQUISITION in METHODS
    assert not METHODS[catalogue.DEFAULT_ACQUISITION].diagnostic
    assert catalogue.AUTO_HEAD not in catalogue.HEADS


@given(data=st.data(), name=st.sampled_from(sorted(METHODS)))
def test_bad_options_are_refused_in_the_words_of_the_learning_side(
    data: st.DataObject, name: str
) -> None:
    options = data.draw(some_options(name))
    assert said(name, options) == said_there(name, options)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_single_option_out_of_its_range_is_named(name: str) -> None:
    for option in sum(options_of(name), ()):
        for bad in (None, [], "moon" if option.kind != "str" or option.choices else 1):
            assert f"{name}.{option.name} must be" in said(name, {option.name: bad})
        if option.low is not None:
            assert f"at least {option.low}" in said(name, {option.name: type(option.default)(-9e9)})


@given(data=st.data(), name=st.sampled_from(sorted(METHODS)))
def test_only_what_differs_from_its_default_is_kept_and_it_means_the_same(
    data: st.DataObject, name: str
) -> None:
    options = data.draw(some_options(name))
    if said(name, options):
        return
    kept = normalised(name, options)
    assert Recipe.of(name, kept) == Recipe.of(name, options)
    assert normalised(name, kept) == kept
    used = Recipe.of(name).to_json()
    assert all(kept[key] != used[key] for key in kept)
    assert json.loads(json.dumps(kept)) == kept


def test_an_unknown_function_is_refused_in_the_same_words() -> None:
    assert said("magic", {}) == said_there("magic", {}) != ""


def test_common_options_are_offered_where_they_apply() -> None:
    names = {item.name for item in fields(Common)}
    for method in METHODS.values():
        own, shared = options_of(method.name)
        own_names = {option.name for option in own}
        assert {option.name for option in shared} == (
            names - own_names if method.wrapped else set()
        )


def test_every_common_option_is_explained_in_the_guide() -> None:
    guide = (BASE_DIR / "docs" / "how-to" / "campaign.md").read_text(encoding="utf-8")
    for option in catalogue.COMMON:
        assert f"\n| {option.label} | " in guide


def test_every_head_is_explained_in_the_guide() -> None:
    guide = (BASE_DIR / "docs" / "how-to" / "campaign.md").read_text(encoding="utf-8")
    assert [head for head in catalogue.HEADS if f"\n| `{head}` | " not in guide] == []


@pytest.mark.parametrize("members", [1, 3, 33])
def test_too_few_or_many_members_are_refused_as_the_learning_side_does(members: int) -> None:
    with pytest.raises(ConfigError) as there:
        Plan.read({"members": members})
    with pytest.raises(Refused) as here:
        catalogue.normalised_finetuning({"members": members})
    assert str(here.value) == str(there.value).replace("plan.", "finetuning.")
    assert here.value.option == "members"


@pytest.mark.parametrize("members", [0, 4, 32])
def test_an_ensemble_is_of_none_or_enough(members: int) -> None:
    assert Plan.read({"members": members}).members == members
    kept = {"members": members} if members else {}
    assert catalogue.normalised_finetuning({"members": members}) == kept
