"""How one person likes to work."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User

from annotator import keys
from annotator.models import Preferences


def save_keys(*, user: User, given: Mapping[str, str]) -> dict[str, str]:
    """Keep a person's keys, all or none; returns those that differ from the defaults.

    Raises:
        InvalidAnswer: by action, what is wrong with its key; what was kept before stays.
    """
    own = keys.checked(given)
    Preferences.objects.update_or_create(user=user, defaults={"keys": own})
    return own


def reset_keys(*, user: User) -> None:
    """Back to the defaults."""
    Preferences.objects.filter(user=user).update(keys={})
