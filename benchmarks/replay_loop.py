"""The loop through the real pages: do people, pages, workers and model really close it?

    .venv/bin/python -m benchmarks.replay_loop FILE [--labels 600] [--people 4]

Starts the whole product on the embedded default, imports FILE without its answers, and lets
simulated annotators answer over HTTP what the people in FILE answered. A real worker runs the
rounds. Prints accuracy and log-loss on the held-out prompts for every model version.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.people import Person, Verdicts, assignment_on
from benchmarks.stack import Stack, running


def prepare(file: Path, options: argparse.Namespace) -> Any:
    """Create the campaign and its people; start it."""
    from django.contrib.auth.models import User

    from annotator.services.campaigns import add_member, create_campaign, start_campaign
    from annotator.services.files import open_binary
    from annotator.services.imports import import_items

    campaign = create_campaign(
        slug="replay",
        name="Replay",
        guidelines="Answer as you did before.",
        acquisition=options.acquisition,
        encoder=options.encoder,
        batch_size=options.batch,
        labels_per_round=options.batch // 2,
        queue_low=options.people + 1,
        holdout_share=options.holdout_share,
        seed=options.seed,
    )
    with open_binary(file) as stream:
        print(import_items(campaign=campaign, stream=stream))
    for number in range(options.people):
        user = User.objects.create_user(f"p{number}", password=f"p{number}")
        add_member(campaign=campaign, user=user)
    return start_campaign(campaign=campaign)


def texts_shown(assignment_id: str) -> list[str]:
    """What the person sees as A and B (their page shows it as rendered Markdown)."""
    from annotator.models import Assignment, Response

    order = Assignment.objects.get(pk=assignment_id).display_order
    texts = dict(Response.objects.filter(pk__in=order).values_list("pk", "text"))
    return [texts[pk] for pk in order]


def work(person: Person, verdicts: Verdicts, labels: int, patience: float) -> int:
    """Answer until so many labels are given or nothing comes for a while; returns how many."""
    page = person.enter("replay")
    answered, waited = 0, time.monotonic()
    while answered < labels and time.monotonic() - waited < patience:
        assignment = assignment_on(page)
        if assignment is None:
            if 'data-view="empty-done"' in page:
                break
            time.sleep(0.5)
            page = person.get("/c/replay/", **{"HX-Request": "true"})
            person.look_ahead(page)
            continue
        page = person.answer(page, verdicts.button(texts_shown(assignment)), active_ms="1000")
        answered, waited = answered + 1, time.monotonic()
    return answered


def report(people: list[Person]) -> dict[str, float]:
    """Print the curve, every version on the same holdout answers; returns the last figures."""
    from annotator.models import Annotation, Round

    newest = Round.objects.filter(state="published").first()
    points = newest.report["curve"] if newest else []
    graded = [p for p in points if p["kind"] == "all" and (p["accuracy"] or {}).get("value")]
    last: dict[str, float] = {}
    if graded:
        print(f"on {graded[0]['n']} answers about {graded[0]['prompts']} held-out prompts:")
        print(f"{'round':>5} {'labels':>6}  accuracy (95 %)        log-loss (95 %)")
    for point in graded:
        accuracy, loss = point["accuracy"], point["log_loss"]
        figures = f"{_figure(accuracy)}   {_figure(loss)}"
        print(f"{point['round']:>5} {point['labels']:>6}  {figures}")
        last = {"accuracy": accuracy["value"]}
    spent = sorted(second for person in people for second in person.seconds) or [0.0]
    states = dict.fromkeys(Round.objects.values_list("state", flat=True))
    print(
        f"{len(spent)} answers over HTTP, {Annotation.objects.count()} recorded, "
        f"{Round.objects.count()} rounds ({', '.join(states)}); "
        f"submit + next: p50 {1000 * spent[len(spent) // 2]:.0f} ms, "
        f"p95 {1000 * spent[int(len(spent) * 0.95)]:.0f} ms"
    )
    return last


def _figure(estimate: dict[str, float | None]) -> str:
    if estimate["low"] is None:
        return f"{estimate['value']:.3f} (no interval) "
    return f"{estimate['value']:.3f} ({estimate['low']:.3f}-{estimate['high']:.3f})"


def measure(stack: Stack, options: argparse.Namespace) -> dict[str, float]:
    """Run the people until the labels are in and the last round is through."""
    from annotator.models import Round

    prepare(options.file, options)
    verdicts = Verdicts(options.file, seed=options.seed, strength_max=options.strength_max)
    people = [Person(stack.base, f"p{n}", f"p{n}") for n in range(options.people)]
    share = -(-options.labels // options.people)
    with ThreadPoolExecutor(options.people) as pool:
        list(pool.map(lambda p: work(p, verdicts, share, options.patience), people))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and Round.objects.live().exists():
        time.sleep(0.5)
    return report(people)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--labels", type=int, default=600)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--holdout-share", type=float, default=0.25)
    parser.add_argument("--acquisition", default="dopt")
    parser.add_argument("--encoder", default="default")
    parser.add_argument("--strength-max", type=float, default=3.0)
    parser.add_argument(
        "--at-least", type=float, default=0.0, help="fail below this accuracy of the last model"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=240.0)
    return parser.parse_args(arguments)


def main() -> int:
    """Measure and print."""
    options = parse()
    with running() as stack:
        last = measure(stack, options)
    return 0 if last.get("accuracy", 0) >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
