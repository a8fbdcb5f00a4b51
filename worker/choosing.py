"""The choice of a round's questions: the policy in force, what it is told, what is reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.catalogue import DEFAULT_ACQUISITION
from annotator.models import Campaign, EncoderCard
from annotator.services import budgets
from learning import answering, heads
from learning.acquisition import Method, Recipe
from learning.answering import Answering, pair_features
from learning.data import Belief, Context, Pool, Prompts
from learning.selection import FALLBACK, Batch, Choice, compose_batch
from learning.sets import BLIND, SetChoice, Side, compose_sets, inside_pairs
from worker import embedding, members, memory, promptindex
from worker.embedding import Progress
from worker.events import events
from worker.space import Space
from worker.store import Ints, Labels

# Pairs in which a response must occur (median) for the default to choose before it was tried. On
# people's answers it pays at 33 (ukp_convarg1) and has not been shown to at 8 or fewer; see
# docs/decisions/0012-choosing-has-to-pay.md.
RECURS: Final = 16


@dataclass(frozen=True)
class Policy:
    """The function in force with its options.

    Attributes:
        name: Of the function.
        config: Options that differ from their defaults.
        because: What made the campaign fall back, if anything did: its ``encoder`` cannot learn
            here, the ``payoff`` of choosing was tried and not shown, or it is ``untried``.
        finding: What the newest card says about that.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    because: str = ""
    finding: str = ""

    @classmethod
    def of(cls, campaign: Campaign, space: Space) -> Policy:
        """What the campaign asks for, unless evidence speaks against it.

        The default, left as it is, needs some that speaks for it: a replay on the campaign's own
        answers, or responses that recur. What somebody chose is believed until it was tried.
        """
        asked = cls(campaign.acquisition, campaign.acquisition_config)
        if not campaign.fall_back or asked.name in BLIND:
            return asked
        card = newest_card(campaign, space.encoder_key)
        if card is not None and card.learnable is False:
            return cls(FALLBACK, because="encoder", finding=card.sentence)
        found = card.payoff(campaign.acquisition, campaign.acquisition_config) if card else None
        payoff = found or {"pays": None, "sentence": ""}
        if payoff["pays"] is False:
            return cls(FALLBACK, because="payoff", finding=payoff["sentence"])
        if payoff["pays"] is None and asked.unasked_for and not recurs(space):
            return cls(FALLBACK, because="untried", finding=payoff["sentence"])
        return asked

    @property
    def unasked_for(self) -> bool:
        """Whether nobody named this function or gave it a parameter."""
        return self.name == DEFAULT_ACQUISITION and not self.config


@dataclass(frozen=True)
class Chosen:
    """A batch whose seeds are numbered among all candidates, with what to report."""

    choices: tuple[SetChoice, ...]
    policy: Policy
    report: dict[str, Any]

    def covers(self, space: Space) -> NDArray[np.bool_]:
        """Which candidate pairs these questions put, shape ``(n,)``."""
        found, base = space.candidates, np.int64(len(space.index.ids) + 1)
        put = np.zeros(len(found.pairs), np.bool_)
        put[[one.seed.pair for one in self.choices]] = True
        inside = [inside_pairs(one.rows) for one in self.choices]
        pairs = np.concatenate([np.empty((0, 2), np.int64), *inside])
        code = found.pairs[:, 0] * base + found.pairs[:, 1]
        return np.asarray(put | np.isin(code, pairs[:, 0] * base + pairs[:, 1]))


def recurs(space: Space) -> bool:
    """Whether responses occur in so many pairs that the default may choose untried."""
    return heads.recurrence(space.trainable) >= RECURS


def newest_card(campaign: Campaign, encoder_key: str) -> EncoderCard | None:
    """The newest card of this encoder."""
    return campaign.encoder_cards.filter(encoder_key=encoder_key).first()


