"""Linear models of many clones in few subjects: scatter is shared by clones, as far as they are alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma, stdtrit

Floats = NDArray[np.float64]

_NO_EXCESS = 1e-3  # variance of log variances beyond chance that is none
_MOST = 1e4  # variance between subjects, in units of the largest of counting, that is looked for


@dataclass(frozen=True, eq=False)
class Fit:
    """One linear model for each clone.

    Attributes
    ----------
    coefficient
        Shape (k, p); missing where the clone's subjects do not tell it.
    covariance
        Of the coefficients, shape (k, p, p).
    freedom
        Degrees of freedom, own and borrowed, shape (k,).
    between
        Variance between subjects beyond what counting explains, shared by all clones.
    """

    coefficient: Floats
    covariance: Floats
    freedom: Floats
    between: float

    def contrast(self, of: Floats, level: float) -> tuple[Floats, Floats, Floats, Floats]:
        """Estimate, standard error, and ends of the interval of a sum of coefficients, each (k,)."""
        used = of != 0
        value = self.coefficient[:, used] @ of[used]
        square = np.einsum("i,kij,j->k", of[used], self.covariance[:, used][:, :, used], of[used])
        se = np.sqrt(np.maximum(square, 0))
        reach = stdtrit(np.maximum(self.freedom, 1e-9), (1 + level) / 2) * se
        return value, se, value - reach, value + reach


def fit_moderated(value: Floats, variance: Floats, design: Floats) -> Fit:
    """Fit a linear model to each clone, whose subjects differ by more than counting.

    Parameters
    ----------
    value
        Of each subject and clone, shape (n, k); missing where there is none.
    variance
        Its variance from counting, shape (n, k).
    design
        Shape (n, p).

    Notes
    -----
    Weights are one over counting variance plus that between subjects, which is the same for all clones and
    such that weighted residuals have their expected size (Paule and Mandel, Journal of Research of the
    National Bureau of Standards 87 (1982) 377). What is left of each clone's own scatter multiplies its
    variance, drawn towards that of all clones as far as they agree (Smyth, Statistical Applications in
    Genetics and Molecular Biology 3 (2004) 3).
    """

    def excess(between: float) -> float:
        _, _, square, freedom = _weighted(value, variance + between, design)
        return float((square - freedom).sum())

    between = 0.0
    if np.isfinite(value).any() and excess(0.0) > 0:
        top = _MOST * float(np.nanmax(variance))
        between = float(brentq(excess, 0.0, top, rtol=1e-6)) if excess(top) < 0 else top
    coefficient, covariance, square, own = _weighted(value, variance + between, design)
    ratio, total = squeeze(square / np.maximum(own, 1), own)
    return Fit(coefficient, covariance * ratio[:, None, None], total, between)


def squeeze(variance: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """Draw variances towards their common value; returns them and their degrees of freedom.

    Those of clones without any of their own are the common value.

    Examples
    --------
    >>> squeeze(np.array([1.0, 1.0, 1.0, 1.0]), np.array([4.0, 4.0, 4.0, 4.0]))
    (array([1., 1., 1., 1.]), array([16., 16., 16., 16.]))
    """
    known = (freedom > 0) & (variance > 0)
    if known.sum() < 3:
        return variance, freedom
    prior, centre = prior_of(variance[known], freedom[known])
    pooled = float(freedom[known].sum())
    if np.isinf(prior):
        return np.full(len(variance), centre), np.full(len(variance), pooled)
    own = np.where(freedom > 0, freedom * variance, 0)
    return (own + prior * centre) / (freedom + prior), np.minimum(freedom + prior, pooled)


def prior_of(variance: Floats, freedom: Floats) -> tuple[float, float]:
    """Degrees of freedom and centre of the distribution that variances of many clones come from.

    Parameters
    ----------
    variance, freedom
        Of each clone, shape (k,).

    Returns
    -------
    prior, centre
        Smyth (2004), section 6.2; the former is infinite where the variances differ by chance alone.
    """
    half = freedom / 2
    # a variance of nothing has no logarithm
    logs = np.log(np.maximum(variance, 1e-5 * np.median(variance) + 1e-12)) - digamma(half) + np.log(half)
    excess = (float(logs.var(ddof=1)) if len(logs) > 1 else 0.0) - float(polygamma(1, half).mean())
    if excess < _NO_EXCESS:
        return np.inf, float(np.average(variance, weights=freedom))
    prior = 2 * float(np.exp(brentq(lambda y: polygamma(1, np.exp(y)) - excess, -14, 14)))
    return prior, float(np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2)))


def _weighted(value: Floats, variance: Floats, design: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Coefficients, covariance, weighted residual square and degrees of freedom of each clone."""
    known = np.isfinite(value)
    w = np.where(known, 1 / variance, 0.0)
    y = np.nan_to_num(value)
    told = known.T.astype(float) @ np.abs(design) > 0  # (k, p); an arm without this clone harms no other
    size = np.sqrt(np.einsum("nk,np->kp", w, design**2))
    size[~told] = 1.0
    square = np.einsum("nk,np,nq->kpq", w, design, design) / size[:, :, None] / size[:, None, :]
    square += np.eye(design.shape[1]) * ~told[:, None, :]
    solvable = np.linalg.eigvalsh(square)[:, 0] > 1e-9
    square[~solvable] = np.eye(design.shape[1])
    inverse = np.linalg.inv(square) / size[:, :, None] / size[:, None, :]
    coefficient = np.einsum("kpq,nk,nq->kp", inverse, w * y, design)
    residual = (w * np.square(y - design @ coefficient.T)).sum(axis=0)
    freedom = np.where(solvable, known.sum(axis=0) - told.sum(axis=1), 0).astype(float)
    unknown = ~(told & solvable[:, None])
    coefficient[unknown] = np.nan
    inverse[unknown[:, :, None] & unknown[:, None, :]] = np.nan
    return coefficient, inverse, np.where(freedom > 0, residual, 0.0), freedom
