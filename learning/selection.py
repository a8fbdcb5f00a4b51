"""Composing a batch from its arms: policy, random control and holdout.

The random arm is drawn first, from everything that may be asked, so that it is a simple
random sample of the pool whatever the policy likes; the policy chooses from what is left.
The order of publication is shuffled: nobody can tell arms apart by when they come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning.acquisition import Recipe, random_unique
from learning.acquisition.base import NoConfig
from learning.data import Belief, Context, Pool, Selection
from learning.errors import ConfigError

Arm: TypeAlias = Literal["policy", "random", "holdout"]

FALLBACK: Final = "random_unique"


@dataclass(frozen=True, slots=True)
class Choice:
    """One query to publish.

    Attributes:
        pair: Index into the pool, or into the holdout pool if ``arm`` is ``holdout``.
        arm: Why it is in the batch.
        score: What the policy gave it when it was picked; ``None`` in the other arms.
        propensity: Probability with which its arm chose it, given the state: ``k / N`` for
            ``k`` random draws from the ``N`` pairs that may be asked, likewise in the holdout,
            and 1 for a deterministic policy.
        method: Acquisition function that chose it.
    """

    pair: int
    arm: Arm
    score: float | None
    propensity: float
    method: str = "random"


@dataclass(frozen=True, slots=True)
class Batch:
    """The choices in the order in which they are to be published, with facts for the log."""

    choices: tuple[Choice, ...]
    info: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.choices)

    def __iter__(self) -> Iterator[Choice]:
        return iter(self.choices)


def compose_batch(
    pool: Pool,
    holdout_pool: Pool | None,
    posterior: Belief,
    context: Context,
    *,
    batch: int,
    random_share: float,
    holdout_share: float,
    method: str,
    config: Mapping[str, Any] | None = None,
    rng: np.random.Generator,
    spread: bool = False,
) -> Batch:
    """Choose the next queries.

    Args:
        pool: Candidate pairs for training.
        holdout_pool: Candidate pairs of the prompts reserved for testing, if any.
        posterior: The fitted head, or its prior. With fewer comparisons than the method waits
            for, ``FALLBACK`` chooses the policy's share; ``info["fallback"]`` says why.
        context: Where the campaign stands.
        batch: How many queries; fewer come back if fewer pairs may be asked.
        random_share: Part of the batch drawn at random, in [0, 1].
        holdout_share: Part of the batch from the holdout pool; both shares at most 1 together.
        method: Acquisition function of the policy arm.
        config: Its options.
        rng: Draws, tie-breaks and the order.
        spread: For seeds of sets: the control arms draw prompts, then a pair of each, and the
            policy leaves these prompts alone where there are others.

    Raises:
        ConfigError: a share, the method or an option is not valid.
    """
    _check(batch, random_share, holdout_share)
    recipe = Recipe.of(method, config)
    spare = int(holdout_pool.eligible.sum()) if holdout_pool is not None else 0
    shares = {"holdout": holdout_share, "random": random_share}
    counts = allot(batch, shares, train=int(pool.eligible.sum()), holdout=spare)
    info: dict[str, Any] = {"method": method}
    if reason := recipe.waits(posterior):
        info |= {"fallback": reason, "method": FALLBACK}
        recipe = Recipe.of(FALLBACK)

    draw = partial(_one_a_prompt, posterior) if spread else _uniform
    choices = draw("random", pool, counts["random"], rng)
    drawn = [choice.pair for choice in choices]
    if holdout_pool is not None:
        choices += draw("holdout", holdout_pool, counts["holdout"], rng)
    if counts["policy"]:
        left = _rest(pool, drawn, spread=spread)
        selection = recipe.select(left, posterior, context, counts["policy"], rng=rng)
        info["selection"] = dict(selection.info)
        choices += _by_policy(selection, recipe.method.name)
    info["counts"] = counts
    order = rng.permutation(len(choices))
    return Batch(choices=tuple(choices[i] for i in order), info=info)


def allot(batch: int, shares: Mapping[str, float], *, train: int, holdout: int) -> dict[str, int]:
    """Split a batch over the arms; the numbers add up to ``min(batch, train + holdout)``.

    Shares are rounded by largest remainder, and an equal remainder goes to the control arms
    first, so that small batches do not starve them. What one side cannot fill the other one
    takes over.

    Args:
        batch: Queries wanted.
        shares: Of ``holdout`` and ``random``; the policy has the rest.
        train: Pairs that may be asked for training.
        holdout: Pairs that may be asked for testing.
    """
    policy = max(0.0, 1.0 - shares["holdout"] - shares["random"])
    wanted = round_shares(batch, [shares["holdout"], shares["random"], policy])
    for_test = min(wanted[0], holdout)
    for_training = min(batch - for_test, train)
    if shares["holdout"] > 0:  # a campaign without a holdout share never touches the holdout
        for_test = min(batch - for_training, holdout)
    if (for_test, for_training) == (wanted[0], batch - wanted[0]):
        return {"holdout": wanted[0], "random": wanted[1], "policy": wanted[2]}
    rest = shares["random"] + policy
    at_random, by_policy = round_shares(
        for_training, [shares["random"] / rest, policy / rest] if rest > 0 else [1.0, 0.0]
    )
    return {"holdout": for_test, "random": at_random, "policy": by_policy}


def round_shares(total: int, shares: list[float]) -> list[int]:
    """Round ``total * shares`` to whole numbers with the same sum; earlier wins a draw."""
    # Floats such as 0.1 + 0.2 must not push an exact share over or under a whole number.
    exact = np.round(np.array(shares) * total, 9)
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return [int(count) for count in counts]


def _uniform(arm: Arm, pool: Pool, k: int, rng: np.random.Generator) -> list[Choice]:
    candidates = pool.candidates
    picked: NDArray[np.int64] = rng.choice(candidates, size=k, replace=False)
    return [Choice(int(pair), arm, None, k / len(candidates)) for pair in picked]


def _one_a_prompt(
    belief: Belief, arm: Arm, pool: Pool, k: int, rng: np.random.Generator
) -> list[Choice]:
    drawn = random_unique.select(pool, belief, Context(), k, rng=rng, config=NoConfig())
    chances = drawn.propensity if drawn.propensity is not None else np.ones(len(drawn))
    return [
        Choice(int(pair), arm, None, float(chance))
        for pair, chance in zip(drawn.indices, chances, strict=True)
    ]


def _rest(pool: Pool, drawn: list[int], *, spread: bool) -> Pool:
    """The pool without what was drawn, or without the prompts of that where there are others."""
    left = pool.eligible.copy()
    left[drawn] = False
    elsewhere = left & ~np.isin(pool.prompt, pool.prompt[drawn])
    return pool.with_eligible(elsewhere if spread and elsewhere.any() else left)


def _by_policy(selection: Selection, method: str) -> list[Choice]:
    propensity = selection.propensity
    if propensity is None:
        propensity = np.ones(len(selection))
    return [
        Choice(int(pair), "policy", float(gain), float(chance), method)
        for pair, gain, chance in zip(selection.indices, selection.gain, propensity, strict=True)
    ]


def _check(batch: int, random_share: float, holdout_share: float) -> None:
    if batch < 0:
        raise ConfigError(f"batch must be at least 0, got {batch}")
    for name, share in (("random_share", random_share), ("holdout_share", holdout_share)):
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"{name} must lie between 0 and 1, got {share}")
    if random_share + holdout_share > 1.0 + 1e-9:
        raise ConfigError(f"shares add up to {random_share + holdout_share}, more than 1")
