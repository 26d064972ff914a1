"""What there is to show of the cells: their columns, in words, with units."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.tables import CELLS, markers_of
from rgbtrack.tables.table import MARKER

Floats = NDArray[np.float64]

_KEYS = ("cell", "frame", "track", "parent", "tree")
"""Numbers that name something: their size says nothing."""


def number_columns(cells: pd.DataFrame) -> list[str]:
    """Columns that hold numbers, not flags, and not missing throughout."""
    some = dict(cells.iloc[:1000].notna().any())  # a long table is seldom missing from its start
    return [
        str(name)
        for name, values in cells.items()
        if name not in _KEYS
        and pd.api.types.is_numeric_dtype(values)
        and not pd.api.types.is_bool_dtype(values)
        and (some[name] or values.notna().any())
    ]


def numbers_of(cells: pd.DataFrame, name: str) -> Floats:
    """Numbers of a column, NaN where missing.

    Raises
    ------
    DataError
        If there is no such column, or it holds no numbers.
    """
    if name not in cells.columns:
        raise DataError(f"cells have no column {name!r}; there are {', '.join(map(str, cells.columns))}")
    values = cells[name]
    known = values.notna()
    if not known.any():
        return np.full(len(cells), np.nan)
    if not pd.api.types.is_numeric_dtype(values.infer_objects()):
        raise DataError(f"column {name} should hold numbers, found {values[known].iloc[0]!r}")
    return values.to_numpy(float, na_value=np.nan)


def column_words(name: str, cells: pd.DataFrame) -> str:
    """Name of a column as a person reads it, with its unit.

    >>> column_words("area_um2", pd.DataFrame())
    'area (µm²)'
    >>> column_words("clone_probability", pd.DataFrame())
    'clone probability'
    """
    markers = markers_of(cells)
    units = {
        column.name.replace(MARKER, marker): column.unit
        for column in CELLS.columns
        for marker in (markers if MARKER in column.name else ("",))
    }
    unit = units.get(name, "")
    plain = name.removesuffix("_" + unit.translate(str.maketrans("²³", "23"))) if unit else name
    words = "SNR" if name == "snr" else plain.replace("_", " ")
    return f"{words} ({unit.replace('um', 'µm')})" if unit else words


def is_skewed(values: Floats) -> bool:
    """Whether numbers are best read on a logarithmic scale: above zero, and lopsided."""
    values = values[:: 1 + len(values) // 50_000]
    values = values[np.isfinite(values)]
    if len(values) < 3:
        return False
    low, middle, high = np.quantile(values, (0.01, 0.5, 0.99))
    return bool(low > 0 and high - middle > 2 * (middle - low) and high > 5 * low)
