"""Outlines of labels along the edges of their pixels, so that drawing them gives the same labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Ring = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Polygon:
    """One piece of a cell in one plane: its outline, and those of its holes, corners (n, 2) of (x, y)."""

    outer: Ring
    holes: tuple[Ring, ...] = ()


def trace_labels(plane: NDArray[np.integer]) -> Iterator[tuple[int, list[Polygon]]]:
    """Outlines of every label of a plane.

    Parameters
    ----------
    plane
        Labels, shape (y, x), 0 is background.

    Yields
    ------
    label, pieces
        Corners in pixels, where (0, 0) is the upper left corner of the first pixel, not its middle: what
        QuPath and Fiji count from.

    Examples
    --------
    >>> label, (piece,) = next(trace_labels(np.array([[0, 7, 7], [0, 7, 0]])))
    >>> label, piece.outer.tolist()
    (7, [[1, 0], [1, 2], [2, 2], [2, 1], [3, 1], [3, 0]])
    """
    for index, box in enumerate(ndimage.find_objects(np.asarray(plane, np.int32))):
        if box is not None:
            yield index + 1, trace(plane[box] == index + 1, (box[1].start, box[0].start))


def trace(mask: NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> list[Polygon]:
    """Outlines of the pieces of a mask, (y, x), whose first pixel lies at the origin (x, y).

    OpenCV joins the middles of border pixels. At twice the size each of these lies beside one edge of the
    pixels as they were, and is moved there.
    """
    twice = np.repeat(np.repeat(mask.astype(np.uint8), 2, axis=0), 2, axis=1)
    found, tree = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = [_corners((contour[:, 0] + 1) // 2) + np.array(origin, np.int32) for contour in found]
    outside = [int(node[3]) for node in (tree[0] if len(rings) else [])]  # the ring around each hole; -1
    return [
        Polygon(ring, tuple(hole for hole, around in zip(rings, outside, strict=True) if around == i))
        for i, ring in enumerate(rings)
        if outside[i] < 0
    ]


def _corners(path: Ring) -> Ring:
    """Where a closed path turns."""
    path = path[(path != np.roll(path, 1, axis=0)).any(axis=1)]
    before, after = path - np.roll(path, 1, axis=0), np.roll(path, -1, axis=0) - path
    return path[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
