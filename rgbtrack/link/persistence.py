"""Persistence and motility from the mean squared displacement: Fürth's formula, fitted."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from rgbtrack.link.motility_params import MotilityParams
from rgbtrack.link.paths import Floats
from rgbtrack.link.squares import LagSums

_GRID = 121
"""Persistence times that are tried, evenly spaced in logarithm."""


@dataclass(frozen=True)
class Furth:
    """Fürth's formula as fitted; arrays where several pools were, of their shape."""

    persistence_h: Floats
    motility_um2_h: Floats
    rms_speed_um_h: Floats
    localisation_um: Floats
    edge: Floats
    """-1 where the persistence is the shortest tried, 1 the longest, else 0."""


def furth(lag_h: Floats, persistence_h: Floats, rms_speed_um_h: Floats) -> Floats:
    """Mean squared displacement of a persistent random walk, um², without localisation error.

    Parameters
    ----------
    lag_h
        Time between two places.
    persistence_h
        Time over which the velocity is kept: its autocorrelation is exp(-lag / persistence).
    rms_speed_um_h
        Root mean square speed at an instant.

    Notes
    -----
    R. Fürth, Zeitschrift für Physik 2 (1920) 244: ``2 S² P² (t/P - 1 + exp(-t/P))``, in any number of
    dimensions; the motility coefficient is ``S² P / dimensions``.

    Examples
    --------
    >>> float(furth(np.array(1.0), np.array(1e6), np.array(3.0)).round(3))  # straight ahead
    9.0
    """
    x = np.asarray(lag_h) / persistence_h
    small = x < 1e-3
    shape = np.where(small, x**2 / 2 - x**3 / 6, x - 1 + np.exp(-x))
    return np.asarray(2 * rms_speed_um_h**2 * persistence_h**2 * shape)


def fit_furth(sums: LagSums, dimensions: int, params: MotilityParams) -> Furth:
    """Fit Fürth's formula and localisation error to mean squared displacements.

    Parameters
    ----------
    sums
        Of one pool of tracks, shape (lags,), or of several, shape (pools, lags).
    dimensions
        2 or 3.
    params
        ``longest_lag`` ends the fit.

    Returns
    -------
    fit
        Missing where fewer than three lags are known.

    Notes
    -----
    ``MSD(t) = S² f(t; P) + 2 d s²``, s the localisation error along an axis, is linear in S² and s²: for each
    P of a grid both are found by weighted least squares, neither below zero, and the P of the least residual
    is taken, refined by a parabola. A lag of k intervals weighs as n / k independent pairs, in units of its
    own square. Errors of neighbouring lags go together, so that the residual tells nothing of the errors of
    the fit: take those from tracks left out (`jackknife_furth`).
    """
    lag, msd = np.atleast_2d(sums.lag_h), np.atleast_2d(sums.msd)
    pairs = np.atleast_2d(sums.pairs)
    n_lags = lag.shape[1]
    place = np.arange(1, n_lags + 1)
    last = np.maximum(np.atleast_1d(sums.longest) * params.longest_lag, 4)[:, None]
    used = (pairs > 0) & (place <= last) & (msd > 0)
    weight = np.where(used, pairs / place / np.where(used, msd, 1) ** 2, 0.0)
    enough = used.sum(axis=1) >= 3
    lag, msd = np.where(used, lag, 0), np.where(used, msd, 0)
    if not enough.any():
        missing = np.full(len(enough), np.nan)
        return _shaped(sums, [missing] * 4 + [np.zeros(len(enough))])
    span = lag[enough]
    shortest = span[span > 0].min() / 8
    grid = np.geomspace(shortest, span.max() * 8, _GRID)
    cost = np.stack([_linear(lag, msd, weight, np.full(len(lag), p))[2] for p in grid], axis=1)
    best = cost.argmin(axis=1)
    inner = np.clip(best, 1, _GRID - 2)
    rows = np.arange(len(best))
    left, middle, right = (cost[rows, inner + k] for k in (-1, 0, 1))
    bend = left - 2 * middle + right
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where((best == inner) & (bend > 0), (left - right) / (2 * bend), 0.0)
    persistence = np.exp(np.log(grid[best]) + np.clip(shift, -1, 1) * np.log(grid[1] / grid[0]))
    speed2, noise, _ = _linear(lag, msd, weight, persistence)
    edge = np.where(best == 0, -1.0, np.where(best == _GRID - 1, 1.0, 0.0))
    values = [
        persistence,
        speed2 * persistence / dimensions,
        np.sqrt(speed2),
        np.sqrt(noise / (2 * dimensions)),
    ]
    return _shaped(sums, [np.where(enough, value, np.nan) for value in values] + [edge])


