"""What annotators notice of a training on the same machine.

    .venv/bin/python -m benchmarks.finetune_latency FILE [--people 4] [--think 1] [--seconds 60]

Starts the whole product on the embedded default. People answer over HTTP, first with nothing else
under way, then while a worker trains the encoder of another campaign on the answers in FILE.
Prints how long *submit* and *next* took in both, and the ratio.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.people import Person, Verdicts, assignment_on
from benchmarks.replay_loop import prepare, texts_shown
from benchmarks.stack import Stack, running

Times = dict[str, list[float]]


def answer_for(person: Person, verdicts: Verdicts, think: float, until: float) -> None:
    """Answer, with a thought before each, until a moment of the clock."""
    page = person.get("/c/replay/", **{"HX-Request": "true"})
    person.look_ahead(page)
    while time.monotonic() < until:
        time.sleep(think)
        assignment = assignment_on(page)
        if assignment is None:
            page = person.get("/c/replay/", **{"HX-Request": "true"})
            person.look_ahead(page)
        else:
            page = person.answer(page, verdicts.button(texts_shown(assignment)), active_ms="1000")


def block(people: list[Person], verdicts: Verdicts, options: argparse.Namespace) -> Times:
    """All people for some time; how long each request took, in seconds."""
    for person in people:
        person.seconds.clear()
        person.ahead_seconds.clear()
    until = time.monotonic() + options.seconds
    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(lambda p: answer_for(p, verdicts, options.think, until), people))
    return {
        "submit": sorted(one for person in people for one in person.seconds),
        "next": sorted(one for person in people for one in person.ahead_seconds),
    }


def begin_training(options: argparse.Namespace) -> Any:
    """A campaign with history whose encoder is trained from now on; waits for the first step."""
    from annotator.models import Job
    from annotator.services.campaigns import create_campaign, start_campaign
    from annotator.services.files import open_binary
    from annotator.services.finetuning import request_finetuning
    from annotator.services.imports import ImportOptions, import_items

    campaign = create_campaign(slug="trained", name="Trained", encoder="minilm", queue_low=0)
    with open_binary(options.file) as stream:
        import_items(campaign=campaign, stream=stream, options=ImportOptions(history=True))
    start_campaign(campaign=campaign)
    version = request_finetuning(campaign=campaign, options={"max_tokens": 128})
    if version is None:
        raise RuntimeError("another training is under way")
    deadline = time.monotonic() + 900
    while not Job.objects.filter(kind="finetune", done__gt=0, message__contains="loss").exists():
        version.refresh_from_db()
        if not version.under_way or time.monotonic() > deadline:
            raise RuntimeError(f"the training did not begin: {version.state} {version.error}")
        time.sleep(1)
    return version


def quiet(patience: float = 600.0) -> None:
    """Wait until workers have nothing to do."""
    from annotator.models import Job

    deadline = time.monotonic() + patience
    while Job.objects.live().exclude(kind="finetune").exists() and time.monotonic() < deadline:
        time.sleep(1)


def measure(stack: Stack, options: argparse.Namespace) -> float:
    """Print the figures of both blocks; returns the largest ratio of medians."""
    options.acquisition, options.encoder, options.batch, options.seed = "random", "hashed", 256, 1
    options.holdout_share = 0.25
    prepare(options.file, options)
    verdicts = Verdicts(options.file, strength_max=options.strength_max)
    people = [Person(stack.base, f"p{n}", f"p{n}") for n in range(options.people)]
    for person in people:
        person.enter("replay")
    quiet()
    idle = block(people, verdicts, options)
    version = begin_training(options)
    quiet()
    busy = block(people, verdicts, options)
    version.refresh_from_db()
    print(f"while version {version.number} was {version.state}; load {os.getloadavg()[0]:.1f}")
    return report(idle, busy)


def report(idle: Times, busy: Times) -> float:
    """Print p50 and p95 of both; returns the largest ratio of medians."""
    largest = 0.0
    for name in idle:
        first, second = idle[name], busy[name]
        spread = [(one[len(one) // 2], one[int(len(one) * 0.95)]) for one in (first, second)]
        (middle, most), (middle_busy, most_busy) = spread
        largest = max(largest, middle_busy / middle)
        print(
            f"{name}: idle p50 {1000 * middle:.0f} ms, p95 {1000 * most:.0f} ms (n {len(first)}); "
            f"training p50 {1000 * middle_busy:.0f} ms, p95 {1000 * most_busy:.0f} ms "
            f"(n {len(second)}); ratio {middle_busy / middle:.2f} and {most_busy / most:.2f}"
        )
    return largest


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--think", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--strength-max", type=float, default=3.0)
    return parser.parse_args(arguments)


def main() -> int:
    """Run; the status says whether annotators noticed more than twice the idle time."""
    options = parse()
    with running() as stack:
        return int(measure(stack, options) > 2)


if __name__ == "__main__":
    sys.exit(main())
