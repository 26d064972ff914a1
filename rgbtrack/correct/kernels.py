"""Passes over pixels, compiled; each releases the interpreter's lock and writes to rows of its own."""

from typing import Any

import numpy as np
from numba import njit

from rgbtrack.grids import pool, widen_around

FAR = -40.0
"""Logarithm of a density that adds nothing."""


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
    lines, known = np.empty((2, raw.shape[1]), np.float32), -1
    upper, lower = lines
    for y in range(start, stop):
        known, share = widen_around(grid, factor, corner[0] + y, corner[1], known, lines)
        counts, out = raw[y], pixels[y]
        for x in range(out.shape[0]):
            out[x] = (np.float32(counts[x]) - (upper[x] + share * (lower[x] - upper[x]))) * restore
        if flat.shape[0]:
            light = flat[y]
            for x in range(out.shape[0]):
                out[x] /= light[x]


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
    n = 0
    for y in range(plane.shape[0]):
        row = plane[y]
        least, most = row[0], row[0]
        for x in range(row.shape[0]):
            least = min(least, row[x])
            most = max(most, row[x])
        low = min(low, least)
        if most > high:
            high, n = most, 0
        if most == high:
            n += (row == high).sum()
    return low, high, n


@njit(cache=True, nogil=True, error_model="numpy")
def levels_below_top(highest: Any, mean: Any, top: float, levels: int) -> tuple[Any, Any]:
    """Square root of the mean in so many levels, and how many pixels are of each level or less.

    Pixels with something near them at the top are of a level above all; none are where hardly any others are.
    """
    limit = np.float32(top if (highest < top).sum() >= 100 else np.inf)
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for i in range(mean.size):
        inside = highest[i] < limit
        low = min(low, mean[i] if inside else low)
        high = max(high, mean[i] if inside else high)
    scale = np.float32((levels - 1) / max(np.sqrt(high - low), 1e-12))
    fine, rank = np.empty(mean.size, np.uint16), np.zeros(levels + 1, np.int32)
    for i in range(mean.size):
        fine[i] = np.uint16(np.sqrt(mean[i] - low) * scale) if highest[i] < limit else levels
    for i in range(mean.size):
        rank[fine[i]] += 1
    return fine, np.cumsum(rank)


@njit(cache=True, nogil=True, error_model="numpy")
def sort_by_bin(bins: Any, fine: Any, ranks: Any, mean: Any, rest: Any, slope: Any) -> tuple[Any, Any, Any]:
    """Size of the rest, and slope, bin after bin, and sums of the mean; each bin begins at its rank."""
    rests, slopes, sums = np.empty_like(rest), np.empty_like(slope), np.zeros(len(ranks))
    next_ = ranks.copy()
    for i in range(fine.size):
        k = bins[fine[i]]
        at = next_[k]
        rests[at], slopes[at] = abs(rest[i]), slope[i]
        sums[k] += mean[i]
        next_[k] = at + 1
    return rests, slopes, sums


@njit(cache=True, nogil=True, error_model="numpy")
def move_rows(
    plane: Any, whole: tuple[int, int], weights: tuple[Any, Any], start: int, stop: int, moved: Any
) -> None:
    """``moved[y, x] = sum of down[j] along[i] plane[y + whole[0] + j, x + whole[1] + i]`` for rows.

    The weights, down and along, are of eight pixels, from three before to four behind; beyond the edge is
    the edge, repeated.
    """
    height, width = plane.shape
    down, along = weights
    line, wide = np.empty(width, np.float32), np.empty(width + 7, np.float32)
    for y in range(start, stop):
        line[:] = 0
        for j in range(8):
            row = plane[min(max(y + whole[0] + j - 3, 0), height - 1)]
            for x in range(width):
                line[x] += down[j] * row[x]
        for x in range(width + 7):
            wide[x] = line[min(max(x + whole[1] - 3, 0), width - 1)]
        out = moved[y]
        out[:] = 0
        for i in range(8):
            for x in range(width):
                out[x] += along[i] * wide[x + i]


