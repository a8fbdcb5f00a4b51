"""How fast the annotator's pages are: sending an answer, and leasing the next question ahead.

    .venv/bin/python -m benchmarks.pages [--people 64] [--think 5] [--seconds 60]

Starts the product on the embedded default with a toy campaign whose queue is long enough, and
lets people answer at once. `--think 0` measures saturation. Web server, database, worker and the
simulated people share this machine's cores.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from benchmarks.people import Person, assignment_on
from benchmarks.stack import running


def prepare(people: int, questions: int) -> None:
    """A campaign whose questions are published already, so that no round is measured."""
    from django.contrib.auth.models import User
    from django.db import transaction

    from annotator.models import Campaign, ItemResponse, Round
    from annotator.services.campaigns import add_member, create_campaign
    from annotator.services.imports import import_items
    from annotator.services.rounds import PlannedQuery, publish_round

    campaign = create_campaign(
        slug="pages", name="Pages", labels_per_round=1_000_000, queue_low=0, holdout_prompts=0
    )
    import_items(campaign=campaign, stream=_items(questions))
    Campaign.objects.filter(pk=campaign.pk).update(state=Campaign.State.RUNNING)
    pairs: dict[tuple[int, int], list[int]] = {}
    places = ItemResponse.objects.filter(item__campaign=campaign)
    for item, prompt, response in places.values_list("item", "item__prompt", "response"):
        pairs.setdefault((item, prompt), []).append(response)
    made = Round.objects.create(campaign=campaign, number=1, trigger="benchmark")
    planned = [
        PlannedQuery(item, prompt, tuple(pair), "random", "random", None, 1.0)
        for (item, prompt), pair in pairs.items()
    ]
    with transaction.atomic():
        publish_round(
            made=made, planned=planned, versions=[], annotations_seen=0, report={"pool_left": 0}
        )
    for number in range(people):
        user = User.objects.create_user(f"p{number}", password=f"p{number}")
        add_member(campaign=campaign, user=user)


def _items(number: int) -> BinaryIO:
    import io
    import json

    words = [
        "the",
        "sky",
        "is",
        "blue",
        "because",
        "light",
        "of",
        "short",
        "waves",
        "is",
        "scattered",
        "more",
        "than",
        "the",
        "rest",
    ]
    rng = random.Random(0)

    def text() -> str:
        return " ".join(rng.choices(words, k=120))

    rows = (
        {"id": str(n), "prompt": f"{n} {text()}", "responses": [{"text": text()}, {"text": text()}]}
        for n in range(number)
    )
    return io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())


def work(person: Person, think: float, until: float) -> None:
    """Answer until the time is over."""
    rng = random.Random(person.username)
    page = person.enter("pages")
    time.sleep(rng.random() * think)
    while time.monotonic() < until and assignment_on(page):
        page = person.answer(page, rng.choice(["a1", "b2", "tie"]))
        time.sleep(think * (0.5 + rng.random()))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--people", type=int, default=64)
    parser.add_argument("--think", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--questions", type=int, default=20_000)
    options = parser.parse_args()
    with running() as stack:
        prepare(options.people, options.questions)
        people = [Person(stack.base, f"p{n}", f"p{n}") for n in range(options.people)]
        until = time.monotonic() + options.seconds
        with ThreadPoolExecutor(options.people) as pool:
            list(pool.map(lambda person: work(person, options.think, until), people))
    spent = [second for person in people for second in person.seconds]
    leased = [second for person in people for second in person.ahead_seconds]
    print(
        f"{options.people} people thinking {options.think:g} s: {len(spent)} answers, "
        f"{len(spent) / options.seconds:.1f} a second; answer: {_spread(spent)}; "
        f"next question ahead: {_spread(leased)}"
    )
    return 0


def _spread(seconds: list[float]) -> str:
    times = sorted(1000 * one for one in seconds)
    middle, most = times[len(times) // 2], times[int(len(times) * 0.95)]
    return f"p50 {middle:.0f} ms, p95 {most:.0f} ms, max {times[-1]:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
