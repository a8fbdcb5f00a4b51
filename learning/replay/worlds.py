"""Worlds: a file with its features, ready to be labelled over and over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from learning import surface
from learning.data import Comparisons
from learning.encoders import encoder_dim, encoder_key, load_encoder, pair_text
from learning.errors import NotEnoughData
from learning.features import FeatureStore, Standardizer, assemble, text_digest
from learning.heads import LinearBT
from learning.replay.corpus import Answers, Corpus
from learning.text import last_user_turn

Progress = Callable[[str], None]

_SHARD: Final = 512  # texts that an interrupted run may have to embed again


@dataclass(frozen=True, slots=True)
class Encoding:
    """How texts become features.

    Attributes:
        encoder: Name of the encoder.
        cache: Folder of a feature store that outlives the command; ``None`` keeps nothing.
        pca: Keep so many principal directions of the embedded differences; 0 keeps all.
    """

    encoder: str = "default"
    cache: Path | None = None
    pca: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Raw features of a corpus.

    Attributes:
        responses: Embeddings, shape ``(m, e)``.
        surface: Surface features, shape ``(m, s)``.
        prompts: Embeddings of what each prompt asks last, shape ``(P, e)``.
    """

    responses: NDArray[np.float32]
    surface: NDArray[np.float32]
    prompts: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A file as a campaign sees it, with the answers hidden behind each pair.

    Attributes:
        name: What results call it.
        features: What a head sees of each response, shape ``(m, d)``, float32.
        pairs: Candidate pairs, shape ``(N, 2)``.
        prompt: Prompt of each pair, shape ``(N,)``.
        group: What must not be torn apart, for each pair, shape ``(N,)``.
        answers: What people said about each pair.
        prompt_vectors: One embedding a prompt, shape ``(P, e)``.
        prompt_entropy: A language model's, a prompt, shape ``(P,)``, NaN where it is not known;
            ``None`` where none ran.
    """

    name: str
    features: NDArray[np.float32]
    pairs: NDArray[np.int64]
    prompt: NDArray[np.int64]
    group: NDArray[np.int64]
    answers: Answers
    prompt_vectors: NDArray[np.float32]
    prompt_entropy: NDArray[np.float64] | None = None

    @property
    def comparisons(self) -> Comparisons:
        """Every answer with its weight, in the order of ``answers``."""
        left, right = self.pairs[self.answers.pair].T
        return Comparisons.of(left, right, self.answers.outcome, weight=self.answers.weight)


def build(corpus: Corpus, embedded: Embedded, *, pca: int = 0) -> World:
    """Scale the features as a round does and put the world together."""
    vectors = embedded.responses
    if pca:
        vectors = principal(vectors, corpus.pairs, pca)
    scaling = Standardizer.fit(vectors, embedded.surface, corpus.pairs)
    return World(
        name=corpus.name,
        features=assemble(vectors, embedded.surface, scaling),
        pairs=corpus.pairs,
        prompt=corpus.owner[corpus.pairs[:, 0]],
        group=corpus.group,
        answers=corpus.answers,
        prompt_vectors=embedded.prompts,
        prompt_entropy=corpus.prompt_entropy,
    )


def answered(
    name: str,
    features: NDArray[np.floating[Any]],
    comparisons: Comparisons,
    *,
    prompt: NDArray[np.int64],
    group: NDArray[np.int64],
    prompt_vectors: NDArray[np.float32] | None = None,
    prompt_entropy: NDArray[np.float64] | None = None,
) -> World:
    """Put the world of some judgements together; responses that nobody judged are not in it.

    Args:
        name: What results call it.
        features: What a head sees of each response, shape ``(m, d)``.
        comparisons: Rows point into ``features``, shape ``(n,)``.
        prompt: Number of the prompt of each judgement, a row of ``prompt_vectors``, ``(n,)``.
        group: What must not be torn apart, for each judgement, shape ``(n,)``. Of a pair that
            is judged again the first judgement's prompt and group hold.
        prompt_vectors: Shape ``(P, e)``, for functions that look at prompts.
        prompt_entropy: Shape ``(P,)``, for functions that ask a language model about them.
    """
    rows, places = np.unique(comparisons.pairs, return_inverse=True)
    ends = places.reshape(-1, 2)
    turned = ends[:, 0] > ends[:, 1]
    pairs, first, pair = np.unique(
        np.sort(ends, axis=1), axis=0, return_index=True, return_inverse=True
    )
    pair = pair.reshape(-1)
    order = np.argsort(pair, kind="stable")
    outcome = np.where(turned, -comparisons.outcome, comparisons.outcome).astype(np.int8)
    none = np.zeros((int(prompt.max(initial=-1)) + 1, 0), np.float32)
    return World(
        name=name,
        features=np.asarray(features[rows], np.float32),
        pairs=pairs,
        prompt=prompt[first],
        group=group[first],
        answers=Answers(
            start=np.concatenate([[0], np.cumsum(np.bincount(pair, minlength=len(pairs)))]),
            outcome=outcome[order],
            weight=comparisons.weight[order],
        ),
        prompt_vectors=none if prompt_vectors is None else prompt_vectors,
        prompt_entropy=prompt_entropy,
    )


def embed(corpus: Corpus, encoding: Encoding, progress: Progress) -> Embedded:
    """Return raw features; a text that the cache holds is not embedded again.

    Raises:
        EncoderError: the encoder is unknown or not installed.
        StoreError: the cache is damaged.
    """
    asked = [corpus.prompts[prompt] for prompt in corpus.owner]
    responses = [pair_text(p, text) for p, text in zip(asked, corpus.texts, strict=True)]
    prompts = [last_user_turn(prompt) for prompt in corpus.prompts]
    vectors = _vectors([*responses, *prompts], encoding, f"{corpus.name}: embedded", progress)
    return Embedded(
        responses=vectors[: len(responses)],
        surface=surface.features(asked, corpus.texts),
        prompts=vectors[len(responses) :],
    )


def _vectors(
    texts: Sequence[str], encoding: Encoding, told: str, progress: Progress
) -> NDArray[np.float32]:
    if encoding.cache is None:
        with tempfile.TemporaryDirectory() as folder:
            return _vectors(texts, replace(encoding, cache=Path(folder)), told, progress)
    name = encoding.encoder
    store = FeatureStore(encoding.cache, encoder_key(name), encoder_dim(name))
    digests = [text_digest(text) for text in texts]
    missing = store.missing(digests)
    if len(missing):
        encoder = load_encoder(name)
        for start in range(0, len(missing), _SHARD):
            part = missing[start : start + _SHARD]
            vectors = encoder.encode([texts[row] for row in part])
            store.append([digests[row] for row in part], vectors)
            progress(f"{told} {start + len(part)} of {len(missing)} texts")
    return store.lookup(digests)


def principal(
    vectors: NDArray[np.floating[Any]], pairs: NDArray[np.int64], keep: int
) -> NDArray[np.float32]:
    """Project on the ``keep`` directions in which pairs differ most; shape ``(m, keep)``.

    Directions of *differences*, because only these reach a head; no label is looked at.
    """
    spread = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(pairs), _SHARD):
        left, right = pairs[start : start + _SHARD].T
        x = vectors[left].astype(np.float64) - vectors[right]
        spread += x.T @ x
    _, basis = np.linalg.eigh(spread)
    return np.asarray(vectors @ basis[:, ::-1][:, :keep], dtype=np.float32)


def planted(world: World, sd: float, rng: np.random.Generator) -> World:
    """Return the world with answers drawn from a known linear reward instead of people's.

    The weights are those of the default head fitted on all answers of the file, so that the
    reward lies where real preferences do; they are stretched until the margins of the candidate
    pairs have standard deviation ``sd``. Each answer is replaced by a Bradley-Terry draw: the
    model is right, nobody ties, and the noise is known.

    Raises:
        NotEnoughData: the fitted reward is the same for all responses.
    """
    theta = LinearBT().fit(world.features, world.comparisons).theta
    x = world.features[world.pairs[:, 0]] - world.features[world.pairs[:, 1]]
    margin = x @ theta
    size = float(np.sqrt(np.square(margin).mean()))
    if size < 1e-9:
        raise NotEnoughData(f"{world.name}: no linear reward to plant, all margins are 0")
    left_wins = rng.random(len(world.answers.outcome)) < expit(
        margin[world.answers.pair] * (sd / size)
    )
    outcome = np.where(left_wins, 1, -1).astype(np.int8)
    return replace(world, answers=replace(world.answers, outcome=outcome))
