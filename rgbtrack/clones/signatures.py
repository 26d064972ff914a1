"""From a table of cells to arrays: colours, covariances, and which cells can be used."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_ndtr

from rgbtrack.clones.ray import Floats
from rgbtrack.errors import DataError
from rgbtrack.tables import errors_of, markers_of


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


def read_signatures(table: pd.DataFrame, markers: tuple[str, ...] | None = None) -> Signatures:
    """Read colours and their covariances from a table.

    Markers are taken in the order of their names, so that the order of columns changes nothing.

    Raises
    ------
    DataError
        If the table has fewer than two markers, or a marker's column does not hold numbers.
    """
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
    x = np.column_stack([_numbers(table, marker) for marker in markers])
    se = np.column_stack([_numbers(table, f"{marker}_se") for marker in markers])
    measured = ~np.isnan(np.where(np.isfinite(x) & np.isfinite(se) & (se >= 0), 0.0, np.nan).sum(axis=1))
    x, se = x[measured], se[measured]
    # a standard error of 0 is not believed: at least a thousandth of what the marker usually reads
    floor = 1e-3 * np.median(np.abs(x), axis=0) if len(x) else np.ones(len(markers))
    floor = np.where(floor > 0, floor, 1e-3 * max(float(floor.max()), 1e-9))
    se = np.maximum(se, floor)
    rest = np.square(errors_of(table[measured], markers)) - np.square(
        np.column_stack([_numbers(table[measured], f"{marker}_se") for marker in markers])
    )
    s = np.zeros((len(x), len(markers), len(markers)))
    for a, first in enumerate(markers):
        s[:, a, a] = se[:, a] ** 2 + rest[:, a]
        for b, second in enumerate(markers[:a]):
            name = next(
                (n for n in (f"cov_{first}_{second}", f"cov_{second}_{first}") if n in table.columns), None
            )
            if name is not None:
                bound = 0.99 * se[:, a] * se[:, b]
                s[:, a, b] = s[:, b, a] = np.clip(
                    np.nan_to_num(_numbers(table, name)[measured]), -bound, bound
                )
    doublet = np.zeros(len(table), dtype=bool)
    if "doublet" in table.columns:
        doublet = table["doublet"].fillna(False).to_numpy(dtype=bool)
    return Signatures(markers, np.ascontiguousarray(x), s, measured, doublet)


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
