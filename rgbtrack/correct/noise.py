"""The noise of a detector, from the image itself."""

import itertools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]
SAMPLE_PX = 250_000
BAND_ROWS = 16
WIDEST_PX, PIECE_PX = 4096, 1024
"""Bands of wider images are sampled in pieces."""
BINS = 25
LEVELS = 65535


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


def estimate_noise(planes: NDArray[Any], *, step: float = 1.0) -> NoiseModel:
    """Noise model of one channel from its own mean-variance relation.

    A second-difference filter removes what is smooth; what it leaves in each bin of local mean has the
    variance of the noise. The lower quartile of its size is used, so that edges and texture count little.

    Parameters
    ----------
    planes
        Raw counts, shape (n, y, x).
    step
        Rounding of the counts, which sets a floor: 1 for whole numbers, 0 for none; see `Stack.step`.

    Notes
    -----
    Immerkaer, Computer Vision and Image Understanding 64 (1996) 300, for the filter; photon transfer for
    the fit. Of a large image a sample is used, bands of rows. Fails where an image was smoothed or
    compressed beforehand: the noise is then underestimated.
    """
    from rgbtrack.correct.kernels import levels_below_top, sort_by_bin

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    chosen = sample_bands(planes)
    if min(chosen.shape[1:]) < 3:
        return NoiseModel(1e-3, 0.0, _variance_floor(chosen, step))
    floor = _variance_floor(chosen, step)
    # where the detector is full there is no noise
    top = float(chosen.max())
    filtered = [
        np.stack([work(plane)[1:-1, 1:-1] for plane in chosen])
        for work in (
            lambda plane: cv2.dilate(plane, np.ones((5, 5))),
            lambda plane: cv2.blur(plane, (5, 5)),
            lambda plane: cv2.filter2D(plane, -1, kernel),
            _steepness,
        )
    ]
    highest, mean, rest, slope = (image.ravel() for image in filtered)
    fine, rank = levels_below_top(highest, mean, top, LEVELS)
    # bins even in rank and, above, even in the square root of the mean: few bright pixels still count
    even = np.searchsorted(rank, np.linspace(0, rank[-2], BINS)[1:-1])
    edges = np.union1d(even, np.linspace(0, LEVELS - 1, BINS).astype(int)[1:-1])
    bins = np.repeat(
        np.arange(len(edges) + 2, dtype=np.uint8), np.diff([0, *(edges + 1), LEVELS, LEVELS + 1])
    )
    ranks = np.concatenate([[0], rank[edges], rank[-2:-1]])
    rest, slope, sums = sort_by_bin(bins, fine, ranks, mean, rest, slope)
    levels, variances, weights = [], [], []
    for total, (low, high) in zip(sums[:-1], itertools.pairwise(ranks), strict=True):
        if high - low < 200:
            continue
        levels.append(total / (high - low))
        # where the image is flattest; an odd filter tells nothing of the noise in an even one
        steep, third = slope[low:high], (high - low) // 3 - 1
        flattest = np.compress(steep <= np.partition(steep, third)[third], rest[low:high])
        # the lower quartile of |N(0, s²)| is 0.3186 s
        quarter = len(flattest) // 4
        variances.append((float(np.partition(flattest, quarter)[quarter]) / 0.3186) ** 2)
        weights.append(len(flattest))
    if not levels:
        return NoiseModel(1e-3, float(np.mean(rest[: ranks[-1]] ** 2)), floor)
    level, spread = np.array(levels), np.maximum(variances, floor)
    if np.ptp(level) <= 3 * np.sqrt(spread[0]):
        # nothing but background
        flat = float(np.average(spread, weights=weights))
        return NoiseModel(1e-3, flat, max(floor, 0.5 * flat))
    dark = float(np.average(spread[: max(1, len(spread) // 8)]))
    gain, intercept = 0.0, dark
    # relative standard error of a bin's variance, the filter's correlated neighbours counted
    believed = 0.05 + 6 / np.sqrt(weights)
    fitted, share = spread, np.ones(len(spread))
    for _ in range(20):
        # weighed by what the line says: a bin that came out low by chance would weigh most
        gain, intercept = _line(level, spread, np.square(share / fitted) * weights)
        fitted = np.maximum(gain * level + intercept, np.maximum(floor, 0.3 * dark))
        # structure only ever adds variance: what lies above the line is believed less
        share = believed / np.maximum((spread - fitted) / fitted, believed)
    if gain <= 0:
        return NoiseModel(1e-3, dark, max(floor, 0.5 * dark))
    return NoiseModel(float(gain), float(intercept), max(floor, 0.5 * dark))


def _line(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    """Slope and intercept of the line of least squares."""
    share = weight / weight.sum()
    x_mean, y_mean = share @ x, share @ y
    lever = share * (x - x_mean)
    slope = lever @ y / (lever @ x)
    return float(slope), float(y_mean - slope * x_mean)


def _steepness(plane: Image) -> Image:
    """Square of the gradient over 5 x 5 pixels."""
    return cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=5) ** 2 + cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=5) ** 2


def sample_bands(planes: Any) -> Image:
    """Bands of rows of some planes, about `SAMPLE_PX` pixels in all, as an array (n, y, x).

    Of very wide images pieces of such bands, from left to right as they go down.
    """
    chosen = planes[:: max(1, len(planes) // 6)]
    height, width = chosen.shape[1:]
    wide = width if width <= WIDEST_PX else PIECE_PX
    bands = max(1, SAMPLE_PX // (len(chosen) * BAND_ROWS * wide))
    if bands * BAND_ROWS >= height and wide == width:
        return np.asarray(chosen, np.float32)
    tops = np.linspace(0, max(0, height - BAND_ROWS), bands).astype(int)
    lefts = np.linspace(0, width - wide, bands).astype(int)
    return np.stack(
        [
            np.asarray(plane[y : y + BAND_ROWS, x : x + wide], np.float32)
            for plane in chosen
            for y, x in zip(tops, lefts, strict=True)
        ]
    )


def _variance_floor(planes: Image, step: float) -> float:
    """Variance below which no detector goes: rounding, or a hundred-thousandth of the range."""
    span = float(np.ptp(planes)) if planes.size else 0.0
    return max(step**2 / 12, (1e-5 * span) ** 2, 1e-12)
