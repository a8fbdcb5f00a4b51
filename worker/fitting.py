"""Fitting a campaign's heads: which one, on which answers, from where to start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from annotator.catalogue import AUTO_HEAD
from annotator.models import Campaign, ModelVersion
from learning import heads
from learning.data import Belief, Comparisons, Posterior
from learning.heads import Head
from learning.routing.source import learn
from worker import beliefs
from worker.heard import Heard
from worker.space import Space
from worker.store import Labels

Kind = ModelVersion.Kind
LINEAR = ("linear_bt", "item_bt")
FEW = 2000  # comparisons; with fewer the matrices are small


@dataclass(frozen=True)
class Fitted:
    """One fitted head and the name of what was really used.

    Attributes:
        head: Its name.
        belief: The head.
        answers: Comparisons that people made and it was fitted on.
        judges: What became of the labels of judges, if there were any.
    """

    head: str
    belief: Belief
    answers: int
    judges: Mapping[str, Any] = field(default_factory=dict)


def fit(
    campaign: Campaign, space: Space, labels: Labels, kind: str, heard: Heard | None = None
) -> Fitted:
    """Fit on the training side only: the holdout is never trained on.

    What judges said is learnt from as well, each label with its own chance of being wrong, unless
    the audit says that one source alone is better. The control is fitted on people alone.
    """
    usable = ~labels.holdout
    if not space.has_line:  # the first word about the line came in just now
        usable &= ~labels.line
    if kind == Kind.RANDOM:
        usable &= labels.control
    name = head_name(campaign, space)
    seen = labels.comparisons.subset(usable)
    head, start = head_of(name, space), previous(campaign, space, kind)
    recurring = heads.recurring(space.trainable)
    if heard is None or not len(heard) or kind == Kind.RANDOM:
        with threadpool_limits(_threads(len(seen))):
            belief = head.fit(space.phi, seen, start=start, recurring=recurring)
        return Fitted(name, belief, len(seen))
    both = heard.beside(seen, labels.query[usable])
    with threadpool_limits(_threads(len(both))):
        found = learn(
            space.phi,
            both,
            human=heard.human,
            rng=np.random.default_rng(campaign.seed),
            head=head,
            start=start,
            recurring=recurring,
        )
    used = {"both": len(both), "people": len(seen), "judge": len(heard)}[found.source]
    # Not twice for each mirror image.
    belief = replace(found.belief, n_comparisons=used)
    learnt = {"labels": len(heard), "learnt_from": found.source, "log_loss": dict(found.log_loss)}
    return Fitted(name, belief, len(seen), learnt | {"tested": found.tested})


@dataclass(frozen=True)
class Calibrated:
    """A head whose prior is given: on features that were trained on the same answers."""

    head: Head
    precision: float

    @property
    def name(self) -> str:
        """Of the head."""
        return self.head.name

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        comparisons: Comparisons,
        *,
        prior_precision: float | None = None,
        start: Belief | None = None,
        recurring: NDArray[np.int64] | None = None,
    ) -> Belief:
        """As the head does, with this precision."""
        return self.head.fit(
            features,
            comparisons,
            prior_precision=prior_precision or self.precision,
            start=start,
            recurring=recurring,
        )


def head_of(name: str, space: Space) -> Head:
    """A head for these features. A network's precision is on another scale: it has its own."""
    head = heads.get(name)
    if space.precision is None or name not in LINEAR:
        return head
    return Calibrated(head, space.precision)


def _threads(labels: int) -> int | None:
    """One while matrices are small: threads would wait for each other."""
    return 1 if labels < FEW else None


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


def hyperparameters(fitted: Fitted) -> dict[str, Any]:
    """What the fit decided by itself, and what it was fitted on besides, for the record."""
    belief = fitted.belief
    found = {"tie": belief.tie, "log_evidence": belief.log_evidence}
    if isinstance(belief, Posterior):
        found |= {"prior_precision": belief.prior_precision, "item_effects": len(belief.items)}
        if len(belief.items):
            found["item_precision"] = belief.item_precision
    return found | ({"judges": dict(fitted.judges)} if fitted.judges else {})
