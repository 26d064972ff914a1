"""Cells by their place: what a correction remembers of them, and how they are found again."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rgbtrack.errors import DataError
from rgbtrack.review.corrections import Place, Places
from rgbtrack.tables import CELLS, markers_of

Ints = NDArray[np.int64]
Key = tuple[str, int, int]
"""Image, frame and cell."""

_FAR = 1e12  # um; beyond it, distances can no longer be squared
CENTROID = ["z_um", "y_um", "x_um"]
ANCHORS = 25
"""Cells that stand for a clone."""
AGREE = 2 / 3
"""Share of the anchors found that must lie in one clone for it to be taken for the clone that was meant."""
FOUND = 1 / 2
"""Share of the anchors that must be found at all."""


def locate(cells: pd.DataFrame, places: Iterable[Place]) -> dict[Place, int]:
    """Find cells again: the row of the nearest centroid in the same image and frame.

    Returns
    -------
    rows
        Position in `cells` of each place; a place without a centroid within its radius is left out. Of two
        centroids as near, the cell of the same number is taken.
    """
    wanted: dict[tuple[str, int], list[Place]] = {}
    for place in dict.fromkeys(places):
        wanted.setdefault((place.image_id, place.frame), []).append(place)
    rows: dict[Place, int] = {}
    if not wanted or cells.empty:
        return rows
    CELLS.check(cells, need=["image_id", "frame", "cell", *CENTROID])
    cell, centroid = (cells[c].to_numpy(float, na_value=np.nan) for c in ("cell", CENTROID))
    placed = np.flatnonzero((np.abs(centroid) <= _FAR).all(axis=1))
    rows_in = _rows_by_frame(cells, placed, {image_id for image_id, _ in wanted})
    for key, meant in wanted.items():
        found = rows_in.get(key)
        if found is None:
            continue
        points = np.array([[place.z_um, place.y_um, place.x_um] for place in meant]).clip(-_FAR, _FAR)
        nearest = cKDTree(centroid[found]).query(points, k=min(2, len(found)))[1]
        near = found[nearest.reshape(len(meant), -1)]
        far = np.linalg.norm(centroid[near] - points[:, None], axis=2).round(6)
        other = cell[near] != np.array([place.cell for place in meant])[:, None]
        best = np.lexsort((near, other, far))[:, :1]
        reached = np.take_along_axis(far, best, 1)[:, 0] <= [place.radius_um for place in meant]
        chosen = np.take_along_axis(near, best, 1)[:, 0]
        rows |= {place: int(row) for place, row, ok in zip(meant, chosen, reached, strict=True) if ok}
    return rows


def _rows_by_frame(cells: pd.DataFrame, rows: Ints, images: set[str]) -> dict[tuple[str, int], Ints]:
    """Some rows, by image and frame, of these images only."""
    which, names = pd.factorize(cells["image_id"])
    wanted = np.array([str(name) in images for name in [*names, None]])  # the last: no image
    rows = rows[wanted[which[rows]]]
    frame = cells["frame"].to_numpy(np.int64)[rows]
    order = np.lexsort((frame, which[rows]))
    rows, frame = rows[order], frame[order]
    begins = np.flatnonzero((np.diff(which[rows], prepend=-2) != 0) | (np.diff(frame, prepend=-1) != 0))
    parts = np.split(rows, begins[1:])
    return {(str(names[which[part[0]]]), int(frame[k])): part for part, k in zip(parts, begins, strict=False)}


def rows_of(cells: pd.DataFrame, keys: Sequence[Key]) -> Ints:
    """Return the positions of cells that are named by image, frame and number.

    Raises
    ------
    DataError
        All names that no cell has, at once.
    """
    CELLS.check(cells, need=["image_id"])
    here = np.flatnonzero(cells["image_id"].astype("str").isin({image_id for image_id, _, _ in keys}))
    key = [name for name in CELLS.key if name in cells]
    names = CELLS.check(cells[key].iloc[here], need=CELLS.key)
    index = pd.MultiIndex.from_arrays([names["image_id"].astype("str"), names["frame"], names["cell"]])
    found = index.get_indexer(pd.MultiIndex.from_tuples(list(keys)) if keys else index[:0])
    rows = np.append(here, -1)[found]
    missing = [":".join(map(str, key)) for key, row in zip(keys, rows, strict=True) if row < 0]
    if missing:
        raise DataError(
            f"the table has no cell {', '.join(missing)} (image:frame:cell): cells.parquet names them all"
        )
    return np.asarray(rows, dtype=np.int64)


def places_of(cells: pd.DataFrame, rows: NDArray[Any]) -> Places:
    """Return what to remember of the cells at some positions of a table.

    Raises
    ------
    DataError
        If the table does not tell how large they are.
    """
    needed = [*CELLS.key, *CENTROID]
    here = cells[[name for name in (*needed, "area_um2", "volume_um3") if name in cells]].iloc[rows]
    CELLS.check(here, need=needed)
    area, volume = _numbers(here, "area_um2"), _numbers(here, "volume_um3")
    radius = np.where(np.isnan(area), np.cbrt(volume * 0.75 / np.pi), np.sqrt(area / np.pi))
    if not (radius > 0).all():
        raise DataError(
            "cells without area_um2 and volume_um3: how large a cell is tells how far it may be found again"
        )
    values = zip(
        here["image_id"], here["frame"], here["cell"], *(here[c] for c in CENTROID), radius, strict=True
    )
    return tuple(
        Place(
            image_id=str(image_id),
            frame=int(frame),
            cell=int(cell),
            z_um=round(float(z), 3),
            y_um=round(float(y), 3),
            x_um=round(float(x), 3),
            radius_um=float(f"{r:.4g}"),
        )
        for image_id, frame, cell, z, y, x, r in values
    )


def anchors_of(
    cells: pd.DataFrame, clone: int, *, without: Ints | None = None, most: int = ANCHORS
) -> Places:
    """Choose the cells that stand for a clone: of its surer half the most typical.

    Parameters
    ----------
    cells
        Called cells.
    clone
        Number of the clone in them.
    without
        Positions of cells that are not taken.
    most
        Cells chosen at most.

    Returns
    -------
    anchors
        Cells whose probability is at least the clone's median, those first whose shares of the markers lie
        nearest to the clone's median shares.
    """
    members = np.flatnonzero(cells["clone"].to_numpy(float, na_value=np.nan) == clone)
    members = np.setdiff1d(members, [] if without is None else without)
    markers = list(markers_of(cells))
    here = cells[[*markers, *(name for name in ("clone_probability",) if name in cells)]].iloc[members]
    light = np.maximum(np.nan_to_num(here[markers].to_numpy(float, na_value=np.nan)), 0)
    shares = light / np.maximum(light.sum(axis=1, keepdims=True), 1e-12)
    odd = np.abs(shares - np.median(shares, axis=0)).sum(axis=1) if len(here) else np.zeros(0)
    probability = _numbers(here, "clone_probability")
    known = probability[np.isfinite(probability)]
    unsure = ~(probability >= np.median(known)) if len(known) else np.zeros(len(here), dtype=bool)
    return places_of(cells, members[np.lexsort((members, odd.round(9), unsure))[:most]])


def _numbers(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """One column; missing where the table lacks it."""
    if name not in table.columns:
        return np.full(len(table), np.nan)
    return table[name].to_numpy(float, na_value=np.nan)
