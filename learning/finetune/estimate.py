"""What a training will take, measured in seconds before it starts: steps, tokens, time, memory.

Tokens and steps are counted on the labels' own schedule, in a sample of prompts where there are
many. Speed is measured: some pieces of real steps, of the real model, are computed forward and
backward, and some texts are read. Cross-validation stops a fold whose labels are predicted worse,
so that times are a range: from folds that stop as early as they can to folds that never do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.finetune import model
from learning.finetune.data import Examples
from learning.finetune.memory import MemoryEstimate, estimate_memory
from learning.finetune.plan import Plan
from learning.finetune.train_state import Progress, Teller, plain_errors, quiet, whole_threads
from learning.text import Prompt

if TYPE_CHECKING:
    from learning.finetune.estimate_speed import Counted, Speed
    from learning.finetune.tuning import Fold

SAMPLE: Final = 2_000  # labels whose texts are read; with more, whole prompts are drawn
_SLACK: Final = 0.1  # of the time, either way: a machine is never as busy as a moment before
_LOADS: Final = 3  # of a model besides the folds': before, for the last one, for its features
_EARLIEST: Final = 2  # passes after which a fold can have been found worse
_Span = tuple[int, int]
_Seconds = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Responses whose features are computed with the trained model at last.

    Attributes:
        responses: How many.
        prompts, texts: A sample of them, ``n`` each.
    """

    responses: int
    prompts: Sequence[Prompt]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Duration:
    """How long it takes; ranges are (low, high).

    Attributes:
        steps: Of the optimiser, over all models.
        tokens: Trained on, over all models and passes, prompts counted for each response.
        read: Tokens that are only read: held-out texts, features before and after.
        truncated: Share of the compared responses whose texts are longer than ``max_tokens``.
        seconds: From the start to the features of all responses.
        ensemble: Seconds of the adapters of an ensemble with what they say of all responses, after
            that, where the model is promoted; ``None`` without one, or where it does not fit.
        tokens_per_second: Trained on, as measured.
        device: ``cpu`` or ``cuda``.
    """

    steps: _Span
    tokens: _Span
    read: _Span
    truncated: float
    seconds: _Seconds
    ensemble: _Seconds | None
    tokens_per_second: float
    device: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training will take; ranges are (low, high).

    Attributes:
        labels: Comparisons.
        groups: Of them, such as prompts, which folds keep together.
        responses: Distinct responses that are compared.
        folds: Models that are trained before the last one; 0 where nothing can be held out.
        epochs: Passes of the last one.
        memory: What it needs, and what is free.
        duration: ``None`` where memory does not suffice: nothing was loaded then.
    """

    labels: int
    groups: int
    responses: int
    folds: int
    epochs: _Span
    memory: MemoryEstimate
    duration: Duration | None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, of the memory also ``fits`` and ``smallest``."""
        needed = self.memory
        more = {"fits": needed.fits, "smallest": needed.fixed + needed.least}
        return {**asdict(self), "memory": {**needed.to_dict(), **more}}


def estimate(
    base: Path,
    examples: Examples,
    plan: Plan,
    *,
    pool: Pool | None = None,
    beside: Path | None = None,
    limit: int = 0,
    report: Callable[[Progress], None] = quiet,
) -> Estimate:
    """Estimate what :func:`learning.finetune.finetune` would take with the same arguments.

    Nothing is kept. It takes some seconds, on a processor with a large model as long as some pairs
    do. What other work slows down while it is measured, it slows down in the estimate.

    Args:
        base: As in :func:`learning.finetune.finetune`.
        examples: All training labels.
        plan: How it is to be trained.
        pool: Responses whose features are computed afterwards; those of the labels if not given.
        beside: The encoder that an ensemble's adapters are trained beside; the base if not given.
        limit: Bytes of memory that may be used, where that is less than what is free.
        report: Called now and then; what it raises stops the estimate and passes through.

    Raises:
        FinetuneError: the labels or the base cannot be trained on; always a plain sentence.
    """
    examples.check()
    model.check(base)
    teller = Teller(report)
    teller.tell(Progress("reading"), now=True)
    with whole_threads(plan.threads), plain_errors():
        memory = estimate_memory(base, plan, examples)
        if limit:
            memory = replace(memory, available=min(memory.available, limit))
        from learning.finetune import tuning  # torch, from here on

        folds = tuning.folds_of(examples, plan.fold_count(len(examples)), plan.seed)
        made = Estimate(
            labels=len(examples),
            groups=len(np.unique(examples.group)),
            responses=len(np.unique(examples.comparisons.pairs)),
            folds=len(folds),
            epochs=_passes(plan, folds)[1],
            memory=memory,
            duration=None,
        )
        if not memory.fits:
            return made
        from learning.finetune.estimate_speed import measured

        part = sampled(examples, SAMPLE, seed=plan.seed)
        counted, speed = measured(base, part, plan, pool=pool, teller=teller)
        duration = _duration(examples, plan, folds, counted, speed)
        if plan.members:
            lasts = _ensemble(beside or base, part, plan, made, counted, teller=teller)
            duration = replace(duration, ensemble=lasts)
        return replace(made, duration=duration)


