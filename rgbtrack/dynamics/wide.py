"""Tables as Prism and Excel plot them: a row per clone and timepoint, a column per subject."""

import pandas as pd

from rgbtrack.dynamics.names import name_of
from rgbtrack.errors import DataError


def wide_table(
    table: pd.DataFrame, value: str, rows: list[str], *, control: str | None = None
) -> pd.DataFrame:
    """Lay a long table out with one column per subject.

    Parameters
    ----------
    table
        With ``subject``, ``treatment``, the rows and the value.
    value
        Column whose numbers fill the table.
    rows
        Columns that name a row, such as ``["clone", "timepoint"]``.
    control
        Treatment whose subjects come first.

    Returns
    -------
    wide
        The columns ``rows``, then one column per subject, named ``treatment: subject``, arms side by side: a
        grouped table for Prism. Blank where there is none.

    Raises
    ------
    DataError
        If a column is missing, or a subject has two numbers in one row.

    Examples
    --------
    >>> sizes = pd.DataFrame({"clone": [1, 1], "subject": ["m1", "m2"], "treatment": ["drug", "vehicle"]})
    >>> wide_table(sizes.assign(n_cells=[3, 4]), "n_cells", ["clone"], control="vehicle")
       clone  vehicle: m2  drug: m1
    0      1            4         3
    """
    missing = [name for name in [*rows, value, "subject", "treatment"] if name not in table.columns]
    if missing:
        raise DataError(f"the table lacks {', '.join(missing)}; found {', '.join(map(str, table.columns))}")
    key = [*rows, "treatment", "subject"]
    if table.duplicated(key).any():
        first = table.loc[table.duplicated(key), key].iloc[0]
        said = ", ".join(f"{name} {value}" for name, value in first.items())
        raise DataError(f"two rows have {said}: name what sets them apart among the rows")
    control = None if control is None else name_of(control)
    arms = sorted(table["treatment"].unique(), key=lambda name: (name_of(name) != control, str(name)))
    wide = table.set_index(key)[value].unstack(["treatment", "subject"])  # noqa: PD010 # keeps blank ones
    named = [(str(arm), str(subject)) for arm, subject in wide.columns.to_frame().itertuples(index=False)]
    order = sorted(range(len(named)), key=lambda k: (arms.index(wide.columns[k][0]), named[k]))
    wide = wide.iloc[:, order]
    wide.columns = pd.Index([": ".join(named[k]) for k in order])
    return wide.reset_index()
