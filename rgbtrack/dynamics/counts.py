"""Clone sizes from a table of counts that something else made, such as reads of DNA barcodes."""

import itertools
import warnings
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval
from rgbtrack.errors import DataError, RgbtrackWarning


def sizes_from_counts(counts: pd.DataFrame, samples: pd.DataFrame, *, zeros: bool = True) -> pd.DataFrame:
    """Turn a table of counts and its sheet of samples into clone sizes.

    Parameters
    ----------
    counts
        Clones in rows, named by the index; samples in columns. Whole numbers, or any that are not negative.
    samples
        One row per column of counts: ``sample`` (its name there), ``subject, treatment, timepoint`` (d), and
        where they matter ``site`` ("primary" where absent) and ``cells``: how many cells the counts stand
        for, to which they are then scaled. Columns that share all of subject, treatment, timepoint and site
        are added up.
    zeros
        Whether clones that a sample lacks have a row. What compares treatments needs it; diversity and
        turnover do not, and tables of many clones are smaller without.

    Returns
    -------
    sizes
        The columns of `tables.CLONE_SIZES`, and ``clone_name``: clones are numbered, 1 is the largest by its
        mean share, and keep their label there. Clones of which nothing was counted are left out. Intervals of
        fractions are missing where counts are not whole.

    Raises
    ------
    DataError
        All that does not fit, at once.

    Warns
    -----
    RgbtrackWarning
        Where columns are added up.

    Notes
    -----
    Reads are not cells: amplified copies of one cell's barcode are counted again and again, so intervals from
    counting reads are too narrow, by as much as reads outnumber cells. ``cells`` mends most of that.

    Examples
    --------
    >>> counts = pd.DataFrame({"d0": [10, 90], "d7": [60, 40]}, index=["ACGT", "TTGA"])
    >>> samples = pd.DataFrame({"sample": ["d0", "d7"], "timepoint": [0, 7]})
    >>> sizes = sizes_from_counts(counts, samples.assign(subject="m1", treatment="vehicle"))
    >>> sizes[["clone", "clone_name", "timepoint", "n_cells", "fraction"]]
       clone clone_name  timepoint  n_cells  fraction
    0      1       TTGA          0       90       0.9
    1      2       ACGT          0       10       0.1
    2      1       TTGA          7       40       0.4
    3      2       ACGT          7       60       0.6
    """
    samples = samples if "site" in samples.columns else samples.assign(site="primary")
    _check(counts, samples)
    sheet = samples.set_index("sample").loc[list(counts.columns)]
    n = counts.to_numpy(float)
    scaled = "cells" in sheet.columns
    if scaled:
        total = n.sum(axis=0)
        cells = sheet["cells"].to_numpy(float, na_value=np.nan)
        n = np.round(n * np.where(np.isfinite(cells) & (total > 0), cells / np.maximum(total, 1e-300), 1.0))
    groups = sheet.groupby(SAMPLE[1:] + SAMPLE[:1], sort=True)
    group = groups.ngroup().to_numpy()
    names = sheet[SAMPLE].iloc[np.unique(group, return_index=True)[1]].reset_index(drop=True)
    if len(names) < len(sheet):
        shared = sheet.index[pd.Series(group).duplicated(keep=False).to_numpy()]
        warnings.warn(
            f"{len(shared)} columns share subject, treatment, timepoint and site with another and are added "
            f"up: {_some(list(shared))}; tell them apart in site if they are not parts of one sample",
            RgbtrackWarning,
            stacklevel=2,
        )
    n = np.column_stack([n[:, group == k].sum(axis=1) for k in range(len(names))])
    total = n.sum(axis=0)
    share = np.divide(n, total, out=np.full(n.shape, np.nan), where=total > 0)
    mean = share[:, total > 0].mean(axis=1) if (total > 0).any() else np.zeros(len(n))
    order = np.argsort(-mean, kind="stable")
    order = order[mean[order] > 0]
    return _long(n[order], share[order], total, names, counts.index[order], zeros)


