"""How large each clone is in each sample, zeros included, and how sure that is."""

import warnings
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv

from rgbtrack.dynamics.names import name_of
from rgbtrack.dynamics.params import DynamicsParams
from rgbtrack.dynamics.plain import plain
from rgbtrack.dynamics.totals import TOTALS, absolute_interval, differing, scale_up
from rgbtrack.dynamics.unfold import read_confusion, unfold
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import CELLS, CLONE_SIZES, counted

SAMPLE = ["subject", "treatment", "timepoint", "site"]
"""Columns that, together, name a sample: one animal, once, at one place."""
EXPECTED = ["expected_cells", "expected_low", "expected_high"]
_OF_IMAGES = {"image", "image_id", "labels", "tracks", "pixel_size_um", "z_step_um", "frame_interval_h"}


def clone_sizes(
    cells: pd.DataFrame,
    params: DynamicsParams = DynamicsParams(),  # noqa: B008
    *,
    samples: pd.DataFrame | None = None,
    rehearsed: pd.DataFrame | None = None,
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
        The sample sheet, a row per image: samples in which no cell was found count as zero too, what is
        constant in each sample (``dose``, ``batch``) is carried along, and totals give absolute sizes:
        ``total_cells``, or ``sampled_volume_um3`` of each image with ``total_volume_um3`` (or both
        ``_area_um2``).
    rehearsed
        Cells whose clone is known, with how they were called: from `rgbtrack.clones.rehearse_calls`. The
        calls are then unfolded: ``expected_cells``. With ``subject``, each subject has its own.

    Returns
    -------
    sizes
        One row per clone and sample; see `tables.CLONE_SIZES`. Fractions are of the assigned cells, missing
        where there are none.

    Raises
    ------
    DataError
        If a column is missing, or a total is less than what was counted.

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
    cells = plain(_one_frame(counted(cells), params.frame))
    sheet = None if samples is None else plain(samples)
    known = _samples(cells if sheet is None else pd.concat([sheet[SAMPLE], cells[SAMPLE]]))
    called = cells[cells["clone"].notna()].astype({"clone": "int64"})
    clones = np.sort(called["clone"].unique())
    sizes = known.merge(pd.DataFrame({"clone": clones}), how="cross")
    sizes = sizes.merge(_added_up(called, params.measure), on=["clone", *SAMPLE], how="left")
    sizes["n_cells"] = sizes["n_cells"].fillna(0).astype("int64")
    empty = sizes["n_cells"] == 0
    sizes["amount"] = sizes["amount"].mask(empty, 0.0)
    if "clone_probability" in called.columns:
        sizes["right_cells"] = sizes["right_cells"].mask(empty, 0.0)
    total = sizes.groupby(SAMPLE, sort=False)["n_cells"].transform("sum")
    low, high = binomial_interval(sizes["n_cells"].to_numpy(), total.to_numpy(), params.level)
    some = total > 0
    sizes["fraction"] = (sizes["n_cells"] / total.where(some)).astype(float)
    sizes["fraction_low"] = np.where(some, low, np.nan)
    sizes["fraction_high"] = np.where(some, high, np.nan)
    sizes["n_assigned"] = total.astype("int64")
    seen = cells.groupby(SAMPLE).size().reindex(pd.MultiIndex.from_frame(known), fill_value=0)
    sizes = sizes.merge(seen.rename("n_sample_cells").reset_index(), on=SAMPLE, how="left")
    sizes[EXPECTED] = np.nan
    if rehearsed is not None and len(sizes):
        sizes[EXPECTED] = _unfold(sizes, cells, rehearsed, params.level)
    scale = pd.Series(np.nan, index=seen.index, name="scale")
    if sheet is not None:
        scale = scale_up(sheet, seen, SAMPLE)
        sizes = sizes.merge(_carried(sheet), on=SAMPLE, how="left")
    sizes = sizes.merge(scale.reset_index(), on=SAMPLE, how="left")
    sizes["absolute_cells"] = sizes["n_cells"] * sizes["scale"]
    sizes["absolute_low"], sizes["absolute_high"] = absolute_interval(
        sizes["n_cells"].to_numpy(), sizes["scale"].to_numpy(), params.level
    )
    order = [column.name for column in CLONE_SIZES.columns]
    return sizes[order + [name for name in sizes.columns if name not in order]]


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


def _samples(rows: pd.DataFrame) -> pd.DataFrame:
    """Name every sample once, in order."""
    known = rows[SAMPLE]
    blank = known.isna().any(axis=1)
    if blank.any():
        names = [name for name in SAMPLE if known[name].isna().any()]
        raise DataError(f"{int(blank.sum())} rows have no {', '.join(names)}: fill in every sample's columns")
    return known.drop_duplicates().sort_values(SAMPLE[1:] + SAMPLE[:1], ignore_index=True)


def _added_up(called: pd.DataFrame, measure: Literal["cells", "area", "volume"]) -> pd.DataFrame:
    """Cells of each clone and sample, what they measure together, and how many are called rightly."""
    unit = {"cells": None, "area": "area_um2", "volume": "volume_um3"}[measure]
    if unit is not None:
        CELLS.check(called, need=[unit])
    called = called.assign(amount=1.0 if unit is None else called[unit].astype(float), right_cells=np.nan)
    if "clone_probability" in called.columns:  # missing where a person decided
        called["right_cells"] = called["clone_probability"].astype(float).fillna(1.0)
    groups = called.groupby(["clone", *SAMPLE])
    n = groups.size()
    # a cell that was not measured counts as the mean of the others
    added = groups[["amount", "right_cells"]].mean().mul(n, axis=0)
    return added.assign(n_cells=n).reset_index()


def _unfold(
    sizes: pd.DataFrame, cells: pd.DataFrame, rehearsed: pd.DataFrame, level: float
) -> NDArray[np.float64]:
    """Sizes expected behind the calls of every clone in every sample, and their intervals, (n, 3)."""
    clones = np.sort(sizes["clone"].unique())
    shape = (-1, len(clones))  # sizes are a row per sample and, within it, per clone
    n = sizes["n_cells"].to_numpy().reshape(shape)
    none = sizes["n_sample_cells"].to_numpy().reshape(shape)[:, 0] - n.sum(axis=1)
    subject = sizes["subject"].to_numpy().reshape(shape)[:, 0]
    found = np.full((*n.shape, 3), np.nan)
    parts = [(np.arange(len(n)), np.arange(len(clones)), rehearsed)]
    if "subject" in rehearsed.columns:
        parts = []
        for name, of in rehearsed.groupby("subject"):
            name = name_of(name)
            own = cells.loc[(cells["subject"] == name) & cells["clone"].notna(), "clone"].astype("int64")
            parts.append((np.flatnonzero(subject == name), np.flatnonzero(np.isin(clones, own)), of))
    for rows, columns, of in parts:
        if len(rows) and len(columns):
            called = np.column_stack([n[np.ix_(rows, columns)], none[rows]])
            values = unfold(called, read_confusion(of, clones[columns]), level)
            found[np.ix_(rows, columns)] = np.stack(values, axis=-1)
    return found.reshape(-1, 3)


def _carried(sheet: pd.DataFrame) -> pd.DataFrame:
    """Columns of the sheet that tell of whole samples."""
    taken = {*SAMPLE, *TOTALS, *_OF_IMAGES, *(column.name for column in CLONE_SIZES.columns)}
    rest = [name for name in sheet.columns if name not in taken and sheet[name].notna().any()]
    names = [name for name in rest if not differing(sheet, name, SAMPLE).any()]
    return sheet.groupby(SAMPLE)[names].first().reset_index() if names else sheet[SAMPLE].drop_duplicates()
