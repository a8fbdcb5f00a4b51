"""Fitting a campaign's heads: which one, on which answers, from where to start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from annotator.catalogue import AUTO_HEAD
from annotator.models import Campaign, ModelVersion
from learning import heads
from learning.data import Belief, Posterior
from worker import beliefs
from worker.space import Space
from worker.store import Labels

Kind = ModelVersion.Kind
FEW = 2000  # comparisons; with fewer the matrices are small


@dataclass(frozen=True)
class Fitted:
    """One fitted head and the name of what was really used."""

    head: str
    belief: Belief


def fit(campaign: Campaign, space: Space, labels: Labels, kind: str) -> Fitted:
    """Fit on the training side only: the holdout is never trained on."""
    usable = ~labels.holdout
    if not space.has_line:  # the first word about the line came in just now
        usable &= ~labels.line
    if kind == Kind.RANDOM:
        usable &= labels.control
    name = head_name(campaign, space)
    seen = labels.comparisons.subset(usable)
    with threadpool_limits(1 if len(seen) < FEW else None):  # threads would wait for each other
        belief = heads.get(name).fit(
            space.phi,
            seen,
            start=previous(campaign, space, kind),
            recurring=heads.recurring(space.trainable),
        )
    return Fitted(name, belief)


def head_name(campaign: Campaign, space: Space) -> str:
    """The head in force; `auto` decides by how often responses recur in the pool."""
    return heads.choose(space.trainable) if campaign.head == AUTO_HEAD else campaign.head


def previous(campaign: Campaign, space: Space, kind: str) -> Belief | None:
    """The last model of this kind on the same features: a place to start from, no more."""
    last = campaign.model_versions.filter(kind=kind, encoder_key=space.encoder_key)
    version = last.order_by("-round__number").first()
    loaded = beliefs.load(version, ids=space.index.ids) if version is not None else None
    fits = loaded is not None and loaded[0].width == space.phi.shape[1]
    return loaded[0] if loaded is not None and fits else None


def hyperparameters(belief: Belief) -> dict[str, Any]:
    """What the fit decided by itself, for the record."""
    found = {"tie": belief.tie, "log_evidence": belief.log_evidence}
    if isinstance(belief, Posterior):
        found |= {"prior_precision": belief.prior_precision, "item_effects": len(belief.items)}
        if len(belief.items):
            found["item_precision"] = belief.item_precision
    return found
