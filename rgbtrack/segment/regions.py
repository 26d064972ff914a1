"""Regions and the seams between them: sums that add up when regions are joined."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image
from rgbtrack.threads import over_bands, sum_bands

Array = NDArray[np.float64]
N, POSITION, SQUARES, STRENGTH, CHANNELS = 0, slice(1, 4), slice(4, 10), 10, 11
"""Columns of `region_sums`: pixels; z, y, x; zz, yy, xx, zy, zx, yx; strength; units; light."""

BANDS = 4
"""Pieces of an image that are summed apart: fixed, so that sums do not depend on the number of threads."""


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

    def take(self, chosen: NDArray[np.bool_]) -> "Seams":
        """Some of them."""
        return Seams(self.first[chosen], self.second[chosen], self.sums[chosen], self.pass_height[chosen])

    def plus(self, other: "Seams") -> "Seams":
        """These and others."""
        return Seams(
            np.concatenate([self.first, other.first]),
            np.concatenate([self.second, other.second]),
            np.concatenate([self.sums, other.sums]),
            np.concatenate([self.pass_height, other.pass_height]),
        )


def region_sums(labels: NDArray[np.int32], n: int, strength: Image, units: Image, light: Image) -> Array:
    """Sums over the pixels of each label, shape (n + 1, 11 + 2 c)."""
    shape = (n + 1, CHANNELS + 2 * len(units))
    return sum_bands(
        lambda a, b, sums: _region_sums(labels, strength, units, light, a, b, sums),
        _rows(labels),
        BANDS,
        shape,
    )


def region_sizes(labels: NDArray[np.int32], n: int) -> Array:
    """Pixels of each label, shape (n + 1,); of 0 none."""
    return sum_bands(lambda a, b, sums: _sizes(labels, a, b, sums), _rows(labels), BANDS, (n + 1,))


def image_sums(labels: NDArray[np.int32], n: int, images: Image) -> Array:
    """Sum of each image (c, z, y, x) over the pixels of each label, shape (n + 1, c); of 0 none."""
    shape = (n + 1, len(images))
    return sum_bands(lambda a, b, sums: _image_sums(labels, images, a, b, sums), _rows(labels), BANDS, shape)


def grid_sums(labels: NDArray[np.int32], n: int, grids: Image, factor: int) -> Array:
    """Sums as of `image_sums`, of images given at the centres of blocks of so many pixels, bilinear between.

    The blocks are (c, z, y, x).
    """
    shape = (n + 1, len(grids))
    return sum_bands(
        lambda a, b, sums: _grid_sums(labels, grids, factor, a, b, sums), _rows(labels), BANDS, shape
    )


def relabel(labels: NDArray[np.int32], table: NDArray[np.int32]) -> NDArray[np.int32]:
    """``table[labels]``."""
    changed = np.empty_like(labels)
    over_bands(lambda a, b: _relabel(labels, table, a, b, changed), _rows(labels))
    return changed


class Places(NamedTuple):
    """Where labels are: numbers and pixels (n,), centres, first pixels, and one past the last (n, 3)."""

    labels: NDArray[np.int64]
    n_px: NDArray[np.int64]
    centre: Array
    low: NDArray[np.int64]
    high: NDArray[np.int64]


def label_places(labels: NDArray[Any]) -> Places:
    """Find where each label of (z, y, x) is."""
    labels, ids = np.ascontiguousarray(labels), None
    top = int(labels.max(initial=0))
    if top > 65_535 and top > labels.size // 64:  # a table by label would outgrow the image
        ids, index = np.unique(labels, return_inverse=True)
        if ids[0] != 0:
            ids, index = np.insert(ids, 0, 0), index + 1
        labels, top = index.reshape(labels.shape).astype(np.uint32), len(ids) - 1
    sums = np.zeros((top + 1, 4), np.int64)
    low = np.full((top + 1, 3), np.iinfo(np.int64).max)
    high = np.zeros((top + 1, 3), np.int64)
    _places(labels, sums, low, high)
    there = np.flatnonzero(sums[1:, 0]) + 1
    n_px = sums[there, 0]
    number = there if ids is None else ids[there].astype(np.int64)
    return Places(number, n_px, sums[there, 1:] / n_px[:, None], low[there], high[there])


def _rows(labels: NDArray[np.int32]) -> int:
    return labels.shape[0] * labels.shape[1]


def find_seams(labels: NDArray[np.int32], n: int, gradient: Image, strength: Image, distance: Image) -> Seams:
    """Find all pairs of labels that touch; the labels are (z, y, x)."""
    counts = np.zeros(_rows(labels), np.int64)
    over_bands(lambda a, b: _count_pairs(labels, a, b, counts), len(counts))
    at = np.cumsum(counts) - counts
    n_pairs = int(counts.sum())
    labels_of, values = np.empty((n_pairs, 2), np.int32), np.empty((n_pairs, 4))
    over_bands(
        lambda a, b: _collect_pairs(labels, gradient, strength, distance, a, b, at, labels_of, values),
        len(counts),
    )
    return fold_seams(labels_of, n, values)


def fold_seams(pairs: NDArray[np.int32], n: int, values: Array) -> Seams:
    """Sum up what belongs to the same two of n labels, (p, 2) in either order.

    Of the values (p, 4) the first three are the `Seams.sums`, the last the pass height.
    """
    seams, folded = _fold(pairs, values, n)
    return Seams(seams[:, 0], seams[:, 1], folded[:, :3], folded[:, 3])


def highest(labels: NDArray[np.int32], n: int, values: Image) -> Array:
    """Largest value in each label, shape (n + 1,); 0 for a label without pixels."""

    def work(start: int, stop: int) -> Array:
        top = np.zeros(n + 1)
        _highest(labels, values, start, stop, top)
        return top

    top: Array = np.maximum.reduce(over_bands(work, _rows(labels), BANDS))
    return top


def outline_mean(labels: NDArray[np.int32], n: int, values: Image) -> Array:
    """Mean over the pixels of each label that touch another label or none in the plane, shape (n + 1,)."""
    sums = sum_bands(
        lambda a, b, sums: _outline_sums(labels, values, a, b, sums), _rows(labels), BANDS, (n + 1, 2)
    )
    mean: Array = sums[:, 1] / np.maximum(sums[:, 0], 1)
    return mean


def ellipsoid(sums: Array, volume: bool, spacing: float) -> tuple[Array, Array, Array]:
    """Ellipse, or ellipsoid, of the same second moments as each region.

    Returns
    -------
    fill, long, short
        Share of the ellipse's area (volume) that the region's own makes, and its longest and shortest
        semi-axis in pixels of the plane; shape (n,).
    """
    forms = np.empty((3, len(sums)))
    _ellipsoids(sums, volume, spacing, forms)
    return forms[0], forms[1], forms[2]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _ellipsoids(sums, volume, spacing, forms):  # type: ignore[no-untyped-def]
    for i in range(len(sums)):
        forms[0, i], forms[1, i], forms[2, i] = ellipsoid_of(sums[i], volume, spacing)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def ellipsoid_of(total, volume, spacing):  # type: ignore[no-untyped-def]
    """As `ellipsoid`, of one region."""
    n = max(total[0], 1.0)
    z, y, x = total[1] / n, total[2] / n, total[3] / n
    yy, xx = total[5] / n - y * y + 1 / 12, total[6] / n - x * x + 1 / 12
    yx = total[9] / n - y * x
    if not volume:
        middle, off = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
        long, short = middle + off, max(middle - off, 1 / 12)
        return n / (4 * np.pi * np.sqrt(long * short)), 2 * np.sqrt(long), 2 * np.sqrt(short)
    zz = (total[4] / n - z * z + 1 / 12) * spacing**2
    zy, zx = (total[7] / n - z * y) * spacing, (total[8] / n - z * x) * spacing
    # eigenvalues in closed form (Smith, Commun. ACM 4 (1961) 168)
    mean = (zz + yy + xx) / 3
    a, b, c = zz - mean, yy - mean, xx - mean
    size = np.sqrt((a * a + b * b + c * c + 2 * (zy * zy + zx * zx + yx * yx)) / 6)
    half = a * (b * c - yx * yx) - zy * (zy * c - yx * zx) + zx * (zy * yx - b * zx)
    angle = np.arccos(min(max(half / max(2 * size**3, 1e-300), -1.0), 1.0)) / 3
    long = max(mean + 2 * size * np.cos(angle), 1 / 12)
    short = max(mean + 2 * size * np.cos(angle + 2 * np.pi / 3), 1 / 12)
    middle = max(3 * mean - long - short, 1 / 12)
    whole = 4 / 3 * np.pi * 5**1.5 * np.sqrt(long * middle * short)
    return n * spacing / whole, np.sqrt(5 * long), np.sqrt(5 * short)


@numba.njit(cache=True, nogil=True)
def end_of_run(line, x):  # type: ignore[no-untyped-def]
    """The first pixel of a row after x that has another label."""
    label = line[x]
    x += 1
    while x < len(line) and line[x] == label:
        x += 1
    return x


@numba.njit(cache=True, nogil=True)
def _region_sums(labels, strength, units, light, start, stop, sums):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    n = len(units)
    light_here = np.empty(1 + 2 * n)
    for row in range(start, stop):
        z, y = row // height, row % height
        line, x = labels[z, y], 0
        bright, in_units, in_light = strength[z, y], units[:, z, y], light[:, z, y]
        while x < width:
            first, x = x, end_of_run(line, x)
            if line[first] == 0:
                continue
            total, m = sums[line[first]], x - first
            # sums of the places, and of their squares
            all_x = 0.5 * m * (first + x - 1)
            total[0] += m
            total[1] += m * z
            total[2] += m * y
            total[3] += all_x
            total[4] += m * z * z
            total[5] += m * y * y
            total[6] += m * first * first + first * m * (m - 1) + (m - 1) * m * (2 * m - 1) // 6
            total[7] += m * z * y
            total[8] += z * all_x
            total[9] += y * all_x
            light_here[:] = 0
            for i in range(first, x):
                light_here[0] += bright[i]
                for c in range(n):
                    light_here[1 + c] += in_units[c, i]
                    light_here[1 + n + c] += in_light[c, i]
            for k in range(len(light_here)):
                total[10 + k] += light_here[k]


@numba.njit(cache=True, nogil=True)
def _sum(line, first, last):  # type: ignore[no-untyped-def]
    total = 0.0
    for x in range(first, last):
        total += line[x]
    return total


@numba.njit(cache=True, nogil=True)
def _places(labels, sums, low, high):  # type: ignore[no-untyped-def]
    depth, height, width = labels.shape
    for row in range(depth * height):
        z, y = row // height, row % height
        line, x = labels[z, y], 0
        while x < width:
            first, x = x, end_of_run(line, x)
            k = line[first]
            if k == 0:
                continue
            n = x - first
            sums[k, 0] += n
            sums[k, 1] += n * z
            sums[k, 2] += n * y
            sums[k, 3] += n * (first + x - 1) // 2
            low[k, 0], high[k, 0] = min(low[k, 0], z), max(high[k, 0], z + 1)
            low[k, 1], high[k, 1] = min(low[k, 1], y), max(high[k, 1], y + 1)
            low[k, 2], high[k, 2] = min(low[k, 2], first), max(high[k, 2], x)


@numba.njit(cache=True, nogil=True)
def _sizes(labels, start, stop, sums):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    for row in range(start, stop):
        line, x = labels[row // height, row % height], 0
        while x < width:
            first, x = x, end_of_run(line, x)
            if line[first] > 0:
                sums[line[first]] += x - first


@numba.njit(cache=True, nogil=True)
def _image_sums(labels, images, start, stop, sums):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        line, x = labels[z, y], 0
        while x < width:
            first, x = x, end_of_run(line, x)
            if line[first] > 0:
                for c in range(len(images)):
                    sums[line[first], c] += _sum(images[c, z, y], first, x)


@numba.njit(cache=True, nogil=True)
def _grid_sums(labels, grids, factor, start, stop, sums):  # type: ignore[no-untyped-def]
    """Between two points of a grid an image is a straight line: a sum of shares tells that of many pixels."""
    _, height, width = labels.shape
    n, _, rows, columns = grids.shape
    left, shares = np.empty(width + 1, np.int64), np.zeros(width + 1, np.float64)
    for x in range(width):
        at = min(max((x + 0.5) / factor - 0.5, 0.0), columns - 1.0)
        left[x], shares[x + 1] = int(at), shares[x] + at - int(at)
    left[width] = -1
    line = np.empty((columns + 1, n), np.float32)
    for row in range(start, stop):
        z, y = row // height, row % height
        at = min(max((y + 0.5) / factor - 0.5, 0.0), rows - 1.0)
        upper, lower, share = int(at), min(int(at) + 1, rows - 1), np.float32(at - int(at))
        for c in range(n):
            for i in range(columns):
                value = grids[c, z, upper, i]
                line[i, c] = value + share * (grids[c, z, lower, i] - value)
        line[columns] = line[columns - 1]
        cells, x = labels[z, y], 0
        while x < width:
            begin, x = x, end_of_run(cells, x)
            cell = cells[begin]
            while cell > 0 and begin < x:
                near, first = left[begin], begin
                while begin < x and left[begin] == near:
                    begin += 1
                all_, far = begin - first, shares[begin] - shares[first]
                for c in range(n):
                    sums[cell, c] += all_ * line[near, c] + far * (line[near + 1, c] - line[near, c])


@numba.njit(cache=True, nogil=True)
def _relabel(labels, table, start, stop, changed):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    for row in range(start, stop):
        old, new = labels[row // height, row % height], changed[row // height, row % height]
        for x in range(width):
            new[x] = table[old[x]]


@numba.njit(cache=True, nogil=True)
def _count_pairs(labels, start, stop, counts):  # type: ignore[no-untyped-def]
    depth, height, width = labels.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        here = labels[z, y]
        n = 0
        for x in range(width - 1):
            n += (here[x] != here[x + 1]) & (here[x] > 0) & (here[x + 1] > 0)
        if y + 1 < height:
            other = labels[z, y + 1]
            for x in range(width):
                n += (here[x] != other[x]) & (here[x] > 0) & (other[x] > 0)
        if z + 1 < depth:
            other = labels[z + 1, y]
            for x in range(width):
                n += (here[x] != other[x]) & (here[x] > 0) & (other[x] > 0)
        counts[row] = n


@numba.njit(cache=True, nogil=True)
def _collect_pairs(labels, gradient, strength, distance, start, stop, ats, pairs, values):  # type: ignore[no-untyped-def]
    depth, height, width = labels.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        at = ats[row]
        here, steep, bright, far = labels[z, y], gradient[z, y], strength[z, y], distance[z, y]
        for step in range(3):
            a, b, c = z + (step == 2), y + (step == 1), np.int64(step == 0)
            if a >= depth or b >= height:
                continue
            beside, steep_2, bright_2, far_2 = labels[a, b], gradient[a, b], strength[a, b], distance[a, b]
            for x in range(width - c):
                one, other = here[x], beside[x + c]
                if one == other or one == 0 or other == 0:
                    continue
                pairs[at, 0], pairs[at, 1] = one, other
                values[at, 0] = 1
                values[at, 1] = max(steep[x], steep_2[x + c])
                values[at, 2] = min(bright[x], bright_2[x + c])
                values[at, 3] = min(far[x], far_2[x + c])
                at += 1


@numba.njit(cache=True, nogil=True)
def _fold(pairs, values, n):  # type: ignore[no-untyped-def]
    """Each two labels once, in their order, and the sums of three values and the most of the fourth.

    A label has few neighbours: they are looked for one by one, in the room that it has by its pairs.
    """
    begin = np.zeros(n + 2, np.int64)
    for i in range(len(pairs)):
        begin[min(pairs[i, 0], pairs[i, 1]) + 1] += 1
    begin = np.cumsum(begin)
    end = begin[:-1].copy()
    neighbour, row = np.empty(len(pairs), np.int64), np.empty(len(pairs), np.int64)
    seams, folded = np.empty((len(pairs), 2), np.int64), np.zeros((len(pairs), 4))
    for i in range(len(pairs)):
        one, other = min(pairs[i, 0], pairs[i, 1]), max(pairs[i, 0], pairs[i, 1])
        at = begin[one]
        while at < end[one] and neighbour[at] < other:
            at += 1
        if at == end[one] or neighbour[at] != other:
            for later in range(end[one], at, -1):
                neighbour[later], row[later] = neighbour[later - 1], row[later - 1]
            neighbour[at], row[at] = other, i
            end[one] += 1
        total, value = folded[row[at]], values[i]
        total[0] += value[0]
        total[1] += value[1]
        total[2] += value[2]
        total[3] = max(total[3], value[3])
    found = 0
    in_order = np.empty(len(pairs), np.int64)
    for one in range(n + 1):
        for at in range(begin[one], end[one]):
            seams[found, 0], seams[found, 1] = one, neighbour[at]
            in_order[found] = row[at]
            found += 1
    return seams[:found], folded[in_order[:found]]


@numba.njit(cache=True, nogil=True)
def _outline_sums(labels, values, start, stop, sums):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        for x in range(width):
            k = labels[z, y, x]
            if k > 0 and (
                (x > 0 and labels[z, y, x - 1] != k)
                or (x + 1 < width and labels[z, y, x + 1] != k)
                or (y > 0 and labels[z, y - 1, x] != k)
                or (y + 1 < height and labels[z, y + 1, x] != k)
            ):
                sums[k, 0] += 1
                sums[k, 1] += values[z, y, x]


@numba.njit(cache=True, nogil=True)
def _highest(labels, values, start, stop, top):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    for row in range(start, stop):
        line, heights = labels[row // height, row % height], values[row // height, row % height]
        x = 0
        while x < width:
            first, x = x, end_of_run(line, x)
            if line[first] > 0:
                most = heights[first]
                for i in range(first + 1, x):
                    most = max(most, heights[i])
                top[line[first]] = max(top[line[first]], most)


def renumber(labels: NDArray[np.int32], keep: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Keep some labels and number them from 1; ``keep[0]`` is not asked."""
    number = np.zeros(len(keep), np.int32)
    chosen = np.flatnonzero(keep[1:]) + 1
    number[chosen] = np.arange(1, len(chosen) + 1)
    return relabel(labels, number), len(chosen)
