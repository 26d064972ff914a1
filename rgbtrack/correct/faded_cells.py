"""How fast light fades, from measured cells: over depth, or from frame to frame."""

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from rgbtrack.correct.alike import Floats, Ints, LogCells, fit_rates
from rgbtrack.correct.fading import Fading, judge_rates, no_rates
from rgbtrack.errors import DataError
from rgbtrack.tables import CELLS, errors_of, markers_of

MIN_CELLS = 30
MAX_CELLS = 700
"""Pairs grow with the square: of more cells so many are drawn, always the same."""
SEEN = 4.0
"""Signal-to-noise ratio above which a cell has a logarithm worth using."""
_BLOCKS = 8  # blocks along y and x whose cells may err together: clones keep together
_DARK = 20.0  # attenuation lengths over the stack that no light survives


def estimate_attenuation(cells: pd.DataFrame) -> Fading:
    """Estimate how fast each detector's light fades with depth, from the cells of one z-stack.

    Cells of one clone have one colour at any depth. The rates are those that make cells look alike again
    (see `rgbtrack.correct.alike`); cell density, clone sizes and brightness do not enter. Depth is ``z_um``,
    growing away from the lens; the other way round the rates come out negative.

    Parameters
    ----------
    cells
        Measured, not corrected for depth: ``z_um`` and for each marker ``<marker>_raw`` (detector counts,
        background-free) and ``<marker>_se``; ``y_um, x_um`` where known; flagged ``saturated`` and
        ``doublet`` are left out.

    Returns
    -------
    attenuation
        Rates per um by detector. A rate is undone only where it, or its difference to the others, is over
        three standard errors from zero.

    Raises
    ------
    DataError
        If columns are missing, or several images are in the table.

    Notes
    -----
    Bleed-through fades with the detector it is seen in, so detectors, not markers, are fitted. The common
    rate rests on brightness, the differences on colour, which is two to three times as sure. A clone that
    keeps to one depth and shades into another there can mislead it; pool several images.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.uniform(0, 60, 200)
    >>> light = 1000 * np.exp(rng.normal(0, 0.3, 200))
    >>> cells = pd.DataFrame({"z_um": z, "red": light, "red_se": 9.0, "blue": light, "blue_se": 9.0})
    >>> cells = cells.assign(red_raw=light * np.exp(-z / 100), blue_raw=light * np.exp(-z / 50))
    >>> found = estimate_attenuation(cells)
    >>> float((found.rate[1] - found.rate[0]).round(3))
    0.01
    """
    markers = markers_of(cells)
    return _estimate(cells, "z_um", [f"{name}_raw" for name in markers], markers, "um")


def estimate_bleaching(cells: pd.DataFrame) -> Fading:
    """Estimate how fast each marker bleaches, from the cells of one time series.

    As `estimate_attenuation`, over ``frame`` instead of depth; cells may divide, enter and leave, and need no
    tracks. It is the marker that bleaches, wherever its light leaks, so unmixed intensities are fitted. Use
    it on frames of one session, never on timepoints days apart: what changes there is biology.

    Parameters
    ----------
    cells
        ``frame`` and for each marker ``<marker>``, ``<marker>_se``; ``y_um, x_um`` where known.

    Returns
    -------
    bleaching
        Rates per frame by marker: the light left in frame t is ``exp(-rate * t)``.

    Raises
    ------
    DataError
        If columns are missing, or several images are in the table.
    """
    markers = markers_of(cells)
    return _estimate(cells, "frame", list(markers), markers, "frame")


