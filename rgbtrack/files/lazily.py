"""Arrays of files that are read piece by piece, when they are asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files.messages import short

PIECE_ROWS, PIECE_COLUMNS = 512, 2048
"""What is read at once of planes larger than memory, at least."""


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


def pieces(n: int, stored: int, least: int) -> tuple[int, ...]:
    """Sizes of the pieces of n rows that are stored in chunks of so many, each of some chunks and rows."""
    size = min(n, stored * max(1, -(-least // stored)))
    whole, rest = divmod(n, size)
    return (size,) * whole + ((rest,) if rest else ())
