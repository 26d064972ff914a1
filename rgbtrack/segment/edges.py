"""Edges: where the colour or the brightness changes."""

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image
from rgbtrack.threads import over_bands


def find_edges(
    units: Image, strength: Image, spacing: float, least: float
) -> tuple[Image, NDArray[np.bool_]]:
    """Gradient of (c, z, y, x), and its crests; 0 where the strength (z, y, x) is that of nothing but noise.

    The largest eigenvalue of the structure tensor summed over channels (Di Zenzo, Comput. Vis. Graph. Image
    Process. 33 (1986) 116); on a crest it is no smaller than at its two neighbours along the eigenvector.

    Returns
    -------
    gradient
        Units per pixel, shape (z, y, x).
    crest
        Where the gradient is on a crest and above `least`, shape (z, y, x).
    """
    gradient = np.empty(units.shape[1:], np.float32)
    step = np.empty((3, *units.shape[1:]), np.int8)
    crest = np.empty(units.shape[1:], np.bool_)
    units, n_rows = np.ascontiguousarray(units), gradient.shape[0] * gradient.shape[1]
    distance = np.float32(spacing)
    over_bands(lambda a, b: _gradient(units, strength, distance, a, b, gradient, step), n_rows)
    over_bands(lambda a, b: _crests(gradient, step, np.float32(least), a, b, crest), n_rows)
    return gradient, crest


# rows of the structure tensor of one line of pixels
YY, XX, YX, ZZ, ZY, ZX = range(6)


@numba.njit(cache=True, nogil=True)
def _gradient(units, strength, spacing, start, stop, gradient, step):  # type: ignore[no-untyped-def]
    _, depth, height, width = units.shape
    tensor = np.empty((6, width), np.float32)
    for row in range(start, stop):
        z, y = row // height, row % height
        tensor[:] = 0
        _tensors(units, z, y, spacing, tensor)
        if depth == 1:
            _plane_edges(tensor, strength[z, y], gradient[z, y], step[:, z, y])
        else:
            _volume_edges(tensor, strength[z, y], spacing, gradient[z, y], step[:, z, y])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _tensors(units, z, y, spacing, tensor):  # type: ignore[no-untyped-def]
    """Structure tensor of each pixel of a row, summed over channels."""
    n, depth, height, width = units.shape
    half = np.float32(0.5)
    gx = np.empty(width, np.float32)
    for c in range(n):
        here = units[c, z, y]
        up, down = units[c, z, max(y - 1, 0)], units[c, z, min(y + 1, height - 1)]
        gx[0] = (here[min(1, width - 1)] - here[0]) * half
        gx[width - 1] = (here[width - 1] - here[max(width - 2, 0)]) * half
        for x in range(1, width - 1):
            gx[x] = (here[x + 1] - here[x - 1]) * half
        for x in range(width):
            gy = (down[x] - up[x]) * half
            tensor[YY, x] += gy * gy
            tensor[XX, x] += gx[x] * gx[x]
            tensor[YX, x] += gy * gx[x]
        if depth > 1:
            above, below = units[c, max(z - 1, 0), y], units[c, min(z + 1, depth - 1), y]
            for x in range(width):
                gy, gz = (down[x] - up[x]) * half, (below[x] - above[x]) * half / spacing
                tensor[ZZ, x] += gz * gz
                tensor[ZY, x] += gz * gy
                tensor[ZX, x] += gz * gx[x]


@numba.njit(cache=True, nogil=True)
def _plane_edges(tensor, strength, gradient, step):  # type: ignore[no-untyped-def]
    """Root of the largest eigenvalue, and the step along its eigenvector, in closed form."""
    half, zero, slope = np.float32(0.5), np.float32(0), np.float32(0.414)
    yy, xx, yx, steps_y, steps_x = tensor[YY], tensor[XX], tensor[YX], step[1], step[2]
    step[0] = 0
    for x in range(len(strength)):
        middle, off = (yy[x] + xx[x]) * half, (yy[x] - xx[x]) * half
        root = np.sqrt(off * off + yx[x] * yx[x])
        gradient[x] = np.sqrt(middle + root) if strength[x] >= 1 else zero
        # of two multiples of the eigenvector the longer
        vy = root + off if off >= 0 else yx[x]
        vx = yx[x] if off >= 0 else root - off
        reach_y, reach_x = slope * abs(vx), slope * abs(vy)
        steps_y[x] = np.int8(vy > reach_y) - np.int8(vy < -reach_y)
        steps_x[x] = np.int8(vx > reach_x) - np.int8(vx < -reach_x)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _volume_edges(tensor, strength, spacing, gradient, step):  # type: ignore[no-untyped-def]
    """Root of the largest eigenvalue, and the step along its eigenvector, by power iteration."""
    one = np.float32(1)
    for x in range(len(strength)):
        if strength[x] < 1:
            gradient[x] = 0
            step[:, x] = 0
            continue
        zz, yy, xx = tensor[ZZ, x], tensor[YY, x], tensor[XX, x]
        zy, zx, yx = tensor[ZY, x], tensor[ZX, x], tensor[YX, x]
        # from the longest row of the tensor
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
            scale = one / norm
            vz, vy, vx = wz * scale, wy * scale, wx * scale
        wz = zz * vz + zy * vy + zx * vx
        wy = zy * vz + yy * vy + yx * vx
        wx = zx * vz + yx * vy + xx * vx
        gradient[x] = np.sqrt(max(np.float32(0), wz * vz + wy * vy + wx * vx))
        vz /= spacing  # a step across planes is longer
        least = np.float32(0.414) * max(abs(vz), abs(vy), abs(vx))
        step[0, x] = 0 if abs(vz) <= least else (1 if vz > 0 else -1)
        step[1, x] = 0 if abs(vy) <= least else (1 if vy > 0 else -1)
        step[2, x] = 0 if abs(vx) <= least else (1 if vx > 0 else -1)


@numba.njit(cache=True, nogil=True)
def _crests(gradient, step, least, start, stop, crest):  # type: ignore[no-untyped-def]
    depth, height, width = gradient.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        line, tops = gradient[z, y], crest[z, y]
        for x in range(width):
            value = line[x]
            if value <= least:
                tops[x] = False
                continue
            dz, dy, dx = step[0, z, y, x], step[1, z, y, x], step[2, z, y, x]
            top = True
            a, b, c = z + dz, y + dy, x + dx
            if 0 <= a < depth and 0 <= b < height and 0 <= c < width and gradient[a, b, c] > value:
                top = False
            a, b, c = z - dz, y - dy, x - dx
            if 0 <= a < depth and 0 <= b < height and 0 <= c < width and gradient[a, b, c] >= value:
                top = False
            tops[x] = top
