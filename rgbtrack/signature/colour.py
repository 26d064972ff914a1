"""Colours from detectors: bleed-through undone, errors propagated."""

from itertools import combinations

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
    weight = 1 / variance  # (n, d)
    covariance = np.linalg.inv(np.einsum("dm,nd,dk->nmk", mixing, weight, mixing))
    signature = np.einsum("nmk,dk,nd,nd->nm", covariance, mixing, weight, raw, optimize=True)
    return signature, covariance


def colour_columns(markers: tuple[str, ...], signature: Array, covariance: Array) -> dict[str, Array]:
    """Columns of `tables.CELLS` that tell a colour: intensity, error, fractions, brightness, SNR."""
    columns = {}
    for j, name in enumerate(markers):
        columns[name] = signature[:, j]
        columns[f"{name}_se"] = np.sqrt(covariance[:, j, j])
    for (i, a), (j, b) in combinations(enumerate(markers), 2):
        columns[f"cov_{a}_{b}"] = covariance[:, i, j]
    brightness = signature.sum(1)
    columns["brightness"] = brightness
    columns["snr"] = brightness / np.sqrt(covariance.sum((1, 2)))
    positive = np.maximum(signature, 0)
    total = positive.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        for j, name in enumerate(markers):
            columns[f"{name}_fraction"] = np.where(total > 0, positive[:, j] / total, np.nan)
    return columns
