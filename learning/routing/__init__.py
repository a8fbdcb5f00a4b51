"""Routing: who answers a question, a person or a judge, and how to learn from both.

The audit, a random sample of questions that people answer whatever is known about them, tells
how often people slip and where the judge is wrong (``error``). That decides what a person's
answer is worth (``value``), who answers (``policies``), and how every label is learnt from
(``fusion``, ``deviation``, ``source``). ``guarantee`` says what may be promised, ``frontier``
and ``gain`` what people's time would buy, ``drift`` when the judge got worse.
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
from learning.routing.deviation import Deviation
from learning.routing.error import (
    ErrorModel,
    HumanError,
    denoise,
    fit_error,
    human_error,
    slip_rate,
)
from learning.routing.fusion import Fused, fuse, weighted
from learning.routing.gain import GainModel, TagGain, draw_mixes, fit_gain, tag_gains
from learning.routing.guarantee import Calibration, Threshold, risk_coverage, threshold
from learning.routing.policies import (
    AUDIT_SHARE,
    DEFAULT_POLICY,
    POLICIES,
    Knowledge,
    Policy,
    get,
)
from learning.routing.source import Labels, Learnt, learn
from learning.routing.value import advantage, human_value

__all__ = [
    "AUDIT_SHARE",
    "DEFAULT_POLICY",
    "HUMAN",
    "JUDGE",
    "POLICIES",
    "REASONS",
    "WAIT",
    "Budget",
    "Calibration",
    "Decisions",
    "Deviation",
    "ErrorModel",
    "Fused",
    "GainModel",
    "HumanError",
    "Knowledge",
    "Labels",
    "Learnt",
    "Policy",
    "Questions",
    "Signs",
    "TagGain",
    "Threshold",
    "advantage",
    "denoise",
    "draw_mixes",
    "fit_error",
    "fit_gain",
    "fuse",
    "get",
    "human_error",
    "human_value",
    "learn",
    "risk_coverage",
    "slip_rate",
    "tag_gains",
    "threshold",
    "weighted",
]
