"""The ensemble of adapters beside a fine-tuned version: trained, embedded, and kept with it.

It is trained when the gate has found the version better, on the labels of that version. Without
it the version is used all the same: what goes wrong is kept in the version's record and said by
the rounds that would have used it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from annotator.models import EncoderVersion
from annotator.services import finetuning as services
from learning.errors import LearningError
from learning.finetune import CheckpointFailed, DeviceLost, NothingToLearn, Plan, Progress, base_of
from learning.finetune.lora_ensemble_encoder import key_of
from learning.finetune.lora_ensemble_run import train_ensemble
from worker import arrays, embedding, encoderfiles, textindex, trained
from worker.embedding import Source
from worker.examples import kept
from worker.jobs import PermanentFailure


def train(version: EncoderVersion, plan: Plan, *, report: Callable[[Progress], None]) -> None:
    """Train the adapters on the labels of the version, unless that is done already.

    Raises:
        DeviceLost, CheckpointFailed: another attempt goes on from the checkpoint.
    """
    if "ensemble" in version.record:
        return
    try:
        about = _train(version, plan, report)
    except (DeviceLost, CheckpointFailed):
        raise
    except LearningError as error:
        about = {"members": plan.members, "error": str(error)}
    services.keep(version=version, record={**version.record, "ensemble": about})


def _train(
    version: EncoderVersion, plan: Plan, report: Callable[[Progress], None]
) -> dict[str, Any]:
    examples = kept(version)
    if examples is None:
        raise NothingToLearn("The labels of the training are gone.")
    where, work = encoderfiles.members(version), encoderfiles.work(version)
    told = train_ensemble(
        base_of(embedding.own_encoder(version)),
        examples,
        plan,
        epochs=int(version.record["epochs"]),
        work=work / "members",
        out=where,
        report=report,
    )
    trained_sha256 = trained.write(where, arrays.read(work / "labels.npz"))
    return {
        **told,
        "key": key_of(where),
        "sha256": encoderfiles.fingerprint(where),
        "trained_sha256": trained_sha256,
    }


def embed(version: EncoderVersion, *, progress: embedding.Progress) -> None:
    """Compute what the adapters say of every response, so that no round has to."""
    if "error" in version.record["ensemble"]:
        return
    index = textindex.refresh(version.campaign_id, recipe=Source.ensemble(version).recipe)
    try:
        embedding.ensure_features(
            version.campaign, index, progress=progress, source=Source.ensemble(version)
        )
    except (PermanentFailure, LearningError) as error:
        about = {**version.record["ensemble"], "error": str(error)}
        services.keep(version=version, record={**version.record, "ensemble": about})
