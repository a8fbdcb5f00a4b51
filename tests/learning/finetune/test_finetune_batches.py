from dataclasses import replace
from functools import reduce

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learning.data import Comparisons
from learning.finetune import batches
from tests.learning.finetune import tinymodels

EXAMPLES = tinymodels.examples(90, responses=4)


def epoch(batch, seed=0, number=0, n=90):
    made = batches.bundles(EXAMPLES, np.arange(n), most=batch)
    lengths = np.array([len(one) for one in made])
    return batches.steps(made, lengths, batch=batch, seed=seed, epoch=number)


@given(st.integers(1, 40), st.integers(0, 5), st.integers(1, 90))
def test_every_pair_comes_once_an_epoch_and_no_step_is_too_large(batch, seed, n):
    made = epoch(batch, seed, n=n)
    assert all(0 < sum(map(len, step)) <= batch for step in made)
    assert sorted(rows_of(made)) == list(range(n))


def rows_of(steps):
    return [row for step in steps for bundle in step for pair in bundle for row in pair.tolist()]


def test_another_epoch_or_seed_is_another_order_and_the_same_is_the_same():
    def order(**named):
        return rows_of(epoch(8, **named))

    assert order() == order()
    assert order() != order(number=1)
    assert order() != order(seed=1)


def test_pairs_of_one_prompt_stay_together():
    for step in epoch(12):
        for bundle in step:
            prompts = {
                EXAMPLES.prompts[row] for row in EXAMPLES.comparisons.left[np.concatenate(bundle)]
            }
            assert len(prompts) == 1
    assert max(len(bundle) for step in epoch(12) for bundle in step) == 6


def test_texts_of_a_step_are_of_like_length():
    rng = np.random.default_rng(0)
    of = [[np.array([place])] for place in range(640)]
    lengths = rng.integers(1, 500, size=640)
    made = batches.steps(of, lengths, batch=16, seed=0, epoch=0)
    spread = [np.ptp(lengths[rows_of([step])]) for step in made]
    assert np.mean(spread) < 40  # of 500 without sorting


@given(st.integers(1, 12))
def test_micro_batches_are_a_step_cut_up(most):
    (step, *_) = epoch(24)
    parts = batches.micro_batches(step, most)
    assert all(0 < len(part) <= most for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts), rows_of([step]))


@given(st.integers(1, 12), st.integers(2, 5))
def test_what_several_people_said_of_a_pair_counts_as_one(most, people):
    """Otherwise three rankings of a prompt fill a step, which learns from that prompt alone."""
    data = EXAMPLES.comparisons
    turned = Comparisons.of(data.right, data.left, -data.outcome)
    several = reduce(Comparisons.joined, [turned if k % 2 else data for k in range(people)])
    asked = replace(EXAMPLES, comparisons=several, group=np.tile(EXAMPLES.group, people))
    once, often = (batches.bundles(one, np.arange(len(one)), most=12) for one in (EXAMPLES, asked))
    assert list(map(len, once)) == list(map(len, often))
    lengths = np.arange(len(once))
    of_one, of_many = (
        batches.steps(of, lengths, batch=12, seed=0, epoch=0) for of in (once, often)
    )
    assert len(rows_of(of_many)) == people * len(rows_of(of_one))
    for one, many in zip(of_one, of_many, strict=True):
        few, all_of_them = (batches.micro_batches(step, most) for step in (one, many))
        for part, whole in zip(few, all_of_them, strict=True):
            pairs, judged = (
                np.sort(d.pairs[p]).tolist() for d, p in ((data, part), (several, whole))
            )
            assert sorted(pairs * people) == sorted(judged)
