"""A small colour picture of an image, for the report."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.files import write_atomically
from rgbtrack.plot.colours import HUES, RGB, marker_hues
from rgbtrack.stack import Stack

LONGEST_PX = 640


def write_thumbnail(path: Path, stack: Stack) -> None:
    """Write the first frame of a corrected stack, maximum over z, bleed-through undone, as an RGB PNG."""
    markers = list(stack.markers)
    planes = np.asarray(stack.pixels[0, [stack.channels.index(name) for name in markers]]).max(axis=1)
    if stack.bleed_through is not None:
        mixing = stack.bleed_through.loc[markers, markers].to_numpy(float)
        planes = np.einsum("md,dyx->myx", np.linalg.inv(mixing), planes).astype(np.float32)
    image = composite(planes, [HUES[hue] for hue in marker_hues(markers)])
    ok, png = cv2.imencode(".png", image[..., ::-1])
    if ok:
        write_atomically(path, lambda temporary: temporary.write_bytes(png.tobytes()))


def composite(planes: NDArray[np.float32], colours: Sequence[RGB]) -> NDArray[np.uint8]:
    """RGB picture, shape (y, x, 3), of marker planes (c, y, x), each in its colour.

    Each marker is scaled to its own 99.5th percentile of what stands above nothing; a square root keeps dim
    cells in view.
    """
    shrink = max(1.0, max(planes.shape[1:]) / LONGEST_PX)
    size = tuple(max(1, round(n / shrink)) for n in planes.shape[:0:-1])  # (x, y)
    image = np.zeros((size[1], size[0], 3), np.float32)
    for plane, colour in zip(planes, colours, strict=True):
        small = np.maximum(cv2.resize(plane, size, interpolation=cv2.INTER_AREA).reshape(size[::-1]), 0)
        lit = small[small > 0]
        top = float(np.percentile(lit, 99.5)) if lit.size else 1.0
        image += np.sqrt(np.clip(small / max(top, 1e-9), 0, 1))[..., None] * np.asarray(colour, np.float32)
    return (255 * np.clip(image, 0, 1)).astype(np.uint8)
