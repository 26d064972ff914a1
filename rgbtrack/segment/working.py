"""The working image: cells about ten pixels wide, in units in which noise and texture count alike."""

from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image, blur, wide_mean
from rgbtrack.stack import NUCLEUS, Stack

LEAST_PX = 9.5
"""Cells are not brought below this diameter."""
TEXTURE = 0.15
"""Uneven light within one cell, share of its brightness: no difference between cells."""
SMOOTHING = 0.06
"""Standard deviation of the blur, share of the diameter."""
MOST_HAZE = 0.15
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


def working_image(stack: Stack, t: int, channels: list[int], diameter_px: float) -> Working:
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
    """
    shrink = max(1, int(diameter_px / LEAST_PX))
    diameter = diameter_px / shrink
    light = np.stack([_area_mean(stack.pixels[t, c], shrink) for c in channels])
    units = np.empty_like(light)
    sigma = SMOOTHING * diameter
    averaged = min(1.0, 1 / (4 * np.pi * sigma**2)) / shrink**2
    for k, c in enumerate(channels):
        gain = float(stack.gain[c])
        variance = _mean_variance(stack, t, c, shrink)
        dark = np.maximum(variance - gain * light[k], 0.05 * variance)  # (z, y, x)
        # rounding to whole counts does not average out
        floor = (0.5 * stack.step) ** 2
        haze = _haze(light[k], dark * averaged, diameter)
        light[k] = blur(light[k] - haze, sigma, np.inf)
        base = np.maximum((dark + gain * haze) * averaged, floor) + (HAZE_ERROR * haze) ** 2
        _stabilise(light[k].ravel(), base.ravel(), gain * averaged, TEXTURE, units[k].reshape(-1))
    spacing = 1.0
    if light.shape[1] > 1:
        pixel = stack.pixel_size_um or 1.0
        spacing = (stack.z_step_um or pixel) / pixel / shrink
    strength = np.sqrt((np.maximum(units, 0) ** 2).sum(0))
    return Working(light, units, strength, diameter, spacing, shrink)


def split_channels(stack: Stack) -> tuple[list[int], list[int]]:
    """Indices of the markers and of the nuclear stain."""
    nucleus = [c for c, name in enumerate(stack.channels) if name == NUCLEUS]
    return [c for c in range(len(stack.channels)) if c not in nucleus], nucleus


def _mean_variance(stack: Stack, t: int, c: int, shrink: int) -> Image:
    """Noise variance of a pixel, mean over the squares, shape (z, y, x)."""
    noise = stack.noise
    assert noise is not None  # noqa: S101 - find_cells has asked
    variance = _area_mean(noise.raw[t, c], shrink) * noise.gain[c] + noise.intercept[c]
    np.maximum(variance, noise.floor[c], out=variance)
    if noise.flat is not None:
        variance /= _area_mean(noise.flat[c][None], shrink) ** 2
    return np.asarray(variance, np.float32)


def _area_mean(planes: NDArray[Any], shrink: int) -> Image:
    """Mean over squares of pixels of (z, y, x); the last ones are filled up with the edge."""
    planes = np.ascontiguousarray(planes)
    if shrink == 1:
        return planes.astype(np.float32)
    if planes.dtype not in (np.uint8, np.uint16, np.float32):
        planes = planes.astype(np.float32)
    height, width = (-(-n // shrink) for n in planes.shape[1:])
    small = np.empty((len(planes), height, width), np.float32)
    for z, plane in enumerate(planes):
        below, right = height * shrink - plane.shape[0], width * shrink - plane.shape[1]
        if below or right:
            plane = cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_REPLICATE)
        small[z] = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width)
    return small


def thin_out(labels: NDArray[np.uint32], shrink: int, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Labels (z, y, x) of the image on the working image, whose shape is given."""
    rows, columns = (
        np.minimum(np.arange(n) * shrink + shrink // 2, full - 1)
        for n, full in zip(shape[1:], labels.shape[1:], strict=True)
    )
    return labels[:, rows[:, None], columns].astype(np.int32)


def enlarge(labels: NDArray[np.int32], shrink: int, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Labels (z, y, x) at the size of the image, corners rounded by a vote of the four nearest pixels."""
    full = np.empty(shape, np.int32)
    _enlarge(np.ascontiguousarray(labels), shrink, full)
    return full


@numba.njit(cache=True, parallel=True)
def _enlarge(labels, shrink, full):  # type: ignore[no-untyped-def]
    """Bilinear weights, label of the largest sum."""
    depth, height, width = full.shape
    rows, columns = labels.shape[1:]
    for y in numba.prange(height):
        v = (y + 0.5) / shrink - 0.5
        y0 = int(np.floor(v))
        fy = v - y0
        y1 = min(y0 + 1, rows - 1)
        y0 = max(y0, 0)
        for z in range(depth):
            above, below, row = labels[z, y0], labels[z, y1], full[z, y]
            x = 0
            while x < width:
                u = (x + 0.5) / shrink - 0.5
                x0 = int(np.floor(u))
                # pixels up to here lie between the same four
                stop = min(width, int(np.ceil((x0 + 1.5) * shrink - 0.5)))
                x1 = min(x0 + 1, columns - 1)
                a, b = above[max(x0, 0)], above[x1]
                c, d = below[max(x0, 0)], below[x1]
                if a == b and a == c and a == d:
                    row[x:stop] = a
                    x = stop
                    continue
                while x < stop:
                    fx = (x + 0.5) / shrink - 0.5 - x0
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
                    row[x] = label
                    x += 1


def _haze(light: Image, variance: Image, diameter: float) -> Image:
    """Light that shines from a cell's width around, (z, y, x): a share of the blurred image.

    The share is the largest that leaves the darkest places dark.
    """
    height, width = light.shape[1:]
    if min(height, width) < 16:
        return np.zeros_like(light)
    wide = wide_mean(light, diameter)
    np.maximum(wide, 0, out=wide)
    thin = slice(None, None, max(1, round((light.size / 60_000) ** 0.5)))
    near = blur(light, 1.5, np.inf)[:, thin, thin]
    around = wide[:, thin, thin]
    lit = around > np.sqrt(variance[:, thin, thin])
    if lit.sum() < 200:
        return np.zeros_like(light)
    share = float(np.clip(np.percentile(near[lit] / around[lit], 1.5), 0, MOST_HAZE))
    wide *= share
    return wide


@numba.njit(cache=True, parallel=True)
def _stabilise(light, dark, gain, texture, units):  # type: ignore[no-untyped-def]
    """Integral of 1 / sqrt(dark + gain x + texture^2 x^2) from 0 to x."""
    gain, texture = np.float32(gain), np.float32(texture)
    two = np.float32(2)
    for i in numba.prange(light.size):
        x, a = light[i], dark[i]
        root_dark = np.sqrt(a)
        if x <= 0:
            units[i] = x / root_dark
        else:
            root = np.sqrt(a + gain * x + texture * texture * x * x)
            above = two * texture * (root + texture * x) + gain
            below = two * texture * root_dark + gain
            units[i] = np.log(above / below) / texture
