"""BAL-PM: information in the answer plus novelty of the prompt, Melo et al. (2024)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from learning import information
from learning.acquisition.base import Method, first_of_each, margins
from learning.data import Belief, Context, Pool, Selection, blocks
from learning.neighbours import Neighbours, neighbours
from learning.options import option

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

_FLOOR: Final = 1e-4  # keeps the logarithm of a distance finite
_MEMORY: Final = "balpm.graph"
_BLOCK: Final = 1_024  # prompts at a time when responses are averaged


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``balpm``."""

    k: int = option(
        13, "Neighbours of a prompt that say how crowded its surroundings are.", low=1, high=200
    )
    beta: float = option(
        1e-2,
        "Weight of the prompt's novelty against the information in the answer. The authors "
        "found it tolerant to a factor of ten.",
        low=0.0,
        high=100.0,
    )
    d_x: float = option(
        1.0,
        "Divides what asked neighbours take off a prompt's novelty. A tuning constant, not the "
        "width of the vectors.",
        low=0.01,
        high=10_000.0,
    )


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick greedily the largest ``U + beta (log(2 radius + 1e-4) - psi(n + 1) / d_x)``, in nats.

    ``U`` is BALD and stays as it is within a batch. ``radius`` is the distance from the prompt
    to its ``k``-th neighbour among all prompts, ``n`` how many of the answered and picked
    questions lie within it. A pick raises ``n`` of the prompts that have its prompt as a
    neighbour, and its own. Source: arXiv:2406.10023; unlike its code, neighbours are sought
    among answered prompts too, and a prompt is not its own.

    Prompts with equal vectors count as one prompt. Where ``context.prompts`` is missing, or
    lacks a prompt of the pool, the mean of a prompt's response features stands for its vector,
    and ``info["prompts"]`` says so. A pair's rate multiplies ``U`` only: novelty has no zero.
    """
    candidates = pool.candidates
    if batch <= 0 or not len(candidates):
        return Selection.empty()
    ids, vectors, source = prompt_vectors(pool, context)
    graph = _remembered(context, ids, vectors, config.k)
    labelled = context.labelled_prompts[np.isin(context.labelled_prompts, ids)]
    crowd = _Crowd.of(graph, np.searchsorted(ids, labelled), batch, config)
    node = graph.node[np.searchsorted(ids, pool.prompt[candidates])]

    worth = (information.bald(*margins(pool, belief)) * pool.rates)[candidates]
    score = np.full(len(pool), -np.inf)
    score[candidates] = worth + crowd.novelty(node)
    tie = rng.random(len(worth))
    order = np.lexsort((tie, -worth))
    # Within a prompt the order never changes: what is beyond the limit now stays so.
    order = first_of_each(order, pool.prompt[candidates], len(order), limit=context.per_prompt)
    picked, gain = _Queues(_grouped(order, node), worth, tie, node, crowd).take(batch)
    info = {"unit": "nats", "prompts": source, "graph": "exact" if graph.exact else "cells"}
    return Selection(indices=candidates[picked], gain=gain, score=score, info=info)


@dataclass(frozen=True, slots=True, eq=False)
class _Crowd:
    """How many answered or picked questions each node has around it, and its novelty."""

    graph: Neighbours
    count: Ints
    room: Doubles  # log(2 radius + floor), shape (nodes,)
    taken: Doubles  # psi(n + 1) / d_x for n = 0, 1, ...
    beta: float

    @classmethod
    def of(cls, graph: Neighbours, labelled: Ints, batch: int, config: Config) -> _Crowd:
        """Count ``labelled`` prompts (positions), with a table long enough for a batch more."""
        count = graph.count(labelled)
        n = np.arange(int(count.max(initial=0)) + batch + 1)
        room = np.log(2.0 * graph.radius + _FLOOR)
        return cls(graph, count, room, digamma(n + 1.0) / config.d_x, config.beta)

    def novelty(self, node: Any) -> Any:
        """Return ``beta`` times the entropy gain of a node or of an array of nodes."""
        return self.beta * (self.room[node] - self.taken[self.count[node]])

    def add(self, node: int) -> None:
        """Count one more question at a node."""
        self.count[self.graph.near(node)] += 1
        self.count[node] += 1


@dataclass(frozen=True, slots=True, eq=False)
class _Queues:
    """The pairs of each node, best first, and an exact greedy over them.

    Attributes:
        listed: Positions of pairs, grouped by node, best of a node first, shape ``(n,)``.
        worth: What does not change, shape ``(candidates,)``.
        tie: Random numbers that decide between equal values, same shape.
        node: Node of each pair, same shape.
        crowd: What changes; it only ever takes value away.
    """

    listed: Ints
    worth: Doubles
    tie: Doubles
    node: Ints
    crowd: _Crowd

    def take(self, batch: int) -> tuple[Ints, Doubles]:
        """Return up to ``batch`` positions and their values when picked.

        A value computed earlier is an upper bound today. Nodes enter the heap in the order of
        their first values, once one of them might win; what comes out of the heap with less
        value than it went in with goes back.
        """
        nodes, start = np.unique(self.node[self.listed], return_index=True)
        first = self.worth[self.listed[start]] + self.crowd.novelty(nodes)
        waiting = np.argsort(-first, kind="stable")
        next_in, stop = start.copy(), np.append(start[1:], len(self.listed))
        heap: list[tuple[float, float, int]] = []
        entered = 0
        picked: list[int] = []
        gain: list[float] = []
        while len(picked) < batch:
            while entered < len(waiting) and not (heap and -heap[0][0] > first[waiting[entered]]):
                heappush(heap, self._entry(next_in, int(waiting[entered])))
                entered += 1
            if not heap:
                break
            value, _, queue = heappop(heap)
            now = self._entry(next_in, queue)
            if now[0] == value:
                picked.append(int(self.listed[next_in[queue]]))
                gain.append(-value)
                self.crowd.add(int(nodes[queue]))
                next_in[queue] += 1
                if next_in[queue] == stop[queue]:
                    continue
                now = self._entry(next_in, queue)
            heappush(heap, now)
        return np.array(picked, dtype=np.int64), np.array(gain, dtype=np.float64)

    def _entry(self, next_in: Ints, queue: int) -> tuple[float, float, int]:
        """Return what a queue's next pair is worth now, as the heap orders it."""
        pair = self.listed[next_in[queue]]
        value = self.worth[pair] + self.crowd.novelty(self.node[pair])
        return -float(value), float(self.tie[pair]), queue


