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
    n, depth, height, width = units.shape
    for row in numba.prange(depth * height):
        z, y = row // height, row % height
        above, below = max(z - 1, 0), min(z + 1, depth - 1)
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            if strength[z, y, x] < 1:
                gradient[z, y, x] = 0
                step[z, y, x] = 0
                continue
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            zz = yy = xx = zy = zx = yx = 0.0
            for c in range(n):
                gz = (units[c, below, y, x] - units[c, above, y, x]) * 0.5 / spacing
                gy = (units[c, z, down, x] - units[c, z, up, x]) * 0.5
                gx = (units[c, z, y, right] - units[c, z, y, left]) * 0.5
                zz += gz * gz
                yy += gy * gy
                xx += gx * gx
                zy += gz * gy
                zx += gz * gx
                yx += gy * gx
            # power iteration from the longest row of the tensor
            vz, vy, vx = zz, zy, zx
            if yy >= zz and yy >= xx:
                vz, vy, vx = zy, yy, yx
            elif xx >= zz:
                vz, vy, vx = zx, yx, xx
            for _ in range(3):
                wz = zz * vz + zy * vy + zx * vx
                wy = zy * vz + yy * vy + yx * vx
                wx = zx * vz + yx * vy + xx * vx
                norm = np.sqrt(wz * wz + wy * wy + wx * wx)
                if norm < 1e-20:
                    break
                vz, vy, vx = wz / norm, wy / norm, wx / norm
            wz = zz * vz + zy * vy + zx * vx
            wy = zy * vz + yy * vy + yx * vx
            wx = zx * vz + yx * vy + xx * vx
            gradient[z, y, x] = np.sqrt(max(0.0, wz * vz + wy * vy + wx * vx))
            vz /= spacing  # a step across planes is longer
            least = 0.414 * max(abs(vz), abs(vy), abs(vx))
            step[z, y, x, 0] = 0 if abs(vz) <= least else (1 if vz > 0 else -1)
            step[z, y, x, 1] = 0 if abs(vy) <= least else (1 if vy > 0 else -1)
            step[z, y, x, 2] = 0 if abs(vx) <= least else (1 if vx > 0 else -1)


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
