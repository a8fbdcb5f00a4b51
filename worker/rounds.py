"""One round: embed → fit → score → select → publish."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from annotator.models import Campaign, ModelVersion, Round
from annotator.services.cards import request_card_if_due
from annotator.services.finetuning import request_when_saturated
from annotator.services.rounds import PlannedQuery, publish_round, report_state
from worker import artifacts, beliefs, choosing, curve, fitting, space, store
from worker.choosing import Chosen
from worker.curve import Exam
from worker.fitting import Fitted, Kind
from worker.heard import heard
from worker.jobs import RunningJob
from worker.space import Space

State = Round.State


def run(job: RunningJob) -> None:
    """Run one round; its queries appear once, whatever happens to workers meanwhile."""
    made = Round.objects.select_related("campaign").get(pk=job.arguments["round"])
    if made.state in Round.ENDED:
        with job.fence():
            return
    _Run(job, made).go()


class _Run:
    """The steps of one round, with what they share."""

    def __init__(self, job: RunningJob, made: Round) -> None:
        self.job, self.made = job, made
        self.campaign: Campaign = made.campaign
        self.rng = np.random.default_rng([self.campaign.seed, made.number])
        self.seconds: dict[str, float] = {}

    def go(self) -> None:
        with self._step(State.EMBEDDING):
            found = space.load(self.campaign, progress=self._embedding)
        with self._step(State.FITTING):
            # Counted before it is read: what comes in between is learnt from now and counted
            # next time, so that no answer is ever missed.
            seen = store.count_annotations(self.campaign)
            labels = store.labels(self.campaign, found.index)
            said = heard(self.campaign, found)
            fitted = {kind: fitting.fit(self.campaign, found, labels, kind, said) for kind in Kind}
            exam = Exam.of(labels, found.index, found.embedded, seed=self.campaign.seed)
            versions = [self._version(found, exam, kind, fitted[kind], seen) for kind in Kind]
            points = curve.earlier_points(self.campaign, exam, encoder_key=found.encoder_key)
            points += [curve.point(v, v.metrics, self.made.number) for v in versions]
        with self._step(State.SELECTING):
            wanted = max(0, self.campaign.batch_size - store.waiting_queries(self.campaign))
            chosen = choosing.choose(
                self.campaign,
                found,
                labels,
                fitted[Kind.ALL].belief,
                wanted=wanted,
                number=self.made.number,
                rng=self.rng,
                progress=self._embedding,
            )
        report = self._report(found, chosen, wanted)
        report |= {"head": fitted[Kind.ALL].head, "curve": points}
        stopped = self._stopped(exam, versions[0])
        with self.job.fence():
            publish_round(
                made=self.made,
                planned=self._plan(found, chosen),
                versions=versions,
                annotations_seen=seen,
                report=report,
            )
            request_card_if_due(
                campaign=self.campaign,
                encoder_key=found.encoder_key,
                labels=int((~labels.holdout & ~labels.line).sum()),
            )
            if stopped:
                request_when_saturated(
                    campaign=self.campaign, labels=versions[0].comparisons, said=stopped
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

    def _embedding(self, done: int, total: int) -> None:
        self._tell(State.EMBEDDING, done, total)

    def _version(
        self, found: Space, exam: Exam, kind: str, fitted: Fitted, seen: int
    ) -> ModelVersion:
        belief, ids = fitted.belief, found.index.ids
        name = f"campaign-{self.campaign.pk}/{self.made.number:05d}-{kind}-{self.job.attempt}"
        path, sha256 = artifacts.write(
            name=name, arrays=beliefs.stored_arrays(belief, found.standardizer, ids)
        )
        examined = beliefs.placed(beliefs.named(belief, ids), exam.ids)
        return ModelVersion(
            campaign=self.campaign,
            round=self.made,
            kind=kind,
            head=fitted.head,
            encoder_key=found.encoder_key,
            annotations_seen=seen,
            comparisons=fitted.answers,
            hyperparameters=fitting.hyperparameters(fitted),
            metrics=exam.grade(examined, found.standardizer),
            artifact=path,
            artifact_sha256=sha256,
        )

    def _stopped(self, exam: Exam, newest: ModelVersion) -> str:
        """Why the encoder itself should learn now, where the campaign wants to know."""
        if self.campaign.finetune != Campaign.Finetune.SATURATED:
            return ""
        found = curve.last_doubling(self.campaign, exam, newest)
        if found is None or not found.saturated:
            return ""
        return (
            f"the last doubling of labels improved the log-loss by {found.gain:.3f} "
            f"({found.low:+.3f} to {found.high:+.3f})"
        )

    def _plan(self, found: Space, chosen: Chosen) -> list[PlannedQuery]:
        planned = []
        for one in chosen.choices:
            seed = one.seed
            item = int(found.candidates.item[seed.pair])
            planned.append(
                PlannedQuery(
                    item_id=item if item >= 0 else None,
                    prompt_id=int(found.candidates.prompt[seed.pair]),
                    response_ids=tuple(int(pk) for pk in found.index.ids[list(one.rows)]),
                    arm=seed.arm,
                    acquisition=seed.method,
                    score=seed.score,
                    propensity=seed.propensity,
                )
            )
        return planned

    def _report(self, found: Space, chosen: Chosen, wanted: int) -> dict[str, Any]:
        askable = ~found.candidates.taken & ~chosen.covers(found)
        if self.campaign.holdout_share == 0:
            askable &= ~found.candidates.holdout
        return {
            "pool": len(found.candidates.pairs),
            "pool_left": int(askable.sum()),
            "wanted": wanted,
            "chosen": dict(Counter(one.seed.arm for one in chosen.choices)),
            "seconds": self.seconds,
            "encoder": found.encoder_key,
            "policy": chosen.report,
        }
