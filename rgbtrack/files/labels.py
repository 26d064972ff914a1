"""Label images: ready-made masks in, outlines out."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files.atomic import write_atomically
from rgbtrack.files.images import read_file
from rgbtrack.threads import n_threads


def read_labels(path: str | Path, shape: tuple[int, ...] | None = None) -> NDArray[np.uint32]:
    """Read ready-made masks.

    Parameters
    ----------
    path
        TIFF or PNG of whole numbers, 0 is background.
    shape
        Of the image, (t, z, y, x); None: as the file tells.

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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        labels = np.asarray(read_file(path).pixels)
    if shape is None:
        shape = tuple(np.delete(labels.shape, 1))
    if labels.size != int(np.prod(shape)) or np.squeeze(labels).shape != tuple(n for n in shape if n > 1):
        raise DataError(
            f"{path}: labels have shape {np.squeeze(labels).shape}, the image (t, z, y, x) = {tuple(shape)}: "
            f"give one label for each pixel"
        )
    labels = labels.reshape(shape)
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
        raise DataError(f"{path}: labels are not whole numbers: export a label image, not a picture")
    if labels.size and (labels.min() < 0 or labels.max() > np.iinfo(np.uint32).max):
        raise DataError(
            f"{path}: labels run from {labels.min()} to {labels.max()}: 0 is background, cells count from 1"
        )
    return labels.astype(np.uint32)


def write_labels(path: str | Path, labels: NDArray[Any]) -> None:
    """Write labels (t, z, y, x) as a uint32 TIFF, singletons dropped; Fiji, QuPath and napari open it."""
    axes = "".join(name for name, n in zip("TZYX", labels.shape, strict=True) if n > 1 or name in "YX")
    image = labels.reshape([n for name, n in zip("TZYX", labels.shape, strict=True) if name in axes])
    write_atomically(
        path,
        lambda temporary: tifffile.imwrite(
            temporary,
            image.astype(np.uint32, copy=False),
            compression="zlib",
            compressionargs={"level": 3},
            rowsperstrip=min(256, image.shape[-2]),
            maxworkers=min(4, n_threads()),
            metadata={"axes": axes},
            photometric="minisblack",
            software="rgbtrack",
            datetime=None,
        ),
    )
