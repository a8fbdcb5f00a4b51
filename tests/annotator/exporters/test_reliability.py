"""Accuracies by EM: a known answer, a planted truth, and a second, obvious implementation."""

from __future__ import annotations

import random

import numpy as np
import pytest

from annotator.exporters.reliability import SHRINK, Answers, posterior

SIDES = (0, 1, -1)
Votes = list[tuple[int, int, float]]


def obvious(pairs: list[Votes], turns: int = 100) -> dict[int, float]:
    """The same model with a table of every pair by every answer, in NumPy."""
    people = sorted({who for votes in pairs for who, _, _ in votes})
    column = {who: n for n, who in enumerate(people)}
    given = np.zeros((len(pairs), len(people), 3))  # weight by pair, person and side
    for row, votes in enumerate(pairs):
        for who, side, weight in votes:
            given[row, column[who], SIDES.index(side)] += weight
    p, level = np.full(len(people), 0.8), 1 / 3
    for _ in range(turns):
        prior = np.log([level, (1 - level) / 2, (1 - level) / 2])
        right, wrong = np.log(p), np.log((1 - p) / 2)
        score = np.stack(
            [
                prior[side]
                + given[:, :, side] @ right
                + (given.sum(axis=2) - given[:, :, side]) @ wrong
                for side in range(3)
            ],
            axis=1,
        )
        truth = np.exp(score - score.max(axis=1, keepdims=True))
        truth /= truth.sum(axis=1, keepdims=True)
        hits = np.einsum("rps,rs->p", given, truth)
        seen = given.sum(axis=(0, 2))
        mean = np.clip(hits.sum() / seen.sum(), 1 / 3, 0.99)
        after = np.clip((hits + SHRINK * mean) / (seen + SHRINK), 1 / 3, 0.99)
        level = (truth[:, 0].sum() + 1) / (len(pairs) + 3)
        moved, p = np.abs(after - p).max(), after
        if moved < 1e-4:
            break
    return dict(zip(people, p.tolist(), strict=True))


def planted(accuracies: dict[int, float], pairs: int, seed: int, ties: float = 0.1) -> list[Votes]:
    rng = random.Random(seed)
    found = []
    for _ in range(pairs):
        truth = 0 if rng.random() < ties else rng.choice((1, -1))
        votes = []
        for who in rng.sample(sorted(accuracies), 3):
            right = rng.random() < accuracies[who]
            side = truth if right else rng.choice([s for s in SIDES if s != truth])
            votes.append((who, side, 1.0))
        found.append(votes)
    return found


def skill(pairs: list[Votes]) -> dict[int, float]:
    answers = Answers()
    for votes in pairs:
        answers.add(votes)
    return answers.skill()


@pytest.mark.parametrize("seed", range(4))
def test_compact_arrays_and_a_table_agree(seed: int) -> None:
    pairs = planted({1: 0.9, 2: 0.8, 3: 0.6, 4: 0.95, 5: 0.4}, 120, seed)
    pairs[0] = [(1, 1, 0.5), (2, -1, 1.0)]  # weights, and a pair of two
    found, expected = skill(pairs), obvious(pairs)
    assert {who: found[who] for who in expected} == pytest.approx(expected, abs=1e-6)


def test_planted_accuracies_are_found_again() -> None:
    truth = {1: 0.95, 2: 0.85, 3: 0.7, 4: 0.55, 5: 0.9}
    found = skill(planted(truth, 4000, seed=7))
    assert {who: found[who] for who in truth} == pytest.approx(truth, abs=0.03)


def test_who_gave_few_answers_is_near_the_mean() -> None:
    pairs = planted({1: 0.9, 2: 0.9, 3: 0.9}, 300, seed=1, ties=0.0)
    contrary = [[(1, 1, 1.0), (2, 1, 1.0), (9, -1, 1.0)]] * 2
    found = skill(pairs + contrary)
    assert found[-1] * SHRINK / (SHRINK + 2) == pytest.approx(found[9], abs=0.02)


def test_pairs_with_one_answer_say_nothing_of_anybody() -> None:
    answers = Answers()
    answers.add([(1, 1, 1.0)])
    assert not answers.number
    assert answers.skill()[-1] == 0.8


def test_the_posterior_is_bayes_rule() -> None:
    known = {1: 0.9, 2: 0.6, -1: 0.8, -2: 0.2}
    first = 0.4 * 0.9 * 0.2  # truth is first: one is right, two is wrong in one of two ways
    second = 0.4 * 0.05 * 0.6
    level = 0.2 * 0.05 * 0.2
    total = first + second + level
    found = posterior([(1, 1, 1.0), (2, -1, 1.0)], known)
    assert found == pytest.approx((first / total, second / total, level / total))


def test_two_of_one_kind_do_not_outvote_a_reliable_one() -> None:
    known = {1: 0.97, 2: 0.5, 3: 0.5, -1: 0.8, -2: 0.1}
    first, second, _ = posterior([(1, 1, 1.0), (2, -1, 1.0), (3, -1, 1.0)], known)
    assert first > 0.8 > second
