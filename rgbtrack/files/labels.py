"""Label images: ready-made masks in, outlines out."""

import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files.atomic import write_atomically
from rgbtrack.files.images import read_file
from rgbtrack.files.ome_zarr import is_ome_zarr, read_ome_zarr
from rgbtrack.files.outlines import OUTLINE_ENDINGS, read_outlines
from rgbtrack.threads import over_bands

ZARR = ".ome.zarr"
STRIP_ROWS = 256
"""Rows of a label image that are packed at once."""


def labels_file(folder: str | Path, image_id: str) -> Path:
    """Where the labels of an image are in a folder: in an OME-Zarr, or else in a TIFF."""
    stored = Path(folder) / f"{image_id}{ZARR}"
    return stored if stored.is_dir() else Path(folder) / f"{image_id}.tif"


def open_labels(path: str | Path) -> Any:
    """Labels (t, z, y, x) as a dask array, of which only what is asked for is read.

    Raises
    ------
    DataError
        If the file is not readable, or holds no whole numbers.
    """
    pixels = read_file(Path(path)).pixels
    if pixels.shape[1] != 1 or np.dtype(pixels.dtype).kind not in "iu":
        raise DataError(f"{path}: pixels of type {pixels.dtype} in {pixels.shape[1]} channels are no labels")
    return da.asarray(pixels)[:, 0]


def labels_in_small(path: str | Path, frame: int, longest_px: int) -> NDArray[np.uint32]:
    """Labels of one frame, (z, y, x), of an OME-Zarr no larger than need be for so many rows and columns."""
    path = Path(path)
    if not is_ome_zarr(path):
        return read_labels(path)[frame]
    return np.asarray(read_ome_zarr(path, longest_px).pixels[frame, 0], np.uint32)


def read_labels(path: str | Path, shape: tuple[int, ...] | None = None) -> NDArray[np.uint32]:
    """Read ready-made masks.

    Parameters
    ----------
    path
        TIFF, OME-Zarr or PNG of whole numbers, 0 is background; GeoJSON from QuPath (.geojson, .json); or
        ROIs from Fiji (.zip, .roi). A picture of only 0 and 255, or bytes 0 and 1, is a mask: each
        connected piece of it is a cell.
    shape
        Of the image, (t, z, y, x); None: as the file tells, which outlines do not.

    Returns
    -------
    labels
        Shape (t, z, y, x).

    Raises
    ------
    DataError
        If the file is not readable, differs in shape, or does not hold whole numbers.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        raise DataError(
            f"{path}: a NumPy file can run code when it is opened, so it is not: in Cellpose, "
            f"File > Save masks as PNG/tif, and give that file"
        )
    if path.suffix.lower() in OUTLINE_ENDINGS:
        if shape is None:
            raise DataError(f"{path}: outlines do not tell the size of the image: give its shape")
        return read_outlines(path, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        pixels = read_file(path).pixels
    if shape is None:
        shape = tuple(np.delete(pixels.shape, 1))
    found = tuple(n for n in pixels.shape if n > 1)
    if found != tuple(n for n in shape if n > 1):
        raise DataError(
            f"{path}: labels have shape {found}, the image (t, z, y, x) = {tuple(shape)}: "
            f"give one label for each pixel"
        )
    labels = np.asarray(pixels).reshape(shape)
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
        raise DataError(f"{path}: labels are not whole numbers: export a label image, not a picture")
    if labels.size and (labels.min() < 0 or labels.max() > np.iinfo(np.uint32).max):
        raise DataError(
            f"{path}: labels run from {labels.min()} to {labels.max()}: 0 is background, cells count from 1"
        )
    return _label_mask(labels, path).astype(np.uint32, copy=False)


def _label_mask(labels: NDArray[Any], path: Path) -> NDArray[Any]:
    """Number the pieces of a binary mask; labels of cells are left as they are."""
    highest = labels.max(initial=0)
    is_mask = highest == 1 and labels.dtype.itemsize == 1
    is_mask |= highest == 255 and not ((labels > 0) & (labels < 255)).any()
    if not is_mask:
        return labels
    # pieces that touch at a corner are one, as in Fiji's Analyze Particles
    pieces = [ndi.label(frame, np.ones((3, 3, 3)))[0] for frame in labels]
    if max(piece.max() for piece in pieces) < 2:
        return labels
    warnings.warn(
        f"{path.name}: a mask of 0 and {highest}, not labels: each of its "
        f"{sum(int(piece.max()) for piece in pieces)} connected pieces is taken for a cell",
        RgbtrackWarning,
        stacklevel=3,
    )
    return np.stack(pieces)


def write_labels(path: str | Path, labels: NDArray[Any]) -> None:
    """Write labels (t, z, y, x) as a uint32 TIFF, singletons dropped; Fiji, QuPath and napari open it."""
    axes = "".join(name for name, n in zip("TZYX", labels.shape, strict=True) if n > 1 or name in "YX")
    image = labels.reshape([n for name, n in zip("TZYX", labels.shape, strict=True) if name in axes])
    planes = image.reshape(-1, *image.shape[-2:])
    height = planes.shape[1]
    cuts = [(z, y) for z in range(len(planes)) for y in range(0, height, STRIP_ROWS)]

    def pack(i: int, _: int) -> bytes:
        z, y = cuts[i]
        strip = planes[z, y : y + STRIP_ROWS].astype(np.uint32, copy=False)
        return bytes(imagecodecs.zlibng_encode(strip.tobytes(), level=2))

    strips = over_bands(pack, len(cuts), len(cuts))
    write_atomically(
        path,
        lambda temporary: tifffile.imwrite(
            temporary,
            iter(strips),
            shape=image.shape,
            dtype=np.uint32,
            compression="zlib",
            rowsperstrip=min(STRIP_ROWS, height),
            metadata={"axes": axes},
            photometric="minisblack",
            software="rgbtrack",
            datetime=None,
        ),
    )
