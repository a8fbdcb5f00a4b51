"""Small worlds in which a judge is wrong on some tags, for tests of routing."""

import numpy as np

from learning.data import Comparisons, Pool
from learning.routing import HumanError, Knowledge, Questions, Signs, fit_error

NOBODY = Signs.of([], tags=np.zeros((0, 3)))
TENTH = HumanError(0.1, 0.05, 0.2, 50)


class Judged:
    """Pairs with planted margins; a judge that is mostly wrong on tag 0, people who slip."""

    def __init__(self, *, n=600, dim=6, seed=0, bad=0.8, slip=0.1, usual=0.15, tags=3):
        rng = np.random.default_rng(seed)
        self.n = n
        x = rng.standard_normal((n, dim))
        self.theta = rng.standard_normal(dim) * 2
        self.features = np.vstack([x, np.zeros(dim)])
        self.pairs = np.stack([np.arange(n), np.full(n, n)], axis=1)
        self.truth = np.sign(x @ self.theta)
        self.tag = rng.integers(0, tags, n)
        self.tags = np.eye(tags)[self.tag]
        wrong = rng.random(n) < np.where(self.tag == 0, bad, usual)
        said = np.where(wrong, -self.truth, self.truth)
        sure = 0.6 + 0.35 * rng.random(n)
        self.probability = np.where(said > 0, sure, 1 - sure)
        self.wrong = wrong
        self.people = np.where(rng.random((2, n)) < slip, -self.truth, self.truth)
        self.signs = Signs.of(self.probability, tags=self.tags)
        self.pool = Pool.of(self.features, self.pairs)

    def said(self, outcome, rows):
        return Comparisons.of(rows, np.full(len(rows), self.n), outcome[rows])

    def accuracy(self, belief):
        mu, _ = belief.margin(self.features, self.pairs)
        return float((np.sign(mu) == self.truth).mean())

    def knowledge(self, audited=200, **more):
        rows = np.arange(audited)
        disagree = (self.people[0] != self.signs.outcome)[rows].astype(float)
        model = fit_error(self.signs.subset(rows), disagree, human=0.1)
        return Knowledge(error=model, human=TENTH, **more)

    def questions(self, **more):
        return Questions.of(self.pool, self.signs, **more)