@njit(cache=True, nogil=True, error_model="numpy")
def tile_products(a: Any, b: Any, side: int, means: Any, products: Any) -> None:
    """Means over square tiles of two images and the slopes of the second, and of their products.

    Parameters
    ----------
    a, b
        Shape (z, y, x).
    side
        Rows and columns of a tile; what is left at the edges is left out.
    means, products
        To be filled, (5, z, rows, columns) and (5, 5, z, rows, columns): a, b, slopes of b along z, y and x.
    """
    depth, height, width = b.shape
    sums, squares = np.empty(5), np.empty((5, 5))
    for z in range(depth):
        z0, z1 = max(z - 1, 0), min(z + 1, depth - 1)
        for row in range(height // side):
            for column in range(width // side):
                sums[:] = 0
                squares[:] = 0
                for y in range(row * side, (row + 1) * side):
                    y0, y1 = max(y - 1, 0), min(y + 1, height - 1)
                    for x in range(column * side, (column + 1) * side):
                        x0, x1 = max(x - 1, 0), min(x + 1, width - 1)
                        seen = (
                            np.float64(a[z, y, x]),
                            np.float64(b[z, y, x]),
                            (np.float64(b[z1, y, x]) - b[z0, y, x]) * (1.0 if z1 - z0 < 2 else 0.5),
                            (np.float64(b[z, y1, x]) - b[z, y0, x]) * (1.0 if y1 - y0 < 2 else 0.5),
                            (np.float64(b[z, y, x1]) - b[z, y, x0]) * (1.0 if x1 - x0 < 2 else 0.5),
                        )
                        for i in range(5):
                            sums[i] += seen[i]
                            for j in range(i, 5):
                                squares[i, j] += seen[i] * seen[j]
                for i in range(5):
                    means[i, z, row, column] = sums[i] / side**2
                    for j in range(i, 5):
                        products[i, j, z, row, column] = squares[i, j] / side**2
                        products[j, i, z, row, column] = squares[i, j] / side**2


@njit(cache=True, nogil=True, error_model="numpy")
def score_pairs(
    v: Any,
    w: Any,
    total: Any,
    log_scale: Any,
    z: Any,
    cluster: Any,
    alone: float,
    within: float,
    scores: Any,
    normal: Any,
) -> None:
    """What pairs of cells tell of rates; see `rgbtrack.correct.alike`.

    Parameters
    ----------
    v
        Log-intensities with the rates undone, shape (c, n).
    w, total, log_scale
        Precision of each pair in each channel, (c, n, n), of its brightness, (n, n), and the logarithm of
        their kernel if they do not differ, (n, n).
    z, cluster
        Where the cells lie, and which count as one, shape (n,).
    alone, within
        Weights of a cell's own density, and of pairs of one cluster.
    scores, normal
        To be added to, shapes (c, n) and (c, c).
    """
    c, n = v.shape
    kernel, whole = np.empty((n, n)), np.empty(n)
    apart, shared, pull = np.empty((c, n)), np.empty(n), np.empty((c, n))
    top = -np.inf
    for i in range(n):
        top = max(top, log_scale[i, i])
    for i in range(n):
        whole[i] = alone * np.exp(log_scale[i, i] - top)
    for i in range(n):
        _pull(v, w, total, i, apart, shared, pull)
        density, scale = kernel[i, i + 1 :], log_scale[i, i + 1 :]
        log_k, behind = shared[i + 1 :], whole[i + 1 :]
        for j in range(len(density)):
            log_k[j] = scale[j] - top
        for a in range(c):
            far, pulled = apart[a, i + 1 :], pull[a, i + 1 :]
            for j in range(len(density)):
                log_k[j] -= 0.5 * far[j] * pulled[j]
        own = 0.0
        for j in range(len(density)):
            density[j] = np.exp(log_k[j]) if log_k[j] > FAR else 0.0
            own += density[j]
            behind[j] += density[j]
        whole[i] += own
    heavy, counted, products = np.empty(n), np.empty(n), np.zeros((c, c, n))
    for i in range(n):
        _pull(v, w, total, i, apart, shared, pull)
        density, breadth, depth = kernel[i, i + 1 :], total[i, i + 1 :], z[i + 1 :]
        behind, kin = whole[i + 1 :], cluster[i + 1 :]
        for j in range(len(density)):
            dz = z[i] - depth[j]
            share = density[j] * (1 / whole[i] + 1 / behind[j])
            heavy[j] = share * dz * dz
            counted[j] = share * dz * (within if cluster[i] == kin[j] else 1.0)
        for a in range(c):
            pulled, score, wa, own = pull[a, i + 1 :], scores[a, i + 1 :], w[a, i, i + 1 :], 0.0
            for j in range(len(density)):
                told = counted[j] * pulled[j]
                score[j] -= told
                own += told
            scores[a, i] -= own
            for b in range(a, c):
                wb, product = w[b, i, i + 1 :], products[a, b]
                for j in range(len(density)):
                    product[j] += heavy[j] / breadth[j] * wa[j] * wb[j]
            product = products[a, a]
            for j in range(len(density)):
                product[j] -= heavy[j] * wa[j]
    for a in range(c):
        for b in range(c):
            normal[a, b] -= products[min(a, b), max(a, b)].sum()


@njit(cache=True, nogil=True, error_model="numpy")
def _pull(v: Any, w: Any, total: Any, i: int, apart: Any, shared: Any, pull: Any) -> None:
    """Differences of cell i from those behind it, their shared part, and precision times what is left."""
    c = len(v)
    common, breadth = shared[i + 1 :], total[i, i + 1 :]
    common[:] = 0
    for a in range(c):
        far, wa, others = apart[a, i + 1 :], w[a, i, i + 1 :], v[a, i + 1 :]
        own = v[a, i]
        for j in range(len(common)):
            far[j] = own - others[j]
            common[j] += wa[j] * far[j]
    for j in range(len(common)):
        common[j] /= breadth[j]
    for a in range(c):
        far, wa, pulled = apart[a, i + 1 :], w[a, i, i + 1 :], pull[a, i + 1 :]
        for j in range(len(common)):
            pulled[j] = wa[j] * (far[j] - common[j])
