"""Slow, obvious second implementations that the library is compared with."""

import itertools

import numpy as np
from scipy.special import digamma, entr

from learning.acquisition.base import kappa_weight


def coin(p):
    """Entropy of a coin in nats."""
    return entr(p) + entr(1 - p)


def member_bald(p):
    """BALD of members' probabilities, ``(members, pairs)`` to ``(pairs,)``."""
    return coin(p.mean(axis=0)) - coin(p).mean(axis=0)


def member_epig(pool, targets):
    """EPIG of members' probabilities ``(members, pairs)`` and ``(members, targets)``."""
    found = np.zeros(pool.shape[1])
    for i, j in itertools.product(range(pool.shape[1]), range(targets.shape[1])):
        one = np.stack([1 - pool[:, i], pool[:, i]])
        other = np.stack([1 - targets[:, j], targets[:, j]])
        joint = one @ other.T / len(pool)
        found[i] += entr(joint.sum(0)).sum() + entr(joint.sum(1)).sum() - entr(joint).sum()
    return found / targets.shape[1]


def member_batch_bald(p):
    """Information of all answers together, by listing the outcomes, ``(members, batch)``."""
    outcomes = itertools.product([0, 1], repeat=p.shape[1])
    joint = np.stack([np.where(y, p, 1 - p).prod(axis=1) for y in outcomes], axis=1)
    return entr(joint.mean(axis=0)).sum() - coin(p).sum(axis=1).mean()


def integrate(rule, mu, s2):
    """Expectation of ``rule(f)`` for ``f ~ N(mu, s2)``, by a fine sum."""
    grid = np.linspace(-12, 12, 40_001)
    weight = np.exp(-(grid**2) / 2)
    return float((weight * rule(mu + np.sqrt(s2) * grid)).sum() / weight.sum())


def nearest(points, k):
    """The k nearest others of each point, equal distances by number, and the last distance."""
    found, radius = [], []
    for i, point in enumerate(points):
        distance = np.sqrt(((points - point) ** 2).sum(axis=1))
        order = [j for j in np.lexsort((np.arange(len(points)), distance)) if j != i][:k]
        found.append(order)
        radius.append(distance[order[-1]] if order else 0.0)
    return np.array(found).reshape(len(points), -1), np.array(radius)


def balpm_by_rescanning(
    worth, prompt, vectors, labelled, batch, *, k=13, beta=1e-2, d_x=1.0, limit=None, radius=None
):
    """BAL-PM that measures the distance of every pair's prompt to every pick.

    ``worth`` is each pair's BALD, ``prompt`` the row in ``vectors`` of its prompt and
    ``labelled`` the rows of answered prompts. The radii of ``vectors`` may be given.
    """
    if radius is None:
        distinct, node = np.unique(vectors, axis=0, return_inverse=True)
        radius = nearest(distinct, min(k, len(distinct) - 1))[1][node.ravel()]
    here = vectors[prompt]
    reach = radius[prompt] * (1 + 1e-6)  # the k-th neighbour itself counts, however rounded
    around = np.zeros(len(worth))
    for row in labelled:
        around += np.linalg.norm(here - vectors[row], axis=1) <= reach
    value_of_space = np.log(2 * radius[prompt] + 1e-4)
    picked, gain = [], []
    open_ = np.ones(len(worth), bool)
    while len(picked) < batch and open_.any():
        value = worth + beta * (value_of_space - digamma(around + 1) / d_x)
        best = int(np.argmax(np.where(open_, value, -np.inf)))
        picked.append(best)
        gain.append(value[best])
        open_[best] = False
        if limit is not None and sum(prompt[i] == prompt[best] for i in picked) >= limit:
            open_ &= prompt != prompt[best]
        around += np.linalg.norm(here - here[best], axis=1) <= reach
    return np.array(picked, dtype=int), np.array(gain)


def full_greedy(pool, belief, batch, *, weigh, per_prompt=None):
    """Greedy design that computes every leverage anew from the covariance at every pick."""
    x = _differences(pool)
    covariance, theta = belief.covariance, belief.theta
    weight = weigh(x @ theta, np.einsum("ni,ni->n", x @ covariance, x))
    open_, picks, gains = pool.eligible.copy(), [], []
    while len(picks) < batch and open_.any():
        leverage = np.einsum("ni,ni->n", x @ covariance, x)
        value = np.where(open_, 0.5 * np.log1p(weight * leverage) * pool.rates, -np.inf)
        j = int(np.argmax(value))
        picks.append(j)
        gains.append(value[j])
        precision = np.linalg.inv(covariance) + weight[j] * np.outer(x[j], x[j])
        covariance = np.linalg.inv(precision)
        _close(open_, pool, picks, per_prompt)
    return picks, gains


def full_variance_greedy(pool, belief, target, batch, *, per_prompt=None):
    """V-optimal greedy: the drop of the trace, from the covariance after each candidate."""
    _, z = belief.whiten(pool.features, pool.pairs, dtype=np.float64)
    mu, s2 = belief.margin(pool.features.astype(np.float64), pool.pairs)
    weight, S = kappa_weight(mu, s2), np.eye(z.shape[1])
    open_, picks, gains = pool.eligible.copy(), [], []
    while len(picks) < batch and open_.any():
        along = z @ S
        drop = weight * np.einsum("ni,ni->n", along @ target, along)
        drop /= 1 + weight * np.einsum("ni,ni->n", along, z)
        value = np.where(open_, drop * pool.rates, -np.inf)
        j = int(np.argmax(value))
        picks.append(j)
        gains.append(value[j])
        S = np.linalg.inv(np.linalg.inv(S) + weight[j] * np.outer(z[j], z[j]))
        _close(open_, pool, picks, per_prompt)
    return picks, gains


def _differences(pool):
    features = pool.features.astype(np.float64)
    return features[pool.pairs[:, 0]] - features[pool.pairs[:, 1]]


def _close(open_, pool, picks, per_prompt):
    open_[picks[-1]] = False
    here = pool.prompt == pool.prompt[picks[-1]]
    if per_prompt is not None and here[picks].sum() >= per_prompt:
        open_[here] = False
