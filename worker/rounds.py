"""One round: embed → fit → score → select → publish."""

from __future__ import annotations

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
from learning import heads
from learning.data import Context, Pool, Posterior
from learning.features import Standardizer, assemble
from learning.selection import Batch, compose_batch
from worker import artifacts, curve, embedding, store, textindex
from worker.curve import Exam
from worker.jobs import RunningJob
from worker.store import Candidates, Labels
from worker.textindex import TextIndex

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
    embedded: NDArray[np.float32]  # (responses, e)
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
            exam = Exam.of(labels, space.embedded, space.index.surface, seed=self.campaign.seed)
            versions = [
                self._version(space, exam, kind, posterior, seen)
                for kind, posterior in posteriors.items()
            ]
            points = curve.earlier_points(self.campaign, exam, encoder_key=space.encoder_key)
            points += [curve.point(v, v.metrics, self.made.number) for v in versions]
        with self._step(State.SELECTING):
            wanted = max(0, self.campaign.batch_size - store.waiting_queries(self.campaign))
            batch = self._select(space, labels, posteriors[Kind.ALL], wanted)
        planned, report = self._plan(space, batch, wanted)
        report["curve"] = points
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
        return _Space(index, features.encoder_key, embedded, phi, standardizer, found)

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
        loaded = curve.load(version) if version is not None else None
        if loaded is None or loaded[0].dim != space.phi.shape[1]:
            return None
        return loaded[0]

    def _version(
        self, space: _Space, exam: Exam, kind: str, posterior: Posterior, seen: int
    ) -> ModelVersion:
        name = f"campaign-{self.campaign.pk}/{self.made.number:05d}-{kind}-{self.job.attempt}"
        arrays = curve.stored_arrays(posterior, space.standardizer)
        path, sha256 = artifacts.write(name=name, arrays=arrays)
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
            metrics=exam.grade(posterior, space.standardizer),
            artifact=path,
            artifact_sha256=sha256,
        )

    def _select(self, space: _Space, labels: Labels, posterior: Posterior, wanted: int) -> Batch:
        found = space.candidates
        pool = Pool.of(space.phi, found.pairs, prompt=found.prompt)
        context = Context(
            round=self.made.number,
            labelled_prompts=np.unique(labels.prompt[~labels.holdout]),
            pending=found.pairs[found.pending & ~found.holdout],
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
        askable = ~found.taken
        if self.campaign.holdout_share == 0:
            askable &= ~found.holdout
        left = int(askable.sum()) - len(planned)
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
