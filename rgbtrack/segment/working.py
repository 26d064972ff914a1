"""The working image: cells about ten pixels wide, in units in which noise and texture count alike."""

from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.grids import shrink_rows, spread_rows
from rgbtrack.segment.filters import Image, blur, wide_grid
from rgbtrack.stack import NUCLEUS, Stack
from rgbtrack.threads import over_bands

LEAST_PX = 9.5
"""Cells are not brought below this diameter."""
TEXTURE = 0.15
"""Uneven light within one cell, share of its brightness: no difference between cells."""
SMOOTHING = 0.06
"""Standard deviation of the blur, share of the diameter."""
MOST_HAZE = 0.15
LEAST_RATIOS = 200
HAZE_ERROR = 0.3


@dataclass(frozen=True, eq=False)
class Working:
    """One frame, ready for segmentation.

    Attributes
    ----------
    light
        Smoothed counts, haze taken off, shape (c, z, y, x).
    units
        The same in units of noise and texture, shape (c, z, y, x).
    strength
        Root sum of squares of what is positive in `units`, shape (z, y, x).
    diameter
        Of a typical cell, working pixels.
    spacing
        Distance between planes, working pixels; 1 for one plane.
    shrink
        Image pixels per working pixel, in the plane.
    """

    light: Image
    units: Image
    strength: Image
    diameter: float
    spacing: float
    shrink: int


