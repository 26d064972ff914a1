"""Light that fades with depth or from frame to frame: how fast, how sure that is, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from rgbtrack.correct.alike import Floats, Ints, LogCells, fit_rates
from rgbtrack.errors import DataError, ParamError
from rgbtrack.tables import CELLS, markers_of

MIN_CELLS = 30
MAX_CELLS = 400
"""Pairs grow with the square: of more cells so many are drawn, always the same."""
SURE = 3.0
"""Standard errors from zero at which a rate, or a difference of rates, counts as fading."""
WORTH = 2**0.5
"""Once something fades: standard errors above which undoing a part costs less than leaving it (Akaike)."""
SEEN = 4.0
"""Signal-to-noise ratio above which a cell has a logarithm worth using."""
_BLOCKS = 8  # blocks along y and x whose cells may err together: clones keep together


@dataclass(frozen=True, eq=False)
class Fading:
    """Rates at which the light of each channel fades as ``exp(-rate * position)``.

    Attributes
    ----------
    channels
        Names, in the order of every array here.
    unit
        "um" of depth or "frame".
    rate
        What to undo, shape (c,); 0 where nothing is evident; negative where light grows.
    estimate, covariance
        Rates before it was asked what is evident, (c,), and their covariance, (c, c); missing where the cells
        tell nothing.
    evident
        Whether the channel is to be corrected, shape (c,).
    n_cells, span
        Cells used, and how far they reach in depth or frames.
    reason
        Why it is on or off, in words.
    """

    channels: tuple[str, ...]
    unit: str
    rate: Floats
    estimate: Floats
    covariance: Floats
    evident: Any
    n_cells: int
    span: float
    reason: str

    @property
    def se(self) -> Floats:
        """Standard errors of `estimate`, shape (c,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def length(self) -> Floats:
        """Depth or number of frames over which light falls to 1/e, shape (c,); infinite without fading."""
        with np.errstate(divide="ignore"):
            return np.where(self.rate == 0, np.inf, 1 / np.where(self.rate == 0, 1, self.rate))


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


def given_attenuation(lengths_um: dict[str, float]) -> Fading:
    """Rates from attenuation lengths that the settings give, um by marker; infinite for none.

    Raises
    ------
    ParamError
        If a length is not positive.

    Examples
    --------
    >>> float(given_attenuation({"red": 110.0, "blue": 50.0}).rate[1])
    0.02
    """
    wrong = [f"{name} {length}" for name, length in lengths_um.items() if not length > 0]
    if wrong:
        raise ParamError(
            f"attenuation lengths must be positive, found {', '.join(wrong)}: give um, inf for no attenuation"
        )
    rate = np.array([1 / length for length in lengths_um.values()])
    none = np.zeros((len(rate), len(rate)))
    return Fading(tuple(lengths_um), "um", rate, rate, none, rate > 0, 0, np.nan, "given in the settings")


def pool_fadings(parts: Sequence[Fading]) -> Fading:
    """Pool the rates of images that share tissue and optics, weighted by their precision.

    Parameters
    ----------
    parts
        Estimates of single images, of the same channels and unit.

    Returns
    -------
    pooled
        Where images differ by more than their errors, the errors are widened (Birge's ratio).

    Raises
    ------
    DataError
        If there are none, or channels or units differ.
    """
    if not parts:
        raise DataError("no image to pool: give at least one estimate")
    kinds = {(part.channels, part.unit) for part in parts}
    if len(kinds) > 1:
        told = "; ".join(sorted(f"{', '.join(names)} per {unit}" for names, unit in kinds))
        raise DataError(f"estimates to pool differ in channels or unit ({told}): pool like with like")
    known = [part for part in parts if np.isfinite(part.covariance).all()]
    span = max((part.span for part in parts), default=0.0)
    channels, unit = parts[0].channels, parts[0].unit
    n_cells = sum(part.n_cells for part in parts)
    if not known:
        return _nothing(channels, unit, n_cells, span, f"{len(parts)} images: {parts[0].reason}")
    precision = [np.linalg.pinv(part.covariance) for part in known]
    covariance = np.linalg.pinv(np.sum(precision, axis=0))
    rate = covariance @ np.sum([p @ part.estimate for p, part in zip(precision, known, strict=True)], axis=0)
    free = (len(known) - 1) * len(channels)
    apart = sum(
        (part.estimate - rate) @ p @ (part.estimate - rate) for p, part in zip(precision, known, strict=True)
    )
    if free:
        covariance = covariance * max(1.0, apart / free)
    return _judge(channels, unit, rate, covariance, n_cells, span)


def fade(position: Any, rate: Any) -> Floats:
    """Share of the light that is left, shape (c, n), of each channel at each depth (um) or frame.

    A stack is corrected by dividing each plane by it, and the variance by its square.

    >>> fade([0.0, 50.0], [0.02, 0.0])
    array([[1. , 0.36787944], [1. , 1. ]])
    """
    return np.asarray(np.exp(-np.outer(np.asarray(rate, float), np.asarray(position, float))))


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
    se = cells[errors].to_numpy(float, na_value=np.nan)
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
        return _nothing(channels, unit, len(rows), span, "cells at fewer than three depths or frames")
    if marked.sum() < MIN_CELLS:
        return _nothing(
            channels, unit, len(rows), span, f"{marked.sum()} cells above noise, {MIN_CELLS} are needed"
        )
    middle = z - np.median(z[marked])
    rate = np.zeros(len(channels))
    for _ in range(3):
        rate, covariance = fit_rates(_log_cells(x, se, middle, rate, cluster), rate)
        if np.abs(rate).max() * span > 20:  # beyond what any light survives
            covariance = np.full(covariance.shape, np.inf)
        if not np.isfinite(covariance).all():
            return _nothing(channels, unit, len(rows), span, "too few cells alike at different depths")
    return _judge(channels, unit, rate, covariance, len(rows), span)


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
    """Give cells that are each other's nearest in frames that follow each other one number.

    Good enough to know which errors hang together: a cell that is lost starts anew.
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
    return np.asarray(np.unique(number, return_inverse=True)[1], np.int64)


def _judge(
    channels: tuple[str, ...], unit: str, estimate: Floats, covariance: Floats, n_cells: int, span: float
) -> Fading:
    """Keep what is evident: the common rate and the differences are judged apart, each in its own error."""
    size, axes = np.linalg.eigh(covariance)
    along = axes.T @ estimate
    off = np.abs(along) / np.sqrt(np.maximum(size, 1e-300))
    sure = (off > WORTH) & (off.max() > SURE)
    rate = axes @ np.where(sure, along, 0)
    common = np.abs(axes.sum(0)).argmax()
    if sure.any() and not sure[common]:
        rate = rate - rate.min()  # how much all fade together is not known: the least fading does not
    evident = (np.abs(rate) * span > 1e-6) & sure.any()
    rate = np.where(evident, rate, 0.0)
    if not sure.any():
        told = np.abs(estimate) * span
        reason = (
            f"no fading beyond {SURE:g} standard errors (up to {100 * (1 - np.exp(-told.max())):.0f} % fits)"
        )
    elif not sure[common]:
        reason = "channels fade differently; how much all fade together is not known and left"
    else:
        where = {"um": "over the depth of the stack", "frame": "over the series"}.get(unit, "in the corners")
        left = np.exp(-rate * span)
        listed = ", ".join(f"{name} {100 * part:.0f} %" for name, part in zip(channels, left, strict=True))
        reason = f"light left {where}: {listed}"
        if (rate < 0).all() and unit == "um":
            reason += "; light grows with z: the stack may run towards the lens"
    return Fading(channels, unit, rate, estimate, covariance, evident, n_cells, span, reason)


def _nothing(channels: tuple[str, ...], unit: str, n_cells: int, span: float, reason: str) -> Fading:
    c = len(channels)
    unknown = np.full(c, np.nan)
    return Fading(
        channels,
        unit,
        np.zeros(c),
        unknown,
        np.full((c, c), np.nan),
        np.zeros(c, bool),
        n_cells,
        span,
        reason,
    )
