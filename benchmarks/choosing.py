"""How long a round's arithmetic takes: refit, score and select, against obvious ways to do it.

    .venv/bin/python -m benchmarks.choosing [functions] [greedy] [prompts] [growth] [million]

Everything runs on made-up features of a given shape, because time does not depend on what
texts say. Each part prints a table and writes `benchmarks/results/choosing-PART.csv`. Peers run
in the same process, one after the other; peak memory is that of a process of its own.
"""

from __future__ import annotations

import csv
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from learning import heads, information
from learning.acquisition import METHODS, Recipe
from learning.acquisition.base import kappa_weight
from learning.data import Comparisons, Context, Pool, Posterior, Prompts, blocks
from learning.design import greedy
from learning.neighbours import Neighbours

RESULTS = Path(__file__).parent / "results"
LABELS, PAIRS, WIDTH, BATCH = 10_000, 100_000, 384, 320
PER_PROMPT = 4  # pairs about one prompt


@dataclass(frozen=True)
class World:
    """A pool, what is known of it, and answers to learn from."""

    pool: Pool
    context: Context
    answers: Comparisons


def world(
    pairs: int,
    width: int,
    *,
    labels: int | None = None,
    dtype: Any = np.float32,
    per_prompt: int = PER_PROMPT,
    seed: int = 0,
) -> World:
    """Responses around topics with a decaying spectrum; every pair has responses of its own."""
    rng = np.random.default_rng(seed)
    scale = (1.0 / np.sqrt(np.arange(1, width + 1))).astype(np.float32)
    scale /= np.sqrt(2 * np.square(scale).sum())
    features = np.empty((2 * pairs, width), dtype=dtype)
    for part in blocks(len(features)):
        size = part.stop - part.start
        features[part] = rng.standard_normal((size, width), dtype=np.float32) * scale
    rows = np.arange(2 * pairs).reshape(-1, 2)
    prompt = np.arange(pairs) // per_prompt
    theta = rng.standard_normal(width)
    theta *= 2.0 / np.sqrt(np.square(theta * scale).sum() * 2)
    asked = rng.choice(pairs, size=min(LABELS if labels is None else labels, pairs), replace=False)
    x = features[rows[asked, 0]].astype(np.float64) - features[rows[asked, 1]]
    won = rng.random(len(asked)) < 1.0 / (1.0 + np.exp(-x @ theta))
    eligible = np.ones(pairs, dtype=np.bool_)
    eligible[asked] = False
    ids = np.unique(prompt)
    vectors = rng.standard_normal((len(ids), width), dtype=np.float32)
    context = Context(
        round=1, labelled_prompts=prompt[asked], prompts=Prompts(ids=ids, vectors=vectors)
    )
    answers = Comparisons.of(rows[asked, 0], rows[asked, 1], np.where(won, 1, -1))
    return World(Pool.of(features, rows, prompt=prompt, eligible=eligible), context, answers)


def believed(width: int, *, seed: int = 1) -> Posterior:
    """A posterior such as ten thousand answers leave, without fitting one: for large widths."""
    rng = np.random.default_rng(seed)
    size = 1.0 / (1.0 + LABELS / np.arange(1, width + 1) / 20.0)
    factor = np.triu(rng.standard_normal((width, width)) / width**0.5) * 0.1
    factor[np.diag_indices(width)] = 1.0
    theta = rng.standard_normal(width)
    return Posterior(theta, factor * np.sqrt(size)[:, None], 1.0, n_comparisons=LABELS)


def timed(call: Callable[..., Any], *given: Any, **named: Any) -> tuple[float, Any]:
    """Seconds of one call, and what it returned."""
    start = time.perf_counter()
    found = call(*given, **named)
    return time.perf_counter() - start, found


def best_of_two(call: Callable[..., Any], *given: Any, **named: Any) -> tuple[float, Any]:
    """The faster of two calls: the first one pays for fresh memory."""
    return min((timed(call, *given, **named) for _ in range(2)), key=lambda found: found[0])


# --- peers: the obvious ways --------------------------------------------------------------


