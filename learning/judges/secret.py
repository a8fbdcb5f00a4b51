"""A key that does not get into logs by accident."""

from __future__ import annotations

from typing import Final, NoReturn

HIDDEN: Final = "[key]"


class Secret:
    """Holds a key. Neither ``repr`` nor ``str`` shows it, and it cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value.strip()

    def reveal(self) -> str:
        """The key itself, for the one header that needs it."""
        return self._value

    def hide(self, text: str) -> str:
        """A text of somebody else's, without the key should it stand in there."""
        return text.replace(self._value, HIDDEN) if self._value else text

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret({HIDDEN if self._value else ''})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
