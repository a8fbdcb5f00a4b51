"""Checks of a preference data set before it is used: one module each, arrays in, a Finding out.

A row is one decided pair: a chosen and a rejected response to one prompt. Every check says how
many rows it is about, in a sentence that is decided by an interval where there is one, and which
rows leaving out would take.
"""

from learning.curation._finding import MOST_EXAMPLES, Example, Finding
from learning.curation.contamination import contamination, read_documents
from learning.curation.contradictions import contradictions
from learning.curation.duplicates import duplicates, near_duplicates
from learning.curation.label_errors import label_errors, winner_probabilities
from learning.curation.length import length
from learning.curation.margin import margin
from learning.curation.source import source

NAMES = (
    "duplicates",
    "source",
    "length",
    "margin",
    "contradictions",
    "label_errors",
    "contamination",
)

__all__ = [
    "MOST_EXAMPLES",
    "NAMES",
    "Example",
    "Finding",
    "contamination",
    "contradictions",
    "duplicates",
    "label_errors",
    "length",
    "margin",
    "near_duplicates",
    "read_documents",
    "source",
    "winner_probabilities",
]
