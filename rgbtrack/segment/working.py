"""The working image: cells about ten pixels wide, in units in which noise and texture count alike."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image, blur, wide_mean
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
    strength = np.zeros(light.shape[1:], np.float32)
    sigma = SMOOTHING * diameter
    averaged = _averaged(sigma, shrink)
    # rounding to whole counts does not average out
    floor = (0.5 * stack.step) ** 2
    for k, c in enumerate(channels):
        gain = float(stack.gain[c])
        _area_mean(stack.pixels[t, c], shrink, light[k])
        dark = _dark_variance(stack, t, c, shrink, light[k])
        glow = _light_around(light[k], diameter)
        share = haze_share(_ratios(light[k], glow, dark, averaged)) if haze is None else haze[k]
        glow *= np.float32(share)
        light[k] -= glow
        light[k] = blur(light[k], sigma, np.inf)
        numbers = np.array([gain, averaged, floor, HAZE_ERROR**2, TEXTURE], np.float32)
        rows = [image.reshape(-1, light.shape[-1]) for image in (light[k], dark, glow, units[k], strength)]
        _over_rows(_stabilise, numbers, *rows)
    np.sqrt(strength, out=strength)
    spacing = 1.0
    if light.shape[1] > 1:
        pixel = stack.pixel_size_um or 1.0
        spacing = (stack.z_step_um or pixel) / pixel / shrink
    return Working(light, units, strength, diameter, spacing, shrink)


def _over_rows(work: Callable[..., None], numbers: NDArray[np.float32], *rows: Image) -> None:
    """Call ``work(start, stop, numbers, *rows)`` for bands of the rows of some images."""
    over_bands(lambda start, stop: work(start, stop, numbers, *rows), len(rows[0]))


def split_channels(stack: Stack) -> tuple[list[int], list[int]]:
    """Indices of the markers and of the nuclear stain."""
    nucleus = [c for c, name in enumerate(stack.channels) if name == NUCLEUS]
    return [c for c in range(len(stack.channels)) if c not in nucleus], nucleus


def _dark_variance(stack: Stack, t: int, c: int, shrink: int, light: Image) -> Image:
    """Noise variance of the background of a pixel, mean over the squares, shape (z, y, x)."""
    noise = stack.noise
    assert noise is not None  # noqa: S101 - find_cells has asked
    variance = _area_mean(noise.raw[t, c], shrink, np.empty_like(light))
    fade = 1.0 if noise.fade is None else noise.fade[t, c][:, None, None]
    if noise.flat is not None:
        flat = _area_mean(noise.flat[c][None], shrink, np.empty_like(light[:1])) ** 2
    else:
        flat = np.ones((1, 1, 1), np.float32)
    numbers = np.array([noise.gain[c], noise.intercept[c], noise.floor[c], stack.gain[c]], np.float32)
    seen = light if noise.fade is None else light * fade  # as the detector counts it
    rows = [image.reshape(-1, image.shape[-1]) for image in (variance, seen, flat)]
    _over_rows(_subtract_shot_noise, numbers, *rows)
    return variance if noise.fade is None else variance / fade**2


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _subtract_shot_noise(start, stop, numbers, variance, light, flat):  # type: ignore[no-untyped-def]
    """Counts to the noise variance of their background, in place."""
    slope, intercept, floor, gain = numbers
    least = np.float32(0.05)
    for row in range(start, stop):
        line, bright, share = variance[row], light[row], flat[row % len(flat)]
        for x in range(len(line)):
            line[x] = max(line[x] * slope + intercept, floor)
        if len(share) == len(line):
            for x in range(len(line)):
                line[x] /= share[x]
        for x in range(len(line)):
            line[x] = max(line[x] - gain * bright[x], least * line[x])


def _area_mean(planes: NDArray[Any], shrink: int, small: Image) -> Image:
    """Mean over squares of pixels of (z, y, x), in `small`; the last ones are filled up with the edge."""
    height, width = small.shape[1:]
    below, right = height * shrink - planes.shape[1], width * shrink - planes.shape[2]

    def work(z: int, _: int) -> None:
        if shrink == 1:
            small[z] = planes[z]
            return
        plane = np.ascontiguousarray(planes[z])
        if plane.dtype not in (np.uint8, np.uint16, np.float32):
            plane = plane.astype(np.float32)
        if below or right:
            plane = cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE)
        small[z] = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width)

    over_bands(work, len(planes), len(planes))
    return small


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
    found = []
    for c in channels:
        _area_mean(stack.pixels[t, c], shrink, light)
        dark = _dark_variance(stack, t, c, shrink, light)
        found.append(_ratios(light, _light_around(light, diameter_px / shrink), dark, averaged))
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


def _light_around(light: Image, diameter: float) -> Image:
    """Light a cell's width around, (z, y, x), which shines in; none in images that are too small."""
    if min(light.shape[1:]) < 16:
        return np.zeros_like(light)
    wide = wide_mean(light, diameter)
    return np.maximum(wide, 0, out=wide)


def _ratios(light: Image, wide: Image, dark: Image, averaged: float) -> Image:
    thin = slice(None, None, max(1, round((light.size / 60_000) ** 0.5)))
    near = blur(light, 1.5, np.inf)[:, thin, thin]
    around = wide[:, thin, thin]
    lit = around > np.sqrt(dark[:, thin, thin] * averaged)
    return np.asarray(near[lit] / around[lit], np.float32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stabilise(start, stop, numbers, light, dark, haze, units, squares):  # type: ignore[no-untyped-def]
    """Integral of 1 / sqrt(base + gain x + texture^2 x^2) from 0 to x; below 0 linear.

    The squares of what is positive are added up.
    """
    width = light.shape[1]
    gain, averaged, floor, doubt, texture = numbers
    shot, zero = gain * averaged, np.float32(0)
    slope, curve = np.float32(2) * texture, texture * texture
    ratio, below = np.empty(width, np.float32), np.empty(width, np.float32)
    for row in range(start, stop):
        bright, shade, glow = light[row], dark[row], haze[row]
        for x in range(width):
            base = max((shade[x] + gain * glow[x]) * averaged, floor) + doubt * glow[x] * glow[x]
            value, root = max(bright[x], zero), np.sqrt(base)
            above = np.sqrt(base + shot * value + curve * value * value) + texture * value
            ratio[x] = (slope * above + shot) / (slope * root + shot)
            below[x] = min(bright[x], zero) / root
        log_of(ratio)
        unit, square = units[row], squares[row]
        for x in range(width):
            value = ratio[x] / texture
            unit[x] = value + below[x]
            square[x] += value * value


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
