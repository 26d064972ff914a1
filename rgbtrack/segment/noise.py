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
    pixels, variance = stack.pixels[t], stack.variance[t]
    gain = np.asarray(stack.gain, np.float32)[:, None, None, None]
    background = np.maximum(variance - gain * pixels, 0.05 * variance)
    result: Image = 2 * pixels / (np.sqrt(variance) + np.sqrt(background))
    return result


def marker_strength(units: Image, stack: Stack) -> Image:
    """Root sum of squares over the markers of a frame in noise units: (c, z, y, x) -> (z, y, x)."""
    markers = [c for c, name in enumerate(stack.channels) if name != NUCLEUS]
    return np.asarray(np.sqrt((np.maximum(units[markers], 0) ** 2).sum(0)), np.float32)
