"""What every export format is made of: a question with its answers, a format, its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from .options import ExportOptions

Row = dict[str, Any]
Rows = Iterator[tuple[Row, Row]]
# A column's type: "string", "integer", "number", "boolean", [type] for lists, {name: type}.
Column = Any
Columns = dict[str, Column]
TURNS: Column = [{"role": "string", "content": "string"}]
ASIDE = ("skip", "flag")  # outcomes that say nothing about the responses
NOTHING: Row = {}  # shared by all that have no more to say; never changed
FAR = 20.0  # no question weighs more, however improbable it was

SELECTION = frozenset(
    {
        *("include_holdout", "include_gold", "include_repeats", "include_late"),
        *("test_share", "duplicates", "leave_out", "annotators", "license"),
    }
)
VOTING = frozenset(
    {
        *("consensus", "minimum_agreement", "minimum_answers", "ties", "neither", "edits"),
        *("judges", "judge_weight"),
    }
)


class Prompt(NamedTuple):
    """The input: text, or chat turns."""

    pk: int
    digest: str
    content: Any
    context: str
    is_holdout: bool


class Text(NamedTuple):
    """A response, or what an edit made of one."""

    pk: int
    prompt_id: int
    text: str
    model: str
    parent_id: int | None
    extra: Row


class Item(NamedTuple):
    """What was imported under one id."""

    pk: int
    external_id: str
    task: str
    source: str
    group: str
    extra: Row


class Asked(NamedTuple):
    """One query about the responses."""

    pk: int
    item_id: int | None
    prompt_id: int
    round: int | None
    arm: str
    acquisition: str
    score: float | None
    propensity: float | None
    model_round: int | None


class Said(NamedTuple):
    """One answer, with who gave it."""

    pk: int
    query_id: int
    annotator_id: int
    annotator: str
    kind: str
    via: str
    outcome: str
    tiers: list[list[int]] | None
    acceptable: int | None
    strength: int | None
    rationale: str
    details: Row
    extra: Row
    late: bool
    display_order: list[int] | None
    guidelines_version: int
    recorded_at: str
    active_ms: int | None
    submission_key: str

    @property
    def judges(self) -> bool:
        """Whether it says something about the responses: no skip, no flag."""
        return self.outcome not in ASIDE


@dataclass(slots=True)
class Question:
    """All answers about one set of responses.

    Attributes:
        prompts: By id; more than one where responses to different prompts were compared.
        edits: What people made of these responses by rewriting them.
        groups: By prompt, what must not be torn apart by a split: a name, or the prompt's digest.
        split: The file that it goes to, where there are two.
        repeated: All places of the item, where one response stands at two of them.
    """

    id: str
    prompt: Prompt
    item: Item | None
    responses: list[Text]
    answers: list[Said]
    queries: list[Asked]
    edits: list[Text] = field(default_factory=list)
    prompts: dict[int, Prompt] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)
    split: str = ""
    repeated: list[Text] = field(default_factory=list)

    @property
    def is_holdout(self) -> bool:
        """Whether one of its prompts is reserved for testing."""
        if not self.prompts:
            return self.prompt.is_holdout
        return self.prompt.is_holdout or any(p.is_holdout for p in self.prompts.values())

    @property
    def ids(self) -> list[int]:
        """Response ids, in order."""
        return [response.pk for response in self.responses]

    @property
    def across(self) -> bool:
        """Whether its responses answer different prompts."""
        return bool(self.prompts)

    def prompt_of(self, text: Text) -> Prompt:
        """The prompt that a response answers."""
        return self.prompts.get(text.prompt_id, self.prompt)

    @property
    def propensity(self) -> float | None:
        """Probability with which one of its queries was chosen; None where none is known."""
        known = [query.propensity for query in self.queries if query.propensity is not None]
        missed = 1.0
        for one in known:
            missed *= 1.0 - one
        return 1.0 - missed if known else None


@dataclass
class Context:
    """What a format has to know beside the question.

    Attributes:
        options: With the format's own consensus in place of `auto`.
        skill: Accuracy of each annotator, where reliability weighs.
        chat: Whether prompts are turns in every row: one of them is a chat, so all are.
        aspects: What was rated, sorted.
        most: Responses of the largest question.
        left_out: Why questions, pairs or responses gave no row, and how many.
    """

    options: ExportOptions
    skill: Mapping[int, float] = field(default_factory=dict)
    chat: bool = False
    aspects: tuple[str, ...] = ()
    most: int = 2
    left_out: Counter[str] = field(default_factory=Counter)

    @cached_property
    def turns(self) -> Column:
        """The type of a prompt or a completion."""
        return TURNS if self.chat else "string"

    @cached_property
    def judge_weight(self) -> float:
        """What a judge's answer weighs; 0 where it does not vote."""
        return {"out": 0.0, "in": 1.0, "weighted": self.options.judge_weight}[self.options.judges]

    def weight(self, question: Question) -> float:
        """What the question weighs by the way it was chosen."""
        propensity = question.propensity if self.options.weights == "propensity" else None
        return min(1.0 / propensity, FAR) if propensity else 1.0


