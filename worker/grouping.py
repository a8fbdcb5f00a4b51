"""What must not be torn apart between what is learnt from and what is tested on."""

from __future__ import annotations

import numpy as np

from annotator.models import Campaign, Item
from worker.store import Ints


def groups(campaign: Campaign, prompts: Ints) -> Ints:
    """What must not be torn apart: prompts, joined where an import put them into one group."""
    named = Item.objects.filter(campaign=campaign, prompt_id__in=np.unique(prompts).tolist())
    first: dict[str, int] = {}
    group: dict[int, int] = {}
    for prompt, name in named.exclude(group="").order_by("pk").values_list("prompt_id", "group"):
        group.setdefault(prompt, first.setdefault(name, prompt))
    return np.array([group.get(prompt, prompt) for prompt in prompts.tolist()], np.int64)
