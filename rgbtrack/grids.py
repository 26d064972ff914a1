"""Images on a coarser grid: means over blocks of pixels, and back, bilinear.

Compiled; each function releases the interpreter's lock and writes to rows of its own.
"""

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def shrink_rows(plane: Any, factor: int, start: int, stop: int, small: Any, least: float = -np.inf) -> None:
    """Means over blocks of factor x factor pixels, for rows start to stop of the small image.

    What is less than the least counts as that.
    """
    height, width = plane.shape
    sums, low = np.empty(width, np.float32), np.float32(least)
    whole = width // factor
    for row in range(start, stop):
        first, last, means = row * factor, min(height, (row + 1) * factor), small[row]
        for y in range(first, last):
            line, totals = plane[y], means if factor == 1 else sums
            for x in range(width):
                value = np.float32(line[x])
                value = value if value > low else low
                totals[x] = value if y == first else totals[x] + value
        if factor == 1:
            continue
        pool(sums, factor, means)
        area = np.float32((last - first) * factor)
        for column in range(whole):
            means[column] /= area
        if whole < means.shape[0]:
            means[whole] /= np.float32((last - first) * (width - whole * factor))


@njit(cache=True, nogil=True, error_model="numpy")
def pool(line: Any, factor: int, sums: Any) -> None:
    """Sums of so many neighbours each."""
    whole = line.shape[0] // factor
    if factor == 2:  # as many at a time as the processor takes
        for column in range(whole):
            sums[column] = line[2 * column] + line[2 * column + 1]
    for column in range(0 if factor == 2 else whole):
        total = line[column * factor]
        for i in range(1, factor):
            total += line[column * factor + i]
        sums[column] = total
    if whole < sums.shape[0]:
        total = line[whole * factor]
        for x in range(whole * factor + 1, line.shape[0]):
            total += line[x]
        sums[whole] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _widen(blocks: Any, factor: int, left: int, line: Any) -> None:
    """Values at the centres of blocks of so many pixels to one for each pixel from `left` on."""
    last, width = blocks.shape[0] - 1, line.shape[0]
    first = factor // 2
    x = min(max(first - left, 0), width)
    line[:x] = blocks[0]
    column = (left + x - first) // factor
    while x < width and column < last:
        begin = column * factor + first
        step = (blocks[column + 1] - blocks[column]) / np.float32(factor)
        value = blocks[column] + step * np.float32(begin - ((column + 0.5) * factor - 0.5))
        before = left - begin
        end = min(width, factor - before)
        for i in range(x, end):
            line[i] = value + step * np.float32(i + before)
        x, column = end, column + 1
    line[x:] = blocks[last]


@njit(cache=True, nogil=True, error_model="numpy")
def widen_around(grid: Any, factor: int, y: int, left: int, known: int, lines: Any) -> tuple[int, Any]:
    """Two lines, of the blocks above and below row y, from the column `left` on.

    `known` is the row of blocks that the first line holds already, -1 for none; which one it holds now is
    returned, and the share of the second in row y.
    """
    rows = grid.shape[0]
    at = min(max((y + 0.5) / factor - 0.5, 0.0), rows - 1.0)
    above = int(at)
    if above != known:
        if known >= 0 and above == known + 1:
            lines[0] = lines[1]
        else:
            _widen(grid[above], factor, left, lines[0])
        _widen(grid[min(above + 1, rows - 1)], factor, left, lines[1])
    return above, np.float32(at - above)


@njit(cache=True, nogil=True, error_model="numpy")
def spread_rows(grid: Any, factor: int, start: int, stop: int, left: int, image: Any) -> None:
    """Rows start to stop of an image from the values of its blocks of factor x factor pixels, bilinear.

    Of the columns from `left` on, as many as there is room for.
    """
    lines = np.empty((2, image.shape[1]), np.float32)
    upper, lower = lines
    known = -1
    for y in range(start, stop):
        known, share = widen_around(grid, factor, y, left, known, lines)
        line = image[y - start]
        for x in range(line.shape[0]):
            line[x] = upper[x] + share * (lower[x] - upper[x])
