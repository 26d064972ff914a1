"""TIFF, OME-TIFF and ImageJ hyperstacks, read lazily."""

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files.lazily import PIECE_COLUMNS, PIECE_ROWS, PLANE_BYTES, lazy_array, pieces
from rgbtrack.files.metadata import ome_names, read_metadata, stack_of
from rgbtrack.files.scenes import distinct, find_scene, source_of
from rgbtrack.files.sizes import check_pixels
from rgbtrack.stack import Stack

FRAME_BYTES = 512 * 2**20
"""A frame of at most so many bytes is read as a whole."""
PACKED = {1: 1, 50000: 33_000, 34925: 33_000}
"""How many times smaller an empty image is packed, by TIFF's number: nothing, zstd, LZMA; 1400 for others.

LZW and deflate, at 1,365 and 1,032 to one, pack most of those.
"""

logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def list_scenes(path: Path) -> tuple[str, ...]:
    """Names of the images of an OME-TIFF; further images of other TIFFs are previews."""
    with tifffile.TiffFile(path) as tiff:
        return _names(path, tiff)


def _names(path: Path, tiff: tifffile.TiffFile) -> tuple[str, ...]:
    n = len(tiff.series)
    if not tiff.is_ome or n < 2:
        return (path.name,)
    told = ome_names(tiff.ome_metadata) if tiff.ome_metadata else []
    return distinct(told if len(told) == n else [""] * n)


def read_scene(path: Path, scene: str | int | None) -> Stack:
    """Open one image of a TIFF, lazily, with the axes, names and calibration that it records."""
    with tifffile.TiffFile(path) as tiff:
        if not tiff.series:
            raise DataError(f"{path}: the file holds no image")
        names = _names(path, tiff)
        index = find_scene(path, names, scene)
        series, source = tiff.series[index], source_of(path, names, index)
        axes, shape, dtype = series.axes.upper(), series.shape, np.dtype(series.dtype)
        _check_size(path, tiff, series)
        known = read_metadata(tiff, series, index)
        order = _axes(axes, shape, path)
        pixels = lazy(path, series, index)
    expand = tuple(i for i, name in enumerate("TCZYX") if name not in order)
    pixels = pixels.transpose([order.index(name) for name in "TCZYX" if name in order])
    for axis in expand:
        pixels = da.expand_dims(pixels, axis)
    if "S" in axes and "C" not in axes and pixels.shape[1] == 3:
        known = replace(known, names=["red", "green", "blue"])
        if dtype == np.uint8:
            warn_of_photograph(path)
    return stack_of(pixels, known, source)


def warn_of_photograph(path: Path) -> None:
    """Warn that an image was made for the eye."""
    warnings.warn(
        f"{path.name}: an RGB picture: its channels were mixed and scaled for the eye, colours are "
        "approximate",
        RgbtrackWarning,
        stacklevel=6,
    )


def lazy(path: Path, series: Any, index: int) -> Any:
    """Dask array of the image of a TIFF: its frames, where these are large its planes, or parts of planes."""
    axes, shape, dtype = series.axes.upper(), series.shape, np.dtype(series.dtype)
    frame = int(np.prod([n for axis, n in zip(axes, shape, strict=True) if axis != "T"], dtype=object))
    plane = int(np.prod([n for axis, n in zip(axes, shape, strict=True) if axis in "YXS"], dtype=object))
    whole = "CZYXS" if frame * dtype.itemsize <= FRAME_BYTES else "YXS"
    stored, least = {}, {"Y": PIECE_ROWS, "X": PIECE_COLUMNS}
    if plane * dtype.itemsize > PLANE_BYTES:
        page = series.keyframe
        stored = {"Y": page.tilelength, "X": page.tilewidth} if page.is_tiled else {"Y": page.rowsperstrip}
        if series.dataoffset is not None:
            stored = {"Y": 1}  # mapped, not unpacked
    chunks = []
    for axis, n in zip(axes, shape, strict=True):
        if axis in stored:
            chunks.append(pieces(n, max(1, min(stored[axis], n)), least[axis]))
        else:
            chunks.append((n,) if axis in whole else (1,) * n)

    def read(where: tuple[slice, ...]) -> NDArray[Any]:
        with tifffile.TiffFile(path) as tiff:
            return _read_part(tiff.series[index], tiff, where)

    return lazy_array(path, read, chunks, dtype)


def _read_part(series: Any, tiff: tifffile.TiffFile, where: tuple[slice, ...]) -> NDArray[Any]:
    """Part of an image of a file; the whole, and what is not packed, without detours."""
    whole = all(part == slice(0, n) for part, n in zip(where, series.shape, strict=True))
    if series.dataoffset is not None:
        file, kind = tiff.filehandle.path, np.dtype(tiff.byteorder + series.dtype.char)
        if not whole:
            stored = np.memmap(file, kind, mode="r", offset=series.dataoffset, shape=series.shape)
            return np.array(stored[where], series.dtype)
        array = np.fromfile(file, kind, count=series.size, offset=series.dataoffset)
        if not kind.isnative:
            array = array.byteswap(inplace=True).view(kind.newbyteorder("="))  # in place: no second copy
        return array.reshape(series.shape)
    if whole:
        return np.asarray(series.asarray())
    array = zarr.open(series.aszarr(), mode="r")
    if not isinstance(array, zarr.Array):
        array = array["0"]
    return np.asarray(array[where])


def _check_size(path: Path, tiff: tifffile.TiffFile, series: Any) -> None:
    """Refuse a header that claims more than the file can hold."""
    page, size, dtype = series.keyframe, path.stat().st_size, np.dtype(series.dtype)
    for shape in (series.shape, page.chunks):
        check_pixels(path, shape, dtype, PACKED.get(page.compression, 1400))
    for p in series.pages:
        if (
            p is not None
            and p.dataoffsets
            and max(o + n for o, n in zip(p.dataoffsets, p.databytecounts, strict=False)) > size
        ):
            raise DataError(f"{path}: pixels lie past the end of the file: it is truncated")


def _axes(axes: str, shape: tuple[int, ...], path: Path) -> str:
    """Axes as letters of TCZYX, one for each axis of the file."""
    axes = axes.replace("S", "C") if "C" not in axes else axes
    unknown = [name for name in axes if name not in "TCZYX"]
    for name in unknown:
        n = shape[axes.index(name)]
        free = [a for a in ("CZT" if n <= 7 else "ZTC") if a not in axes]
        if not free:
            raise DataError(f"{path}: axes {axes} {shape} are not understood: save it as OME-TIFF")
        axes = axes.replace(name, free[0], 1)
        what = {"C": "channels", "Z": "slices", "T": "frames"}[free[0]]
        if n > 1:
            warnings.warn(
                f"{path.name}: an axis of length {n} without a name is taken for {what}: save as "
                "OME-TIFF to be sure",
                RgbtrackWarning,
                stacklevel=6,
            )
    if len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        raise DataError(f"{path}: axes {axes} {shape} are not understood: save it as OME-TIFF")
    return axes
