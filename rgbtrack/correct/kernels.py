"""Passes over pixels, compiled; each releases the interpreter's lock and writes to rows of its own."""

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def shrink_rows(plane: Any, factor: int, start: int, stop: int, small: Any) -> None:
    """Means over blocks of factor x factor pixels, for rows start to stop of the small image."""
    height, width = plane.shape
    sums = np.empty(small.shape[1], np.float64)
    for row in range(start, stop):
        sums[:] = 0
        first, last = row * factor, min(height, (row + 1) * factor)
        for y in range(first, last):
            for column in range(small.shape[1]):
                total = 0.0
                for x in range(column * factor, min(width, (column + 1) * factor)):
                    total += plane[y, x]
                sums[column] += total
        for column in range(small.shape[1]):
            columns = min(width, (column + 1) * factor) - column * factor
            small[row, column] = sums[column] / ((last - first) * columns)


@njit(cache=True, nogil=True)
def spread_row(grid: Any, y: int, factor: int, line: Any) -> None:
    """One row, as wide as the image, of a grid of blocks of factor x factor pixels, bilinear."""
    rows, columns = grid.shape
    at = min(max((y + 0.5) / factor - 0.5, 0.0), rows - 1.0)
    above = min(int(at), max(0, rows - 2))
    share = np.float32(at - above)
    below = min(above + 1, rows - 1)
    left_edge = grid[above, 0] + share * (grid[below, 0] - grid[above, 0])
    first = factor // 2
    for x in range(min(first, line.shape[0])):
        line[x] = left_edge
    left = left_edge
    for column in range(columns):
        following = min(column + 1, columns - 1)
        right = grid[above, following] + share * (grid[below, following] - grid[above, following])
        step = (right - left) / factor
        # centre of the block, in pixels
        centre = (column + 0.5) * factor - 0.5
        begin = column * factor + first
        end = line.shape[0] if column == columns - 1 else min(begin + factor, line.shape[0])
        for x in range(begin, end):
            line[x] = left + step * np.float32(x - centre)
        left = right


@njit(cache=True, nogil=True)
def subtract_rows(raw: Any, grid: Any, factor: int, flat: Any, start: int, stop: int, pixels: Any) -> None:
    """``pixels = (raw - grid) / flat`` for rows start to stop; flat may be empty."""
    width = raw.shape[1]
    line = np.empty(width, np.float32)
    for y in range(start, stop):
        spread_row(grid, y, factor, line)
        if flat.shape[0]:
            for x in range(width):
                pixels[y, x] = (np.float32(raw[y, x]) - line[x]) / flat[y, x]
        else:
            for x in range(width):
                pixels[y, x] = np.float32(raw[y, x]) - line[x]


@njit(cache=True, nogil=True)
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
    """Sum, and share, of the pixels of each block that lie within three standard deviations of the level."""
    height, width = small.shape
    line = np.empty(width, np.float32)
    for row in range(start, stop):
        total[row] = 0
        share[row] = 0
        for y in range(row * factor, min(height, (row + 1) * factor)):
            spread_row(level, y, factor, line)
            for column in range(total.shape[1]):
                inside, n = np.float32(0), 0
                for x in range(column * factor, min(width, (column + 1) * factor)):
                    variance = max(gain * line[x] + intercept, floor)
                    off = small[y, x] - line[x]
                    if off * off < max(9 * scale * scale * variance, tiny):
                        inside += small[y, x]
                        n += 1
                total[row, column] += inside
                share[row, column] += n
        for column in range(total.shape[1]):
            full = np.float32(factor * factor)
            total[row, column] /= full
            share[row, column] /= full


@njit(cache=True, nogil=True)
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
