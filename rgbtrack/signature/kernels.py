"""Passes over labelled pixels, compiled; each releases the interpreter's lock and sums into its own table.

Rows are those of all planes, one after the other: row r is row ``r % height`` of plane ``r // height``.
"""

from typing import Any

import numpy as np
from numba import njit

from rgbtrack.grids import pool

# columns of the table of shapes, whole numbers
N, Z, Y, X, YY, XX, XY, PLANES, OUTLINE, CONTACT, STRAIGHT, OBLIQUE = range(12)
# lines that cross the outline in each way four pixels can lie inside, along and across the grid
_STRAIGHT = np.array([0, 1, 0, 0, 0, 1, 0, 0, 1, 2, 0, 0, 1, 2, 0, 0], np.int64)
_OBLIQUE = np.array([0, 1, 1, 2, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0], np.int64)


@njit(cache=True, nogil=True)
def shape_rows(labels: Any, start: int, stop: int, inner: Any, shapes: Any) -> None:
    """Moments and outlines of cells, and the pixels whose neighbours in the plane are of their own cell."""
    _, height, width = labels.shape
    nothing = np.zeros(width, labels.dtype)
    seen = np.full(shapes.shape[0], -1, np.int64)
    for row in range(start, stop):
        z, y = row // height, row % height
        here = labels[z, y]
        above = labels[z, y - 1] if y > 0 else nothing
        up = labels[z, max(y - 1, 0)]
        down = labels[z, min(y + 1, height - 1)]
        inside = inner[z, y]
        for x in range(width):
            inside[x] = (here[x] != 0) & (here[x] == up[x]) & (here[x] == down[x])
        for x in range(width - 1):
            same = here[x] == here[x + 1]
            inside[x] &= same
            inside[x + 1] &= same
        _squares(above, here, shapes)
        if y + 1 == height:
            _squares(here, nothing, shapes)
        x = 0
        while x < width:
            cell = here[x]
            if cell == 0:
                x += 1
                continue
            first = x
            edges = contacts = 0
            while x < width and here[x] == cell:
                if up[x] != cell:
                    edges += 1
                    contacts += up[x] != 0
                if down[x] != cell:
                    edges += 1
                    contacts += down[x] != 0
                x += 1
            if first > 0:
                edges += 1
                contacts += here[first - 1] != 0
            if x < width:
                edges += 1
                contacts += here[x] != 0
            n, last = x - first, x - 1
            sum_x = n * (first + last) // 2
            total = shapes[cell]
            total[N] += n
            total[Z] += n * z
            total[Y] += n * y
            total[X] += sum_x
            total[YY] += n * y * y
            total[XX] += _squares_to(last) - _squares_to(first - 1)
            total[XY] += y * sum_x
            total[OUTLINE] += edges
            total[CONTACT] += contacts
            if seen[cell] != z:
                seen[cell] = z
                total[PLANES] += 1


@njit(cache=True, nogil=True)
def _squares_to(n: int) -> int:
    """Sum of the squares of 0 to n."""
    return n * (n + 1) * (2 * n + 1) // 6


@njit(cache=True, nogil=True)
def _squares(above: Any, here: Any, shapes: Any) -> None:
    """Crofton's count of what lies between two rows."""
    left_above = left = above[0] * 0
    for x in range(above.shape[0] + 1):
        right_above = above[x] if x < above.shape[0] else above[0] * 0
        right = here[x] if x < above.shape[0] else above[0] * 0
        if not (left == right == left_above == right_above):
            four = (right, right_above, left, left_above)
            for i in range(4):
                cell = four[i]
                known = cell == 0
                for j in range(i):
                    known = known or four[j] == cell
                if known:
                    continue
                code = (
                    (right == cell)
                    + 2 * (right_above == cell)
                    + 4 * (left == cell)
                    + 8 * (left_above == cell)
                )
                shapes[cell, STRAIGHT] += _STRAIGHT[code]
                shapes[cell, OBLIQUE] += _OBLIQUE[code]
        left_above, left = right_above, right


