"""Prompts that are nearly the same, and rows that say the same twice.

Where a prompt of the training side nearly repeats one of the test side, test figures are
flattered. Prompts are compared as sets of runs of three words; pairs worth looking at are found
by min-wise hashing in bands, and then decided by their overlap itself.

Source:
    Broder (1997), On the resemblance and containment of documents; Lee et al. (2022),
    arXiv:2107.06499, for why it matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from learning.curation._finding import MOST_EXAMPLES, Example, Finding, Ints, column, count
from learning.curation._words import Hashes, mixed, shingles, words
from learning.errors import ConfigError, ShapeError

SIMILAR: Final = 0.7  # Jaccard overlap from which two prompts are nearly the same
RUN: Final = 3  # words
SKETCH: Final = 256  # hashes kept of a text: all of one with up to 254 words
BANDS: Final = 25
ROWS: Final = 5  # in a band: at an overlap of 0.7 one of the bands agrees with 99 %
_ALL_PAIRS: Final = 40  # of a bucket up to this size; of larger ones only neighbours
_AT_A_TIME: Final = 1_000_000  # hashes
_SLACK: Final = 0.2  # of the estimate, nearly five standard errors


def near_duplicates(texts: Sequence[str], *, similar: float = SIMILAR) -> tuple[Ints, Any]:
    """Find texts whose runs of words overlap by at least ``similar``.

    Args:
        texts: ``n`` of them; case and punctuation do not count.
        similar: Least Jaccard overlap, in (0, 1].

    Returns:
        Pairs, the lower number first, ascending, shape ``(p, 2)``, and the overlap of each,
        shape ``(p,)``. A pair at 0.7 is missed once in a hundred times, above less. Of more than
        40 texts with a band in common only chains are looked at, which is enough to join them.
    """
    if not 0 < similar <= 1:
        raise ConfigError(f"similar must be in (0, 1], got {similar}")
    sketches = list(shingles(texts, RUN, SKETCH))
    signature = _signatures(sketches)
    pairs = _candidates(signature)
    estimate = _agreeing(signature, pairs)
    pairs = pairs[estimate >= similar - _SLACK]
    overlap = np.array([_overlap(sketches[a], sketches[b]) for a, b in pairs.tolist()])
    kept = overlap >= similar if len(pairs) else np.empty(0, bool)
    return pairs[kept], overlap[kept]


def _signatures(sketches: list[Hashes]) -> NDArray[np.uint32]:
    """The smallest hash of each text under each of ``BANDS * ROWS`` reorderings."""
    salts = mixed(np.arange(1, BANDS * ROWS + 1, dtype=np.uint64)) | np.uint64(1)
    found = np.empty((len(sketches), len(salts)), np.uint32)
    start = 0
    while start < len(sketches):
        stop, size = start, 0
        while stop < len(sketches) and (size == 0 or size < _AT_A_TIME):
            size += len(sketches[stop])
            stop += 1
        part = np.concatenate(sketches[start:stop])
        first = np.concatenate([[0], np.cumsum([len(s) for s in sketches[start:stop]])[:-1]])
        for number, salt in enumerate(salts):
            reordered = (part * salt) >> np.uint64(32)  # multiply-shift; they are mixed already
            found[start:stop, number] = np.minimum.reduceat(reordered, first)
        start = stop
    return found


def _candidates(signature: NDArray[np.uint32]) -> Ints:
    """Pairs that agree in a whole band."""
    n = len(signature)
    keys: list[Ints] = [np.empty(0, np.int64)]
    for band in range(BANDS):
        part = signature[:, band * ROWS : (band + 1) * ROWS].astype(np.uint64)
        key = np.zeros(n, np.uint64)
        for number in range(ROWS):
            key = mixed(key + part[:, number] + np.uint64(1))
        order = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[order])) + 1
        starts = np.concatenate([[0], edges])
        sizes = np.diff(np.concatenate([starts, [n]]))
        for at in np.flatnonzero(sizes > 1).tolist():
            bucket = np.sort(order[starts[at] : starts[at] + sizes[at]])
            a, b = _within(bucket)
            keys.append(a * n + b)
    both = np.unique(np.concatenate(keys))
    return np.stack([both // max(n, 1), both % max(n, 1)], axis=1)


def _within(bucket: Ints) -> tuple[Ints, Ints]:
    if len(bucket) <= _ALL_PAIRS:
        a, b = np.triu_indices(len(bucket), 1)
        return bucket[a], bucket[b]
    first = np.full(len(bucket) - 1, bucket[0])
    return np.concatenate([bucket[:-1], first]), np.concatenate([bucket[1:], bucket[1:]])


def _agreeing(signature: NDArray[np.uint32], pairs: Ints) -> NDArray[np.float64]:
    """The share of equal minima: an estimate of the overlap."""
    found = np.empty(len(pairs))
    step = 100_000
    for start in range(0, len(pairs), step):
        a, b = pairs[start : start + step].T
        found[start : start + step] = (signature[a] == signature[b]).mean(axis=1)
    return found


def _overlap(a: Hashes, b: Hashes) -> float:
    """Jaccard overlap; of sketches, among the smallest hashes of the union (Broder, sec. 3)."""
    union = np.union1d(a, b)
    if max(len(a), len(b)) == SKETCH:
        union = union[:SKETCH]
    common = np.isin(union, a, assume_unique=True) & np.isin(union, b, assume_unique=True)
    return float(common.mean())


# --- the check ------------------------------------------------------------------------------


def duplicates(
    prompts: Sequence[str],
    held_out: ArrayLike,
    groups: ArrayLike,
    rows: ArrayLike,
    texts: Sequence[tuple[str, ...]],
) -> Finding:
    """Find nearly equal prompts that a split may tear apart, and rows that repeat another.

    Prompts that an import put into one group stay together in every split: they are no danger.

    Args:
        prompts: All prompts, those of the test side included, ``P`` of them.
        held_out: Which are reserved for testing, shape ``(P,)``.
        groups: What a split keeps together, shape ``(P,)``.
        rows: The prompt of each row, shape ``(n,)``; rows are of the training side.
        texts: The responses of each row, in any order, or their digests, ``n`` of them.

    Returns:
        A row is concerned if its prompt nearly equals one of another group, or if it repeats an
        earlier row. Leaving out keeps the held-out prompts, of other sets of near duplicates
        the group with the most rows, and the first of equal rows. The score of an example is the
        overlap.
    """
    held = column(np.asarray(held_out), "held_out", len(prompts)).astype(bool)
    group = np.unique(column(np.asarray(groups), "groups", len(prompts)), return_inverse=True)[1]
    owner = np.asarray(rows, np.int64)
    if len(owner) != len(texts):
        raise ShapeError(f"{len(owner)} rows with the texts of {len(texts)}")
    pairs, overlap = near_duplicates(prompts)
    apart = (group[pairs[:, 0]] != group[pairs[:, 1]]) | (held[pairs[:, 0]] != held[pairs[:, 1]])
    pairs, overlap = pairs[apart], overlap[apart]
    leaking, torn, dropped = _sides(len(prompts), pairs, held, group, owner)
    repeated = _repeated(prompts, owner, texts)
    concerned = leaking[owner] | torn[owner]
    concerned[list(repeated)] = True
    drop = dropped[owner]
    drop[list(repeated)] = True
    leaks, tears = int(leaking[owner].sum()), int((torn & ~leaking)[owner].sum())
    return Finding(
        name="duplicates",
        rows=int(concerned.sum()),
        of=len(owner),
        sentence=_sentence(leaks, tears, len(repeated), bool(held.any())),
        examples=_examples(pairs, overlap, owner, repeated, held),
        drop=np.flatnonzero(drop),
        figures={
            "near_held_out": leaks,
            "near_others": tears,
            "repeated": len(repeated),
            "prompt_pairs": len(pairs),
            "prompts": len(prompts),
            "similar": SIMILAR,
        },
    )


def _sides(
    n: int, pairs: Ints, held: NDArray[np.bool_], group: Ints, owner: Ints
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Prompts that nearly equal a held-out one, that nearly equal any other, and that go."""
    near_held = np.zeros(n, bool)
    for a, b in ((0, 1), (1, 0)):
        near_held[pairs[held[pairs[:, b]], a]] = True
    touched = np.zeros(n, bool)
    touched[pairs.ravel()] = True
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, cluster = connected_components(links, directed=False)
    weight = np.bincount(owner, minlength=n)
    dropped = np.zeros(n, bool)
    order = np.flatnonzero(touched)
    order = order[np.argsort(cluster[order], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1):
        if not len(members):
            continue
        if held[members].any():
            dropped[members[~held[members]]] = True
            continue
        names = group[members]
        size = np.bincount(names, weights=weight[members] + 1e-6)
        dropped[members[names != size.argmax()]] = True
    return near_held & ~held, touched & ~held, dropped


def _repeated(
    prompts: Sequence[str], owner: Ints, texts: Sequence[tuple[str, ...]]
) -> dict[int, int]:
    """Rows with the same words as an earlier row, and which one."""
    shapes: dict[int, str] = {}
    first: dict[int, int] = {}
    found = {}
    for row, (prompt, pair) in enumerate(zip(owner.tolist(), texts, strict=True)):
        if prompt not in shapes:
            shapes[prompt] = " ".join(words(prompts[prompt]))
        key = hash((shapes[prompt], frozenset(" ".join(text.split()) for text in pair)))
        if key in first:
            found[row] = first[key]
        else:
            first[key] = row
    return found


def _examples(
    pairs: Ints,
    overlap: NDArray[np.float64],
    owner: Ints,
    repeated: dict[int, int],
    held: NDArray[np.bool_],
) -> tuple[Example, ...]:
    row_of = np.full(int(max(owner.max(initial=-1), pairs.max(initial=-1))) + 1, -1, np.int64)
    row_of[owner[::-1]] = np.arange(len(owner))[::-1]  # the first row of each prompt
    made: list[Example] = []
    worst = np.lexsort((pairs[:, 0], -overlap, ~held[pairs].any(axis=1)))
    for at in worst.tolist():
        a, b = pairs[at].tolist()
        if held[a] or row_of[a] < 0:
            a, b = b, a
        if held[a] or row_of[a] < 0 or len(made) >= MOST_EXAMPLES - 10:
            continue
        what = "a held-out prompt" if held[b] else "a prompt of another group"
        made.append(Example(int(row_of[a]), round(float(overlap[at]), 4), f"nearly {what}", b))
    for row, other in list(repeated.items())[: MOST_EXAMPLES - len(made)]:
        made.append(Example(row, 1.0, "says the same as another row", int(owner[other])))
    return tuple(made)


def _sentence(leaks: int, tears: int, repeated: int, any_held: bool) -> str:
    said = []
    if leaks:
        said.append(
            f"{count(leaks, 'row')} nearly {'repeats' if leaks == 1 else 'repeat'} a held-out "
            f"prompt: figures on the holdout are flattered."
        )
    if tears:
        said.append(
            f"{count(tears, 'row')} {'has' if tears == 1 else 'have'} a prompt that nearly equals "
            f"one of another group: a split may put one into training and the other into the test."
        )
    if repeated:
        said.append(
            f"{count(repeated, 'row')} {'says' if repeated == 1 else 'say'} what another "
            f"row says already."
        )
    if not said:
        where = " or a held-out one" if any_held else ""
        return f"No prompt nearly repeats one of another group{where}; no row is there twice."
    return " ".join(said)
