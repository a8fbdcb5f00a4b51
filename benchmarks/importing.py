"""How fast imports are, and how much memory they take: items a second and peak, by format.

    .venv/bin/python -m benchmarks.importing [--items 100000] [--history] [--only native …]

Writes a file of each format and imports it in a process of its own into a private PostgreSQL on
this machine. Nothing else of the product runs. `--history` records the answers, too: one an item.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from config import demo
from config.embedded_postgres import EmbeddedPostgres
from config.env import BASE_DIR
from config.guardian import Guardian

Row = dict[str, Any]
SENTENCE = "the sky is blue because light of short waves scatters more than that of long ones"
WORDS = SENTENCE.split()


def words(rng: random.Random, count: int) -> str:
    """Text of no meaning."""
    return " ".join(rng.choices(WORDS, k=count))


def texts(items: int) -> Iterator[tuple[int, str, str, str]]:
    """A prompt of some 200 characters and two responses of 400, as everyday data have them."""
    rng = random.Random(1)
    for n in range(items):
        yield n, f"{n}: {words(rng, 40)}?", f"a {words(rng, 80)}", f"b {words(rng, 80)}"


def native(n: int, prompt: str, one: str, two: str) -> list[Row]:
    """Tiebreak's own."""
    said = [{"annotator": f"w{n % 50}", "kind": "human", "choice": n % 2}]
    responses = [{"text": one, "model": "m-1"}, {"text": two, "model": "m-2"}]
    return [{"id": f"n:{n}", "prompt": prompt, "responses": responses, "annotations": said}]


def trl_preference(n: int, prompt: str, one: str, two: str) -> list[Row]:
    """Conversations, with the prompt by itself."""
    turns = [[{"role": "assistant", "content": text}] for text in (one, two)]
    asked = [{"role": "user", "content": prompt}]
    return [{"prompt": asked, "chosen": turns[0], "rejected": turns[1]}]


def trl_unpaired(n: int, prompt: str, one: str, two: str) -> list[Row]:
    """Two rows an item."""
    return [{"prompt": prompt, "completion": text, "label": text is one} for text in (one, two)]


def hh_rlhf(n: int, prompt: str, one: str, two: str) -> list[Row]:
    """Transcripts."""
    start = f"\n\nHuman: {prompt}\n\nAssistant: "
    return [{"chosen": start + one, "rejected": start + two}]


def table(n: int, prompt: str, one: str, two: str) -> list[Row]:
    """A CSV."""
    return [{"question": prompt, "answer_a": one, "answer_b": two, "winner": "ab"[n % 2]}]


FORMATS: dict[str, tuple[str, Callable[[int, str, str, str], list[Row]]]] = {
    "native": ("jsonl", native),
    "trl-preference": ("jsonl", trl_preference),
    "trl-unpaired": ("jsonl", trl_unpaired),
    "hh-rlhf": ("json", hh_rlhf),
    "table": ("csv", table),
    "trl-preference in Parquet": ("parquet", trl_preference),
}


def write(path: Path, kind: str, rows: Iterator[Row]) -> None:
    """Write rows in a container."""
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=10_000)
        return
    with path.open("w", encoding="utf-8", newline="") as out:
        if kind == "csv":
            first = next(rows)
            sheet = csv.DictWriter(out, list(first))
            sheet.writeheader()
            sheet.writerows([first])
            sheet.writerows(rows)
        elif kind == "json":
            out.write("[")
            for n, row in enumerate(rows):
                out.write(("," if n else "") + json.dumps(row))
            out.write("]")
        else:
            out.writelines(json.dumps(row) + "\n" for row in rows)


def child(slug: str, path: Path, *, history: bool) -> int:
    """Import one file; say seconds, items and peak memory."""
    import django

    django.setup()
    from annotator.services.campaigns import create_campaign
    from annotator.services.files import open_binary
    from annotator.services.imports import ImportOptions, import_items

    campaign = create_campaign(slug=slug, name=slug)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, busy = time.monotonic(), time.process_time()
    with open_binary(path) as stream:
        report = import_items(
            campaign=campaign, stream=stream, options=ImportOptions(history=history)
        )
    seconds, cpu = time.monotonic() - begun, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = {"seconds": seconds, "cpu": cpu, "items": report.items, "peak": peak, "before": before}
    print(json.dumps(said))
    return 0


def main() -> int:
    """Every format, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--only", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--history", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        return child(asked.child[0], Path(asked.child[1]), history=asked.history)
    with tempfile.TemporaryDirectory(prefix="tiebreak-bench-") as name:
        var = Path(name)
        var.chmod(0o711)
        server = EmbeddedPostgres(var / "postgres")
        guardian = Guardian(server)
        server.acquire()
        try:
            measure(asked, server.url, var)
        finally:
            server.release()
            guardian.close()
    return 0


def measure(asked: argparse.Namespace, url: str, var: Path) -> None:
    """One process a format, so that each has a peak of its own."""
    environment = demo.child_environment(url, port=1, var=var)
    demo.manage(environment, "Preparing the tables ...", "migrate", "--verbosity=0")
    titles = f"{'seconds':>9}{'of CPU':>8}{'items/s':>9}{'peak MB':>9}{'grown MB':>10}"
    print(f"{'format':<28}{'items':>9}{titles}")
    for number, name in enumerate(asked.only):
        kind, made = FORMATS[name]
        path = var / f"rows.{kind}"
        write(path, kind, (row for given in texts(asked.items) for row in made(*given)))
        command = [sys.executable, "-m", "benchmarks.importing", "--child", f"c{number}", str(path)]
        command += ["--history"] * asked.history
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            cwd=BASE_DIR,
            check=True,
            capture_output=True,
        )
        said = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name:<28}{said['items']:>9,}{said['seconds']:>9.1f}{said['cpu']:>8.1f}"
            f"{said['items'] / said['seconds']:>9,.0f}{said['peak'] / 1024:>9.0f}"
            f"{(said['peak'] - said['before']) / 1024:>10.0f}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
