"""The cells of one frame: their pixels, shapes and cores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rgbtrack.signature.params import SignatureParams
from rgbtrack.threads import over_bands, sum_bands

Array = NDArray[np.float64]
Labels = NDArray[np.uint32]
BANDS = 8
"""Pieces of an image that are summed apart: fixed, so that sums do not depend on the number of threads."""


class Core(NamedTuple):
    """Runs of pixels of one cell, in the order of the rows of all planes.

    Attributes
    ----------
    first
        First run of each row, and their number, shape (rows + 1,).
    begin, stop
        Columns, shape (r,).
    cell
        Labels, shape (r,).
    """

    first: NDArray[np.int64]
    begin: NDArray[np.int32]
    stop: NDArray[np.int32]
    cell: NDArray[np.uint32]

    def sizes(self, n: int) -> NDArray[np.int64]:
        """Pixels of each label below n."""
        return np.bincount(self.cell, self.stop - self.begin, n).astype(np.int64)

    def n_px(self, start: int, stop: int) -> int:
        """Pixels in some rows."""
        some = slice(self.first[start], self.first[stop])
        return int(self.stop[some].sum() - self.begin[some].sum())


@dataclass(frozen=True, eq=False)
class Members:
    """Cells of one frame.

    Tables by label have a row for every label up to the largest, 0 and those that are missing included.

    Attributes
    ----------
    labels
        Shape (z, y, x), no larger than need be.
    cells
        Ids as given, shape (n,).
    rows
        Label of each cell in `labels`, shape (n,).
    shapes
        By label: `rgbtrack.signature.kernels.shape_rows`.
    core
        Where the light of a cell is measured: its core, or all of a small one.
    n_core
        Pixels of that, by label.
    small
        Whether a cell is small, by label.
    """

    labels: Labels
    cells: NDArray[np.int64]
    rows: NDArray[np.int64]
    shapes: NDArray[np.int64]
    core: Core
    n_core: NDArray[np.int64]
    small: NDArray[np.bool_]

    @property
    def n_px(self) -> Array:
        """Pixels of each cell, shape (n,)."""
        return self.shapes[self.rows, 0].astype(float)

    def total(self, shape: tuple[int, ...], add: Callable[[int, int, Any], None]) -> Array:
        """Sum over rows of pixels into a table by label: ``add(start, stop, table)``."""
        return sum_over(self.labels, add, (len(self.shapes), *shape), np.float64)


def sum_over(
    labels: Labels, add: Callable[[int, int, Any], None], shape: tuple[int, ...], kind: Any
) -> NDArray[Any]:
    """Table that bands of rows add to; planes are not cut where there are several."""
    planes, height, _ = labels.shape
    n, unit = (planes, height) if planes > 1 else (height, 1)
    return sum_bands(lambda start, stop, table: add(start * unit, stop * unit, table), n, BANDS, shape, kind)


def find_members(labels: Labels, params: SignatureParams) -> Members:
    """Cells of one frame (z, y, x), and which of their pixels are core."""
    from rgbtrack.signature.kernels import PLANES, N, core_rows, inner_rows, shape_rows, whole_rows

    labels = np.ascontiguousarray(labels, np.uint32)
    top, ids = int(labels.max()), None
    if top > 65_535 and top > labels.size // 64:  # tables by label would outgrow the image
        ids, labels = _renumber(labels)
        top = len(ids) - 1
    shapes = sum_over(labels, lambda a, b, table: shape_rows(labels, a, b, table), (top + 1, 12), np.int64)
    rows = np.flatnonzero(shapes[:, N])
    # radius of a disc of the same area; in volumes, of the mean cross-section
    radius = np.sqrt(shapes[:, N] / np.maximum(shapes[:, PLANES] if len(labels) > 1 else 1, 1) / np.pi)
    least = np.maximum(1.0, params.core * radius)
    height, width = labels.shape[1:]
    inner = find_runs(labels, lambda *band: inner_rows(labels, *band))
    core = find_runs(labels, lambda *band: core_rows(inner, height, width, least, *band))
    n_core = core.sizes(top + 1)
    small = n_core < params.min_core_px
    small[0] = False
    if small[rows].any():
        deep = core
        core = find_runs(labels, lambda *band: whole_rows(labels, deep, small, *band))
        n_core = core.sizes(top + 1)
    return Members(labels, rows if ids is None else ids[rows], rows, shapes, core, n_core, small)


def _renumber(labels: Labels) -> tuple[NDArray[np.int64], Labels]:
    """Ids in order, 0 first, and labels that count through them."""
    ids, index = np.unique(labels, return_inverse=True)
    if ids[0] != 0:
        ids, index = np.insert(ids, 0, 0), index + 1
    return ids.astype(np.int64), index.reshape(labels.shape).astype(np.uint32)


def find_runs(labels: Labels, find: Callable[..., int]) -> Core:
    """Runs that bands of rows find: ``find(start, stop, counts, begin, stop, cell)`` returns their number."""
    rows, width = labels.shape[0] * labels.shape[1], labels.shape[2]
    counts = np.empty(rows, np.int64)

    def work(start: int, stop: int) -> list[NDArray[Any]]:
        # what is not used costs nothing
        places = [np.empty((stop - start) * width, kind) for kind in (np.int32, np.int32, np.uint32)]
        n = find(start, stop, counts, *places)
        return [place[:n].copy() for place in places]

    begin, stop, cell = map(np.concatenate, zip(*over_bands(work, rows), strict=True))
    return Core(np.concatenate([[0], np.cumsum(counts)]), begin, stop, cell)
