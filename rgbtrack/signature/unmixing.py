"""From what the detectors read to colours, with the error that the matrix itself brings."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.signature.colour import Array, colour_columns, unmix, unmix_nonnegative
from rgbtrack.signature.params import SignatureParams
from rgbtrack.tables import CELLS, markers_of

DETECTED, QUANTIFIED = 1.645, 3.29
"""Standard errors at no signal above which one in twenty empty cells reads (Currie's critical level), and at
which nineteen of twenty marked ones do (his detection limit)."""


class Readings(NamedTuple):
    """What the detectors say of each cell, all of shape (n, m).

    Attributes
    ----------
    raw
        Background-free counts.
    variance
        Of their noise: what another exposure would scatter by, counts².
    systematic
        Of what another exposure would repeat, counts²: haze, background, light that spills in.
    dark
        Noise that would be left without the cell's own light, counts².
    """

    raw: Array
    variance: Array
    systematic: Array
    dark: Array


def solve_colours(
    markers: tuple[str, ...],
    readings: Readings,
    mixing: Array,
    mixing_se: Array,
    params: SignatureParams,
) -> dict[str, Array]:
    """Columns of `tables.CELLS` that tell colours, what is not known of the matrix counted in.

    Weights are all that is unsure of a detector, the matrix among it: it is off by
    `SignatureParams.bleed_error` of each coefficient, and by its own standard error, so that the variance of
    a detector grows by the square of that times the marker that leaks. Noise and the rest are then carried
    through the same solution, apart.

    Parameters
    ----------
    markers
        Names, m of them.
    readings
        What the detectors say.
    mixing, mixing_se
        Detectors by markers, and the standard error of each element, shape (m, m).
    params
        How sure the matrix is, and whether colours below 0 are allowed.

    Notes
    -----
    Currie, Analytical Chemistry 40 (1968) 586, for the limit of detection.
    """
    raw, variance, systematic, dark = readings
    signature, _ = unmix(raw, variance + systematic, mixing)
    leak = np.hypot(params.bleed_error * (mixing - np.diag(np.diag(mixing))), mixing_se)
    total = variance + systematic + np.maximum(signature, 0) ** 2 @ (leak**2).T
    signature, whole = (unmix_nonnegative if params.nonnegative else unmix)(raw, total, mixing)
    solution = whole @ mixing.T / total[:, None, :]  # (n, markers, detectors)
    noise = (solution * variance[:, None, :]) @ solution.transpose(0, 2, 1)
    rest = np.maximum(np.einsum("naa->na", whole - noise), 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.where(raw > 0, np.clip(signature * np.diag(mixing) / raw, 0, 1), 0)
    # without the marker its own detector has less noise, the others as much
    empty = np.einsum("naa->na", noise) - np.einsum("naa->na", solution) ** 2 * own * (variance - dark)
    limit = QUANTIFIED * np.sqrt(np.maximum(empty, 0) + rest)
    columns = colour_columns(markers, signature, noise, rest)
    for j, name in enumerate(markers):
        columns[f"{name}_raw"] = raw[:, j]
        columns[f"{name}_limit"] = limit[:, j]
        columns[f"{name}_detected"] = signature[:, j] > limit[:, j] * (DETECTED / QUANTIFIED)
    return columns


def no_colours(markers: tuple[str, ...]) -> dict[str, Array]:
    """The columns of `solve_colours`, of no cells."""
    none, one = np.zeros((0, len(markers))), np.eye(len(markers))
    return solve_colours(markers, Readings(none, none, none, none), one, 0 * one, SignatureParams())


def unmix_cells(
    cells: pd.DataFrame,
    matrix: pd.DataFrame,
    params: SignatureParams = SignatureParams(),  # noqa: B008
    *,
    se: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Undo bleed-through in a table that was measured without a matrix.

    The colour columns become those that `measure_signatures` gives for a stack with this matrix; all other
    columns, `<marker>_raw` among them, stay.

    Parameters
    ----------
    cells
        From `measure_signatures` without a matrix, or several such tables in one.
    matrix
        Rows detectors, columns markers, by marker name, in any order.
    params
        As for `measure_signatures`.
    se
        Standard error of each element of the matrix, named alike; by default 0.

    Returns
    -------
    unmixed
        A new table, rows and columns in the order of `cells`.

    Raises
    ------
    DataError
        If the table was unmixed already, lacks columns, or the matrix is not one of its markers.

    Examples
    --------
    >>> cells = pd.DataFrame({"red": [60.0], "green": [300.0], "red_se": [3.0], "green_se": [4.0]})
    >>> cells = cells.assign(red_raw=cells["red"], green_raw=cells["green"])
    >>> matrix = pd.DataFrame([[1, 0.2], [0, 1]], index=["red", "green"], columns=["red", "green"])
    >>> unmix_cells(cells, matrix)[["red", "green"]].round(6).to_numpy().tolist()
    [[0.0, 300.0]]
    """
    markers = markers_of(cells)
    CELLS.check(cells, need=[column for name in markers for column in (name, f"{name}_se", f"{name}_raw")])
    for frame, what in ((matrix, "matrix"), (se, "errors")):
        if frame is not None and {*frame.index, *frame.columns} != set(markers):
            raise DataError(
                f"the bleed-through {what} is of {', '.join(map(str, frame.columns))} in "
                f"{', '.join(map(str, frame.index))}, the cells have {', '.join(markers) or 'no markers'}: "
                f"give one row and one column for each marker"
            )
    raw = cells[[f"{name}_raw" for name in markers]].to_numpy(float)
    found = cells[list(markers)].to_numpy(float)
    as_found = np.where((found == 0) & (raw < 0), 0, raw)  # of a table measured with `nonnegative`
    if not np.allclose(as_found, found, rtol=1e-6, atol=1e-6, equal_nan=True):
        raise DataError(
            "the cells were unmixed already (their markers differ from <marker>_raw): measure them without a "
            "matrix, [correct] bleed_through = 'none'"
        )
    order = list(markers)
    mixing = matrix.loc[order, order].to_numpy(float)
    unsure = np.zeros_like(mixing) if se is None else np.nan_to_num(se.loc[order, order].to_numpy(float))
    noise, systematic, limit = (
        np.column_stack([_column(cells, f"{name}_{end}") for name in order]) ** 2
        for end in ("se", "systematic", "limit")
    )
    # a table from elsewhere may not tell its limits: its noise is taken to be that of the dark
    known = all(f"{name}_limit" in cells.columns for name in order)
    dark = np.clip(limit / QUANTIFIED**2 - systematic, 0, noise) if known else noise
    readings = Readings(raw, noise, systematic, dark)
    return cells.assign(**solve_colours(markers, readings, mixing, unsure, params))


def _column(cells: pd.DataFrame, name: str) -> Array:
    return cells[name].to_numpy(float) if name in cells.columns else np.zeros(len(cells))
