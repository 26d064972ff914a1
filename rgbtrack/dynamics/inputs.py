"""Clone sizes, wherever they came from, as the rest of dynamics takes them."""

from collections.abc import Sequence

import pandas as pd

from rgbtrack.dynamics.plain import plain
from rgbtrack.dynamics.sizes import SAMPLE
from rgbtrack.errors import DataError
from rgbtrack.tables import CLONE_SIZES


def read_sizes(sizes: pd.DataFrame, need: Sequence[str] = ()) -> pd.DataFrame:
    """Return clone sizes with their site and their share of the sample.

    Parameters
    ----------
    sizes
        One row per clone and sample: ``clone, subject, treatment, timepoint, n_cells``. A clone may be any
        label. ``site`` is "primary" where absent; fractions are of the sample's cells where absent.
    need
        Further columns that are used.

    Raises
    ------
    DataError
        If a column is missing, a row is there twice, a number of cells is negative or missing, or there is
        no cell at all.
    """
    sizes = plain(sizes)
    CLONE_SIZES.check(sizes, need=[*SAMPLE, "n_cells", *need])
    if "clone" not in sizes.columns:
        raise DataError(f"clone sizes table lacks column clone; found {', '.join(map(str, sizes.columns))}")
    key = ["clone", *SAMPLE]
    blank = [name for name in [*key, "n_cells"] if sizes[name].isna().any()]
    if blank:
        raise DataError(f"clone sizes table: {', '.join(blank)} is blank in some rows: fill it in")
    repeated = sizes.duplicated(key)
    if repeated.any():
        first = ", ".join(f"{name}={sizes.loc[repeated, name].iloc[0]}" for name in key)
        raise DataError(
            f"clone sizes table: {int(repeated.sum())} rows repeat a clone of a sample, the first is "
            f"{first}; add up what belongs together"
        )
    if (sizes["n_cells"] < 0).any():
        raise DataError(f"n_cells holds {sizes['n_cells'].min():g}: a number of cells cannot be negative")
    if not (sizes["n_cells"] > 0).any():
        raise DataError("no cell is assigned to a clone in any sample: there are no sizes to speak of")
    if "fraction" in sizes.columns:
        return sizes
    total = sizes.groupby(SAMPLE)["n_cells"].transform("sum")
    return sizes.assign(fraction=sizes["n_cells"] / total.where(total > 0))
