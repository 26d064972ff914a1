"""Which of several colours a cell has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.tables import errors_of, markers_of

SPREAD = 0.12
"""How far the markers of one clone's cells scatter on their own, as a share of each; a typical clone's."""


def nearest_group(
    cells: pd.DataFrame, rows: NDArray[np.int64], groups: Sequence[NDArray[Any]]
) -> NDArray[np.int64]:
    """Give cells to the group whose mean colour they fit best, whatever their brightness.

    Parameters
    ----------
    cells
        Cells with the markers and their errors.
    rows
        Positions of the cells to decide on, shape (n,).
    groups
        Positions of the cells that set the mean colour of each group.

    Returns
    -------
    group
        Of each cell, shape (n,); -1 where it is not measured.

    Notes
    -----
    The light of a group's cells is summed to its colour ``m``. That is scaled to a cell ``x`` with errors
    ``s``, ``a = sum(x m / v) / sum(m m / v)`` with ``v = s² + (0.12 x)²``, and the smallest
    ``sum((x - a m)² / v)`` decides.
    """
    markers = list(markers_of(cells))
    table = cells[markers].to_numpy(float, na_value=np.nan)
    errors = [name for name in cells if str(name).endswith(("_se", "_systematic"))]
    x, s = table[rows], errors_of(cells[errors].iloc[rows], markers)
    variance = s**2 + (SPREAD * x) ** 2
    misfit = []
    for group in groups:
        colour = np.nansum(table[group], axis=0)
        scale = (x * colour / variance).sum(axis=1) / (colour**2 / variance).sum(axis=1)
        misfit.append(((x - np.maximum(scale, 0)[:, None] * colour) ** 2 / variance).sum(axis=1))
    best = np.column_stack(misfit)
    measured = np.isfinite(best).all(axis=1)
    return np.where(measured, np.nan_to_num(best).argmin(axis=1), -1)
