"""The one signature of all acquisition functions, and what many of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from learning import options
from learning.data import Belief, Context, Pool, Selection


@dataclass(frozen=True, slots=True)
class NoConfig:
    """For functions without options."""


MIN_COMPARISONS: Final = 16  # a function that looks at a model that has seen less chases noise


def a_few(config: Any, belief: Belief) -> int:
    """Return how many comparisons most functions wait for."""
    return MIN_COMPARISONS


class Select(Protocol):
    """Chooses up to ``batch`` eligible pairs.

    Pure: the same arguments and generator state give the same picks (what is kept in
    ``context.memory`` saves time and changes nothing). Swapping the sides of any pair changes
    nothing. At most ``context.per_prompt`` picks of one prompt; fewer eligible pairs than
    ``batch`` are all returned, as far as that limit allows. Gains are multiplied with
    ``pool.rates``. Pending pairs are in the belief already.
    """

    def __call__(
        self,
        pool: Pool,
        belief: Belief,
        context: Context,
        batch: int,
        *,
        rng: np.random.Generator,
        config: Any,
    ) -> Selection:
        """Return the picks, best first."""


@dataclass(frozen=True, slots=True)
class Method:
    """An acquisition function with what people need to choose it.

    Attributes:
        name: Name in the registry, in configurations and in every stored query.
        summary: One paragraph for a researcher: what it looks for, when it helps, when not.
        config_type: Frozen dataclass of its options, made with :func:`learning.options.option`.
        select: The function.
        diagnostic: It is there to be compared with, not to label with.
        needs_model: It looks at the belief; otherwise it can choose before any answer.
        patience: How many comparisons the belief must have seen, by options and belief.
        needs_prompts: It uses the vectors of ``context.prompts`` where they are given.
        needs_entropy: It uses the entropies of ``context.prompts`` where they are given.
        wrapped: The common options (screen, limit a prompt, ...) apply to it.
    """

    name: str
    summary: str
    config_type: type[Any]
    select: Select
    diagnostic: bool = False
    needs_model: bool = True
    patience: Callable[[Any, Belief], int] = a_few
    needs_prompts: bool = False
    needs_entropy: bool = False
    wrapped: bool = True

    def parse_config(self, given: Mapping[str, Any] | None = None) -> Any:
        """Return options from plain JSON values, missing ones at their defaults.

        Raises:
            ConfigError: an option is unknown, of the wrong type or out of range.
        """
        return options.read(self.config_type, given, self.name)


def top(
    score: NDArray[np.float64],
    pool: Pool,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    **info: Any,
) -> Selection:
    """Pick the eligible pairs with the highest scores, equal scores in random order.

    Args:
        score: Larger is better, shape ``(N,)``, no NaN; multiplied with the pool's rates here.
        pool: Says which pairs may be asked, and their rates.
        context: Says how many of one prompt may be picked.
        batch: How many to pick at most.
        rng: Breaks ties; without it the order of import would decide.
        info: Facts to keep with the selection.
    """
    masked = np.where(pool.eligible, score * pool.rates, -np.inf)
    candidates = pool.candidates
    order = np.lexsort((rng.random(len(candidates)), -masked[candidates]))
    picked = first_of_each(candidates[order], pool.prompt, batch, limit=context.per_prompt)
    return Selection(indices=picked, gain=masked[picked], score=masked, info=info)


def first_of_each(
    order: NDArray[np.int64], group: NDArray[np.int64], batch: int, *, limit: int | None
) -> NDArray[np.int64]:
    """Return the first ``batch`` of ``order`` with at most ``limit`` of one group.

    Args:
        order: Indices, best first, shape ``(n,)``.
        group: Group of every index, shape ``(N,)``.
        batch: How many at most.
        limit: ``None`` for no limit.
    """
    if limit is None:
        return order[: max(batch, 0)]
    nth = place_in_group(group[order])
    return order[nth < limit][: max(batch, 0)]


def place_in_group(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many earlier entries have the same group; shape as given, ``(n,)``."""
    by_group = np.argsort(group, kind="stable")
    _, start, size = np.unique(group[by_group], return_index=True, return_counts=True)
    nth = np.empty(len(group), dtype=np.int64)
    nth[by_group] = np.arange(len(group)) - np.repeat(start, size)
    return nth


def margins(pool: Pool, belief: Belief) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``(mu, s2)`` of the eligible pairs, zeros elsewhere; each of shape ``(N,)``.

    What may not be asked is not computed: late in a campaign that is most of the pool.
    """
    mu, s2 = np.zeros(len(pool)), np.zeros(len(pool))
    candidates = pool.candidates
    mu[candidates], s2[candidates] = belief.margin(pool, pool.pairs[candidates])
    return mu, s2


def kappa_weight(mu: NDArray[np.float64], s2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected Fisher information of an answer, ``kappa sigmoid'(kappa mu)``.

    The derivative of MacKay's moderated probability in the mean margin, which is close to
    ``E sigmoid'(f)`` for ``f ~ N(mu, s2)``: large for what is uncertain *because the model does
    not know*, where ``sigmoid'(mu)`` would call a confident guess settled.

    Args:
        mu: Mean margin, any shape.
        s2: Its variance, same shape.

    Returns:
        Same shape, in (0, 1/4].
    """
    kappa = 1.0 / np.sqrt(1.0 + np.pi * s2 / 8.0)
    p = expit(-np.abs(kappa * mu))  # the smaller side: p (1 - p) must not lose the tail
    return np.asarray(kappa * p * (1.0 - p))
