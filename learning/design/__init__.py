"""Batches as designs: what their answers tell together decides, not each score alone."""

from learning.design._determinant import greedy, information
from learning.design._picks import Design, as_selection
from learning.design._variance import greedy_variance

__all__ = ["Design", "as_selection", "greedy", "greedy_variance", "information"]
