"""Outlines: each cell ends where its own light has fallen to a share of its own level."""

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image
from rgbtrack.segment.regions import CHANNELS, Array, N
from rgbtrack.segment.runs import clear_runs, find_runs

Labels = NDArray[np.int32]
HERE, OPEN = 1, 2
"""Background met in this search, and background known to be no hole."""


def trim(labels: Labels, light: Image, sums: Array, share: float) -> Labels:
    """Drop the pixels of each region that fall below a share of its level.

    Light is looked at in the region's own colour, ``p = x . m / |m|`` with m its mean; the level is the mean
    of the pixels above the mean. A dim cell beside a bright one keeps its own level.
    """
    n = (sums.shape[1] - CHANNELS) // 2
    mean = np.maximum(sums[:, CHANNELS + n :] / np.maximum(sums[:, [N]], 1), 0)
    direction = mean / np.maximum(np.sqrt((mean**2).sum(1)), 1e-9)[:, None]
    trimmed = labels.copy()
    _trim(trimmed.reshape(-1), light.reshape(n, -1), direction, share)
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


@numba.njit(cache=True)
def _trim(labels, light, direction, share):  # type: ignore[no-untyped-def]
    n = len(direction)
    count, total = np.zeros(n), np.zeros(n)
    projected = np.zeros(labels.size, np.float32)
    for i in range(labels.size):
        k = labels[i]
        if k > 0:
            p = 0.0
            for c in range(len(light)):
                p += light[c, i] * direction[k, c]
            projected[i] = p
            count[k] += 1
            total[k] += p
    mean = total / np.maximum(count, 1)
    count[:], total[:] = 0, 0
    for i in range(labels.size):
        k = labels[i]
        if k > 0 and projected[i] > mean[k]:
            count[k] += 1
            total[k] += projected[i]
    level = share * total / np.maximum(count, 1)
    for i in range(labels.size):
        if projected[i] <= level[labels[i]]:
            labels[i] = 0


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

    A hole has its label on its left: the search starts there, and ends where it meets anything else.
    """
    state = np.zeros(labels.size, np.uint8)
    queue = np.empty(labels.size, np.int32)
    found = np.empty(6, np.int64)
    for start in range(1, labels.size):
        around = labels[start - 1]
        if labels[start] > 0 or around == 0 or state[start] == OPEN:
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
