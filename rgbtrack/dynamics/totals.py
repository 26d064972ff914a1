"""How many cells a whole sample holds for each one counted."""

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv

from rgbtrack.errors import DataError, RgbtrackWarning

TOTAL = "total_cells"
SAMPLED = (("sampled_volume_um3", "total_volume_um3"), ("sampled_area_um2", "total_area_um2"))
"""Columns of what was imaged, and of the whole that it is a part of."""
TOTALS = (TOTAL, *(name for pair in SAMPLED for name in pair))


def scale_up(samples: pd.DataFrame, counted: pd.Series, key: list[str]) -> pd.Series:
    """Work out the cells of the whole sample for each counted cell.

    Parameters
    ----------
    samples
        Sample sheet, a row per image; its totals may be blank.
    counted
        Cells counted in each sample, by the columns of the key.
    key
        Columns that name a sample.

    Returns
    -------
    scale
        For each sample of ``counted``; missing where its total is not known, or no cell was counted in it.

    Raises
    ------
    DataError
        If the images of a sample tell different totals, or a total is less than what was counted or imaged.
    """
    scale = pd.Series(np.nan, index=counted.index, name="scale")
    given = [name for name in TOTALS if name in samples.columns and samples[name].notna().any()]
    if not given:
        return scale
    for name in given:
        if not pd.api.types.is_numeric_dtype(samples[name]) or (samples[name] < 0).any():
            raise DataError(f"column {name} should hold numbers from 0 on: give those, or leave it blank")
    if "image_id" in samples.columns:
        samples = samples.drop_duplicates("image_id")
    for part, whole in SAMPLED[::-1]:
        if part in given and whole in given:
            of = _one_each(samples, whole, key)
            blank = samples[part].isna().groupby([samples[name] for name in key]).any()
            seen = samples.groupby(key)[part].sum()
            seen = seen.where(~blank & (seen > 0))
            _refuse(seen > of * (1 + 1e-9), f"{whole} is less than what was imaged, {part}", of)
            scale = (of / seen).reindex(scale.index).combine_first(scale)
    if TOTAL in given:
        total = _one_each(samples, TOTAL, key).reindex(counted.index)
        _refuse(total < counted, f"{TOTAL} is less than the cells counted", total)
        scale = (total / counted.where(counted > 0)).combine_first(scale)
    lacking = scale.isna() & (counted > 0)
    if lacking.any():
        warnings.warn(
            f"{int(lacking.sum())} of {len(scale)} samples have no total, the first is "
            f"{_named(scale.index[int(lacking.to_numpy().argmax())])}: their absolute sizes are missing; "
            f"fill in {' or '.join(given)}",
            RgbtrackWarning,
            stacklevel=4,
        )
    return scale.rename("scale")


def absolute_interval(
    n: NDArray[np.int64], scale: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of the cells in the whole sample, from n counted; of one shape.

    Jeffreys' interval of a Poisson rate, narrowed by ``sqrt(1 - 1 / scale)`` where much of the whole was
    counted; never less than what was seen.
    """
    tail = (1 - level) / 2
    low = np.where(n == 0, 0.0, gammaincinv(n + 0.5, tail))
    high = gammaincinv(n + 0.5, 1 - tail)
    left = np.sqrt(np.clip(1 - 1 / scale, 0, 1))
    return np.maximum(n + (low - n) * left, n / scale) * scale, (n + (high - n) * left) * scale


def _one_each(samples: pd.DataFrame, name: str, key: list[str]) -> pd.Series:
    """The one total of each sample, told once or by every image."""
    several = differing(samples, name, key)
    if several.any():
        where = samples[several][key].iloc[0].to_list()
        found = samples.loc[(samples[key] == where).all(axis=1), name].dropna().drop_duplicates()
        raise DataError(
            f"{name} of sample {_named(where)} is {' and '.join(f'{value:g}' for value in found)}: give one "
            f"number for the whole sample, once or at each of its images"
        )
    return samples.groupby(key)[name].first()


def differing(samples: pd.DataFrame, name: str, key: list[str]) -> pd.Series:
    """Whether each row tells something else than an earlier one of its sample."""
    told = samples[[*key, name]].dropna().drop_duplicates()
    return told.duplicated(key).reindex(samples.index, fill_value=False)


def _refuse(wrong: pd.Series, what: str, found: pd.Series) -> None:
    if wrong.any():
        at = int(wrong.to_numpy().argmax())
        raise DataError(
            f"sample {_named(wrong.index[at])}: {what} (found {found.iloc[at]:g}); give the number of the "
            f"whole sample, or leave it blank"
        )


def _named(where: Iterable[object]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in where)
