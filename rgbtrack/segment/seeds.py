"""Seeds: one point or area in each part."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.segment.filters import Image

Seeds = NDArray[np.int32]


def find_peaks(image: Image, mask: NDArray[np.bool_], distance: float, spacing: float) -> Seeds:
    """Seeds at the local maxima of a smooth image, none nearer than `distance` to a higher one."""
    top = np.empty_like(image)
    for step in range(int(distance / spacing) + 1 if len(image) > 1 else 1):
        radius = max(1, round(float(np.sqrt(max(0.0, distance**2 - (step * spacing) ** 2)))))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        wide = top if step == 0 else np.empty_like(image)
        for z, plane in enumerate(image):
            cv2.dilate(plane, disc, dst=wide[z])
        if 0 < step < len(image):
            np.maximum(top[step:], wide[:-step], out=top[step:])
            np.maximum(top[:-step], wide[step:], out=top[:-step])
    peaks = (image >= top) & mask & (image > 0)
    seeds: Seeds
    if len(image) > 1:
        seeds = ndi.label(peaks, np.ones((3, 3, 3)))[0].astype(np.int32)
    else:
        seeds = cv2.connectedComponents(peaks[0].astype(np.uint8), connectivity=8)[1].reshape(image.shape)
    return seeds
