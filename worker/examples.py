"""What an encoder is trained on: the training answers of a campaign with their texts and ratings.

They are read once and kept beside the checkpoints, so that another attempt trains on the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign, EncoderVersion, ModelVersion, Query
from annotator.services import finetuning as services
from learning.data import Comparisons
from learning.finetune.data import Examples
from worker import arrays, encoderfiles, fitting, space, store, textindex
from worker.embedding import Progress, Source
from worker.grouping import groups
from worker.heard import Heard, heard
from worker.ratings import ratings
from worker.store import Ints, Labels
from worker.textindex import TextIndex

Doubles = NDArray[np.float64]
COLUMNS = (
    *("left", "right", "outcome", "strength", "weight", "group", "noise"),
    *("aspects", "rated", "marks"),
)
MOST_NOISE = 0.5  # a label that is as likely wrong as right says nothing


def gather(version: EncoderVersion, *, progress: Progress) -> Examples:
    """Read the answers as a round does, and keep them for later attempts.

    Never those of held-out prompts; without those about the line of good enough. What judges said
    is in where rounds learn from it, with its chance of being wrong as noise.
    """
    seen = store.count_annotations(version.campaign)  # before it is read, as in a round
    table = _read(version.campaign, progress)
    arrays.save(encoderfiles.work(version) / "labels.npz", table)
    services.keep(version=version, annotations_seen=seen, comparisons=len(table["left"]))
    return _examples(table)


@dataclass(frozen=True)
class Preview:
    """What a training would read now.

    Attributes:
        examples: The labels. Where features are missing, those of people alone: which answers of
            judges count is known only with the features.
        whole: Whether that is all.
        held: Held-out prompts with a clear answer, which decide about what comes of it.
        index: All responses.
    """

    examples: Examples
    whole: bool
    held: int
    index: TextIndex


def preview(campaign: Campaign, *, progress: Progress) -> Preview:
    """Read as `gather` would, without computing features or keeping anything."""
    source = Source.of(campaign)
    index = textindex.refresh(campaign.pk, recipe=source.recipe)
    labels = store.labels(campaign, index)
    whole = not len(source.store().missing(index.keys()))
    if whole and len(labels.comparisons):
        table = _read(campaign, progress)
    else:
        usable = ~labels.holdout & ~labels.line
        people, prompt = labels.comparisons.subset(usable), labels.prompt[usable]
        table = _table(campaign, index, people, prompt, np.zeros(len(people)))
    clear = labels.holdout & ~labels.line & labels.comparisons.decisive
    return Preview(_examples(table), whole, len(np.unique(labels.prompt[clear])), index)


def _read(campaign: Campaign, progress: Progress) -> arrays.Arrays:
    """All training answers, with ids of responses."""
    found = space.load(campaign, progress=progress)
    labels = store.labels(campaign, found.index)
    said = heard(campaign, found)
    learnt = fitting.fit(campaign, found, labels, ModelVersion.Kind.ALL, said).judges
    joined = _joined(labels, said, str(learnt.get("learnt_from", "both")))
    return _table(campaign, found.index, *joined)


def _table(
    campaign: Campaign, index: TextIndex, data: Comparisons, prompt: Ints, noise: Doubles
) -> arrays.Arrays:
    table: arrays.Arrays = {
        "left": index.ids[data.left],
        "right": index.ids[data.right],
        "outcome": data.outcome,
        "strength": data.strength,
        "weight": data.weight,
        "group": groups(campaign, prompt),
        "noise": noise,
    }
    told = ratings(campaign, np.unique([table["left"], table["right"]]))
    return table | {"aspects": np.array(told.aspects, str), "rated": told.ids, "marks": told.marks}


def kept(version: EncoderVersion) -> Examples | None:
    """What an earlier attempt read, if there was one."""
    table = arrays.read(encoderfiles.work(version) / "labels.npz")
    return _examples(table) if set(COLUMNS) <= table.keys() else None


def aspects(version: EncoderVersion) -> list[str]:
    """What the responses that were read had been rated on."""
    table = arrays.read(encoderfiles.work(version) / "labels.npz")
    return [str(name) for name in table.get("aspects", ())]


def _joined(labels: Labels, said: Heard, source: str) -> tuple[Comparisons, Ints, Doubles]:
    """People's and judges' comparisons, their prompts, and how likely each is wrong."""
    usable = ~labels.holdout & ~labels.line
    people, prompt = labels.comparisons.subset(usable), labels.prompt[usable]
    if not len(said) or source == "people":
        return people, prompt, np.zeros(len(people))
    sure = said.rate < MOST_NOISE
    judges = said.comparisons.subset(sure)
    of = dict(Query.objects.filter(pk__in=said.query.tolist()).values_list("pk", "prompt_id"))
    theirs = np.array([of[query] for query in said.query[sure].tolist()], np.int64)
    if source == "judge":
        return judges, theirs, said.rate[sure]
    noise = np.concatenate([np.full(len(people), said.human), said.rate[sure]])
    return people.joined(judges), np.concatenate([prompt, theirs]), noise


def _examples(table: arrays.Arrays) -> Examples:
    """With the texts, read by id: those never change. What was deleted meanwhile drops out."""
    ends = np.stack([table["left"], table["right"]], axis=1)  # (n, 2) response ids
    texts = list(textindex.read_texts(np.unique(ends)))
    there = np.array([pk for pk, _, _ in texts], np.int64)
    rows = textindex.find(there, ends.ravel()).reshape(-1, 2)
    good = (rows >= 0).all(axis=1)
    left, right = rows[good].T
    noise = table["noise"][good]
    return Examples(
        prompts=tuple(prompt for _, prompt, _ in texts),
        responses=tuple(text for _, _, text in texts),
        comparisons=Comparisons.of(
            left,
            right,
            table["outcome"][good],
            strength=table["strength"][good],
            weight=table["weight"][good],
        ),
        group=table["group"][good],
        noise=noise if noise.any() else None,
        aspects=_aspects(table, there),
    )


def _aspects(table: arrays.Arrays, there: Ints) -> NDArray[np.float32] | None:
    """Marks of the responses whose ids these are, NaN where nobody rated; None without any."""
    if not len(table["rated"]):
        return None
    found = np.full((len(there), len(table["aspects"])), np.nan, np.float32)
    rows = textindex.find(there, table["rated"])
    found[rows[rows >= 0]] = table["marks"][rows >= 0]
    return found
