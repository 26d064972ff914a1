"""Lesions: cells that lie together, or in one ready-made mask."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rgbtrack.dynamics.lesion_params import LesionParams
from rgbtrack.dynamics.linkage import Floats, Ints, linked
from rgbtrack.dynamics.sizes import SAMPLE
from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.tables import CELLS, LESIONS, counted

PLACE = ["z_um", "y_um", "x_um"]
_ROW = "_row"
_SPACINGS = 2.0  # of which the distance of linkage is made
_DIRECTIONS = 24
_SAMPLED = 50_000  # cells that tell the spacing


class Lesions(NamedTuple):
    """Cells with their ``lesion``, and one row per lesion."""

    cells: pd.DataFrame
    lesions: pd.DataFrame


def find_lesions(
    cells: pd.DataFrame,
    params: LesionParams = LesionParams(),  # noqa: B008
    *,
    masks: Mapping[str, NDArray[Any]] | str | None = None,
    pixel_size_um: float | tuple[float, ...] | None = None,
) -> Lesions:
    """Group the cells of each image into lesions or circulating clusters.

    Parameters
    ----------
    cells
        Cells with ``image_id, y_um, x_um``; ``z_um`` and the sheet's columns where there are any.
    params
        Distance, and how many cells make a lesion.
    masks
        None: by distance. The name of a column: its values are the lesions (missing or 0: none). Or
        the lesion labels of each image by `image_id`, shape (y, x) or (z, y, x), 0 outside.
    pixel_size_um
        Of the masks: um per pixel, or one number per axis. Needed for labels.

    Returns
    -------
    cells
        As given, with ``lesion``: numbered in each image from the largest, missing for lone cells.
    lesions
        One row per lesion; see `tables.LESIONS`. ``distance_um`` is the distance that linked it, missing with
        masks.

    Raises
    ------
    DataError
        If columns are missing, or masks do not match their images.
    ParamError
        If masks come without a pixel size.

    Notes
    -----
    By distance this is single linkage: chains of cells, each within the distance of the next, are one lesion.
    One distance holds for all images. Where none is given it is twice the cells' median diameter, or, without
    areas, twice the lower quartile of the distance to the nearest cell. Lesions that touch become one.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "y_um": 0.0, "x_um": [0.0, 9.0, 18.0, 90.0], "frame": 0})
    >>> find_lesions(cells, LesionParams(distance_um=10)).cells["lesion"].tolist()
    [1, 1, 1, <NA>]
    """
    CELLS.check(cells, need=["image_id", "y_um", "x_um"])
    used = counted(_one_frame(cells))
    places = used[[name for name in PLACE if name in used.columns]].to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(places).all(axis=1)
    if not known.all():
        warnings.warn(
            f"{int((~known).sum())} cells have no position: they belong to no lesion",
            RgbtrackWarning,
            stacklevel=2,
        )
        used, places = used[known], places[known]
    distance = np.nan
    image = pd.factorize(used["image_id"], sort=True)[0].astype(np.int64)
    if masks is None:
        distance = params.distance_um or _own_distance(used, places, image)
        group = _by_distance(places, image, distance)
    elif isinstance(masks, str):
        group = _by_column(used, masks)
    else:
        group = _by_masks(used, places, masks, pixel_size_um)
    number = _numbered(image, group, params.min_cells)
    lesion = pd.Series(pd.NA, index=np.arange(len(cells)), dtype="Int64")
    lesion.iloc[used[_ROW].to_numpy()] = number
    told = cells.assign(lesion=lesion.array)
    return Lesions(told, _describe(used.assign(lesion=number.array), distance))


def _one_frame(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells of the first frame of each image, with the number of their row."""
    cells = cells.assign(**{_ROW: np.arange(len(cells))})
    if "frame" not in cells.columns or cells.empty:
        return cells
    frames = cells.groupby("image_id")["frame"]
    several = frames.max() > frames.min()
    if several.any():
        warnings.warn(
            f"{int(several.sum())} images are time series: lesions are found in the first frame of each",
            RgbtrackWarning,
            stacklevel=3,
        )
    return cells[cells["frame"] == frames.transform("min")]


