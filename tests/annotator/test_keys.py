"""Keys: a person's own over the defaults, one action a key, whatever the keyboard."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from annotator.errors import InvalidAnswer
from annotator.keys import ACTIONS, APART, DEFAULTS, GROUPS, checked, keys_for
from annotator.models import Preferences
from annotator.selectors import own_keys
from annotator.services.preferences import reset_keys, save_keys


def wrong(given: dict[str, str]) -> dict[str, list[str]]:
    with pytest.raises(InvalidAnswer) as caught:
        checked(given)
    return caught.value.fields


def test_every_action_is_in_one_group_and_has_words() -> None:
    listed = [action for _, group in GROUPS for action in group]
    assert sorted(listed) == sorted(set(listed)) == sorted(ACTIONS)
    assert all(str(words) for _, words in ACTIONS.values())


def test_own_keys_lie_over_the_defaults() -> None:
    assert keys_for({"skip": "ж"}) == {**DEFAULTS, "skip": "ж"}
    assert keys_for(None) == keys_for({}) == keys_for({"gone": "q"}) == DEFAULTS


@pytest.mark.parametrize("key", ["é", "Ж", "?", "ß", "ا", "ん", "&", '"', "<", "€"])
def test_any_visible_character_is_a_key_in_lower_case(key: str) -> None:
    assert checked({"skip": key}) == {"skip": key.lower()}


def test_a_letter_and_its_accent_are_one_key() -> None:
    assert checked({"skip": "e\u0301"}) == {"skip": "é"}


@pytest.mark.parametrize(
    "key", ["ab", "\u200b", "\u202e", "e\u0301\u0301", "👩\u200d🚀", "\0", "İ"]
)
def test_what_no_key_press_gives_is_refused(key: str) -> None:
    assert "one visible character" in wrong({"skip": key})["skip"][0]


def test_an_empty_field_is_the_default() -> None:
    assert checked({"skip": "", "flag": " ", "undo": "w"}) == {"undo": "w"}


def test_a_clash_is_named_at_both_actions() -> None:
    fields = wrong({"skip": "f"})
    assert set(fields) == {"skip", "flag"}
    assert "flag a problem" in fields["skip"][0]
    assert "skip" in fields["flag"][0]


def test_two_keys_can_change_places() -> None:
    assert checked({"skip": "f", "flag": "s"}) == {"skip": "f", "flag": "s"}


def test_actions_that_never_meet_may_share_a_key() -> None:
    for group in APART:
        assert checked(dict.fromkeys(group, "ж")) == dict.fromkeys(group, "ж")


def test_an_unknown_action_is_refused() -> None:
    assert list(wrong({"destroy": "q"})) == ["destroy"]


def test_keys_are_stored_all_or_none(ada: User) -> None:
    save_keys(user=ada, given={"skip": "ж"})
    with pytest.raises(InvalidAnswer):
        save_keys(user=ada, given={"skip": "w", "flag": "w"})
    assert own_keys(user=ada) == {"skip": "ж"}
    assert Preferences.objects.count() == 1


def test_back_to_the_defaults(ada: User) -> None:
    reset_keys(user=ada)
    save_keys(user=ada, given={"skip": "ж"})
    reset_keys(user=ada)
    assert own_keys(user=ada) == {}
