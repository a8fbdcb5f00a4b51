"""The loop on real annotations, form by form: sent as people send them, learnt as they meant."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, ModelVersion, Query, Response
from annotator.services import rounds
from tests.worker import recorded
from tests.worker.loops import work
from tests.worker.recorded import LINE, REPLAYS, Counted
from worker import fitting, space, store

pytestmark = pytest.mark.django_db


def told(campaign: Campaign) -> tuple[Counted, store.Labels, space.Space]:
    """What the derived comparisons say, by text."""
    found = space.load(campaign, progress=lambda done, total: None)
    labels = store.labels(campaign, found.index)
    texts = dict(Response.objects.values_list("pk", "text"))
    names = [texts[pk] for pk in found.index.ids.tolist()] + [LINE]
    counted: Counted = Counter()
    data = labels.comparisons
    for left, right, outcome in zip(data.left, data.right, data.outcome, strict=True):
        one, other = names[left], names[right]
        if outcome == 0:
            counted[(*sorted([one, other]), "tie")] += 1  # type: ignore[index]
        else:
            counted[(one, other, "better") if outcome > 0 else (other, one, "better")] += 1
    return counted, labels, found


@pytest.mark.parametrize("name", REPLAYS)
def test_what_people_did_is_learnt(name: str, ada: User, ben: User) -> None:
    replay = REPLAYS[name]
    items, people = recorded.rows(replay.file), [ada, ben][: replay.people]
    items = recorded.askable(replay, items)
    campaign = recorded.run(replay, people, items)
    work()
    assert Query.objects.count() == len(items)
    said = recorded.answer(replay, campaign, people, items)
    derived, labels, found = told(campaign)
    assert derived == said
    assert sum(said.values()) >= len(items)

    rounds.request_round_if_due(campaign=campaign)
    work()
    version = ModelVersion.objects.get(kind="all", round__number=2)
    training = ~labels.holdout
    assert version.comparisons == training.sum() > 0
    assert version.metrics["n"] == (labels.holdout & ~labels.line).sum()
    # What the model takes from these answers agrees with them.
    belief = fitting.fit(campaign, found, labels, "all").belief
    seen = labels.comparisons.subset(training & labels.comparisons.decisive)
    mu, s2 = belief.margin(found.phi, seen.pairs)
    loss = -np.log(belief.preference(mu * seen.outcome, s2)).mean()
    assert loss < np.log(2)
    assert (np.sign(mu) == seen.outcome).mean() > 0.5
