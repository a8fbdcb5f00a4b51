"""`python -m learning finetune`: does fine-tuning pay on annotated files, and from how many labels?

For every fold by group and number of labels: surface features alone, the frozen encoder with
surface features, and the same after fine-tuning, all with the default head, all tested on the
same answers about groups that nothing was trained on. Fine-tuning never sees them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from threadpoolctl import threadpool_limits

from learning.encoders import encoder_key
from learning.errors import ConfigError
from learning.finetune.compare_cells import (
    METHODS,
    Cell,
    fine_tuned,
    heads_alone,
    load,
    save,
    split,
)
from learning.finetune.compare_report import as_csv, as_json, pays_from, rows, table
from learning.finetune.plan import Plan
from learning.finetune.score_writing import whole
from learning.replay.command import about, our_version, read_all, tell
from learning.replay.corpus import Corpus
from learning.replay.parallel import processes, settle
from learning.replay.worlds import Embedded, Encoding, embed

_HEADS: Final = ("surface", "frozen")
_Place = tuple[int, str, int, int]  # labels, method, seed, fold


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--base", default="default", help="encoder: minilm, hf:NAME, reward:FOLDER")
    parser.add_argument("--methods", default=",".join(METHODS), metavar="A,B")
    parser.add_argument("--labels", default="500,1000,2000", metavar="N,N")
    parser.add_argument("--folds", type=int, default=5, help="folds by group")
    parser.add_argument(
        "--only-folds", type=int, default=0, metavar="N", help="run the first N of them; 0: all"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--test-pairs", type=int, default=0, metavar="N", help="test pairs of a fold; 0: all"
    )
    parser.add_argument("--max-tokens", type=int, default=Plan().max_tokens)
    parser.add_argument(
        "--plan", type=json.loads, default={}, metavar="JSON", help="options of fine-tuning"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes; 0: only this one"
    )
    parser.add_argument("--features-cache", type=Path, metavar="DIR", help="of frozen embeddings")
    parser.add_argument("--out", type=Path, required=True, metavar="FINETUNE.JSON")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the table, one row a method")


def run(options: Namespace) -> int:
    """Compare; cells that are done are kept beside the results and not computed again."""
    methods, labels = _methods(options.methods), _labels(options.labels)
    _check(options)
    if not isinstance(options.plan, dict):
        raise ConfigError("--plan must be an object of options")
    given = {"max_tokens": options.max_tokens, "threads": options.threads, **options.plan}
    plans = {name: Plan.read({**given, "method": name}) for name in methods if name not in _HEADS}
    cells = options.out.with_name(options.out.name + ".cells")
    cells.mkdir(parents=True, exist_ok=True)
    corpora = read_all(options.files)
    found, files = [], []
    with threadpool_limits(options.threads):
        for path, corpus in zip(options.files, corpora, strict=True):
            files.append(about(path, corpus))
            encoding = Encoding(options.base, options.features_cache)
            task = _Task(options, corpus, files[-1]["sha256"], plans, cells)
            raw = embed(corpus, encoding, tell)
            found += rows(corpus.name, task.cells(methods, labels, raw))
            made = {
                "version": our_version(),
                "settings": _settings(options, plans),
                "files": files,
                "rows": [as_json(row) for row in found],
                "pays_from": pays_from(found),
            }
            with whole(options.out) as file:
                file.write(json.dumps(made, indent=1) + "\n")
            if options.csv is not None:
                with whole(options.csv) as file:
                    file.write(as_csv(found))
    sys.stdout.write(table(found))
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One file with everything that decides its cells."""

    options: Namespace
    corpus: Corpus
    sha256: str
    plans: dict[str, Plan]
    folder: Path

    def cells(
        self, methods: list[str], labels: list[int], raw: Embedded
    ) -> dict[tuple[str, int], list[Cell]]:
        """All cells, those that were kept from an earlier run as they were."""
        todo = list(self._todo(methods, labels))
        made: dict[tuple[str, int], list[Cell]] = {}
        for (count, method, *_), cell in zip(todo, self._made(todo, raw), strict=True):
            if cell is not None:
                made.setdefault((method, count), []).append(cell)
        return made

    def _todo(self, methods: list[str], labels: list[int]) -> Iterator[_Place]:
        folds = self.options.only_folds or self.options.folds
        for seed in range(self.options.seeds):
            for fold in range(folds):  # whole folds first: a part of the work is then a result
                for count in labels:
                    for method in methods:
                        yield count, method, seed, fold

    def _made(self, todo: list[_Place], raw: Embedded) -> Iterator[Cell | None]:
        if not self.options.workers:
            for place in todo:
                yield self.cell(place, raw)
            return
        with processes(self.options.workers, _enter, self, raw) as pool:
            yield from pool.map(_in_worker, todo)

    def cell(self, place: _Place, raw: Embedded) -> Cell | None:
        """One cell, kept or computed and kept; None where fewer labels are all there are."""
        count, method, seed, fold = place
        options = self.options
        path = self.folder / f"{self.corpus.name}-{self._name(method, count, seed, fold)}.npz"
        kept = load(path)
        if kept is not None:
            return kept
        drawn = split(
            self.corpus, fold, folds=options.folds, seed=seed, test_pairs=options.test_pairs
        )
        labels = min(count, len(drawn.train))
        if count > len(drawn.train) and count != min(
            one for one in _labels(options.labels) if one >= len(drawn.train)
        ):
            return None  # all labels there are were used with fewer
        if method in _HEADS:
            cell = heads_alone(method, self.corpus, raw, drawn, labels)
        else:
            cell = fine_tuned(
                self.corpus, raw.surface, drawn, labels,
                base=options.base, plan=self.plans[method], tell=tell,
            )  # fmt: skip
        save(cell, path)
        tell(f"{self.corpus.name}: {method}, {labels} labels, fold {fold}: {cell.seconds:.0f} s")
        return cell

    def _name(self, method: str, count: int, seed: int, fold: int) -> str:
        """Names everything that a cell depends on."""
        options = self.options
        plan = self.plans[method].to_dict() if method in self.plans else None
        told = [our_version(), self.sha256, encoder_key(options.base), plan]
        told += [options.folds, options.test_pairs]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
        return f"{method}-{count}-{seed}-{fold}-{digest}"