@njit(cache=True, nogil=True)
def core_rows(labels: Any, depth: Any, least: Any, start: int, stop: int, core: Any, n_core: Any) -> None:
    """Pixels that lie deeper in their cell than its least depth, and their number."""
    _, height, width = labels.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        for x in range(width):
            cell = labels[z, y, x]
            deep = cell != 0 and depth[z, y, x] > least[cell]
            core[z, y, x] = deep
            if deep:
                n_core[cell] += 1


@njit(cache=True, nogil=True)
def gap_rows(
    plane: Any, gap: Any, top: float, factor: int, start: int, stop: int, light: Any, mean: Any
) -> None:
    """Means over blocks of factor x factor pixels: of the light in gaps, at most `top` each; of all."""
    height, width = plane.shape
    sums, all_sums = np.empty(width, np.float32), np.empty(width, np.float32)
    limit, zero = np.float32(top), np.float32(0)
    for row in range(start, stop):
        sums[:] = 0
        all_sums[:] = 0
        first, last = row * factor, min(height, (row + 1) * factor)
        for y in range(first, last):
            line, open_ = plane[y], gap[y]
            for x in range(width):
                value = line[x]
                all_sums[x] += value
                value = limit if value > limit else value
                sums[x] += value if open_[x] else zero
        pool(sums, factor, light[row])
        pool(all_sums, factor, mean[row])
        for column in range(light.shape[1]):
            n = np.float32((last - first) * (min(width, (column + 1) * factor) - column * factor))
            light[row, column] /= n
            mean[row, column] /= n


# columns of the table of sums, for each channel
COUNTS, VARIANCE, HAZE, NEAR = range(4)


@njit(cache=True, nogil=True)
def sum_rows(
    labels: Any,
    core: Any,
    small: Any,
    pixels: Any,
    raw: Any,
    gain: Any,
    intercept: Any,
    flat: Any,
    fade: Any,
    channel: Any,
    light: Any,
    factor: int,
    start: int,
    stop: int,
    sums: Any,
) -> None:
    """Counts, their noise variance, haze and nearby light, over the core of each cell; all of a small one.

    The variance of a pixel may come out below what is believed: the floor is that of the whole cell, since a
    floor for each pixel would only ever add.

    Light has the shape (z, rows, columns, 2 m): haze and nearby light of each channel, on a coarser grid.
    """
    _, height, width = labels.shape
    m = channel.shape[0]
    rows, columns = light.shape[1:3]
    left, share_x = np.empty(width, np.int64), np.empty(width, np.float32)
    for x in range(width):
        at = min(max((x + 0.5) / factor - 0.5, 0.0), columns - 1.0)
        left[x], share_x[x] = int(at), at - int(at)
    line = np.empty((columns + 1) * 2 * m, np.float32)
    grid = light.reshape(light.shape[0], rows, columns * 2 * m)
    for row in range(start, stop):
        z, y = row // height, row % height
        at = min(max((y + 0.5) / factor - 0.5, 0.0), rows - 1.0)
        share = np.float32(at - int(at))
        upper, lower = grid[z, int(at)], grid[z, min(int(at) + 1, rows - 1)]
        for i in range(upper.shape[0]):
            line[i] = upper[i] + share * (lower[i] - upper[i])
        line[upper.shape[0] :] = line[upper.shape[0] - 2 * m : upper.shape[0]]
        cells, inside, counts, values = labels[z, y], core[z, y], raw[:, z, y], pixels[:, z, y]
        for x in range(width):
            cell = cells[x]
            if cell == 0 or not (inside[x] or small[cell]):
                continue
            total = sums[cell]
            near, part = left[x] * 2 * m, share_x[x]
            far = near + 2 * m
            for j in range(m):
                c = channel[j]
                variance = gain[c] * np.float32(counts[c, x]) + intercept[c]
                if flat.shape[0]:
                    variance /= flat[c, y, x] * flat[c, y, x]
                variance /= fade[c, z] * fade[c, z]
                total[j, COUNTS] += values[c, x]
                total[j, VARIANCE] += variance
                total[j, HAZE] += line[near + 2 * j] + part * (line[far + 2 * j] - line[near + 2 * j])
                total[j, NEAR] += line[near + 2 * j + 1] + part * (
                    line[far + 2 * j + 1] - line[near + 2 * j + 1]
                )


