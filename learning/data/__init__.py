"""The arrays that travel between the parts of the library: frozen and validated once.

Rows of a *feature matrix* are responses. Everything else refers to responses by row, so a
pool with millions of candidate pairs costs two integers a pair.
"""

from learning.data._belief import (
    Belief,
    blocks,
    moderate,
    row_squares,
    rows_in_cache,
    working_dtype,
)
from learning.data._comparisons import LEFT, RIGHT, TIE, UNKNOWN_STRENGTH, Comparisons
from learning.data._ensemble import Ensemble, Networks
from learning.data._pool import Pool
from learning.data._posterior import Posterior
from learning.data._selection import Context, Prompts, Selection
from learning.data._stored import belief_from_arrays

__all__ = [
    "LEFT",
    "RIGHT",
    "TIE",
    "UNKNOWN_STRENGTH",
    "Belief",
    "Comparisons",
    "Context",
    "Ensemble",
    "Networks",
    "Pool",
    "Posterior",
    "Prompts",
    "Selection",
    "belief_from_arrays",
    "blocks",
    "moderate",
    "row_squares",
    "rows_in_cache",
    "working_dtype",
]