def choose(
    campaign: Campaign,
    space: Space,
    labels: Labels,
    belief: Belief,
    *,
    wanted: int,
    number: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Chosen:
    """Compose the batch of round `number`."""
    policy = Policy.of(campaign, space)
    recipe = Recipe.of(policy.name, policy.config)
    seen = members.view(campaign, space, labels, belief, policy.name, progress=progress)
    space, belief = seen.space, seen.belief
    ready = recipe.waits(belief) is None
    paying = costs(campaign, space) if ready and recipe.common.per_minute else None
    found = space.candidates
    train, held = np.flatnonzero(~found.holdout), np.flatnonzero(found.holdout)
    context = Context(
        round=number,
        labelled_prompts=labelled_prompts(labels, alone=bool(found.alone.any())),
        pending=found.pairs[found.pending & ~found.holdout],
    )
    if ready:
        ids = np.union1d(found.prompt[train], context.labelled_prompts)
        context = replace(context, prompts=prompts(campaign, ids, recipe.method, progress))
    sides = [Side(pool_of(space, train, paying), found.group[train])]
    sides += [Side(pool_of(space, held), found.group[held])] if len(held) else []
    with memory.kept(campaign.pk) as remembered:
        context = replace(context, memory=remembered)
        made, info = compose(
            campaign, policy, space, sides, belief, context, wanted=wanted, rng=rng
        )
    made = renumbered(made, train, held)
    told = report(campaign, policy, recipe, info, paying)
    told["most_of_one_prompt"] = most_of_one(made, found.prompt)
    if seen.told and not told["fallback"]:
        told["ensemble"] = dict(seen.told)
    return Chosen(made, policy, told)


def compose(
    campaign: Campaign,
    policy: Policy,
    space: Space,
    sides: list[Side],
    belief: Belief,
    context: Context,
    *,
    wanted: int,
    rng: np.random.Generator,
) -> tuple[tuple[SetChoice, ...], Mapping[str, Any]]:
    """Choose pairs, or where questions show more, the sets that they grow into."""
    train, held = sides[0], sides[1] if len(sides) > 1 else None
    people = not budgets.spent(campaign)  # they alone answer these two arms
    asked: dict[str, Any] = {
        "batch": wanted,
        "random_share": campaign.random_share if people else 0.0,
        "holdout_share": campaign.holdout_share if people else 0.0,
        "method": policy.name,
        "config": policy.config,
        "rng": rng,
    }
    groups, line = space.candidates.groups, len(space.index.ids)
    if len(groups.size):
        sets, info = compose_sets(train, held, groups, belief, context, **asked)
    else:
        batch = compose_batch(
            train.pool, held.pool if held is not None else None, belief, context, **asked
        )
        sets, info = tuple(seeds(batch, train, held)), batch.info
    shown = [tuple(row for row in one.rows if row != line) for one in sets]
    return tuple(replace(one, rows=rows) for one, rows in zip(sets, shown, strict=True)), info


def seeds(batch: Batch, train: Side, held: Side | None) -> Iterator[SetChoice]:
    """Chosen pairs that are questions as they are."""
    for choice in batch:
        side = held if choice.arm == "holdout" and held is not None else train
        yield SetChoice(choice, tuple(int(row) for row in side.pool.pairs[choice.pair]))


def pool_of(space: Space, rows: Ints, paying: Answering | None = None) -> Pool:
    """The pool of some candidates; what was asked is in it and not eligible."""
    found = space.candidates
    pairs = found.pairs[rows]
    return Pool(
        features=space.phi,
        pairs=pairs,
        prompt=found.prompt[rows],
        eligible=~found.taken[rows],
        rate=None if paying is None else paying.rate(pair_features(space.surface, pairs)),
    )


def renumbered(made: tuple[SetChoice, ...], train: Ints, held: Ints) -> tuple[SetChoice, ...]:
    """The choices with their seeds numbered among all candidates."""

    def moved(seed: Choice) -> Choice:
        rows = held if seed.arm == "holdout" else train
        return replace(seed, pair=int(rows[seed.pair]))

    return tuple(replace(one, seed=moved(one.seed)) for one in made)


def labelled_prompts(labels: Labels, *, alone: bool = False) -> Ints:
    """Prompts of the answered training pairs: a prompt once for each of its answered pairs.

    A response and the line are a pair where the pool has such pairs.
    """
    asked = ~labels.holdout if alone else ~labels.holdout & ~labels.line
    pairs = np.sort(labels.comparisons.pairs[asked], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    return labels.prompt[asked][first]


def prompts(campaign: Campaign, ids: Ints, method: Method, progress: Progress) -> Prompts | None:
    """What a function wants to know of some prompts.

    Embeddings are computed once and kept like those of responses; entropies of a language model
    came with the items.
    """
    if not (method.needs_prompts or method.needs_entropy):
        return None
    known = promptindex.entropies(campaign.pk, ids) if method.needs_entropy else None
    vectors = np.empty((len(ids), 0), np.float32)
    if method.needs_prompts:
        index = promptindex.refresh(campaign.pk)
        features = embedding.ensure_features(campaign, index, progress=progress)
        keys = index.keys()
        vectors = features.lookup([keys[row] for row in index.rows(ids)])
    if known is None:
        return Prompts(ids=ids, vectors=vectors)
    return Prompts(ids=ids, vectors=vectors, entropy=known.values, model=known.model)


def costs(campaign: Campaign, space: Space) -> Answering:
    """How likely and how fast pairs are answered, from the campaign's own events."""
    return answering.fit(events(campaign, space.index), rng=np.random.default_rng(campaign.seed))


def report(
    campaign: Campaign,
    policy: Policy,
    recipe: Recipe,
    info: Mapping[str, Any],
    paying: Answering | None,
) -> dict[str, Any]:
    """What was done, as plain JSON."""
    told: dict[str, Any] = {
        "name": info.get("method", policy.name),
        "asked_for": policy.name,
        "options": recipe.to_json(),
        "fallback": info.get("fallback"),
        "counts": info.get("counts", {}),
        "selection": plain(info.get("selection", {})),
    }
    if "passes" in info:
        told["passes"] = info["passes"]
    if policy.because:
        told |= {
            "instead_of": campaign.acquisition,
            "because": policy.because,
            "card": policy.finding,
        }
    if paying is not None:
        told["answering"] = paying.to_json()
    return told


def most_of_one(made: tuple[SetChoice, ...], prompt: Ints) -> int:
    """How many of the policy's questions are about the same prompt, at most."""
    mine = np.array([one.seed.pair for one in made if one.seed.arm == "policy"], np.int64)
    return int(np.unique(prompt[mine], return_counts=True)[1].max(initial=0))


def plain(value: Any) -> Any:
    """A value as JSON holds it; long arrays and what is not finite are left out."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist()) if value.size <= 20 else f"{value.size} values"
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)
