"""What templates may ask for: safe Markdown, numbers as people write them, keys of the buttons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import template
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as later

from annotator import content, unseen
from annotator.forms.base import LETTERS
from annotator.models import Campaign, Round

register = template.Library()

NARROW_SPACE = "\u202f"
MINUS = "\u2212"
OPEN_FIRST = ["running", "paused", "draft", "finished"]
STATES = {
    "draft": later("draft"),
    "running": later("running"),
    "paused": later("paused"),
    "finished": later("finished"),
}
ROLES = {
    "user": later("User"),
    "assistant": later("Assistant"),
    "system": later("System"),
    "tool": later("Tool"),
}


@register.simple_tag(takes_context=True)
def formatted(context: template.Context, text: str) -> SafeString:
    """Untrusted Markdown as safe HTML, with pictures as the campaign of this page allows."""
    return content.to_html(text, *_pictures(context))


@register.simple_tag(takes_context=True)
def view_of(context: template.Context, text: str) -> content.Text:
    """An untrusted text, formatted and as it was written."""
    return content.view(text, *_pictures(context))


def _pictures(context: template.Context) -> tuple[list[str], content.Pictures]:
    """Hosts that the campaign of this page allows, and uploaded pictures that its texts name."""
    hosts = getattr(context.get("campaign"), "image_hosts", None) or []
    return hosts, context.get("pictures") or content.NO_PICTURES


@register.filter
def turns(prompt: str | list[dict[str, str]]) -> list[dict[str, str]]:
    """A prompt as chat turns."""
    return content.to_turns(prompt)


@register.filter
def role_word(role: str) -> str:
    """Who speaks in a chat turn. Names from a file may have characters that reorder a line."""
    return str(ROLES.get(role) or capfirst(unseen.dropped(role)))


@register.filter
def state_word(state: str) -> str:
    """The state of a campaign."""
    return str(STATES[state])


@register.filter
def at(many: Any, place: Any) -> Any:
    """What a list or a mapping has at a place; None where it has nothing."""
    try:
        return many[place]
    except (KeyError, IndexError, TypeError):
        return None


@register.filter
def press(keys: Mapping[str, str], actions: str) -> str:
    """The keys of some actions, separated by spaces, as scripts read them."""
    return " ".join(keys[action] for action in actions.split() if action in keys)


@register.filter
def press_nth(keys: Mapping[str, str], place: int) -> str:
    """The key of the choice in this place of a group, counted from 1."""
    return keys.get(f"choice.{place}", "")


@register.filter
def is_chat(prompt: str | list[dict[str, str]]) -> bool:
    """Whether a prompt has more than one turn."""
    return not isinstance(prompt, str) and len(prompt) > 1


@register.filter
def split_keys(keys: str) -> list[str]:
    """Each key as it is printed on a button."""
    return keys.upper().split()


@register.filter
def letter(place: int) -> str:
    """The name of the response in this place, counted from 0."""
    return LETTERS[place]


@register.filter
def arrows(strength: int) -> list[int]:
    """As many marks as the preference is strong."""
    return list(range(strength))


@register.filter
def first_word(label: str) -> str:
    """What a narrow button has room for."""
    return label.partition(" ")[0]


@register.filter
def other_words(label: str) -> str:
    """The rest of a label after its first word."""
    return label.partition(" ")[2]


@register.filter
def open_first(campaigns: Iterable[Campaign]) -> list[Campaign]:
    """Campaigns that can be worked on before those that rest."""
    return sorted(campaigns, key=lambda campaign: OPEN_FIRST.index(campaign.state))


@register.filter
def took(made: Round) -> str:
    """How long a round took."""
    if made.finished_at is None:
        return "–"
    return seconds(max(0.0, (made.finished_at - made.created_at).total_seconds() * 1000))


@register.filter
def thousands(number: int | float | None) -> str:
    """A whole number in groups of three: 12 345."""
    return "–" if number is None else f"{number:,.0f}".replace(",", NARROW_SPACE)


@register.filter
def percent(share: float | None) -> str:
    """A share in per cent, with one decimal."""
    return "–" if share is None else f"{share * 100:.1f}{NARROW_SPACE}%"


@register.filter
def money(amount: Decimal | float | None) -> str:
    """An amount with the digits that matter: 0.0022, 12.50."""
    if amount is None:
        return "–"
    return f"{amount:.2f}" if not amount or abs(amount) >= 1 else f"{amount:.2g}"


@register.filter
def signed(number: float | None) -> str:
    """A number with its sign, two decimals."""
    return "–" if number is None else f"{number:+.2f}".replace("-", MINUS)


@register.filter
def seconds(milliseconds: float | None) -> str:
    """Milliseconds as seconds, or minutes when long."""
    if milliseconds is None:
        return "–"
    whole = round(milliseconds / 1000)
    if whole < 100:
        return f"{milliseconds / 1000:.1f}{NARROW_SPACE}s"
    return f"{whole // 60}{NARROW_SPACE}min {whole % 60:02d}{NARROW_SPACE}s"
