"""`python -m benchmarks` (`make bench`): list the benchmarks, then run the small default one."""

from __future__ import annotations

import sys

from benchmarks.replay_loop import measure, parse
from benchmarks.stack import running
from config.env import BASE_DIR

BENCHMARKS = {
    "replay_loop FILE": "people, pages, worker and model close the loop; accuracy of each model",
    "pages": "how long an answer and the next question take, with many people at once",
    "finetune_latency FILE": "what annotators notice of a training on the same machine",
    "finetune_speed FILE": "how fast a model is trained, against TRL's reward trainer",
    "keypress": "from a key to the next question painted, in a real browser",
    "exporting": "rows a second and peak memory of every export format, on a million answers",
    "choosing [PART…]": "refit, score and select: every function, and against obvious ways",
    "importing": "how many items a second an import stores, by format, and its peak memory",
}
POOL = str(BASE_DIR / "annotator" / "demo" / "everyday_pool.jsonl")
SMALL = [POOL, "--labels", "160", "--people", "2", "--strength-max", "2"]


def main() -> int:
    """List, run. So few answers prove nothing: the status only says that models were measured."""
    for name, line in BENCHMARKS.items():
        print(f"python -m benchmarks.{name:<21} {line}")
    print(f"\nThe small one: replay_loop {' '.join(SMALL)}\n", flush=True)
    with running() as stack:
        last = measure(stack, parse(SMALL))
    return 0 if last else 1


if __name__ == "__main__":
    sys.exit(main())
