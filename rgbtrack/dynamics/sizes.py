"""How large each clone is in each sample, zeros included, and how sure that is."""

import warnings
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import betaincinv

from rgbtrack.dynamics.params import DynamicsParams
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import CELLS

SAMPLE = ["subject", "treatment", "timepoint", "site"]
"""Columns that, together, name a sample: one animal, once, at one place."""


def clone_sizes(
    cells: pd.DataFrame,
    params: DynamicsParams = DynamicsParams(),  # noqa: B008
    *,
    samples: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Count the cells of every clone in every sample.

    Parameters
    ----------
    cells
        Called cells with ``clone, subject, treatment, timepoint``; ``site`` is "primary" where absent.
        Images of one sample (fields of view) are counted together.
    params
        How they are counted.
    samples
        The sample sheet: samples in which no cell was found count as zero too.

    Returns
    -------
    sizes
        One row per clone and sample; see `tables.CLONE_SIZES`. Fractions are of the assigned cells, missing
        where there are none.

    Raises
    ------
    DataError
        If a column is missing.

    Notes
    -----
    The interval is Jeffreys' binomial interval (Brown, Cai and DasGupta, Statistical Science 16 (2001)
    101): what counting this many cells leaves unsure. It does not cover differences between animals.

    Examples
    --------
    >>> cells = pd.DataFrame({"clone": [1, 1, 1, 2], "subject": "m1", "treatment": "vehicle"})
    >>> cells["timepoint"] = [0, 0, 0, 7]
    >>> clone_sizes(cells)[["clone", "timepoint", "n_cells", "fraction"]]
       clone  timepoint  n_cells  fraction
    0      1          0        3       1.0
    1      2          0        0       0.0
    2      1          7        0       0.0
    3      2          7        1       1.0
    """
    CELLS.check(cells, need=["clone", *SAMPLE[:3]])
    cells = _one_frame(cells, params.frame)
    cells = _with_site(cells)
    known = cells[SAMPLE] if samples is None else pd.concat([_with_site(samples)[SAMPLE], cells[SAMPLE]])
    blank = known.isna().any(axis=1)
    if blank.any():
        names = [name for name in SAMPLE if known[name].isna().any()]
        raise DataError(f"{int(blank.sum())} rows have no {', '.join(names)}: fill in every sample's columns")
    known = known.drop_duplicates().sort_values(SAMPLE[1:] + SAMPLE[:1], ignore_index=True)
    called = cells[cells["clone"].notna()].astype({"clone": "int64"})
    clones = np.sort(called["clone"].unique())
    grid = known.merge(pd.DataFrame({"clone": clones}), how="cross")
    n = called.groupby(["clone", *SAMPLE]).size().rename("n_cells").reset_index()
    sizes = grid.merge(n, on=["clone", *SAMPLE], how="left")
    sizes["n_cells"] = sizes["n_cells"].fillna(0).astype("int64")
    total = sizes.groupby(SAMPLE, sort=False)["n_cells"].transform("sum")
    low, high = binomial_interval(sizes["n_cells"].to_numpy(), total.to_numpy(), params.level)
    some = total > 0
    sizes["fraction"] = (sizes["n_cells"] / total.where(some)).astype(float)
    sizes["fraction_low"] = np.where(some, low, np.nan)
    sizes["fraction_high"] = np.where(some, high, np.nan)
    order = ["clone", *SAMPLE, "n_cells", "fraction", "fraction_low", "fraction_high"]
    return sizes[order]


def binomial_interval(
    count: np.ndarray, total: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Jeffreys' interval of a share, from counts of the same shape."""
    tail = (1 - level) / 2
    low = betaincinv(count + 0.5, total - count + 0.5, tail)
    high = betaincinv(count + 0.5, total - count + 0.5, 1 - tail)
    return np.where(count == 0, 0.0, low), np.where(count == total, 1.0, high)


def _one_frame(cells: pd.DataFrame, which: Literal["first", "last"]) -> pd.DataFrame:
    """Cells of one frame of each image."""
    if not {"image_id", "frame"} <= set(cells.columns) or cells.empty:
        return cells
    frames = cells.groupby("image_id")["frame"]
    several = frames.max() > frames.min()
    if several.any():
        warnings.warn(
            f"{int(several.sum())} images are time series: clone sizes are counted in the {which} frame "
            f"in which "
            f"each has cells",
            RgbtrackWarning,
            stacklevel=3,
        )
    chosen = frames.transform("min" if which == "first" else "max")
    return cells[cells["frame"] == chosen]


def _with_site(table: pd.DataFrame) -> pd.DataFrame:
    return table if "site" in table.columns else table.assign(site="primary")
