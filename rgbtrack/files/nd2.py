"""Nikon ND2: images of one or several positions, read frame by frame."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files.extras import need_extra
from rgbtrack.files.lazily import lazy_frames
from rgbtrack.files.metadata import Metadata, positive, stack_of
from rgbtrack.files.scenes import distinct, find_scene, source_of
from rgbtrack.files.sizes import check_pixels
from rgbtrack.stack import Stack

PACKED = 1100
"""How many times smaller a frame may be packed, by deflate."""


def list_scenes(path: Path) -> tuple[str, ...]:
    """Names of the positions of an ND2 file."""
    with _opened(path) as file:
        return _positions(file)


def read_scene(path: Path, scene: str | int | None) -> Stack:
    """Open one position of an ND2 file, lazily.

    Raises
    ------
    DataError
        If the file is damaged, or has axes that are no (t, c, z, y, x).
    """
    with _opened(path) as file:
        sizes: dict[str, int] = dict(file.sizes)
        dtype = np.dtype(file.dtype)
        names = _positions(file)
        known = _metadata(file)
    index = find_scene(path, names, scene)
    unknown = [axis for axis, n in sizes.items() if axis not in "PTCZYXS" and n > 1]
    if unknown:
        raise DataError(
            f"{path}: has an axis {', '.join(unknown)} that is not understood: export it as OME-TIFF"
        )
    check_pixels(path, list(sizes.values()), dtype, PACKED)
    loops = [axis for axis in sizes if axis not in "CYXS"]
    inner = [axis for axis in sizes if axis in "CYXS"]
    numbers = {
        at: i for i, at in enumerate(product(*(range(sizes[axis]) for axis in loops)))
    }  # frames lie one after the other, the last loop fastest

    def read(t: int, z: int) -> tuple[NDArray[Any], Sequence[str]]:
        at = {"T": t, "Z": z, "P": index}
        number = numbers[tuple(at.get(axis, 0) for axis in loops)]
        with _opened(path) as opened:
            frame = np.array(opened.read_frame(number))  # a copy: what is mapped goes with the file
        return frame.reshape([sizes[axis] for axis in inner]), inner

    pixels = lazy_frames(path, read, sizes, dtype)
    return stack_of(pixels, known, source_of(path, names, index))


def _opened(path: Path) -> Any:
    """The file, as a context."""
    return need_extra("nd2", "readers").ND2File(path)


def _positions(file: Any) -> tuple[str, ...]:
    n = int(file.sizes.get("P", 1))
    loop = next((one for one in file.experiment if one.type == "XYPosLoop"), None)
    told = [point.name or "" for point in loop.parameters.points] if loop is not None else []
    return distinct(told if len(told) == n else [""] * n)


def _metadata(file: Any) -> Metadata:
    """Names and calibration, where the file is calibrated."""
    channels = file.metadata.channels or []
    pixel_size_um = z_step_um = None
    if channels:
        volume = channels[0].volume
        pixel_size_um, z_step_um = (
            positive(volume.axesCalibration[i]) if volume.axesCalibrated[i] else None for i in (0, 2)
        )
    period_ms = 0.0
    for loop in file.experiment:
        if loop.type in ("TimeLoop", "NETimeLoop"):
            timed = loop.parameters.periods[0] if loop.type == "NETimeLoop" else loop.parameters
            period_ms = float(timed.periodDiff.avg or timed.periodMs or 0.0)
    return Metadata(
        [channel.channel.name or "" for channel in channels],
        pixel_size_um,
        z_step_um if file.sizes.get("Z", 1) > 1 else None,
        positive(period_ms / 3.6e6),
    )
