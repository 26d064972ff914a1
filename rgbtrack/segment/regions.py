"""Regions and the seams between them: sums that add up when regions are joined."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image

Array = NDArray[np.float64]
N, POSITION, SQUARES, STRENGTH, CHANNELS = 0, slice(1, 4), slice(4, 10), 10, 11
"""Columns of `region_sums`: pixels; z, y, x; zz, yy, xx, zy, zx, yx; strength; units; light."""


@dataclass(frozen=True, eq=False)
class Seams:
    """Where two regions touch.

    Attributes
    ----------
    first, second
        Labels, first < second, shape (s,).
    sums
        Pixel pairs, gradient and strength summed over them, shape (s, 3).
    pass_height
        Largest distance to an edge met on the seam, shape (s,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    sums: Array
    pass_height: Array


def region_sums(labels: NDArray[np.int32], n: int, strength: Image, units: Image, light: Image) -> Array:
    """Sums over the pixels of each label, shape (n + 1, 11 + 2 c)."""
    sums = np.zeros((n + 1, CHANNELS + 2 * len(units)))
    _region_sums(labels, strength, units, light, sums)
    return sums


def find_seams(labels: NDArray[np.int32], n: int, gradient: Image, strength: Image, distance: Image) -> Seams:
    """Find all pairs of labels that touch; the labels are (z, y, x)."""
    n_pairs = _count_pairs(labels)
    key = np.empty(n_pairs, np.int64)
    values = np.empty((n_pairs, 3))
    _collect_pairs(labels, n, gradient, strength, distance, key, values)
    sums = np.concatenate([np.ones((n_pairs, 1)), values[:, :2]], axis=1)
    return fold_seams(key, n, sums, values[:, 2])


def fold_seams(key: NDArray[np.int64], n: int, sums: Array, pass_height: Array) -> Seams:
    """Sum up what belongs to one pair; ``key = first * (n + 1) + second``."""
    order = np.argsort(key, kind="stable")
    key = key[order]
    start = np.flatnonzero(np.diff(key, prepend=-1))
    if not len(start):
        return Seams(key, key, sums[:0], pass_height[:0])
    pairs = key[start]
    return Seams(
        pairs // (n + 1),
        pairs % (n + 1),
        np.add.reduceat(sums[order], start, axis=0),
        np.maximum.reduceat(pass_height[order], start),
    )


def highest(labels: NDArray[np.int32], n: int, values: Image) -> Array:
    """Largest value in each label, shape (n + 1,); 0 for a label without pixels."""
    top = np.zeros(n + 1)
    _highest(labels.ravel(), values.ravel(), top)
    return top


def sums_of(labels: NDArray[np.int32], n: int, values: Image) -> Array:
    """Sum of (z, y, x) over the pixels of each label, shape (n + 1,); 0 for the background."""
    total = np.zeros(n + 1)
    _sums_of(labels, values, total)
    return total


def outline_mean(labels: NDArray[np.int32], n: int, values: Image) -> Array:
    """Mean over the pixels of each label that touch another label or none in the plane, shape (n + 1,)."""
    total, count = np.zeros(n + 1), np.zeros(n + 1)
    _outline_sums(labels, values, total, count)
    mean: Array = total / np.maximum(count, 1)
    return mean


def ellipsoid(sums: Array, volume: bool, spacing: float) -> tuple[Array, Array, Array]:
    """Ellipse, or ellipsoid, of the same second moments as each region.

    Returns
    -------
    fill, long, short
        Share of the ellipse's area (volume) that the region's own makes, and its longest and shortest
        semi-axis in pixels of the plane; shape (n,).
    """
    n = np.maximum(sums[:, N], 1)
    mean = sums[:, POSITION] / n[:, None]
    square = sums[:, SQUARES] / n[:, None]
    size = np.array([spacing, 1.0, 1.0])
    covariance = np.empty((len(sums), 3, 3))
    for k, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
        value = (square[:, k] - mean[:, i] * mean[:, j] + (i == j) / 12) * size[i] * size[j]
        covariance[:, i, j] = covariance[:, j, i] = value
    if volume:
        variance = np.maximum(np.linalg.eigvalsh(covariance), 1 / 12)  # (n, 3), ascending
        whole = 4 / 3 * np.pi * 5**1.5 * np.sqrt(variance.prod(1))
        return n * spacing / whole, np.sqrt(5 * variance[:, 2]), np.sqrt(5 * variance[:, 0])
    yy, xx, yx = covariance[:, 1, 1], covariance[:, 2, 2], covariance[:, 1, 2]
    middle, off = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    long, short = middle + off, np.maximum(middle - off, 1 / 12)
    return n / (4 * np.pi * np.sqrt(long * short)), 2 * np.sqrt(long), 2 * np.sqrt(short)


@numba.njit(cache=True)
def _region_sums(labels, strength, units, light, sums):  # type: ignore[no-untyped-def]
    """Sums over runs of one label along a row."""
    depth, height, width = labels.shape
    n = len(units)
    for z in range(depth):
        for y in range(height):
            x = 0
            while x < width:
                k = labels[z, y, x]
                start = x
                while x < width and labels[z, y, x] == k:
                    x += 1
                if k == 0:
                    continue
                row = sums[k]
                pixels = float(x - start)
                last = float(x - 1)
                along = pixels * (start + last) / 2  # sum of x, and of its squares
                squares = (last * x * (last + x) - (start - 1.0) * start * (2.0 * start - 1)) / 6
                row[0] += pixels
                row[1] += z * pixels
                row[2] += y * pixels
                row[3] += along
                row[4] += z * z * pixels
                row[5] += y * y * pixels
                row[6] += squares
                row[7] += z * y * pixels
                row[8] += z * along
                row[9] += y * along
                row[10] += _run_sum(strength[z, y], start, x)
                for c in range(n):
                    row[11 + c] += _run_sum(units[c, z, y], start, x)
                    row[11 + n + c] += _run_sum(light[c, z, y], start, x)


@numba.njit(cache=True)
def _run_sum(values, start, stop):  # type: ignore[no-untyped-def]
    total = 0.0
    for x in range(start, stop):
        total += values[x]
    return total


@numba.njit(cache=True)
def _sums_of(labels, values, total):  # type: ignore[no-untyped-def]
    depth, height, width = labels.shape
    for z in range(depth):
        for y in range(height):
            x = 0
            while x < width:
                k = labels[z, y, x]
                start = x
                while x < width and labels[z, y, x] == k:
                    x += 1
                if k > 0:
                    total[k] += _run_sum(values[z, y], start, x)


@numba.njit(cache=True)
def _count_pairs(labels):  # type: ignore[no-untyped-def]
    depth, height, width = labels.shape
    n = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                k = labels[z, y, x]
                if k == 0:
                    continue
                if x + 1 < width and labels[z, y, x + 1] > 0 and labels[z, y, x + 1] != k:
                    n += 1
                if y + 1 < height and labels[z, y + 1, x] > 0 and labels[z, y + 1, x] != k:
                    n += 1
                if z + 1 < depth and labels[z + 1, y, x] > 0 and labels[z + 1, y, x] != k:
                    n += 1
    return n


@numba.njit(cache=True)
def _collect_pairs(labels, n, gradient, strength, distance, key, values):  # type: ignore[no-untyped-def]
    depth, height, width = labels.shape
    at = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                k = labels[z, y, x]
                if k == 0:
                    continue
                for step in range(3):
                    a, b, c = z + (step == 2), y + (step == 1), x + (step == 0)
                    if a >= depth or b >= height or c >= width:
                        continue
                    other = labels[a, b, c]
                    if other == 0 or other == k:
                        continue
                    key[at] = min(k, other) * np.int64(n + 1) + max(k, other)
                    values[at, 0] = max(gradient[z, y, x], gradient[a, b, c])
                    values[at, 1] = min(strength[z, y, x], strength[a, b, c])
                    values[at, 2] = min(distance[z, y, x], distance[a, b, c])
                    at += 1


@numba.njit(cache=True)
def _outline_sums(labels, values, total, count):  # type: ignore[no-untyped-def]
    depth, height, width = labels.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                k = labels[z, y, x]
                if k > 0 and (
                    (x > 0 and labels[z, y, x - 1] != k)
                    or (x + 1 < width and labels[z, y, x + 1] != k)
                    or (y > 0 and labels[z, y - 1, x] != k)
                    or (y + 1 < height and labels[z, y + 1, x] != k)
                ):
                    total[k] += values[z, y, x]
                    count[k] += 1


@numba.njit(cache=True)
def _highest(labels, values, top):  # type: ignore[no-untyped-def]
    for i in range(labels.size):
        k = labels[i]
        if k > 0 and values[i] > top[k]:
            top[k] = values[i]


def renumber(labels: NDArray[np.int32], keep: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Keep some labels and number them from 1; ``keep[0]`` is not asked."""
    number = np.zeros(len(keep), np.int32)
    chosen = np.flatnonzero(keep[1:]) + 1
    number[chosen] = np.arange(1, len(chosen) + 1)
    result: Any = number[labels]
    return result, len(chosen)
