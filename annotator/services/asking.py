"""What a campaign asks: whether its forms, their options and its pool fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count

from annotator.errors import InvalidInput
from annotator.forms import FORMS, PARTS, checked, sizes
from annotator.models import Campaign, ItemResponse, Response

ORDER = tuple(FORMS)  # in which forms are asked: what says most about the order comes first
FOLLOWING = ("rate", "accept", "edit")  # what they say is kept, whatever came before
RATIONALE = "rationale"
HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
MOST_HOSTS = 50
STRENGTHS = 4  # with fewer steps, a comparison has no strength


def check_asking(campaign: Campaign) -> None:
    """Refuse what cannot be asked; put follow-ups in order, options and hosts in their form.

    Raises:
        ValidationError: by field: `follow_ups`, `set_size`, `candidates`, `form_options`,
            `image_hosts`.
    """
    problems: dict[str, list[str]] = {}
    for check in (_follow_ups, _set_size, _candidates, _options, _hosts):
        for field, said in check(campaign):
            problems.setdefault(field, []).append(said)
        if "follow_ups" in problems:
            break  # everything else depends on the forms
    if problems:
        raise ValidationError(problems)


def asked(campaign: Campaign) -> tuple[str, ...]:
    """The campaign's forms, in the order in which they are asked."""
    return (campaign.form, *campaign.follow_ups)


def check_pool(campaign: Campaign) -> None:
    """Refuse a pool in which nothing is large enough for the campaign's forms.

    Raises:
        InvalidInput: in words for a researcher.
    """
    needed = campaign.set_size or sizes(asked(campaign))[0]
    if campaign.candidates == Campaign.Candidates.ITEM:
        places = ItemResponse.objects.filter(item__campaign=campaign).order_by()
        each = places.values("item_id").annotate(n=Count("response_id", distinct=True))
        where = "items"
    else:
        responses = Response.objects.filter(prompt__campaign=campaign).order_by()
        any_two = campaign.candidates == Campaign.Candidates.ANY
        each = responses.values("prompt__campaign_id" if any_two else "prompt_id")
        each, where = each.annotate(n=Count("pk")), "prompts"
    if not each.filter(n__gte=needed).exists():
        shown = f"{needed} responses" if needed > 1 else "1 response"
        raise InvalidInput(
            f"this campaign's form shows at least {shown}; none of its {where} has as many: "
            "import more, or choose another form"
        )


def option_problems(name: str, given: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the options of one form or of the rationale, by option."""
    fields = PARTS[name].options.base_fields
    usual = {key: field.initial for key, field in fields.items()}
    form = PARTS[name].options({**usual, **given})
    return {key: " ".join(str(said) for said in errors) for key, errors in form.errors.items()}


def rationale_problem(names: Sequence[str], options: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a reason would never be asked for although the campaign wants some; empty if it would."""
    if options.get(RATIONALE, {}).get("ask") != "extreme":
        return ""
    steps = options.get("compare", {}).get("steps", STRENGTHS)
    if "compare" in names and int(steps) >= STRENGTHS:
        return ""
    return (
        "no answer of this campaign has a strength, so that a reason would never be required: "
        "compare with 4 steps or more, or ask otherwise"
    )


def _follow_ups(campaign: Campaign) -> Iterator[tuple[str, str]]:
    lead, follow_ups = campaign.form, list(campaign.follow_ups)
    for name in dict.fromkeys(follow_ups):
        if name == lead:
            yield "follow_ups", f"{name} is the campaign's form already"
        elif follow_ups.count(name) > 1:
            yield "follow_ups", f"{name} is listed {follow_ups.count(name)} times"
        elif (said := _apart(lead, name)) or name not in FOLLOWING:
            own = f"{name} gives an order of its own: it can only be the campaign's form"
            yield "follow_ups", said or own
        elif ORDER.index(name) < ORDER.index(lead):
            said = f"{name} is asked before {lead}: make {name} the form, and let {lead} follow"
            yield "follow_ups", said
    campaign.follow_ups = sorted(follow_ups, key=ORDER.index)


def _apart(one: str, other: str) -> str:
    """Why two forms cannot be asked about the same responses; empty if they can."""
    least, most = sizes((one, other))
    if least <= most:
        return ""
    return f"{_shows(one)} and {_shows(other)}: they cannot be asked about the same responses"


def _shows(*names: str) -> str:
    least, most = sizes(names)
    number = f"{least}" if least == most else f"{least} to {most}"
    said = " and ".join(names)
    return f"{said} {'asks' if len(names) == 1 else 'ask'} about {number} responses"


def _set_size(campaign: Campaign) -> Iterator[tuple[str, str]]:
    least, most = sizes(asked(campaign))
    if campaign.set_size and not least <= campaign.set_size <= most:
        yield (
            "set_size",
            f"{_shows(*asked(campaign))}; expected such a number, or 0, got {campaign.set_size}",
        )


def _candidates(campaign: Campaign) -> Iterator[tuple[str, str]]:
    across = campaign.candidates == Campaign.Candidates.ANY
    if across and asked(campaign) != ("compare",):
        yield (
            "candidates",
            "responses to different prompts can only be compared: choose the form compare, "
            "and nothing that follows it",
        )


def _options(campaign: Campaign) -> Iterator[tuple[str, str]]:
    given, names = campaign.form_options, (*asked(campaign), RATIONALE)
    if not isinstance(given, dict) or not all(isinstance(v, dict) for v in given.values()):
        yield "form_options", f"expected options by form, got {given!r:.100}"
        return
    kept: dict[str, dict[str, Any]] = {}
    for name, options in given.items():
        if name not in names:
            yield "form_options", f"{name} is not asked here; asked are: {', '.join(names)}"
            continue
        try:
            kept[name] = _kept(name, options)
        except InvalidInput as error:
            yield "form_options", str(error)
    if said := rationale_problem(asked(campaign), kept):
        yield "form_options", f"{RATIONALE}, ask: {said}"
    campaign.form_options = {name: options for name, options in kept.items() if options}


def _kept(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Checked, with switches that are switches: any text would count as on."""
    for key, field in PARTS[name].options.base_fields.items():
        wrong = isinstance(field.initial, bool) and key in options
        if wrong and not isinstance(options[key], bool):
            raise InvalidInput(f"{name}, {key}: expected true or false, got {options[key]!r:.40}")
    return checked(name, options)


def _hosts(campaign: Campaign) -> Iterator[tuple[str, str]]:
    hosts = []
    for given in campaign.image_hosts:
        host = given.strip().lower()
        if len(host) <= 253 and HOST.fullmatch(host):
            hosts.append(host)
        else:
            yield (
                "image_hosts",
                f"“{given}” is not the name of a host: expected one such as images.example.org, "
                "without https://, path, port or *",
            )
    campaign.image_hosts = list(dict.fromkeys(hosts))
    if len(hosts) > MOST_HOSTS:
        yield "image_hosts", f"{len(hosts)} hosts; the limit is {MOST_HOSTS}"
