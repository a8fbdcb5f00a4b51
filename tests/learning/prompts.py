"""Pools whose prompts have several responses, and rewards that are known."""

import numpy as np

from learning import acquisition
from learning.data import Context, Pool, Posterior

THREE = np.array([[0, 1], [0, 2], [1, 2]])  # every pair of three responses


def choose(name, pool, belief, batch, *, seed=0, context=None, **config):
    method = acquisition.get(name)
    options = method.parse_config(config)
    rng = np.random.default_rng(seed)
    return method.select(pool, belief, context or Context(), batch, rng=rng, config=options)


def known(rewards):
    """A belief that is certain of the rewards of responses 0, 1, ..., and their features."""
    rewards = np.asarray(rewards, dtype=np.float64)
    belief = Posterior(np.ones(1), np.zeros((1, 1)), 1.0, n_comparisons=100)
    return belief, rewards[:, None]


def random_world(seed, *, prompts=6, most=7, dim=4):
    """Prompts with two to ``most`` responses and some of their pairs, in no order, some shared."""
    rng = np.random.default_rng(seed)
    pairs, prompt, rows = [], [], 0
    for number in rng.choice(1000, size=prompts, replace=False):
        k = int(rng.integers(2, most + 1))
        every = [(rows + i, rows + j) for i in range(k) for j in range(k) if i < j]
        some = rng.permutation(len(every))[: int(rng.integers(1, len(every) + 1))]
        pairs += [every[i] if rng.random() < 0.5 else every[i][::-1] for i in some]
        prompt += [number] * len(some)
        rows += k - 1  # the last response is also the first of the next prompt
    order = rng.permutation(len(pairs))
    features = rng.standard_normal((rows + 1, dim))
    belief = Posterior(
        rng.standard_normal(dim), rng.standard_normal((dim, dim)), 1.0, n_comparisons=100
    )
    pool = Pool.of(features, np.array(pairs)[order], prompt=np.array(prompt)[order])
    return pool.with_eligible(rng.random(len(pool)) < 0.9), belief