@dataclass(frozen=True)
class Format:
    """One layout.

    Attributes:
        make: Yields rows with what provenance they have of their own.
        columns: Types of the columns; None where a row is a tree that no table holds.
        heeds: Options beside the selection that change its rows.
        consensus: What `auto` means.
        companions: Files beside the rows, by name: settings of the tool that reads them.
        container: The usual one.
    """

    name: str
    title: str
    summary: str
    make: Callable[[Question, Context], Rows]
    columns: Callable[[Context], Columns] | None
    heeds: frozenset[str] = VOTING
    consensus: str = "majority"
    companions: Callable[[Context, str], dict[str, str]] | None = None
    container: str = "jsonl"
    needs: frozenset[str] = frozenset()


# --- how prompts and responses are written ------------------------------------------------


def input_of(prompt: Prompt, chat: bool) -> Any:
    """The prompt as text, or as turns; its context in front, or in the system turn."""
    content, context = prompt.content, prompt.context
    if isinstance(content, str):
        text = f"{context}\n\n{content}" if context else content
        return [{"role": "user", "content": text}] if chat else text
    if not context:
        return content
    has_system = bool(content) and content[0]["role"] == "system"
    own = f"{content[0]['content']}\n\n" if has_system else ""
    # One system turn: many chat templates refuse a second.
    return [{"role": "system", "content": own + context}, *content[has_system:]]


def output_of(text: str, chat: bool) -> Any:
    """A response as text, or as the assistant's turn."""
    return [{"role": "assistant", "content": text}] if chat else text


def whole(question: Question, text: Text, chat: bool) -> Any:
    """Prompt and response in one: turns, or text after text."""
    before = input_of(question.prompt_of(text), chat)
    return before + output_of(text.text, chat) if chat else f"{before}\n\n{text.text}"


# --- what answers say ----------------------------------------------------------------------


def depths(said: Said) -> dict[int, int]:
    """Response id to the number of its tier, 0 is best."""
    return {pk: depth for depth, tier in enumerate(said.tiers or ()) for pk in tier}


def ranks(places: Mapping[int, int], ids: Sequence[int]) -> list[int | None]:
    """Ranks of these responses without holes, 1 is best; None where unranked."""
    used = sorted({places[pk] for pk in ids if pk in places})
    number = {place: n for n, place in enumerate(used, start=1)}
    return [number[places[pk]] if pk in places else None for pk in ids]


def ratings(said: Said, ids: Sequence[int]) -> dict[str, dict[int, float]]:
    """Marks by aspect and response id, given here or imported; the line of good enough is none."""
    if said.via != "import":
        given = said.details.get("rate", {}).get("ratings", {})
        return {
            aspect: {int(pk): mark for pk, mark in marks.items() if int(pk) in ids}
            for aspect, marks in given.items()
        }
    found: dict[str, dict[int, float]] = {}
    for aspect, marks in (said.extra.get("ratings") or {}).items():
        if aspect == "acceptable" or not isinstance(marks, list) or len(marks) != len(ids):
            continue
        numbers = {
            pk: mark
            for pk, mark in zip(ids, marks, strict=True)
            if isinstance(mark, int | float) and not isinstance(mark, bool)
        }
        if numbers:
            found[aspect] = numbers
    return found
