"""An annotated file as arrays: responses, distinct pairs, and what people said about each pair."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from learning.errors import NotEnoughData
from learning.replay.entropies import Entropies
from learning.replay.files import Item, read_items
from learning.text import Prompt


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Everything a replay needs from a file, before any feature is computed.

    Attributes:
        name: What results call the file.
        prompts: Distinct prompts (with their context), ``P`` of them.
        texts: Responses, each once within its prompt, ``m`` of them: a response that is compared
            in many pairs is one row.
        owner: Prompt of each response, shape ``(m,)``.
        pairs: Distinct pairs that people judged, lower row first, shape ``(N, 2)``.
        group: What must not be torn apart between training and test, for each pair, shape
            ``(N,)``: pairs of one prompt, or of prompts that the file puts in one group.
        answers: What was said about each pair.
        notes: What a reader of the results should know.
        prompt_entropy: A language model's, shape ``(P,)``, NaN where the file has none of a
            prompt; ``None`` where it has none at all.
    """

    name: str
    prompts: tuple[Prompt, ...]
    texts: tuple[str, ...]
    owner: NDArray[np.int64]
    pairs: NDArray[np.int64]
    group: NDArray[np.int64]
    answers: Answers
    notes: tuple[str, ...] = ()
    prompt_entropy: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What people said, sorted by pair.

    Attributes:
        start: Where the answers to each pair begin, then their number, shape ``(N + 1,)``.
        outcome: ``+1`` where the pair's first response is better, 0 tie, -1, shape ``(V,)``.
        weight: 1, or less where one ranking gave several answers, shape ``(V,)``.
    """

    start: NDArray[np.int64]
    outcome: NDArray[np.int8]
    weight: NDArray[np.float64]

    @property
    def count(self) -> NDArray[np.int64]:
        """How many answers each pair has, at least 1, shape ``(N,)``."""
        return np.diff(self.start)

    @property
    def pair(self) -> NDArray[np.int64]:
        """Pair of each answer, shape ``(V,)``."""
        return np.repeat(np.arange(len(self.start) - 1), self.count)


def read(path: Path, *, name: str | None = None) -> Corpus:
    """Read an annotated file.

    Raises:
        BadFile: it cannot be read.
        NotEnoughData: nobody compared any two responses in it.
    """
    return collect(read_items(path), name=name or stem(path))


def stem(path: Path) -> str:
    """Return the file's name without folder and endings: ``tulu1`` for ``tulu1.jsonl.gz``."""
    return path.name.split(".")[0] or path.name


def collect(items: Iterable[Item], *, name: str) -> Corpus:
    """Put items together; equal prompts, responses and pairs are found again.

    Raises:
        NotEnoughData: nobody compared any two responses.
    """
    made = _Collector()
    for item in items:
        made.add(item)
    if not made.pairs:
        raise NotEnoughData(f"{name}: nobody compared any two different responses")
    group, notes = made.groups()
    by_pair = np.argsort(np.array(made.answered), kind="stable")
    count = np.bincount(made.answered, minlength=len(made.pairs))
    return Corpus(
        name=name,
        prompts=tuple(made.prompts),
        texts=tuple(made.texts),
        owner=np.array(made.owner, dtype=np.int64),
        pairs=np.array(list(made.pairs), dtype=np.int64),
        group=group,
        answers=Answers(
            start=np.concatenate([[0], np.cumsum(count)]),
            outcome=np.array(made.outcome, dtype=np.int8)[by_pair],
            weight=np.array(made.weight)[by_pair],
        ),
        notes=notes,
        prompt_entropy=made.entropies.of(len(made.prompts)),
    )


@dataclass(slots=True)
class _Collector:
    """Numbers prompts, responses, groups and pairs as they come."""

    prompts: list[Prompt] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    pairs: dict[tuple[int, int], int] = field(default_factory=dict)
    prompt: list[int] = field(default_factory=list)  # of each pair
    named: list[int] = field(default_factory=list)  # the file's group of each pair
    answered: list[int] = field(default_factory=list)  # pair of each answer
    outcome: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    entropies: Entropies = field(default_factory=Entropies)
    _prompt_at: dict[str, int] = field(default_factory=dict)
    _text_at: dict[tuple[int, str], int] = field(default_factory=dict)
    _group_at: dict[str, int] = field(default_factory=dict)

    def add(self, item: Item) -> None:
        key = json.dumps([item.prompt, item.context], sort_keys=True)
        prompt = self._prompt_at.setdefault(key, len(self._prompt_at))
        if prompt == len(self.prompts):
            self.prompts.append(item.prompt)
        self.entropies.add(prompt, item.entropy)
        group = self._group_at.setdefault(item.group or key, len(self._group_at))
        rows = [self._row(prompt, text) for text in item.responses]
        for left, right, outcome, weight in item.answers:
            if rows[left] != rows[right]:  # equal texts: there is nothing to compare
                self._answer(rows[left], rows[right], outcome, weight, prompt, group)

    def _row(self, prompt: int, text: str) -> int:
        row = self._text_at.setdefault((prompt, text), len(self.texts))
        if row == len(self.texts):
            self.texts.append(text)
            self.owner.append(prompt)
        return row

    def _answer(
        self, left: int, right: int, outcome: int, weight: float, prompt: int, group: int
    ) -> None:
        if left > right:
            left, right, outcome = right, left, -outcome
        pair = self.pairs.setdefault((left, right), len(self.pairs))
        if pair == len(self.prompt):
            self.prompt.append(prompt)
            self.named.append(group)
        self.answered.append(pair)
        self.outcome.append(outcome)
        self.weight.append(weight)

    def groups(self) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """The group of each pair: prompts and the file's groups, joined where they meet."""
        prompts, groups = len(self.prompts), len(self._group_at)
        links = (np.ones(len(self.prompt)), (self.prompt, np.array(self.named) + prompts))
        graph = coo_array(links, shape=(prompts + groups, prompts + groups))
        _, label = connected_components(graph, directed=False)
        joined = label[self.prompt].astype(np.int64)
        named = np.array(self.named, dtype=np.int64)
        if len(np.unique(joined)) > 1 or len(np.unique(named)) == 1:
            return joined, ()
        # One prompt for all, as in a file of pairs of videos: the file's own groups are what
        # there is, and test responses may be known from training.
        return named, ("all pairs share one prompt: groups are those of the file",)
