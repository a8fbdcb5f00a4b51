"""Fitted heads in files and back, whatever responses have come in between.

A head with item effects names responses by row, and rows move: a later index has more of them, an
exam has only a few. So a file names them by id, and reading one puts them at the rows of whoever
reads; effects of responses that have no row there drop out.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from annotator.models import ModelVersion
from learning.data import Belief, Posterior, belief_from_arrays
from learning.errors import LearningError
from learning.features import Standardizer
from worker import artifacts
from worker.textindex import find

logger = logging.getLogger(__name__)
SCALING = "standardizer."  # prefix of the scaling's arrays in a stored model
Ints = NDArray[np.int64]


def stored_arrays(belief: Belief, standardizer: Standardizer, ids: Ints) -> artifacts.Arrays:
    """What `load` reads back; `ids` has the response id of every row of the belief."""
    scaling = {f"{SCALING}{key}": value for key, value in standardizer.to_arrays().items()}
    return {**named(belief, ids).to_arrays(), **scaling}


def load(version: ModelVersion, *, ids: Ints) -> tuple[Belief, Standardizer] | None:
    """A stored model with its scaling; None, with a warning, when it cannot be read.

    Args:
        version: Which.
        ids: The response id of every row of the features that it is to be used with.
    """
    try:
        arrays = artifacts.read(version)
        scaling = {k.removeprefix(SCALING): v for k, v in arrays.items() if k.startswith(SCALING)}
        rest = {k: v for k, v in arrays.items() if not k.startswith(SCALING)}
        return placed(belief_from_arrays(rest), ids), Standardizer.from_arrays(scaling)
    except LearningError as error:  # gone, damaged, or of an older release
        logger.warning("%s is left out: %s", version, error)
        return None


def named(belief: Belief, ids: Ints) -> Belief:
    """The same belief with the ids of responses in place of their rows."""
    return replace(belief, items=ids[belief.items]) if isinstance(belief, Posterior) else belief


def placed(belief: Belief, ids: Ints) -> Belief:
    """A belief that names responses by id about the rows that have these ids, ascending.

    Leaving out an effect leaves out its row of the factor: the marginal of a Gaussian.
    """
    if not isinstance(belief, Posterior):
        return belief
    at = find(ids, belief.items)
    kept = np.flatnonzero(at >= 0)
    weights = np.concatenate([np.arange(belief.width), belief.width + kept])
    return replace(
        belief, theta=belief.theta[weights], factor=belief.factor[weights], items=at[kept]
    )
