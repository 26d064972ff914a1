"""Outlines: each cell ends where its own light has fallen to a share of its own level."""

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image
from rgbtrack.segment.framing import framed, inside, steps_of
from rgbtrack.segment.regions import CHANNELS, Array, N

Labels = NDArray[np.int32]


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
    padded = framed(labels, -1)
    steps = steps_of(padded)
    _keep_largest(padded.reshape(-1), steps, n)
    _fill_holes(padded.reshape(-1), steps, padded.shape[2], len(steps) > 4)
    return inside(padded).copy()


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
def _keep_largest(labels, steps, n):  # type: ignore[no-untyped-def]
    piece = np.zeros(labels.size, np.int32)
    queue = np.empty(labels.size, np.int32)
    largest, chosen = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int32)
    pieces = 0
    for start in range(labels.size):
        k = labels[start]
        if k <= 0 or piece[start] > 0:
            continue
        pieces += 1
        piece[start] = pieces
        queue[0] = start
        at, end = 0, 1
        while at < end:
            i = queue[at]
            for step in steps:
                j = i + step
                if labels[j] == k and piece[j] == 0:
                    piece[j] = pieces
                    queue[end] = j
                    end += 1
            at += 1
        if end > largest[k]:
            largest[k] = end
            chosen[k] = pieces
    for i in range(labels.size):
        if labels[i] > 0 and piece[i] != chosen[labels[i]]:
            labels[i] = 0


@numba.njit(cache=True)
def _fill_holes(labels, steps, width, volume):  # type: ignore[no-untyped-def]
    """Background within one label; in volumes, background that reaches no side of the plane."""
    unseen, seen, reaches_out = 0, 1, 2
    state = np.zeros(labels.size, np.uint8)
    queue = np.empty(labels.size, np.int32)
    for start in range(labels.size):
        if labels[start] != 0 or state[start] != unseen:
            continue
        # most of the background is known from the pixel before or above
        if state[start - 1] == reaches_out or state[start - width] == reaches_out:
            state[start] = reaches_out
            continue
        state[start] = seen
        queue[0] = start
        at, end, around, hole = 0, 1, 0, True
        while at < end and hole:
            i = queue[at]
            for step in steps:
                j = i + step
                k = labels[j]
                if k == 0:
                    if state[j] == reaches_out:
                        hole = False
                    elif state[j] == unseen:
                        state[j] = seen
                        queue[end] = j
                        end += 1
                elif k < 0:
                    hole = hole and volume and abs(step) > width
                elif around == 0:
                    around = k
                elif around != k:
                    hole = False
            at += 1
        for m in range(end):
            if not hole:
                state[queue[m]] = reaches_out
            elif around > 0:
                labels[queue[m]] = around
