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
    markers, hues = markers_and_hues(stack)
    planes = np.asarray(stack.pixels[0, [stack.channels.index(name) for name in markers]]).max(axis=1)
    # shrinking and unmixing are both linear: the smaller picture is the cheaper one to unmix
    small = unmixed(stack, _shrink(planes))
    write_png(path, composite(small, hues, tops(small)))


def markers_and_hues(stack: Stack) -> tuple[list[str], list[RGB]]:
    """Marker channels of a stack, and the colour that each is shown in."""
    markers = list(stack.markers)
    return markers, [HUES[hue] for hue in marker_hues(markers)]


def unmixed(stack: Stack, planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Marker planes (c, y, x) of a stack with its bleed-through undone."""
    if stack.bleed_through is None:
        return planes
    markers = list(stack.markers)
    mixing = stack.bleed_through.loc[markers, markers].to_numpy(float)
    return np.einsum("md,dyx->myx", np.linalg.inv(mixing), planes).astype(np.float32)


def tops(planes: NDArray[np.float32]) -> list[float]:
    """What is shown in full brightness in each plane: the 99.5th percentile of what stands above nothing."""
    lit = [plane[plane > 0] for plane in planes]
    return [max(float(np.percentile(light, 99.5)), 1e-9) if light.size else 1.0 for light in lit]


def composite(
    planes: NDArray[np.float32], colours: Sequence[RGB], tops: Sequence[float]
) -> NDArray[np.uint8]:
    """RGB picture, shape (y, x, 3), of marker planes (c, y, x), each in its colour and on its own scale.

    A square root keeps dim cells in view. Where the colours add up to white or more, light that all markers
    share is drawn grey: the hues of red, green and blue alone would tint it.
    """
    paint = np.asarray(colours, np.float32)
    light = np.sqrt(np.clip(planes / np.asarray(tops, np.float32)[:, None, None], 0, 1))
    shared = light.min(axis=0) if (paint.sum(axis=0) >= 1).all() else np.zeros_like(light[0])
    image = np.einsum("cyx,ck->kyx", light - shared, paint) + shared
    return np.stack(list((255 * np.clip(image, 0, 1)).astype(np.uint8)), axis=-1)


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write an RGB picture."""
    ok, png = cv2.imencode(".png", picture[..., ::-1])
    if ok:
        write_atomically(path, lambda temporary: temporary.write_bytes(png.tobytes()))


def _shrink(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    shrink = max(1.0, max(planes.shape[1:]) / LONGEST_PX)
    size = tuple(max(1, round(n / shrink)) for n in planes.shape[:0:-1])  # (x, y)
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA).reshape(size[::-1]) for plane in planes]
    return np.stack(small).astype(np.float32)
