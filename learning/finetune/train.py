"""Fine-tuning from folder to folder: tune, train, save; stopped at any time, it goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.encoders import reward
from learning.encoders.huggingface import fingerprint
from learning.finetune import memory, model
from learning.finetune.checkpoints import Checkpoints
from learning.finetune.data import Examples
from learning.finetune.errors import FinetuneError, UnusableModel
from learning.finetune.plan import Plan
from learning.finetune.texts import Row
from learning.finetune.train_state import (
    Progress,
    Setting,
    Teller,
    Tuned,
    in_half,
    plain,
    plain_errors,
    quiet,
    whole_threads,
)

_FORMAT: Final = "1"  # of checkpoints: older ones begin anew
MODEL: Final = "model"
BASE: Final = "base"


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
    run = _name(base_key, examples, plan)
    if (done := _finished(folder / MODEL, run)) is not None:
        return done
    teller.tell(Progress("reading"), now=True)
    estimate = memory.estimate_memory(base, plan, examples)
    estimate.check()
    from learning.finetune import tuning  # torch, from here on
    from learning.finetune.train_stage import Stage

    setting, notes = _setting(base, examples, plan, folder, run, teller)
    found = tuning.tune(setting)
    everything, nothing = np.arange(len(examples)), np.arange(0)
    trained = Stage(setting, "training", everything, test=nothing, epochs=found.epochs).run()
    teller.tell(Progress("saving"), now=True)
    counts, answers = trained.counts, trained.answers
    used = np.unique(examples.comparisons.pairs)
    figures = dict(found.figures)
    record = {
        "plan": plan.to_dict(),
        "epochs": found.epochs,
        "base_key": base_key,
        "labels": len(examples),
        "prior_precision": figures.pop("prior_precision"),
        "out_of_fold": figures,
        "truncated": sum(setting.rows[row].cut for row in used),
        "responses": len(used),
        "steps": counts.steps,
        "tokens": counts.tokens + found.tokens,
        "seconds": found.seconds + counts.seconds,
        "wall_seconds": time.monotonic() - began,
        "losses": counts.losses,
        "answers": {"tie": answers.tie, "slope": answers.slope, "cuts": answers.cuts},
        "memory": {"estimate": estimate.to_dict(), "peak": memory.peak()},
        "micro_batch": counts.micro,
        "device": setting.accelerator.device.type,
        "processes": setting.accelerator.num_processes,
        "half": setting.half,
        "shared_prefix": setting.share,
        "packed": setting.pack,
        "notes": notes,
    }
    record = plain(record)
    if setting.accelerator.is_main_process:
        about = {"run": run, "recipe": "pair-1", "record": record}
        model.save(trained.model, folder / MODEL, about)
        setting.checkpoints.clear()
        for left in (folder / BASE, *folder.glob("fold-*")):
            shutil.rmtree(left, ignore_errors=True)
    setting.accelerator.wait_for_everyone()
    return _tuned(folder / MODEL, record)


def _setting(
    base: Path, examples: Examples, plan: Plan, folder: Path, run: str, teller: Teller
) -> tuple[Setting, list[str]]:
    """Read the texts, and find out what the model allows."""
    import torch
    from accelerate import Accelerator

    from learning.finetune import prefix

    torch.manual_seed(plan.seed)  # weights that the base lacks: the same in every stage
    loaded = model.load(base, max_tokens=plan.max_tokens)
    rows = loaded.reader.rows(examples.prompts, examples.responses)
    able = prefix.possible(loaded) if (plan.share_prefix, plan.packing) != ("off", "off") else False
    notes = []
    for wanted, what in ((plan.share_prefix, "share prompts"), (plan.packing, "pack rows")):
        if wanted == "on" and not able:
            why = "has other attention" if loaded.decoder else "reads in both directions"
            notes.append(f"It was asked to {what}; this model {why}, so its texts are padded.")
    if cut := sum(row.cut for row in rows):
        most = loaded.reader.limit
        notes.append(f"{cut} of {len(rows)} texts were longer than {most} tokens and were cut.")
    accelerator = Accelerator()
    gpu = accelerator.device.type == "cuda"
    share = able and plan.share_prefix != "off"
    packs = able and (plan.packing == "on" or (plan.packing == "auto" and gpu))
    folder.mkdir(parents=True, exist_ok=True)
    loaded.core.to(accelerator.device)
    half = in_half(plan, accelerator.device)
    frozen = _frozen(
        loaded,
        rows,
        examples,
        Checkpoints(folder / BASE, run),
        half=half,
        main=accelerator.is_main_process,
        teller=teller,
    )
    setting = Setting(
        base=base,
        examples=examples,
        rows=rows,
        plan=plan,
        folder=folder,
        run=run,
        checkpoints=Checkpoints(folder, run),
        teller=teller,
        accelerator=accelerator,
        frozen=frozen,
        share=share,
        pack=packs,
    )
    return setting, notes


def _frozen(
    loaded: model.RewardModel,
    rows: list[Row],
    examples: Examples,
    kept: Checkpoints,
    *,
    half: bool,
    main: bool,
    teller: Teller,
) -> NDArray[np.float32]:
    """Features of the base before training, read once for all folds."""
    import torch

    if (done := kept.load()) is not None:
        stored: NDArray[np.float32] = done.tensors["features"].numpy()
        return stored
    used = np.unique(examples.comparisons.pairs)
    found = np.zeros((len(rows), loaded.dim), dtype=np.float32)
    with torch.autocast(loaded.last.weight.device.type, torch.bfloat16, enabled=half):
        found[used] = loaded.read([rows[row] for row in used], tick=teller.tick)
    if not np.isfinite(found).all():
        raise UnusableModel("The model's own features are not all numbers; it cannot be trained.")
    if main:
        kept.save({}, {"features": torch.from_numpy(found)})
    return found


def _name(base_key: str, examples: Examples, plan: Plan) -> str:
    """What a run's checkpoints depend on; not how often they are taken, nor on threads."""
    options = plan.to_dict()
    for free in ("checkpoint_seconds", "threads"):
        options.pop(free)
    told = json.dumps([_FORMAT, base_key, examples.digest(), options], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _finished(where: Path, run: str) -> Tuned | None:
    """The result of this very run, where it is there already."""
    try:
        about: dict[str, Any] = json.loads((where / model.ABOUT).read_bytes())
    except (OSError, ValueError):
        return None
    return _tuned(where, about["record"]) if about.get("run") == run else None


def _tuned(where: Path, record: dict[str, Any]) -> Tuned:
    return Tuned(where, reward.key_of(str(where)), reward.dim_of(str(where)), record)