def one_pass_a_pick(pool: Pool, belief: Posterior, batch: int) -> tuple[list[int], float]:
    """Greedy design that keeps whitened rows in memory and passes over them once per pick.

    Returns the picks and the seconds that scoring took; the rest is choosing.
    """
    start = time.perf_counter()
    rows = pool.candidates
    z = np.empty((len(rows), belief.rank), dtype=np.float32)
    mu = np.empty(len(rows))
    for part in belief.blocks(len(rows)):
        mu[part], z[part] = belief.whiten(pool.features, pool.pairs[rows[part]])
    q = np.vecdot(z, z).astype(np.float64)
    scoring = time.perf_counter() - start
    weight, picks = kappa_weight(mu, q), list[int]()
    V, C = np.empty((batch, belief.rank)), np.empty(batch)
    open_ = np.ones(len(rows), dtype=np.bool_)
    for t in range(batch):
        j = int(np.argmax(np.where(open_, weight * q, -1.0)))
        picks.append(int(rows[j]))
        open_[j] = False
        v = z[j] - V[:t].T @ (C[:t] * (V[:t] @ z[j]))
        V[t], C[t] = v, weight[j] / (1.0 + weight[j] * q[j])
        q -= C[t] * np.square(z @ v.astype(np.float32))
    return picks, scoring


def every_leverage_anew(pool: Pool, belief: Posterior, batch: int) -> list[int]:
    """Greedy design that computes ``x^T Sigma x`` of every pair anew after every pick."""
    rows, picks = pool.candidates, list[int]()
    mu, s2 = belief.margin(pool, pool.pairs[rows])
    weight = kappa_weight(mu, s2)
    open_ = np.ones(len(rows), dtype=np.bool_)
    for _ in range(batch):
        _, q = belief.margin(pool, pool.pairs[rows])
        j = int(np.argmax(np.where(open_, weight * q, -1.0)))
        picks.append(int(rows[j]))
        open_[j] = False
        _, z = belief.whiten(pool.features, pool.pairs[rows[[j]]], dtype=np.float64)
        belief = belief.condition(z, weight[[j]])
    return picks


# --- parts --------------------------------------------------------------------------------


def functions() -> Iterator[dict[str, Any]]:
    """Refit, score and select for every function: 10 000 labels, 100 000 pairs, 384 features."""
    made = world(PAIRS, WIDTH)
    head = heads.get("linear_bt")
    cold, belief = timed(head.fit, made.pool.features, made.answers)
    warm, _ = timed(head.fit, made.pool.features, made.answers, start=belief)
    print(f"refit: {cold:.2f} s from nothing, {warm:.2f} s from the last round's posterior")
    for name in METHODS:
        recipe, rng = Recipe.of(name), np.random.default_rng(0)
        first, _ = timed(recipe.select, made.pool, belief, made.context, BATCH, rng=rng)
        again, found = timed(recipe.select, made.pool, belief, made.context, BATCH, rng=rng)
        yield {
            "function": name,
            "refit": warm,
            "select": again,
            "total": warm + again,
            "first round": cold + first,
            "picks": len(found),
        }


def greedy_against_peers() -> Iterator[dict[str, Any]]:
    """``dopt`` against one pass a pick and against every leverage anew, at the same picks."""
    for pairs, width in ((100_000, 384), (100_000, 1024), (20_000, 4096)):
        made = world(pairs, width, labels=0)
        belief = believed(width)
        pool, rows = made.pool, made.pool.candidates
        rng = np.random.default_rng(0)
        greedy(pool, belief, rows[:3000], 8, rng=rng)  # warm up
        ours, found = best_of_two(greedy, pool, belief, rows, BATCH, rng=rng)
        scoring, _ = best_of_two(belief.margin, pool)
        passes, (picks, peer_scoring) = best_of_two(one_pass_a_pick, pool, belief, BATCH)
        few = 3  # the rest takes as long; minutes are not measured better by waiting
        anew, some = timed(every_leverage_anew, pool, belief, few)
        same = len(set(picks) & set(found.indices.tolist()))
        yield {
            "pairs": pairs,
            "features": width,
            "ours": ours,
            "of it scoring": scoring,
            "one pass a pick": passes,
            "ratio": passes / ours,
            "ratio without scoring": (passes - peer_scoring) / max(ours - scoring, 1e-3),
            "every leverage anew (from 3 picks)": anew / (few + 1) * BATCH,
            "ratio anew": anew / (few + 1) * BATCH / ours,
            "same order": found.indices.tolist() == picks and some == picks[:few],
            "same picks": same,
            "sweeps": found.info["sweeps"],
            "certificate": found.info["certificate"],
        }
        del made, pool


