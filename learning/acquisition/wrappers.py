"""What may be put around any acquisition function: common options, applied in one place.

Each step is a small function of pool and context, so that they compose: first what may not be
chosen (screen, prefilter), then how picks are weighed against each other (rate, limit a
prompt), then how much of the batch is drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning import options
from learning.acquisition import random, registry
from learning.acquisition.base import Method, NoConfig, kappa_weight, margins
from learning.data import Belief, Context, Pool, Selection, blocks, rows_in_cache
from learning.errors import ConfigError
from learning.options import option

_MAD_TO_SD: Final = 1.4826  # of a Gaussian
_RESERVE: Final = 0.1  # of a prefilter's room, drawn uniformly


@dataclass(frozen=True, slots=True)
class Common:
    """Options that every wrapped function has besides its own."""

    screen: float = option(
        4.0,
        "Leaves out pairs whose features differ implausibly much: more than so many robust "
        "standard deviations above the median. Junk would otherwise look informative. 0: off.",
        low=0.0,
    )
    per_prompt: int = option(
        1,
        "At most so many questions about one prompt in a batch; more where there are too few "
        "prompts for the batch. 0: no limit.",
        low=0,
    )
    per_minute: bool = option(
        False,
        "Weighs information by the chance of an answer and the seconds it takes, as estimated "
        "from the campaign's own answers and skips.",
    )
    random_share: float = option(
        0.0,
        "Part of the picks that is drawn uniformly, besides the campaign's control arm.",
        low=0.0,
        high=1.0,
    )
    anneal: float = option(
        1.0,
        "The random part is multiplied with this after every round; 1 keeps it.",
        low=0.0,
        high=1.0,
    )
    prefilter: int = option(
        0,
        "Looks closely only at so many pairs: the most uncertain, and a tenth drawn uniformly. "
        "0: at all.",
        low=0,
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """An acquisition function with its own and the common options, ready to choose."""

    method: Method
    own: Any
    common: Common

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any] | None = None) -> Recipe:
        """Read a recipe from a name and plain JSON values, own and common options mixed.

        Raises:
            ConfigError: there is no such function, or an option is unknown, of the wrong type
                or out of range.
        """
        method = registry.get(name)
        given = dict(given or {})
        shared = {item.name for item in fields(Common)} if method.wrapped else set()
        own = {item.name for item in fields(method.config_type)}
        if unknown := sorted(given.keys() - own - shared):
            there_are = ", ".join(sorted(own | shared)) or "none"
            raise ConfigError(f"{name} has no option {unknown[0]!r}; it has: {there_are}")
        common = {key: value for key, value in given.items() if key in shared - own}
        mine = {key: value for key, value in given.items() if key in own}
        return cls(method, method.parse_config(mine), options.read(Common, common, name))

    def to_json(self) -> dict[str, Any]:
        """Return every option that was used, defaults included."""
        return {**(asdict(self.common) if self.method.wrapped else {}), **asdict(self.own)}

    def patience(self, belief: Belief) -> int:
        """Return how many comparisons a belief of this width must have seen; 0 for none."""
        return self.method.patience(self.own, belief) if self.method.needs_model else 0

    def waits(self, belief: Belief) -> str | None:
        """Return why the function cannot choose yet, in words; ``None`` when it can."""
        wanted = self.patience(belief)
        if belief.n_comparisons < wanted:
            return (
                f"{self.method.name} waits for {wanted} comparisons, the head has seen "
                f"{belief.n_comparisons}"
            )
        return None

    def select(
        self,
        pool: Pool,
        belief: Belief,
        context: Context,
        batch: int,
        *,
        rng: np.random.Generator,
    ) -> Selection:
        """Choose up to ``batch`` pairs; never fails for want of pairs.

        Pending pairs are put into the belief here. ``info`` says what was left out and why.
        """
        if batch <= 0 or not pool.eligible.any():
            return Selection.empty()
        if not self.method.wrapped:
            return self.method.select(pool, belief, context, batch, rng=rng, config=self.own)
        belief.check_width(pool.features)
        info: dict[str, Any] = {}
        if not self.common.per_minute:
            pool = replace(pool, rate=None)
        allowed = pool
        belief = with_pending(pool, belief, context.pending)
        if self.common.screen:
            pool, info["screened"] = screen(pool, self.common.screen)
        if self.common.prefilter:
            pool, info["prefiltered"] = prefilter(pool, belief, self.common.prefilter, rng)
        limit = prompt_limit(pool, batch, self.common.per_prompt)
        info["per_prompt"] = limit
        context = replace(context, per_prompt=limit)
        drawn = _draw(pool, belief, self._random(batch, context.round), rng)
        info["random"] = len(drawn)
        chosen = self.method.select(
            _without(pool, drawn),
            with_pending(pool, belief, pool.pairs[drawn.indices]),
            context,
            batch - len(drawn),
            rng=rng,
            config=self.own,
        )
        rest = _without(_without(allowed, drawn), chosen)
        # What screen and limit left empty is filled up: late in a campaign, junk is what is left.
        fill = _draw(rest, belief, batch - len(drawn) - len(chosen), rng)
        info["filled_at_random"] = len(fill)
        return _joined([chosen, drawn, fill], info)

    def _random(self, batch: int, number: int) -> int:
        return round(batch * self.common.random_share * self.common.anneal**number)


def with_pending(pool: Pool, belief: Belief, pairs: NDArray[np.int64]) -> Belief:
    """Return the belief after answers to ``pairs`` ``(p, 2)``, whatever they will say.

    A design needs only what was asked, not what was answered: the mean stays, the variance
    shrinks by the expected information. Holds for questions that people have open now.
    """
    if not len(pairs):
        return belief
    mu, z = belief.whiten(pool.features, pairs, dtype=np.float64)
    s2 = np.square(z).sum(axis=1)
    return belief.condition(z, kappa_weight(mu.astype(np.float64), s2))


def screen(pool: Pool, deviations: float) -> tuple[Pool, int]:
    """Take pairs with an outlying feature difference out of the choice.

    Leverage and information grow with the norm of the difference, so that a few broken texts
    with large features would be asked first. The threshold is ``median + deviations * 1.4826
    * MAD`` of the norms; when more than half of the norms are equal there is none.

    Returns:
        The pool and how many pairs were left out.
    """
    candidates = pool.candidates
    norm = np.empty(len(candidates))
    for part in blocks(len(candidates), rows_in_cache(pool.features.shape[1])):
        left, right = pool.pairs[candidates[part]].T
        x = pool.features[left].astype(np.float32) - pool.features[right]
        norm[part] = np.sqrt(np.vecdot(x, x))
    middle = np.median(norm)
    spread = _MAD_TO_SD * np.median(np.abs(norm - middle))
    if spread == 0:
        return pool, 0
    outside = norm > middle + deviations * spread
    eligible = pool.eligible.copy()
    eligible[candidates[outside]] = False
    return pool.with_eligible(eligible), int(outside.sum())


def prefilter(pool: Pool, belief: Belief, room: int, rng: np.random.Generator) -> tuple[Pool, int]:
    """Keep the ``room`` pairs with the largest expected information, a tenth of them drawn.

    Returns:
        The pool and how many pairs were left out.
    """
    candidates = pool.candidates
    if len(candidates) <= room:
        return pool, 0
    mu, s2 = margins(pool, belief)
    value = (kappa_weight(mu, s2) * s2 * pool.rates)[candidates]
    best = np.argpartition(-value, room - 1)[: room - round(room * _RESERVE)]
    rest = np.setdiff1d(np.arange(len(candidates)), best)
    drawn = rng.choice(rest, size=room - len(best), replace=False)
    eligible = np.zeros(len(pool), dtype=np.bool_)
    eligible[candidates[np.concatenate([best, drawn])]] = True
    return pool.with_eligible(eligible), len(candidates) - room


def prompt_limit(pool: Pool, batch: int, wanted: int) -> int | None:
    """Return the smallest limit, at least ``wanted``, that leaves a real choice.

    It must let through at least twice the batch (or everything), otherwise the limit and not
    the function would decide: with 32 prompts and batches of 64, one a prompt is impossible
    and two a prompt is a quota. ``None`` (no limit) for ``wanted`` 0 or where every limit is.
    """
    if wanted == 0:
        return None
    _, size = np.unique(pool.prompt[pool.candidates], return_counts=True)
    enough = min(2 * batch, int(size.sum()))
    largest = int(size.max(initial=0))
    for limit in range(wanted, largest):
        if int(np.minimum(size, limit).sum()) >= enough:
            return limit
    return None


def _without(pool: Pool, chosen: Selection) -> Pool:
    left = pool.eligible.copy()
    left[chosen.indices] = False
    return pool.with_eligible(left)


def _draw(pool: Pool, belief: Belief, n: int, rng: np.random.Generator) -> Selection:
    """The uniformly drawn part of a batch."""
    return random.select(pool, belief, Context(), n, rng=rng, config=NoConfig())


def _joined(parts: list[Selection], info: dict[str, Any]) -> Selection:
    """Put the parts together; the first is the function's own choice."""
    own = parts[0]

    def chances(part: Selection) -> NDArray[np.float64]:
        return np.ones(len(part)) if part.propensity is None else part.propensity

    return Selection(
        indices=np.concatenate([part.indices for part in parts]),
        gain=np.concatenate([part.gain for part in parts]),
        score=own.score,
        info={**own.info, **info},
        propensity=np.concatenate([chances(part) for part in parts]),
    )
