"""Single linkage at one distance, in memory that grows with the points and not with their pairs."""

from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def linked(places: Floats, distance: float) -> Ints:
    """Group points that chains of steps up to a distance connect.

    Parameters
    ----------
    places
        Shape (n, 2) or (n, 3).
    distance
        Longest step, inclusive.

    Returns
    -------
    group
        Shape (n,), from 0.

    Notes
    -----
    Points are binned in boxes whose diagonal is the distance: those of one box are connected. Boxes are then
    joined where a pair of their points is near enough; pairs of boxes already joined are not looked at.

    Examples
    --------
    >>> linked(np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 9.0]]), 3.0).tolist()
    [0, 0, 1]
    """
    n, d = places.shape
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    side = distance / np.sqrt(d) * (1 - 1e-9)
    box = np.floor((places - places.min(axis=0)) / side).astype(np.int64) + 2
    size = box.max(axis=0) + 3
    stride = np.append(np.cumprod(size[:0:-1])[::-1], 1)
    key = box @ stride
    order = np.argsort(key, kind="stable")
    boxes, start = np.unique(key[order], return_index=True)
    reach = range(-2, 3)
    steps = np.array([step @ stride for step in map(np.array, product(reach, repeat=d)) if step @ stride > 0])
    parent = np.arange(len(boxes))
    _join(places[order], boxes, np.append(start, n), steps, distance**2, parent)
    group = np.empty(n, dtype=np.int64)
    group[order] = np.repeat(parent, np.diff(np.append(start, n)))
    return np.asarray(np.unique(group, return_inverse=True)[1], dtype=np.int64)


@njit(cache=True, nogil=True)
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _join(places, boxes, start, steps, most, parent):  # type: ignore[no-untyped-def]
    """Join boxes; one step leads from a box to a neighbour of larger key, so each pair is met once."""
    for step in steps:
        b = 0
        for a in range(len(boxes)):
            wanted = boxes[a] + step
            while b < len(boxes) and boxes[b] < wanted:
                b += 1
            if b == len(boxes):
                break
            if boxes[b] != wanted:
                continue
            first, second = _root(parent, a), _root(parent, b)
            if first == second:
                continue
            near = False
            for i in range(start[a], start[a + 1]):
                for j in range(start[b], start[b + 1]):
                    apart = 0.0
                    for k in range(places.shape[1]):
                        apart += (places[i, k] - places[j, k]) ** 2
                    if apart <= most:
                        near = True
                        break
                if near:
                    break
            if near:
                parent[max(first, second)] = min(first, second)
    for a in range(len(boxes)):
        parent[a] = _root(parent, a)
