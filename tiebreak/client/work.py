"""Answering questions: lease, answer, renew, release, take back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from tiebreak.client.errors import Stopped
from tiebreak.client.http import Connection, InCampaign
from tiebreak.client.results import AskedResponse, FormPart, Prompt, Recorded, named, read

REASON = "X-Tiebreak-Reason"
WAITING = ("preparing", "leased")  # there may be a question in a moment
FIRST = {
    "guidelines": "read the newest guidelines, then say so with read_guidelines(version)",
    "practice": "the practice round comes first; it is done in the browser",
    "qualification": "the campaign's test comes first; it is done in the browser",
    "failed": "the last round failed; whoever runs the campaign has to look at it",
}
POLL = 2.0  # seconds


@dataclass(frozen=True)
class Nothing:
    """There is no question for you now; false, so that a loop ends.

    Attributes:
        reason: The site's word for why: `done`, `preparing`, `leased`, `guidelines`, …
    """

    reason: str

    def __bool__(self) -> Literal[False]:
        return False


@dataclass(frozen=True)
class Assignment:
    """A question that is yours until `lease_until`.

    Attributes:
        responses: In the drawn order in which to show them.
        answer_schema: JSON Schema of what `answer` takes.
    """

    id: str
    campaign: str
    state: str
    forms: tuple[FormPart, ...]
    prompt: Prompt
    context: str
    responses: tuple[AskedResponse, ...]
    answer_schema: dict[str, Any] = field(metadata=named("answer"))
    submission_key: str
    lease_until: datetime
    guidelines_version: int
    _site: Connection = field(repr=False, compare=False, kw_only=True)

    def answer(self, **fields: Any) -> Recorded:
        """Answer, with the fields of `answer_schema`; the same answer again is the same record.

        A comparison takes `verdict`: `a1` to `a3` (A is slightly to much better), `tie`, `b1` …

        Raises:
            Conflict: it was answered otherwise before.
            Invalid: a field is wrong.
        """
        row = self._site.call(
            "PUT /assignments/{id}/annotation/", id=self.id, body=fields, key=self.submission_key
        )
        return read(Recorded, row)

    def skip(self) -> Recorded:
        """Leave it to somebody else."""
        return self.answer(choice="skip")

    def flag(self, why: str) -> Recorded:
        """Say that something is wrong with the question."""
        return self.answer(choice="flag", rationale=why)

    def renew(self) -> datetime:
        """Go on working on it; returns until when it is yours.

        Raises:
            Conflict: somebody else has the question now.
        """
        row = self._site.call("POST /assignments/{id}/lease/", id=self.id)
        return datetime.fromisoformat(row["lease_until"])

    def release(self) -> None:
        """Give it back: others may have it at once."""
        self._site.call("DELETE /assignments/{id}/lease/", id=self.id)


class Answering(InCampaign):
    """What annotators do in a campaign."""

    def next(self, *, after: Assignment | None = None) -> Assignment | Nothing:
        """Lease the next question, or get the one that you have already.

        Args:
            after: Lease ahead: the one after this, which stays yours.
        """
        body = {"after": after.id} if after else {}
        row, headers = self._site.answer("POST /campaigns/{slug}/next/", slug=self.slug, body=body)
        return self._assignment(row) if row else Nothing(headers.get(REASON, ""))

    def questions(self, *, patience: float = 600.0) -> Iterator[Assignment]:
        """Yield one question after the other until there are no more for you.

        Each has to be answered, skipped or flagged before the next is asked for. While workers
        choose the next questions, or others hold what is left, this waits.

        Args:
            patience: Seconds to wait for the next question.

        Raises:
            Stopped: something else comes first, such as reading the guidelines.
        """
        waited = time.monotonic()
        while True:
            found = self.next()
            if isinstance(found, Assignment):
                yield found
                waited = time.monotonic()
            elif found.reason in FIRST:
                raise Stopped(found.reason, FIRST[found.reason])
            elif found.reason not in WAITING or time.monotonic() - waited > patience:
                return
            else:
                time.sleep(POLL)

    def undo(self) -> Assignment:
        """Take your last answer back: its question is open again."""
        row = self._site.call("POST /campaigns/{slug}/undo/", slug=self.slug, repeatable=False)
        return self._assignment(row)

    def read_guidelines(self, version: int) -> None:
        """Say that you have read this version: questions come after that."""
        where = "PUT /campaigns/{slug}/guidelines/{version}/read/"
        self._site.call(where, slug=self.slug, version=version)

    def _assignment(self, row: dict[str, Any]) -> Assignment:
        return read(Assignment, row, _site=self._site)
