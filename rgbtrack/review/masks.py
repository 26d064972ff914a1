"""Pixels of cells in label images: found, kept as runs, and told apart before and after a change."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.review.corrections import Mask

MOST = 0.5
"""A cell that lies by more than this share where others were is split off them; or merged with them."""
Labels = NDArray[Any]
Box = tuple[slice, ...]
Pixels = NDArray[np.int64]
"""Planes, rows and columns, shape (3, n), in the order of the image."""


def pixels_of(labels: Labels, numbers: Sequence[int]) -> dict[int, Pixels]:
    """Pixels of some cells; those that are not there are left out."""
    at = np.flatnonzero(_are_of(labels, numbers))
    number = labels.ravel()[at]
    order = np.argsort(number, kind="stable")
    found, first = np.unique(number[order], return_index=True)
    parts = np.split(np.stack(np.unravel_index(at[order], labels.shape)), first[1:], axis=1)
    return {int(n): part for n, part in zip(found, parts, strict=False)}


def _are_of(labels: Labels, numbers: Sequence[int]) -> NDArray[np.bool_]:
    """Whether each pixel is of one of some cells."""
    top = int(labels.max(initial=0))
    if top > labels.size:  # a table would outgrow the image
        return np.isin(labels, numbers)
    such = np.zeros(top + 1, bool)
    such[[number for number in numbers if number <= top]] = True
    return such[labels]


def boxes_of(labels: Labels) -> dict[int, Box]:
    """Where each cell lies."""
    if labels.max(initial=0) <= labels.size:
        return {k + 1: box for k, box in enumerate(ndi.find_objects(labels)) if box is not None}
    numbers, index = np.unique(labels, return_inverse=True)
    boxes = ndi.find_objects(index.reshape(labels.shape) + 1)
    return {int(n): box for n, box in zip(numbers, boxes, strict=True) if n}


def encode(pixels: Pixels) -> Mask:
    """Pixels as runs in their box."""
    origin = pixels.min(axis=1)
    shape = pixels.max(axis=1) - origin + 1
    at = np.ravel_multi_index(tuple(pixels - origin[:, None]), tuple(shape))
    gap = np.flatnonzero(np.diff(at) > 1)
    starts, stops = at[np.append(0, gap + 1)], at[np.append(gap, -1)] + 1
    edges = np.stack([starts, stops], axis=1).ravel()
    runs = np.diff(np.concatenate([[0], edges, [shape.prod()]]))
    runs = runs if runs[-1] else runs[:-1]
    return Mask(origin=_three(origin), shape=_three(shape), runs=tuple(int(n) for n in runs))


def decode(mask: Mask, within: tuple[int, ...]) -> tuple[Box, NDArray[np.bool_]]:
    """Box in an image of some shape, and the pixels in it; what lies outside of the image is left out."""
    if any(n > most for n, most in zip(mask.shape, within, strict=True)):  # of another image
        return (slice(0, 0),) * 3, np.zeros((0, 0, 0), bool)
    inside = np.zeros(int(np.prod(mask.shape)), bool)
    ends = np.cumsum(np.asarray(mask.runs, np.int64)).clip(0, inside.size)
    for start, stop in zip(ends[:-1:2], ends[1::2], strict=False):
        inside[start:stop] = True
    stops = [min(o + n, most) for o, n, most in zip(mask.origin, mask.shape, within, strict=True)]
    box = tuple(slice(max(o, 0), max(stop, 0)) for o, stop in zip(mask.origin, stops, strict=True))
    kept = tuple(slice(s.start - o, s.stop - o) for s, o in zip(box, mask.origin, strict=True))
    return box, inside.reshape(mask.shape)[kept]


def say_changes(before: Labels, after: Labels, was: Mapping[int, Pixels], now: Mapping[int, Pixels]) -> str:
    """What became of cells, in words.

    Parameters
    ----------
    before, after
        Labels, shape (z, y, x).
    was, now
        Pixels of the cells that differ, before and after.
    """
    new, gone = now.keys() - was.keys(), was.keys() - now.keys()
    split = sum(_lies_in(before, now[number], list(was)) for number in new)
    merged = sum(_lies_in(after, was[number], list(now)) for number in gone)
    pieces = sum(_pieces(pixels) > 1 for pixels in now.values())
    told = (
        (len(now) - len(new), "changed"),
        (len(new) - split, "new"),
        (split, "split off"),
        (merged, "merged into another"),
        (len(gone) - merged, "erased"),
        (pieces, "in several pieces"),
    )
    return ", ".join(f"{n} {what}" for n, what in told if n)


def _lies_in(labels: Labels, pixels: Pixels, numbers: Sequence[int]) -> bool:
    return bool(np.isin(labels[tuple(pixels)], numbers).mean() > MOST)


def _pieces(pixels: Pixels) -> int:
    """Pieces of a cell; those that touch at a corner are one."""
    origin = pixels.min(axis=1)
    image = np.zeros(pixels.max(axis=1) - origin + 1, bool)
    image[tuple(pixels - origin[:, None])] = True
    return int(ndi.label(image, np.ones((3, 3, 3)))[1])


def _three(values: NDArray[np.int64]) -> tuple[int, int, int]:
    z, y, x = (int(value) for value in values)
    return z, y, x