def _long(
    n: np.ndarray, share: np.ndarray, total: np.ndarray, names: pd.DataFrame, labels: pd.Index, zeros: bool
) -> pd.DataFrame:
    """One row per sample and clone, in that order."""
    whole = bool((n == np.round(n)).all())
    sample, clone = np.nonzero(n.T > 0) if not zeros else np.indices(n.T.shape).reshape(2, -1)
    own = n[clone, sample]
    table = pd.DataFrame({"clone": clone + 1})
    for name in SAMPLE:
        table[name] = names[name].array.take(sample)
    table["n_cells"] = own.astype("int64") if whole else own
    table["fraction"] = share[clone, sample]
    low, high = np.full((2, len(own)), np.nan)
    ends = np.append(np.flatnonzero(np.diff(sample, prepend=-1)), len(own)) if whole else np.array([0])
    for start, stop in itertools.pairwise(ends):  # one sample: few counts differ
        count, place = np.unique(own[start:stop], return_inverse=True)
        if total[sample[start]] > 0:
            both = binomial_interval(count, total[sample[start]])
            low[start:stop], high[start:stop] = both[0][place], both[1][place]
    table["fraction_low"], table["fraction_high"] = low, high
    table["clone_name"] = pd.Categorical.from_codes(clone, labels.astype(str))
    return table


def _check(counts: pd.DataFrame, samples: pd.DataFrame) -> None:
    needed = ["sample", "subject", "treatment", "timepoint"]
    missing = [name for name in needed if name not in samples.columns]
    if missing:
        raise DataError(
            f"sheet of samples lacks column{'s' * (len(missing) > 1)} {', '.join(missing)}; found "
            f"{', '.join(map(str, samples.columns)) or 'no columns'}: rename yours, or add them"
        )
    problems = []
    columns, named = list(counts.columns), list(samples["sample"])
    if len(set(named) & set(counts.index)) > len(set(named) & set(columns)):
        raise DataError("samples are the rows of the counts: give counts.T, clones in rows")
    for what, found, other in (
        ("columns of the counts are not in the sheet of samples", columns, named),
        ("samples of the sheet are not columns of the counts", named, columns),
    ):
        lost = [name for name in found if name not in set(other)]
        if lost:
            problems.append(f"{len(lost)} {what}: {_some(lost)}")
    for what, labels in (("samples", pd.Index(named)), ("clones", counts.index), ("columns", counts.columns)):
        if labels.has_duplicates:
            repeated = labels[labels.duplicated()].unique()
            problems.append(f"{len(repeated)} {what} are named more than once: {_some(list(repeated))}")
    nameless = int(np.sum(counts.index.isna()))
    if nameless:
        problems.append(f"{nameless} clones have no name")
    text = [name for name in columns if not pd.api.types.is_numeric_dtype(counts[name])]
    if text:
        problems.append(f"{len(text)} columns of the counts hold no numbers: {_some(text)}")
    else:
        n = counts.to_numpy(float, na_value=np.nan)
        if not np.isfinite(n).all():
            problems.append(f"{int((~np.isfinite(n)).sum())} counts are missing: write 0 for none")
        if (n < 0).any():
            problems.append(f"{int((n < 0).sum())} counts are negative, the least is {np.nanmin(n):g}")
    for name in ("timepoint", "cells"):
        if name in samples.columns and len(samples) and not pd.api.types.is_numeric_dtype(samples[name]):
            number = pd.to_numeric(samples[name], errors="coerce")
            wrong = samples.loc[number.isna() & samples[name].notna(), name]
            what = repr(wrong.iloc[0]) if len(wrong) else "text"
            problems.append(f"{name} of the samples should hold numbers, found {what}")
    for name in SAMPLE:
        if samples[name].isna().any():
            problems.append(f"{int(samples[name].isna().sum())} samples have no {name}")
    if problems:
        raise DataError("\n".join(problems))


def _some(names: list[Any]) -> str:
    return ", ".join(map(str, names[:3])) + (" ..." if len(names) > 3 else "")
