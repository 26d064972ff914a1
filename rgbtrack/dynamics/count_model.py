"""The second model: counts, not their logs. Quasi-likelihood with a dispersion that all clones share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import t as student

from rgbtrack.dynamics.moderate import prior_of
from rgbtrack.dynamics.reference import majority

Floats = NDArray[np.float64]

_PRIOR = 0.25
"""Cells added to every count where effects are told: a clone that is not seen has no log."""


@dataclass(frozen=True, eq=False)
class CountFit:
    """Effects by the model of counts: log share (natural) less the majority's, and p; each of shape (k,)."""

    effect: Floats
    p_value: Floats


def model_counts(counts: Floats, totals: Floats, design: Floats, column: int) -> CountFit:
    """Test one column of a log-linear model of counts.

    Parameters
    ----------
    counts, totals, design
        As for `fit_log_ratios`.
    column
        Column that is tested.

    Returns
    -------
    fit
        Effects and p values.

    Notes
    -----
    Negative binomial counts with dispersion ``a / share + b``, fitted to all clones by the adjusted profile
    likelihood (Cox and Reid, J. R. Stat. Soc. B 49 (1987) 1); the likelihood ratio against the majority's
    change is held against each clone's own Pearson scatter, moderated over clones (quasi-likelihood: Lund et
    al., Stat. Appl. Genet. Mol. Biol. 11 (2012) 5). No logs are taken of counts, so that zeros need no rule.
    """
    n, p = design.shape
    share = np.maximum((counts / totals[:, None]).mean(axis=0), 1e-9)
    offset = np.log(totals)[:, None]
    alpha = np.full(counts.shape[1], 0.1)
    for _ in range(2):
        beta = _fit(counts, offset, design, alpha)
        alpha = _dispersion(counts, np.exp(design @ beta + offset), share, design)
    beta = _fit(counts, offset, design, alpha)
    mean = np.exp(design @ beta + offset)
    told = _fit(counts + _PRIOR, np.log(totals + _PRIOR * counts.shape[1])[:, None], design, alpha)[column]
    variance = mean + alpha * mean**2
    pearson = ((counts - mean) ** 2 / np.maximum(variance, 1e-9)).sum(axis=0) / (n - p)
    freedom = n - p
    prior, middle = prior_of(np.maximum(pearson, 0.05), np.full_like(pearson, freedom))
    # few cells scatter less than their model: they take the curve as it is
    scale = (
        np.full_like(pearson, max(middle, 1.0))
        if np.isinf(prior)
        else np.maximum((prior * middle + freedom * pearson) / (prior + freedom), 0.5)
    )
    df = min(prior + freedom, float(freedom * max(counts.shape[1] - 1, 1)))
    weights = mean / (1 + alpha * mean)
    information = np.einsum("ni,nk,nj->kij", design, np.maximum(weights, 1e-6), design)
    sampling = np.linalg.inv(information)[:, column, column] * scale
    centre, of_centre = majority(told, sampling)
    others = np.delete(design, column, axis=1)
    held = offset + design[:, [column]] * centre
    null = np.exp(others @ _fit(counts, held, others, alpha) + held)
    ratio = np.maximum((_deviance(counts, null, alpha) - _deviance(counts, mean, alpha)).sum(axis=0), 0)
    root = np.sqrt(ratio / scale * sampling / (sampling + of_centre))
    return CountFit(told - centre, np.asarray(2 * student.sf(root, df)))


def _fit(counts: Floats, offset: Floats, design: Floats, alpha: Floats) -> Floats:
    """Coefficients (p, k) of log-linear models of all clones, by damped Fisher scoring."""
    rate = np.maximum(counts.sum(axis=0) / np.exp(offset).sum(axis=0), 1e-12)
    beta = np.linalg.lstsq(design, np.tile(np.log(rate), (len(design), 1)), rcond=None)[0]
    ridge = 1e-9 * np.eye(design.shape[1])
    for _ in range(30):
        mean = np.exp(np.clip(design @ beta + offset, -30, 30))
        weight = 1 / (1 + alpha * mean)
        score = design.T @ ((counts - mean) * weight)  # (p, k)
        information = np.einsum("ni,nk,nj->kij", design, mean * weight, design) + ridge
        step = np.linalg.solve(information, score.T[..., None])[..., 0].T
        step = np.clip(step, -1.5, 1.5)
        beta = np.clip(beta + step, -25, 25)
        if np.abs(step).max() < 1e-6:
            break
    return beta


def _dispersion(counts: Floats, mean: Floats, share: Floats, design: Floats) -> Floats:
    """Dispersion of each clone, a / share + b, shape (k,)."""

    def loss(logs: Floats) -> float:
        alpha = np.exp(logs[0]) / share + np.exp(logs[1])
        size = 1 / alpha
        fit = (
            gammaln(counts + size)
            - gammaln(size)
            - size * np.log1p(mean * alpha)
            + counts * np.log(mean / (size + mean))
        ).sum()
        information = np.einsum("ni,nk,nj->kij", design, np.maximum(mean / (1 + alpha * mean), 1e-9), design)
        return -float(fit - 0.5 * np.linalg.slogdet(information)[1].sum())

    starts = [(-6.0, -2.0), (-4.0, -6.0)]
    options = {"maxiter": 120, "xatol": 0.02, "fatol": 0.02}
    found = min(
        (minimize(loss, x, method="Nelder-Mead", options=options) for x in starts), key=lambda r: r.fun
    )
    a, b = np.exp(np.clip(found.x, -14, 3))
    return np.asarray(a / share + b)


def _deviance(counts: Floats, mean: Floats, alpha: Floats) -> Floats:
    mean = np.maximum(mean, 1e-12)
    own = np.where(counts > 0, counts * np.log(np.maximum(counts, 1e-12) / mean), 0.0)
    return 2 * (own - (counts + 1 / alpha) * np.log((1 + alpha * counts) / (1 + alpha * mean)))
