"""From annotated files to margins and answers, a few hundred items at a time."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from learning.finetune.evaluate_figures import Judged
from learning.finetune.score_model import TOKENS, Scorer
from learning.finetune.score_parts import chunks
from learning.replay.corpus import stem
from learning.replay.files import Item, read_rows

KINDS: Final = ("subset", "task", "tag", "group", "models")


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a file had to say.

    Attributes:
        name: What results call it.
        judged: Answers with the model's margins.
        items: Lines that were looked at.
        cut: Texts that were too long to be read whole.
        same: Answers about two equal texts, left out.
    """

    name: str
    judged: Judged
    items: int
    cut: int
    same: int

    @classmethod
    def together(cls, parts: Sequence[Found], name: str) -> Found:
        """Put files one after the other; groups of two files are never the same group."""
        judged = [part.judged for part in parts]
        above = np.cumsum([0, *(int(one.group.max(initial=-1)) + 1 for one in judged)])
        kinds = {kind for one in judged for kind in one.slices}
        slices = {
            kind: [names for one in judged for names in one.slices.get(kind, [()] * len(one))]
            for kind in sorted(kinds)
        }
        slices["file"] = [(part.name,) for part in parts for _ in range(len(part.judged))]
        return cls(
            name=name,
            judged=Judged(
                np.concatenate([one.margin for one in judged]),
                np.concatenate([one.outcome for one in judged]),
                np.concatenate([one.length for one in judged]),
                np.concatenate(
                    [one.group + start for one, start in zip(judged, above[:-1], strict=True)]
                ),
                slices,
            ),
            items=sum(part.items for part in parts),
            cut=sum(part.cut for part in parts),
            same=sum(part.same for part in parts),
        )


def read_judged(
    path: Path,
    scorer: Scorer,
    *,
    kinds: Sequence[str] = (),
    split: str = "",
    tokens: int = TOKENS,
    tell: Callable[[str], None],
) -> Found:
    """Read a file, score its judged responses and pair them with what people said.

    Margins are divided by the model's temperature. Texts are forgotten once they are scored, so
    that memory grows with the number of answers alone.

    Args:
        path: The file.
        scorer: The model.
        kinds: Slices to note, of ``KINDS``.
        split: Only items of this split; nothing for all.
        tokens: Of a batch.
        tell: Told about progress.

    Raises:
        BadFile: file, line and field named.
        EncoderError: the model gives numbers that are not finite.
    """
    made = _Collector(stem(path), kinds)
    rows = ((row, item) for row, item in read_rows(path) if not split or row.get("split") == split)
    for part in chunks(rows):
        judged = [(row, item) for row, item in part if item.answers]
        made.items += len(part)
        prompts = [item.prompt for _, item in judged for _ in item.responses]
        texts = [text for _, item in judged for text in item.responses]
        rewards, cut = scorer.read(prompts, texts, tokens=tokens)
        made.cut += cut
        values = iter((rewards / scorer.temperature).tolist())
        for row, item in judged:
            made.add(row, item, list(islice(values, len(item.responses))))
        tell(f"{made.name}: {made.items:,} items, {len(made.margin):,} answers")
    return made.found()


@dataclass(slots=True)
class _Collector:
    """Numbers as they come."""

    name: str
    kinds: Sequence[str]
    items: int = 0
    cut: int = 0
    same: int = 0
    margin: array[float] = field(default_factory=lambda: array("d"))
    length: array[float] = field(default_factory=lambda: array("d"))
    outcome: array[int] = field(default_factory=lambda: array("b"))
    group: array[int] = field(default_factory=lambda: array("q"))
    names: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    _groups: dict[str, int] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any], item: Item, rewards: Sequence[float]) -> None:
        key = item.group or json.dumps([item.prompt, item.context], sort_keys=True)
        group = self._groups.setdefault(key, len(self._groups))
        long = [float(np.log1p(len(text))) for text in item.responses]
        for left, right, outcome, _ in item.answers:
            if item.responses[left] == item.responses[right]:
                self.same += 1
                continue
            self.margin.append(rewards[left] - rewards[right])
            self.length.append(long[left] - long[right])
            self.outcome.append(outcome)
            self.group.append(group)
            for kind in self.kinds:
                names = tuple(_names(kind, row, item, left, right))
                self.names.setdefault(kind, []).append(names)

    def found(self) -> Found:
        judged = Judged(
            np.frombuffer(self.margin) if self.margin else np.empty(0),
            np.array(self.outcome, dtype=np.int8),
            np.frombuffer(self.length) if self.length else np.empty(0),
            np.array(self.group, dtype=np.int64),
            self.names,
        )
        return Found(self.name, judged, self.items, self.cut, self.same)


def _names(kind: str, row: Mapping[str, Any], item: Item, left: int, right: int) -> Iterator[str]:
    """What an answer falls under: each name once."""
    if kind == "tag":
        meta = row.get("meta")
        inside = meta.get("tags") if isinstance(meta, dict) else None
        tags = row.get("tags") or inside
        named = tags if isinstance(tags, list) else []
        yield from dict.fromkeys(tag for tag in named if isinstance(tag, str) and tag)
    elif kind == "models":
        both = [row["responses"][place].get("model") for place in (left, right)]
        if all(isinstance(one, str) and one for one in both):
            yield " | ".join(sorted(both))
    else:
        value = {"subset": item.subset, "group": item.group}.get(kind, row.get(kind))
        if isinstance(value, str) and value:
            yield value
