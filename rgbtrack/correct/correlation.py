"""Whether the noise of neighbouring pixels goes together: of binned, smoothed or compressed images."""

import cv2
import numpy as np

from rgbtrack.correct.noise import Image, NoiseModel, sample_bands

CLEAR = 1.35
"""White noise differs alike at any distance; noise that differs so much less nearby is correlated."""
LEAST_PX = 2000
FEWER, MAYBE = 3, 1.15
"""Where one band of so many of the sample differs by less than this, the noise is white."""
SPARSE = 8
"""One pixel of so many tells where the flattest quarter of an image begins."""
_NEXT = np.linspace(0, 0.8, 161)
_RATIO = (6 - 8 * _NEXT**4 + 2 * _NEXT**16) / (6 - 8 * _NEXT + 2 * _NEXT**4)


def noise_correlation(planes: Image, noise: NoiseModel) -> float:
    """Variance of a mean over many pixels, over that of white noise of this model; 1 where it is white.

    Second differences at distances of 1 and 2 pixels tell the covariance of the noise at these distances,
    where the image is flattest, in units of the model. Smoothed noise differs little side by side, so that
    the model, which rests on neighbours, is too small, and pixels do not average out as if each were its own.

    Parameters
    ----------
    planes
        Raw counts, shape (n, y, x).
    noise
        Of these planes, from `estimate_noise`.

    Notes
    -----
    Distances along rows and columns are taken to be independent, and the covariance to fall off as that of
    noise smoothed by a Gaussian.
    """
    chosen = sample_bands(planes)
    if min(chosen.shape[1:]) < 16 or _factor(chosen[::FEWER], noise, MAYBE) == 1:
        return 1.0
    return _factor(chosen, noise, CLEAR)


def _factor(chosen: Image, noise: NoiseModel, clear: float) -> float:
    """As of `noise_correlation`, from bands of rows."""
    flat = np.stack([_flatness(plane, noise) for plane in chosen])
    factor = 1.0
    for axis in (1, 2):
        near, next_ = (_second_difference(chosen, flat, noise, lag, axis) for lag in (1, 2))
        if not (np.isfinite(next_) and next_ > clear * near > 0):
            return 1.0
        # noise smoothed by a Gaussian has the correlation r at a distance of 1, r^4 at 2, r^9 at 3
        r = float(np.interp(next_ / near, _RATIO, _NEXT))
        own = near / (6 - 8 * r + 2 * r**4)
        factor *= (1 + 2 * (r + r**4 + r**9)) * np.sqrt(own)
    return max(1.0, factor)


def _flatness(plane: Image, noise: NoiseModel) -> Image:
    """Gradient over 9 pixels, in units of noise, that is least where nothing but noise is."""
    wide = cv2.blur(plane, (9, 9))
    steep = cv2.Sobel(wide, cv2.CV_32F, 1, 0, ksize=5) ** 2 + cv2.Sobel(wide, cv2.CV_32F, 0, 1, ksize=5) ** 2
    return np.asarray(steep / noise.variance(wide), np.float32)


def _second_difference(planes: Image, flat: Image, noise: NoiseModel, lag: int, axis: int) -> float:
    """Variance of ``x(-lag) - 2 x(0) + x(lag)`` in units of the model's variance; 6 for white noise."""
    n = planes.shape[axis]

    def cut(image: Image, start: int) -> Image:
        return (
            image[:, :, start : n - 2 * lag + start] if axis == 2 else image[:, start : n - 2 * lag + start]
        )

    steep = cut(flat, lag)
    calm = steep <= np.quantile(steep.ravel()[::SPARSE], 0.25)
    left, middle, right = (cut(planes, start)[calm] for start in (0, lag, 2 * lag))
    if len(middle) < LEAST_PX:
        return np.nan
    ends = left + right
    score = np.abs(ends - 2 * middle) / np.sqrt(noise.variance(np.asarray((ends + middle) / 3, np.float32)))
    # the lower quartile of |N(0, s²)| is 0.3186 s
    quarter = len(score) // 4
    return float(np.partition(score, quarter)[quarter] / 0.3186) ** 2
