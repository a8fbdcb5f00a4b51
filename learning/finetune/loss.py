"""What training minimises: the heads' likelihood of weak orders, in torch.

Outcome after Davidson (1970), strength as a cumulative logit: the formulas are those of
`learning.heads._likelihood`, with which the tests compare values and gradients. A label that is
wrong with probability ``eps`` has the bounded loss ``-log((1 - eps) p(label) + eps p(opposite))``
(backward of a symmetric noise channel: Natarajan et al. 2013; for reward models: Chowdhury et al.
2024, arXiv:2403.00409, eq. 4 takes logs first, which is unbounded).
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from learning.heads._likelihood import AnswerModel

ASPECT_SHARE: Final = 0.25  # of the squared error of standardised ratings, beside the preference
_LOG_TIE: Final = (-12.0, 6.0)
_LOG_GAP: Final = (-5.0, 4.0)


class Answers(nn.Module):
    """Davidson's ``nu`` and the strength scale ``a, b_2 < b_3``, all learnt with the weights.

    Args:
        start: Where they begin.
        fixed_tie: Keep ``nu`` at this value.
    """

    def __init__(self, start: AnswerModel, *, fixed_tie: float | None = None) -> None:
        super().__init__()
        low, high = start.cuts
        tie = start.tie if fixed_tie is None else fixed_tie
        self.fixed = fixed_tie
        learnt = math.log(max(tie, 1e-6))
        scale = [learnt, math.log(start.slope), low, math.log(high - low)]
        self.scale = nn.Parameter(torch.tensor(scale))

    @property
    def tie(self) -> Tensor | float:
        """``nu``, at least 0."""
        return self.scale[0].clamp(*_LOG_TIE).exp() if self.fixed is None else self.fixed

    @property
    def slope(self) -> Tensor:
        """``a``, positive."""
        return self.scale[1].exp()

    @property
    def cuts(self) -> tuple[Tensor, Tensor]:
        """``b_2 < b_3``."""
        return self.scale[2], self.scale[2] + self.gap

    @property
    def gap(self) -> Tensor:
        """``b_3 - b_2``, positive."""
        return self.scale[3].clamp(*_LOG_GAP).exp()

    def model(self) -> AnswerModel:
        """Return the values as they are now."""
        tie = self.tie if isinstance(self.tie, float) else float(self.tie.detach())
        low, high = (float(cut.detach()) for cut in self.cuts)
        return AnswerModel(tie, float(self.slope.detach()), (low, high))


def log_likelihood(margin: Tensor, outcome: Tensor, strength: Tensor, answers: Answers) -> Tensor:
    """Return the log probability of each judgement, in nats, shape ``(n,)``.

    Args:
        margin: Reward left minus reward right, in logits, shape ``(n,)``.
        outcome: 1, 0 or -1, shape ``(n,)``, of the margin's dtype.
        strength: 1 to 3, or 0 where unknown, shape ``(n,)``.
        answers: How margins become answers. Ties need a positive ``nu``.
    """
    tie, size = answers.tie, margin.abs()
    small = torch.exp(-size / 2)  # scaled: margins of hundreds neither overflow nor lose it
    value = outcome * margin / 2 - size / 2 - torch.log1p(small * (small + 2 * tie))
    if isinstance(tie, Tensor) or tie > 0:
        log_tie = torch.log(2 * torch.as_tensor(tie, dtype=margin.dtype, device=margin.device))
        value = value + torch.where(outcome == 0, log_tie, torch.zeros_like(margin))
    if not bool((strength > 0).any()):
        return value
    return value + _strength(outcome * margin, strength, answers)


def _strength(towards: Tensor, strength: Tensor, answers: Answers) -> Tensor:
    """Log probability of the strength at margins towards the winner; 0 where unknown."""
    low, high = answers.cuts
    zero = torch.zeros_like(towards)
    reach2, reach3 = answers.slope * towards - low, answers.slope * towards - high
    # Strength 1 says "2 was not reached", 3 says "3 was", 2 says one of each.
    below2, above2 = logsigmoid(-reach2), logsigmoid(reach2)
    below3, above3 = logsigmoid(-reach3), logsigmoid(reach3)
    between = torch.log(-torch.expm1(-answers.gap))
    second = above2 + below3 + between  # sigmoid(u) - sigmoid(v), without cancelling
    found = torch.where(strength == 1, below2, zero)
    found = torch.where(strength == 2, second, found)
    return torch.where(strength == 3, above3, found)


def losses(
    margin: Tensor, outcome: Tensor, strength: Tensor, answers: Answers, noise: Tensor | None = None
) -> Tensor:
    """Return the loss of each judgement, in nats, without weights, shape ``(n,)``.

    Args:
        margin, outcome, strength, answers: As in :func:`log_likelihood`.
        noise: Probability that the label is wrong, in [0, 0.5), shape ``(n,)``. A tie's opposite
            is the tie.
    """
    right = log_likelihood(margin, outcome, strength, answers)
    if noise is None or not bool((noise > 0).any()):
        return -right
    wrong = log_likelihood(-margin, outcome, strength, answers)
    # Where the noise is 0, log 0 would give NaN gradients: a tiny one changes no digit.
    tiny = torch.finfo(margin.dtype).tiny
    mixed = torch.logaddexp(torch.log1p(-noise) + right, noise.clamp(min=tiny).log() + wrong)
    return -torch.where(noise > 0, mixed, right)


def aspect_loss(predicted: Tensor, rated: Tensor) -> Tensor:
    """Return the summed squared error of ratings that are there, divided by the aspects.

    Args:
        predicted: Shape ``(r, k)``.
        rated: Standardised ratings, NaN where unrated, shape ``(r, k)``.
    """
    there = ~torch.isnan(rated)
    error = torch.where(there, predicted - torch.nan_to_num(rated), 0.0)
    return error.square().sum() / rated.shape[1]


def standardised(ratings: Any) -> Any:
    """Return ratings ``(m, k)`` with mean 0 and variance 1 in each aspect; NaN stays.

    An aspect that nobody rated, or all alike, becomes 0 where it was rated.
    """
    import numpy as np

    there = ~np.isnan(ratings)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, ratings, 0.0).sum(axis=0) / count
    error = np.where(there, ratings - mean, 0.0)
    spread = np.sqrt(np.square(error).sum(axis=0) / count)
    return ((ratings - mean) / np.where(spread > 1e-6, spread, np.inf)).astype(np.float32)
