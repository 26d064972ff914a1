"""Seeded watershed of images and volumes, by a bucket queue."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

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
    labels = np.where(mask, seeds, OUTSIDE).astype(np.int32, copy=False)
    inside = landscape[mask]
    if not inside.size:
        return np.zeros_like(labels)
    low, high = float(inside.min()), float(inside.max())
    del inside
    scale = (LEVELS - 1) / max(high - low, 1e-9)
    level = np.empty(landscape.shape, np.int16)
    for z, plane in enumerate(landscape):
        level[z] = np.clip((plane - low) * scale, 0, LEVELS - 1)
    _flood(level.reshape(-1), labels.reshape(-1), *landscape.shape)
    np.maximum(labels, 0, out=labels)
    return labels


@numba.njit(cache=True)
def _flood(level, labels, depth, height, width):  # type: ignore[no-untyped-def]
    plane = height * width
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
    offsets = (-plane, -width, -1, 1, width, plane)
    sides = range(6) if depth > 1 else range(1, 5)
    now = 0
    while now < LEVELS:
        i = head[now]
        if i < 0:
            now += 1
            continue
        head[now] = following[i]
        z, rest = i // plane, i % plane
        y, x = rest // width, rest % width
        for k in sides:
            if (
                (k == 0 and z == 0)
                or (k == 1 and y == 0)
                or (k == 2 and x == 0)
                or (k == 3 and x == width - 1)
                or (k == 4 and y == height - 1)
                or (k == 5 and z == depth - 1)
            ):
                continue
            j = i + offsets[k]
            if labels[j] == 0:
                labels[j] = labels[i]
                at = max(level[j], now)
                following[j] = -1
                if head[at] < 0:
                    head[at] = j
                else:
                    following[tail[at]] = j
                tail[at] = j
