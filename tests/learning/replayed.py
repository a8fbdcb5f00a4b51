"""Small annotated files with planted preferences, as text and as worlds."""

import json

import numpy as np

from learning.replay.corpus import collect
from learning.replay.files import Item
from learning.replay.worlds import Embedded, build


def line(key, answers, *, prompt=None, texts=("one", "two"), group="", **more):
    """One native row; answers are annotations or plain choices."""
    said = [a if isinstance(a, dict) else {"kind": "human", "choice": a} for a in answers]
    return {
        "id": key,
        "task": "pairwise",
        "group": group,
        "prompt": prompt or f"prompt {key}",
        "responses": [{"text": text} for text in texts],
        "annotations": said,
        **more,
    }


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def planted_corpus(*, prompts=40, responses=4, votes=2, seed=0, dim=6, scale=2.0):
    """Prompts with all pairs of their responses judged by a linear reward with noise."""
    rng = np.random.default_rng(seed)
    phi = rng.standard_normal((prompts * responses, dim)).astype(np.float32)
    reward = phi @ rng.standard_normal(dim) * scale / np.sqrt(2 * dim)
    items = []
    for prompt in range(prompts):
        rows = np.arange(prompt * responses, (prompt + 1) * responses)
        for a, b in [(a, b) for a in rows for b in rows if a < b]:
            wins = rng.random(votes) < 1 / (1 + np.exp(reward[b] - reward[a]))
            answers = tuple((0, 1, 1 if won else -1, 1.0) for won in wins)
            items.append(Item(f"p{prompt}", "", f"g{prompt}", (f"r{a}", f"r{b}"), answers))
    return collect(items, name="planted"), phi


def planted_world(**shape):
    """The same as a world; rows of features follow the corpus."""
    corpus, phi = planted_corpus(**shape)
    order = [int(text.removeprefix("r")) for text in corpus.texts]
    rng = np.random.default_rng(1)
    embedded = Embedded(
        responses=phi[order],
        surface=rng.standard_normal((len(order), 2)).astype(np.float32),
        prompts=rng.standard_normal((len(corpus.prompts), 3)).astype(np.float32),
    )
    return build(corpus, embedded)
