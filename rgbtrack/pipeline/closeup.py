"""A part of an image at 1:1, without and with the outlines of its cells, for the report."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.pipeline.thumbnail import composite, markers_and_hues, tops, unmixed, write_png
from rgbtrack.stack import Stack

SIDE_PX = 480
"""Longest side of what is shown: two of these fit beside each other on a page."""
GAP_PX = 4
STRIDE = 4
"""Density and scale are judged from every fourth pixel: fast, and near enough."""


def write_closeup(path: Path, stack: Stack, labels: NDArray[Any]) -> None:
    """Write the first frame where its cells are densest, two panels of one PNG: plain, and with outlines.

    Every pixel of the image is one pixel of the picture. Of a z-stack it is the plane that cells cover most.

    Parameters
    ----------
    path
        Where to.
    stack
        Corrected stack.
    labels
        Cells of the first frame, shape (z, y, x).
    """
    z = int(np.count_nonzero(labels[:, ::STRIDE, ::STRIDE], axis=(1, 2)).argmax())
    markers, hues = markers_and_hues(stack)
    plane = [np.asarray(stack.pixels[0, stack.channels.index(name), z]) for name in markers]
    scale = tops(unmixed(stack, np.stack([channel[::STRIDE, ::STRIDE] for channel in plane])))
    rows, columns = _densest(labels[z] > 0)
    here = unmixed(stack, np.stack([channel[rows, columns] for channel in plane]))
    plain = composite(here, hues, scale)
    gap = np.full((plain.shape[0], GAP_PX, 3), 255, np.uint8)
    write_png(path, np.hstack([plain, gap, draw_outlines(plain, labels[z, rows, columns])]))


def draw_outlines(picture: NDArray[np.uint8], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Draw the outline of each cell, white and one pixel thin, with a dark line around it.

    Where cells touch, each keeps its own outline and the dark line runs between the two.

    Parameters
    ----------
    picture
        RGB, shape (y, x, 3).
    labels
        Cells, shape (y, x), 0 is background.

    Returns
    -------
    picture
        A new picture of the same shape.
    """
    apart = labels.astype(np.float32)  # exact up to 16 million cells
    around = np.ones((3, 3), np.uint8)
    # of two touching cells one gives way by a pixel
    apart[(apart > 0) & (cv2.dilate(apart, around) > apart)] = 0
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    line = (apart > 0) & (cv2.erode(apart, cross) == 0)
    ground = (apart == 0) & (cv2.dilate(line.astype(np.uint8), around) > 0)
    drawn = picture.copy()
    drawn[ground] //= 6
    drawn[line] = 255
    return drawn


def _densest(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Window, SIDE_PX wide at most, in which the mask covers most; in the middle where it is empty."""
    height, width = (min(SIDE_PX, n) for n in mask.shape)
    if not mask.any():
        top, left = (mask.shape[0] - height) // 2, (mask.shape[1] - width) // 2
    else:
        coarse = mask[::STRIDE, ::STRIDE].astype(np.float32)
        total = cv2.integral(coarse)
        h, w = max(1, height // STRIDE), max(1, width // STRIDE)
        covered = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
        place = np.unravel_index(covered.argmax(), covered.shape)
        top, left = (
            min(STRIDE * int(at), n - side)
            for at, n, side in zip(place, mask.shape, (height, width), strict=True)
        )
    return slice(top, top + height), slice(left, left + width)
