"""One training of one method on so many labels of one fold: a cell of the comparison."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from learning.card._trial import folds as draw_folds
from learning.data import Comparisons
from learning.encoders import load_encoder
from learning.errors import NotEnoughData
from learning.features import Standardizer, assemble
from learning.finetune import Examples, Plan, base_of
from learning.heads import LinearBT
from learning.replay.corpus import Corpus
from learning.replay.worlds import Embedded
from learning.surface import NAMES
from learning.text import joined

METHODS: Final = ("surface", "frozen", "full", "lora")
_FOLD, _REVEAL, _ORDER, _TEST = 1, 2, 3, 4  # streams of one seed

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One fold of one seed; the same for every method.

    Attributes:
        train: Comparisons in the order in which labels are added: the first ``N`` of them are
            the training data at ``N`` labels. Rows point into the corpus; those that one
            ranking states weigh as in a campaign (:func:`learning.replay.files.answers_of`).
        train_group: Group of each, same length.
        test: Every decisive answer about the test pairs.
        test_group: Group of each.
    """

    train: Comparisons
    train_group: Ints
    test: Comparisons
    test_group: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """What one method made of one fold.

    Attributes:
        winner: P(winner) of each decisive test answer, shape ``(v,)``.
        group: Group of each, shape ``(v,)``.
        gap: Log length of its winner minus its loser's, in characters, shape ``(v,)``.
        seconds: Training, features of training and test texts, and fit.
        labels: Labels it learnt from.
        record: What fine-tuning says of itself; empty for the others.
    """

    winner: Doubles
    group: Ints
    gap: Doubles
    seconds: float
    labels: int
    record: dict[str, Any]


def split(corpus: Corpus, fold: int, *, folds: int, seed: int, test_pairs: int = 0) -> Split:
    """Draw a fold by group, one answer a training pair, and the order of the labels.

    Args:
        corpus: The file.
        fold: Which of them is tested on.
        folds: How many there are.
        seed: Decides everything.
        test_pairs: Test on so many pairs at most; 0 for all.

    Raises:
        NotEnoughData: fewer groups than folds, or no decisive answer to test on.
    """
    _, member = np.unique(corpus.group, return_inverse=True)
    groups = int(member.max()) + 1
    if groups < folds:
        raise NotEnoughData(f"{corpus.name} has {groups} groups: too few for {folds} folds")
    place = draw_folds(member, folds, np.random.default_rng([seed, _FOLD]))[member]
    train, test = np.flatnonzero(place != fold), np.flatnonzero(place == fold)
    if test_pairs and len(test) > test_pairs:
        rng = np.random.default_rng([seed, _TEST, fold])
        test = np.sort(rng.choice(test, test_pairs, replace=False))
    answers = corpus.answers
    lot = np.random.default_rng([seed, _REVEAL]).random(len(corpus.pairs))
    at = answers.start[:-1] + np.floor(lot * answers.count).astype(np.int64)
    train = np.random.default_rng([seed, _ORDER, fold]).permutation(train)
    left, right = corpus.pairs[train].T
    shown = at[train]
    asked = np.isin(answers.pair, test) & (answers.outcome != 0)
    if not asked.any():
        raise NotEnoughData(f"{corpus.name}: no decisive answer to test on in fold {fold}")
    pair = answers.pair[asked]
    return Split(
        train=Comparisons.of(left, right, answers.outcome[shown], weight=answers.weight[shown]),
        train_group=member[train].astype(np.int64),
        test=Comparisons.of(corpus.pairs[pair, 0], corpus.pairs[pair, 1], answers.outcome[asked]),
        test_group=member[pair].astype(np.int64),
    )


def heads_alone(method: str, corpus: Corpus, raw: Embedded, drawn: Split, labels: int) -> Cell:
    """Fit the default head on frozen features, or on surface features alone."""
    began = time.monotonic()
    scaling = Standardizer.fit(raw.responses, raw.surface, corpus.pairs)
    features = assemble(raw.responses, raw.surface, scaling)
    if method == "surface":
        features = features[:, raw.responses.shape[1] :]
    return _judged(features, raw.surface, drawn, labels, None, began, {})


