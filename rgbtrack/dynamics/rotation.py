"""Do clones respond differently at all? Rotation test over all clones at once."""

import numpy as np
from numpy.typing import NDArray

from rgbtrack.dynamics.log_ratios import LogRatioFit

Floats = NDArray[np.float64]


def rotation_test(fit: LogRatioFit, column: int, rotations: int, seed: int) -> tuple[float, float]:
    """Test whether a column changes the clones' sizes relative to each other.

    Parameters
    ----------
    fit
        Log shares, modelled.
    column
        Column of the model that is tested.
    rotations
        How often residuals are turned.
    seed
        Of the rotations.

    Returns
    -------
    statistic, p_value
        Mean squared moderated t of the clones, each less their common shift, and how often rotated data
        reach it.

    Notes
    -----
    Under the hypothesis, effect and residuals of a unit are as good as any rotation of them (Langsrud, Stat.
    Comput. 15 (2005) 53; for many genes: Wu et al., Bioinformatics 26 (2010) 2176). Rotations turn all clones
    together, so that clones which rise and fall together do not count as so many findings; and they go on
    where permutations of six animals run out.
    """
    k, p = fit.logs.shape[1], fit.design.shape[1]
    of_clone, of_unit = _margins(fit.expected)
    order = [*(j for j in range(p) if j != column), column]
    q, _ = np.linalg.qr(fit.design[:, order] / np.sqrt(of_unit)[:, None], mode="complete")
    # rows: the effect, then the residuals; in units of the predicted scatter
    free = q[:, p - 1 :].T @ (fit.logs / np.sqrt(of_unit)[:, None] / np.sqrt(of_clone))
    turned = np.random.default_rng(seed).normal(size=(rotations, len(free)))
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    effects = np.vstack([free[:1], turned @ free])  # (1 + rotations, k)
    freedom = len(free) - 1
    residual = ((free**2).sum(axis=0) - effects**2) / freedom
    if np.isinf(fit.prior):
        variance = np.full_like(residual, fit.prior_variance)
    else:
        variance = (fit.prior * fit.prior_variance + freedom * residual) / (fit.prior + freedom)
    change, weight = effects * np.sqrt(of_clone), 1 / (variance * of_clone)
    shift = (weight * change).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
    statistic = (weight * (change - shift) ** 2).sum(axis=1) / max(k - 1, 1)
    reached = int((statistic[1:] >= statistic[0] * (1 - 1e-12)).sum())
    return float(statistic[0]), (reached + 1) / (rotations + 1)


def _margins(expected: Floats) -> tuple[Floats, Floats]:
    """Scatter (n, k) as a product of what clones (k,) and units (n,) have to do with it."""
    logs = np.log(expected)
    return np.exp(logs.mean(axis=0)), np.exp(logs.mean(axis=1) - logs.mean())
