"""Small worlds with known answers."""

import numpy as np
import pytest

from learning.data import Comparisons, Pool, Posterior
from learning.heads import LinearBT


@pytest.fixture
def rng():
    return np.random.default_rng(7)


class World:
    """Responses with planted weights, and people who answer by Davidson's model."""

    def __init__(self, *, n, dim, seed=0, tie=0.0, spread=2.0, strengths=False):
        rng = np.random.default_rng(seed)
        responses = max(n // 2, 40)
        self.features = rng.standard_normal((responses, dim)) / np.sqrt(2 * dim)
        weights = rng.standard_normal(dim)
        self.left = rng.integers(0, responses, n)
        self.right = (self.left + rng.integers(1, responses, n)) % responses
        x = self.features[self.left] - self.features[self.right]
        self.theta = weights * spread / np.std(x @ weights)
        self.margin = x @ self.theta
        self.comparisons = self.answer(rng, tie, strengths)

    def answer(self, rng, tie, strengths):
        certain = Posterior(self.theta, np.zeros((len(self.theta), 1)), 1.0, tie=tie)
        win, draw, _ = certain.probabilities(self.margin, np.zeros_like(self.margin))
        u = rng.random(len(win))
        outcome = np.where(u < win, 1, np.where(u < win + draw, 0, -1))
        strength = np.zeros_like(outcome)
        if strengths:
            towards, v = outcome * self.margin, rng.random(len(win))
            reached = [v < 1 / (1 + np.exp(cut - 1.2 * towards)) for cut in (0.5, 2.0)]
            strength = np.where(outcome == 0, 0, 1 + sum(r.astype(int) for r in reached))
        return Comparisons.of(self.left, self.right, outcome, strength=strength)


@pytest.fixture(scope="session")
def planted():
    return World(n=2000, dim=32)


@pytest.fixture(scope="session")
def graded():
    return World(n=3000, dim=16, tie=0.3, strengths=True, seed=3)


@pytest.fixture(scope="session")
def fitted(planted):
    return LinearBT().fit(planted.features, planted.comparisons)


@pytest.fixture
def pool(planted):
    """Two hundred pairs, four to a prompt, a tenth of them not to be asked."""
    rng = np.random.default_rng(1)
    pairs = np.stack([planted.left[:200], planted.right[:200]], axis=1)
    return Pool.of(
        planted.features, pairs, prompt=np.arange(200) // 4, eligible=rng.random(200) > 0.1
    )