def _estimate(
    cells: pd.DataFrame, position: str, columns: list[str], channels: tuple[str, ...], unit: str
) -> Fading:
    errors = [f"{name}_se" for name in channels]
    CELLS.check(cells, need=[position, *columns, *errors])
    if not channels:
        raise DataError(
            f"no marker with a standard error (red beside red_se) among the columns "
            f"{', '.join(map(str, cells.columns)) or 'of an empty table'}"
        )
    n_images = len(cells["image_id"].unique()) if "image_id" in cells.columns else 1
    if n_images > 1:
        raise DataError(f"the table holds {n_images} images: estimate each on its own, then pool_fadings")
    x = cells[columns].to_numpy(float, na_value=np.nan)
    se = errors_of(cells, channels)
    z = cells[position].to_numpy(float, na_value=np.nan)
    use = np.isfinite(x).all(1) & np.isfinite(se).all(1) & (se > 0).all(1) & np.isfinite(z)
    for flag in ("saturated", "doublet"):
        if flag in cells.columns:
            use &= ~cells[flag].fillna(value=False).to_numpy(bool)
    cluster = _clusters(cells[use], position)
    rows = _draw(cluster if position == "frame" else np.arange(use.sum()))
    cluster = np.unique(cluster[rows], return_inverse=True)[1]
    x, se, z = x[use][rows], se[use][rows], z[use][rows]
    span = float(np.ptp(z)) if len(z) else 0.0
    marked = (x > SEEN * se).any(1)
    if len(np.unique(z)) < 3 or not span > 0:
        return no_rates(channels, unit, len(rows), span, "cells at fewer than three depths or frames")
    if marked.sum() < MIN_CELLS:
        return no_rates(
            channels, unit, len(rows), span, f"{marked.sum()} cells above noise, {MIN_CELLS} are needed"
        )
    seen = np.flatnonzero((x > SEEN * se).sum(0) >= MIN_CELLS // 3)  # channels that tell something
    middle = z - np.median(z[marked])
    rate = np.zeros(len(seen))
    for _ in range(3):
        rate, found = fit_rates(_log_cells(x[:, seen], se[:, seen], middle, rate, cluster), rate)
        if not np.isfinite(found).all() or np.abs(rate).max() * span > _DARK:
            return no_rates(channels, unit, len(rows), span, "too few cells alike at different depths")
    estimate = np.full(len(channels), np.nan)
    covariance = np.full((len(channels), len(channels)), np.nan)
    estimate[seen], covariance[np.ix_(seen, seen)] = rate, found
    return judge_rates(channels, unit, estimate, covariance, len(rows), span)


def _draw(unit: Ints) -> Ints:
    """Rows of whole units, drawn until there are `MAX_CELLS` of them, in their order."""
    if len(unit) <= MAX_CELLS:
        return np.arange(len(unit))
    order = np.random.default_rng(0).permutation(unit.max() + 1)
    size = np.bincount(unit)[order]
    return np.flatnonzero(np.isin(unit, order[np.cumsum(size) <= MAX_CELLS]))


def _log_cells(x: Floats, se: Floats, z: Floats, rate: Floats, cluster: Ints) -> LogCells:
    """Cells in log-intensity; which are seen is asked of the corrected value, so alike at any depth."""
    undone = x * np.exp(rate * z[:, None])
    dim = x < SEEN * se
    floor = [np.quantile(undone[dim[:, j], j], 0.98) if dim[:, j].any() else 0.0 for j in range(x.shape[1])]
    seen = (undone > np.array(floor)) & (x > se)
    safe = np.where(seen, x, 1.0)
    return LogCells(np.log(safe), np.where(seen, (se / safe) ** 2, 1.0), seen, z, cluster)


def _clusters(cells: pd.DataFrame, position: str) -> Ints:
    """Cells that err together: those of a track, or of a block of the field; else each cell alone."""
    if not {"y_um", "x_um"} <= set(cells.columns):
        return np.arange(len(cells))
    if position == "frame":
        return _followed(cells)
    code = np.zeros(len(cells), np.int64)
    for name in ("y_um", "x_um"):
        place = cells[name].to_numpy(float)
        ranks = np.argsort(np.argsort(place, kind="stable"), kind="stable")
        code = code * _BLOCKS + ranks * _BLOCKS // len(place)
    return np.asarray(np.unique(code, return_inverse=True)[1], np.int64)


def _followed(cells: pd.DataFrame) -> Ints:
    """Give a cell one number from frame to frame: the nearest to each other, then what is left, by distance.

    Good enough to know which errors hang together.
    """
    place = cells[["y_um", "x_um"]].to_numpy(float)
    frame = cells["frame"].to_numpy()
    number = np.arange(len(cells))
    frames = [np.flatnonzero(frame == t) for t in np.unique(frame)]
    for before, after in pairwise(frames):
        there = cKDTree(place[after]).query(place[before])[1]
        back = cKDTree(place[before]).query(place[after])[1]
        mutual = there[back] == np.arange(len(after))
        number[after[mutual]] = number[before[back[mutual]]]
        lost, new = np.delete(before, back[mutual]), after[~mutual]
        one, other = linear_sum_assignment(cdist(place[lost], place[new]))
        number[new[other]] = number[lost[one]]
    return np.asarray(np.unique(number, return_inverse=True)[1], np.int64)
