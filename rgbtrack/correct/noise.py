"""The noise of a detector, from the image itself."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


@dataclass(frozen=True)
class NoiseModel:
    """Noise of one channel: ``variance = gain * counts + intercept``, counts as read.

    Attributes
    ----------
    gain
        Counts per photo-electron (excess noise of a multiplier included).
    intercept
        Read variance less gain times offset, counts².
    floor
        Smallest variance believed, counts²: rounding to whole counts, or the darkest tenth of the image.
    """

    gain: float
    intercept: float
    floor: float

    def variance(self, counts: Image) -> Image:
        """Noise variance of raw counts, same shape."""
        return np.maximum(self.gain * counts + self.intercept, self.floor).astype(np.float32)


def estimate_noise(planes: Image, *, integer: bool = True) -> NoiseModel:
    """Noise model of one channel from its own mean-variance relation.

    A second-difference filter removes what is smooth; what it leaves in each bin of local mean has the
    variance of the noise. The lower quartile of its size is used, so that edges and texture count little.

    Parameters
    ----------
    planes
        Raw counts, shape (n, y, x).
    integer
        Whether counts are whole numbers, so that rounding sets a floor.

    Notes
    -----
    Immerkaer, Computer Vision and Image Understanding 64 (1996) 300, for the filter; photon transfer for
    the fit. Fails where an image was smoothed or compressed beforehand: the noise is then underestimated.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    chosen = planes[:: max(1, len(planes) // 6)]
    if min(chosen.shape[1:]) < 3:
        return NoiseModel(1e-3, 0.0, _variance_floor(chosen, integer))
    mean = np.concatenate([cv2.blur(plane, (5, 5))[1:-1, 1:-1].ravel() for plane in chosen])
    rest = np.concatenate([cv2.filter2D(plane, -1, kernel)[1:-1, 1:-1].ravel() for plane in chosen])
    if len(mean) > 2_000_000:
        step = len(mean) // 1_000_000
        mean, rest = mean[::step], rest[::step]
    floor = _variance_floor(chosen, integer)
    order = np.argsort(mean, kind="stable")
    # bins even in rank and, above, even in the square root of the mean: few bright pixels still count
    ranks = np.unique(np.linspace(0, len(order), 25).astype(int))
    root = np.sqrt(np.maximum(mean[order] - mean[order[0]], 0))
    ranks = np.union1d(ranks, np.searchsorted(root, np.linspace(root[0], root[-1], 25)))
    levels, variances, weights = [], [], []
    for low, high in itertools.pairwise(ranks):
        if high - low < 100:
            continue
        chunk = order[low:high]
        levels.append(float(np.mean(mean[chunk])))
        # the lower quartile of |N(0, s²)| is 0.3186 s
        variances.append((float(np.quantile(np.abs(rest[chunk]), 0.25)) / 0.3186) ** 2)
        weights.append(high - low)
    if not levels:
        return NoiseModel(1e-3, float(np.var(rest)), floor)
    level, spread = np.array(levels), np.maximum(variances, floor)
    weight = np.sqrt(np.array(weights)) / spread
    if np.ptp(level) <= 3 * np.sqrt(spread[0]):
        # nothing but background
        flat = float(np.average(spread, weights=weights))
        return NoiseModel(1e-3, flat, max(floor, 0.5 * flat))
    dark = float(np.average(spread[: max(1, len(spread) // 8)]))
    slope, intercept = 0.0, dark
    # relative standard error of a bin's variance, the filter's correlated neighbours counted
    believed = 0.05 + 6 / np.sqrt(weights)
    robust = weight.copy()
    for _ in range(20):
        slope, intercept = np.polyfit(level, spread, 1, w=robust)
        excess = (spread - slope * level - intercept) / np.maximum(spread, floor)
        # structure only ever adds variance: what lies above the line is believed less
        robust = weight * believed / np.maximum(excess, believed)
    if slope <= 0:
        return NoiseModel(1e-3, dark, max(floor, 0.5 * dark))
    return NoiseModel(float(slope), float(intercept), max(floor, 0.5 * dark))


def _variance_floor(planes: Image, integer: bool) -> float:
    """Variance below which no detector goes: rounding, or a hundred-thousandth of the range."""
    span = float(np.ptp(planes)) if planes.size else 0.0
    return max(1 / 12 if integer else 0.0, (1e-5 * span) ** 2, 1e-12)
