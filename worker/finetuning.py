"""Fine-tuning: train on the answers, compute features, let the gate decide.

Annotators and rounds use the old encoder meanwhile. An attempt that is killed is followed by one
that goes on: the labels are kept as the first attempt read them, checkpoints lie beside them, and
what is trained or embedded already is not done again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from annotator.models import Campaign, EncoderVersion
from annotator.services import finetuning as services
from learning.encoders import encoder_dim, encoder_key
from learning.finetune import CheckpointFailed, DeviceLost, Plan, Progress, base_of, finetune
from worker import embedding, encoderfiles, ensembles, shipping, space
from worker.embedding import Source
from worker.examples import aspects, gather, kept
from worker.jobs import Interrupted, PermanentFailure, RunningJob
from worker.promotion import examine
from worker.room import refuse_too_large

State = EncoderVersion.State
TELL_SECONDS = 1.0  # between two reports
AFTER_TUNING = ("training", "saving", "ensemble")
TRIES = 5  # for an encoder in use that changes while it is compared with


def run(job: RunningJob) -> None:
    """Work on one version to its end, whatever is done already."""
    version = EncoderVersion.objects.select_related("campaign", "base_version").get(
        pk=job.arguments["version"]
    )
    if not version.under_way:
        with job.fence():
            return
    with _turn(job, version):
        _Run(job, version).go()


@contextmanager
def _turn(job: RunningJob, version: EncoderVersion) -> Iterator[None]:
    """An attempt that was given up may still be dying: two must not write one folder."""
    place = encoderfiles.place(version) / ".lock"
    while True:
        with encoderfiles.locked(place) as mine:
            if mine:
                yield
                return
        job.progress(0, 0, "waiting for an earlier attempt to end")
        time.sleep(TELL_SECONDS)


@contextmanager
def _tried_again() -> Iterator[None]:
    try:
        yield
    except (DeviceLost, CheckpointFailed) as error:
        raise Interrupted(f"{error} It is tried again from the checkpoint.") from error


class _Run:
    """The steps of one version, with what they share."""

    def __init__(self, job: RunningJob, version: EncoderVersion) -> None:
        self.job, self.version = job, version
        self.campaign: Campaign = version.campaign
        self.told = 0.0

    def go(self) -> None:
        if not self.version.sha256:
            self._train()
        for _ in range(TRIES):
            if self._conclude():
                encoderfiles.clear(self.version)
                return
        raise PermanentFailure("the encoder in use was changed again and again while it was tried")

    def _train(self) -> None:
        self._say(State.TUNING, "reading the answers")
        examples = kept(self.version) or gather(self.version, progress=self._embedding)
        examples.check()
        base, plan = base_folder(self.version), plan_of(self.version)
        memory = refuse_too_large(base, plan, examples)
        services.keep(version=self.version, record={"memory": {"estimate": memory}})
        where = encoderfiles.work(self.version)
        with _tried_again():
            tuned = finetune(base, examples, plan, folder=where, report=self._training)
        model = encoderfiles.place(self.version) / "model"
        shutil.rmtree(model, ignore_errors=True)
        tuned.folder.replace(model)
        name = f"reward:{model}"
        services.keep(
            version=self.version,
            record=tuned.record | {"aspects": aspects(self.version) if plan.aspects else []},
            key=encoder_key(name),
            dim=encoder_dim(name),
            path=str(model.relative_to(encoderfiles.root())),
            sha256=encoderfiles.fingerprint(model),
        )

    def _conclude(self) -> bool:
        """Let the gate decide; False where another encoder came into use meanwhile."""
        self._say(State.EMBEDDING)
        source = Source.tuned(self.version)
        space.load(self.campaign, progress=self._embedding, source=source)
        self._say(State.EXAMINING)
        outcome = examine(self.version, progress=self._embedding)
        if outcome.promoted:  # one that is not used needs no ensemble
            self._ensemble()
        outcome = shipping.ship(self.version, outcome)
        try:
            with self.job.fence():
                if not services.conclude(version=self.version, outcome=outcome):
                    raise _Changed
        except _Changed:
            return False
        return True

    def _ensemble(self) -> None:
        """Train the adapters that were asked for, and compute their rewards; once."""
        plan = plan_of(self.version)
        if not plan.members:
            return
        with _tried_again():
            ensembles.train(self.version, plan, report=self._training)
        self._say(State.EMBEDDING, "of the ensemble")
        ensembles.embed(self.version, progress=self._embedding)

    def _say(self, state: str, detail: str = "", done: int = 0, total: int = 0) -> None:
        self.job.progress(done, total, f"{State(state).label} {detail}".strip())
        services.report_state(version=self.version, state=state, detail=detail)
        self.version.state = state

    def _embedding(self, done: int, total: int) -> None:
        self._now_and_then(self.version.state, done, total, "")

    def _training(self, progress: Progress) -> None:
        """What the library reports, in words. Raises `Superseded` when somebody cancelled."""
        state = State.TRAINING if progress.stage in AFTER_TUNING else State.TUNING
        said = [] if progress.stage in ("tuning", "training") else [progress.stage]
        if progress.loss is not None:
            said.append(f"loss {progress.loss:.3f}")
        if progress.tokens_per_second:
            said.append(f"{progress.tokens_per_second:,.0f} tokens a second")
        self._now_and_then(state, progress.done, progress.total, ", ".join(said))

    def _now_and_then(self, state: str, done: int, total: int, detail: str) -> None:
        new = state != self.version.state
        if done < total and not new and time.monotonic() - self.told < TELL_SECONDS:
            return
        self.told = time.monotonic()
        self._say(state, detail, done, total)


class _Changed(Exception):
    """Another encoder is in use than the version was compared with."""


def plan_of(version: EncoderVersion) -> Plan:
    """The options of a version, with what is the machine's business."""
    return Plan.read(
        {
            **version.plan,
            "method": str(version.method),
            "threads": settings.TORCH_THREADS,
        }
    )


def base_folder(version: EncoderVersion) -> Path:
    """The model that the training starts from.

    Raises:
        LearningError: it is not there, is not what it claims to be, or has nothing to train.
    """
    if version.base_version is not None:
        encoderfiles.verify(version.base_version)
        return encoderfiles.folder(version.base_version)
    return base_of(embedding.encoder_name(version.campaign))
