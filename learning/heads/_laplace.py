"""Maximum a posteriori weights, prior precisions by evidence, and the Laplace covariance.

A sweep is a damped Newton step on the weights together with the prior precisions that are
best for the current quadratic approximation. Sweeps and estimates of the answer model
alternate until neither moves; a last pure Newton run makes the weights exact. How margins
depend on the weights is a :class:`Design`: on features alone, or also on effects of responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning.data import Comparisons
from learning.heads._answers import fit_answer_model
from learning.heads._likelihood import AnswerModel, terms

Array: TypeAlias = NDArray[np.float64]
Prior: TypeAlias = tuple[float, ...]  # one precision for each kind of weight

_MAX_SWEEPS = 30
_MAX_NEWTON = 50
_MAX_ANSWER_MODELS = 8
_SWEEP_TOLERANCE = 0.05  # nats of log posterior; a last Newton run makes the weights exact
_PRIOR_TOLERANCE = 0.01  # relative
_ANSWER_TOLERANCE = 0.02  # log(1 + nu), log a and the cuts; far below their standard errors
_NEWTON_TOLERANCE = 1e-10  # Newton decrement: twice the nats that are still to gain


class Covariance(Protocol):
    """Inverse of curvature plus prior: the Gaussian approximation around one point."""

    @property
    def log_det(self) -> float:
        """Log determinant of the covariance."""

    def times(self, v: Array) -> Array:
        """Return the covariance times a vector ``(dim,)``."""

    def margin_variances(self) -> Array:
        """Return the variance of the margin of every comparison, ``(n,)``."""

    def factor(self) -> Array:
        """Return ``L`` with covariance ``L L^T``, ``(dim, dim)``."""


class Curvature(Protocol):
    """Negated Hessian of the log-likelihood at one point."""

    def better_prior(self, gradient: Array, theta: Array, prior: Prior, hyper: Hyper) -> Prior:
        """Return precisions of more evidence than ``prior`` in the quadratic approximation."""

    def invert(self, prior: Prior) -> Covariance:
        """Return the covariance under a prior. May use up the curvature: call it last."""


class Design(Protocol):
    """How the margins of comparisons depend on the weights."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of weights of each kind; the kinds follow each other in ``theta``."""

    def margins(self, theta: Array) -> Array:
        """Return the margin of every comparison, ``(n,)``."""

    def gradient(self, slope: Array) -> Array:
        """Return the derivative by the weights, ``(dim,)``, given that by the margins."""

    def curvature(self, weight: Array) -> Curvature:
        """Return the curvature, given that by each margin, ``(n,)``."""


@dataclass(frozen=True, slots=True)
class Hyper:
    """A log-normal prior of every precision around its centre, or a fixed value."""

    centres: tuple[float, ...]
    fixed: tuple[float | None, ...]
    log_sd: float = 2.0  # the evidence overrules the centre as soon as there is evidence
    log_range: float = 10.0

    def settle(self, prior: Sequence[float]) -> Prior:
        """Return ``prior`` with the fixed precisions in their places."""
        both = zip(prior, self.fixed, strict=True)
        return tuple(float(free if fixed is None else fixed) for free, fixed in both)


@dataclass(frozen=True, slots=True)
class Problem:
    """Comparisons, how their margins come about, and what is fixed instead of estimated."""

    design: Design
    data: Comparisons
    hyper: Hyper
    fixed_tie: float | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """Where the maximisation stands."""

    theta: Array
    prior: Prior
    model: AnswerModel


@dataclass(frozen=True, slots=True)
class Fit:
    """The maximum, with the Gaussian around it and the Laplace evidence in nats."""

    theta: Array
    prior: Prior
    model: AnswerModel
    covariance: Covariance
    evidence: float


