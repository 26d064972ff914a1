"""Tables as the rest of dynamics reads them, whatever program they come from."""

from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.dynamics.names import name_of
from rgbtrack.errors import DataError

_NAMES = ("subject", "treatment", "site")
_NUMBERS = {"timepoint": "days, such as those since the start", "n_cells": "numbers of cells"}


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with one kind of names and numbers.

    Parameters
    ----------
    table
        Any table of samples, clone sizes or cells.

    Returns
    -------
    plain
        Rows are numbered from 0. ``subject``, ``treatment`` and ``site`` are text, see `name_of`; ``site`` is
        "primary" where there is no such column. ``timepoint`` and ``n_cells`` are numbers, also where a
        spreadsheet wrote them as text. What is missing stays missing.

    Raises
    ------
    DataError
        If a timepoint or a number of cells is no number, or has no end.

    Examples
    --------
    >>> plain(pd.DataFrame({"subject": [1, 2], "timepoint": ["0", "7"]})).values.tolist()
    [['1', 0, 'primary'], ['2', 7, 'primary']]
    """
    table = table.reset_index(drop=True)
    changed: dict[str, Any] = {
        str(name): _of_numpy(table[name])
        for name, dtype in table.dtypes.items()
        if isinstance(dtype, pd.api.extensions.ExtensionDtype)
    }
    table = table.assign(**changed)
    changed = {name: _text(table[name]) for name in _NAMES if name in table.columns}
    changed |= {name: _number(table[name]) for name in _NUMBERS if name in table.columns}
    table = table.assign(**changed)
    return table if "site" in table.columns else table.assign(site="primary")


def _of_numpy(values: pd.Series) -> pd.Series:
    """Values themselves, not as categories, nor as Arrow holds them."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.astype(values.cat.categories.dtype if values.notna().all() else object)
    if pd.api.types.is_float_dtype(values.dtype):
        return pd.Series(values.to_numpy(float, na_value=np.nan), index=values.index)
    if pd.api.types.is_integer_dtype(values.dtype) and values.notna().all():
        return values.astype("int64")
    return values.convert_dtypes(dtype_backend="numpy_nullable")


def _text(values: pd.Series) -> pd.Series:
    code, found = pd.factorize(values)
    names = np.array([*map(name_of, found), None], dtype=object)
    return pd.Series(names[code], index=values.index, dtype="str")


def _number(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        number = values
    elif isinstance(values.dtype, np.dtype) and values.dtype.kind in "mM":
        number = pd.Series(np.nan, index=values.index)
    else:
        number = pd.to_numeric(values, errors="coerce")
    wrong = (number.isna() & values.notna()) | np.isinf(number.to_numpy(float, na_value=np.nan))
    if wrong.any():
        raise DataError(
            f"column {values.name} should hold numbers, found {values[wrong].iloc[0]!s} in "
            f"{int(wrong.sum())} rows: give {_NUMBERS[str(values.name)]}"
        )
    return number
