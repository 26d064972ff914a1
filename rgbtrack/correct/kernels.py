"""Passes over pixels, compiled; each releases the interpreter's lock and writes to rows of its own."""

from typing import Any

import numpy as np
from numba import njit

from rgbtrack.grids import pool, spread_rows


@njit(cache=True, nogil=True, error_model="numpy")
def subtract_rows(
    raw: Any,
    grid: Any,
    factor: int,
    corner: tuple[int, int],
    flat: Any,
    fade: float,
    start: int,
    stop: int,
    pixels: Any,
) -> None:
    """``pixels = (raw - grid) / (flat * fade)`` for rows start to stop; flat may be empty.

    The grid is of the whole plane, the rest of a window of it whose first row and column are the corner.
    """
    restore = np.float32(1 / fade)
    width, rows = raw.shape[1], max(factor, 8)
    background = np.empty((rows, width), np.float32)
    for begin in range(start, stop, rows):
        end = min(stop, begin + rows)
        spread_rows(grid, factor, corner[0] + begin, corner[0] + end, corner[1], background)
        for y in range(begin, end):
            line = background[y - begin]
            for x in range(width):
                pixels[y, x] = (np.float32(raw[y, x]) - line[x]) * restore
            if flat.shape[0]:
                for x in range(width):
                    pixels[y, x] /= flat[y, x]


@njit(cache=True, nogil=True, error_model="numpy")
def background_rows(
    small: Any,
    level: Any,
    factor: int,
    gain: float,
    intercept: float,
    floor: float,
    tiny: float,
    scale: float,
    start: int,
    stop: int,
    total: Any,
    share: Any,
) -> None:
    """Sum, and share, of the pixels of each block that lie within three standard deviations of its level."""
    height, width = small.shape
    low, high = np.empty(width, np.float32), np.empty(width, np.float32)
    sums, n = np.empty(width, np.float32), np.empty(width, np.float32)
    full, zero, one = np.float32(factor * factor), np.float32(0), np.float32(1)
    for row in range(start, stop):
        for column in range(total.shape[1]):
            middle = level[row, column]
            reach = max(3 * scale * np.sqrt(max(gain * middle + intercept, floor)), tiny)
            for x in range(column * factor, min(width, (column + 1) * factor)):
                low[x], high[x] = middle - reach, middle + reach
        sums[:] = 0
        n[:] = 0
        for y in range(row * factor, min(height, (row + 1) * factor)):
            line = small[y]
            for x in range(width):
                value = line[x]
                inside = (value > low[x]) & (value < high[x])
                sums[x] += value if inside else zero
                n[x] += one if inside else zero
        pool(sums, factor, total[row])
        pool(n, factor, share[row])
        for column in range(total.shape[1]):
            total[row, column] /= full
            share[row, column] /= full


@njit(cache=True, nogil=True, error_model="numpy")
def extremes(plane: Any) -> tuple[Any, Any, int]:
    """Least and largest value, and how often the largest occurs."""
    low = high = plane[0, 0]
    for y in range(plane.shape[0]):
        row = plane[y]
        least, most = row[0], row[0]
        for x in range(row.shape[0]):
            least = min(least, row[x])
            most = max(most, row[x])
        low, high = min(low, least), max(high, most)
    n = 0
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            n += plane[y, x] == high
    return low, high, n
