"""The local background of a plane."""

import itertools

import cv2
import numpy as np
from scipy import ndimage as ndi

from rgbtrack.correct.noise import Image, NoiseModel

SMOOTHING_PX = 1.5


def estimate_background(plane: Image, noise: NoiseModel, window_px: float) -> Image:
    """Local background of one plane, shape (y, x), counts.

    Starts at a low percentile of the smoothed image in blocks, then averages, again and again, the pixels
    within three noise standard deviations of it. Where no empty pixel is near, the level is taken from
    further away.

    Parameters
    ----------
    plane
        Raw counts, shape (y, x).
    noise
        Of this channel.
    window_px
        Window in which the background may be taken as even; several cells wide.
    """
    height, width = plane.shape
    smooth = gaussian(plane, SMOOTHING_PX)
    shrink = int(np.clip(window_px / 32, 1, 4))
    small = smooth[::shrink, ::shrink]  # a sample, not an average: gaps between cells stay empty
    scale = np.sqrt(1 / (4 * np.pi * SMOOTHING_PX**2))  # of white noise after smoothing
    block = int(np.clip(window_px / shrink / 2, 4, max(4, min(small.shape))))
    level = _block_percentile(small, block, 5)
    sigma = window_px / shrink / 4
    for _ in range(5):
        sd = np.maximum(np.sqrt(noise.variance(level)) * scale, 1e-6 * max(1.0, float(np.abs(level).max())))
        inside = (np.abs(small - level) < 3 * sd).astype(np.float32)
        if not inside.any():
            break
        level = _local_mean(small, inside, sigma)
    return cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width)


def _local_mean(image: Image, weight: Image, sigma: float) -> Image:
    """Weighted local mean; far from any weight, from ever wider surroundings."""
    total = float((image * weight).sum() / weight.sum())
    mean = np.full(image.shape, total, np.float32)
    for s in (4 * sigma, sigma):
        density = gaussian(weight, s)
        mean = (gaussian(image * weight, s) + 0.01 * mean) / (density + 0.01)
    return mean


def _block_percentile(image: Image, block: int, percentile: float) -> Image:
    """Percentile of each block, spread over the image."""
    rows, columns = (max(1, round(n / block)) for n in image.shape)
    ys = np.linspace(0, image.shape[0], rows + 1).astype(int)
    xs = np.linspace(0, image.shape[1], columns + 1).astype(int)
    grid = np.array(
        [
            [np.percentile(image[y0:y1, x0:x1], percentile) for x0, x1 in itertools.pairwise(xs)]
            for y0, y1 in itertools.pairwise(ys)
        ],
        np.float32,
    )
    grid = ndi.minimum_filter(grid, size=(min(3, rows), min(3, columns)), mode="nearest")
    return cv2.resize(grid, image.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(image.shape)


def gaussian(image: Image, sigma: float) -> Image:
    """Gaussian blur of one plane; wide ones on a smaller copy."""
    if sigma > 12 and min(image.shape) > 16:
        shrink = min(int(sigma / 4), min(image.shape) // 8)
        size = (max(1, image.shape[1] // shrink), max(1, image.shape[0] // shrink))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REFLECT_101)
        return cv2.resize(blurred, image.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(image.shape)
    border = cv2.BORDER_REPLICATE if min(image.shape) == 1 else cv2.BORDER_REFLECT_101
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=border).reshape(image.shape)
