import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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
    found = np.concatenate([bundle for step in made for bundle in step])
    assert sorted(found) == list(range(n))


def test_another_epoch_or_seed_is_another_order_and_the_same_is_the_same():
    def order(**named):
        return [bundle.tolist() for step in epoch(8, **named) for bundle in step]

    assert order() == order()
    assert order() != order(number=1)
    assert order() != order(seed=1)


def test_pairs_of_one_prompt_stay_together():
    for step in epoch(12):
        for bundle in step:
            prompts = {EXAMPLES.prompts[row] for row in EXAMPLES.comparisons.left[bundle]}
            assert len(prompts) == 1
    assert max(len(bundle) for step in epoch(12) for bundle in step) == 6


def test_texts_of_a_step_are_of_like_length():
    rng = np.random.default_rng(0)
    of = [np.array([place]) for place in range(640)]
    lengths = rng.integers(1, 500, size=640)
    made = batches.steps(of, lengths, batch=16, seed=0, epoch=0)
    spread = [np.ptp(lengths[np.concatenate(step)]) for step in made]
    assert np.mean(spread) < 40  # of 500 without sorting


@given(st.integers(1, 12))
def test_micro_batches_are_a_step_cut_up(most):
    (step, *_) = epoch(24)
    parts = batches.micro_batches(step, most)
    assert all(0 < len(part) <= most for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts), np.concatenate(step))
