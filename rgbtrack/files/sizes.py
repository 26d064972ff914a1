"""What a header claims, held against what its file can hold, before anything is allocated."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rgbtrack.errors import DataError

SLACK = 4096
"""Bytes by which a small file may claim more."""


def check_claim(path: Path, claimed: int, most: float) -> None:
    """Raise a `DataError` if a header claims more bytes than its file can hold.

    Parameters
    ----------
    path
        The file, or a folder of them.
    claimed
        Bytes of what is in it, once unpacked.
    most
        How many times smaller they can be packed: 1 for what is not.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    if claimed > size * most + SLACK:
        raise DataError(
            f"{path}: the header tells of {claimed:,} bytes, the file holds {size:,}: it is truncated or "
            "damaged"
        )


def check_pixels(path: Path, shape: Sequence[int], dtype: np.dtype[Any], most: float) -> None:
    """Raise a `DataError` if a header tells of no pixels, of more than its file holds, or of another kind.

    Parameters
    ----------
    path
        The file, or a folder of them.
    shape, dtype
        Of the array that the header tells of.
    most
        See `check_claim`.
    """
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise DataError(f"{path}: pixels of type {dtype} are not read: 8, 16 or 32 bit or float are")
    if 0 in shape:
        raise DataError(f"{path}: the image has no pixels, shape {tuple(shape)}")
    check_claim(path, int(np.prod(shape, dtype=object)) * dtype.itemsize, most)
