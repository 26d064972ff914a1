"""Linear model of log shares: scatter between subjects as a function of size, shared by all clones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from rgbtrack.dynamics.moderate import prior_of

Floats = NDArray[np.float64]

_ROUNDS = 3
_LEAST = 1e-6
"""Scatter that subjects are taken to have, over that which is predicted, where they are copies of another."""


@dataclass(frozen=True, eq=False)
class LogRatioFit:
    """A fitted model of k clones in n units, with p columns.

    Attributes
    ----------
    coefficients
        Change of log share (natural) of each clone, up to a shift that all clones share; shape (k, p).
    unscaled
        Covariance of the coefficients of each clone, shape (k, p, p): times `variance`, their sampling
        covariance.
    variance
        Scatter of each clone over that which its size predicts, moderated; shape (k,).
    freedom
        Degrees of freedom of ``variance``.
    prior, prior_variance
        Degrees of freedom that the other clones provide, and their mean scatter.
    logs, expected
        Log shares less the shift of each unit, and the scatter that their sizes predict, shape (n, k).
    design
        The model, shape (n, p).
    """

    coefficients: Floats
    unscaled: Floats
    variance: Floats
    freedom: float
    prior: float
    prior_variance: float
    logs: Floats
    expected: Floats
    design: Floats

    def effect(self, column: int) -> tuple[Floats, Floats]:
        """Coefficient of a column and its sampling variance, each of shape (k,)."""
        return self.coefficients[:, column], self.unscaled[:, column, column] * self.variance


def fit_log_ratios(counts: Floats, totals: Floats, design: Floats) -> LogRatioFit:
    """Fit a linear model to the log shares of all clones.

    Parameters
    ----------
    counts
        Cells of each clone, shape (n, k).
    totals
        Cells of all clones, also those not in ``counts``, shape (n,).
    design
        Shape (n, p), p < n.

    Returns
    -------
    fit
        The model.

    Notes
    -----
    Log share of clone k in subject s, ``log((n + 1/2) / (N + 1/2))``, less a shift of the subject that all
    clones share: what is compositional drops out (Aitchison, J. R. Stat. Soc. B 44 (1982) 139). Its variance
    is ``a / share + b + 1 / n``: scatter of small clones (Dirichlet), of all clones alike (lognormal), and
    counting; a and b are fitted to all clones by non-negative least squares, and weigh the model. What is
    left of a clone's own scatter is moderated towards this curve by empirical Bayes (Smyth, Stat. Appl.
    Genet. Mol. Biol. 3 (2004) 3; for cell types: Phipson et al., Bioinformatics 38 (2022) 4720): three
    animals an arm say little about one clone, but much about all.
    """
    n, k = counts.shape
    freedom = n - design.shape[1]
    logs = np.log((counts + 0.5) / (totals + 0.5)[:, None])
    # less than a cell in the mean sample: the log of its count scatters no more
    share = np.maximum((counts / totals[:, None]).mean(axis=0), 1 / totals.mean())
    expected = np.ones((n, k))
    lost = k / max(k - 1, 1)
    for _ in range(_ROUNDS):
        weights = 1 / expected
        coefficients, unscaled = _solve(logs, weights, design)
        residual = logs - design @ coefficients.T
        logs = logs - (weights * residual).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
        coefficients, unscaled = _solve(logs, weights, design)
        squares = (logs - design @ coefficients.T) ** 2
        counting = 1 / np.maximum(totals[:, None] * share, 1.0)
        scatter = squares.sum(axis=0) / freedom * lost
        expected = np.maximum(_curve(scatter, share, counting.mean(axis=0)) + counting, 1e-6)
    coefficients, unscaled = _solve(logs, 1 / expected, design)
    over = ((logs - design @ coefficients.T) ** 2 / expected).sum(axis=0) / freedom * lost
    prior, prior_variance = prior_of(over, np.full(k, float(freedom)))
    prior_variance = max(prior_variance, _LEAST)
    if np.isinf(prior):
        variance, total = np.full(k, prior_variance), float(freedom * max(k - 1, 1))
    else:
        variance = (prior * prior_variance + freedom * over) / (prior + freedom)
        total = min(prior + freedom, float(freedom * max(k - 1, 1)))
    return LogRatioFit(
        coefficients,
        unscaled,
        variance,
        total,
        prior,
        prior_variance,
        logs,
        expected / lost,
        design,
    )


def _solve(logs: Floats, weights: Floats, design: Floats) -> tuple[Floats, Floats]:
    """Weighted least squares of every clone: coefficients (k, p) and (X'WX)^-1 (k, p, p)."""
    inverse = np.linalg.inv(np.einsum("ni,nk,nj->kij", design, weights, design))
    return np.einsum("kij,nj,nk->ki", inverse, design, weights * logs), inverse


def _curve(scatter: Floats, share: Floats, counting: Floats) -> Floats:
    """Scatter between subjects that a clone's size predicts: a / share + b, shape (k,)."""
    terms = np.stack([1 / share, np.ones_like(share)], axis=1)
    curve = np.full_like(scatter, max(scatter.mean(), 1e-6))
    for _ in range(10):
        weight = 1 / (curve + counting)
        fitted, _ = nnls(terms * weight[:, None], np.maximum(scatter - counting, 0) * weight)
        curve = terms @ fitted
    return curve
