"""What a round chooses with where the encoder in use has an ensemble of adapters.

Functions that score a pair by its own margins then see the adapters' belief instead of the head's.
Head, metrics, curve and gate stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign, EncoderVersion
from annotator.services.finetuning import in_use
from learning.acquisition.base import place_in_group
from learning.data import Belief
from learning.errors import LearningError
from learning.finetune.lora_ensemble_belief import answers_of, belief_of
from learning.finetune.lora_ensemble_update import update
from worker import embedding, trained
from worker.embedding import Progress, Source
from worker.jobs import PermanentFailure
from worker.space import Space
from worker.store import Bools, Ints, Labels

# Designs such as dopt need how all pairs vary together: K - 1 directions are too few for that.
USING: Final = frozenset({"bald", "bald_power", "dts"})
# Rewards stand beside the features, so small that what looks at these, such as the screen, does not
# see them; the belief's scale makes up for it, exactly, for it is a power of two.
SMALL: Final = 2.0**-20
LEAST_LEFT: Final = 0.1  # of the adapters' variance; with less they have nothing more to say


class _Unused(Exception):
    """Why the head's belief is used after all, in words."""


@dataclass(frozen=True)
class View:
    """What a function is shown.

    Attributes:
        space: With features that the belief understands.
        belief: The head's, or that of the adapters.
        told: For the round's report; empty where no adapters are concerned.
    """

    space: Space
    belief: Belief
    told: Mapping[str, Any] = field(default_factory=dict)


def view(
    campaign: Campaign,
    space: Space,
    labels: Labels,
    belief: Belief,
    function: str,
    *,
    progress: Progress,
) -> View:
    """The adapters' belief where the version in use has them and the function uses them.

    What people have said since they were trained is taken in. Where they cannot be used the head
    is, and `told` says why.
    """
    plain, version = View(space, belief), in_use(campaign)
    if version is None or version.key != space.encoder_key or function not in USING:
        return plain
    about = version.record.get("ensemble")
    if not about:
        return plain
    told = {"version": version.number, "members": about["members"]}
    try:
        return _by_members(campaign, version, space, labels, told, progress)
    except (_Unused, PermanentFailure, LearningError) as error:
        return replace(plain, told=told | {"unused": str(error)})


def _by_members(
    campaign: Campaign,
    version: EncoderVersion,
    space: Space,
    labels: Labels,
    told: dict[str, Any],
    progress: Progress,
) -> View:
    about = version.record["ensemble"]
    if "error" in about:
        raise _Unused(about["error"])
    if space.candidates.alone.any():
        raise _Unused("they know nothing of the line of good enough, which is asked about")
    known_then = trained.read(version)
    source = Source.ensemble(version)
    stored = embedding.ensure_features(campaign, space.index, progress=progress, source=source)
    rewards = stored.lookup(space.index.keys()).astype(np.float64)
    since = new(labels, space, known_then)
    count, known = int(since.sum()), about["labels"] + int(since.sum())
    answers = answers_of(about["answers"])
    alone = belief_of(about["members"], about["scale"], answers, n_comparisons=known)
    found = update(rewards, alone, labels.comparisons.subset(since))
    if found.left < LEAST_LEFT:
        raise _Unused(
            f"the {count} answers since they were trained have settled what they disagreed about"
        )
    mixed = (SMALL * (rewards @ found.mixing)).astype(np.float32)
    line = np.zeros((len(space.phi) - len(mixed), mixed.shape[1]), np.float32)
    phi = np.hstack([space.phi, np.concatenate([mixed, line])])
    behind = belief_of(
        about["members"],
        about["scale"] / SMALL,
        answers,
        n_comparisons=known,
        after=space.phi.shape[1],
    )
    more = {"labels": about["labels"], "since": count, "left": round(found.left, 3)}
    return View(replace(space, phi=phi), behind, told | more)


def new(labels: Labels, space: Space, known: Ints) -> Bools:
    """Which answers of people, never held-out ones, the adapters were not trained on; ``(n,)``.

    An answer is known by what it says of which two responses. Of several alike as many are known
    as were trained on, whoever gave them.
    """
    usable = np.flatnonzero(~labels.holdout & ~labels.line)
    data = labels.comparisons.subset(usable)
    rows = trained.said(space.index.ids[data.pairs], data.outcome, data.strength)
    _, code = np.unique(np.concatenate([known, rows]), axis=0, return_inverse=True)
    code = code.reshape(-1)
    spent = np.bincount(code[: len(known)], minlength=int(code.max(initial=-1)) + 1)
    mine: NDArray[np.int64] = code[len(known) :]
    found = np.zeros(len(labels.holdout), np.bool_)
    found[usable] = place_in_group(mine) >= spent[mine]
    return found
