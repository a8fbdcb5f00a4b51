"""How long the queue is, as far as it concerns who answers it."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def roughly(number: int) -> str:
    """A number of questions in tens: 40+, fewer than 10.

    Not exactly: what is mixed in is not from the queue, and a queue that did not get shorter
    would tell that the last question was no ordinary one.
    """
    if number < 10:
        return _("fewer than 10")
    step = 10 if number < 100 else 100
    return f"{number // step * step}+"
