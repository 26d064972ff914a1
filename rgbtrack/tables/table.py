"""What a table is: its columns, their units, its key, and one check."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError

MARKER = "<marker>"
EXCLUDED = "excluded by hand"
"""How `unassigned_reason` begins for what a person took out of every count."""


@dataclass(frozen=True)
class Column:
    """One column: name, type (``int``, ``float``, ``bool``, ``str``; ``label``: any), unit and meaning."""

    name: str
    kind: str
    unit: str
    meaning: str
    required: bool = True


@dataclass(frozen=True)
class Table:
    """One table: its columns and the columns whose values, together, name a row."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def check(self, table: pd.DataFrame, need: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the table if it has what it needs.

        Parameters
        ----------
        table
            Any table, wherever it came from.
        need
            Columns that the caller uses; by default all required ones.

        Raises
        ------
        DataError
            All missing columns, non-numeric columns and repeated keys at once.
        """
        markers = markers_of(table)
        kinds = {
            column.name.replace(MARKER, marker): column.kind
            for column in self.columns
            for marker in (markers if MARKER in column.name else ("",))
        }
        if need is None:
            need = [column.name for column in self.columns if column.required and MARKER not in column.name]
        problems = []
        missing = [name for name in need if name not in table.columns]
        if missing:
            problems.append(
                f"{self.name} table lacks column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
                f"found {', '.join(map(str, table.columns)) or 'no columns'}"
            )
        for name in need:
            if (
                name in table.columns
                and kinds.get(name) in ("int", "float")
                and len(table)
                and not pd.api.types.is_numeric_dtype(table[name])
            ):
                problems.append(
                    f"{self.name} table: column {name} should hold numbers, found {table[name].iloc[0]!r}"
                )
        key = [name for name in self.key if name in need]
        if not missing and len(key) == len(self.key):
            repeated = table.duplicated(key)
            if repeated.any():
                first = ", ".join(f"{name}={table.loc[repeated, name].iloc[0]}" for name in key)
                problems.append(
                    f"{self.name} table: {int(repeated.sum())} rows repeat a key, the first is {first}; "
                    f"{', '.join(key)} must name one row"
                )
        if problems:
            raise DataError("\n".join(problems))
        return table


def markers_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Markers of a table: each column that has a standard error beside it, in column order.

    >>> markers_of(pd.DataFrame(columns=["cell", "red", "green", "red_se", "green_se"]))
    ('red', 'green')
    """
    return tuple(str(name) for name in table.columns if f"{name}_se" in table.columns)


def errors_of(table: pd.DataFrame, markers: Sequence[str]) -> NDArray[np.float64]:
    """All that is unsure of each marker, noise and systematic, shape (n, m), counts."""
    parts = [
        [
            table[name].to_numpy(float, na_value=np.nan)
            for name in (f"{m}_se", f"{m}_systematic")
            if name in table
        ]
        for m in markers
    ]
    return (
        np.column_stack([np.sqrt(sum(np.square(part))) for part in parts])
        if parts
        else np.empty((len(table), 0))
    )


def counted(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells without those that a person excluded."""
    if "unassigned_reason" not in cells.columns:
        return cells
    excluded = cells["unassigned_reason"].astype("string").str.startswith(EXCLUDED).fillna(value=False)
    return cells[~excluded.astype(bool)]