def prompts() -> Iterator[dict[str, Any]]:
    """``balpm`` with counters against scanning all prompt distances for every pick."""
    method = METHODS["balpm"]
    for per_prompt in (4, 1):
        made = world(PAIRS, WIDTH, labels=0, per_prompt=per_prompt)
        belief = believed(WIDTH)

        given = (made.pool, belief, made.context, BATCH)
        rng, config = np.random.default_rng(0), method.parse_config()
        first, _ = timed(method.select, *given, rng=rng, config=config)
        ours, found = timed(method.select, *given, rng=rng, config=config)
        scoring, (mu, s2) = timed(belief.margin, made.pool)
        worth = information.bald(mu, s2)
        graph: Neighbours = made.context.memory["balpm.graph"][1]
        peer, picks = timed(rescanning, made, worth, graph)
        few = 16  # the rest takes as long
        published, some = timed(rescanning_as_published, made, worth, graph, few)
        yield {
            "pairs": PAIRS,
            "prompts": PAIRS // per_prompt,
            "first round (graph)": first,
            "later rounds": ours,
            "of it scoring": scoring,
            "rescanning, scoring apart": peer,
            "ratio": (peer + scoring) / ours,
            "ratio without scoring": peer / max(ours - scoring, 1e-3),
            "published way (from 16 picks)": published / few * BATCH,
            "ratio to published": (published / few * BATCH + scoring) / ours,
            "same picks": len(set(picks) & set(found.indices.tolist())),
            "same first picks": some == picks[:few],
        }


def rescanning(made: World, worth: NDArray[np.float64], graph: Neighbours) -> list[int]:
    """BAL-PM's rule: after each pick, the distance of every pair's prompt to the new one.

    Radii and BALD are given, so that only the way of counting differs. Distances come from one
    matrix-vector product a pick.
    """
    here, space, reach = _prompts_of_pairs(made, graph)
    norms = np.vecdot(here, here)
    around, picks = np.zeros(len(worth)), list[int]()
    open_ = np.ones(len(worth), dtype=np.bool_)
    for _ in range(BATCH):
        value = worth + 1e-2 * (space - digamma(around + 1.0))
        j = int(np.argmax(np.where(open_, value, -np.inf)))
        picks.append(j)
        open_[j] = False
        around += norms - 2 * (here @ here[j]) + norms[j] <= reach
    return picks


def rescanning_as_published(
    made: World, worth: NDArray[np.float64], graph: Neighbours, batch: int
) -> list[int]:
    """The same in the way of the published code: differences of vectors, and what is left of the
    pool copied after each pick (Melo et al. 2024, arXiv:2406.10023, read in its repository)."""
    here, space, reach = _prompts_of_pairs(made, graph)
    left, around, picks = np.arange(len(worth)), np.zeros(len(worth)), list[int]()
    for _ in range(batch):
        at = int(np.argmax(worth[left] + 1e-2 * (space[left] - digamma(around[left] + 1.0))))
        picks.append(int(left[at]))
        distance = np.linalg.norm(here - here[at], axis=1)
        around[left] += np.square(distance) <= reach[left]
        keep = np.arange(len(left)) != at
        left, here = left[keep], here[keep]
    return picks


