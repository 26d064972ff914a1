"""The typical diameter of cells, from the image."""

import warnings
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import RgbtrackWarning
from rgbtrack.segment.filters import Image, blur
from rgbtrack.segment.noise import noise_units, plane_units
from rgbtrack.segment.objects import at_edge
from rgbtrack.stack import Stack
from rgbtrack.threads import over_bands

WINDOW_PX = 512
LEAST_ANSWER = 0.15


def estimate_diameter(stack: Stack, t: int, channels: list[int]) -> float:
    """Typical cell diameter in pixels, from the scale at which blobs answer most.

    Blobs are maxima, over place and scale, of the scale-normalised Laplacian of the strength in noise
    units; a disc of diameter d answers most at ``sigma = d / (2 sqrt(2))`` (Lindeberg, Int. J. Comput. Vis.
    30 (1998) 79).
    """
    window = brightest_window(stack, t, channels, WINDOW_PX)
    frame = stack.frame(t).crop(window)
    light = [np.maximum(blur(brightest_units(frame, c)[None], 1.0)[0], 0) for c in channels]
    strength = np.sqrt(np.sum([plane * plane for plane in light], axis=0))
    # the square root keeps one bright cell from speaking for all
    strength = np.sqrt(strength, dtype=np.float32)
    floor = np.sqrt(2.0)  # blobs below twice the noise of a pixel are not asked
    sigmas = np.geomspace(1.5, max(4.0, min(60.0, min(strength.shape) / 6)), 20)
    answers = over_bands(lambda i, _: _blobs(strength, float(sigmas[i])), len(sigmas), len(sigmas))
    weights = over_bands(
        lambda i, _: _tops(*answers[i : i + 3], strength, floor), len(sigmas) - 2, len(sigmas) - 2
    )
    widths = [np.full(len(w), 2 * np.sqrt(2) * s) for w, s in zip(weights, sigmas[1:-1], strict=True)]
    weight, found = np.concatenate(weights), np.concatenate(widths)
    if not len(weight):
        default = 13.0 / (stack.pixel_size_um or 1.0)
        warnings.warn(
            f"{stack.source}: no cells to estimate a diameter from, 13 um is used: set diameter_um",
            RgbtrackWarning,
            stacklevel=4,
        )
        return default
    order = np.argsort(found)
    share = np.cumsum(weight[order])
    return float(found[order][np.searchsorted(share, 0.5 * share[-1])])


def _blobs(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Scale-normalised Laplacian of (y, x), positive in bright blobs; wide ones on a smaller copy."""
    shrink = max(1, min(int(sigma / 2), min(image.shape) // 8))
    size = (max(1, image.shape[1] // shrink), max(1, image.shape[0] // shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(size[::-1])
    smooth = blur(small[None], sigma / shrink)[0]
    answer = cv2.Laplacian(smooth, cv2.CV_32F, scale=-((sigma / shrink) ** 2)).reshape(size[::-1])
    return np.asarray(cv2.resize(answer, image.shape[::-1]).reshape(image.shape), np.float32)


@numba.njit(cache=True, nogil=True)
def _tops(narrower, image, wider, strength, floor):  # type: ignore[no-untyped-def]
    """Answers (y, x) no smaller than any within two pixels, of this scale and of the next on either side."""
    height, width = image.shape
    found, n = np.empty(image.size, np.float32), 0
    top = np.zeros(8 * (width // 8 + 1), np.uint8)
    words = top.view(np.uint64)
    for y in range(height):
        line, light = image[y], strength[y]
        up, down = image[max(y - 1, 0)], image[min(y + 1, height - 1)]
        for x in range(width):
            top[x] = (line[x] > LEAST_ANSWER) & (light[x] > floor) & (line[x] >= up[x]) & (line[x] >= down[x])
        for word in range(len(words)):  # few are left: eight at a time are passed over
            if words[word] == 0:
                continue
            for x in range(8 * word, min(8 * word + 8, width)):
                if (
                    top[x]
                    and _none_above(image, y, x, line[x])
                    and _none_above(narrower, y, x, line[x])
                    and _none_above(wider, y, x, line[x])
                ):
                    found[n] = line[x]
                    n += 1
    return found[:n].copy()


@numba.njit(cache=True, nogil=True)
def _none_above(image, y, x, value):  # type: ignore[no-untyped-def]
    """Whether no pixel within two of a place is above a value."""
    height, width = image.shape
    for i in range(max(y - 2, 0), min(y + 3, height)):
        for j in range(max(x - 2, 0), min(x + 3, width)):
            if image[i, j] > value:
                return False
    return True


def brightest_units(frame: Stack, c: int) -> Image:
    """Largest over all planes of one channel in units of its own noise, shape (y, x)."""

    def work(start: int, stop: int) -> Image:
        top = plane_units(frame, c, start)
        for z in range(start + 1, stop):
            np.maximum(top, plane_units(frame, c, z), out=top)
        return top

    return np.maximum.reduce(over_bands(work, frame.pixels.shape[2]))


def brightest_window(stack: Stack, t: int, channels: list[int], side: int) -> tuple[slice, slice]:
    """Rows and columns of the square, of at most this side, whose light stands highest above noise."""
    height, width = stack.pixels.shape[-2:]
    step = max(1, side // 16)
    filled = _filled(stack.frame(t), channels, step)
    rows, columns = min(height, side), min(width, side)
    total = cv2.integral(filled)
    a, b = max(1, rows // step), max(1, columns // step)
    a, b = min(a, filled.shape[0]), min(b, filled.shape[1])
    sums = total[a:, b:] - total[:-a, b:] - total[a:, :-b] + total[:-a, :-b]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    top, left = min(int(y) * step, height - rows), min(int(x) * step, width - columns)
    return slice(top, top + rows), slice(left, left + columns)


def light_above_noise(stack: Stack, channels: list[int]) -> float:
    """How much of the first frame stands above noise: the mean of what `brightest_window` looks for."""
    return float(_filled(stack.frame(0), channels, WINDOW_PX // 16).mean())


def _filled(frame: Stack, channels: list[int], step: int) -> NDArray[np.float32]:
    """Strength of every so many pixels; what lies above noise counts the same, however bright."""
    thin = frame.crop((slice(None, None, step), slice(None, None, step)))
    light = np.sqrt((np.maximum(noise_units(thin)[channels], 0) ** 2).sum((0, 1)))
    return np.minimum(light, 5).astype(np.float32)


def typical_diameter(labels: NDArray[Any], probability: NDArray[np.float64]) -> tuple[float, int]:
    """Median diameter, in pixels, of the cells that are sure and whole, and how many those are.

    Of fewer than three the others are asked too. In volumes it is that of the largest cross-section, which
    does not depend on the distance of the planes.
    """
    n = len(probability)
    if n == 0:
        return 0.0, 0
    area = np.max([np.bincount(plane.ravel(), minlength=n + 1)[1:] for plane in labels], axis=0)
    whole = np.ones(n + 1, bool)
    whole[at_edge(labels)] = False
    good = whole[1:] & (probability > 0.7)
    used = good if good.sum() >= 3 else area > 0
    return float(np.median(2 * np.sqrt(area[used] / np.pi))), int(used.sum())
