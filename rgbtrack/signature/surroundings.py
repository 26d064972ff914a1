"""What a cell's surroundings add to its light, and how unsure that is."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.signature.colour import Array
from rgbtrack.signature.members import Labels

HAZE_ERROR = 0.5
"""How far the haze on a cell may differ from that in the gaps around it, share."""


def surrounding_light(pixels: Any, labels: Labels, distance: float) -> NDArray[np.float32]:
    """Light in the gaps around each pixel: what shines from neighbours into the cell too.

    Parameters
    ----------
    pixels, labels
        Corrected counts and cells of one frame, shape (z, y, x).
    distance
        Standard deviation of the weights, px. Where no gap is near, the light is taken to be less, down to
        none.

    Returns
    -------
    light
        Counts, shape (z, y, x), never below 0.
    """
    light = np.zeros(labels.shape, np.float32)
    if distance == 0:
        return light
    for z, plane in enumerate(labels):
        gap = cv2.erode((plane == 0).astype(np.uint8), np.ones((5, 5), np.uint8)).reshape(plane.shape) > 0
        if not gap.any():
            continue
        # a speck of debris is no haze
        value = np.where(gap, np.minimum(pixels[z], np.percentile(pixels[z][gap], 98)), 0).astype(np.float32)
        total, weight = (
            cv2.GaussianBlur(image, (0, 0), distance).reshape(plane.shape)
            for image in (value, gap.astype(np.float32))
        )
        light[z] = np.maximum(total / (weight + 0.02), 0)
    return light


def neighbouring_light(pixels: Any, distance: float) -> NDArray[np.float32]:
    """Mean light around each pixel (z, y, x), weights falling off over a distance in px; never below 0."""
    if distance == 0:
        return np.zeros(pixels.shape, np.float32)
    light = [cv2.GaussianBlur(plane, (0, 0), distance).reshape(plane.shape) for plane in pixels]
    return np.maximum(np.stack(light), 0)


def background_variance(pixels: Any, variance: Any, labels: Labels, n_px: Array) -> float:
    """Variance of what is left of the background, at the size of a typical cell, counts².

    The mean over a cell-sized window of background differs from window to window by more than pixel noise
    explains; the excess is what a cell's intensity cannot be sure of.
    """
    side = max(3, int(np.sqrt(np.median(n_px)))) if len(n_px) else 15
    excess = []
    for z in range(labels.shape[0]):
        away = cv2.erode((labels[z] == 0).astype(np.uint8), np.ones((5, 5), np.uint8))
        away = away.reshape(labels.shape[1:]).astype(np.float32)
        share = cv2.blur(away, (side, side)).reshape(away.shape)
        grid = (slice(side // 2, None, side), slice(side // 2, None, side))
        full = share[grid] > 0.5
        if int(full.sum()) < 8:
            continue
        mean = (
            cv2.blur(pixels[z] * away, (side, side)).reshape(away.shape)[grid] / np.maximum(share[grid], 1e-3)
        )[full]
        spread = (1.4826 * np.median(np.abs(mean - np.median(mean)))) ** 2
        noise = np.median(variance[z][away > 0]) / (side**2 * float(share[grid][full].mean()))
        excess.append(max(0.0, spread - noise) + float(np.median(mean)) ** 2)
    if excess:
        return float(np.median(excess))
    # no window of background in sight: as unsure as a twentieth of the darkest pixels' noise
    return float(0.05 * np.percentile(variance, 5))
