"""The line of "good enough" as one more response, so that any head can learn it.

Whoever says that a response is good enough compares it with something: with a response that
would just do. That response has no text. It gets a row of zeros (the average response, features
being centred) and a column of its own in which only it is not zero; the weight of that column is
where the line lies. A reward less the line's is then the log odds of being good enough.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MARK: Final = 2.0  # the line's entry: a prior four times as wide as that of a feature of size 1


def with_line(features: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return features ``(m, d)`` with a last column and a last row, the line's: ``(m + 1, d + 1)``.

    Differences between responses are what they were: 0 in the new column. The line's entry is
    larger than a feature, because nothing is known of it beforehand, and what the evidence finds
    out about the weights of features must not hold it near the average.
    """
    rows, columns = features.shape
    wide = np.zeros((rows + 1, columns + 1), features.dtype)
    wide[:rows, :columns] = features
    wide[rows, columns] = MARK
    return wide
