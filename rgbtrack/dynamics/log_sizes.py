"""Logarithms of clone sizes, zeros included, and what counting leaves unsure of them."""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import poisson

from rgbtrack.dynamics.inputs import read_sizes
from rgbtrack.dynamics.params import GrowthParams
from rgbtrack.dynamics.sizes import EXPECTED, SAMPLE
from rgbtrack.errors import DataError, RgbtrackWarning

_SEEN = 0.75
"""Share of the samples in which a clone of the mean has cells."""

_NEEDED: dict[str, list[str]] = {"n_cells": [], "expected_cells": EXPECTED, "amount": ["amount"]}


def log_sizes(sizes: pd.DataFrame, params: GrowthParams) -> pd.DataFrame:
    """Return the logarithm of each clone's size in each sample that has cells.

    Parameters
    ----------
    sizes
        Clone sizes.
    params
        Which sizes, and relative to what.

    Returns
    -------
    table
        Columns of the sizes, ``log_size``, its ``variance`` from counting, and ``in_reference``, whether the
        clone is one of those whose mean the others are compared with.

    Raises
    ------
    DataError
        If what is asked for is not in the table.

    Notes
    -----
    ``log_size`` is ``ln(n + 1/2)``, less its mean over the reference clones of the sample (relative), or plus
    the logarithm of the sample's scale (absolute). Its variance is ``1 / (m + 1/2)``, m the number of cells
    expected from the clone's mean share at that treatment, timepoint and site: a weight that rests on n
    itself would bias rates upwards. Where m is below about 2, ``ln(n + 1/2)`` is too large on average, by
    what is known of Poisson numbers of mean m; that is taken off, alike for all treatments (at most as for a
    quarter of a cell).
    """
    table = _with_zeros(read_sizes(sizes, _NEEDED[params.size]))
    table = table[table.groupby(SAMPLE)["n_cells"].transform("sum") > 0]
    n = table["n_cells"].to_numpy(float)
    mean = table.groupby(["clone", "treatment", "timepoint", "site"])["fraction"].transform("mean")
    total = table.groupby(SAMPLE)["n_cells"].transform("sum")
    variance = 1 / (mean * total + 0.5).to_numpy(float)
    usual = table.groupby(["clone", "timepoint", "site"])["fraction"].transform("mean") * total
    if params.size == "expected_cells":
        n = table["expected_cells"].to_numpy(float)
        width = (table["expected_high"] - table["expected_low"]).to_numpy(float)
        variance = variance + np.square(width / 3.92 / (n + 0.5))
    value = np.log(n + 0.5) - _bias(usual.to_numpy(float))
    if params.size == "amount":
        each = (table["amount"] / table["n_cells"].where(table["n_cells"] > 0)).to_numpy(float)
        of_clone = pd.Series(each, index=table.index).groupby(table["clone"]).transform("mean").to_numpy()
        value = value + np.log(np.where(np.isfinite(each), each, of_clone))
    table = table.assign(log_size=value, variance=variance)
    table = table[np.isfinite(table["log_size"])]
    table["in_reference"] = _reference(table, params.reference_cells)
    return _relative(table) if params.kind == "relative" else _absolute(table)


def _bias(expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much ``ln(n + 1/2)`` is above ``ln m`` on average, n Poisson numbers of mean m."""
    grid = np.geomspace(0.25, 20, 60)
    n = np.arange(80)
    mean = poisson.pmf(n, grid[:, None]) @ np.log(n + 0.5)
    return np.interp(np.log(np.maximum(expected, 1e-9)), np.log(grid), mean - np.log(grid), right=0.0)


def _with_zeros(sizes: pd.DataFrame) -> pd.DataFrame:
    """Add the zeros that a table from elsewhere leaves out: of clones that the subject has otherwise."""
    own = sizes[["clone", "subject", "treatment", "site"]].drop_duplicates()
    samples = sizes[SAMPLE].drop_duplicates()
    full = samples.merge(own, on=["subject", "treatment", "site"])
    if len(full) == len(sizes):
        return sizes
    full = full.merge(sizes, on=["clone", *SAMPLE], how="left")
    return full.fillna({"n_cells": 0, "fraction": 0.0})


def _reference(table: pd.DataFrame, least: float) -> pd.Series:
    """Which rows are of clones that are large and seen enough to compare others with."""
    of = table.assign(seen=table["n_cells"] > 0).groupby(["site", "clone"])
    kept = (of["n_cells"].transform("mean") >= least) & (of["seen"].transform("mean") >= _SEEN)
    few = table.assign(kept=kept).groupby(SAMPLE)["kept"].transform("sum") < 2
    return kept | few


def _relative(table: pd.DataFrame) -> pd.DataFrame:
    """Compare each clone with the mean of the reference clones of its sample."""
    reference = table.where(table["in_reference"])
    key = [table[name] for name in SAMPLE]
    size = table["in_reference"].groupby(key).transform("sum")
    if (size < 2).all():
        raise DataError(
            'no sample holds two clones: growth relative to other clones cannot be told; kind = "absolute" '
            "needs totals in the sample sheet"
        )
    mean = reference["log_size"].groupby(key).transform("mean")
    shared = reference["variance"].groupby(key).transform("sum") / size**2
    own = table["variance"] * (1 - 2 * table["in_reference"] / size)
    told = table.assign(log_size=table["log_size"] - mean, variance=own + shared)
    return told[size >= 2]


def _absolute(table: pd.DataFrame) -> pd.DataFrame:
    """Scale up to the whole sample."""
    scale = table["scale"] if "scale" in table.columns else pd.Series(np.nan, index=table.index)
    scale = scale.groupby([table[name] for name in SAMPLE]).transform("first")
    if scale.isna().all():
        raise DataError(
            "clone sizes hold no totals, and shares cannot tell absolute growth: add the column total_cells "
            "(cells of the whole sample) to the sample sheet, or sampled_volume_um3 with total_volume_um3"
        )
    known = scale.notna() & (scale > 0)
    lacking = table.loc[~known, SAMPLE].drop_duplicates()
    if len(lacking):
        warnings.warn(
            f"{len(lacking)} of {len(table[SAMPLE].drop_duplicates())} samples have no total: absolute "
            f"growth is told without them",
            RgbtrackWarning,
            stacklevel=4,
        )
    return table.assign(log_size=table["log_size"] + np.log(scale.where(known)))[known]
