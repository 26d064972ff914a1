"""Connected pieces of equal pixels, by the runs of their rows: far fewer than pixels."""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.threads import over_bands

Places = NDArray[np.int32]


class Runs(NamedTuple):
    """Runs of equal pixels that are not 0, in the order of the rows of all planes.

    Attributes
    ----------
    begin, end
        Places in the flat image, shape (r,).
    piece
        First run of the connected piece that each belongs to, shape (r,).
    """

    begin: Places
    end: Places
    piece: Places

    def sizes(self) -> NDArray[Any]:
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
    written = over_bands(lambda a, b: (a, b, *_runs_of(rows, a, b)), len(rows))
    begin, end = (np.concatenate([band[k] for band in written]) for k in (2, 3))
    first = np.concatenate([[0], *(band[4] for band in written)]).cumsum()
    flat, piece = rows.reshape(-1), np.arange(len(begin), dtype=np.int32)

    def connect(start: int, stop: int, low: int, high: int) -> None:
        _connect(flat, first, begin, end, piece, height, width, reach, across, start, stop, low, high)

    over_bands(lambda a, b: connect(a, b, a, b), len(rows))
    for a, b, *_ in written:  # what a band's first rows, or its first plane, touch before it
        connect(a, min(b, a + (height if across else 0) + 1), 0, a)
    _find_roots(piece)
    return Runs(begin, end, piece)


def _runs_of(rows: NDArray[Any], start: int, stop: int) -> tuple[Places, Places, NDArray[np.int64]]:
    """Begin and end of the runs of some rows in the flat image, and how many each row has."""
    # what is not used costs nothing
    room = (stop - start) * rows.shape[1]
    begin, end = np.empty(room, np.int32), np.empty(room, np.int32)
    counts = np.zeros(stop - start, np.int64)
    n = _write_runs(rows, start, stop, counts, begin, end)
    return begin[:n], end[:n], counts


@numba.njit(cache=True, nogil=True)
def clear_runs(flat, begin, end, drop):  # type: ignore[no-untyped-def]
    """Set some runs of a flat image to 0."""
    for i in range(len(begin)):
        if drop[i]:
            flat[begin[i] : end[i]] = 0


@numba.njit(cache=True, nogil=True)
def write_runs(flat, begin, end, values):  # type: ignore[no-untyped-def]
    """Set each run of a flat image to a value of its own."""
    for i in range(len(begin)):
        flat[begin[i] : end[i]] = values[i]


@numba.njit(cache=True, nogil=True)
def _write_runs(rows, first, last, counts, begin, end):  # type: ignore[no-untyped-def]
    """Find the runs of some rows, and how many there are in each; the number of all.

    Most pixels are like that before them: eight at a time are passed over.
    """
    width, n = rows.shape[1], 0
    changed = np.zeros(8 * (width // 8 + 1), np.uint8)
    words = changed.view(np.uint64)
    changed[width] = 1
    for y in range(first, last):
        line, start, before = rows[y], 0, n
        for x in range(1, width):
            changed[x] = line[x] != line[x - 1]
        for word in range(len(words)):
            if words[word] == 0:
                continue
            for x in range(8 * word, min(8 * word + 8, width + 1)):
                if changed[x]:
                    if line[start] != 0:
                        begin[n], end[n] = y * width + start, y * width + x
                        n += 1
                    start = x
        counts[y - first] = n - before
    return n


@numba.njit(cache=True, nogil=True)
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(cache=True, nogil=True)
def _connect(flat, first, begin, end, parent, height, width, reach, across, start, stop, low, high):  # type: ignore[no-untyped-def]
    """Join runs of some rows with those of neighbouring rows from low to high, the root being the first."""
    for row in range(start, stop):
        z, y = row // height, row % height
        for planes, rows in ((0, 1), (1, -1), (1, 0), (1, 1)):  # up to the neighbour
            if planes and (z == 0 or not across or (rows != 0 and reach == 0)):
                continue
            if not 0 <= y - rows < height:
                continue
            rise = planes * height + rows
            if not low <= row - rise < high:
                continue
            shift = rise * width
            i, last = first[row - rise], first[row - rise + 1]
            for j in range(first[row], first[row + 1]):
                while i < last and end[i] + shift + reach <= begin[j]:
                    i += 1
                k = i
                while k < last and begin[k] + shift < end[j] + reach:
                    if flat[begin[k]] == flat[begin[j]]:
                        a, b = _root(parent, k), _root(parent, j)
                        parent[max(a, b)] = min(a, b)
                    k += 1


@numba.njit(cache=True, nogil=True)
def _find_roots(parent):  # type: ignore[no-untyped-def]
    """Replace each by its root; parents come before their children."""
    for j in range(len(parent)):
        parent[j] = parent[parent[j]]