def sampled(examples: Examples, most: int, *, seed: int) -> Examples:
    """Return whole groups of ``most`` labels or few more."""
    names, member = np.unique(examples.group, return_inverse=True)
    order = np.random.default_rng([seed, 11]).permutation(len(names))
    before = np.cumsum(np.bincount(member)[order]) - np.bincount(member)[order]
    return compact(examples, np.flatnonzero(np.isin(member, order[before < most])))


def compact(examples: Examples, rows: NDArray[np.int64]) -> Examples:
    """Return these comparisons, in this order, with only the texts that they need."""
    data = examples.comparisons.subset(rows)
    used, place = np.unique(data.pairs, return_inverse=True)
    left, right = place.reshape(-1, 2).T
    return Examples(
        prompts=tuple(examples.prompts[row] for row in used),
        responses=tuple(examples.responses[row] for row in used),
        comparisons=replace(data, left=left, right=right),
        group=examples.group[rows],
        noise=None if examples.noise is None else examples.noise[rows],
        aspects=None if examples.aspects is None else examples.aspects[used],
    )


def _passes(plan: Plan, folds: Sequence[Fold]) -> tuple[_Span, _Span]:
    """Passes of each fold, and of the last model: fewest and most."""
    if not folds:
        without = plan.epochs or min(_EARLIEST, plan.max_epochs)
        return (0, 0), (without, without)
    if plan.epochs:
        return (plan.epochs, plan.epochs), (plan.epochs, plan.epochs)
    return (min(_EARLIEST, plan.max_epochs), plan.max_epochs), (1, plan.max_epochs)


def _duration(
    examples: Examples, plan: Plan, folds: Sequence[Fold], counted: Counted, speed: Speed
) -> Duration:
    least, most = (
        _spent(examples, folds, counted, passes)
        for passes in zip(*_passes(plan, folds), strict=True)
    )
    loads = len(folds) + _LOADS

    def lasts(spent: _Spent) -> float:
        work = spent.tokens * speed.train + spent.steps * speed.step
        return work + spent.read * speed.read + spent.look * speed.look + loads * speed.load

    slack = max(_SLACK, 2 * speed.spread)
    return Duration(
        steps=(least.steps, most.steps),
        tokens=(least.tokens, most.tokens),
        read=(least.read + least.look, most.read + most.look),
        truncated=counted.truncated,
        seconds=(lasts(least) / (1 + slack), lasts(most) * (1 + slack)),
        ensemble=None,
        tokens_per_second=1 / speed.train,
        device=speed.device,
    )


def _ensemble(
    base: Path, part: Examples, plan: Plan, made: Estimate, counted: Counted, *, teller: Teller
) -> _Seconds | None:
    """How long the ensemble's adapters last; they take as many passes as the last model."""
    from learning.finetune import estimate_ensemble, lora_ensemble_run

    needed = lora_ensemble_run.estimate_ensemble(base, plan, part)
    if not replace(needed, available=min(needed.available, made.memory.available)).fits:
        return None
    speed = estimate_ensemble.measured(base, part, plan, teller=teller)
    noise = part.noise if part.noise is not None else np.zeros(len(part))
    mirrored = (noise > 0) & part.comparisons.decisive  # learnt a second time, the other way round
    a_pass = made.labels * (1 + float(mirrored.mean())) * counted.pair * speed.train
    compared = made.responses * counted.response
    read = compared + (compared if counted.pool is None else counted.pool)
    low, high = (passes * a_pass + read * speed.read for passes in made.epochs)
    return low / (1 + _SLACK), high * (1 + _SLACK)


@dataclass(frozen=True, slots=True)
class _Spent:
    """Optimiser steps; tokens trained on, read before and after, and looked at in between."""

    steps: int
    tokens: int
    read: int
    look: int


def _spent(
    examples: Examples, folds: Sequence[Fold], counted: Counted, passes: tuple[int, int]
) -> _Spent:
    """With so many passes of each fold and of the last model."""
    of_fold, of_last = passes
    pairs = examples.comparisons.pairs
    whole = len(np.unique(pairs)) * counted.response
    steps, labels, look = of_last * counted.steps(len(examples)), of_last * len(examples), 0.0
    for fold in folds:
        steps += of_fold * counted.steps(len(fold.train))
        labels += of_fold * len(fold.train)
        # After each pass the held-out texts, at the end all of them.
        look += of_fold * len(np.unique(pairs[fold.test])) * counted.response + whole
    read = whole + (whole if counted.pool is None else counted.pool)
    return _Spent(steps, round(labels * counted.label), round(read), round(look))