def _own_distance(cells: pd.DataFrame, places: Floats, image: Ints) -> float:
    """Twice the diameter of the cells, or twice the spacing of those that lie close (um)."""
    diameter = np.nan
    if "volume_um3" in cells.columns and cells["volume_um3"].notna().any():
        diameter = float((6 * cells["volume_um3"].astype(float) / np.pi).median() ** (1 / 3))
    elif "area_um2" in cells.columns and cells["area_um2"].notna().any():
        diameter = float((4 * cells["area_um2"].astype(float) / np.pi).median() ** 0.5)
    if diameter > 0:
        return _SPACINGS * diameter
    nearest = []
    for rows in np.split(np.argsort(image, kind="stable"), np.cumsum(np.bincount(image))[:-1]):
        if len(rows) > 1:
            asked = rows[:: -(-len(cells) // _SAMPLED)]
            nearest.append(cKDTree(places[rows]).query(places[asked], k=[2])[0][:, 0])
    apart = np.concatenate(nearest) if nearest else np.zeros(0)
    apart = apart[apart > 0]
    # nothing to link, whatever the distance
    return _SPACINGS * float(np.quantile(apart, 0.25)) if len(apart) else 1.0


def _by_distance(places: Floats, image: Ints, distance: float) -> Ints:
    """Group of each cell, distinct over images."""
    group = np.zeros(len(places), dtype=np.int64)
    if not len(places):
        return group
    first = 0
    order = np.argsort(image, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(image))[:-1]):
        own = places[rows]
        own = own[:, np.ptp(own, axis=0) > 0] if len(own) > 1 else own[:, -2:]
        flat = own if own.shape[1] >= 2 else np.column_stack([own, np.zeros((len(own), 2 - own.shape[1]))])
        group[rows] = first + linked(np.ascontiguousarray(flat), distance)
        first = int(group[rows].max()) + 1
    return group


def _by_column(cells: pd.DataFrame, name: str) -> Ints:
    """Group of each cell from a column; -1 where it names none."""
    if name not in cells.columns:
        raise DataError(
            f"cells table has no column {name!r} for the lesions; found {', '.join(map(str, cells.columns))}"
        )
    inside = (cells[name].notna() & ~cells[name].isin([0, "", "0"])).to_numpy(dtype=bool)
    group = np.full(len(cells), -1, dtype=np.int64)
    group[inside] = cells[inside].groupby(["image_id", name]).ngroup().to_numpy()
    return group


def _by_masks(
    cells: pd.DataFrame,
    places: Floats,
    masks: Mapping[str, NDArray[Any]],
    pixel_size_um: float | tuple[float, ...] | None,
) -> Ints:
    """Group of each cell from the mask that its centre lies in; below 0 where it lies in none."""
    if pixel_size_um is None:
        raise ParamError("masks of lesions need pixel_size_um: give the um per pixel, or one number per axis")
    group = np.full(len(cells), -1, dtype=np.int64)
    first = 0
    problems = []
    for name, rows in cells.groupby("image_id").indices.items():
        if name not in masks:
            problems.append(f"no lesion mask for image {name!r}: give one, or leave out its cells")
            continue
        mask = np.asarray(masks[str(name)])
        d = mask.ndim
        unit = np.broadcast_to(np.asarray(pixel_size_um, dtype=float), (d,)) if d in (2, 3) else np.ones(d)
        if d not in (2, 3) or d > places.shape[1]:
            problems.append(f"lesion mask of image {name!r} has shape {mask.shape}: give (y, x) or (z, y, x)")
            continue
        pixel = np.round(places[rows][:, -d:] / unit).astype(np.int64)
        outside = ((pixel < -1) | (pixel > mask.shape)).any(axis=1)
        if outside.any():
            size = " x ".join(f"{n * u:g}" for n, u in zip(mask.shape, unit, strict=True))
            reach = " x ".join(f"{top:.4g}" for top in places[rows][:, -d:].max(axis=0))
            problems.append(
                f"lesion mask of image {name!r} covers {size} um, but {int(outside.sum())} of its "
                f"{len(rows)} cells lie outside (up to {reach} um): give the image's own mask and pixel size"
            )
            continue
        value = mask[tuple(np.clip(pixel, 0, np.array(mask.shape) - 1).T)].astype(np.int64)
        group[rows] = np.where(value > 0, first + value, -1)
        first += int(mask.max(initial=0)) + 1
    if problems:
        raise DataError("\n".join(problems))
    return group


def _numbered(image: Ints, group: Ints, min_cells: int) -> pd.Series:
    """Number of each cell's lesion in its image, the largest first; missing where it has too few cells."""
    table = pd.DataFrame({"image": image, "group": group})
    inside = table[table["group"] >= 0]
    n = inside.groupby(["image", "group"], sort=True).size().rename("n").reset_index()
    n = n[n["n"] >= min_cells].sort_values(["image", "n"], ascending=[True, False], kind="stable")
    n["number"] = n.groupby("image").cumcount() + 1
    of_group = pd.Series(n["number"].to_numpy(), index=n["group"].to_numpy())
    number: pd.Series = table["group"].map(of_group).astype("Int64")
    return number


def _describe(cells: pd.DataFrame, distance: float) -> pd.DataFrame:
    """One row per lesion."""
    inside = cells[cells["lesion"].notna()].sort_values(["image_id", "lesion"], kind="stable")
    by = inside.groupby(["image_id", "lesion"], sort=True)
    table = by.size().rename("n_cells").reset_index().astype({"lesion": "int64", "n_cells": "int64"})
    for name in SAMPLE:
        if name in inside.columns:
            table[name] = by[name].first().to_numpy()
        elif name == "site":
            table[name] = "primary"
    assigned = inside["clone"].notna() if "clone" in inside.columns else pd.Series(False, index=inside.index)
    table["n_assigned"] = assigned.groupby([inside["image_id"], inside["lesion"]]).sum().to_numpy(dtype=int)
    for name in PLACE:
        if name in inside.columns:
            table[name] = by[name].mean().to_numpy(dtype=float)
    for name in ("area_um2", "volume_um3"):
        if name in inside.columns:
            table[name] = by[name].sum(min_count=1).to_numpy(dtype=float)
    table["extent_um"] = _extent(inside, table["n_cells"].to_numpy())
    table["distance_um"] = distance
    table["touches_border"] = pd.array(
        by["touches_border"].any().to_numpy(dtype=bool)
        if "touches_border" in inside.columns
        else [pd.NA] * len(table),
        dtype="boolean",
    )
    order = ["image_id", "lesion", *[name for name in SAMPLE if name in table], "n_cells", "n_assigned"]
    table = table[order + [name for name in table.columns if name not in order]]
    return LESIONS.check(table, need=["image_id", "lesion", "n_cells"])


def _extent(inside: pd.DataFrame, n_cells: Ints) -> Floats:
    """Largest distance between centres, by the widest of many directions in the plane (within 1 %)."""
    if not len(inside):
        return np.zeros(0)
    start = np.concatenate([[0], np.cumsum(n_cells)[:-1]])
    y, x = (inside[name].to_numpy(dtype=float) for name in ("y_um", "x_um"))
    widest = np.zeros(len(n_cells))
    for angle in np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS:
        along = y * np.sin(angle) + x * np.cos(angle)
        widest = np.maximum(widest, np.maximum.reduceat(along, start) - np.minimum.reduceat(along, start))
    return widest
