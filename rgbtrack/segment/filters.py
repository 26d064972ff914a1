"""Filters of (z, y, x) images, the same for one plane and for many."""

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.grids import shrink_rows
from rgbtrack.segment.runs import clear_runs, find_runs
from rgbtrack.threads import over_bands

Image = NDArray[np.float32]
PIECE_ROWS = 256
"""Of a plane that is worked on piece by piece."""


def blur(image: Image, sigma: float, spacing: float = 1.0, out: Image | None = None) -> Image:
    """Gaussian blur of (z, y, x); sigma and the spacing of the planes in pixels of the plane.

    Within planes it may be done in place.
    """
    border = cv2.BORDER_REPLICATE if 1 in image.shape[1:] else cv2.BORDER_REFLECT_101
    blurred = np.empty(image.shape, np.float32) if out is None else out

    def work(z: int, _: int) -> None:
        cv2.GaussianBlur(image[z], (0, 0), sigma, dst=blurred[z], borderType=border)

    over_bands(work, len(image), len(image))
    if len(image) == 1 or sigma <= 0.2 * spacing:
        return blurred
    reach = int(3 * sigma / spacing + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * spacing / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    across = np.empty_like(blurred)
    over_bands(lambda a, b: _mean_across(blurred, weights, a, b, across), image.shape[0] * image.shape[1])
    return across


@numba.njit(cache=True, nogil=True)
def _mean_across(image, weights, start, stop, mean):  # type: ignore[no-untyped-def]
    """Weighted mean of the same pixel of neighbouring planes; beyond the last they are mirrored."""
    depth, height, width = image.shape
    reach = len(weights) // 2
    for row in range(start, stop):
        z, y = row // height, row % height
        line = mean[z, y]
        line[:] = 0
        for k in range(-reach, reach + 1):
            near = (z + k) % (2 * depth)
            other, weight = image[min(near, 2 * depth - 1 - near), y], weights[k + reach]
            for x in range(width):
                line[x] += weight * other[x]


def wide_grid(image: Image, sigma: float, least: float = -np.inf) -> tuple[Image, int]:
    """Gaussian mean over a wide neighbourhood in the plane, at the centres of blocks of so many pixels.

    Of an image (z, y, x), what is less than the least counting as that.
    """
    factor = wide_factor(sigma, min(image.shape[1:]))
    grid = np.empty((len(image), *(-(-n // factor) for n in image.shape[1:])), np.float32)

    rows, pieces = grid.shape[1], max(1, grid.shape[1] * factor // PIECE_ROWS)

    def work(i: int, _: int) -> None:
        z, k = divmod(i, pieces)
        shrink_rows(image[z], factor, k * rows // pieces, (k + 1) * rows // pieces, grid[z], least)

    over_bands(work, len(image) * pieces, len(image) * pieces)
    return blur(grid, sigma / factor, np.inf, out=grid), factor


def wide_factor(sigma: float, side: float = np.inf) -> int:
    """Pixels of a side of the blocks of `wide_grid`, a power of two, in an image no smaller than a side."""
    return int(2 ** int(np.log2(max(1.0, min(sigma / 2, side / 4)))))


def open_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop single pixels and lines, plane by plane."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    opened = np.empty_like(mask)

    def work(z: int, _: int) -> None:
        cv2.morphologyEx(mask[z].view(np.uint8), cv2.MORPH_OPEN, cross, dst=opened[z].view(np.uint8))

    over_bands(work, len(mask), len(mask))
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
    depth, height, _ = edge.shape
    pieces = max(1, height // PIECE_ROWS)

    def work(i: int, _: int) -> None:
        z, first, last = i // pieces, i % pieces * height // pieces, (i % pieces + 1) * height // pieces
        top = max(0, first - int(most) - 1)  # what is further away is not asked for
        near = edge[z, top : last + int(most) + 1]
        here = distance[z, first:last]
        if not near.any():
            here[:] = most
            return
        free = np.logical_not(near).view(np.uint8)
        far = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_5).reshape(near.shape)
        np.minimum(far[first - top : last - top], most, out=here)

    over_bands(work, depth * pieces, depth * pieces)
    if depth == 1:
        return distance
    # the nearest edge of another plane: within reach there are few planes
    flat, n_rows = distance, edge.shape[0] * edge.shape[1]
    distance = np.empty_like(flat)
    over_bands(
        lambda a, b: _nearest_plane(flat, np.float32(spacing), int(most / spacing), a, b, distance), n_rows
    )
    return distance


@numba.njit(cache=True, nogil=True)
def _nearest_plane(flat, spacing, steps, start, stop, distance):  # type: ignore[no-untyped-def]
    depth, height, width = flat.shape
    for row in range(start, stop):
        z, y = row // height, row % height
        line = distance[z, y]
        for x in range(width):
            line[x] = flat[z, y, x] ** 2
        for near in range(max(0, z - steps), min(depth, z + steps + 1)):
            other, rise = flat[near, y], ((near - z) * spacing) ** 2
            for x in range(width):
                line[x] = min(line[x], other[x] * other[x] + rise)
        for x in range(width):
            line[x] = np.sqrt(line[x])
