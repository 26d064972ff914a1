"""Seeds: one point or area in each cell."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.segment.filters import Image, blur, local_maximum, tidy
from rgbtrack.segment.params import SegmentParams

Seeds = NDArray[np.integer[Any]]


def find_peaks(
    image: Image, mask: NDArray[np.bool_], distance: float, spacing: tuple[float, float, float]
) -> Seeds:
    """Seeds at the local maxima of a smooth image, none nearer than `distance` to a higher one."""
    width = [
        2 * max(1, round(distance / s)) + 1 if n > 1 else 1 for s, n in zip(spacing, image.shape, strict=True)
    ]
    if image.shape[0] > 1:
        top = ndi.maximum_filter(image, size=width)
    else:
        top = cv2.dilate(image[0], np.ones(width[1:], np.uint8)).reshape(image.shape)
    seeds: Seeds = ndi.label((image >= top) & mask & (image > 0), np.ones((3, 3, 3)))[0]
    return seeds


def find_nuclei(
    stain: Image, diameter: float, spacing: tuple[float, float, float], params: SegmentParams
) -> NDArray[np.bool_]:
    """Where the nuclear stain (z, y, x) shows a nucleus."""
    smooth = blur(stain, max(0.7, 0.06 * diameter), spacing)
    reference = local_maximum(smooth, 0.6 * diameter, 0.15 * diameter, spacing)
    return tidy((smooth > params.min_snr) & (smooth > 0.5 * reference))


def join_seeds(nuclei: Seeds, peaks: Seeds, mask: NDArray[np.bool_]) -> tuple[Seeds, NDArray[np.bool_]]:
    """Seeds of nuclei, and of shape and colour in objects without one; which pixels have a nucleus."""
    objects, n = ndi.label(mask, np.ones((3, 3, 3)))
    has_nucleus = np.zeros(n + 1, bool)
    has_nucleus[np.unique(objects[nuclei > 0])] = True
    spare = np.where(has_nucleus[objects], 0, peaks)
    joined = np.where(spare > 0, spare + int(nuclei.max(initial=0)), nuclei)
    return joined, has_nucleus[objects]
