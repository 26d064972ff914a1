"""The cells of one frame: their pixels, shapes and cores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.signature.params import SignatureParams
from rgbtrack.threads import over_bands, sum_bands

Array = NDArray[np.float64]
Labels = NDArray[np.uint32]
BANDS = 8
"""Pieces of an image that are summed apart: fixed, so that sums do not depend on the number of threads."""


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
        1 in the core of a cell, shape (z, y, x).
    n_core
        By label.
    """

    labels: Labels
    cells: NDArray[np.int64]
    rows: NDArray[np.int64]
    shapes: NDArray[np.int64]
    core: NDArray[np.uint8]
    n_core: NDArray[np.int64]

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
    from rgbtrack.signature.kernels import PLANES, N, core_rows, shape_rows

    labels = np.ascontiguousarray(labels, np.uint32)
    top, ids = int(labels.max()), None
    if top > 65_535 and top > labels.size // 64:  # tables by label would outgrow the image
        ids, labels = _renumber(labels)
        top = len(ids) - 1
    inner = np.empty(labels.shape, np.uint8)
    shapes = sum_over(
        labels, lambda a, b, table: shape_rows(labels, a, b, inner, table), (top + 1, 12), np.int64
    )
    rows = np.flatnonzero(shapes[:, N])
    # radius of a disc of the same area; in volumes, of the mean cross-section
    radius = np.sqrt(shapes[:, N] / np.maximum(shapes[:, PLANES] if len(labels) > 1 else 1, 1) / np.pi)
    least = np.maximum(1.0, params.core * radius)
    depth = depth_in_cell(inner, float(least.max()))
    core = inner  # no longer needed as such
    n_core = sum_over(
        labels, lambda a, b, table: core_rows(labels, depth, least, a, b, core, table), (top + 1,), np.int64
    )
    return Members(labels, rows if ids is None else ids[rows], rows, shapes, core, n_core)


def _renumber(labels: Labels) -> tuple[NDArray[np.int64], Labels]:
    """Ids in order, 0 first, and labels that count through them."""
    ids, index = np.unique(labels, return_inverse=True)
    if ids[0] != 0:
        ids, index = np.insert(ids, 0, 0), index + 1
    return ids.astype(np.int64), index.reshape(labels.shape).astype(np.uint32)


def depth_in_cell(inner: NDArray[np.uint8], reach: float) -> NDArray[np.float32]:
    """Distance in the plane from each pixel to the outline of its own cell, pixels; right up to a reach."""
    planes, height, width = inner.shape
    depth = np.empty(inner.shape, np.float32)
    margin = int(reach) + 3
    pieces = 1 if planes > 1 else min(BANDS, max(1, height // (4 * margin)))

    def work(start: int, stop: int) -> None:
        for z in range(planes) if planes == 1 else range(start, stop):
            first, last = (start, stop) if planes == 1 else (0, height)
            low, high = max(0, first - margin), min(height, last + margin)
            part = inner[z, low:high]
            if part.all():
                depth[z, first:last] = min(height, width)
                continue
            found = cv2.distanceTransform(part, cv2.DIST_L2, 5).reshape(part.shape)
            depth[z, first:last] = found[first - low : last - low]

    over_bands(work, height if planes == 1 else planes, pieces if planes == 1 else planes)
    return depth
