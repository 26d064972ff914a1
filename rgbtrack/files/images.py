"""Images: any file to a Stack."""

import re
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from rgbtrack.errors import DataError
from rgbtrack.files.messages import short
from rgbtrack.files.ome_zarr import is_ome_zarr
from rgbtrack.files.scenes import find_scene
from rgbtrack.files.sizes import check_claim
from rgbtrack.files.tiff import warn_of_photograph
from rgbtrack.stack import DetectorSettings, Stack

READERS = {
    **dict.fromkeys((".tif", ".tiff", ".btf", ".tf8"), "tiff"),
    **{ending: ending.removeprefix(".") for ending in (".czi", ".lif", ".nd2")},
}
"""Endings, and the modules beside this one that read the scenes of such files."""
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
IMAGE_ENDINGS = (*READERS, *PICTURE_ENDINGS)
FORMATS = "TIFF, OME-TIFF, ImageJ TIFF, OME-Zarr, CZI, LIF, ND2, PNG and JPEG"


def read_stack(
    path: str | Path | Sequence[str | Path],
    *,
    scene: str | int | None = None,
    axes: str | None = None,
    pixel_size_um: float | None = None,
    z_step_um: float | None = None,
    frame_interval_h: float | None = None,
) -> Stack:
    """Open an image lazily, with axes, channel names and calibration as recorded.

    Parameters
    ----------
    path
        TIFF, OME-TIFF, ImageJ hyperstack, OME-Zarr, PNG or JPEG; CZI, LIF or ND2 with the extra
        ``rgbtrack[readers]``; several for one file per channel, in channel order.
    scene
        Name or 0-based number of the image that is meant, in a file that holds several: see `list_scenes`.
    axes
        Override what the axes longer than one are taken for, in the order (t, c, z, y, x) in which they are
        read: see `Stack.with_axes`.
    pixel_size_um, z_step_um, frame_interval_h
        Override what the file says.

    Returns
    -------
    stack
        Pixels are a dask array (t, c, z, y, x): nothing but the header is read.

    Raises
    ------
    DataError
        If a file is missing, empty, truncated, of another format, or files of one image differ in shape.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    if not paths:
        raise DataError("no image file given")
    stacks = [read_file(p, scene) for p in paths]
    first = stacks[0]
    channels = first.channels
    pixels = first.pixels
    if len(stacks) > 1:
        sizes = {p.name: (s.pixels.shape[0], *s.pixels.shape[2:]) for p, s in zip(paths, stacks, strict=True)}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name} {shape}" for name, shape in sizes.items())
            raise DataError(f"files of one image differ in (t, z, y, x): {told}: give files of one field")
        pixels = da.concatenate([s.pixels for s in stacks], axis=1)
        channels = _names_of_files(paths, stacks)

    def first_known(given: float | None, name: str) -> float | None:
        return (
            given if given is not None else next((getattr(s, name) for s in stacks if getattr(s, name)), None)
        )

    stack = Stack(
        pixels,
        channels,
        pixel_size_um=first_known(pixel_size_um, "pixel_size_um"),
        z_step_um=first_known(z_step_um, "z_step_um"),
        frame_interval_h=first_known(frame_interval_h, "frame_interval_h"),
        source="; ".join(stack.source for stack in stacks),
        detectors=_detectors_of(stacks),
    )
    return stack.with_axes(axes) if axes else stack


def list_scenes(path: str | Path) -> tuple[str, ...]:
    """Names of the images that a file holds; one for most files.

    Parameters
    ----------
    path
        See `read_stack`.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged or of another format.
    """
    path = Path(path)
    reader = _reader(path)
    return (path.name,) if reader is None else _asked(path, lambda: tuple(reader.list_scenes(path)))


def _detectors_of(stacks: Sequence[Stack]) -> tuple[DetectorSettings, ...]:
    """Detectors of the channels of several files; empty where none is recorded."""
    if not any(stack.detectors for stack in stacks):
        return ()
    return tuple(
        known
        for stack in stacks
        for known in (stack.detectors or (DetectorSettings(),) * len(stack.channels))
    )


def _names_of_files(paths: Sequence[Path], stacks: Sequence[Stack]) -> tuple[str, ...]:
    """Channel names of several files: as recorded, else the part of the file names that differs."""
    names = [name for stack in stacks for name in stack.channels]
    recorded = len(set(names)) == len(names) and not any(name.startswith("channel ") for name in names)
    if not recorded and len(names) == len(paths):
        parts = [re.split(r"[^A-Za-z0-9]+", file_stem(p)) for p in paths]
        if len({len(p) for p in parts}) == 1:
            differing = [column for column in zip(*parts, strict=True) if len(set(column)) == len(paths)]
            if differing:
                names = list(differing[-1])
    return tuple(name if names.count(name) == 1 else f"channel {i}" for i, name in enumerate(names))


def file_stem(path: Path) -> str:
    """File name without its endings (``.ome.tif`` counts as one)."""
    return re.sub(r"(\.ome)?\.[A-Za-z0-9]{2,5}$", "", path.name)


def read_file(path: Path, scene: str | int | None = None) -> Stack:
    """Read one image of one file, whatever its kind."""
    reader = _reader(path)
    if reader is None:
        find_scene(path, (path.name,), scene)
        return _read_picture(path)
    return _asked(path, lambda: reader.read_scene(path, scene))


def _reader(path: Path) -> Any:
    """Module that reads a file; None for a picture."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if is_ome_zarr(path):
        return import_module("rgbtrack.files.ome_zarr")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, an image file or an OME-Zarr is needed")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    ending = path.suffix.lower()
    if ending in PICTURE_ENDINGS:
        return None
    if ending not in READERS:
        raise DataError(
            f"{path}: {ending or 'a file without ending'} is not read: {FORMATS} are; "
            "export the image as OME-TIFF"
        )
    return import_module(f"rgbtrack.files.{READERS[ending]}")


