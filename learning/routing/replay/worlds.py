"""Worlds that people and a judge have both answered: annotated files, and planted ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from learning.errors import NotEnoughData
from learning.replay.corpus import Answers, Corpus, collect, stem
from learning.replay.files import Item, read_items
from learning.replay.worlds import Embedded, Encoding, World, build, embed
from learning.routing.data import Signs

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Progress = Callable[[str], None]

_MOST_TAGS: Final = 40  # subsets with fewer questions than the largest ones share a tag
_SMOOTH: Final = 0.5  # imagined votes for each side: one vote is not a certainty

# The planted world: what is asked, who errs how often, and what the judge shows of it.
_PAIRS, _DIM, _TAGS = 5_000, 48, 6
_MARGIN_SD: Final = 4.0
_SLIP, _JUDGE_SLIP, _WEAK = 0.1, 0.22, 0.8
_ORDER_NOISE: Final = 0.8  # logits, of each of the judge's two orders


@dataclass(frozen=True, slots=True, eq=False)
class JudgedWorld:
    """A world with a judge's answers and the truth that arms are measured on.

    Attributes:
        world: Pairs, features and what people said.
        signs: What the judge said of each pair, and what may tell of its errors, ``N`` rows.
        gold: Whom people agree on, ``+1``, ``-1``, or 0 where they do not, shape ``(N,)``.
        tags: Names of the tags in ``signs``.
        calls: Judges asked about each pair, each in both orders.
    """

    world: World
    signs: Signs
    gold: NDArray[np.int8]
    tags: tuple[str, ...]
    calls: int

    @property
    def name(self) -> str:
        """What results call it."""
        return self.world.name


def read(
    path: Path, *, judges: Sequence[str], encoding: Encoding, progress: Progress
) -> JudgedWorld:
    """Read a file that people and judges have annotated.

    Gold is the side that more people chose; where as many chose the other, or a tie, there is
    none. Judges are averaged, each answer one vote; pairs without any are left out of routing
    by having no probability. Tags are the file's subsets.

    Args:
        path: Native JSON Lines.
        judges: Names of the judges to use; empty for all.
        encoding: How texts become features.
        progress: Told about embedding.

    Raises:
        BadFile: it cannot be read.
        NotEnoughData: nobody compared anything, or a judge said nothing.
    """
    items = list(read_items(path))
    name = stem(path)
    corpus = collect(items, name=name)
    there = Counter(judge for item in items for judge, _ in item.judged)
    named = list(judges) or sorted(there)
    for judge in named:
        if judge not in there:
            known = ", ".join(sorted(there)) or "none"
            raise NotEnoughData(f"{name}: no answers of a judge {judge!r}; there are {known}")
    if not named:
        raise NotEnoughData(f"{name}: no judge (kind llm) answered anything")
    embedded = embed(corpus, encoding, progress)
    world = build(corpus, embedded, pca=encoding.pca)
    tags, of_pair = _subsets(items, corpus)
    return JudgedWorld(
        world=world,
        signs=_signs(corpus, embedded, _votes(items, corpus, named), of_pair),
        gold=_consensus(corpus.answers),
        tags=tags,
        calls=len(named),
    )


def planted(weak: int, seed: int, *, pairs: int = _PAIRS) -> JudgedWorld:
    """Make a world with a linear reward, people who slip and a judge with weak spots.

    Pairs of responses with 48 features; margins have a standard deviation of 4 logits. A
    person is wrong with chance ``max(0.1, sigmoid(-|margin|))``, the judge with ``max(0.22,
    sigmoid(-|margin|))``, and on each of ``weak`` of the six tags with 0.8, whatever the
    margin. How sure the judge is depends a little on the margin and not on the tag; its two
    orders differ by noise, and may differ in sign. Gold is the sign of the true margin.

    Args:
        weak: Tags on which the judge is mostly wrong, 0 to 6.
        seed: Decides everything.
        pairs: How many; a fifth is for testing.
    """
    rng = np.random.default_rng([seed, weak])
    n = pairs
    features = rng.standard_normal((2 * n, _DIM)).astype(np.float32) / np.float32(np.sqrt(2))
    sides = np.arange(2 * n).reshape(n, 2)
    theta = rng.standard_normal(_DIM)
    theta *= _MARGIN_SD / np.linalg.norm(theta)
    margin = (features[sides[:, 0]] - features[sides[:, 1]]).astype(np.float64) @ theta
    truth = np.where(margin > 0, 1, -1)
    near = expit(-np.abs(margin))
    slips = rng.random((2, n)) < np.maximum(near, _SLIP)
    tag = rng.integers(0, _TAGS, n)
    wrong = rng.random(n) < np.where(tag < weak, _WEAK, np.maximum(near, _JUDGE_SLIP))
    sure = 1.2 + 0.25 * np.abs(margin) + 0.7 * rng.standard_normal(n)
    logit = np.where(wrong, -truth, truth) * np.maximum(sure, 0.05)
    orders = expit(logit + _ORDER_NOISE * rng.standard_normal((2, n)))
    answers = Answers(
        start=np.arange(0, 2 * n + 1, 2),
        outcome=np.where(slips, -truth, truth).T.reshape(-1).astype(np.int8),
        weight=np.ones(2 * n),
    )
    order = np.arange(n)
    world = World(
        name=f"planted, {weak} weak tags",
        features=features,
        pairs=sides,
        prompt=order,
        group=order,
        answers=answers,
        prompt_vectors=np.zeros((n, 0), np.float32),
    )
    signs = Signs.of(
        orders.mean(axis=0),
        inconsistent=(orders[0] > 0.5) != (orders[1] > 0.5),
        tags=np.eye(_TAGS)[tag],
    )
    names = tuple(f"tag {place}" for place in range(_TAGS))
    return JudgedWorld(world, signs, truth.astype(np.int8), names, calls=1)


def _consensus(answers: Answers) -> NDArray[np.int8]:
    """The side that most people chose, 0 where no side was chosen by more than half."""
    pairs = len(answers.start) - 1
    left, right = (
        np.bincount(answers.pair, weights=answers.outcome == side, minlength=pairs)
        for side in (1, -1)
    )
    clear = np.maximum(left, right) * 2 > answers.count
    return np.where(clear, np.sign(left - right), 0).astype(np.int8)


def _votes(items: Sequence[Item], corpus: Corpus, judges: Sequence[str]) -> Doubles:
    """P(left) of each pair by counting judges' votes, NaN where there are none; ``(N,)``."""
    votes, total = np.zeros(len(corpus.pairs)), np.zeros(len(corpus.pairs))
    place = {(int(left), int(right)): i for i, (left, right) in enumerate(corpus.pairs)}
    for judge in judges:
        # Rows are numbered by the responses of all items, so they are those of the corpus.
        said = [
            replace(item, answers=tuple(a for j, a in item.judged if j == judge)) for item in items
        ]
        heard = collect(said, name=judge)
        for at, outcome in zip(heard.answers.pair, heard.answers.outcome, strict=True):
            left, right = heard.pairs[at]
            pair = place.get((int(left), int(right)))
            if pair is not None:
                votes[pair] += (1 + outcome) / 2
                total[pair] += 1
    share = (votes + _SMOOTH) / (total + 2 * _SMOOTH)
    return np.where(total > 0, share, np.nan)


def _subsets(items: Sequence[Item], corpus: Corpus) -> tuple[tuple[str, ...], Ints]:
    """Names of the tags and the tag of each pair, -1 for those of no tag; ``(N,)``."""
    of_prompt = {json.dumps(item.prompt): item.subset for item in items}
    prompts = [of_prompt[json.dumps(prompt)] for prompt in corpus.prompts]
    named = [prompts[corpus.owner[left]] for left in corpus.pairs[:, 0]]
    largest = [name for name, _ in Counter(named).most_common(_MOST_TAGS) if name]
    return tuple(largest), np.array([largest.index(n) if n in largest else -1 for n in named])


def _signs(corpus: Corpus, embedded: Embedded, probability: Doubles, tag: Ints) -> Signs:
    left, right = corpus.pairs.T
    size = np.log1p([len(text) for text in corpus.texts])
    vectors = embedded.responses.astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    tags = np.arange(tag.max(initial=-1) + 1)
    return Signs.of(
        probability,
        tags=(tag[:, None] == tags).astype(np.float64),
        length_gap=size[left] - size[right],
        similarity=(vectors[left] * vectors[right]).sum(axis=1),
    )