def maximise(problem: Problem, guess: Guess) -> Fit:
    """Return the maximum and the Laplace posterior around it, starting from ``guess``."""
    at = replace(guess, prior=problem.hyper.settle(guess.prior))
    if problem.fixed_tie is not None:
        at = replace(at, model=replace(at.model, tie=problem.fixed_tie))
    for _ in range(_MAX_ANSWER_MODELS):
        at, covariance = _settle(problem, at)
        mu, s2 = problem.design.margins(at.theta), covariance.margin_variances()
        model = fit_answer_model(mu, s2, problem.data, at.model, fixed_tie=problem.fixed_tie)
        if _close(model, at.model):
            break
        at = replace(at, model=model)
    return _finish(problem, at)


def _close(one: AnswerModel, other: AnswerModel) -> bool:
    a = np.array([np.log1p(one.tie), np.log(one.slope), *one.cuts])
    b = np.array([np.log1p(other.tie), np.log(other.slope), *other.cuts])
    return bool(np.abs(a - b).max() < _ANSWER_TOLERANCE)


def _settle(problem: Problem, at: Guess) -> tuple[Guess, Covariance]:
    """Sweep over weights and precisions until neither moves."""
    for _ in range(_MAX_SWEEPS):
        before = _log_posterior(problem, at, at.theta)
        swept, covariance = _sweep(problem, at)
        settled = abs(_log_posterior(problem, swept, swept.theta) - before) < _SWEEP_TOLERANCE
        moved = np.abs(np.log(swept.prior) - np.log(at.prior)).max()
        at = swept
        if settled and moved < _PRIOR_TOLERANCE:
            break
    return at, covariance


def _sweep(problem: Problem, at: Guess) -> tuple[Guess, Covariance]:
    """One step of precisions and weights; the covariance is that before the step."""
    gradient, curvature = _derivatives(problem, at)
    if None in problem.hyper.fixed:
        prior = curvature.better_prior(gradient, at.theta, at.prior, problem.hyper)
        at = replace(at, prior=prior)
    covariance = curvature.invert(at.prior)
    step = covariance.times(gradient - _precisions(problem, at) * at.theta)
    return replace(at, theta=_backtrack(problem, at, step)), covariance


def _finish(problem: Problem, at: Guess) -> Fit:
    """Run Newton to the exact maximum at the final prior and answer model."""
    precisions = _precisions(problem, at)
    for _ in range(_MAX_NEWTON):
        gradient, curvature = _derivatives(problem, at)
        gradient -= precisions * at.theta
        covariance = curvature.invert(at.prior)
        step = covariance.times(gradient)
        if gradient @ step < _NEWTON_TOLERANCE:
            break
        at = replace(at, theta=_backtrack(problem, at, step))
    evidence = _log_posterior(problem, at, at.theta)
    evidence += 0.5 * (float(np.log(precisions).sum()) + covariance.log_det)
    return Fit(at.theta, at.prior, at.model, covariance, evidence)


def _precisions(problem: Problem, at: Guess) -> Array:
    """The prior precision of every weight, ``(dim,)``."""
    return np.repeat(at.prior, problem.design.sizes)


def _derivatives(problem: Problem, at: Guess) -> tuple[Array, Curvature]:
    """Gradient and curvature of the log-likelihood in the weights."""
    design, weight = problem.design, problem.data.weight
    now = terms(design.margins(at.theta), problem.data, at.model)
    return design.gradient(weight * now.slope), design.curvature(weight * now.curvature)


def _backtrack(problem: Problem, at: Guess, step: Array) -> Array:
    """Halve the step until the log posterior does not fall: near-separable data overshoot."""
    here = _log_posterior(problem, at, at.theta)
    slack = 1e-12 * (1.0 + abs(here))  # rounding, at the maximum itself
    for _ in range(40):
        if _log_posterior(problem, at, at.theta + step) >= here - slack:
            return np.asarray(at.theta + step)
        step = step / 2
    return at.theta


def _log_posterior(problem: Problem, at: Guess, theta: Array) -> float:
    """Log-likelihood plus the prior's exponent, in nats; no constants of the prior."""
    value = terms(problem.design.margins(theta), problem.data, at.model).value
    exponent = _precisions(problem, at) @ np.square(theta)
    return float(problem.data.weight @ value - 0.5 * exponent)
