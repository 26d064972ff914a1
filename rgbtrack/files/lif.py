"""Leica LIF: every image of the file, and every tile of a tile scan, is a scene."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files.extras import need_extra
from rgbtrack.files.lazily import lazy_frames
from rgbtrack.files.metadata import Metadata, positive, stack_of
from rgbtrack.files.scenes import distinct, find_scene, source_of
from rgbtrack.files.sizes import check_claim, check_pixels
from rgbtrack.stack import Stack

DIMENSION = {"X": "1", "Y": "2", "Z": "3", "T": "4"}
PACKED = 1
"""Pixels are not packed."""


def list_scenes(path: Path) -> tuple[str, ...]:
    """Names of the images of a LIF file, with the folders they are in."""
    with _opened(path) as file:
        return _scenes(path, file)[0]


def read_scene(path: Path, scene: str | int | None) -> Stack:
    """Open one image of a LIF file, lazily.

    Raises
    ------
    DataError
        If the file is damaged, or the image has axes that are no (t, c, z, y, x).
    """
    with _opened(path) as file:
        names, places = _scenes(path, file)
        index = find_scene(path, names, scene)
        number, tile = places[index]
        image = file.images[number]
        sizes: dict[str, int] = dict(image.sizes)
        dtype = np.dtype(image.dtype)
        known = _metadata(image)
    unknown = [axis for axis, n in sizes.items() if axis not in "MTCZYXS" and n > 1]
    if unknown or not {"Y", "X"} <= set(sizes):
        raise DataError(
            f"{path}: {names[index]} has axes {', '.join(sizes)}: only fields of (t, c, z, y, x) are read"
        )
    check_pixels(path, list(sizes.values()), dtype, PACKED)

    def read(t: int, z: int) -> tuple[NDArray[Any], Sequence[str]]:
        at = {"M": tile, "T": t, "Z": z}
        with _opened(path) as opened:
            frames = opened.images[number].frames(**{axis: at[axis] for axis in at if axis in sizes})
            return np.asarray(frames.asarray()), frames.dims

    pixels = lazy_frames(path, read, sizes, dtype)
    return stack_of(pixels, known, source_of(path, names, index))


def _opened(path: Path) -> Any:
    """The file, as a context."""
    liffile = need_extra("liffile", "readers")
    with path.open("rb") as file:  # the header's length, which is taken at its word
        head = file.read(13)
    check_claim(path, 2 * int.from_bytes(head[9:13], "little"), PACKED)
    return liffile.LifFile(path)


def _scenes(path: Path, file: Any) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
    """Names of all images and tiles, and which image and which of its tiles each is."""
    names, places = [], []
    for number, image in enumerate(file.images):
        n = int(image.sizes.get("M", 1))
        names += [image.path if n == 1 else f"{image.path} tile {tile}" for tile in range(n)]
        places += [(number, tile) for tile in range(n)]
    if not names:
        raise DataError(f"{path}: the file holds no image")
    return distinct(names), places


def _metadata(image: Any) -> Metadata:
    """Dyes and calibration."""
    described = image.xml_element.findall(".//ImageDescription/Channels/ChannelDescription")
    dyes = [
        next(
            (
                node.findtext("Value") or ""
                for node in channel.findall("ChannelProperty")
                if node.findtext("Key") == "DyeName"
            ),
            "",
        )
        for channel in described
    ]
    colours = [channel.get("LUTName") or "" for channel in described]
    step = {axis: _step(image, axis) for axis in DIMENSION}
    return Metadata(
        dyes if all(dyes) and len(set(dyes)) == len(dyes) else colours,
        step["X"] and step["X"] * 1e6,
        step["Z"] and step["Z"] * 1e6,
        step["T"] and step["T"] / 3600,
    )


def _step(image: Any, axis: str) -> float | None:
    """Distance between neighbours along an axis, in metres or seconds."""
    path = f".//ImageDescription/Dimensions/DimensionDescription[@DimID='{DIMENSION[axis]}']"
    node = image.xml_element.find(path)
    try:
        n, length, unit = int(node.get("NumberOfElements")), float(node.get("Length")), node.get("Unit")
    except (AttributeError, TypeError, ValueError):
        return None
    scale = {"m": 1.0, "inch": 0.0254, "s": 1.0, "": 1.0}.get(unit)
    return positive(abs(length) / (n - 1) * scale) if n > 1 and scale else None
