"""A z-stack as one plane, read piece by piece."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["max", "mean"]
METHODS: tuple[Method, ...] = ("max", "mean")
DETECTOR_LIMITS = (255, 1023, 4095, 16383, 65535)


@dataclass(frozen=True)
class Projection:
    """How the planes of a z-stack were made one."""

    method: Method
    n_planes: int


def detector_limit(dtype: np.dtype[Any], top: float, repeats: int) -> float:
    """Counts of a full detector: a power of two less one, or a maximum that repeats; infinite for none.

    Parameters
    ----------
    dtype
        Of the counts as read: floats have no limit.
    top
        The largest of them.
    repeats
        How often it occurs.
    """
    if not np.issubdtype(dtype, np.integer) or top <= 0:
        return np.inf
    return top if repeats >= 25 or (top in DETECTOR_LIMITS and repeats >= 2) else np.inf


def project_planes(pixels: Any, method: Method) -> tuple[Any, Any]:
    """Make one plane of all planes of each frame and channel.

    Parameters
    ----------
    pixels
        Counts as read, shape (t, c, z, y, x); may be lazy (a dask array).
    method
        The largest of the planes, of the type of `pixels`; or their mean, float32.

    Returns
    -------
    projected, saturated
        Shape (t, c, 1, y, x), lazy if `pixels` are; True where the detector was at its limit in any plane.
        A lazy array is worked out frame by frame, a piece of the file in memory at a time; ask for both in
        one `dask.compute` to have the file read once.
    """
    dtype = np.dtype(np.float32) if method == "mean" else pixels.dtype
    if isinstance(pixels, np.ndarray):
        projected = np.empty((*pixels.shape[:2], 1, *pixels.shape[3:]), dtype)
        saturated = np.empty(projected.shape, bool)
        for t, c in np.ndindex(pixels.shape[:2]):
            part = slice(t, t + 1), slice(c, c + 1)
            projected[part], saturated[part] = _project([pixels[part]], method, dtype)
        return projected, saturated
    import dask.array as da

    whole = pixels.rechunk({3: -1, 4: -1})
    both = np.dtype([("projected", dtype), ("saturated", bool)])

    def make(block_info: Any = None) -> NDArray[Any]:
        t, c = block_info[None]["chunk-location"][:2]
        made = np.empty(block_info[None]["chunk-shape"], both)
        made["projected"], made["saturated"] = _project(_blocks(whole, t, c), method, dtype)
        return made

    # a block makes one array: both travel in it, as fields
    chunks = (*whole.chunks[:2], (1,), *whole.chunks[3:])
    made = da.map_blocks(make, chunks=chunks, dtype=both, meta=np.empty((0,) * 5, both))
    return made["projected"], made["saturated"]


def _blocks(pixels: Any, t: int, c: int) -> Iterator[NDArray[Any]]:
    """Blocks along z of a lazy array, one in memory at a time."""
    for z in range(pixels.numblocks[2]):
        yield pixels.blocks[t, c, z].compute(scheduler="synchronous")


def _project(blocks: Any, method: Method, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """One plane (t, c, 1, y, x) of consecutive blocks (t, c, z, y, x), and where it is saturated."""
    first = next(blocks := iter(blocks))
    shape = (*first.shape[:2], 1, *first.shape[3:])
    total = np.zeros(shape, np.float64 if method == "mean" else dtype)
    full = np.zeros(shape, bool)
    top, repeats = np.full(shape[:2], -np.inf), np.zeros(shape[:2], int)
    n_planes = 0
    for block in itertools.chain([first], blocks):
        for z in range(block.shape[2]):
            plane = block[:, :, z : z + 1]
            if method == "mean":
                total += plane
            elif n_planes:
                np.maximum(total, plane, out=total)
            else:
                total[...] = plane
            n_planes += 1
            if np.issubdtype(first.dtype, np.integer):
                _count_tops(plane, top, repeats, full)
    if method == "mean":
        total /= n_planes
    for t, c in np.ndindex(top.shape):
        if np.isinf(detector_limit(first.dtype, float(top[t, c]), int(repeats[t, c]))):
            full[t, c] = False
    return total.astype(dtype, copy=False), full


def _count_tops(
    plane: NDArray[Any], top: NDArray[Any], repeats: NDArray[Any], full: NDArray[np.bool_]
) -> None:
    """Keep the largest count of each frame and channel so far, how often and where it occurred."""
    for t, c in np.ndindex(top.shape):
        high = plane[t, c].max()
        if high < top[t, c]:
            continue
        here = plane[t, c] == high
        if high > top[t, c]:
            top[t, c], repeats[t, c], full[t, c] = high, 0, False
        repeats[t, c] += np.count_nonzero(here)
        full[t, c] |= here
