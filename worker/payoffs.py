"""Whether choosing has paid on a campaign's own answers, by replay.

Only answers to questions that were drawn without looking at the model are replayed: among those
that the policy chose there would be nothing typical left to draw at random, or to test on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from annotator.models import Campaign
from learning.data import Comparisons
from learning.errors import NotEnoughData
from learning.replay.folds import Folds
from learning.replay.loop import Arm, Plan
from learning.replay.payoff import SEEDS, payoff
from learning.replay.worlds import World, answered
from learning.sets import BLIND
from worker import choosing
from worker.jobs import RunningJob
from worker.space import Space
from worker.store import Ints

FEWEST_GROUPS = 10  # with fewer, pairs are held out in place of groups
FEWER_SEEDS = {"ensemble": 8}  # a fit of which takes seconds


def seeds_for(head: str) -> int:
    """How many replays of each of the two."""
    return FEWER_SEEDS.get(head, SEEDS)


def measure(
    job: RunningJob,
    campaign: Campaign,
    space: Space,
    comparisons: Comparisons,
    *,
    prompt: Ints,
    group: Ints,
    head: str,
) -> dict[str, Any] | None:
    """Replay the function in force against drawing at random.

    Args:
        job: Is told how far it is.
        campaign: Names the function and its options.
        space: Features.
        comparisons: Of two responses, to questions that were drawn without looking at the model.
        prompt: Prompt id of each, shape ``(n,)``.
        group: What must not be torn apart, for each, shape ``(n,)``.
        head: Name of the head in force.

    Returns:
        The payoff as JSON, with the options that were in force; None for a function that draws
        at random itself.
    """
    if campaign.acquisition in BLIND:
        return None
    arm = Arm(campaign.acquisition, campaign.acquisition_config)
    world = _world(campaign, space, comparisons, prompt, group, job, arm)
    by_group = len(np.unique(group)) >= FEWEST_GROUPS
    folds: Folds = "group" if by_group else "items"
    try:
        with threadpool_limits(1):
            found = payoff(
                world,
                arm,
                plan=Plan(head=head, folds=folds),
                seeds=seeds_for(head),
                progress=lambda done, n: job.progress(done, n, f"replaying {done} of {n}"),
            ).to_json()
    except NotEnoughData as error:
        found = {"acquisition": arm.label, "pays": None, "sentence": f"{error}."}
    return {**found, "config": campaign.acquisition_config}


def _world(
    campaign: Campaign,
    space: Space,
    comparisons: Comparisons,
    prompt: Ints,
    group: Ints,
    job: RunningJob,
    arm: Arm,
) -> World:
    ids, number = np.unique(prompt, return_inverse=True)
    known = choosing.prompts(
        campaign,
        ids,
        arm.recipe.method,
        lambda done, n: job.progress(done, n, "embedding prompts"),
    )
    responses, width = len(space.index.ids), space.width
    return answered(
        campaign.slug,
        space.phi[:responses, :width],  # without the line of good enough
        comparisons,
        prompt=number,
        group=group,
        prompt_vectors=None if known is None else known.vectors,
        prompt_entropy=None if known is None else known.entropy,
    )
