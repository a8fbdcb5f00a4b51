"""Times as people say them, not as a clock does."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def about(milliseconds: float | None) -> str:
    """Roughly how long: 5 s, 40 s, 3 min, 2 h 10 min."""
    if milliseconds is None:
        return "–"
    seconds = milliseconds / 1000
    if seconds < 97.5:
        return _("%(n)s s") % {"n": max(5, 5 * round(seconds / 5))}
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("%(n)s min") % {"n": minutes}
    return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": minutes % 60}
