"""Filters of (z, y, x) images, the same for one plane and for many."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.segment.runs import clear_runs, find_runs

Image = NDArray[np.float32]


def blur(image: Image, sigma: float, spacing: float = 1.0) -> Image:
    """Gaussian blur of (z, y, x); sigma and the spacing of the planes in pixels of the plane."""
    border = cv2.BORDER_REPLICATE if 1 in image.shape[1:] else cv2.BORDER_REFLECT_101
    blurred = np.empty(image.shape, np.float32)
    for z, plane in enumerate(image):
        blurred[z] = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=border).reshape(plane.shape)
    if len(image) > 1 and sigma > 0.2 * spacing:
        blurred = ndi.gaussian_filter1d(blurred, sigma / spacing, axis=0, truncate=3)
    return blurred


def wide_mean(image: Image, sigma: float) -> Image:
    """Gaussian mean over a wide neighbourhood in the plane, of (z, y, x), on a smaller copy."""
    height, width = image.shape[1:]
    shrink = max(1, min(int(sigma / 2), min(height, width) // 4))
    small = (max(1, width // shrink), max(1, height // shrink))
    wide = np.empty_like(image)
    for z, plane in enumerate(image):
        blurred = blur(
            cv2.resize(plane, small, interpolation=cv2.INTER_AREA).reshape(1, *small[::-1]), sigma / shrink
        )
        wide[z] = cv2.resize(blurred[0], (width, height), interpolation=cv2.INTER_LINEAR).reshape(
            height, width
        )
    return wide


def open_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop single pixels and lines, plane by plane."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    opened = np.empty_like(mask)
    for z, plane in enumerate(mask):
        opened[z] = cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_OPEN, cross).reshape(plane.shape)
    return opened


def keep_large(mask: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """Drop pieces of fewer than some pixels, plane by plane; pixels that touch at a corner are of one."""
    kept = mask.copy()
    runs = find_runs(mask, 1, False)
    clear_runs(kept.reshape(-1), runs.begin, runs.end, runs.sizes()[runs.piece] < least)
    return kept


def distance_to(edge: NDArray[np.bool_], spacing: float, most: float) -> Image:
    """Distance of (z, y, x) to the nearest edge pixel, in pixels of the plane, no more than `most`."""
    distance = np.empty(edge.shape, np.float32)
    for z, plane in enumerate(edge):
        if plane.any():
            free = (~plane).astype(np.uint8)
            distance[z] = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_5).reshape(plane.shape)
        else:
            distance[z] = most
    np.minimum(distance, most, out=distance)
    if len(edge) > 1:
        # the nearest edge of another plane: within reach there are few planes
        flat = distance.copy()
        for step in range(1, int(most / spacing) + 1):
            if step >= len(edge):
                break
            rise = (step * spacing) ** 2
            for near, far in (
                (slice(step, None), slice(None, -step)),
                (slice(None, -step), slice(step, None)),
            ):
                np.minimum(distance[near], np.sqrt(flat[far] ** 2 + rise), out=distance[near])
    return distance
