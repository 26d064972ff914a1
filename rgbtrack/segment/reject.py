"""Objects that are no cells."""

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image
from rgbtrack.segment.params import SegmentParams

Labels = NDArray[np.uint32]


DEBRIS = "debris: too small"


HAZE = "haze: no edge to its surroundings"


def reject(
    labels: Labels,
    strength: Image,
    diameter: float,
    spacing: tuple[float, float, float],
    params: SegmentParams,
) -> tuple[Labels, dict[str, int]]:
    """Set debris and haze aside and number the rest from 1."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    found = sizes > 0
    typical = np.pi / 6 * diameter**3 / spacing[0] if labels.shape[0] > 1 else np.pi / 4 * diameter**2
    # an object at the image's edge is small because it is cut
    cut = np.zeros(len(sizes), bool)
    for side in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        cut[np.unique(side)] = True
    debris = found & (sizes < params.min_area * typical * np.where(cut, 0.25, 1.0))
    haze = found & ~debris & (_fade(labels, strength, sizes, max(2, round(0.2 * diameter))) < params.min_edge)
    keep = found & ~debris & ~haze
    number = np.zeros(len(sizes), np.uint32)
    number[keep] = np.arange(1, int(keep.sum()) + 1)
    lost = {DEBRIS: int(debris.sum()), HAZE: int(haze.sum())}
    return number[labels], {reason: n for reason, n in lost.items() if n}


def _fade(labels: Labels, strength: Image, sizes: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """Share by which each object fades outside its outline; 1 where other objects leave no outside to see."""
    inside = np.bincount(labels.ravel(), weights=strength.ravel(), minlength=len(sizes)) / np.maximum(
        sizes, 1
    )
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    total, seen = np.zeros(len(sizes)), np.zeros(len(sizes))
    for plane, light in zip(labels, strength, strict=True):
        grown = cv2.dilate(plane.astype(np.float32), disc).reshape(plane.shape).astype(np.int64)
        outside = (plane == 0) & (grown > 0)
        total += np.bincount(grown[outside], weights=light[outside], minlength=len(sizes))
        seen += np.bincount(grown[outside], minlength=len(sizes))
    enough = seen > 0.3 * width * 2 * np.sqrt(np.pi * sizes / max(1, labels.shape[0]))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(enough, 1 - total / np.maximum(seen, 1) / np.maximum(inside, 1e-9), 1.0)
