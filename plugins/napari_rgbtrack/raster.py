"""Cells as the pixels of a plot: a quarter of a million are painted and picked in milliseconds."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Limits = tuple[float, float, float, float]
"""Left, right, bottom, top."""

DIMMED = 0.3
"""Of the light of cells that are not selected, where some are."""
FAINT = 0.12
"""Of the cover of cells that are not shown."""
_COVER = (1 - 0.3 ** np.arange(8)).astype(np.float32)
"""How much of the ground so many cells hide."""


@dataclass(frozen=True)
class Raster:
    """Where cells lie on the pixels of a plot.

    Attributes
    ----------
    x, y
        In pixels from the upper left corner; NaN where a cell has no place.
    index
        Pixel of each cell, row by row; one past the last for cells outside.
    shape
        Height and width of the plot.
    """

    x: Floats
    y: Floats
    index: NDArray[np.intp]
    shape: tuple[int, int]


def rasterise(places: Floats, limits: Limits, shape: tuple[int, int]) -> Raster:
    """Lay cells at some places, (n, 2), on the pixels of a plot that shows these limits."""
    height, width = shape
    left, right, bottom, top = limits
    x = (places[:, 0] - np.float32(left)) * np.float32(width / (right - left))
    y = (np.float32(top) - places[:, 1]) * np.float32(height / (top - bottom))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = np.full(len(places), height * width, np.intp)
    index[inside] = y[inside].astype(np.intp) * width + x[inside].astype(np.intp)
    return Raster(x, y, index, shape)


def paint_cells(
    raster: Raster,
    rgb: Floats,
    *,
    selection: Mask | None = None,
    shown: Mask | None = None,
    dot_px: int = 3,
    light: Floats | None = None,
) -> NDArray[np.uint8]:
    """Paint cells as dots.

    Parameters
    ----------
    raster
        Where the cells lie.
    rgb
        Their colours, (n, 3), each 0 to 1. Where dots overlap, their mean is seen.
    selection
        Cells to bring out: they lie on top within a white and a black rim, so that one of them is seen on any
        ground; all others are dimmed.
    shown
        Cells to draw; the others are hardly seen. All by default.
    dot_px
        Size of a dot.
    light
        Of the cells shown, as `light_of` tells it, where it is known already.

    Returns
    -------
    picture
        Shape (height, width, 4): red, green, blue and cover, not multiplied.
    """
    n = len(raster.index)
    shown = np.ones(n, bool) if shown is None else shown
    selected = np.zeros(n, bool) if selection is None else selection & shown
    light = light_of(raster, rgb, shown) if light is None else light
    chosen = light_of(raster, rgb, selected) if selected.any() else None
    dots = None if chosen is None else _dots(chosen, dot_px + 1)
    layers = []
    if not shown.all():
        colour, count = _dots(light_of(raster, rgb, ~shown), dot_px)
        layers.append((colour, FAINT * _COVER[count]))
    # in place: memory that is asked for anew at each choice takes longer than the sums
    colour, count = _dots(light if chosen is None else np.subtract(light, chosen, out=chosen), dot_px)
    if dots is not None:
        colour *= np.float32(DIMMED)
    layers.append((colour, _COVER[count]))
    picture = _laid_over(layers)
    if dots is not None:
        colour, count = dots
        own = np.minimum(count, 1)
        for rim_px, grey in ((3, 0), (1, 255)):
            picture[cv2.dilate(own, np.ones((2 * rim_px + 1,) * 2, np.uint8)) > own] = (grey, grey, grey, 255)
        cv2.copyTo(_laid_over([(colour, own.astype(np.float32))]), own, picture)
    return picture


def inside(raster: Raster, outline: NDArray[np.floating]) -> Mask:
    """Cells within an outline, (k, 2), in pixels."""
    height, width = raster.shape
    area = np.zeros((height, width), np.uint8)
    cv2.fillPoly(area, [np.round(outline).astype(np.int32)], 1)
    return np.append(area.ravel(), 0)[raster.index].astype(bool)


def nearest(raster: Raster, point: tuple[float, float], within_px: float, among: Mask) -> int | None:
    """Cell nearest to a point, in pixels; None if none is near."""
    distance = np.where(among, (raster.x - point[0]) ** 2 + (raster.y - point[1]) ** 2, np.inf)
    distance = np.nan_to_num(distance, nan=np.inf)
    row = int(distance.argmin()) if len(distance) else 0
    return row if len(distance) and distance[row] <= within_px**2 else None


def next_cell(raster: Raster, row: int, dx: int, dy: int, among: Mask) -> int | None:
    """Nearest cell to the left (dx -1), right (1), above (dy -1) or below (1) of another."""
    x, y = raster.x - raster.x[row], raster.y - raster.y[row]
    along, across = (x * dx, np.abs(y)) if dx else (y * dy, np.abs(x))
    ahead = among & (raster.index < raster.shape[0] * raster.shape[1]) & (along >= 0.5) & (across <= along)
    if not ahead.any():
        return None
    return int(np.where(ahead, along + across, np.inf).argmin())


def light_of(raster: Raster, rgb: Floats, rows: Mask) -> Floats:
    """Sums of the colours of some cells, and their number, on each pixel: (4, height, width)."""
    n = raster.shape[0] * raster.shape[1]
    taken = np.flatnonzero(rows)
    index, paint = raster.index.take(taken), rgb.take(taken, axis=0)
    light = np.empty((4, n), np.float32)
    for channel in range(4):
        light[channel] = np.bincount(index, paint[:, channel] if channel < 3 else None, n + 1)[:n]
    return light.reshape(4, *raster.shape)


def _dots(light: Floats, dot_px: int) -> tuple[Floats, NDArray[np.uint8]]:
    """Mean colour, (3, height, width), and number, (height, width), up to many, of dots of `light_of`."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (dot_px, dot_px)).astype(np.float32)
    spread = np.empty_like(light)
    for sums, dots in zip(light, spread, strict=True):
        if dot_px > 3:
            cv2.filter2D(sums, -1, disc, dst=dots, borderType=cv2.BORDER_CONSTANT)
        else:
            cv2.boxFilter(sums, -1, (dot_px, dot_px), dots, normalize=False)
    colour, count = spread[:3], spread[3]
    colour /= np.maximum(count, 1)
    np.clip(colour, 0, 1, out=colour)
    # sums of a filter are not quite whole
    return colour, np.minimum(count + np.float32(0.5), len(_COVER) - 1).astype(np.uint8)


def _laid_over(layers: list[tuple[Floats, Floats]]) -> NDArray[np.uint8]:
    """Layers of colour and cover, each over the one before it."""
    colour, cover = layers[0]
    light = colour * cover
    for colour, over in layers[1:]:
        light += over * (colour - light)
        cover = cover + over - cover * over
    light *= 255 / np.maximum(cover, np.float32(1e-6))
    return np.asarray(cv2.merge([np.round(part).astype(np.uint8) for part in (*light, 255 * cover)]))
