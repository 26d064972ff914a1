"""Connected pieces of equal pixels, by the runs of their rows: far fewer than pixels."""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray


class Runs(NamedTuple):
    """Runs of equal pixels that are not 0, in the order of the rows of all planes.

    Attributes
    ----------
    begin, end
        Places in the flat image, shape (r,).
    piece
        First run of the connected piece that each belongs to, shape (r,).
    """

    begin: NDArray[np.int32]
    end: NDArray[np.int32]
    piece: NDArray[np.int32]

    def sizes(self) -> NDArray[np.float64]:
        """Pixels of each piece, at its first run, shape (r,)."""
        return np.bincount(self.piece, self.end - self.begin, len(self.piece))


def find_runs(labels: NDArray[Any], reach: int, across: bool) -> Runs:
    """Find the connected pieces of each label.

    Parameters
    ----------
    labels
        Shape (z, y, x).
    reach
        1 if pixels that touch at a corner are connected, 0 if not.
    across
        Whether pixels are connected across planes.

    Examples
    --------
    >>> runs = find_runs(np.uint8([[[1, 0, 1], [1, 1, 1], [2, 2, 0]]]), 0, False)
    >>> runs.piece.tolist(), runs.sizes().tolist()
    ([0, 0, 0, 3], [5.0, 0.0, 0.0, 2.0])
    """
    depth, height, width = labels.shape
    rows = np.ascontiguousarray(labels).reshape(depth * height, width)
    first = np.zeros(len(rows) + 1, np.int64)
    begin, end = (
        np.empty(rows.size, np.int32),
        np.empty(rows.size, np.int32),
    )  # what is not used costs nothing
    n = _write_runs(rows, first, begin, end)
    begin, end = begin[:n], end[:n]
    piece = np.arange(len(begin), dtype=np.int32)
    _connect(rows.reshape(-1), first, begin, end, piece, height, width, reach, across)
    return Runs(begin, end, piece)


@numba.njit(cache=True)
def clear_runs(flat, begin, end, drop):  # type: ignore[no-untyped-def]
    """Set some runs of a flat image to 0."""
    for i in range(len(begin)):
        if drop[i]:
            flat[begin[i] : end[i]] = 0


@numba.njit(cache=True)
def _write_runs(rows, first, begin, end):  # type: ignore[no-untyped-def]
    """Find the runs of each row, and where they start in the list; the number of all."""
    width, n = rows.shape[1], 0
    for y in range(len(rows)):
        line, x = rows[y], 0
        while x < width:
            label = line[x]
            start = x
            x += 1
            while x < width and line[x] == label:
                x += 1
            if label != 0:
                begin[n], end[n] = y * width + start, y * width + x
                n += 1
        first[y + 1] = n
    return n


@numba.njit(cache=True)
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(cache=True)
def _connect(flat, first, begin, end, parent, height, width, reach, across):  # type: ignore[no-untyped-def]
    """Join runs of neighbouring rows, the root being the first run of all."""
    for row in range(len(first) - 1):
        for rise in (1, height):
            if (rise == 1 and row % height == 0) or (rise == height and (not across or row < height)):
                continue
            shift, corner = rise * width, reach if rise == 1 else 0
            i, stop = first[row - rise], first[row - rise + 1]
            for j in range(first[row], first[row + 1]):
                while i < stop and end[i] + shift + corner <= begin[j]:
                    i += 1
                k = i
                while k < stop and begin[k] + shift < end[j] + corner:
                    if flat[begin[k]] == flat[begin[j]]:
                        a, b = _root(parent, k), _root(parent, j)
                        parent[max(a, b)] = min(a, b)
                    k += 1
    for j in range(len(parent)):
        parent[j] = _root(parent, j)