def _prompts_of_pairs(
    made: World, graph: Neighbours
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Vector of each pair's prompt, log of the space around it, and how far that reaches."""
    known = made.context.prompts
    if known is None:
        raise ValueError("a world without prompt vectors")
    radius = graph.radius[graph.node[made.pool.prompt]]
    reach = np.square(radius * (1 + 1e-5))
    return known.vectors[made.pool.prompt], np.log(2.0 * radius + 1e-4), reach


def growth() -> Iterator[dict[str, Any]]:
    """How ``dopt`` and the scoring pass grow, and what share of the memory bandwidth it uses."""
    shapes: Iterable[tuple[int, int, int]] = (
        *((n, 384, 320) for n in (25_000, 50_000, 100_000, 200_000, 400_000)),
        *((100_000, 384, b) for b in (32, 1000)),
        *((100_000, d, 320) for d in (64, 128, 256, 768)),
    )
    bandwidth = memory_bandwidth()
    for pairs, width, batch in shapes:
        made = world(pairs, width, labels=0)
        belief = believed(width)
        rng = np.random.default_rng(0)
        scoring, _ = timed(belief.margin, made.pool)
        total, found = timed(greedy, made.pool, belief, made.pool.candidates, batch, rng=rng)
        floor = 2 * pairs * width * 4 / bandwidth  # both responses of every pair, read once
        yield {
            "pairs": pairs,
            "features": width,
            "batch": batch,
            "scoring": scoring,
            "scoring + choosing": total,
            "bandwidth used by scoring": floor / scoring,
            "GFLOP/s of scoring": pairs * width * (width + 1) / scoring / 1e9,
            "sweeps": found.info["sweeps"],
            "survivors": found.info["survivors"],
        }


def memory_bandwidth() -> float:
    """Bytes a second of reading a large array, the best of five."""
    array = np.ones(2**26, dtype=np.float32)
    return float(array.nbytes / min(timed(np.dot, array, array)[0] for _ in range(5)))


def million() -> Iterator[dict[str, Any]]:
    """One million pairs of two million responses, half precision: time and peak memory."""
    for name in ("dopt", "balpm", "vopt", "epig", "bald", "delta_ucb"):
        ctx = multiprocessing.get_context("spawn")
        with ctx.Pool(1) as pool:
            yield pool.apply(_million, (name,))


def _million(name: str) -> dict[str, Any]:
    made = world(1_000_000, WIDTH, dtype=np.float16)
    if name != "balpm":
        made = replace(made, context=replace(made.context, prompts=None))
    fit, belief = timed(heads.get().fit, made.pool.features, made.answers)
    before = _peak()
    recipe, rng = Recipe.of(name), np.random.default_rng(0)
    first, _ = timed(recipe.select, made.pool, belief, made.context, BATCH, rng=rng)
    again, found = timed(recipe.select, made.pool, belief, made.context, BATCH, rng=rng)
    return {
        "function": name,
        "refit": fit,
        "select, first round": first,
        "select": again,
        "peak GB": _peak(),
        "GB before selecting": before,
        "picks": len(found),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


PARTS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "functions": functions,
    "greedy": greedy_against_peers,
    "prompts": prompts,
    "growth": growth,
    "million": million,
}


def show(value: Any) -> str:
    """A cell."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main(names: list[str]) -> int:
    """Run the parts named, or all."""
    RESULTS.mkdir(exist_ok=True)
    for name in names or list(PARTS):
        print(f"\n## {name}: {(PARTS[name].__doc__ or '').splitlines()[0]}\n", flush=True)
        rows: list[dict[str, Any]] = []
        for row in PARTS[name]():
            if not rows:
                print("| " + " | ".join(row) + " |\n|" + "---|" * len(row))
            rows.append(row)
            print("| " + " | ".join(show(value) for value in row.values()) + " |", flush=True)
        with (RESULTS / f"choosing-{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({key: show(value) for key, value in row.items()} for row in rows)
    return 0


if __name__ == "__main__":
    unknown = sorted(set(sys.argv[1:]) - set(PARTS))
    if unknown:
        sys.exit(f"unknown part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    sys.exit(main(sys.argv[1:]))