@njit(cache=True, nogil=True)
def stain_rows(labels: Any, stain: Any, start: int, stop: int, sums: Any) -> None:
    """Sum of one image over each cell."""
    _, height, width = labels.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        for x in range(width):
            cell = labels[z, y, x]
            if cell:
                sums[cell] += stain[z, y, x]


@njit(cache=True, nogil=True)
def colour_rows(
    labels: Any, core: Any, pixels: Any, channel: Any, start: int, stop: int, sums: Any, fractions: Any
) -> None:
    """Colour of each core pixel, smoothed over 5 x 5 pixels of cells, and its moments in each cell.

    Sums hold, weighted by brightness: 1, each fraction (m), each product of two (m, m; the lower half).
    """
    _, height, width = labels.shape
    m = channel.shape[0]
    columns = np.zeros((m + 1, width), np.float64)
    window, local = np.empty(m + 1, np.float64), np.empty(m, np.float64)
    masks = np.zeros((2, width), np.float32)
    at, plane = 0, -1
    for row in range(start, stop):
        z, y = row // height, row % height
        if z != plane:
            plane = z
            columns[:] = 0
            for near in range(max(0, y - 2), min(height, y + 3)):
                _roll(labels, pixels, channel, z, near, -1, masks, columns)
        else:
            _roll(labels, pixels, channel, z, y + 2, y - 3, masks, columns)
        inside, cells = core[z, y], labels[z, y]
        for x in range(width):
            if not inside[x]:
                continue
            if 2 < x < width - 2 and inside[x - 1]:  # one column further
                for j in range(m + 1):
                    window[j] += columns[j, x + 2] - columns[j, x - 3]
            else:
                for j in range(m + 1):
                    window[j] = 0
                    for near in range(max(0, x - 2), min(width, x + 3)):
                        window[j] += columns[j, near]
            bright = 0.0
            for j in range(m):
                local[j] = max(window[j], 0.0)
                bright += local[j]
            share = 1 / max(bright, 1e-9 * window[m])
            bright /= window[m]
            table = sums[cells[x]]
            table[0] += bright
            for j in range(m):
                local[j] *= share
                fractions[at, j] = local[j]
                table[1 + j] += bright * local[j]
                for i in range(j + 1):
                    table[1 + m + j * m + i] += bright * local[i] * local[j]
            at += 1


@njit(cache=True, nogil=True)
def _roll(
    labels: Any, pixels: Any, channel: Any, z: int, new: int, old: int, masks: Any, columns: Any
) -> None:
    """Add a row to the sums of each column and take one off; the last of the sums counts pixels of cells."""
    m, height, width = channel.shape[0], labels.shape[1], labels.shape[2]
    for i, y in enumerate((new, old)):
        if 0 <= y < height:
            cells = labels[z, y]
            for x in range(width):
                masks[i, x] = np.float32(cells[x] != 0)
        else:
            masks[i] = 0
    count, plus, minus = columns[m], masks[0], masks[1]
    for x in range(width):
        count[x] += plus[x] - minus[x]
    for j in range(m):
        column = columns[j]
        come, go = pixels[channel[j], z, min(new, height - 1)], pixels[channel[j], z, max(old, 0)]
        for x in range(width):
            column[x] += np.float64(plus[x] * come[x]) - np.float64(minus[x] * go[x])


@njit(cache=True, nogil=True)
def half_rows(
    labels: Any, core: Any, fractions: Any, mean: Any, axis: Any, start: int, stop: int, halves: Any
) -> None:
    """Number, place and colour of core pixels on either side of each cell's mean along its colour axis."""
    _, height, width = labels.shape
    m = mean.shape[1]
    at = 0
    for row in range(start, stop):
        z, y = row // height, row % height
        for x in range(width):
            if not core[z, y, x]:
                continue
            cell = labels[z, y, x]
            along = 0.0
            for j in range(m):
                along += (fractions[at, j] - mean[cell, j]) * axis[cell, j]
            half = halves[cell, 0 if along > 0 else 1]
            half[0] += 1
            half[1] += y
            half[2] += x
            for j in range(m):
                half[3 + j] += fractions[at, j]
            at += 1
