"""One movie: the detections of a table as arrays, in an order that does not depend on that of its rows."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.link.params import LinkParams
from rgbtrack.tables import CELLS, markers_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

USUAL = ("red", "green", "blue")
ENOUGH = 40  # frames that tell the spacing
UNKNOWN = 1e6
"""Variance of a feature that was not measured."""


@dataclass(frozen=True, eq=False)
class Movie:
    """Detections of one movie, by frame and place.

    Attributes
    ----------
    rows
        Where each stands in the table, shape (n,).
    frame
        Number of its frame among those that hold cells, shape (n,).
    start
        First detection of each such frame, and n, shape (frames + 1,).
    time
        Of each such frame; the usual interval is 1, shape (frames,).
    place
        In um, shape (n, 2 or 3), the stage's drift taken off.
    feature
        Colour and size, ``asinh(x / scale)`` of each marker and ``ln`` of the size, shape (n, m).
    gain
        How a feature follows the logarithm of what it measures: 0 in the dark to 1, shape (n, m).
    noise
        Variance of a feature by the standard error of its marker, shape (n, m).
    edge
        Distance to the edge of the field, by the outermost cells, um, shape (n,).
    spacing
        Typical distance of a cell to the next, um.
    density
        Cells per um² or um³.
    """

    rows: Ints
    frame: Ints
    start: Ints
    time: Floats
    place: Floats
    feature: Floats
    gain: Floats
    noise: Floats
    edge: Floats
    spacing: float
    density: float
    has_size: bool

    @property
    def n_frames(self) -> int:
        """Frames that hold cells."""
        return len(self.time)

    @cached_property
    def measured(self) -> Bools:
        """Whether all features of each detection were measured; of all where of none."""
        known = np.asarray((self.noise < UNKNOWN).all(axis=1))
        return known if known.any() else np.ones(len(known), bool)

    @cached_property
    def usual_noise(self) -> Floats:
        """Median variance of each feature where all were measured, (m,)."""
        return np.asarray(np.median(self.noise[self.measured], axis=0))

    def moved(self, shift: Floats) -> "Movie":
        """Return the movie with a displacement common to all cells of each frame taken off, (frames, d)."""
        return replace(self, place=self.place - shift[self.frame])

    def between(self, first: int, end: int) -> "Movie":
        """Return the movie of the frames from ``first`` to before ``end`` alone."""
        a, b = self.start[first], self.start[end]
        return replace(
            self,
            rows=self.rows[a:b],
            frame=self.frame[a:b] - first,
            start=self.start[first : end + 1] - a,
            time=self.time[first:end],
            **{name: getattr(self, name)[a:b] for name in ("place", "feature", "gain", "noise", "edge")},
        )


def check_cells(cells: pd.DataFrame, params: LinkParams) -> tuple[str, ...]:
    """Return the markers to link by.

    Raises
    ------
    DataError, ParamError
        If the table cannot be linked.
    """
    CELLS.check(cells, need=["image_id", "frame", "cell", "y_um", "x_um"])
    frame = cells["frame"].to_numpy(float, na_value=np.nan)
    if not np.isfinite(frame).all() or (frame != np.round(frame)).any():
        bad = cells["frame"][~np.isfinite(frame) | (frame != np.round(frame))].iloc[0]
        raise DataError(
            f"cells table: column frame should hold whole numbers, found {bad}: number the frames"
        )
    if "track" in cells.columns and cells["track"].notna().any():
        warnings.warn("cells are linked anew: the track column is replaced", RgbtrackWarning, stacklevel=3)
    if not params.colour:
        return ()
    if params.markers is not None:
        missing = [name for name in params.markers if name not in cells.columns]
        if missing:
            raise ParamError(
                f"markers to link by: no column {', '.join(missing)}; "
                f"found {', '.join(map(str, cells.columns))}"
            )
        markers = params.markers
    else:
        markers = markers_of(cells) or tuple(name for name in USUAL if name in cells.columns)
    CELLS.check(cells, need=list(markers))
    return tuple(sorted(name for name in markers if np.isfinite(_numbers(cells, name)).any()))


def read_movie(cells: pd.DataFrame, rows: Ints, markers: tuple[str, ...], params: LinkParams) -> Movie | None:
    """Read the detections of one image; None where none has a place.

    Parameters
    ----------
    cells
        Table of cells.
    rows
        Positions of the image's rows.
    markers
        From `check_cells`.
    params
        How they are linked.
    """
    part: pd.DataFrame = cells.iloc[rows]
    place = np.column_stack([_numbers(part, name) for name in ("z_um", "y_um", "x_um") if name in part])
    placed = np.asarray(np.isfinite(place).all(axis=1))
    if not placed.any():
        return None
    part, rows, place = part.loc[placed], rows[placed], place[placed]
    raw = place if np.ptp(place[:, 0]) > 0 and place.shape[1] == 3 else place[:, -2:]
    place = raw.copy()
    for axis, name in ((-2, "drift_y_um"), (-1, "drift_x_um")):
        if name in part:
            place[:, axis] -= np.nan_to_num(_numbers(part, name))
    feature, gain, noise = _features(part, markers, params)
    number = part["frame"].to_numpy(np.int64)
    order = np.lexsort((place[:, -1], number))
    if ((np.diff(number[order]) == 0) & (np.diff(place[order, -1]) == 0)).any():
        order = np.lexsort((*feature.T, *place.T, number))
    frames, frame = np.unique(number[order], return_inverse=True)
    start = np.append(np.searchsorted(frame, np.arange(len(frames))), len(frame))
    raw, place = raw[order], place[order]
    spacing = _spacing(place, start)
    return Movie(
        rows=rows[order],
        frame=frame.astype(np.int64),
        start=start.astype(np.int64),
        time=_times(part, frames, order[start[:-1]]),
        place=np.ascontiguousarray(place),
        feature=np.ascontiguousarray(feature[order]),
        gain=np.ascontiguousarray(gain[order]),
        noise=np.ascontiguousarray(noise[order]),
        edge=np.minimum(raw - raw.min(axis=0), raw.max(axis=0) - raw).min(axis=1),
        spacing=spacing,
        density=_density(raw, np.diff(start), spacing),
        has_size=params.size and _size(part) is not None,
    )


def _numbers(table: pd.DataFrame, name: str) -> Floats:
    return table[name].to_numpy(float, na_value=np.nan)


def _size(part: pd.DataFrame) -> str | None:
    for name in ("volume_um3", "area_um2"):
        if name in part and (_numbers(part, name) > 0).any():
            return name
    return None


def _features(
    part: pd.DataFrame, markers: tuple[str, ...], params: LinkParams
) -> tuple[Floats, Floats, Floats]:
    """Feature, gain and noise, each (n, m); what is not measured is the median, of unknown variance."""
    columns = []
    for name in markers:
        x = _numbers(part, name)
        known = np.isfinite(x)
        if not known.any():
            continue
        se = _numbers(part, f"{name}_se") if f"{name}_se" in part else np.full(len(x), np.nan)
        bright = float(np.quantile(np.abs(x[known]), 0.9))
        good = np.isfinite(se) & (se > 0)
        if good.any():
            dark = 2 * float(np.quantile(se[good], 0.1))
        else:
            # where a marker is off in many cells, the darkest tell its noise
            dark = min(3 * float(np.quantile(np.abs(x[known]), 0.25)), 0.15 * bright)
        scale = max(0.03 * bright, dark)
        if scale == 0:
            continue
        # without standard errors, the scale stands for them: how much of it is noise is learnt
        se = np.where(good, se, float(np.median(se[good])) if good.any() else scale / 2)
        x = np.where(known, x, np.median(x[known]))
        noise = np.where(known, se**2 / (x**2 + scale**2), UNKNOWN)
        columns.append((np.arcsinh(x / scale), np.maximum(x, 0) / np.hypot(x, scale), noise))
    size = _size(part) if params.size else None
    if size is not None:
        x = _numbers(part, size)
        known = x > 0
        x = np.where(known, x, np.median(x[known]))
        columns.append((np.log(x), np.ones(len(x)), np.where(known, 0.0, UNKNOWN)))
    if not columns:
        empty = np.zeros((len(part), 0))
        return empty, empty, empty
    feature, gain, noise = (np.column_stack(kind) for kind in zip(*columns, strict=True))
    return feature, gain, noise


def _times(part: pd.DataFrame, frames: Ints, first: Ints) -> Floats:
    """Time of each frame in units of the usual interval: by time_h of its first cell where there is one."""
    time = frames.astype(float)
    if "time_h" in part:
        hours = _numbers(part, "time_h")[first]
        if np.isfinite(hours).all():
            if (np.diff(hours) <= 0).any():
                at = int(np.flatnonzero(np.diff(hours) <= 0)[0])
                raise DataError(
                    f"cells table: time_h does not increase from frame {frames[at]} ({hours[at]:g} h) to "
                    f"frame {frames[at + 1]} ({hours[at + 1]:g} h): mend the times or leave the column out"
                )
            time = hours
    return time / float(np.median(np.diff(time))) if len(time) > 1 else time


def _spacing(place: Floats, start: Ints) -> float:
    """Root of the room per cell, by the distance to the nearest: half of it on average in a plane."""
    near = []
    frames = list(pairwise(start))
    for a, b in frames[:: -(-len(frames) // ENOUGH)]:
        if b - a > 1:
            near.append(cKDTree(place[a:b]).query(place[a:b], k=[2])[0][:, 0])
    nearest = float(np.median(np.concatenate(near))) if near else 0.0
    return 1.7 * nearest if nearest > 0 else max(float(np.ptp(place, axis=0).max()), 1.0)


def _density(place: Floats, counts: Ints, spacing: float) -> float:
    box = np.ptp(place, axis=0) + spacing
    return float(counts.mean() / box.prod())
