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
COVER = 0.7
"""How much of the ground one cell hides; several hide more."""


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
) -> NDArray[np.uint8]:
    """Paint cells as dots.

    Parameters
    ----------
    raster
        Where the cells lie.
    rgb
        Their colours, (n, 3), each 0 to 1. Where dots overlap, their mean is seen.
    selection
        Cells to bring out: they lie on top within a white rim, all others are dimmed.
    shown
        Cells to draw; the others are hardly seen. All by default.
    dot_px
        Size of a dot.

    Returns
    -------
    picture
        Shape (height, width, 4): red, green, blue and cover, not multiplied.
    """
    n = len(raster.index)
    shown = np.ones(n, bool) if shown is None else shown
    selected = np.zeros(n, bool) if selection is None else selection & shown
    layers = []
    if not shown.all():
        colour, cover = _dots(raster, rgb, ~shown, dot_px)
        layers.append((colour, FAINT * cover))
    colour, cover = _dots(raster, rgb, shown & ~selected, dot_px)
    layers.append((colour * DIMMED if selected.any() else colour, cover))
    if selected.any():
        colour, cover = _dots(raster, rgb, selected, dot_px + 1)
        rim = cv2.dilate((cover > 0).astype(np.float32), np.ones((3, 3), np.uint8))
        layers += [(np.ones_like(colour), rim), (colour, (cover > 0).astype(np.float32))]
    return _laid_over(layers)


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


def _dots(raster: Raster, rgb: Floats, rows: Mask, dot_px: int) -> tuple[Floats, Floats]:
    """Mean colour, (height, width, 3), and cover, (height, width), of some cells."""
    n = raster.shape[0] * raster.shape[1]
    index, paint = raster.index[rows], rgb[rows]
    light = np.empty((*raster.shape, 4), np.float32)
    for channel in range(4):
        weights = paint[:, channel] if channel < 3 else None
        light[..., channel] = np.bincount(index, weights, n + 1)[:n].reshape(raster.shape)
    if dot_px <= 3:
        light = cv2.boxFilter(light, -1, (dot_px, dot_px), normalize=False, borderType=cv2.BORDER_CONSTANT)
    else:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (dot_px, dot_px)).astype(np.float32)
        light = cv2.filter2D(light, -1, disc, borderType=cv2.BORDER_CONSTANT)
    count = np.round(light[..., 3])  # sums of a filter are not quite whole
    colour = np.clip(light[..., :3] / np.maximum(count, 1)[..., None], 0, 1)
    return colour, (1 - (1 - COVER) ** count).astype(np.float32)


def _laid_over(layers: list[tuple[Floats, Floats]]) -> NDArray[np.uint8]:
    """Layers of colour and cover, each over the one before it."""
    colour, cover = layers[0]
    light = colour * cover[..., None]
    for colour, over in layers[1:]:
        light = light * (1 - over[..., None]) + colour * over[..., None]
        cover = cover + over - cover * over
    straight = light / np.maximum(cover, 1e-6)[..., None]
    return np.asarray(np.dstack([255 * straight, 255 * cover]).round().clip(0, 255), np.uint8)
