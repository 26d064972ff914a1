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
    pixels, noise = stack.pixels[t], stack.noise
    assert noise is not None  # noqa: S101 - of corrected stacks it is known
    units = np.empty(pixels.shape, np.float32)
    for c, z in np.ndindex(pixels.shape[:2]):
        plane, variance = pixels[c, z], noise.sample(c, z, 1, t)
        gain = np.float32(stack.gain[c] / (1.0 if noise.fade is None else noise.fade[t, c, z]))
        background = np.maximum(variance - gain * plane, 0.05 * variance)
        units[c, z] = 2 * plane / (np.sqrt(variance) + np.sqrt(background))
    return units


def marker_strength(units: Image, stack: Stack) -> Image:
    """Root sum of squares over the markers of a frame in noise units: (c, z, y, x) -> (z, y, x)."""
    markers = [c for c, name in enumerate(stack.channels) if name != NUCLEUS]
    return np.asarray(np.sqrt((np.maximum(units[markers], 0) ** 2).sum(0)), np.float32)
