"""Noise units."""

import numpy as np

from rgbtrack.segment.filters import Image
from rgbtrack.stack import Stack


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
