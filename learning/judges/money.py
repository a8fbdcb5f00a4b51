"""What a call costs, before and after it was made.

Before: at most. No tokenizer makes more tokens than a text has bytes of UTF-8 (each token
stands for at least one), so bytes bound the tokens of a prompt, and ``max_tokens`` bounds the
reply. After: by the endpoint's own count. Where an endpoint does not count, a token is taken to
be four bytes, and the call is marked as estimated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from learning.errors import ConfigError
from learning.judges.base import Message

_BYTES_A_TOKEN: Final = 4
_AROUND: Final = 16  # tokens that a chat format puts around a message, at most
_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a million tokens, in any one currency. 0 is free.

    Attributes:
        tokens_in: Of the prompt.
        tokens_out: Of the reply.
    """

    tokens_in: Decimal = Decimal(0)
    tokens_out: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("tokens_in", "tokens_out"):
            object.__setattr__(self, name, amount(getattr(self, name), f"price of {name}"))

    def cost(self, tokens_in: int, tokens_out: int) -> Decimal:
        """What so many tokens cost, exactly."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / _MILLION


def amount(value: Decimal | int | str, what: str) -> Decimal:
    """A sum of money.

    Raises:
        ConfigError: it is negative, or no number.
    """
    try:
        made = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        made = Decimal("NaN")
    if not made.is_finite() or made < 0:
        raise ConfigError(f"{what} must be an amount of at least 0, got {value!r}")
    return made


def most_tokens(messages: Iterable[Message]) -> int:
    """More tokens than any model can make of these messages."""
    return sum(_bytes(turn.content) + _AROUND for turn in messages)


def likely_tokens(texts: Iterable[str]) -> int:
    """An estimate: a token for four bytes, rounded up."""
    return sum(-(-_bytes(text) // _BYTES_A_TOKEN) for text in texts)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
