"""Seeded watershed of images and volumes, by a bucket queue."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.framing import framed, inside, steps_of
from rgbtrack.segment.runs import Places, Runs, find_runs
from rgbtrack.threads import over_bands

LEVELS = 512
OUTSIDE = -1


def flood(landscape: NDArray[np.float32], seeds: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give each pixel of the mask to the seed whose flood reaches it first.

    Meyer's flooding with the landscape in 512 steps and one queue a step: each pixel is touched once.

    Parameters
    ----------
    landscape
        From 0, the lowest, to 1, shape (z, y, x).
    mask
        Shape (z, y, x).
    seeds
        Labels from 1, 0 elsewhere, shape (z, y, x).

    Returns
    -------
    labels
        Shape (z, y, x); 0 outside the mask, and where no seed can reach.

    Examples
    --------
    >>> landscape = np.float32([[[0, 0.1, 0.2, 1, 0.1, 0]]])
    >>> flood(landscape, np.array([[[1, 0, 0, 0, 0, 2]]]), np.ones((1, 1, 6), bool))
    array([[[1, 1, 1, 2, 2, 2]]], dtype=int32)
    """
    return np.maximum(inside(_flooded(landscape, seeds, mask)), 0)


def _flooded(
    landscape: NDArray[np.float32], seeds: NDArray[Any], mask: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Labels in a frame."""
    landscape, mask = np.ascontiguousarray(landscape), np.ascontiguousarray(mask)
    runs = find_runs(mask, 0, True)
    if not len(runs.begin):
        return framed(np.zeros(mask.shape, np.int32), OUTSIDE)
    begin, end, first = _by_piece(runs, mask.shape)
    del runs
    labels = framed(np.asarray(seeds, np.int32), OUTSIDE)
    level = np.empty(labels.shape, np.int16)
    over_bands(
        lambda a, b: _prepare(landscape, mask, a, b, inside(labels), inside(level)),
        mask.shape[0] * mask.shape[1],
    )
    # what does not touch floods apart: few pixels at a time, which stay in the processor's cache
    over_bands(
        lambda a, b: _flood(
            level.reshape(-1), labels.reshape(-1), steps_of(labels), begin, end, first[a : b + 1]
        ),
        len(first) - 1,
    )
    return labels


def _by_piece(runs: Runs, shape: tuple[int, ...]) -> tuple[Places, Places, NDArray[np.int64]]:
    """Begin and end in the framed image of runs, piece by piece, and the first of each piece."""
    order, first = _sorted(runs.piece)
    return *_in_frame(runs.begin[order], runs.end[order], shape), first


@numba.njit(cache=True, nogil=True)
def _sorted(piece):  # type: ignore[no-untyped-def]
    """Order of runs by piece, and where each piece begins in it, the end last; by counting."""
    ends = np.zeros(len(piece) + 1, np.int64)
    for k in piece:
        ends[k + 1] += 1
    first = np.empty(len(piece) + 1, np.int64)
    n = 0
    for k in range(len(piece)):
        if ends[k + 1]:
            first[n] = ends[k]
            n += 1
        ends[k + 1] += ends[k]
    first[n] = len(piece)
    order = np.empty(len(piece), np.int64)
    for i in range(len(piece)):
        order[ends[piece[i]]] = i
        ends[piece[i]] += 1
    return order, first[: n + 1]


def _in_frame(begin: Places, end: Places, shape: tuple[int, ...]) -> tuple[Places, Places]:
    """Places in the flat image, of runs of its rows, to those in the framed image."""
    depth, height, width = shape
    row = begin // width
    plane = row // height
    # two more pixels a row, two more rows a plane; before all a plane of a volume, a row, and a pixel
    before = ((height + 2) * (width + 2) if depth > 1 else 0) + (width + 2) + 1
    shift = (2 * row + plane * 2 * (width + 2) + before).astype(begin.dtype)
    return begin + shift, end + shift


@numba.njit(cache=True, nogil=True)
def _prepare(landscape, mask, start, stop, labels, level):  # type: ignore[no-untyped-def]
    """Levels of the landscape; what is not of the mask is outside."""
    height, width = landscape.shape[1:]
    most, zero, outside = np.float32(LEVELS - 1), np.float32(0), np.int32(OUTSIDE)
    for row in range(start, stop):
        z, y = row // height, row % height
        line, open_, steps, seeds = landscape[z, y], mask[z, y], level[z, y], labels[z, y]
        for x in range(width):
            steps[x] = np.int16(min(max(line[x] * most, zero), most))
        for x in range(width):
            seeds[x] = seeds[x] if open_[x] else outside


@numba.njit(cache=True, nogil=True)
def _flood(level, labels, steps, begin, end, first):  # type: ignore[no-untyped-def]
    """Flood one connected piece of the mask after the other, each of some runs.

    A queue is a chain of pixels, from one that stands for its level, beyond the image, to its last.
    """
    n = labels.size
    following = np.empty(n + LEVELS, np.int32)
    following[n:] = -1
    last = np.arange(n, n + LEVELS).astype(np.int32)
    for piece in range(len(first) - 1):
        low, high = np.int64(LEVELS), np.int64(-1)
        for r in range(first[piece], first[piece + 1]):
            for i in range(begin[r], end[r]):
                at = np.int64(level[i])
                high = max(high, at)
                if labels[i] > 0:
                    low = min(low, at)
                    _queue(np.uint64(i), np.uint64(at), last, following)
        for now in range(low, high + 1):
            front = np.uint64(n + now)
            i = following[front]
            while i >= 0:
                label = labels[np.uint64(i)]
                for step in steps:
                    j = np.uint64(i + step)
                    if labels[j] == 0:
                        labels[j] = label
                        later = level[j] if level[j] > now else now
                        _queue(j, np.uint64(later), last, following)
                i = following[np.uint64(i)]
            following[front], last[np.uint64(now)] = -1, np.int32(n + now)


@numba.njit(cache=True, nogil=True)
def _queue(i, at, last, following):  # type: ignore[no-untyped-def]
    """Append a pixel to the queue of a level."""
    following[i] = -1
    following[np.uint64(last[at])] = np.int32(i)
    last[at] = np.int32(i)
