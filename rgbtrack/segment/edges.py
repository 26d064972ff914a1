"""Edges: where the colour or the brightness changes."""

import numba
import numpy as np

from rgbtrack.segment.filters import Image


def find_edges(units: Image, strength: Image, spacing: float) -> tuple[Image, Image]:
    """Gradient of (c, z, y, x), and its crests; 0 where the strength (z, y, x) is that of nothing but noise.

    The largest eigenvalue of the structure tensor summed over channels (Di Zenzo, Comput. Vis. Graph. Image
    Process. 33 (1986) 116); on a crest it is no smaller than at its two neighbours along the eigenvector.

    Returns
    -------
    gradient, crest
        Units per pixel, shape (z, y, x); `crest` is 0 off the crests.
    """
    gradient = np.empty(units.shape[1:], np.float32)
    step = np.empty((*units.shape[1:], 3), np.int8)
    crest = np.empty_like(gradient)
    _gradient(np.ascontiguousarray(units), strength, spacing, gradient, step)
    _crests(gradient, step, crest)
    return gradient, crest


@numba.njit(cache=True, parallel=True)
def _gradient(units, strength, spacing, gradient, step):  # type: ignore[no-untyped-def]
    depth, height, width = units.shape[1:]
    for row in numba.prange(depth * height):
        z, y = row // height, row % height
        tensor = np.zeros((6, width), np.float32)
        _tensor_row(units, z, y, np.float32(spacing), tensor)
        zz, yy, xx, zy, zx, yx = tensor
        for x in range(width):
            if strength[z, y, x] < 1:
                gradient[z, y, x] = 0
                step[z, y, x] = 0
                continue
            if depth == 1:
                half = np.float32(0.5) * (yy[x] - xx[x])
                off = np.sqrt(half * half + yx[x] * yx[x])
                value = np.float32(0.5) * (yy[x] + xx[x]) + off
                # the eigenvector, from the longer of the two rows that give it
                vz, vy, vx = np.float32(0), yx[x], off - half
                if half > 0:
                    vy, vx = off + half, yx[x]
            else:
                value, vz, vy, vx = _steepest(zz[x], yy[x], xx[x], zy[x], zx[x], yx[x])
                vz /= np.float32(spacing)  # a step across planes is longer
            gradient[z, y, x] = np.sqrt(max(np.float32(0), value))
            least = np.float32(0.414) * max(abs(vz), abs(vy), abs(vx))
            step[z, y, x, 0] = (vz > least) - (vz < -least)
            step[z, y, x, 1] = (vy > least) - (vy < -least)
            step[z, y, x, 2] = (vx > least) - (vx < -least)


@numba.njit(cache=True)
def _tensor_row(units, z, y, spacing, tensor):  # type: ignore[no-untyped-def]
    """Sums over channels of zz, yy, xx, zy, zx and yx along a row."""
    n, depth, height, width = units.shape
    half = np.float32(0.5)
    along = np.zeros(width, np.float32)
    zz, yy, xx, zy, zx, yx = tensor
    for c in range(n):
        row, up, down = units[c, z, y], units[c, z, max(y - 1, 0)], units[c, z, min(y + 1, height - 1)]
        for x in range(1, width - 1):
            along[x] = (row[x + 1] - row[x - 1]) * half
        along[0] = (row[min(1, width - 1)] - row[0]) * half
        along[-1] = (row[-1] - row[max(width - 2, 0)]) * half
        for x in range(width):
            gy = (down[x] - up[x]) * half
            yy[x] += gy * gy
            xx[x] += along[x] * along[x]
            yx[x] += gy * along[x]
        if depth == 1:
            continue
        above, below = units[c, max(z - 1, 0), y], units[c, min(z + 1, depth - 1), y]
        for x in range(width):
            gy = (down[x] - up[x]) * half
            gz = (below[x] - above[x]) * half / spacing
            zz[x] += gz * gz
            zy[x] += gz * gy
            zx[x] += gz * along[x]


@numba.njit(cache=True)
def _steepest(zz, yy, xx, zy, zx, yx):  # type: ignore[no-untyped-def]
    """Largest eigenvalue and its vector, by power iteration from the longest row of the tensor."""
    vz, vy, vx = zz, zy, zx
    if yy >= zz and yy >= xx:
        vz, vy, vx = zy, yy, yx
    elif xx >= zz:
        vz, vy, vx = zx, yx, xx
    for _ in range(3):
        wz, wy, wx = _times(zz, yy, xx, zy, zx, yx, vz, vy, vx)
        norm = np.sqrt(wz * wz + wy * wy + wx * wx)
        if norm < np.float32(1e-20):
            break
        vz, vy, vx = wz / norm, wy / norm, wx / norm
    wz, wy, wx = _times(zz, yy, xx, zy, zx, yx, vz, vy, vx)
    return wz * vz + wy * vy + wx * vx, vz, vy, vx


@numba.njit(cache=True)
def _times(zz, yy, xx, zy, zx, yx, vz, vy, vx):  # type: ignore[no-untyped-def]
    return zz * vz + zy * vy + zx * vx, zy * vz + yy * vy + yx * vx, zx * vz + yx * vy + xx * vx


@numba.njit(cache=True, parallel=True)
def _crests(gradient, step, crest):  # type: ignore[no-untyped-def]
    depth, height, width = gradient.shape
    for row in numba.prange(depth * height):
        z, y = row // height, row % height
        for x in range(width):
            value = gradient[z, y, x]
            if value == 0:
                crest[z, y, x] = 0
                continue
            dz, dy, dx = step[z, y, x]
            top = True
            a, b, c = z + dz, y + dy, x + dx
            if 0 <= a < depth and 0 <= b < height and 0 <= c < width and gradient[a, b, c] > value:
                top = False
            a, b, c = z - dz, y - dy, x - dx
            if 0 <= a < depth and 0 <= b < height and 0 <= c < width and gradient[a, b, c] >= value:
                top = False
            crest[z, y, x] = value if top else 0.0
