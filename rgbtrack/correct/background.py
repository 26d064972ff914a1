"""The local background of a plane."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.correct.noise import Image, NoiseModel
from rgbtrack.threads import over_bands

SMOOTHING_PX = 1.5
MOST_PX = 2**25
"""Of the means that the background of a plane is found from: more are averaged first."""


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
    from rgbtrack.grids import spread_rows

    grid, factor = background_grid(plane, noise, window_px)
    background = np.empty(plane.shape, np.float32)
    spread_rows(grid, factor, 0, len(background), 0, background)
    return background


def background_grid(plane: NDArray[Any], noise: NoiseModel, window_px: float) -> tuple[Image, int]:
    """Local background at the centres of blocks of so many pixels; see `estimate_background`."""
    shrink = background_shrink(window_px, plane.shape)
    return grid_of_small(shrink_plane(plane, shrink), shrink, noise, window_px)


def background_shrink(window_px: float, shape: tuple[int, ...]) -> int:
    """Pixels of a side of the blocks whose means the background of a plane is found from."""
    shrink = int(np.clip(round(window_px / 32), 1, 4))
    most = max(shrink, int(window_px / 16))
    while shrink < most and int(np.prod(shape)) > MOST_PX * shrink**2:
        shrink += 1
    return shrink


def grid_of_small(small: Image, shrink: int, noise: NoiseModel, window_px: float) -> tuple[Image, int]:
    """Local background as of `background_grid`, from the plane as `shrink_plane` gives it."""
    from rgbtrack.correct.kernels import background_rows

    small, scale = _smoothed(small, shrink)
    base = np.float32(np.round(small.min()))  # floats are finest near 0
    small -= base
    block = int(np.clip(window_px / shrink / 2, 4, max(4, min(small.shape))))
    sigma = window_px / shrink / 4
    factor = max(1, int(sigma / 2.5))
    shape = tuple(-(-n // factor) for n in small.shape)
    level = _block_percentile(small, block, 5, shape)
    tiny = 3e-6 * scale * max(1.0, float(np.abs(level + base).max()))
    intercept = noise.intercept + noise.gain * float(base)
    total, share = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for _ in range(5):

        def work(start: int, stop: int, level: Image = level) -> None:
            background_rows(
                small,
                level,
                factor,
                noise.gain,
                intercept,
                noise.floor,
                tiny,
                scale,
                start,
                stop,
                total,
                share,
            )

        over_bands(work, shape[0])
        if not share.any():
            break
        level = _local_mean(total, share, sigma / factor)
    return level + base, factor * shrink


def _smoothed(small: Image, shrink: int) -> tuple[Image, float]:
    """Smoothed image, and what is left of the standard deviation of white noise."""
    # means over blocks are smooth already; what is missing to a Gaussian of SMOOTHING_PX is added
    missing = np.sqrt(max(0.01, SMOOTHING_PX**2 - (shrink**2 - 1) / 12)) / shrink
    return gaussian(small, missing), float(np.sqrt(1 / (4 * np.pi * SMOOTHING_PX**2)))


def shrink_plane(plane: NDArray[Any], factor: int) -> Image:
    """Means over blocks of factor x factor pixels; the last ones may be smaller."""
    from rgbtrack.grids import shrink_rows

    if factor == 1:
        return plane.astype(np.float32)
    small = np.empty(tuple(-(-n // factor) for n in plane.shape), np.float32)
    over_bands(lambda start, stop: shrink_rows(plane, factor, start, stop, small), len(small))
    return small


def _local_mean(total: Image, share: Image, sigma: float) -> Image:
    """Local mean of what was counted; far from any, from ever wider surroundings."""
    both = cv2.merge([total, share])
    mean = np.full(total.shape, float(total.sum(dtype=float) / share.sum(dtype=float)), np.float32)
    for s in (4 * sigma, sigma):
        near = gaussian(both, s)
        mean = (near[..., 0] + 0.01 * mean) / (near[..., 1] + 0.01)
    return mean


def _block_percentile(image: Image, block: int, percentile: float, shape: tuple[int, ...]) -> Image:
    """Percentile of each block, least of its neighbours, spread over an image of some shape."""
    sides = [min(n, block + 1) for n in image.shape]
    starts = [
        np.linspace(0, n - side, max(1, round(n / block))).astype(int)
        for n, side in zip(image.shape, sides, strict=True)
    ]
    windows = np.lib.stride_tricks.sliding_window_view(image, tuple(sides))[np.ix_(*starts)]
    rank = int(percentile / 100 * (sides[0] * sides[1] - 1))
    grid = np.partition(windows.reshape(*windows.shape[:2], -1), rank, axis=2)[..., rank]
    grid = ndi.minimum_filter(grid, size=tuple(min(3, n) for n in grid.shape), mode="nearest")
    return cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(shape)


def gaussian(image: Image, sigma: float) -> Image:
    """Gaussian blur of one plane, or of several (y, x, c); wide ones on a smaller copy."""
    side = min(image.shape[:2])
    if sigma > 6 and side > 16:
        shrink = min(int(sigma / 3), side // 8)
        size = (max(1, image.shape[1] // shrink), max(1, image.shape[0] // shrink))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REFLECT_101)
        return cv2.resize(blurred, image.shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(image.shape)
    border = cv2.BORDER_REPLICATE if side == 1 else cv2.BORDER_REFLECT_101
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=border).reshape(image.shape)