def fine_tuned(
    corpus: Corpus,
    surface: NDArray[np.float32],
    drawn: Split,
    labels: int,
    *,
    base: str,
    plan: Plan,
    tell: Tell,
) -> Cell:
    """Fine-tune on the first labels, embed training and test texts anew, and refit the head."""
    from learning.finetune import finetune  # loads torch

    began = time.monotonic()
    seen = drawn.train.subset(np.arange(labels))
    used = np.unique(np.concatenate([seen.pairs.ravel(), drawn.test.pairs.ravel()]))
    prompts = [corpus.prompts[corpus.owner[row]] for row in used]
    texts = [corpus.texts[row] for row in used]
    here = replace(
        drawn,
        train=_renumbered(drawn.train.subset(np.arange(labels)), used),
        test=_renumbered(drawn.test, used),
    )
    examples = Examples(tuple(prompts), tuple(texts), here.train, drawn.train_group[:labels])
    with tempfile.TemporaryDirectory() as folder:
        tuned = finetune(base_of(base), examples, plan, folder=Path(folder), report=_Told(tell))
        encoder = load_encoder(f"reward:{tuned.folder}", threads=plan.threads)
        vectors = encoder.encode([joined(p, t) for p, t in zip(prompts, texts, strict=True)])
    both = np.concatenate([here.train.pairs, here.test.pairs])
    scaling = Standardizer.fit(vectors, surface[used], both)
    features = assemble(vectors, surface[used], scaling)
    precision = tuned.record.get("prior_precision")
    return _judged(features, surface[used], here, labels, precision, began, tuned.record)


def _judged(
    features: NDArray[np.float32],
    surface: NDArray[np.float32],
    drawn: Split,
    labels: int,
    precision: float | None,
    began: float,
    record: dict[str, Any],
) -> Cell:
    seen = drawn.train.subset(np.arange(labels))
    belief = LinearBT().fit(features, seen, prior_precision=precision)
    mu, s2 = belief.margin(features, drawn.test.pairs)
    test = drawn.test
    winner = belief.preference(mu * test.outcome, s2)
    chars = surface[:, NAMES.index("log_chars")].astype(np.float64)
    gap = (chars[test.left] - chars[test.right]) * test.outcome
    return Cell(winner, drawn.test_group, gap, time.monotonic() - began, labels, record)


def _renumbered(data: Comparisons, used: Ints) -> Comparisons:
    return Comparisons.of(
        np.searchsorted(used, data.left),
        np.searchsorted(used, data.right),
        data.outcome,
        weight=data.weight,
    )


def save(cell: Cell, path: Path) -> None:
    """Keep a finished cell; whole or not at all."""
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        np.savez_compressed(
            file,
            winner=cell.winner,
            group=cell.group,
            gap=cell.gap,
            seconds=np.array(cell.seconds),
            labels=np.array(cell.labels),
            record=np.frombuffer(json.dumps(cell.record, default=str).encode(), dtype=np.uint8),
        )
    aside.replace(path)


def load(path: Path) -> Cell | None:
    """Return a kept cell; None where there is none, or only a damaged one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            record = json.loads(kept["record"].tobytes())
            winner, group, gap = kept["winner"], kept["group"], kept["gap"]
            return Cell(winner, group, gap, float(kept["seconds"]), int(kept["labels"]), record)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


class _Told:
    """Passes a training run's progress on, not too often."""

    def __init__(self, tell: Tell) -> None:
        self.tell, self.last = tell, time.monotonic()

    def __call__(self, progress: Any) -> None:
        now = time.monotonic()
        if now - self.last >= 30:
            self.last = now
            much = f": {progress.done} of {progress.total}" if progress.total else ""
            self.tell(f"  {progress.stage}{much}")
