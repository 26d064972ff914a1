"""A part of an image, without and with what was found in it, for the report."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.pipeline.thumbnail import composite, markers_and_hues, tops, unmixed, write_png
from rgbtrack.stack import Stack

SIDE_PX = 480
"""Longest side of what is shown: two of these fit beside each other on a page."""
GAP_PX = 4
STRIDE = 4
"""Density and scale are judged from every fourth pixel: fast, and near enough."""
CROSS_PX = 3
"""Half the width of the cross on what was set aside."""
ORANGE = (255, 150, 0)


def write_closeup(path: Path, stack: Stack, labels: NDArray[Any], set_aside: pd.DataFrame) -> None:
    """Write the first frame where its cells are densest, two panels of one PNG: plain, and with outlines.

    Every pixel of the image is one pixel of the picture; of a small image, a square of a whole number of
    pixels a side, the largest at which no panel is over `SIDE_PX`. Of a z-stack it is the plane that cells
    cover most.

    Parameters
    ----------
    path
        Where to.
    stack
        Corrected stack.
    labels
        Cells of the first frame, shape (z, y, x).
    set_aside
        Places ``y_px, x_px`` of what was found and is no cell, drawn as crosses; may have no rows.
    """
    z = int(np.count_nonzero(labels[:, ::STRIDE, ::STRIDE], axis=(1, 2)).argmax())
    markers, hues = markers_and_hues(stack)
    plane = [np.asarray(stack.pixels[0, stack.channels.index(name), z]) for name in markers]
    scale = tops(unmixed(stack, np.stack([channel[::STRIDE, ::STRIDE] for channel in plane])))
    rows, columns = _densest(labels[z] > 0)
    here = unmixed(stack, np.stack([channel[rows, columns] for channel in plane]))
    times = max(1, SIDE_PX // max(here.shape[1:]))
    plain = enlarged(composite(here, hues, scale), times)
    outlined = draw_outlines(plain, enlarged(labels[z, rows, columns], times))
    if len(set_aside):
        places = set_aside[["y_px", "x_px"]].to_numpy(float) - [rows.start, columns.start]
        draw_crosses(outlined, times * (places + 0.5))
    gap = np.full((plain.shape[0], GAP_PX, 3), 255, np.uint8)
    write_png(path, np.hstack([plain, gap, outlined]))


def enlarged(plane: NDArray[Any], times: int) -> NDArray[Any]:
    """Each pixel of (y, x, ...) as a square of pixels."""
    return plane.repeat(times, axis=0).repeat(times, axis=1)


def draw_outlines(picture: NDArray[np.uint8], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Draw the outline of each cell, white and one pixel thin, with a dark line on either side of it.

    White on black is seen on any colour, white cells included. Where cells touch, each keeps its own outline
    and a dark line runs between the two.

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
    beside = cv2.dilate(line.astype(np.uint8), around) > 0
    drawn = picture.copy()
    drawn[beside] //= 6
    drawn[line] = 255
    return drawn


def draw_crosses(picture: NDArray[np.uint8], places: NDArray[np.float64]) -> None:
    """Draw an orange cross with a dark rim at each place (y, x) that lies in an RGB picture, onto it."""
    for y, x in np.floor(places).astype(int).tolist():
        if 0 <= y < picture.shape[0] and 0 <= x < picture.shape[1]:
            for colour, width in (((0, 0, 0), 3), (ORANGE, 1)):
                for rise in (-CROSS_PX, CROSS_PX):
                    cv2.line(picture, (x - CROSS_PX, y - rise), (x + CROSS_PX, y + rise), colour, width)


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
