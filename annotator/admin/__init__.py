"""Django's own admin, where researchers steer. One module per concern."""

from . import campaigns, loop, records

__all__ = ["campaigns", "loop", "records"]
