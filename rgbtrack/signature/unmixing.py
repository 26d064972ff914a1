"""From what the detectors read to colours, with the error that the matrix itself brings."""

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.signature.colour import Array, colour_columns, unmix, unmix_nonnegative
from rgbtrack.signature.params import SignatureParams
from rgbtrack.tables import CELLS, markers_of


def solve_colours(
    raw: Array, variance: Array, mixing: Array, mixing_se: Array, params: SignatureParams
) -> tuple[Array, Array]:
    """Colours and their covariance from detectors, what is not known of the matrix counted in.

    The matrix is off by `SignatureParams.bleed_error` of each coefficient, and by its own standard error:
    the variance of a detector grows by the square of that times the marker that leaks.

    Parameters
    ----------
    raw, variance
        Background-free intensity in each detector and its variance, shape (n, m).
    mixing, mixing_se
        Detectors by markers, and the standard error of each element, shape (m, m).
    params
        How sure the matrix is, and whether colours below 0 are allowed.

    Returns
    -------
    signature, covariance
        Shapes (n, m) and (n, m, m).
    """
    signature, _ = unmix(raw, variance, mixing)
    leak = np.hypot(params.bleed_error * (mixing - np.diag(np.diag(mixing))), mixing_se)
    total = variance + np.maximum(signature, 0) ** 2 @ (leak**2).T
    return unmix_nonnegative(raw, total, mixing) if params.nonnegative else unmix(raw, total, mixing)


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
    variance = cells[[f"{name}_se" for name in markers]].to_numpy(float) ** 2
    signature, covariance = solve_colours(raw, variance, mixing, unsure, params)
    return cells.assign(**colour_columns(markers, signature, covariance))


def restore_light(cells: pd.DataFrame, left: Array) -> pd.DataFrame:
    """Restore what faded: each cell's colour divided by the share of light that is left, errors with it.

    Parameters
    ----------
    cells
        From `measure_signatures`, or any table with markers and their errors.
    left
        Share of the light that is left, (n cells, m markers), markers in the order of the table.

    Returns
    -------
    restored
        A new table: markers, `<marker>_raw`, errors, covariances, fractions, brightness and SNR.

    Raises
    ------
    DataError
        If `left` has another shape, or is not positive.

    Examples
    --------
    >>> cells = pd.DataFrame({"red": [60.0], "red_se": [3.0], "green": [9.0], "green_se": [1.0]})
    >>> restore_light(cells, np.array([[0.5, 1.0]]))[["red", "red_se", "green"]].iloc[0].tolist()
    [120.0, 6.0, 9.0]
    """
    markers = markers_of(cells)
    left = np.asarray(left, float)
    if left.shape != (len(cells), len(markers)) or not (left > 0).all():
        raise DataError(
            f"left has shape {left.shape}: give a positive share for each of {len(cells)} cells and "
            f"{len(markers)} markers ({', '.join(markers)})"
        )
    signature = cells[list(markers)].to_numpy(float) / left
    covariance = np.zeros((len(cells), len(markers), len(markers)))
    for i, a in enumerate(markers):
        covariance[:, i, i] = cells[f"{a}_se"].to_numpy(float) ** 2
        for j, b in enumerate(markers[:i]):
            name = f"cov_{b}_{a}"
            if name in cells.columns:
                covariance[:, i, j] = covariance[:, j, i] = cells[name].to_numpy(float)
    covariance /= left[:, :, None] * left[:, None, :]
    raw = {
        f"{name}_raw": cells[f"{name}_raw"] / left[:, j]
        for j, name in enumerate(markers)
        if f"{name}_raw" in cells
    }
    return cells.assign(**colour_columns(markers, signature, covariance), **raw)