def _grouped(order: Ints, node: Ints) -> Ints:
    """Return ``order`` with the pairs of one node together."""
    return order[np.argsort(node[order], kind="stable")]


def prompt_vectors(pool: Pool, context: Context) -> tuple[Ints, NDArray[np.floating[Any]], str]:
    """Return ids of prompts in ascending order, one vector each, and what the vectors are."""
    known = context.prompts
    if known is not None and np.isin(pool.prompt[pool.eligible], known.ids).all():
        order = np.argsort(known.ids)
        return known.ids[order], known.vectors[order], "prompt vectors"
    return *_means(pool), "means of responses"


def _means(pool: Pool) -> tuple[Ints, NDArray[np.float32]]:
    """Return the pool's prompts and the mean features of their distinct responses."""
    ids, place = np.unique(pool.prompt, return_inverse=True)
    responses = max(len(pool.features), 1)
    prompt, row = np.divmod(np.unique(place[:, None] * responses + pool.pairs), responses)
    start = np.searchsorted(prompt, np.arange(len(ids) + 1))
    found = np.empty((len(ids), pool.dim), dtype=np.float32)
    for part in blocks(len(ids), _BLOCK):
        low, high = start[part.start], start[part.stop]
        phi = pool.features[row[low:high]].astype(np.float32)
        found[part] = np.add.reduceat(phi, start[part] - low)
    found /= np.diff(start)[:, None]
    return ids, found


def _remembered(
    context: Context, ids: Ints, vectors: NDArray[np.floating[Any]], k: int
) -> Neighbours:
    """Return the graph, from the campaign's memory if prompts and vectors are the same."""
    digest = hashlib.blake2b(f"{k} {vectors.dtype} {vectors.shape}".encode())
    digest.update(np.ascontiguousarray(ids).data)
    digest.update(np.ascontiguousarray(vectors).data)
    name = digest.hexdigest()
    if (kept := context.memory.get(_MEMORY)) is None or kept[0] != name:
        kept = (name, neighbours(vectors, k))
        context.memory[_MEMORY] = kept
    graph: Neighbours = kept[1]
    return graph


METHOD: Final = Method(
    name="balpm",
    summary=(
        "Asks about pairs whose answer says much about the reward (bald) on prompts unlike those "
        "asked before: each prompt counts as crowded by the questions asked among its nearest "
        "neighbours. On TL;DR summaries its authors needed a third fewer labels than random, on "
        "news articles two thirds fewer, without counting the labels of their validation set. It "
        "helps most where many prompts are alike. Replayed on real files it did as well as dopt "
        "where there were many answers, and worse than random where there were few. Broken "
        "prompts look novel to it: screen them."
    ),
    config_type=Config,
    select=select,
    needs_prompts=True,
)
