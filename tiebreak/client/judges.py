"""LLMs that answer a campaign's questions besides people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Unpack

from tiebreak.client.http import Connection
from tiebreak.client.results import read
from tiebreak.client.settings import JudgeSettings


@dataclass(frozen=True)
class JudgeCall:
    """One call of a model: the prompt as it was sent, the reply as it came, and what it took."""

    order: list[int]
    chose: int | None
    messages: list[dict[str, Any]]
    reply: str
    model: str
    template: str
    template_version: str
    tokens_in: int
    tokens_out: int
    tokens_estimated: bool
    seconds: float
    money: Decimal
    tries: int
    error: str
    told: str


@dataclass(frozen=True)
class Judgement:
    """What a judge said to one question, both display orders together.

    `p` is the probability, not calibrated, that `order[0]` is better than `order[1]`; `calls` are
    there only where they were asked for.
    """

    id: int
    query: int
    annotation: int | None
    outcome: str | None
    order: list[int]
    p: float | None
    inconsistent: bool
    disagreement: float
    related: bool
    error: str
    told: str
    money: Decimal
    tokens_in: int
    tokens_out: int
    seconds: float
    guidelines_version: int
    created_at: datetime
    calls: tuple[JudgeCall, ...] | None


@dataclass(frozen=True)
class JudgeReport:
    """What the questions that a person and the judge both answered say of the judge."""

    audited: int
    figures: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Judge:
    """A judge as it was last read: where it is, what it cost, and why it is not asked.

    Prices are for a million tokens. `trouble` is empty while nothing is wrong. Of the key only the
    name of the workers' environment variable is known, and that to owners and researchers.
    """

    id: int
    name: str
    provider: str
    base_url: str
    model: str
    key_name: str | None
    mode: str
    template: dict[str, str]
    max_tokens: int
    price_in: Decimal
    price_out: Decimal
    spend_limit: Decimal | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    workers: int
    timeout: int
    history_sample: int
    active: bool
    trouble: str
    troubled_at: datetime | None
    retry_at: datetime | None
    asked: int
    failed: int
    spent: Decimal
    measured_from: datetime
    created_at: datetime
    _site: Connection = field(repr=False, compare=False, kw_only=True)

    def refresh(self) -> Judge:
        """Read it again."""
        row = self._site.call("GET /judges/{id}/", id=self.id)
        return read(Judge, row, _site=self._site)

    def change(self, **settings: Unpack[JudgeSettings]) -> Judge:
        """Change settings, or switch it off (`active=False`): people then answer what waits.

        What was wrong is forgotten, also when nothing is given: it is asked again.
        """
        row = self._site.call("PATCH /judges/{id}/", id=self.id, body=sent(settings))
        return read(Judge, row, _site=self._site)

    def judgements(
        self,
        *,
        query: int | None = None,
        error: str | None = None,
        inconsistent: bool | None = None,
        calls: bool | None = None,
    ) -> Iterator[Judgement]:
        """What it said, the newest first; with `calls` also prompts and raw replies."""
        filters = {"query": query, "error": error, "inconsistent": inconsistent, "calls": calls}
        for row in self._site.pages("GET /judges/{id}/judgements/", filters, id=self.id):
            yield read(Judgement, row)

    def report(self) -> JudgeReport:
        """How good it is on the questions that people answered, too.

        Raises:
            NotFound: there are too few of them so far.
        """
        return read(JudgeReport, self._site.call("GET /judges/{id}/report/", id=self.id))


def sent(settings: JudgeSettings) -> dict[str, Any]:
    """Settings as the site takes them: amounts as text, so that none is rounded."""
    return {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in settings.items()
    }
