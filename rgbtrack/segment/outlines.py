"""Outlines: each cell ends where its own light has fallen to a share of its own level."""

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image
from rgbtrack.segment.regions import BANDS, Array, end_of_run
from rgbtrack.segment.runs import clear_runs, find_runs
from rgbtrack.threads import over_bands, sum_bands

Labels = NDArray[np.int32]
HERE, OPEN = 1, 2
"""Background met in this search, and background known to be no hole."""


def trim(labels: Labels, sums: Array, light: Image, share: float) -> Labels:
    """Drop the pixels of each region that fall below a share of its level.

    Light is looked at in the region's own colour, ``p = x . m / |m|`` with m its mean; the level is the mean
    of the pixels above the mean. A dim cell beside a bright one keeps its own level.

    Parameters
    ----------
    labels
        Regions, shape (z, y, x).
    sums
        Light of each region, shape (n + 1, c).
    light
        Shape (c, z, y, x).
    share
        Of the level.
    """
    n, colour = len(sums) - 1, np.maximum(sums, 0)
    colour /= np.maximum(np.sqrt((colour**2).sum(1)), 1e-9)[:, None]
    own = np.empty(labels.shape, np.float32)  # light in the region's own colour
    rows, trimmed = labels.shape[0] * labels.shape[1], np.empty_like(labels)
    sums = sum_bands(
        lambda a, b, sums: _project(labels, light, colour, a, b, own, sums), rows, BANDS, (n + 1, 2)
    )
    mean = sums[:, 1] / np.maximum(sums[:, 0], 1)
    sums = sum_bands(lambda a, b, sums: _bright_sums(labels, own, mean, a, b, sums), rows, BANDS, (n + 1, 2))
    level = share * sums[:, 1] / np.maximum(sums[:, 0], 1)
    over_bands(lambda a, b: _keep_bright(labels, own, level, a, b, trimmed), rows)
    return trimmed


def make_whole(labels: Labels, n: int) -> Labels:
    """Keep the largest piece of each label and fill the holes inside it, in place."""
    runs = find_runs(labels, 0, True)
    label, size = labels.ravel()[runs.begin], runs.sizes()
    largest = np.zeros(n + 1, np.int32)  # first run of the largest piece
    best = np.zeros(n + 1)
    np.maximum.at(best, label, size)
    first = np.flatnonzero(size == best[label])[::-1]
    largest[label[first]] = first  # of pieces of one size the first counts
    clear_runs(labels.reshape(-1), runs.begin, runs.end, runs.piece != largest[label])
    _fill_holes(labels.reshape(-1), *labels.shape)
    return labels


@numba.njit(cache=True, nogil=True)
def _project(labels, light, colour, start, stop, own, sums):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        cells, line = labels[z, y], own[z, y]
        x = 0
        while x < width:
            first, k = x, cells[x]
            x = end_of_run(cells, x)
            if k == 0:
                continue
            line[first:x] = 0
            for c in range(len(light)):
                share, bright = np.float32(colour[k, c]), light[c, z, y]
                for i in range(first, x):
                    line[i] += bright[i] * share
            total = 0.0
            for i in range(first, x):
                total += line[i]
            sums[k, 0] += x - first
            sums[k, 1] += total


@numba.njit(cache=True, nogil=True)
def _bright_sums(labels, own, mean, start, stop, sums):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    for row in range(start, stop):
        cells, line = labels[row // height, row % height], own[row // height, row % height]
        for x in range(width):
            k = cells[x]
            if k > 0 and line[x] > mean[k]:
                sums[k, 0] += 1
                sums[k, 1] += line[x]


@numba.njit(cache=True, nogil=True)
def _keep_bright(labels, own, level, start, stop, kept):  # type: ignore[no-untyped-def]
    _, height, width = labels.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        cells, line, left = labels[z, y], own[z, y], kept[z, y]
        for x in range(width):
            k = cells[x]
            left[x] = k if k > 0 and line[x] > level[k] else 0


@numba.njit(cache=True)
def _neighbours(i, depth, height, width, found):  # type: ignore[no-untyped-def]
    """Write the indices of up to six neighbours into `found`; their number."""
    plane = height * width
    z, rest = i // plane, i % plane
    y, x = rest // width, rest % width
    n = 0
    if z > 0:
        found[n] = i - plane
        n += 1
    if z < depth - 1:
        found[n] = i + plane
        n += 1
    if y > 0:
        found[n] = i - width
        n += 1
    if y < height - 1:
        found[n] = i + width
        n += 1
    if x > 0:
        found[n] = i - 1
        n += 1
    if x < width - 1:
        found[n] = i + 1
        n += 1
    return n


@numba.njit(cache=True)
def _fill_holes(labels, depth, height, width):  # type: ignore[no-untyped-def]
    """Background within one label; in volumes, background that reaches no side of the plane.

    The first row of a hole has its label on its left, on its right and all above: the search starts there,
    and ends where it meets anything else.
    """
    state = np.zeros(labels.size, np.uint8)
    queue = np.empty(labels.size, np.int32)
    found = np.empty(6, np.int64)
    for start in range(width + 1, labels.size):
        around = labels[start - 1]
        if labels[start] > 0 or around == 0 or state[start] == OPEN:
            continue
        right = start
        while right < labels.size and labels[right] == 0 and labels[right - width] == around:
            right += 1
        if right == labels.size or labels[right] != around:
            continue
        state[start] = HERE
        queue[0] = start
        at, end, hole = 0, 1, True
        while at < end and hole:
            i = queue[at]
            at += 1
            x, y = i % width, (i // width) % height
            hole = 0 < x < width - 1 and 0 < y < height - 1
            for m in range(_neighbours(i, depth, height, width, found)):
                j = found[m]
                if labels[j] > 0:
                    hole &= labels[j] == around
                elif state[j] == 0:
                    state[j] = HERE
                    queue[end] = j
                    end += 1
                else:
                    hole &= state[j] == HERE
        for m in range(end):
            if hole:
                labels[queue[m]] = around
            else:
                state[queue[m]] = OPEN
