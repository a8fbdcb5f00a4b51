"""Many runs in processes of their own; the results do not depend on how many there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, Final

from threadpoolctl import threadpool_limits

from learning.errors import LearningError
from learning.replay.folds import split
from learning.replay.loop import Arm, Plan, Run, replay
from learning.replay.worlds import World

# Sums in another order are other sums: with as many threads as the machine happens to have,
# near ties between candidates would fall differently from machine to machine.
_THREADS: Final = 1
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Task:
    """One run to make: the number of the world, the arm, the plan and the seed."""

    world: int
    arm: Arm
    plan: Plan
    seed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended in an error, and which."""

    file: str
    acquisition: str
    seed: int
    error: str


Outcome = Run | Failure


def capped(world: World, plan: Plan, seeds: int) -> Plan:
    """Return the plan with no more labels than the smallest training side of any seed.

    So all seeds of a file have the same steps, and their curves can be averaged.
    """
    room = min(len(split(world, plan.folds, seed)[0]) for seed in range(seeds))
    labels = min(plan.labels, room)
    return replace(plan, labels=labels, start=min(plan.start, labels))


def tasks(worlds: Sequence[World], arms: Sequence[Arm], plan: Plan, seeds: int) -> list[Task]:
    """Return every run of a command: file by file, seed by seed, function by function.

    Raises:
        NotEnoughData: a file cannot be split.
    """
    plans = [capped(world, plan, seeds) for world in worlds]
    return [
        Task(world, arm, plans[world], seed)
        for world, seed, arm in product(range(len(worlds)), range(seeds), arms)
    ]


def run_all(
    worlds: Sequence[World],
    todo: Sequence[Task],
    *,
    workers: int,
    progress: Callable[[int, Outcome], None],
) -> list[Outcome]:
    """Make all runs; a run that fails is a failure in the list and stops no other.

    Args:
        worlds: What tasks refer to.
        todo: The runs.
        workers: Processes beside this one; with 0 all runs are made here.
        progress: Called with the number of runs that are done and the last one.

    Returns:
        In the order of ``todo``.
    """
    made: list[Outcome | None] = [None] * len(todo)
    for done, (place, outcome) in enumerate(_outcomes(worlds, todo, workers), start=1):
        made[place] = outcome
        progress(done, outcome)
    return [outcome for outcome in made if outcome is not None]


def _outcomes(
    worlds: Sequence[World], todo: Sequence[Task], workers: int
) -> Iterator[tuple[int, Outcome]]:
    if not workers:
        with threadpool_limits(_THREADS):
            for place, task in enumerate(todo):
                yield place, _attempt(worlds[task.world], task)
        return
    with processes(workers, _enter, worlds) as pool:
        places = {pool.submit(_in_worker, task): place for place, task in enumerate(todo)}
        for future in as_completed(places):
            yield places[future], future.result()


@contextmanager
def processes(count: int, enter: Callable[..., None], *given: Any) -> Iterator[ProcessPoolExecutor]:
    """New processes, each of which calls ``enter`` with what is given before anything else.

    Raises:
        LearningError: one of them was killed.
    """
    spawn = get_context("spawn")
    try:
        with ProcessPoolExecutor(count, spawn, initializer=enter, initargs=given) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise LearningError(
            "A process was killed, probably because memory ran out; fewer --workers need less."
        ) from error


def _attempt(world: World, task: Task) -> Outcome:
    try:
        return replay(world, task.arm, task.plan, task.seed)
    except Exception as error:
        # Hours of other runs must not be lost to one function; the command ends with an error.
        said = f"{type(error).__name__}: {error}"
        return Failure(world.name, task.arm.label, task.seed, said)


_worlds: Sequence[World] = ()  # of a worker process, which is told once


def _enter(worlds: Sequence[World]) -> None:
    global _worlds
    _worlds = worlds
    settle(_THREADS)


def settle(threads: int) -> None:
    """Begin a worker process: bound the threads of its arithmetic, and have it end with its parent.

    A pool's workers would otherwise wait for work for ever after their parent was killed.
    """
    if (parent := parent_process()) is not None:
        Thread(target=_end_with, args=(parent,), daemon=True).start()
    for name in _THREAD_VARIABLES:  # for libraries that are loaded from now on
        os.environ[name] = str(threads)
    threadpool_limits(threads)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _in_worker(task: Task) -> Outcome:
    return _attempt(_worlds[task.world], task)
