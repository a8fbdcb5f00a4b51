"""How long to train, and how good it will be: cross-validation inside the training labels.

Nothing but the examples is looked at. Folds keep groups (prompts) whole. Every fold trains a model
of its own from the base, with its own probe, and is asked about its held-out labels after every
epoch; it stops once they are predicted worse. The number of epochs is the one with the least
log-loss over all folds; features of each fold's best model give the prior precision of a head
refitted on them (`learning.finetune.calibration`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from learning import metrics
from learning.data import Comparisons
from learning.finetune import calibration
from learning.finetune.calibration import Held
from learning.finetune.checkpoints import Checkpoints
from learning.finetune.data import Examples
from learning.finetune.train_stage import Stage, fixed_tie, schedule
from learning.finetune.train_state import Progress, Setting
from learning.surface import features as surface_features

HELD_OUT: Final = 0.2  # of the labels, where there is one fold
_WITHOUT: Final = 2  # epochs, where nothing can be held out


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Comparisons that a model is trained on, and those that it is asked about."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What cross-validation says.

    Attributes:
        epochs: How long to train.
        figures: Out of fold, as JSON; see :func:`tune`.
        steps, tokens, seconds: What it took.
    """

    epochs: int
    figures: dict[str, Any]
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Result:
    """One fold: margins of its test labels after every epoch, ``(e, k)``, and its features."""

    margins: NDArray[np.float64]
    held: Held
    counts: dict[str, Any]


