"""The exception tree of the web side; mapped to HTTP in one place (`annotator.middleware`).

TiebreakError
├── InvalidInput            what came in is wrong; nothing was stored      (422)
│   ├── InvalidAnswer       a form was filled in wrongly; carries the errors by field
│   ├── ImportRejected      a file has bad rows; carries every problem
│   └── PicturesRejected    an upload has files that cannot be shown; carries every problem
├── Conflict                the state moved on while the person worked     (409)
│   ├── AssignmentClosed    this assignment has an answer already
│   │   └── AnsweredElsewhere   under the same key, and it says something else
│   ├── LeaseLost           somebody else has the question by now
│   ├── AnswerChanged       the answer was corrected already, in another tab
│   ├── NothingToUndo       no answer of this person is open to undo
│   └── WrongState          e.g. starting a campaign that runs
├── NotQualified            the campaign's test was not passed             (403)
└── Missing                 no such thing, or not for this person          (404)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TiebreakError(Exception):
    """Root of the tree: everything the product refuses on purpose."""


class InvalidInput(TiebreakError):
    """What came in is wrong; nothing was stored."""


class InvalidAnswer(InvalidInput):
    """A form was filled in wrongly; `fields` maps each field to its messages."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self.fields = fields
        super().__init__("; ".join(f"{name}: {' '.join(said)}" for name, said in fields.items()))


class Conflict(TiebreakError):
    """The state moved on while the person worked."""


class AssignmentClosed(Conflict):
    """The assignment was answered already, by another tab or request."""


class AnsweredElsewhere(AssignmentClosed):
    """The same page was sent before, perhaps from another tab, and said something else."""


class LeaseLost(Conflict):
    """Somebody else has the question by now, or has answered it."""


class AnswerChanged(Conflict):
    """What was to be corrected has been corrected meanwhile, by another tab or request."""


class NothingToUndo(Conflict):
    """No answer of this person can be taken back."""


class WrongState(Conflict):
    """The campaign, round or query is in a state that does not allow this."""


class NotQualified(TiebreakError):
    """The campaign asks for a test, and this person did not pass it."""


class Missing(TiebreakError):
    """No such thing, or not for this person."""


@dataclass(frozen=True)
class RowProblem:
    """One thing wrong in one row of an import: where, and what was expected."""

    line: int
    field: str
    message: str
    item_id: str = ""
    unit: str = "line"

    def __str__(self) -> str:
        who = f" (id {self.item_id!r})" if self.item_id else ""
        return f"{self.unit} {self.line}{who}, field {self.field!r}: {self.message}"


class ImportRejected(InvalidInput):
    """A file was refused as a whole; `problems` names each row, up to a limit."""

    def __init__(self, problems: Sequence[RowProblem], *, total: int | None = None) -> None:
        self.problems = tuple(problems)
        self.total = total if total is not None else len(self.problems)
        shown = "\n".join(f"  {problem}" for problem in self.problems[:20])
        more = f"\n  … and {self.total - 20} more" if self.total > 20 else ""
        super().__init__(f"{self.total} problem(s); nothing was imported\n{shown}{more}")


@dataclass(frozen=True)
class FileProblem:
    """What is wrong with one file of an upload, and what was expected."""

    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


class PicturesRejected(InvalidInput):
    """An upload was refused as a whole; `problems` names each file, up to a limit."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        self.problems = tuple(problems)
        shown = "\n".join(f"  {problem}" for problem in self.problems[:20])
        more = f"\n  … and {len(self.problems) - 20} more" if len(self.problems) > 20 else ""
        super().__init__(f"{len(self.problems)} problem(s); nothing was stored\n{shown}{more}")
