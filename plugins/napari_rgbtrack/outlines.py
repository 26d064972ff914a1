"""Outlines changed with the mouse: cells fused, or cut along a line. Without Qt, without napari."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.errors import DataError

GAP_PX = 6
"""Cells that are fused may lie this far apart."""


def fuse_cells(labels: NDArray[Any], numbers: Sequence[int]) -> NDArray[Any]:
    """Make cells one, under the number of the largest; a gap between them is filled.

    Parameters
    ----------
    labels
        Shape (z, y, x).
    numbers
        Two or more cells of them.

    Raises
    ------
    DataError
        If they do not lie beside each other.
    """
    fused = np.isin(labels, numbers)
    box = ndi.find_objects(fused.astype(np.uint8))[0]
    box = tuple(slice(max(0, s.start - GAP_PX), s.stop + GAP_PX) for s in box)
    inside = fused[box]
    if not _one_piece(inside):
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * GAP_PX + 1,) * 2)
        closed = np.stack([cv2.morphologyEx(p.astype(np.uint8), cv2.MORPH_CLOSE, disc) for p in inside])
        inside = inside | ((closed > 0) & (labels[box] == 0))
        if not _one_piece(inside):
            raise DataError(f"fuse: the cells do not touch: they lie more than {GAP_PX} pixels apart")
    sizes = [(labels == number).sum() for number in numbers]
    after = labels.copy()
    after[box][inside] = numbers[int(np.argmax(sizes))]
    return after


def part_new(painted: NDArray[Any], before: NDArray[Any], number: int) -> None:
    """Give pieces that were painted apart from a cell, under its number, numbers of their own, in place.

    Parameters
    ----------
    painted, before
        Outlines as they are painted now, and as they were, (z, y, x).
    number
        The cell that was painted.
    """
    pieces, n = ndi.label(painted == number, np.ones((3, 3, 3)))
    if n < 2:
        return
    kept = np.unique(pieces[before == number])
    new = [piece for piece in range(1, n + 1) if piece not in kept]
    for piece in new if len(kept[kept > 0]) else new[1:]:
        painted[pieces == piece] = painted.max() + 1


def cut_cells(labels: NDArray[Any], path: NDArray[Any], z: int = 0) -> NDArray[Any]:
    """Cut every cell that a line crosses wholly; the larger part keeps the number.

    Parameters
    ----------
    labels
        Shape (z, y, x).
    path
        Points (y, x) of the line, in pixels.
    z
        Plane that the line was drawn in; in a volume, the cut goes through all planes.

    Returns
    -------
    labels
        New parts have the next free numbers; pixels under the line go to the part beside them.

    Raises
    ------
    DataError
        If the line crosses no cell from side to side.
    """
    line = np.zeros(labels.shape[1:], np.uint8)
    points = np.round(np.asarray(path)[:, ::-1]).astype(np.int32)
    cv2.polylines(line, [points], isClosed=False, color=1, thickness=2)
    after, free = labels.copy(), int(labels.max()) + 1
    crossed = [int(number) for number in np.unique(labels[z][line > 0]) if number]
    for number in crossed:
        box = ndi.find_objects((labels == number).astype(np.uint8))[0]
        mask = labels[box] == number
        pieces, n = ndi.label(mask & (line[box[1:]] == 0), np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
        parts = [k + 1 for k in range(n) if sizes[k] >= max(4, 0.02 * mask.sum())]
        if len(parts) < 2:
            continue
        kept = parts[int(np.argmax([sizes[k - 1] for k in parts]))]
        seeds = np.where(np.isin(pieces, parts), pieces, 0)
        nearest = ndi.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
        owner = seeds[tuple(nearest)]
        for part in parts:
            if part != kept:
                after[box][mask & (owner == part)] = free
                free += 1
    if free == int(labels.max()) + 1:
        raise DataError("cut: the line crosses no cell from side to side: begin and end outside of the cell")
    return after


def _one_piece(mask: NDArray[np.bool_]) -> bool:
    return int(ndi.label(mask, np.ones((3, 3, 3)))[1]) == 1
