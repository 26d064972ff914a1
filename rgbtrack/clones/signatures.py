"""From a table of cells to arrays: colours, covariances, and which cells can be used."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_ndtr

from rgbtrack.clones.ray import Floats, Ints
from rgbtrack.errors import DataError
from rgbtrack.tables import markers_of

_LARGEST, _SMALLEST = 1e20, 1e-20  # what powers of seven markers can hold
_SHARPEST = 0.01  # least eigenvalue of the errors' correlations
_TAKEN = (
    *("clone", "clone_probability", "unassigned_reason", "colour_clone", "colour_probability"),
    *("doublet", "batch", "image_id", "frame", "track", "parent", "subject", "z_um", "y_um", "x_um"),
)
"""Columns that mean something else, or are written over."""


@dataclass(frozen=True)
class Signatures:
    """Colours ``x`` (n, d) and covariances ``s`` (n, d, d) of the measured cells of a table.

    ``measured`` and ``doublet`` are over all rows; ``x`` and ``s`` hold the measured rows only.
    """

    markers: tuple[str, ...]
    x: Floats
    s: Floats
    measured: NDArray[np.bool_]
    doublet: NDArray[np.bool_]

    def part(self, rows: Ints) -> "Signatures":
        """Those of some rows of the table."""
        if len(rows) == len(self.measured):
            return self
        place = (np.cumsum(self.measured) - 1)[rows]
        measured = self.measured[rows]
        of = place[measured]
        return Signatures(self.markers, self.x[of], self.s[of], measured, self.doublet[rows])


def read_signatures(table: pd.DataFrame, markers: tuple[str, ...] | None = None) -> Signatures:
    """Read colours and their covariances from a table.

    Markers are taken in the order of their names, so that the order of columns changes nothing.

    Raises
    ------
    DataError
        If the table has fewer than two markers, a marker's column does not hold numbers or is there twice, or
        a marker has the name of another column.
    """
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()].unique()
        raise DataError(f"the table has column {', '.join(map(str, twice))} more than once: keep one of each")
    markers = tuple(sorted(markers_of(table))) if markers is None else markers
    if not 2 <= len(markers) <= 7:
        raise DataError(
            f"clones need 2 to 7 markers, each with its standard error (red beside red_se); "
            f"found {len(markers)} ({', '.join(markers) or 'none'}) among the columns "
            f"{', '.join(map(str, table.columns)) or 'of an empty table'}"
        )
    lacking = [name for marker in markers for name in (marker, f"{marker}_se") if name not in table.columns]
    if lacking:
        raise DataError(f"the table lacks {', '.join(lacking)}, which the clones were found with")
    taken = [marker for marker in markers if marker in _TAKEN]
    if taken:
        raise DataError(f"marker {', '.join(taken)} has the name of a column of cells: rename it and its _se")
    x = np.column_stack([_numbers(table, marker) for marker in markers])
    se = np.column_stack([_numbers(table, f"{marker}_se") for marker in markers])
    lasting = np.column_stack([_lasting(table, marker) for marker in markers])
    usable = (np.abs(x) <= _LARGEST) & (se >= 0) & (se <= _LARGEST) & (np.abs(lasting) <= _LARGEST)
    measured = np.asarray(usable.all(axis=1))
    x, se, lasting = x[measured], se[measured], lasting[measured]
    if 0 < np.abs(x).max(initial=0) < _SMALLEST:
        raise DataError(
            f"the intensities are at most {np.abs(x).max():.1g}, which is too small to reckon with: multiply "
            f"them and their standard errors by one large number"
        )
    # a standard error of 0 is not believed: at least a thousandth of what the marker usually reads
    floor = 1e-3 * np.median(np.abs(x), axis=0) if len(x) else np.ones(len(markers))
    floor = np.where(floor > 0, floor, 1e-3 * max(float(floor.max()), 1e-9))
    se = np.maximum(se, np.maximum(floor, 1e-3 * _SMALLEST))
    s = np.zeros((len(x), len(markers), len(markers)))
    for a, first in enumerate(markers):
        s[:, a, a] = se[:, a] ** 2 + lasting[:, a] ** 2
        for b, second in enumerate(markers[:a]):
            name = next(
                (n for n in (f"cov_{first}_{second}", f"cov_{second}_{first}") if n in table.columns), None
            )
            if name is not None:
                bound = 0.99 * se[:, a] * se[:, b]
                told = np.nan_to_num(_numbers(table, name)[measured], nan=0.0, posinf=0.0, neginf=0.0)
                s[:, a, b] = s[:, b, a] = np.clip(told, -bound, bound)
    _make_positive(s)
    return Signatures(markers, np.ascontiguousarray(x), s, measured, _flags(table, "doublet"))


def _lasting(table: pd.DataFrame, marker: str) -> Floats:
    """Systematic error of one marker; what is not known of it counts as none."""
    name = f"{marker}_systematic"
    if name not in table.columns:
        return np.zeros(len(table))
    return np.nan_to_num(_numbers(table, name), nan=0.0, posinf=np.inf, neginf=np.inf)


def _make_positive(s: Floats) -> None:
    """Shrink, in place, covariances that no errors can have together, until they can."""
    if not s[:, ~np.eye(s.shape[1], dtype=bool)].any():
        return
    sd = np.sqrt(np.diagonal(s, axis1=1, axis2=2))
    least = np.linalg.eigvalsh(s / (sd[:, :, None] * sd[:, None, :]))[:, 0]
    rows = np.flatnonzero(least < _SHARPEST)
    if len(rows):
        kept = ((1 - _SHARPEST) / (1 - least[rows]))[:, None, None]
        s[rows] *= np.where(np.eye(s.shape[1], dtype=bool), 1.0, kept)


def _flags(table: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Return one column of truths, as a file may write them; missing ones are false."""
    if name not in table.columns:
        return np.zeros(len(table), dtype=bool)
    column = table[name]
    if not pd.api.types.is_numeric_dtype(column):
        words = column.astype("string").str.strip().str.lower()
        known = words.map({"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0})
        wrong = (known.isna() & column.notna()).to_numpy(dtype=bool)
        if wrong.any():
            raise DataError(
                f"column {name} should hold true or false, found {column[wrong].iloc[0]!r}: give those"
            )
        column = known
    return np.asarray(column.to_numpy(dtype=float, na_value=0.0) > 0)


def lacking(table: pd.DataFrame, markers: tuple[str, ...], gains: str) -> list[str]:
    """What a table does not tell that clones could use, and what was done without it."""
    told = []
    pairs = [f"cov_{a}_{b}" for a in markers for b in markers if a != b]
    if not set(pairs) & set(table.columns):
        told.append(f"errors of different markers are taken as independent: no column {pairs[0]} or the like")
    if gains != "none" and not {"batch", "image_id"} & set(table.columns):
        told.append("detector gains are taken as the same for all cells: no column batch or image_id")
    return told


def _numbers(table: pd.DataFrame, name: str) -> Floats:
    """Return one column as floats, missing values as NaN."""
    column = table[name]
    if not pd.api.types.is_numeric_dtype(column):
        numbers = pd.to_numeric(column, errors="coerce")
        wrong = numbers.isna() & column.notna()
        if wrong.any():
            raise DataError(f"column {name} should hold numbers, found {column[wrong.to_numpy()].iloc[0]!r}")
        column = numbers
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def noise_scale(x: Floats, s: Floats) -> Floats:
    """Scale of the standard errors of each marker, from the cells below zero.

    What lies below zero is noise alone, so ``median(|x| / se) / 0.6745`` over it should be 1. Where the
    marker is faint rather than absent, the cells below zero are the tail of a shifted normal, which falls
    faster: its shift is fitted where that is clearly better, and the scale stays above 0.7. Few such cells
    move it little.
    """
    scale = np.ones(x.shape[1])
    for j in range(x.shape[1]):
        below = x[:, j] < 0
        if below.any():
            ratio = -x[below, j] / np.sqrt(s[below, j, j])
            n = len(ratio)
            scale[j] = np.exp(np.log(np.clip(_tail_sd(ratio), 0.7, 1e6)) * n / (n + 20.0))
    return scale


def _tail_sd(ratio: Floats) -> float:
    """Return the sd of a normal whose lower tail, cut at zero, is ``-ratio``; its mean is not below zero."""
    middle = float(np.median(ratio))
    ratio = np.minimum(ratio, 6 * middle)
    n = len(ratio)
    plain = middle / 0.6745
    sd = plain * np.geomspace(0.5, 5, 80)[None, :]
    shift = np.linspace(0, 2, 21)[:, None]  # in sd
    square = (ratio**2).sum() / sd**2 + 2 * shift * ratio.sum() / sd + n * shift**2
    fit = -n * np.log(sd) - square / 2 - n * log_ndtr(-shift)
    if fit.max() < fit[0].max() + 3:
        return plain
    return float(sd[0, fit.max(axis=0).argmax()])
