"""An ensemble of adapters from folder to folder: trained in one pass, put to scale, saved.

Members begin from the encoder as it was before any training, also where the single model was
trained further: what a member must not have seen, the weights below it have not seen either, and
what it says of that is what the scale is found on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from learning.data import Comparisons, moderate
from learning.encoders.huggingface import fingerprint
from learning.finetune import memory
from learning.finetune.checkpoints import Checkpoints, placed
from learning.finetune.data import Examples
from learning.finetune.errors import FinetuneError, OutOfMemory, UnusableModel
from learning.finetune.memory import MemoryEstimate
from learning.finetune.plan import Plan
from learning.finetune.texts import Row
from learning.finetune.train_state import (
    Progress,
    Teller,
    plain,
    plain_errors,
    quiet,
    run_name,
    whole_threads,
)
from learning.metrics import accuracy, log_loss

if TYPE_CHECKING:
    from learning.finetune.lora_ensemble import LoraEnsemble
    from learning.finetune.lora_ensemble_fit import Run, Schedule
    from learning.heads._bags import OutOfBag

_FORMAT: Final = "1"  # of checkpoints: older ones begin anew
_FOLDS: Final = 5
_FASTER: Final = 10.0  # are adapters trained than all weights would be
_CPU_PAIRS: Final = 8  # of the single model, computed at a time: members share that room


def estimate_ensemble(base: Path, plan: Plan, examples: Examples) -> MemoryEstimate:
    """Estimate what training ``plan.members`` adapters at once takes, in bytes by part.

    One frozen model; every member has adapters, gradients, moments and activations of its own.

    Raises:
        UnusableModel: the folder cannot be trained from.
    """
    alone = Plan(
        method="lora",
        epochs=1,
        precision="float32",
        micro_batch=1,
        max_tokens=plan.max_tokens,
        lora_rank=plan.lora_rank,
    )
    one, k = memory.estimate_memory(base, alone, examples), plan.members
    pairs = at_once(plan)
    return replace(
        one,
        gradients=k * one.gradients,
        moments=k * (one.moments + 4 * one.trained),  # and the adapters themselves
        activations=k * pairs * one.least,
        least=k * one.least,
        pairs=pairs,
        trained=k * one.trained,
    )


def refuse_too_large(needed: MemoryEstimate, members: int) -> None:
    """Refuse an ensemble that cannot fit.

    Raises:
        OutOfMemory: it cannot, even with one pair at a time; says the figures.
    """
    try:
        needed.check()
    except OutOfMemory as error:
        raise OutOfMemory(f"The ensemble of {members} adapters: {error} So do fewer.") from error


def train_ensemble(
    base: Path,
    examples: Examples,
    plan: Plan,
    *,
    epochs: int,
    work: Path,
    out: Path,
    report: Callable[[Progress], None] = quiet,
) -> dict[str, Any]:
    """Train ``plan.members`` adapters beside a frozen encoder, and save them.

    A run that was stopped goes on from its last checkpoint when it is called again with the same
    arguments; on a CPU the result is the same to the bit. A label that is wrong with probability
    ``e`` counts ``1 - e``, and its opposite ``e``, as it does for heads.

    Args:
        base: Folder of the encoder; one that no label has been seen by.
        examples: All training labels.
        plan: Rank, scale, batch, seed and threads of it are used. The learning rate is that of
            adapters, or ten times that of all weights.
        epochs: Passes over the labels.
        work: Folder for checkpoints.
        out: Where the adapters go, whole or not at all.
        report: Called every few seconds at least; what it raises stops the run and passes through.

    Returns:
        What came of it, as JSON: ``members``, ``rank``, ``base`` (key), ``labels``, ``epochs``,
        ``scale``, ``answers`` (``tie``, ``slope``, ``cuts``), ``log_loss`` and ``accuracy`` out of
        bag, ``tokens``, ``seconds``, ``memory``.

    Raises:
        FinetuneError: see `learning.finetune.errors`; always a plain sentence.
    """
    examples.check()
    with whole_threads(plan.threads), plain_errors():
        return _run(base, examples, plan, epochs, work, out, Teller(report))


def _run(
    base: Path, examples: Examples, plan: Plan, epochs: int, work: Path, out: Path, teller: Teller
) -> dict[str, Any]:
    from learning.finetune import lora_ensemble, lora_ensemble_fit  # torch, from here on

    began, key = time.monotonic(), fingerprint(base)
    run = run_name([_FORMAT, key, epochs], examples, plan)
    try:
        stored = lora_ensemble.read_record(out).more
    except UnusableModel:
        stored = {}
    if stored.get("run") == run:
        return dict(stored["record"])
    teller.tell(Progress("ensemble"), now=True)
    needed = estimate_ensemble(base, plan, examples)
    refuse_too_large(needed, plan.members)
    task = _prepared(base, examples, plan, teller)
    checkpoints = Checkpoints(work, run)
    going = lora_ensemble_fit.Run(teller, at_once(plan), checkpoints, every=plan.checkpoint_seconds)
    weights = sum(one.numel() for one in task.ensemble.model.core.parameters())
    made, bag = _trained(task, _schedule(plan, epochs, weights), going)
    record = plain(
        _told(made, bag, task.data.outcome, len(examples))
        | {
            "base": key,
            "labels": len(examples),
            "epochs": epochs,
            "tokens": going.tokens,
            "seconds": time.monotonic() - began,
            "memory": {"estimate": needed.to_dict(), "peak": memory.peak()},
        }
    )
    placed(out, lambda where: made.save(where, base=key, run=run, record=record), what="ensemble")
    checkpoints.clear()
    return record


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """Members as attached, and what they learn from.

    Attributes:
        ensemble: They.
        rows: Tokens of every response.
        used: Responses that occur in a comparison.
        frozen: Features of the model below, one row a response, shape ``(m, d)``.
        data: The comparisons, ``n``.
        kept: Which of them each member may see, shape ``(K, n)``.
    """

    ensemble: LoraEnsemble
    rows: list[Row]
    used: NDArray[np.int64]
    frozen: NDArray[np.float32]
    data: Comparisons
    kept: NDArray[np.bool_]


def _prepared(base: Path, examples: Examples, plan: Plan, teller: Teller) -> _Task:
    import torch

    from learning.finetune import lora_ensemble, model
    from learning.finetune.lora_ensemble_fit import seen_by

    torch.manual_seed(plan.seed)  # weights that the base lacks: the same in every attempt
    loaded = model.load(base, max_tokens=plan.max_tokens)
    loaded.core.to(device())
    rows = loaded.reader.rows(examples.prompts, examples.responses)
    folds = _folds(plan.members)
    data, fold = _mirrored(examples, fold_of(examples, folds, plan.seed))
    used = np.unique(data.pairs)
    frozen = np.zeros((len(rows), loaded.dim), np.float32)
    frozen[used] = loaded.read([rows[row] for row in used], tick=teller.tick)
    if not np.isfinite(frozen).all():
        raise UnusableModel("The model's own features are not all numbers; it cannot be trained.")
    shape = lora_ensemble.Shape(plan.members, plan.lora_rank, plan.lora_alpha, plan.seed)
    made = lora_ensemble.LoraEnsemble.attach(loaded, shape)
    return _Task(made, rows, used, frozen, data, seen_by(fold, plan.members, folds))


def _trained(task: _Task, schedule: Schedule, going: Run) -> tuple[LoraEnsemble, OutOfBag]:
    """The members, put to scale, and what they say of what they have not seen."""
    from learning.finetune import lora_ensemble_fit

    made, data, kept = task.ensemble, task.data, task.kept
    begin(made, task.frozen[task.used], _local(data, task.used), kept, tick=going.teller.tick)
    answers = lora_ensemble_fit.first_answers(data, made.answers)
    lora_ensemble_fit.train(made, task.rows, data, kept, answers, schedule, run=going)
    rewards = np.zeros((len(task.rows), made.shape.members), np.float32)
    rewards[task.used] = made.rewards([task.rows[row] for row in task.used], tick=going.teller.tick)
    if not np.isfinite(rewards).all():
        raise FinetuneError("Some rewards of the adapters are not numbers.")
    done = lora_ensemble_fit.scaled(made, rewards, data, kept, answers)
    return done, lora_ensemble_fit.out_of_bag(rewards, data, kept)


def _local(data: Comparisons, used: NDArray[np.int64]) -> Comparisons:
    """The comparisons with rows into ``used``."""
    left, right = (np.searchsorted(used, side) for side in (data.left, data.right))
    return replace(data, left=left, right=right)


def begin(
    ensemble: LoraEnsemble,
    frozen: NDArray[np.float32],
    data: Comparisons,
    kept: NDArray[np.bool_],
    *,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Let every member's last layer begin at a draw from the Laplace head on the frozen features.

    That head is fitted on what the member may see. So members know from the first step what the
    features tell, and differ as widely as that leaves open.

    Args:
        ensemble: The members as attached.
        frozen: Features of the model below them, one row a response, shape ``(m, d)``.
        data: Comparisons whose rows point into ``frozen``.
        kept: Which comparison each member may see, shape ``(K, n)``.
        tick: Called before every fit.
    """
    import torch

    from learning.heads import LinearBT
    from learning.scaling import Standardizer

    scaling = Standardizer.fit(frozen, None, data.pairs)
    phi = scaling.transform(frozen, None)
    heads: dict[bytes, Any] = {}
    last = ensemble.last_weight
    for member, seen in enumerate(kept):
        if (name := seen.tobytes()) not in heads:
            tick()
            heads[name] = LinearBT().fit(phi, data.subset(seen))
        head = heads[name]
        rng = np.random.default_rng([ensemble.shape.seed, member, 2**20])
        drawn = head.theta + head.factor @ rng.standard_normal(head.factor.shape[1])
        last.data[member] = torch.as_tensor(drawn / scaling.scale).to(last)


