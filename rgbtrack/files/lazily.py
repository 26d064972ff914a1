"""Arrays of files that are read piece by piece, when they are asked for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files.messages import short

PIECE_ROWS, PIECE_COLUMNS = 512, 2048
"""What is read at once of planes larger than memory, at least."""
PLANE_BYTES = 128 * 2**20
"""A plane of more bytes is read in parts."""


def lazy_array(
    path: Path,
    read: Callable[[tuple[slice, ...]], NDArray[Any]],
    chunks: Sequence[tuple[int, ...]],
    dtype: np.dtype[Any],
) -> Any:
    """Dask array whose chunks, of the sizes given for each axis, `read` gets from a file.

    What goes wrong as it is computed is a `DataError` that names the file.
    """

    def piece(block_info: Any = None) -> NDArray[Any]:
        where = tuple(slice(a, b) for a, b in block_info[None]["array-location"])
        try:
            part = read(where)
        except Exception as error:
            raise DataError(f"{path}: pixels cannot be read ({short(error)}): is the file whole?") from error
        size = tuple(cut.stop - cut.start for cut in where)
        if part.shape != size:
            raise DataError(
                f"{path}: pixels have shape {part.shape}, the header tells of {size}: is the file whole?"
            )
        return part

    return da.map_blocks(piece, chunks=tuple(chunks), dtype=dtype, meta=np.empty((0,) * len(chunks), dtype))


def lazy_planes(
    path: Path,
    read: Callable[[tuple[int, int, int], tuple[slice, slice]], NDArray[Any]],
    shape: Sequence[int],
    dtype: np.dtype[Any],
    samples: int = 1,
) -> Any:
    """Dask array (t, c, z, y, x) of a file that holds plane by plane, or plane by plane of several samples.

    Parameters
    ----------
    path
        The file.
    read
        Rows and columns of the plane (t, c, z), as (sample, y, x).
    shape
        (t, c, z, y, x), where each c is of so many samples.
    dtype
        Of the pixels.
    samples
        Colours of a plane, which become channels.
    """
    t, c, z, *plane = shape
    large = int(np.prod(plane, dtype=object)) * samples * dtype.itemsize > PLANE_BYTES
    rows, columns = (
        pieces(n, 1, least) if large else (n,)
        for n, least in zip(plane, (PIECE_ROWS, PIECE_COLUMNS), strict=True)
    )

    def part(where: tuple[slice, ...]) -> NDArray[Any]:
        at = (where[0].start, where[1].start // samples, where[2].start)
        return read(at, (where[3], where[4]))[None, :, None]

    return lazy_array(path, part, ((1,) * t, (samples,) * c, (1,) * z, rows, columns), dtype)


def lazy_frames(
    path: Path,
    read: Callable[[int, int], tuple[NDArray[Any], Sequence[str]]],
    sizes: Mapping[str, int],
    dtype: np.dtype[Any],
) -> Any:
    """Dask array (t, c, z, y, x) of a file that holds the channels of a plane together.

    Parameters
    ----------
    path
        The file.
    read
        The plane (t, z) with all its channels and colours, and its axes, some of C, S, Y and X.
    sizes
        Of the axes T, Z, C, S, Y and X, as far as the file has them; colours (S) become channels.
    dtype
        Of the pixels.
    """
    n_channels = sizes.get("C", 1) * sizes.get("S", 1)

    def part(where: tuple[slice, ...]) -> NDArray[Any]:
        frame, axes = read(where[0].start, where[2].start)
        frame = frame.transpose([list(axes).index(axis) for axis in "CSYX" if axis in axes])
        return frame.reshape(1, -1, 1, *frame.shape[-2:])  # (c, s, y, x) to (1, c s, 1, y, x)

    chunks = ((1,) * sizes.get("T", 1), (n_channels,), (1,) * sizes.get("Z", 1), (sizes["Y"],), (sizes["X"],))
    return lazy_array(path, part, chunks, dtype)


def pieces(n: int, stored: int, least: int) -> tuple[int, ...]:
    """Sizes of the pieces of n rows that are stored in chunks of so many, each of some chunks and rows."""
    size = min(n, stored * max(1, -(-least // stored)))
    whole, rest = divmod(n, size)
    return (size,) * whole + ((rest,) if rest else ())
