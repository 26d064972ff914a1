"""Outlines: each cell ends where its own light has fallen to a share of its own level."""

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image
from rgbtrack.segment.regions import BANDS, image_sums
from rgbtrack.segment.runs import clear_runs, find_runs
from rgbtrack.threads import over_bands, sum_bands

Labels = NDArray[np.int32]
HERE, OPEN = 1, 2
"""Background met in this search, and background known to be no hole."""


def trim(labels: Labels, n: int, light: Image, share: float) -> Labels:
    """Drop the pixels of each region that fall below a share of its level.

    Light is looked at in the region's own colour, ``p = x . m / |m|`` with m its mean; the level is the mean
    of the pixels above the mean. A dim cell beside a bright one keeps its own level.
    """
    colour = np.maximum(image_sums(labels, n, light), 0)  # (n + 1, c)
    colour /= np.maximum(np.sqrt((colour**2).sum(1)), 1e-9)[:, None]
    flat, n_px = labels.reshape(-1), labels.size
    light = light.reshape(len(light), -1)
    own = np.zeros(n_px, np.float32)  # light in the region's own colour
    sums = sum_bands(
        lambda a, b, sums: _project(flat, light, colour, a, b, own, sums), n_px, BANDS, (n + 1, 2)
    )
    mean = sums[:, 1] / np.maximum(sums[:, 0], 1)
    sums = sum_bands(lambda a, b, sums: _bright_sums(flat, own, mean, a, b, sums), n_px, BANDS, (n + 1, 2))
    level = share * sums[:, 1] / np.maximum(sums[:, 0], 1)
    trimmed = np.empty_like(labels)
    kept = trimmed.reshape(-1)
    over_bands(lambda a, b: _keep_bright(flat, own, level, a, b, kept), n_px)
    return trimmed


def make_whole(labels: Labels, n: int) -> Labels:
    """Keep the largest piece of each label and fill the holes inside it."""
    whole = labels.copy()
    runs = find_runs(labels, 0, True)
    label, size = labels.ravel()[runs.begin], runs.sizes()
    largest = np.zeros(n + 1, np.int32)  # first run of the largest piece
    best = np.zeros(n + 1)
    np.maximum.at(best, label, size)
    first = np.flatnonzero(size == best[label])[::-1]
    largest[label[first]] = first  # of pieces of one size the first counts
    clear_runs(whole.reshape(-1), runs.begin, runs.end, runs.piece != largest[label])
    _fill_holes(whole.reshape(-1), *labels.shape)
    return whole


@numba.njit(cache=True, nogil=True)
def _project(labels, light, colour, start, stop, own, sums):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        k = labels[i]
        if k > 0:
            p = 0.0
            for c in range(len(light)):
                p += light[c, i] * colour[k, c]
            own[i] = p
            sums[k, 0] += 1
            sums[k, 1] += p


@numba.njit(cache=True, nogil=True)
def _bright_sums(labels, own, mean, start, stop, sums):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        k = labels[i]
        if k > 0 and own[i] > mean[k]:
            sums[k, 0] += 1
            sums[k, 1] += own[i]


@numba.njit(cache=True, nogil=True)
def _keep_bright(labels, own, level, start, stop, kept):  # type: ignore[no-untyped-def]
    for i in range(start, stop):
        kept[i] = labels[i] if own[i] > level[labels[i]] else 0


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