def fold_of(examples: Examples, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of every label, ``(n,)``: groups whole, unless there are fewer than folds."""
    from learning.heads._anchors import folds_of

    names, member = np.unique(examples.group, return_inverse=True)
    if len(names) < folds:
        return folds_of(examples.comparisons, folds)
    place = np.random.default_rng([seed, 11]).permutation(len(names)) % folds
    return np.asarray(place[member], dtype=np.int64)


def _mirrored(examples: Examples, fold: NDArray[np.int64]) -> tuple[Comparisons, NDArray[np.int64]]:
    """Labels that may be wrong, and their opposites, by how likely each is."""
    data, noise = examples.comparisons, examples.noise
    if noise is None:
        return data, fold
    unsure = np.flatnonzero((noise > 0) & data.decisive)
    sure = replace(data, weight=data.weight * np.where(data.decisive, 1.0 - noise, 1.0))
    other = data.subset(unsure)
    other = replace(other, outcome=-other.outcome, weight=other.weight * noise[unsure])
    return sure.joined(other), np.concatenate([fold, fold[unsure]])


def _told(
    ensemble: LoraEnsemble, bag: OutOfBag, outcome: NDArray[np.int8], labels: int
) -> dict[str, Any]:
    """Size, scale, and what members say of the labels as given that they have not seen."""
    scale, answers = ensemble.scale, ensemble.answers
    margin = moderate(scale * bag.mean, scale**2 * bag.variance)[:labels]
    return {
        "members": ensemble.shape.members,
        "rank": ensemble.shape.rank,
        "scale": scale,
        "answers": {"tie": answers.tie, "slope": answers.slope, "cuts": list(answers.cuts)},
        "log_loss": log_loss(expit(margin), outcome[:labels]),
        "accuracy": accuracy(expit(margin), outcome[:labels]),
    }


def _schedule(plan: Plan, epochs: int, weights: int) -> Schedule:
    from learning.finetune.lora_ensemble_fit import Schedule

    all_of_them = _FASTER * replace(plan, method="full").rate(weights)
    given = plan.learning_rate if plan.method == "lora" else 0.0
    return Schedule(
        epochs=epochs,
        batch=plan.batch,
        learning_rate=given or all_of_them,
        clip=plan.clip,
        folds=_folds(plan.members),
        seed=plan.seed,
    )


def _folds(members: int) -> int:
    return min(_FOLDS, members // 2)


def at_once(plan: Plan) -> int:
    """Pairs computed at a time until memory runs out: members share what one model would take."""
    most = plan.batch if device() == "cuda" else min(_CPU_PAIRS, plan.batch)
    return max(1, (min(plan.micro_batch, plan.batch) or most) // plan.members)


def device() -> str:
    """Where members are trained: ``cuda`` or ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