def _asked(path: Path, ask: Callable[[], Any]) -> Any:
    """What a reader tells; whatever it stumbles over is told of the file."""
    try:
        return ask()
    except DataError:
        raise
    except Exception as error:
        kind = "TIFF" if READERS.get(path.suffix.lower()) == "tiff" else path.suffix.removeprefix(".").upper()
        raise DataError(f"{path}: not readable as {kind} ({short(error)}): is the file whole?") from error


def _read_picture(path: Path) -> Stack:
    import cv2

    content = path.read_bytes()
    claimed, image = _claimed(content), None
    if claimed:
        check_claim(path, claimed, 1040)
        with suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise DataError(f"{path}: not readable as a picture: is the file whole?")
    if image.ndim == 2:
        return Stack(image[None, None, None], ("grey",), source=path.name)
    rgb = image[..., 2::-1]  # OpenCV keeps blue first; alpha is dropped
    warn_of_photograph(path)
    return Stack(np.moveaxis(rgb, -1, 0)[None, :, None], ("red", "green", "blue"), source=path.name)


def _claimed(content: bytes) -> int:
    """Bytes of a PNG or JPEG once unpacked, at least, by its header; 0 where it is neither."""
    if content[:8] == b"\x89PNG\r\n\x1a\n" and _has_its_chunks(content):
        width, height, bits, kind = struct.unpack_from(">IIBB", content, 16)
        return width * height * bits * {2: 3, 4: 2, 6: 4}.get(kind, 1) // 8
    if content[:2] != b"\xff\xd8":
        return 0
    at = 2
    while at + 10 <= len(content) and content[at] == 0xFF:
        kind, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # start of a frame
            height, width, n = struct.unpack_from(">HHB", content, at + 5)
            return height * width * n
        at += 1 if kind == 0xFF else 2 + length
    return 0


def _has_its_chunks(png: bytes) -> bool:
    """Whether a PNG begins with a header and holds as much as its chunks claim: OpenCV allocates that."""
    at = 8
    while at + 8 <= len(png) and png[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(png[at : at + 4])
    return png[12:16] == b"IHDR" and 33 <= at <= len(png)