def folds_of(examples: Examples, count: int, seed: int) -> list[Fold]:
    """Return folds by group, of about equally many labels; 1 holds a fifth out.

    Folds without a decisive label on either side are left out, so there may be fewer, or none.
    """
    names, member = np.unique(examples.group, return_inverse=True)
    if len(names) < 2:
        return []
    sizes = np.bincount(member)
    order = np.random.default_rng([seed, 7]).permutation(len(names))
    place = np.zeros(len(names), dtype=np.int64)
    if count == 1:
        gone = np.cumsum(sizes[order]) - sizes[order]
        held = gone < HELD_OUT * len(examples)
        held[-1] = False
        place[order] = np.where(held, 0, 1)
        numbers = range(1)
    else:
        filled = np.zeros(min(count, len(names)), dtype=np.int64)
        for group in order[np.argsort(-sizes[order], kind="stable")]:
            place[group] = int(np.argmin(filled))
            filled[place[group]] += sizes[group]
        numbers = range(len(filled))
    fold, decisive = place[member], examples.comparisons.decisive
    made = [Fold(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in numbers]
    return [one for one in made if decisive[one.train].any() and decisive[one.test].any()]


def tune(setting: Setting) -> Found:
    """Train the folds, those that were finished before left out.

    Returns:
        ``figures`` has ``folds``, ``held_out`` (decisive labels), ``log_loss``, ``accuracy`` and
        ``ece`` of the scalar head after the chosen epochs, ``frozen_log_loss`` and
        ``frozen_accuracy`` before any, ``by_epoch`` (log-loss after 0, 1, ... epochs),
        ``temperature`` of its margins, ``prior_precision``, ``head_log_loss`` and
        ``head_evidence_log_loss``.
    """
    plan, examples = setting.plan, setting.examples
    folds = folds_of(examples, plan.fold_count(len(examples)), plan.seed)
    if not folds:
        return Found(plan.epochs or min(_WITHOUT, plan.max_epochs), _nothing())
    epochs = plan.most_epochs
    lengths = [sum(map(len, schedule(setting, fold.train, epochs))) for fold in folds]
    surface = surface_features(examples.prompts, examples.responses)
    results = []
    for number, fold in enumerate(folds):
        before, total = sum(lengths[:number]), sum(lengths)
        results.append(_fold(setting, surface, number, fold, before=before, total=total))
    setting.teller.tell(Progress("calibrating"), now=True)
    outcome = np.concatenate([examples.comparisons.outcome[fold.test] for fold in folds])
    margins = _after(results, epochs)  # (e, k)
    losses = [metrics.log_loss(expit(row), outcome) for row in margins]
    chosen = plan.epochs or 1 + int(np.argmin(losses[1:]))
    prior = calibration.prior_precision(
        [one.held for one in results], tie=fixed_tie(setting), tick=setting.teller.tick
    )
    figures = {
        "folds": len(folds),
        **_figures(margins[chosen], outcome),
        "frozen_log_loss": losses[0],
        "frozen_accuracy": metrics.accuracy(expit(margins[0]), outcome),
        "by_epoch": losses,
        "temperature": calibration.temperature(margins[chosen], outcome),
        "prior_precision": prior["prior_precision"],
        "head_log_loss": prior["log_loss"],
        "head_evidence_log_loss": prior["evidence_log_loss"],
    }
    return Found(
        chosen,
        figures,
        steps=sum(one.counts["steps"] for one in results),
        tokens=sum(one.counts["tokens"] for one in results),
        seconds=sum(one.counts["seconds"] for one in results),
    )


def _fold(
    setting: Setting,
    surface: NDArray[np.float32],
    number: int,
    fold: Fold,
    *,
    before: int,
    total: int,
) -> _Result:
    name = f"fold-{number}"
    used, train, test = _local(setting.examples, fold)
    kept = Checkpoints(setting.folder / name, setting.run)
    if (done := kept.load()) is not None:
        held = Held(done.tensors["features"].numpy(), surface[used], train, test)
        return _Result(done.tensors["margins"].numpy(), held, done.state["counts"])
    stage = Stage(
        setting,
        name,
        fold.train,
        test=fold.test,
        epochs=setting.plan.most_epochs,
        patient=not setting.plan.epochs,
        before=before,
        total=total,
    )
    trained = stage.run()
    rows = [setting.rows[row] for row in used]
    features = trained.model.read(rows, half=setting.half, tick=setting.teller.tick)
    spent = trained.counts
    counts = {"steps": spent.steps, "tokens": spent.tokens, "seconds": spent.seconds}
    if setting.accelerator.is_main_process:
        tensors = {
            "features": torch.from_numpy(features),
            "margins": torch.from_numpy(trained.margins),
        }
        kept.save({"counts": counts}, tensors)
    return _Result(trained.margins, Held(features, surface[used], train, test), counts)


def _local(examples: Examples, fold: Fold) -> tuple[NDArray[np.int64], Comparisons, Comparisons]:
    """Responses that occur in a fold, and its comparisons with rows into these."""
    data = examples.comparisons
    both = np.concatenate([fold.train, fold.test])
    used, place = np.unique(data.pairs[both], return_inverse=True)
    left, right = place.reshape(-1, 2).T
    local = Comparisons.of(
        left, right, data.outcome[both], strength=data.strength[both], weight=data.weight[both]
    )
    split = np.arange(len(both)) < len(fold.train)
    return used, local.subset(split), local.subset(~split)


def _after(results: list[_Result], epochs: int) -> NDArray[np.float64]:
    """Margins of all held-out labels after every epoch; folds that stopped keep their last."""
    made = []
    for one in results:
        missing = epochs + 1 - len(one.margins)
        made.append(np.concatenate([one.margins, np.repeat(one.margins[-1:], missing, axis=0)]))
    return np.concatenate(made, axis=1)


def _figures(margin: NDArray[np.float64], outcome: NDArray[np.int8]) -> dict[str, Any]:
    decisive = outcome != 0
    winner = expit(margin * outcome)[decisive]
    hits = (winner > 0.5).astype(np.float64)
    return {
        "held_out": int(decisive.sum()),
        "log_loss": metrics.log_loss(expit(margin), outcome),
        "accuracy": metrics.accuracy(expit(margin), outcome),
        "ece": metrics.ece(np.maximum(winner, 1 - winner), hits),
    }


def _nothing() -> dict[str, Any]:
    names = ("log_loss", "accuracy", "ece", "frozen_log_loss", "frozen_accuracy")
    more = ("temperature", "prior_precision", "head_log_loss", "head_evidence_log_loss")
    unknown = dict.fromkeys((*names, *more))
    return {"folds": 0, "held_out": 0, "by_epoch": [], **unknown}
