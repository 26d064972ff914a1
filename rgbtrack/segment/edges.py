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
    units, n_rows = np.ascontiguousarray(units), strength.shape[0] * strength.shape[1]
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
    zero, one, slope = np.float32(0), np.float32(1), np.float32(0.414)
    tiny = np.float32(1e-20)
    for x in range(len(strength)):
        # of a trace of 1 the products neither grow nor vanish
        trace = tensor[ZZ, x] + tensor[YY, x] + tensor[XX, x]
        scale = one / max(trace, tiny)
        zz, yy, xx = tensor[ZZ, x] * scale, tensor[YY, x] * scale, tensor[XX, x] * scale
        zy, zx, yx = tensor[ZY, x] * scale, tensor[ZX, x] * scale, tensor[YX, x] * scale
        # from the longest row of the tensor
        use_y = yy >= zz and yy >= xx
        use_x = xx >= zz and not use_y
        vz = zy if use_y else (zx if use_x else zz)
        vy = yy if use_y else (yx if use_x else zy)
        vx = yx if use_y else (xx if use_x else zx)
        for _ in range(3):
            wz = zz * vz + zy * vy + zx * vx
            wy = zy * vz + yy * vy + yx * vx
            wx = zx * vz + yx * vy + xx * vx
            vz, vy, vx = wz, wy, wx
        scale = one / max(np.sqrt(vz * vz + vy * vy + vx * vx), tiny)
        vz, vy, vx = vz * scale, vy * scale, vx * scale
        value = zz * vz * vz + yy * vy * vy + xx * vx * vx
        value += (one + one) * (zy * vz * vy + zx * vz * vx + yx * vy * vx)
        gradient[x] = np.sqrt(max(zero, value * trace)) if strength[x] >= 1 else zero
        vz /= spacing  # a step across planes is longer
        least = slope * max(abs(vz), abs(vy), abs(vx))
        step[0, x] = np.int8(vz > least) - np.int8(vz < -least)
        step[1, x] = np.int8(vy > least) - np.int8(vy < -least)
        step[2, x] = np.int8(vx > least) - np.int8(vx < -least)


@numba.njit(cache=True, nogil=True)
def _crests(gradient, step, least, start, stop, crest):  # type: ignore[no-untyped-def]
    depth, height, width = gradient.shape
    flat = gradient.reshape(-1)
    for row in range(start, stop):
        z, y = row // height, row % height
        line, tops, steps = gradient[z, y], crest[z, y], step[:, z, y]
        inner = 0 < y < height - 1 and (depth == 1 or 0 < z < depth - 1)
        first, last = (1, width - 1) if inner else (width, width)
        for x in range(first, last):  # without branches, which would be guessed wrong
            near = (steps[0, x] * height + steps[1, x]) * width + steps[2, x]
            at, value = row * width + x, line[x]
            tops[x] = (
                (value > least) & (flat[np.uint64(at + near)] <= value) & (flat[np.uint64(at - near)] < value)
            )
        for x in range(0, width, max(1, width - 1) if inner else 1):
            a, b, c = steps[0, x], steps[1, x], steps[2, x]
            ahead = _value(gradient, z + a, y + b, x + c)
            behind = _value(gradient, z - a, y - b, x - c)
            tops[x] = (line[x] > least) & (ahead <= line[x]) & (behind < line[x])


@numba.njit(cache=True, nogil=True)
def _value(image, z, y, x):  # type: ignore[no-untyped-def]
    """Value at a place; beyond the image there is none, which is the least."""
    depth, height, width = image.shape
    inside = 0 <= z < depth and 0 <= y < height and 0 <= x < width
    return image[z, y, x] if inside else np.float32(-np.inf)