def working_image(
    stack: Stack, t: int, channels: list[int], diameter_px: float, haze: NDArray[np.float64] | None = None
) -> Working:
    """Bring some channels of one frame to the working image.

    A count x over a background of variance a, at a gain b and a texture q, has the variance
    ``a + b x + q^2 x^2``; its variance-stabilising transform is the integral of one over its root, linear in
    the dark, a square root above, and logarithmic where the texture of a cell outweighs its noise. So an edge
    counts alike between dim cells and between bright ones.

    Parameters
    ----------
    stack
        From `correct_stack`.
    t
        Frame.
    channels
        Indices.
    diameter_px
        Of a typical cell, image pixels.
    haze
        Share of the light around that is haze, of each channel, see `haze_share`; None: as this frame tells.
    """
    shrink = shrink_of(diameter_px)
    diameter = diameter_px / shrink
    depth, *plane = stack.pixels.shape[2:]
    light = np.empty((len(channels), depth, *(-(-n // shrink) for n in plane)), np.float32)
    units = np.empty_like(light)
    strength, dark = np.zeros(light.shape[1:], np.float32), np.empty(light.shape[1:], np.float32)
    sigma = SMOOTHING * diameter
    averaged = _averaged(sigma, shrink)
    # rounding to whole counts does not average out
    floor = (0.5 * stack.step) ** 2
    n_rows = depth * light.shape[2]
    for k, c in enumerate(channels):
        _shrink_channel(stack, t, c, shrink, light[k], dark)
        grid, factor = _light_around(light[k], diameter)
        share = haze_share(_ratios(light[k], grid, factor, dark, averaged)) if haze is None else haze[k]
        numbers = np.array([share, stack.gain[c], averaged, floor, HAZE_ERROR**2, TEXTURE], np.float32)

        def subtract(
            a: int, b: int, k: int = k, grid: Image = grid, n: Any = numbers, by: int = factor
        ) -> None:
            _subtract_haze(grid, by, n[0], a, b, light[k])

        def stabilise(
            a: int, b: int, k: int = k, grid: Image = grid, n: Any = numbers, by: int = factor
        ) -> None:
            _stabilise(light[k], dark, grid, by, n, k + 1 == len(channels), a, b, units[k], strength)

        over_bands(subtract, n_rows)
        blur(light[k], sigma, np.inf, out=light[k])
        over_bands(stabilise, n_rows)
    spacing = 1.0
    if light.shape[1] > 1:
        pixel = stack.pixel_size_um or 1.0
        spacing = (stack.z_step_um or pixel) / pixel / shrink
    return Working(light, units, strength, diameter, spacing, shrink)


def split_channels(stack: Stack) -> tuple[list[int], list[int]]:
    """Indices of the markers and of the nuclear stain."""
    nucleus = [c for c, name in enumerate(stack.channels) if name == NUCLEUS]
    return [c for c in range(len(stack.channels)) if c not in nucleus], nucleus


def _shrink_channel(stack: Stack, t: int, c: int, shrink: int, light: Image, dark: Image) -> None:
    """Mean light over squares of pixels, and mean noise variance of their background, both (z, y, x)."""
    noise = stack.noise
    assert noise is not None  # noqa: S101 - find_cells has asked
    fade = np.ones(len(light), np.float32) if noise.fade is None else noise.fade[t, c]
    flat = np.empty((0, 0), np.float32)
    if noise.flat is not None:
        flat = np.empty(light.shape[1:], np.float32)
        shrink_rows(noise.flat[c], shrink, 0, len(flat), flat)
    numbers = np.array([noise.gain[c], noise.intercept[c], noise.floor[c], stack.gain[c]], np.float32)
    height = light.shape[1]

    def work(start: int, stop: int) -> None:
        for z in range(start // height, -(-stop // height)):
            first, last = max(start - z * height, 0), min(stop - z * height, height)
            shrink_rows(stack.pixels[t, c, z], shrink, first, last, light[z])
            shrink_rows(noise.raw[t, c, z], shrink, first, last, dark[z])
            _subtract_shot_noise(light[z], flat, fade[z], numbers, first, last, dark[z])

    over_bands(work, len(light) * height)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _subtract_shot_noise(light, flat, fade, numbers, start, stop, variance):  # type: ignore[no-untyped-def]
    """Counts to the noise variance of their background, in place."""
    slope, intercept, floor, gain = numbers
    least, evened = np.float32(0.05), len(flat) > 0
    for row in range(start, stop):
        line, bright = variance[row], light[row]
        for x in range(len(line)):
            line[x] = max(line[x] * slope + intercept, floor)
        if evened:
            for x in range(len(line)):
                line[x] /= flat[row, x] * flat[row, x]
        for x in range(len(line)):  # light as the detector counts it
            line[x] = max(line[x] - gain * fade * bright[x], least * line[x]) / (fade * fade)


def thin_out(labels: NDArray[np.uint32], shrink: int, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Labels (z, y, x) of the image on the working image, whose shape is given."""
    rows, columns = (
        np.minimum(np.arange(n) * shrink + shrink // 2, full - 1)
        for n, full in zip(shape[1:], labels.shape[1:], strict=True)
    )
    return labels[:, rows[:, None], columns].astype(np.int32)


def enlarge(labels: NDArray[np.int32], shrink: int, shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """Labels (z, y, x) at the size of the image, corners rounded by a vote of the four nearest pixels."""
    full = np.empty(shape, np.uint32)
    labels = np.ascontiguousarray(labels)
    over_bands(lambda start, stop: _enlarge(labels, shrink, start, stop, full), shape[0] * shape[1])
    return full


@numba.njit(cache=True, nogil=True)
def _enlarge(labels, shrink, start, stop, full):  # type: ignore[no-untyped-def]
    """Bilinear weights, label of the largest sum."""
    _, height, width = full.shape
    rows, columns = labels.shape[1:]
    first = shrink // 2  # image pixels before the centre of a working pixel
    for row in range(start, stop):
        z, y = row // height, row % height
        # from whole numbers: the same in every block
        above = (2 * y + 1 - shrink) // (2 * shrink)
        fy = (2 * y + 1 - shrink - 2 * shrink * above) / (2 * shrink)
        upper, lower = labels[z, max(above, 0)], labels[z, min(above + 1, rows - 1)]
        line = full[z, y]
        left, begin = -1, 0
        while left < columns:
            near, far = max(left, 0), min(left + 1, columns - 1)
            a, b, c, d = upper[near], upper[far], lower[near], lower[far]
            if a == b and a == c and a == d:
                left += 1
                while left < columns - 1 and upper[left + 1] == a and lower[left + 1] == a:
                    left += 1
                end = min(left * shrink + first, width)
                line[begin:end] = a
                begin = end
                continue
            end = min((left + 1) * shrink + first, width)
            for x in range(begin, end):
                fx = (2 * x + 1 - shrink - 2 * shrink * left) / (2 * shrink)
                wa, wb = (1 - fy) * (1 - fx), (1 - fy) * fx
                wc, wd = fy * (1 - fx), fy * fx
                ta = wa + wb * (b == a) + wc * (c == a) + wd * (d == a)
                tb = wb + wc * (c == b) + wd * (d == b)
                tc = wc + wd * (d == c)
                best, label = ta, a
                if tb > best:
                    best, label = tb, b
                if tc > best:
                    best, label = tc, c
                if wd > best:
                    label = d
                line[x] = label
            left, begin = left + 1, end


def haze_ratios(stack: Stack, t: int, channels: list[int], diameter_px: float) -> list[Image]:
    """Light over that around, at some places of each channel of one frame: see `haze_share`."""
    shrink = shrink_of(diameter_px)
    averaged = _averaged(SMOOTHING * diameter_px / shrink, shrink)
    depth, *plane = stack.pixels.shape[2:]
    light = np.empty((depth, *(-(-n // shrink) for n in plane)), np.float32)
    dark = np.empty_like(light)
    found = []
    for c in channels:
        _shrink_channel(stack, t, c, shrink, light, dark)
        found.append(_ratios(light, *_light_around(light, diameter_px / shrink), dark, averaged))
    return found


def haze_share(ratios: Image) -> float:
    """Share of the blurred image that is haze: the largest that leaves the darkest places dark."""
    if len(ratios) < LEAST_RATIOS:
        return 0.0
    return float(np.clip(np.percentile(ratios, 1.5), 0, MOST_HAZE))


def shrink_of(diameter_px: float) -> int:
    """Image pixels per working pixel."""
    return max(1, int(diameter_px / LEAST_PX))


def _averaged(sigma: float, shrink: int) -> float:
    """Share of a pixel's noise variance that is left in the working image."""
    return min(1.0, 1 / (4 * np.pi * sigma**2)) / shrink**2


def _light_around(light: Image, diameter: float) -> tuple[Image, int]:
    """Light a cell's width around, which shines in, see `wide_grid`; none in images that are too small."""
    if min(light.shape[1:]) < 16:
        return np.zeros((len(light), 1, 1), np.float32), max(light.shape[1:])
    grid, factor = wide_grid(light, diameter)
    return np.maximum(grid, 0, out=grid), factor


def _ratios(light: Image, grid: Image, factor: int, dark: Image, averaged: float) -> Image:
    """Smoothed light over that around, at some places."""
    step = max(1, round((light.size / 60_000) ** 0.5))
    depth, height, width = light.shape
    rows = -(-height // step)
    near = np.empty((depth, rows, -(-width // step)), np.float32)
    around = np.empty_like(near)
    weights = cv2.getGaussianKernel(13, 1.5, cv2.CV_32F)[:, 0]
    over_bands(
        lambda a, b: _look_around(light, grid, factor, step, weights, a, b, near, around), depth * rows
    )
    lit = around > np.sqrt(dark[:, ::step, ::step] * averaged)
    return np.asarray(near[lit] / around[lit], np.float32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _look_around(light, grid, factor, step, weights, start, stop, near, around):  # type: ignore[no-untyped-def]
    """Smoothed light and light around, of every so many pixels; beyond its edges the image is mirrored."""
    height, width = light.shape[1:]
    reach = len(weights) // 2
    line, smooth = np.empty(width + 2 * reach, np.float32), np.empty(width, np.float32)
    rows, columns = grid.shape[1:]
    inner = line[reach : reach + width]
    for row in range(start, stop):
        z, i = row // near.shape[1], row % near.shape[1]
        y = i * step
        inner[:] = 0
        for k in range(-reach, reach + 1):
            beside, weight = light[z, _mirrored(y + k, height)], weights[k + reach]
            for x in range(width):
                inner[x] += weight * beside[x]
        for k in range(1, reach + 1):
            line[reach - k] = inner[_mirrored(-k, width)]
            line[reach + width - 1 + k] = inner[_mirrored(width - 1 + k, width)]
        smooth[:] = 0
        for k in range(2 * reach + 1):
            beside, weight = line[k : k + width], weights[k]
            for x in range(width):
                smooth[x] += weight * beside[x]
        v = min(max((y + 0.5) / factor - 0.5, 0.0), rows - 1.0)
        above, down = int(v), v - int(v)
        upper, lower = grid[z, above], grid[z, min(above + 1, rows - 1)]
        for j in range(near.shape[2]):
            near[z, i, j] = smooth[j * step]
            u = min(max((j * step + 0.5) / factor - 0.5, 0.0), columns - 1.0)
            left, right, far = int(u), min(int(u) + 1, columns - 1), u - int(u)
            one = upper[left] + far * (upper[right] - upper[left])
            other = lower[left] + far * (lower[right] - lower[left])
            around[z, i, j] = one + down * (other - one)


@numba.njit(cache=True, nogil=True)
def _mirrored(x, n):  # type: ignore[no-untyped-def]
    """Place in a row of n of one that may lie beyond its ends, which are not repeated."""
    around = max(1, 2 * (n - 1))
    x = abs(x) % around
    return min(x, around - x)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spread_on(grid, factor, y, height, first, wide):  # type: ignore[no-untyped-def]
    """Spread a grid to pixels, some rows from y on, in `wide`, where these do not hold row y yet.

    Returns the row that they begin with; the height stands for none.
    """
    if y > 0 and first <= y < first + len(wide):
        return first
    spread_rows(grid, factor, y, min(y + len(wide), height), 0, wide)
    return y


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _subtract_haze(grid, factor, share, start, stop, light):  # type: ignore[no-untyped-def]
    """Take a share of the light around off, in place."""
    height, width = light.shape[1:]
    wide, first = np.empty((4 * factor, width), np.float32), height
    for row in range(start, stop):
        z, y = row // height, row % height
        first = _spread_on(grid[z], factor, y, height, first, wide)
        line, haze = light[z, y], wide[y - first]
        for x in range(width):
            line[x] -= haze[x] * share


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stabilise(light, dark, grid, factor, numbers, last, start, stop, units, strength):  # type: ignore[no-untyped-def]
    """Integral of 1 / sqrt(base + gain x + texture^2 x^2) from 0 to x; below 0 linear.

    The squares of what is positive are added up; of the last channel the root is taken.
    """
    height, width = light.shape[1:]
    share, gain, averaged, floor, doubt, texture = numbers
    shot, zero = gain * averaged, np.float32(0)
    slope, curve = np.float32(2) * texture, texture * texture
    ratio, below = np.empty(width, np.float32), np.empty(width, np.float32)
    wide, first = np.empty((4 * factor, width), np.float32), height
    for row in range(start, stop):
        z, y = row // height, row % height
        first = _spread_on(grid[z], factor, y, height, first, wide)
        bright, shade, haze = light[z, y], dark[z, y], wide[y - first]
        for x in range(width):
            glow = haze[x] * share
            base = max((shade[x] + gain * glow) * averaged, floor) + doubt * glow * glow
            value, root = max(bright[x], zero), np.sqrt(base)
            above = np.sqrt(base + shot * value + curve * value * value) + texture * value
            ratio[x] = (slope * above + shot) / (slope * root + shot)
            below[x] = min(bright[x], zero) / root
        log_of(ratio)
        unit, square = units[z, y], strength[z, y]
        for x in range(width):
            value = ratio[x] / texture
            unit[x] = value + below[x]
            square[x] += value * value
        if last:
            for x in range(width):
                square[x] = np.sqrt(square[x])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_of(line):  # type: ignore[no-untyped-def]
    """Natural logarithm of positive numbers, float32, in place.

    Splits off the power of two that leaves 0.7 to 1.4, whose logarithm is a short series: unlike the
    library's, many numbers at a time.
    """
    bits = line.view(np.int32)
    power = np.empty(line.size, np.float32)
    for x in range(line.size):
        shift = (bits[x] - np.int32(0x3F3504F3)) >> np.int32(23)  # 0x3F3504F3 is the root of 1/2
        power[x] = np.float32(np.int32(shift))
        bits[x] = np.int32(bits[x] - (shift << np.int32(23)))
    one, two = np.float32(1), np.float32(2)
    for x in range(line.size):
        s = (line[x] - one) / (line[x] + one)
        q = s * s
        series = one + q * (np.float32(1 / 3) + q * (np.float32(1 / 5) + q * np.float32(1 / 7)))
        line[x] = power[x] * np.float32(0.6931472) + two * s * series
