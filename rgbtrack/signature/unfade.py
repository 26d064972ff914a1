"""Undo light that faded, in a table of measured cells."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.signature.colour import Array, colour_columns
from rgbtrack.tables import markers_of


def unfade_cells(
    cells: pd.DataFrame, light: NDArray[np.float64], bleed_through: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Bring colours and their covariance back to full light.

    With ``f`` the light left and A the bleed-through, detectors that faded are undone by
    ``x' = B x, B = A^-1 diag(1/f) A``, which is what unmixing the brightened detectors would have given;
    markers that bleached by ``B = diag(1/f)``. The covariance follows as ``B S B'``.

    Parameters
    ----------
    cells
        From `measure_signatures`.
    light
        Share of the light left in each cell, shape (n, c), channels in the order of the table's markers.
    bleed_through
        Rows detectors, columns markers: the light left is that of detectors (depth). None: of markers
        (bleaching), or no bleed-through.

    Returns
    -------
    cells
        A copy with intensities, errors, covariances, limits, fractions, brightness and SNR anew;
        ``<marker>_raw`` too where it is the detectors that faded.

    Raises
    ------
    DataError
        If `light` has another shape, or is not positive.
    """
    markers = markers_of(cells)
    light = np.asarray(light, float)
    if light.shape != (len(cells), len(markers)):
        raise DataError(
            f"light has shape {light.shape}, the table {len(cells)} cells of {len(markers)} markers: give "
            f"one number for each"
        )
    if not (light > 0).all():
        raise DataError(f"light left is {light.min():g} in some cell: it must be positive")
    x = cells[list(markers)].to_numpy(float, na_value=np.nan)
    matrix = np.zeros((len(cells), len(markers), len(markers)))
    if bleed_through is None:
        matrix[:, range(len(markers)), range(len(markers))] = 1 / light
    else:
        mixing = bleed_through.loc[list(markers), list(markers)].to_numpy(float)
        matrix = np.einsum("ij,nj,jk->nik", np.linalg.inv(mixing), 1 / light, mixing)
    x = np.einsum("nij,nj->ni", matrix, x)
    s = matrix @ _covariance(cells, markers) @ matrix.transpose(0, 2, 1)
    new = {
        f"{name}_raw": cells[f"{name}_raw"] / light[:, j]
        for j, name in enumerate(markers)
        if _follows(cells, name, bleed_through)
    }
    own = np.einsum("nii->ni", matrix)
    for j, name in enumerate(markers):
        if f"{name}_limit" in cells.columns:
            new[f"{name}_limit"] = cells[f"{name}_limit"] * own[:, j]
    rest = np.zeros(x.shape)
    for j, name in enumerate(markers):
        if f"{name}_systematic" in cells.columns:
            rest += (matrix[:, :, j] * cells[[f"{name}_systematic"]].to_numpy(float)) ** 2
    known = {
        name: column for name, column in colour_columns(markers, x, s, rest).items() if name in cells.columns
    }
    return cells.assign(**new, **known)


def _follows(cells: pd.DataFrame, name: str, bleed_through: pd.DataFrame | None) -> bool:
    """Whether the counts before unmixing faded too: where detectors did, or nothing was unmixed."""
    if f"{name}_raw" not in cells.columns:
        return False
    return bleed_through is not None or bool(np.allclose(cells[f"{name}_raw"], cells[name], equal_nan=True))


def _covariance(cells: pd.DataFrame, markers: tuple[str, ...]) -> Array:
    """Covariance of each cell's colour (n, c, c); 0 between markers where the table has none."""
    s = np.zeros((len(cells), len(markers), len(markers)))
    for i, first in enumerate(markers):
        s[:, i, i] = cells[f"{first}_se"].to_numpy(float, na_value=np.nan) ** 2
        for j, second in enumerate(markers):
            name = f"cov_{first}_{second}"
            if name in cells.columns:
                s[:, i, j] = s[:, j, i] = cells[name].to_numpy(float, na_value=np.nan)
    return s
