"""Routing: who answers a question, a person or a judge, and how to learn from both.

The audit, a random sample of questions that people answer whatever is known about them, tells
how often people slip and where the judge is wrong (``error``). That decides what a person's
answer is worth (``value``), who answers (``policies``), and how every label is learnt from
(``fusion``, ``source``). ``guarantee`` says what may be promised.
"""

from learning.routing.data import (
    HUMAN,
    JUDGE,
    REASONS,
    WAIT,
    Budget,
    Decisions,
    Questions,
    Signs,
)
from learning.routing.error import (
    ErrorModel,
    HumanError,
    denoise,
    fit_error,
    human_error,
    slip_rate,
)
from learning.routing.fusion import Fused, fuse, weighted
from learning.routing.guarantee import Calibration, Threshold, risk_coverage, threshold
from learning.routing.policies import DEFAULT_POLICY, POLICIES, Knowledge, Policy, get
from learning.routing.source import Labels, Learnt, learn
from learning.routing.value import advantage, human_value

__all__ = [
    "DEFAULT_POLICY",
    "HUMAN",
    "JUDGE",
    "POLICIES",
    "REASONS",
    "WAIT",
    "Budget",
    "Calibration",
    "Decisions",
    "ErrorModel",
    "Fused",
    "HumanError",
    "Knowledge",
    "Labels",
    "Learnt",
    "Policy",
    "Questions",
    "Signs",
    "Threshold",
    "advantage",
    "denoise",
    "fit_error",
    "fuse",
    "get",
    "human_error",
    "human_value",
    "learn",
    "risk_coverage",
    "slip_rate",
    "threshold",
    "weighted",
]
