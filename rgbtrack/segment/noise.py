"""Noise units."""

import numpy as np

from rgbtrack.segment.filters import Image
from rgbtrack.stack import NUCLEUS, Stack


def noise_units(stack: Stack, t: int = 0) -> Image:
    """One frame in units of its own noise, shape (c, z, y, x).

    ``2 (sqrt(V) - sqrt(V0)) / g`` with V the noise variance of a pixel, V0 that of its background and g the
    gain: Anscombe's transform less that of the background. Noise has a standard deviation of 1 at any
    intensity.
    """
    units = np.empty(stack.pixels.shape[1:], np.float32)
    for c, z in np.ndindex(units.shape[:2]):
        units[c, z] = plane_units(stack, c, z, t)
    return units


def plane_units(stack: Stack, c: int, z: int, t: int = 0) -> Image:
    """One plane of a channel in units of its own noise, shape (y, x); see `noise_units`."""
    plane, noise = stack.pixels[t, c, z], stack.noise
    assert noise is not None  # noqa: S101 - of corrected stacks it is known
    variance = noise.sample(c, z, 1, t)
    gain = np.float32(stack.gain[c] / (1.0 if noise.fade is None else noise.fade[t, c, z]))
    background = np.maximum(variance - gain * plane, np.float32(0.05) * variance)
    np.sqrt(background, out=background)
    np.sqrt(variance, out=variance)
    variance += background
    units: Image = 2 * plane / variance
    return units


def marker_strength(units: Image, stack: Stack) -> Image:
    """Root sum of squares over the markers of a frame in noise units: (c, z, y, x) -> (z, y, x)."""
    markers = [c for c, name in enumerate(stack.channels) if name != NUCLEUS]
    return np.asarray(np.sqrt((np.maximum(units[markers], 0) ** 2).sum(0)), np.float32)
