"""One round: embed → fit → score → select → publish."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign, ModelVersion, Round
from annotator.services.rounds import PlannedQuery, publish_round, report_state
from learning import heads, metrics
from learning.data import Context, Pool, Posterior
from learning.features import Standardizer, assemble
from learning.selection import Batch, compose_batch
from worker import artifacts, embedding, store, textindex
from worker.jobs import RunningJob
from worker.store import Candidates, Labels
from worker.textindex import TextIndex

logger = logging.getLogger(__name__)
SCALING = "standardizer."  # prefix of the scaling's arrays in a stored model
State = Round.State
Kind = ModelVersion.Kind


def run(job: RunningJob) -> None:
    """Run one round; its queries appear once, whatever happens to workers meanwhile."""
    made = Round.objects.select_related("campaign").get(pk=job.arguments["round"])
    if made.state in Round.ENDED:
        with job.fence():
            return
    _Run(job, made).go()


@dataclass(frozen=True)
class _Space:
    """The campaign as arrays: texts, features, candidates."""

    index: TextIndex
    encoder_key: str
    phi: NDArray[np.float32]  # (responses, d)
    standardizer: Standardizer
    candidates: Candidates


class _Run:
    """The steps of one round, with what they share."""

    def __init__(self, job: RunningJob, made: Round) -> None:
        self.job, self.made = job, made
        self.campaign: Campaign = made.campaign
        self.rng = np.random.default_rng([self.campaign.seed, made.number])
        self.seconds: dict[str, float] = {}

    def go(self) -> None:
        with self._step(State.EMBEDDING):
            space = self._space()
        with self._step(State.FITTING):
            # Counted before it is read: what comes in between is learnt from now and counted
            # next time, so that no answer is ever missed.
            seen = store.count_annotations(self.campaign)
            labels = store.labels(self.campaign, space.index)
            posteriors = {kind: self._fit(space, labels, kind) for kind in Kind}
            versions = [
                self._version(space, labels, kind, posterior, seen)
                for kind, posterior in posteriors.items()
            ]
        with self._step(State.SELECTING):
            wanted = max(0, self.campaign.batch_size - store.open_queries(self.campaign))
            batch = self._select(space, labels, posteriors[Kind.ALL], wanted)
        planned, report = self._plan(space, batch, wanted)
        with self.job.fence():
            publish_round(
                made=self.made,
                planned=planned,
                versions=versions,
                annotations_seen=seen,
                report=report,
            )

    @contextmanager
    def _step(self, state: str) -> Iterator[None]:
        self._tell(state)
        start = time.perf_counter()
        yield
        self.seconds[state] = round(time.perf_counter() - start, 3)

    def _tell(self, state: str, done: int = 0, total: int = 0) -> None:
        detail = f"{done:,} of {total:,}".replace(",", " ") if total else ""
        self.job.progress(done, total, f"{state} {detail}".strip())
        report_state(made=self.made, state=state, detail=detail)

    def _space(self) -> _Space:
        index = textindex.refresh(self.campaign.pk)
        features = embedding.ensure_features(
            self.campaign, index, progress=lambda done, n: self._tell(State.EMBEDDING, done, n)
        )
        embedded = features.lookup(index.keys())
        found = store.candidates(self.campaign, index)
        standardizer = Standardizer.fit(embedded, index.surface, found.pairs)
        phi = assemble(embedded, index.surface, standardizer)
        return _Space(index, features.encoder_key, phi, standardizer, found)

    def _fit(self, space: _Space, labels: Labels, kind: str) -> Posterior:
        """Fit on the training side only: the holdout is never trained on."""
        usable = ~labels.holdout
        if kind == Kind.RANDOM:
            usable &= labels.control
        head = heads.get(heads.DEFAULT_HEAD)
        start = self._previous(space, kind)
        return head.fit(space.phi, labels.comparisons.subset(usable), start=start)

    def _previous(self, space: _Space, kind: str) -> Posterior | None:
        """The last model of this kind on the same features: a place to start from, no more."""
        last = self.campaign.model_versions.filter(kind=kind, encoder_key=space.encoder_key)
        version = last.order_by("-round__number").first()
        if version is None:
            return None
        try:
            arrays = artifacts.read(version)
        except artifacts.BrokenArtifact:
            logger.warning("%s cannot be read; fitting from nothing", version)
            return None
        stored = {k: v for k, v in arrays.items() if not k.startswith(SCALING)}
        posterior = Posterior.from_arrays(stored)
        return posterior if posterior.dim == space.phi.shape[1] else None

    def _version(
        self, space: _Space, labels: Labels, kind: str, posterior: Posterior, seen: int
    ) -> ModelVersion:
        name = f"campaign-{self.campaign.pk}/{self.made.number:05d}-{kind}-{self.job.attempt}"
        scaling = {f"{SCALING}{k}": v for k, v in space.standardizer.to_arrays().items()}
        path, sha256 = artifacts.write(name=name, arrays=posterior.to_arrays() | scaling)
        return ModelVersion(
            campaign=self.campaign,
            round=self.made,
            kind=kind,
            head=heads.DEFAULT_HEAD,
            encoder_key=space.encoder_key,
            annotations_seen=seen,
            comparisons=posterior.n_comparisons,
            hyperparameters={
                "prior_precision": posterior.prior_precision,
                "tie": posterior.tie,
                "log_evidence": posterior.log_evidence,
            },
            metrics=self._metrics(space, labels, posterior),
            artifact=path,
            artifact_sha256=sha256,
        )

    def _metrics(self, space: _Space, labels: Labels, posterior: Posterior) -> dict[str, Any]:
        """Figures on the holdout, with intervals over its prompts."""
        tested = labels.comparisons.subset(labels.holdout)
        clusters = labels.prompt[labels.holdout]
        if not len(tested):
            return {"n": 0}
        # The same draws for both models and every round: curves differ by what was learnt.
        rng = np.random.default_rng(self.campaign.seed)
        found = metrics.evaluate(posterior, space.phi, tested, clusters, rng)
        figures: dict[str, Any] = {"n": found.n, "n_decisive": found.n_decisive}
        for name in ("accuracy", "log_loss", "brier", "ece", "log_loss_ties"):
            estimate = getattr(found, name)
            figures[name] = {
                "value": _finite(estimate.value),
                "low": _finite(estimate.low),
                "high": _finite(estimate.high),
            }
        return figures

    def _select(self, space: _Space, labels: Labels, posterior: Posterior, wanted: int) -> Batch:
        found, asked = space.candidates, space.candidates
        pool = Pool.of(space.phi, found.pairs, prompt=found.prompt)
        context = Context(
            round=self.made.number,
            labelled_prompts=np.unique(labels.prompt[~labels.holdout]),
            pending=asked.pairs[asked.taken],
            budget_left=None,
        )
        return compose_batch(
            pool.with_eligible(~found.taken & ~found.holdout),
            pool.with_eligible(~found.taken & found.holdout),
            posterior,
            context,
            batch=wanted,
            random_share=self.campaign.random_share,
            holdout_share=self.campaign.holdout_share,
            method=self.campaign.acquisition,
            config=self.campaign.acquisition_config,
            rng=self.rng,
        )

    def _plan(
        self, space: _Space, batch: Batch, wanted: int
    ) -> tuple[list[PlannedQuery], dict[str, Any]]:
        found = space.candidates
        planned = []
        for choice in batch:
            item = int(found.item[choice.pair])
            pair = space.index.ids[found.pairs[choice.pair]]
            planned.append(
                PlannedQuery(
                    item_id=item if item >= 0 else None,
                    prompt_id=int(found.prompt[choice.pair]),
                    response_ids=(int(pair[0]), int(pair[1])),
                    arm=choice.arm,
                    acquisition=self.campaign.acquisition if choice.arm == "policy" else "random",
                    score=choice.score,
                    propensity=choice.propensity,
                )
            )
        left = int((~found.taken).sum()) - len(planned)
        report = {
            "pool": len(found.pairs),
            "pool_left": left,
            "wanted": wanted,
            "chosen": dict(Counter(choice.arm for choice in batch)),
            "seconds": self.seconds,
            "encoder": space.encoder_key,
            "notes": {key: str(value) for key, value in batch.info.items()},
        }
        return planned, report


def _finite(value: float | None) -> float | None:
    """JSON has no NaN: a figure that cannot be had is null."""
    return float(value) if value is not None and np.isfinite(value) else None