_here: list[tuple[_Task, Embedded]] = []  # of a worker process, which is told once


def _enter(task: _Task, raw: Embedded) -> None:
    _here.append((task, raw))
    settle(task.options.threads)


def _in_worker(place: _Place) -> Cell | None:
    ((task, raw),) = _here
    return task.cell(place, raw)


def _methods(given: str) -> list[str]:
    named = [name.strip() for name in given.split(",") if name.strip()]
    if unknown := [name for name in named if name not in METHODS]:
        raise ConfigError(f"there is no method {unknown[0]!r}; there are {', '.join(METHODS)}")
    return list(dict.fromkeys(named)) or list(METHODS)


def _labels(given: str) -> list[int]:
    try:
        counts = sorted({int(one) for one in given.split(",") if one.strip()})
    except ValueError as error:
        raise ConfigError("--labels must be whole numbers, separated by commas") from error
    if not counts or counts[0] < 1:
        raise ConfigError("--labels must be at least 1")
    return counts


def _check(options: Namespace) -> None:
    if options.folds < 2 or options.seeds < 1 or options.threads < 1 or options.workers < 0:
        raise ConfigError(
            "--folds must be at least 2, --seeds and --threads at least 1, --workers at least 0"
        )
    if not 0 <= options.only_folds <= options.folds or options.test_pairs < 0:
        raise ConfigError("--only-folds must be at most --folds, --test-pairs at least 0")
    for path in (options.out, options.csv):
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"there is no folder {path.parent} to write to")


def _settings(options: Namespace, plans: dict[str, Plan]) -> dict[str, Any]:
    return {
        "base": encoder_key(options.base),
        "folds": options.folds,
        "folds_run": options.only_folds or options.folds,
        "seeds": options.seeds,
        "test_pairs": options.test_pairs,
        "plans": {name: plan.to_dict() for name, plan in plans.items()},
    }
