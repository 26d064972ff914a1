"""Filters of (z, y, x) images, the same for one plane and for many."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Image = NDArray[np.float32]


def blur(image: Image, sigma: float, spacing: tuple[float, float, float] = (1, 1, 1)) -> Image:
    """Gaussian blur of (z, y, x); sigma in pixels of the plane."""
    if image.shape[0] > 1:
        return ndi.gaussian_filter(image, [sigma / s for s in spacing], truncate=3)
    border = cv2.BORDER_REPLICATE if 1 in image.shape[1:] else cv2.BORDER_REFLECT_101
    return cv2.GaussianBlur(image[0], (0, 0), sigma, borderType=border).reshape(image.shape)


def local_maximum(image: Image, width: float, sigma: float, spacing: tuple[float, float, float]) -> Image:
    """Maximum over a square of this width, blurred, of (z, y, x)."""
    size = max(3, int(width) | 1)
    if image.shape[0] > 1:
        top = ndi.maximum_filter(image, [max(1, int(width / s) | 1) for s in spacing])
    else:
        top = cv2.dilate(image[0], np.ones((size, size), np.uint8)).reshape(image.shape)
    return blur(top, sigma, spacing)


def tidy(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop single pixels and fill holes, plane by plane."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    tidy = np.empty_like(mask)
    for z, plane in enumerate(mask):
        opened = cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_OPEN, cross).reshape(plane.shape)
        tidy[z] = ndi.binary_fill_holes(opened)
    return tidy


def colour_edges(colour: Image, floor: float, spacing: tuple[float, float, float]) -> Image:
    """Gradient over norm of (c, z, y, x): relative change per pixel, whatever the brightness."""
    total = np.zeros(colour.shape[1:], np.float32)
    for channel in colour:
        for z, plane in enumerate(channel):
            dy = cv2.Sobel(plane, cv2.CV_32F, 0, 1).reshape(plane.shape)
            dx = cv2.Sobel(plane, cv2.CV_32F, 1, 0).reshape(plane.shape)
            total[z] += dx**2 + dy**2
        if channel.shape[0] > 2:
            total += (8 * np.gradient(channel, spacing[0], axis=0)) ** 2
    norm = np.sqrt((np.maximum(colour, 0) ** 2).sum(0))
    return np.sqrt(total) / 8 / np.maximum(norm, max(floor, 1e-6))


def distance_inside(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Image:
    """Distance to the nearest pixel outside, in pixels of the plane; the image's edge is not outside."""
    if mask.shape[0] > 1:
        return ndi.distance_transform_edt(mask, sampling=spacing).astype(np.float32)
    if mask.all():
        return np.full(mask.shape, float(min(mask.shape[1:])), np.float32)
    return cv2.distanceTransform(mask[0].astype(np.uint8), cv2.DIST_L2, 5).reshape(mask.shape)
