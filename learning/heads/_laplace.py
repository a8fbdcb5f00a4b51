"""Maximum a posteriori weights, prior precision by evidence, and the Laplace covariance.

A sweep is a damped Newton step on the weights together with the prior precision that is best
for the current quadratic approximation; in the eigenbasis of the data's curvature that is a
search over one number. Sweeps and estimates of the answer model alternate until neither
moves; a last pure Newton run makes the weights exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, eigh, solve_triangular
from scipy.optimize import minimize_scalar

from learning.data import Comparisons
from learning.heads._answers import fit_answer_model
from learning.heads._likelihood import AnswerModel, Terms, terms

_MAX_SWEEPS = 30
_MAX_NEWTON = 50
_MAX_ANSWER_MODELS = 8
_SWEEP_TOLERANCE = 0.05  # nats of log posterior; a last Newton run makes the weights exact
_PRIOR_TOLERANCE = 0.01  # relative
_ANSWER_TOLERANCE = 0.02  # log(1 + nu), log a and the cuts; far below their standard errors
_NEWTON_TOLERANCE = 1e-10  # Newton decrement: twice the nats that are still to gain
_PRIOR_LOG_SD = 2.0  # the evidence overrules the centre as soon as there is evidence
_PRIOR_LOG_RANGE = 10.0
_ROWS_AT_A_TIME = 1_024


@dataclass(frozen=True, slots=True)
class Problem:
    """Differences ``X`` (n, d), judgements, and what is fixed instead of estimated."""

    X: NDArray[np.float64]
    data: Comparisons
    prior_centre: float
    fixed_prior: float | None = None
    fixed_tie: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the maximisation stands; ``evidence`` is only right at the end."""

    theta: NDArray[np.float64]
    factor: NDArray[np.float64]
    prior: float
    model: AnswerModel
    evidence: float


def maximise(problem: Problem, guess: Fit) -> Fit:
    """Return the maximum and the Laplace posterior around it, starting from ``guess``."""
    fit = replace(guess, prior=problem.fixed_prior or guess.prior)
    if problem.fixed_tie is not None:
        fit = replace(fit, model=replace(fit.model, tie=problem.fixed_tie))
    for _ in range(_MAX_ANSWER_MODELS):
        fit = _settle(problem, fit)
        mu, spread = problem.X @ fit.theta, problem.X @ fit.factor
        s2 = np.square(spread).sum(axis=1)
        model = fit_answer_model(mu, s2, problem.data, fit.model, fixed_tie=problem.fixed_tie)
        if _close(model, fit.model):
            break
        fit = replace(fit, model=model)
    return _finish(problem, fit)


def _close(one: AnswerModel, other: AnswerModel) -> bool:
    a = np.array([np.log1p(one.tie), np.log(one.slope), *one.cuts])
    b = np.array([np.log1p(other.tie), np.log(other.slope), *other.cuts])
    return bool(np.abs(a - b).max() < _ANSWER_TOLERANCE)


def _settle(problem: Problem, fit: Fit) -> Fit:
    """Sweep over weights and prior precision until neither moves."""
    for _ in range(_MAX_SWEEPS):
        before = _log_posterior(problem, fit, fit.theta)
        swept = _sweep(problem, fit)
        settled = abs(_log_posterior(problem, swept, swept.theta) - before) < _SWEEP_TOLERANCE
        same_prior = abs(np.log(swept.prior / fit.prior)) < _PRIOR_TOLERANCE
        fit = swept
        if settled and same_prior:
            break
    return fit