def _linear(lag: Floats, msd: Floats, weight: Floats, persistence: Floats) -> tuple[Floats, Floats, Floats]:
    """Squared speed and intercept, neither negative, and the weighted residual; shape (pools,) each."""
    f = furth(lag, persistence[:, None], np.ones((len(lag), 1)))
    ff, f1, one = (weight * f * f).sum(1), (weight * f).sum(1), weight.sum(1)
    fy, y1 = (weight * f * msd).sum(1), (weight * msd).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        det = ff * one - f1**2
        speed2, noise = (fy * one - f1 * y1) / det, (ff * y1 - f1 * fy) / det
        alone = fy / ff
        low = ~(noise > 0)
        speed2, noise = np.where(low, alone, speed2), np.where(low, 0.0, noise)
        rest = ~(speed2 > 0)
        speed2, noise = np.where(rest, 0.0, speed2), np.where(rest, y1 / one, noise)
    residual = (weight * (msd - speed2[:, None] * f - noise[:, None]) ** 2).sum(axis=1)
    return speed2, noise, residual


def _shaped(sums: LagSums, values: list[Floats]) -> Furth:
    return Furth(*(value.reshape(np.shape(sums.longest)) for value in values))


def jackknife_furth(
    parts: LagSums, dimensions: int, params: MotilityParams
) -> dict[str, tuple[float, float, float]]:
    """Fit Fürth's formula to a pool, with intervals from leaving each unit out.

    Parameters
    ----------
    parts
        Of each unit (subject, or family of tracks), shape (units, lags).
    dimensions
        2 or 3.
    params
        ``level`` of the intervals.

    Returns
    -------
    values
        For ``persistence_h, motility_um2_h, rms_speed_um_h``: estimate, low, high; missing where the data set
        none. ``localisation_um`` alike, its interval missing.

    Notes
    -----
    Delete-one jackknife of logarithms with Student's t (Miller, Biometrika 61 (1974) 1), in at most 40 groups
    of units; degrees of freedom are one less than the units would be if all gave the same number of pairs,
    ``(sum w)² / sum w²``. It holds with few units, where a bootstrap's percentiles are too
    narrow.
    """
    n = len(parts.longest)
    groups = np.arange(n) % min(n, 40)
    n_groups = int(groups.max(initial=-1)) + 1
    leave = np.vstack([np.ones(n), (groups[None] != np.arange(n_groups)[:, None]).astype(float)])
    fit = fit_furth(parts.pool(leave), dimensions, params)
    edge = float(fit.edge[0]) if n else 0.0
    weight = np.bincount(groups, parts.pairs.sum(axis=-1))
    freedom = max(weight.sum() ** 2 / (weight**2).sum() - 1, 1.0) if n else 1.0
    result = {"localisation_um": (float(fit.localisation_um[0]), np.nan, np.nan)}
    for name in ("persistence_h", "motility_um2_h", "rms_speed_um_h"):
        values = getattr(fit, name)
        estimate = float(values[0])
        # a persistence at the edge of what can be told is none, and so is what follows from it
        if edge and (name == "persistence_h" or name == ("rms_speed_um_h" if edge < 0 else "motility_um2_h")):
            estimate = np.nan
        if n_groups < 2 or not estimate > 0 or not (values[1:] > 0).all():
            result[name] = (estimate, np.nan, np.nan)
            continue
        logs = np.log(values[1:])
        width = student.ppf((1 + params.level) / 2, freedom) * np.sqrt(
            (n_groups - 1) / n_groups * ((logs - logs.mean()) ** 2).sum()
        )
        unsure = fit.edge[1:]
        low, high = estimate * np.exp(-min(width, 50.0)), estimate * np.exp(min(width, 50.0))
        result[name] = (
            estimate,
            np.nan if name == "persistence_h" and (unsure < 0).any() else low,
            np.nan if name == "persistence_h" and (unsure > 0).any() else high,
        )
    return result
