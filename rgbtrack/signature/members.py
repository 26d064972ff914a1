"""The pixels of each cell, and which of them are core."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.signature.colour import Array
from rgbtrack.signature.params import SignatureParams

Labels = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Members:
    """Pixels of the cells of one frame, flat: cell index (0-based), place, and whether in the core."""

    cells: NDArray[np.int64]  # (n,) ids
    index: NDArray[np.int64]  # (p,) row of each pixel's cell
    place: tuple[NDArray[np.int64], ...]  # z, y, x of each pixel, each (p,)
    core: NDArray[np.bool_]  # (p,)

    def total(self, values: Any, where: Any = None) -> Array:
        """Sum over each cell's pixels, shape (n,)."""
        if where is not None:
            values = values * where
        return np.bincount(self.index, weights=values, minlength=len(self.cells)).astype(float)


def find_members(labels: Labels, params: SignatureParams) -> Members:
    """Pixels of each cell, and which are core."""
    place = np.nonzero(labels)
    ids = labels[place]
    cells, index = np.unique(ids, return_inverse=True)
    n_px = np.bincount(index, minlength=len(cells))
    depth = _depth_in_cell(labels)[place]
    # radius of a disc of the same area; in volumes, of the mean cross-section
    planes = np.ones(len(cells))
    if labels.shape[0] > 1:
        seen = np.unique(np.stack([index, place[0]]), axis=1)
        planes = np.bincount(seen[0], minlength=len(cells)).astype(float)
    radius = np.sqrt(n_px / np.maximum(planes, 1) / np.pi)
    core = depth > np.maximum(1.0, params.core * radius)[index]
    return Members(cells.astype(np.int64), index.astype(np.int64), place, core)


def _depth_in_cell(labels: Labels) -> NDArray[np.float32]:
    """Distance in the plane from each pixel to the outline of its own cell, pixels."""
    depth = np.empty(labels.shape, np.float32)
    for z, plane in enumerate(labels):
        inner = plane > 0
        inner[1:] &= plane[1:] == plane[:-1]
        inner[:-1] &= plane[1:] == plane[:-1]
        inner[:, 1:] &= plane[:, 1:] == plane[:, :-1]
        inner[:, :-1] &= plane[:, 1:] == plane[:, :-1]
        if inner.all():
            depth[z] = min(plane.shape)
        else:
            depth[z] = cv2.distanceTransform(inner.astype(np.uint8), cv2.DIST_L2, 5).reshape(plane.shape)
    return depth
