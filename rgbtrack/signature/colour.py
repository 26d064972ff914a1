"""Colours from detectors: bleed-through undone, errors propagated."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def unmix(raw: Array, variance: Array, mixing: Array) -> tuple[Array, Array]:
    """Undo bleed-through, weighted by noise.

    Parameters
    ----------
    raw, variance
        Intensities in each detector and their variances, shape (n, d).
    mixing
        Detectors by markers, shape (d, m), d at least m.

    Returns
    -------
    signature, covariance
        Shapes (n, m) and (n, m, m).
    """
    d, m = mixing.shape
    if d == m:  # one solution, whatever the weights
        inverse: Any = np.linalg.inv(mixing)
        return raw @ inverse.T, (inverse * variance[:, None, :]) @ inverse.T
    weight = 1 / variance  # (n, d)
    products = (mixing[:, :, None] * mixing[:, None, :]).reshape(d, m * m)
    covariance: Any = np.linalg.inv((weight @ products).reshape(-1, m, m))
    return np.einsum("nmk,nk->nm", covariance, (weight * raw) @ mixing), covariance


def unmix_nonnegative(raw: Array, variance: Array, mixing: Array) -> tuple[Array, Array]:
    """Undo bleed-through, weighted by noise, with no colour below 0.

    Non-negative least squares: of all sets of markers whose own solution is nowhere negative, the one that
    leaves least of the measurement unexplained. Sets are few (m is at most 7), so all are tried, for all
    cells at once.

    Parameters
    ----------
    raw, variance
        Intensities in each detector and their variances, shape (n, d).
    mixing
        Detectors by markers, shape (d, m), d at least m.

    Returns
    -------
    signature, covariance
        Shapes (n, m) and (n, m, m). The covariance is that of the solution without the constraint: a marker
        set to 0 is no surer than it was.

    Notes
    -----
    Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23, for the problem. Unmarked cells
    average above 0 then, and noise no longer shows below it: leave it off where noise is judged from
    negative colours, as the clone model does.
    """
    signature, covariance = unmix(raw, variance, mixing)
    below = np.flatnonzero((signature < 0).any(axis=1))
    if not len(below):
        return signature, covariance
    counts, weight = raw[below], 1 / variance[below]  # (k, d)
    best = np.zeros((len(below), mixing.shape[1]))
    least = (weight * counts**2).sum(axis=1)  # nothing there at all
    for size in range(1, mixing.shape[1] + 1):
        for chosen in combinations(range(mixing.shape[1]), size):
            part = mixing[:, chosen]
            found, _ = unmix(counts, 1 / weight, part)
            left = (weight * (counts - found @ part.T) ** 2).sum(axis=1)
            better = (found >= 0).all(axis=1) & (left < least)
            least = np.where(better, left, least)
            whole = np.zeros_like(best)
            whole[:, chosen] = found
            best = np.where(better[:, None], whole, best)
    signature[below] = best
    return signature, covariance


def colour_columns(
    markers: tuple[str, ...], signature: Array, covariance: Array, systematic: Array
) -> dict[str, Array]:
    """Columns of `tables.CELLS` that tell a colour: intensity, errors, fractions, brightness, SNR.

    Parameters
    ----------
    markers
        Names, m of them.
    signature
        Intensities, shape (n, m).
    covariance
        Of their noise, shape (n, m, m).
    systematic
        Variances of what another exposure would repeat, shape (n, m).
    """
    columns = {}
    for j, name in enumerate(markers):
        columns[name] = signature[:, j]
        columns[f"{name}_se"] = np.sqrt(covariance[:, j, j])
        columns[f"{name}_systematic"] = np.sqrt(systematic[:, j])
    for (i, a), (j, b) in combinations(enumerate(markers), 2):
        columns[f"cov_{a}_{b}"] = covariance[:, i, j]
    brightness = signature.sum(1)
    columns["brightness"] = brightness
    columns["snr"] = brightness / np.sqrt(covariance.sum((1, 2)) + systematic.sum(1))
    positive = np.maximum(signature, 0)
    total = positive.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        for j, name in enumerate(markers):
            columns[f"{name}_fraction"] = np.where(total > 0, positive[:, j] / total, np.nan)
    return columns