def _sweep(problem: Problem, fit: Fit) -> Fit:
    """One Newton step and one precision; the factor belongs to the point before the step."""
    now = terms(problem.X @ fit.theta, problem.data, fit.model)
    gradient, curvature = _derivatives(problem, now)
    if problem.fixed_prior is None:
        values, basis = eigh(curvature, overwrite_a=True, driver="evd")
        values = np.maximum(values, 0.0)
        pull = basis.T @ gradient + values * (basis.T @ fit.theta)
        fit = replace(fit, prior=_best_prior(problem, values, pull))
        factor = basis / np.sqrt(values + fit.prior)
    else:
        factor = _root_of_inverse(curvature, fit.prior)
    step = factor @ (factor.T @ (gradient - fit.prior * fit.theta))
    return replace(fit, theta=_backtrack(problem, fit, step), factor=factor)


def _best_prior(problem: Problem, values: NDArray[np.float64], pull: NDArray[np.float64]) -> float:
    """Maximise the evidence of the quadratic approximation over ``lambda``.

    In the eigenbasis it is ``1/2 sum_i [pull_i^2 / (v_i + lambda) + log lambda - log(v_i +
    lambda)]`` up to a constant, plus the log-normal hyperprior.
    """
    centre = float(np.log(problem.prior_centre))

    def loss(log_prior: float) -> float:
        total = values + np.exp(log_prior)
        evidence = 0.5 * (pull**2 / total + log_prior - np.log(total)).sum()
        return float(0.5 * ((log_prior - centre) / _PRIOR_LOG_SD) ** 2 - evidence)

    bounds = (centre - _PRIOR_LOG_RANGE, centre + _PRIOR_LOG_RANGE)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def _finish(problem: Problem, fit: Fit) -> Fit:
    """Run Newton to the exact maximum at the final prior and answer model."""
    for _ in range(_MAX_NEWTON):
        now = terms(problem.X @ fit.theta, problem.data, fit.model)
        gradient, curvature = _derivatives(problem, now)
        gradient -= fit.prior * fit.theta
        fit = replace(fit, factor=_root_of_inverse(curvature, fit.prior))
        step = fit.factor @ (fit.factor.T @ gradient)
        if gradient @ step < _NEWTON_TOLERANCE:
            break
        fit = replace(fit, theta=_backtrack(problem, fit, step))
    log_det = -2.0 * np.log(np.diag(fit.factor)).sum()
    evidence = _log_posterior(problem, fit, fit.theta)
    evidence += 0.5 * (len(fit.theta) * np.log(fit.prior) - log_det)
    return replace(fit, evidence=float(evidence))


def _root_of_inverse(curvature: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """Return triangular ``L`` with ``L L^T = (curvature + prior I)^-1``; overwrites its input."""
    curvature[np.diag_indices_from(curvature)] += prior
    lower = cholesky(curvature, lower=True, overwrite_a=True)
    return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True).T)


def _derivatives(problem: Problem, now: Terms) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradient ``(d,)`` and negated Hessian ``(d, d)`` of the log-likelihood in ``theta``."""
    X, weight = problem.X, problem.data.weight
    root = np.sqrt(weight * now.curvature)
    curvature = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), _ROWS_AT_A_TIME):  # stays in cache, no second copy of X
        part = slice(start, start + _ROWS_AT_A_TIME)
        scaled = X[part] * root[part, None]
        curvature += scaled.T @ scaled
    return X.T @ (weight * now.slope), curvature


def _backtrack(problem: Problem, fit: Fit, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Halve the step until the log posterior does not fall: near-separable data overshoot."""
    here = _log_posterior(problem, fit, fit.theta)
    slack = 1e-12 * (1.0 + abs(here))  # rounding, at the maximum itself
    for _ in range(40):
        if _log_posterior(problem, fit, fit.theta + step) >= here - slack:
            return fit.theta + step
        step = step / 2
    return fit.theta


def _log_posterior(problem: Problem, fit: Fit, theta: NDArray[np.float64]) -> float:
    """Log-likelihood plus ``-lambda/2 |theta|^2``, in nats; no constants of the prior."""
    value = terms(problem.X @ theta, problem.data, fit.model).value
    return float(problem.data.weight @ value - 0.5 * fit.prior * theta @ theta)
