"""What more answers of people would buy on a file that both have answered, and on which tags.

The gain model of mixes (:mod:`learning.routing.gain`) made of the questions that people and the
judge have answered, and put to the test: questions are given to people as it advises, and as many
by lot, and a head that learns from both mixes is measured on held-out gold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning import heads, metrics
from learning.data import Comparisons
from learning.errors import NotEnoughData
from learning.replay.folds import split
from learning.routing.gain import GainModel, TagGain, bin_tags, choose, draw_mixes, fit_gain
from learning.routing.gain import tag_gains as by_tag
from learning.routing.replay.plan import Plan
from learning.routing.replay.worlds import JudgedWorld

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

MIXES: Final = 60
SHARES: Final = (0.1, 0.25, 0.5)  # of the questions that people answer
_GAPS: Final = (-0.3, 0.3)  # log length: one is longer by more than a third, or neither is
_LOTS: Final = 5  # draws by lot that are averaged
_STREAM: Final = 14


@dataclass(frozen=True, slots=True)
class Bought:
    """People answer a share of the questions, the judge the rest.

    Attributes:
        share: Of the questions.
        answers: Of people.
        predicted: Log-loss by the gain model, in nats, if they are spent as it advises.
        log_loss: What was reached on held-out gold, in nats.
        accuracy: The same as a share.
        lot_log_loss: With as many answers spent by lot.
        lot_accuracy: The same as a share.
    """

    share: float
    answers: int
    predicted: float
    log_loss: float
    accuracy: float
    lot_log_loss: float
    lot_accuracy: float


@dataclass(frozen=True, slots=True)
class Gains:
    """The gain model of one file and one seed.

    Attributes:
        file: Name of the world.
        seed: Decides test side, mixes and lots.
        questions: That people and the judge have answered, on the training side.
        rank: Rank correlation of predicted and reached log-loss on mixes held out.
        usable: Whether that is enough; the model's advice is followed here all the same.
        bought: By share.
        tags: Where the judge contradicts people, on the training side.
    """

    file: str
    seed: int
    questions: int
    rank: float
    usable: bool
    bought: tuple[Bought, ...]
    tags: tuple[TagGain, ...]


def gains(world: JudgedWorld, plan: Plan, seed: int, *, mixes: int = MIXES) -> Gains:
    """Fit the gain model on one side of a file and test its advice on the other.

    Raises:
        NotEnoughData: the file cannot be split, or nothing is left to learn from or test on.
    """
    train, test = split(world.world, plan.folds, seed)
    train, test = train[world.signs.answered[train]], test[world.gold[test] != 0]
    if not len(train) or not len(test):
        raise NotEnoughData(f"{world.name}: nothing that both have answered with seed {seed}")
    rng = np.random.default_rng([seed, _STREAM])
    trial = _Trial(world, plan, train, test)
    tags = _described(world, train)
    tried = draw_mixes(tags, mixes, rng=rng)
    scores = np.array([-trial.measure(mix)[0] for mix in tried])
    model = fit_gain(tried.astype(np.float64) @ tags, scores, rng=rng)
    bought = [_bought(trial, model, tags, share, rng) for share in SHARES]
    clear = train[world.gold[train] != 0]
    return Gains(
        file=world.name,
        seed=seed,
        questions=len(train),
        rank=model.rank,
        usable=model.usable,
        bought=tuple(bought),
        tags=tuple(
            by_tag(
                world.signs.tags[clear],
                world.signs.outcome[clear] != world.gold[clear],
                human=_slips(world, clear),
            )
        ),
    )


class _Trial:
    """Learns from a mix of people's and the judge's answers, and measures what came of it."""

    def __init__(self, world: JudgedWorld, plan: Plan, train: Ints, test: Ints) -> None:
        self.world, self.train, self.test = world, train, test
        self.head = heads.get(plan.head_of(world))
        self.recurring = heads.recurring(world.world.pairs[train])

    def measure(self, people: Flags) -> tuple[float, float]:
        """Return log-loss and accuracy where people answer these questions, ``(n,)``."""
        world = self.world.world
        first = world.answers.outcome[world.answers.start[self.train]]
        left, right = world.pairs[self.train].T
        said = np.where(people, first, self.world.signs.outcome[self.train])
        labels = Comparisons.of(left, right, said)
        belief = self.head.fit(world.features, labels, recurring=self.recurring)
        p = belief.preference(*belief.margin(world.features, world.pairs[self.test]))
        gold = self.world.gold[self.test]
        return metrics.log_loss(p, gold), metrics.accuracy(p, gold)


def _bought(
    trial: _Trial, model: GainModel, tags: Doubles, share: float, rng: np.random.Generator
) -> Bought:
    n = len(tags)
    answers = round(share * n)
    advised = choose(model, tags, answers, rng=rng)
    loss, accuracy = trial.measure(advised)
    lots = [trial.measure(rng.permutation(n) < answers) for _ in range(_LOTS)]
    lot_loss, lot_accuracy = np.mean(lots, axis=0)
    return Bought(
        share=share,
        answers=answers,
        predicted=-model.predict(tags[advised].sum(axis=0)),
        log_loss=loss,
        accuracy=accuracy,
        lot_log_loss=float(lot_loss),
        lot_accuracy=float(lot_accuracy),
    )


def _described(world: JudgedWorld, rows: Ints) -> Doubles:
    """Tags, who is longer, and whether the responses are more alike than most; ``(n, t)``."""
    signs = world.signs
    alike = [float(np.median(signs.similarity))]
    parts = (signs.tags, bin_tags(signs.length_gap, _GAPS), bin_tags(signs.similarity, alike))
    return np.hstack(parts)[rows]


def _slips(world: JudgedWorld, rows: Ints) -> float:
    """How often one person contradicts what most of them say."""
    answers = world.world.answers
    counted = np.isin(answers.pair, rows) & (answers.outcome != 0)
    wrong = answers.outcome[counted] != world.gold[answers.pair[counted]]
    return min(float(wrong.mean()), 0.49) if len(wrong) else 0.0


def told(found: Sequence[Gains]) -> str:
    """Return a table a file to read: what was predicted, reached, and reached by lot."""
    files = dict.fromkeys(one.file for one in found)
    return "\n\n".join(_of_file(file, [one for one in found if one.file == file]) for file in files)


def _of_file(file: str, found: Sequence[Gains]) -> str:
    ranks = np.array([one.rank for one in found])
    refused = sum(not one.usable for one in found)
    lines = [
        f"{file}, {len(found)} seeds: gain model, rank correlation {ranks.mean():.2f}, refused in "
        f"{refused}",
        f"{'people':8}{'predicted':>11}{'log-loss':>10}{'by lot':>9}{'accuracy':>10}{'by lot':>8}"
        "  difference",
    ]
    for place, share in enumerate(SHARES):
        rows = [one.bought[place] for one in found]
        mean = np.mean(
            [(r.predicted, r.log_loss, r.lot_log_loss, r.accuracy, r.lot_accuracy) for r in rows],
            axis=0,
        )
        delta = 100 * np.array([row.accuracy - row.lot_accuracy for row in rows])
        error = delta.std(ddof=1) / np.sqrt(len(delta)) if len(delta) > 1 else np.nan
        lines.append(
            f"{share:<8.0%}{mean[0]:11.3f}{mean[1]:10.3f}{mean[2]:9.3f}{mean[3]:10.1%}"
            f"{mean[4]:8.1%}  {delta.mean():+.1f} ± {error:.1f}"
        )
    return "\n".join(lines)
