"""Noise units, and how sure a mean over a disc is."""

import numpy as np
from numpy.typing import NDArray

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


def noise_after(sigma: float, spacing: tuple[float, float, float], depth: int) -> float:
    """Standard deviation of white unit noise after `blur`."""
    plane = 1 / (2 * sigma * np.sqrt(np.pi))
    if depth == 1:
        return float(min(1.0, plane))
    return float(min(1.0, plane * min(1.0, np.sqrt(spacing[0] / (2 * sigma * np.sqrt(np.pi))))))


def rounding(stack: Stack, t: int) -> NDArray[np.float32]:
    """Half a step of the detector in noise units, per channel, shape (c,).

    A mean over many pixels is no surer than that: rounding, and a camera's fixed pattern, do not average out.
    """
    dark = np.percentile(stack.variance[t], 20, axis=(1, 2, 3))
    return np.asarray(0.5 * stack.step / np.sqrt(np.maximum(dark, 1e-12)), np.float32)


def background_spread(discs: Image, empty: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Spread of the background at the size of the discs, per channel: (c, z, y, x) -> (c,).

    Where autofluorescence or a camera's pattern rides on the background it is more than noise explains. Its
    lower half is used, since what cells shine into the gaps lies above.
    """
    if empty.mean() < 0.02:
        return np.zeros(len(discs), np.float32)
    low, middle = np.percentile(discs[:, empty], (16, 50), axis=1)
    return np.asarray(middle - low, np.float32)


def marker_strength(units: Image, stack: Stack) -> Image:
    """Root sum of squares over the markers of a frame in noise units: (c, z, y, x) -> (z, y, x)."""
    markers = [c for c, name in enumerate(stack.channels) if name != NUCLEUS]
    return np.asarray(np.sqrt((np.maximum(units[markers], 0) ** 2).sum(0)), np.float32)
