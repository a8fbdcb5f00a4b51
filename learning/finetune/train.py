"""Fine-tuning from folder to folder: tune, train, save; stopped at any time, it goes on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from learning.encoders import reward
from learning.encoders.huggingface import fingerprint
from learning.finetune import memory, model
from learning.finetune.data import Examples
from learning.finetune.errors import FinetuneError
from learning.finetune.plan import Plan
from learning.finetune.train_state import (
    Progress,
    Setting,
    Teller,
    Tuned,
    plain,
    plain_errors,
    quiet,
    run_name,
    whole_threads,
)
from learning.text import PAIR_RECIPE

if TYPE_CHECKING:
    from learning.finetune.train_stage import Trained
    from learning.finetune.tuning import Found

_FORMAT: Final = "2"  # of checkpoints and the order of steps: older ones begin anew
MODEL: Final = "model"


def finetune(
    base: Path,
    examples: Examples,
    plan: Plan,
    *,
    folder: Path,
    report: Callable[[Progress], None] = quiet,
) -> Tuned:
    """Train a reward model whose features are its own.

    A run that was stopped, in whatever way, goes on from its last checkpoint when it is called
    again with the same base, examples and plan; on a CPU the result is the same to the bit.

    Args:
        base: Folder of an encoder, a decoder, or an earlier reward model (a warm start, whose
            scalar head is kept); see :func:`learning.finetune.base_of`.
        examples: All training labels. Tuning and early stopping hold parts of them out; nothing
            else is ever looked at.
        plan: How.
        folder: Working folder. The result is ``folder / "model"``; checkpoints live beside it.
        report: Called every few seconds at least; what it raises stops the run and passes
            through, the last checkpoint stays.

    Returns:
        The reward folder with its ``record``: ``plan`` as used, ``epochs``, ``base_key``,
        ``labels``, ``out_of_fold`` (see :func:`learning.finetune.tuning.tune`),
        ``prior_precision``, ``truncated`` and ``responses``, ``steps``, ``tokens``, ``seconds``,
        ``losses`` (mean of each epoch, in nats), ``answers`` (``tie``, ``slope``, ``cuts``),
        ``memory`` (estimate, peak), ``shared_prefix``, ``packed`` and ``notes``.

    Raises:
        FinetuneError: see `learning.finetune.errors`; always a plain sentence.
    """
    examples.check()
    if plan.tie == 0 and not examples.comparisons.decisive.all():
        raise FinetuneError("There are ties among the labels; they cannot be learnt with tie = 0.")
    model.check(base)
    with whole_threads(plan.threads), plain_errors():
        return _run(base, examples, plan, folder, Teller(report))


def _run(base: Path, examples: Examples, plan: Plan, folder: Path, teller: Teller) -> Tuned:
    began, base_key = time.monotonic(), fingerprint(base)
    run = run_name([_FORMAT, base_key], examples, plan)
    if (done := _finished(folder / MODEL, run)) is not None:
        return done
    teller.tell(Progress("reading"), now=True)
    estimate = memory.estimate_memory(base, plan, examples)
    estimate.check()
    from learning.finetune import train_setup, tuning  # torch, from here on
    from learning.finetune.train_stage import Stage

    setting, notes = train_setup.prepare(base, examples, plan, folder, run=run, teller=teller)
    found = tuning.tune(setting)
    everything, nothing = np.arange(len(examples)), np.arange(0)
    trained = Stage(setting, "training", everything, test=nothing, epochs=found.epochs).run()
    teller.tell(Progress("saving"), now=True)
    told = {
        "base_key": base_key,
        "wall_seconds": time.monotonic() - began,
        "memory": {"estimate": estimate.to_dict(), "peak": memory.peak()},
        "notes": notes,
    }
    record = plain(_record(setting, found, trained) | told)
    if setting.accelerator.is_main_process:
        sure = found.figures["temperature"] or 1.0
        about = {"run": run, "recipe": PAIR_RECIPE, "record": record, "temperature": sure}
        model.save(trained.model, folder / MODEL, about)
        setting.checkpoints.clear()
        for left in (folder / train_setup.BASE, *folder.glob("fold-*")):
            shutil.rmtree(left, ignore_errors=True)
    setting.accelerator.wait_for_everyone()
    return _tuned(folder / MODEL, record)


def _record(setting: Setting, found: Found, trained: Trained) -> dict[str, Any]:
    """What was done and what came out, without what only the caller knows."""
    examples, counts, answers = setting.examples, trained.counts, trained.answers
    used = np.unique(examples.comparisons.pairs)
    figures = dict(found.figures)
    return {
        "plan": setting.plan.to_dict(),
        "epochs": found.epochs,
        "labels": len(examples),
        "prior_precision": figures.pop("prior_precision"),
        "out_of_fold": figures,
        "truncated": sum(setting.rows[row].cut for row in used),
        "responses": len(used),
        "steps": counts.steps,
        "tokens": counts.tokens + found.tokens,
        "seconds": found.seconds + counts.seconds,
        "losses": counts.losses,
        "answers": {"tie": answers.tie, "slope": answers.slope, "cuts": answers.cuts},
        "micro_batch": counts.micro,
        "device": setting.accelerator.device.type,
        "processes": setting.accelerator.num_processes,
        "half": setting.half,
        "shared_prefix": setting.share,
        "packed": setting.pack,
    }


def _finished(where: Path, run: str) -> Tuned | None:
    """The result of this very run, where it is there already."""
    try:
        about: dict[str, Any] = json.loads((where / model.ABOUT).read_bytes())
    except (OSError, ValueError):
        return None
    return _tuned(where, about["record"]) if about.get("run") == run else None


def _tuned(where: Path, record: dict[str, Any]) -> Tuned:
    return Tuned(where, reward.key_of(str(where)), reward.dim_of(str(where)), record)
