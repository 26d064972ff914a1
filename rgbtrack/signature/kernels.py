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
def shape_rows(labels: Any, start: int, stop: int, shapes: Any) -> None:
    """Moments and outlines of cells.

    Most pixels look like their neighbours to the left and above: only the others are stopped at.
    """
    _, height, width = labels.shape
    nothing = np.zeros(width, labels.dtype)
    seen = np.full(shapes.shape[0], -1, np.int64)
    changed = np.zeros(8 * (width // 8 + 1), np.uint8)
    words = changed.view(np.uint64)
    for row in range(start, stop):
        z, y = row // height, row % height
        here = labels[z, y]
        above = labels[z, y - 1] if y > 0 else nothing
        _find_changes(above, here, changed)
        first, cell = 0, here[0] * 0
        for word in range(words.shape[0]):
            if words[word] == 0:
                continue
            for x in range(8 * word, min(8 * word + 8, width + 1)):
                if changed[x] == 0:
                    continue
                four = _four(above, here, x)
                _cross(four, shapes)
                now, up, before, _ = four
                if y > 0 and x < width:
                    _part(now, up, shapes)
                if 0 < x < width:
                    _part(now, before, shapes)
                if now != cell or x == width:
                    if cell != 0:
                        _add_run(z, y, first, x, shapes[cell])
                        if seen[cell] != z:
                            seen[cell] = z
                            shapes[cell, PLANES] += 1
                    first, cell = x, now
        if y + 1 == height:
            _find_changes(here, nothing, changed)
            for x in range(width + 1):
                if changed[x]:
                    _cross(_four(here, nothing, x), shapes)


@njit(cache=True, nogil=True)
def _find_changes(above: Any, here: Any, changed: Any) -> None:
    """Places where the pixels to the left, above, and left above are not all of the same cell."""
    width = here.shape[0]
    changed[0] = (here[0] != 0) | (above[0] != 0)
    changed[width] = (here[width - 1] != 0) | (above[width - 1] != 0)
    for x in range(1, width):
        changed[x] = (here[x] != here[x - 1]) | (here[x] != above[x]) | (above[x] != above[x - 1])


@njit(cache=True, nogil=True)
def _four(above: Any, here: Any, x: int) -> Any:
    """A pixel, that above, that to the left, and that left above; 0 outside the plane."""
    left, right = x > 0, x < here.shape[0]
    nothing = here[0] * 0
    return (
        here[x] if right else nothing,
        above[x] if right else nothing,
        here[x - 1] if left else nothing,
        above[x - 1] if left else nothing,
    )


@njit(cache=True, nogil=True)
def _part(one: int, other: int, shapes: Any) -> None:
    """Count a side between two pixels as outline of both, and as contact where both are cells."""
    if one == other:
        return
    if one != 0:
        shapes[one, OUTLINE] += 1
        shapes[one, CONTACT] += other != 0
    if other != 0:
        shapes[other, OUTLINE] += 1
        shapes[other, CONTACT] += one != 0


@njit(cache=True, nogil=True)
def _add_run(z: int, y: int, first: int, stop: int, total: Any) -> None:
    """Add the moments of a run of pixels of one row."""
    n, last = stop - first, stop - 1
    sum_x = n * (first + last) // 2
    total[N] += n
    total[Z] += n * z
    total[Y] += n * y
    total[X] += sum_x
    total[YY] += n * y * y
    total[XX] += _squares_to(last) - _squares_to(first - 1)
    total[XY] += y * sum_x


@njit(cache=True, nogil=True)
def _squares_to(n: int) -> int:
    """Sum of the squares of 0 to n."""
    return n * (n + 1) * (2 * n + 1) // 6


@njit(cache=True, nogil=True)
def _cross(four: Any, shapes: Any) -> None:
    """Crofton's count of how the outlines of cells pass between four pixels."""
    right, right_above, left, left_above = four
    for i in range(4):
        cell = four[i]
        known = cell == 0
        for j in range(i):
            known = known or four[j] == cell
        if known:
            continue
        code = (right == cell) + 2 * (right_above == cell) + 4 * (left == cell) + 8 * (left_above == cell)
        shapes[cell, STRAIGHT] += _STRAIGHT[code]
        shapes[cell, OBLIQUE] += _OBLIQUE[code]


@njit(cache=True, nogil=True)
def inner_rows(labels: Any, start: int, stop: int, counts: Any, begin: Any, end: Any, cell: Any) -> int:
    """Runs of pixels whose four neighbours in the plane are of their own cell, and how many each row has."""
    _, height, width = labels.shape
    inside = np.zeros(8 * (width // 8 + 1), np.uint8)  # one more, which is in no cell
    words = inside.view(np.uint64)
    n = 0
    for row in range(start, stop):
        z, y = row // height, row % height
        _find_inner(labels[z], y, inside[:width])
        before, now, same = n, 0, np.uint64(0)
        for word in range(words.shape[0]):
            if words[word] == same:
                continue
            for x in range(8 * word, 8 * word + 8):
                if inside[x] == now:
                    continue
                if now:
                    end[n] = x
                    n += 1
                else:
                    begin[n], cell[n] = x, labels[z, y, x]
                now = inside[x]
            same = np.uint64(0x0101010101010101) if now else np.uint64(0)
        counts[row] = n - before
    return n


@njit(cache=True, nogil=True)
def _find_inner(plane: Any, y: int, inside: Any) -> None:
    """Pixels of a row whose four neighbours are of their own cell."""
    height, width = plane.shape
    here, up, down = plane[y], plane[max(y - 1, 0)], plane[min(y + 1, height - 1)]
    for x in range(width):
        inside[x] = (here[x] != 0) & (here[x] == up[x]) & (here[x] == down[x])
    left, right = here[: width - 1], here[1:]
    for beside in (inside[: width - 1], inside[1:]):
        for x in range(width - 1):
            beside[x] &= left[x] == right[x]


@njit(cache=True, nogil=True)
def core_rows(
    inner: Any,
    height: int,
    width: int,
    least: Any,
    start: int,
    stop: int,
    counts: Any,
    begin: Any,
    end: Any,
    cell: Any,
) -> int:
    """Runs of pixels that lie deeper in their cell, in the plane, than its least depth; how many a row has.

    A row so many pixels away lets through what lies deep enough in its own runs: where all rows around
    do, there is core. Beyond the image no outline is.
    """
    n, far = 0, int(least.max())
    nearest = np.empty(2 * far + 1, np.int64)  # of each row around, the run that is not yet passed
    for row in range(start, stop):
        y, before = row % height, n
        up, down = min(far, y), min(far, height - 1 - y)
        for i in range(-up, down + 1):
            nearest[i] = inner.first[row + i]
        for r in range(inner.first[row], inner.first[row + 1]):
            x, last, enough = inner.begin[r], inner.stop[r], least[inner.cell[r]]
            while x < last:
                low, high, reach = x, last, int(enough)
                for away in range(int(enough) + 1):
                    while reach >= 0 and _chamfer(away, reach) > enough:
                        reach -= 1
                    if reach < 0 or low >= last:
                        break
                    for i in (-away, away):
                        if not -up <= i <= down:
                            continue
                        at, none = nearest[i], inner.first[row + i + 1]
                        while at < none and inner.stop[at] <= inner.begin[r]:
                            at += 1
                        nearest[i] = at
                        while at < none and inner.stop[at] - reach <= x and inner.stop[at] < width:
                            at += 1
                        if at == none:
                            low = last
                            break
                        if inner.begin[at] > 0:
                            low = max(low, inner.begin[at] + reach)
                        if inner.stop[at] < width:
                            high = min(high, inner.stop[at] - reach)
                if low < high:
                    begin[n], end[n], cell[n] = low, high, inner.cell[r]
                    n += 1
                x = max(low, high)
        counts[row] = n - before
    return n


@njit(cache=True, nogil=True)
def _chamfer(one: int, other: int) -> float:
    """Distance by steps of 1, 1.4 and 2.1969: along a row or column, across, and as a knight moves.

    Borgefors, Computer Vision, Graphics, and Image Processing 34 (1986) 344.
    """
    long, short = max(one, other), min(one, other)
    if 2 * short <= long:
        return (long - 2 * short) + 2.1969 * short
    return 2.1969 * (long - short) + 1.4 * (2 * short - long)


@njit(cache=True, nogil=True)
def whole_rows(
    labels: Any,
    core: Any,
    small: Any,
    start: int,
    stop: int,
    counts: Any,
    begin: Any,
    end: Any,
    cell: Any,
) -> int:
    """Runs of the core, but of small cells of all they have, and how many each row has."""
    _, height, width = labels.shape
    n = 0
    for row in range(start, stop):
        line, before, x = labels[row // height, row % height], n, 0
        r, none = core.first[row], core.first[row + 1]
        while x < width:
            first = x
            while x < width and line[x] == line[first]:
                x += 1
            if small[line[first]]:
                begin[n], end[n], cell[n] = first, x, line[first]
                n += 1
            while r < none and core.begin[r] < x:
                if not small[line[first]]:
                    begin[n], end[n], cell[n] = core.begin[r], core.stop[r], core.cell[r]
                    n += 1
                r += 1
        counts[row] = n - before
    return n


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


@njit(cache=True, nogil=True, error_model="numpy")
def window_rows(
    pixels: Any, gaps: Any, channel: Any, side: int, start: int, stop: int, share: Any, mean: Any
) -> None:
    """Share of gaps in windows of side x side pixels, and the mean of the light of each channel in them.

    Rows of windows, of all planes.
    """
    _, height, width = gaps.shape
    rows, columns = share.shape[1:]
    m = channel.shape[0]
    sums, n = np.empty((m, width), np.float32), np.empty(width, np.float32)
    open_ = np.empty(width, np.float32)
    for row in range(start, stop):
        z, i = row // rows, row % rows
        sums[:] = 0
        n[:] = 0
        first, last = i * side, min(height, (i + 1) * side)
        for y in range(first, last):
            gap = gaps[z, y]
            for x in range(width):
                open_[x] = gap[x]
                n[x] += open_[x]
            for j in range(m):
                line, total = pixels[channel[j], z, y], sums[j]
                for x in range(width):
                    total[x] += line[x] * open_[x]
        pool(n, side, share[z, i])
        for j in range(m):
            pool(sums[j], side, mean[j, z, i])
            for column in range(columns):
                mean[j, z, i, column] /= share[z, i, column]
        for column in range(columns):
            share[z, i, column] /= (last - first) * (min(width, (column + 1) * side) - column * side)


# columns of the table of sums, for each channel
COUNTS, VARIANCE, HAZE, NEAR = range(4)


@njit(cache=True, nogil=True, error_model="numpy")
def sum_rows(
    runs: Any,
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
    """Counts, their noise variance, haze and nearby light, over the core of each cell.

    The variance of a pixel may come out below what is believed: the floor is that of the whole cell, since a
    floor for each pixel would only ever add.

    Light has the shape (z, rows, columns, 2 m): haze and nearby light of each channel, on a coarser grid;
    between two points of which it is a straight line, so that one sum of shares tells that of all pixels.
    """
    height, width, m = pixels.shape[2], pixels.shape[3], channel.shape[0]
    rows, columns = light.shape[1:3]
    left, shares = np.empty(width + 1, np.int64), np.zeros(width + 1, np.float64)
    for x in range(width):
        at = min(max((x + 0.5) / factor - 0.5, 0.0), columns - 1.0)
        left[x], shares[x + 1] = int(at), shares[x] + at - int(at)
    left[width] = -1
    line = np.empty((columns + 1, 2 * m), np.float32)
    for row in range(start, stop):
        z, y = row // height, row % height
        at = min(max((y + 0.5) / factor - 0.5, 0.0), rows - 1.0)
        share = np.float32(at - int(at))
        upper, lower = light[z, int(at)], light[z, min(int(at) + 1, rows - 1)]
        for i in range(columns):
            for k in range(2 * m):
                line[i, k] = upper[i, k] + share * (lower[i, k] - upper[i, k])
        line[columns] = line[columns - 1]
        counts, values = raw[:, z, y], pixels[:, z, y]
        for r in range(runs.first[row], runs.first[row + 1]):
            cell, begin, end = runs.cell[r], runs.begin[r], runs.stop[r]
            x = begin
            while x < end:
                near, one = left[x], x
                while x < end and left[x] == near:
                    x += 1
                n, far = x - one, np.float32(shares[x] - shares[one])
                for j in range(m):
                    for k in range(2):
                        low, high = line[near, 2 * j + k], line[near + 1, 2 * j + k]
                        sums[cell, j, HAZE + k] += n * low + far * (high - low)
            n = end - begin
            for j in range(m):
                c = channel[j]
                total, seen, variance = 0.0, 0.0, 0.0
                for x in range(begin, end):
                    total += values[c, x]
                    seen += counts[c, x]
                if flat.shape[0]:
                    for x in range(begin, end):
                        even = flat[c, y, x] * flat[c, y, x]
                        variance += (gain[c] * np.float32(counts[c, x]) + intercept[c]) / even
                else:
                    variance = gain[c] * seen + n * intercept[c]
                sums[cell, j, COUNTS] += total
                sums[cell, j, VARIANCE] += variance / (fade[c, z] * fade[c, z])


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


@njit(cache=True, nogil=True, error_model="numpy")
def colour_rows(
    labels: Any, runs: Any, pixels: Any, channel: Any, start: int, stop: int, sums: Any, fractions: Any
) -> None:
    """Colour of each core pixel, smoothed over 5 x 5 pixels of cells, and its moments in each cell.

    Sums hold, weighted by brightness: 1, each fraction (m), each product of two (m, m; the lower half); and
    not weighted: each fraction (m), all squares (1).
    """
    _, height, width = labels.shape
    m = channel.shape[0]
    rows = np.zeros((5, m + 1, width), np.float32)
    columns = np.zeros((m + 1, width + 4), np.float32)  # two more on either side
    local, count = np.empty(m, np.float32), columns[m]
    plain = 1 + m + m * m
    zero, one, tiny = np.float32(0), np.float32(1), np.float32(1e-9)
    at, known = 0, -1  # rows up to here
    for row in range(start, stop):
        z, y = row // height, row % height
        if runs.first[row] == runs.first[row + 1]:
            continue
        for near in range(max(y - 2, known + 1 - z * height), y + 3):
            _keep_cells(labels, pixels, channel, z, near, rows[near % 5])
        known = row + 2 if y < height - 1 else -1
        for j in range(m + 1):
            column, a, b, c, d, e = columns[j], rows[0, j], rows[1, j], rows[2, j], rows[3, j], rows[4, j]
            for x in range(width):
                column[x + 2] = a[x] + b[x] + c[x] + d[x] + e[x]
        for r in range(runs.first[row], runs.first[row + 1]):
            table = sums[runs.cell[r]]
            for x in range(runs.begin[r], runs.stop[r]):
                bright = zero
                for j in range(m):
                    value = columns[j, x] + columns[j, x + 1] + columns[j, x + 2]
                    local[j] = max(value + columns[j, x + 3] + columns[j, x + 4], zero)
                    bright += local[j]
                n = count[x] + count[x + 1] + count[x + 2] + count[x + 3] + count[x + 4]
                share = one / max(bright, tiny * n)
                bright /= n
                table[0] += bright
                for j in range(m):
                    local[j] *= share
                    fractions[at, j] = local[j]
                    table[plain + j] += local[j]
                    table[plain + m] += local[j] * local[j]
                    weighted = np.float64(bright * local[j])
                    table[1 + j] += weighted
                    for k in range(j + 1):
                        table[1 + m + j * m + k] += weighted * local[k]
                at += 1


@njit(cache=True, nogil=True)
def _keep_cells(labels: Any, pixels: Any, channel: Any, z: int, y: int, kept: Any) -> None:
    """A row of each channel, 0 outside cells; last, 1 in cells."""
    m, zero, one = channel.shape[0], np.float32(0), np.float32(1)
    if y < 0 or y >= labels.shape[1]:
        kept[:] = 0
        return
    cells, inside = labels[z, y], kept[m]
    for x in range(cells.shape[0]):
        inside[x] = one if cells[x] != 0 else zero
    for j in range(m):
        values, line = pixels[channel[j], z, y], kept[j]
        for x in range(cells.shape[0]):
            line[x] = values[x] * inside[x]


@njit(cache=True, nogil=True)
def half_rows(
    runs: Any,
    height: int,
    fractions: Any,
    wanted: Any,
    mean: Any,
    axis: Any,
    start: int,
    stop: int,
    halves: Any,
) -> None:
    """Number, place and colour of core pixels on either side of each cell's mean along its colour axis.

    Of the cells that are wanted: those with a place in the other tables, not below 0.
    """
    m, at = mean.shape[1], 0
    for row in range(start, stop):
        y = row % height
        for r in range(runs.first[row], runs.first[row + 1]):
            cell, begin, end = wanted[runs.cell[r]], runs.begin[r], runs.stop[r]
            if cell < 0:
                at += end - begin
                continue
            middle = 0.0
            for j in range(m):
                middle += mean[cell, j] * axis[cell, j]
            for x in range(begin, end):
                along = -middle
                for j in range(m):
                    along += fractions[at, j] * axis[cell, j]
                half = halves[cell, 0 if along > 0 else 1]
                half[0] += 1
                half[1] += y
                half[2] += x
                for j in range(m):
                    half[3 + j] += fractions[at, j]
                at += 1
