"""Seeded watershed of images and volumes, by a bucket queue."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.framing import framed, inside, steps_of

LEVELS = 512
OUTSIDE = -1


def flood(landscape: NDArray[np.float32], seeds: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give each pixel of the mask to the seed whose flood reaches it first.

    Meyer's flooding with the landscape in 512 steps and one queue a step: each pixel is touched once.

    Parameters
    ----------
    landscape, mask
        Shape (z, y, x).
    seeds
        Labels from 1, 0 elsewhere, shape (z, y, x).

    Returns
    -------
    labels
        Shape (z, y, x); 0 outside the mask, and where no seed can reach.

    Examples
    --------
    >>> flood(np.float32([[[0, 1, 2, 9, 1, 0]]]), np.array([[[1, 0, 0, 0, 0, 2]]]), np.ones((1, 1, 6), bool))
    array([[[1, 1, 1, 2, 2, 2]]], dtype=int32)
    """
    inner = landscape[mask]
    if not inner.size:
        return np.zeros(mask.shape, np.int32)
    low, high = float(inner.min()), float(inner.max())
    del inner
    scale = (LEVELS - 1) / max(high - low, 1e-9)
    labels = framed(np.where(mask, seeds, OUTSIDE).astype(np.int32, copy=False), OUTSIDE)
    level = np.zeros(labels.shape, np.int16)
    for into, plane in zip(inside(level), landscape, strict=True):
        into[:] = np.clip((plane - low) * scale, 0, LEVELS - 1)
    _flood(level.reshape(-1), labels.reshape(-1), steps_of(labels))
    return np.maximum(inside(labels), 0)


@numba.njit(cache=True)
def _flood(level, labels, steps):  # type: ignore[no-untyped-def]
    following = np.full(level.size, -1, np.int32)
    head = np.full(LEVELS, -1, np.int32)
    tail = np.full(LEVELS, -1, np.int32)
    for i in range(level.size):
        if labels[i] > 0:
            at = level[i]
            if head[at] < 0:
                head[at] = i
            else:
                following[tail[at]] = i
            tail[at] = i
    now = 0
    while now < LEVELS:
        i = head[now]
        if i < 0:
            now += 1
            continue
        head[now] = following[i]
        for step in steps:
            j = i + step
            if labels[j] == 0:
                labels[j] = labels[i]
                at = max(level[j], now)
                following[j] = -1
                if head[at] < 0:
                    head[at] = j
                else:
                    following[tail[at]] = j
                tail[at] = j
