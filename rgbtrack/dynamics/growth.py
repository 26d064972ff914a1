"""How fast clones grow: in each subject, on average over those of a treatment, and how treatments differ."""

import warnings
from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtr
from scipy.stats import false_discovery_control

from rgbtrack.dynamics.log_sizes import log_sizes
from rgbtrack.dynamics.moderate import fit_moderated
from rgbtrack.dynamics.names import name_of
from rgbtrack.dynamics.params import GrowthParams
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import GROWTH, GROWTH_BY_TREATMENT

Floats = NDArray[np.float64]

_UNIT = ["subject", "treatment", "site"]


def clone_growth(
    sizes: pd.DataFrame,
    params: GrowthParams = GrowthParams(),  # noqa: B008
) -> pd.DataFrame:
    """Work out the growth rate of every clone in every subject.

    Parameters
    ----------
    sizes
        Clone sizes; see `clone_sizes`. ``clone`` may be any label, such as a barcode.
    params
        Relative or absolute, of which sizes.

    Returns
    -------
    growth
        See `tables.GROWTH`. Missing where a clone has no cell at any timepoint of the subject.

    Raises
    ------
    DataError
        If there is one timepoint only, or absolute growth is asked for without totals.

    Notes
    -----
    The slope over time of ``ln(n + 1/2)``, less its mean over the clones of the sample (relative) or scaled
    up to the whole sample (absolute): a rate of 0.1 per day doubles in ``ln 2 / 0.1`` = 7 days. The interval
    holds what counting leaves unsure and, where some subject has three timepoints, how far samples stray from
    straight lines, which all clones share. With two timepoints in each it is of counting alone.
    """
    table = log_sizes(sizes, params)
    _need_two_timepoints(table)
    blocks = _repeated(table)
    if not blocks:
        raise DataError(
            "no subject was seen at two timepoints: the growth of a subject cannot be told; "
            "growth_by_treatment compares subjects of different timepoints"
        )
    scatter = _scatter(blocks)
    growth = pd.concat([_slopes(block, scatter, params) for block in blocks], ignore_index=True)
    growth = growth.sort_values(["site", "treatment", "subject", "clone"], kind="stable", ignore_index=True)
    growth["kind"] = params.kind
    return growth[[column.name for column in GROWTH.columns]]


def growth_by_treatment(
    sizes: pd.DataFrame,
    params: GrowthParams = GrowthParams(),  # noqa: B008
    *,
    control: str | None = None,
) -> pd.DataFrame:
    """Average growth rates over the subjects of each treatment, and compare treatments.

    Parameters
    ----------
    sizes
        Clone sizes; see `clone_sizes`.
    params
        Relative or absolute, of which sizes.
    control
        The treatment that others are compared with; without it none are.

    Returns
    -------
    growth
        See `tables.GROWTH_BY_TREATMENT`.

    Raises
    ------
    DataError
        If there is one timepoint only, no treatment has two subjects, or the control is not there.

    Notes
    -----
    The subject is the unit. Where subjects were seen repeatedly, their slopes are averaged; where each was
    seen once, the slope is over subjects. Subjects count by one over the variance of counting and between
    subjects; the latter is shared by all clones, and each clone's own scatter is drawn towards it, so that
    three animals suffice for sensible intervals (see `moderate.fit_moderated`). q values are over the clones
    of a treatment and site (Benjamini and Hochberg).
    """
    table = log_sizes(sizes, params)
    control = None if control is None else name_of(control)
    _need_two_timepoints(table)
    if control is not None and control not in set(table["treatment"]):
        raise DataError(
            f"control {control!r} is not a treatment of these sizes; found "
            f"{', '.join(map(repr, sorted(table['treatment'].unique())))}"
        )
    subjects = table.groupby("treatment")["subject"].nunique()
    if (subjects < 2).all():
        raise DataError(
            "no treatment has two subjects: nothing tells how far subjects differ; add subjects, or see "
            "clone_growth for each of them"
        )
    if (subjects < 2).any():
        alone = ", ".join(map(str, subjects.index[subjects < 2]))
        warnings.warn(
            f"treatment {alone} has one subject: its growth has no interval and is compared with none",
            RgbtrackWarning,
            stacklevel=2,
        )
    both = table.groupby("subject")["treatment"].unique().map(len) > 1
    if both.any():
        warnings.warn(
            f"{int(both.sum())} subjects are in several treatments, the first is {both.idxmax()}: they "
            f"count in each as if they were different ones",
            RgbtrackWarning,
            stacklevel=2,
        )
    parts = [_site(of, params, control) for _, of in table.groupby("site", sort=True)]
    found = [part for part in parts if part is not None]
    if not found:
        raise DataError("no site was seen at two timepoints: there is no growth to speak of")
    if len(found) < len(parts):
        sites = ", ".join(
            sorted(set(map(str, table["site"])) - {str(part["site"].iloc[0]) for part in found})
        )
        warnings.warn(
            f"site {sites} was seen at one timepoint: its growth cannot be told",
            RgbtrackWarning,
            stacklevel=2,
        )
    growth = pd.concat(found, ignore_index=True)
    if growth["rate_low_per_d"].isna().all():
        raise DataError(
            "no clone was seen often enough in two subjects of a treatment (across subjects: three): nothing "
            "tells how far subjects differ. Where each subject has clones of its own, see clone_growth"
        )
    return growth[[column.name for column in GROWTH_BY_TREATMENT.columns]]


def _need_two_timepoints(table: pd.DataFrame) -> None:
    times = table["timepoint"].unique()
    if len(times) < 2:
        raise DataError(
            f"growth needs two timepoints with cells: all are of timepoint {times[0]:g}; add another, or see "
            f"clone_response for shares at one"
        )


def _repeated(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows of each subject at each site, where it was seen at several timepoints."""
    blocks = [block for _, block in table.groupby(_UNIT, sort=True)]
    return [block for block in blocks if len(block["timepoint"].unique()) > 1]


def _slopes(block: pd.DataFrame, scatter: float, params: GrowthParams) -> pd.DataFrame:
    """Slopes of all clones of one subject at one site."""
    time, value, variance = _wide(block)
    slope, square = _line(time, value, variance + scatter)[:2]
    se = np.sqrt(1 / np.where(square > 0, square, np.nan))
    groups = block.groupby("clone", sort=True)
    n = groups["n_cells"].sum()
    seen = (n > 0).to_numpy()
    reach = ndtri((1 + params.level) / 2) * se
    return pd.DataFrame(
        {
            "clone": n.index.to_numpy(),
            **{name: block[name].iloc[0] for name in _UNIT},
            "rate_per_d": np.where(seen, slope, np.nan),
            "rate_low_per_d": np.where(seen, slope - reach, np.nan),
            "rate_high_per_d": np.where(seen, slope + reach, np.nan),
            "rate_se_per_d": np.where(seen, se, np.nan),
            "first_d": groups["timepoint"].min().to_numpy(),
            "last_d": groups["timepoint"].max().to_numpy(),
            "n_timepoints": groups.size().to_numpy(),
            "n_empty": (block["n_cells"] == 0).groupby(block["clone"]).sum().to_numpy(),
            "n_cells": n.astype("int64").to_numpy(),
            "in_reference": groups["in_reference"].any().to_numpy(),
        }
    )


def _wide(block: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Times (t,), log sizes and variances (t, k) of one subject at one site, clones in order."""
    time, row = np.unique(block["timepoint"].to_numpy(float), return_inverse=True)
    column, clones = pd.factorize(block["clone"], sort=True)
    wide = np.full((2, len(time), len(clones)), np.nan)
    wide[:, row, column] = block[["log_size", "variance"]].to_numpy(float).T
    return time, wide[0], wide[1]


def _line(time: Floats, value: Floats, variance: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Weighted lines through each column: slope, its precision, residual square, degrees of freedom."""
    w = np.where(np.isfinite(value), 1 / variance, 0.0)
    y = np.nan_to_num(value)
    total = np.where(w.sum(axis=0) > 0, w.sum(axis=0), 1.0)
    t = time[:, None] - (w * time[:, None]).sum(axis=0) / total
    centred = y - (w * y).sum(axis=0) / total
    square = (w * t**2).sum(axis=0)
    slope = (w * t * centred).sum(axis=0) / np.where(square > 0, square, np.nan)
    residual = (w * np.square(centred - t * np.nan_to_num(slope))).sum(axis=0)
    return slope, square, residual, np.maximum((w > 0).sum(axis=0) - 2, 0).astype(float)


def _scatter(blocks: list[pd.DataFrame]) -> float:
    """Variance of samples about straight lines beyond counting, shared by clones and subjects."""
    wide = [of for of in map(_wide, blocks) if len(of[0]) > 2]

    def excess(scatter: float) -> float:
        told = [_line(time, value, variance + scatter)[2:] for time, value, variance in wide]
        return float(sum(residual.sum() - freedom.sum() for residual, freedom in told))

    if not wide or excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, 100.0, rtol=1e-6)) if excess(100.0) < 0 else 100.0


def _site(table: pd.DataFrame, params: GrowthParams, control: Hashable | None) -> pd.DataFrame | None:
    """Rates of all treatments at one site; None where it was seen once."""
    times = table.groupby(["subject", "treatment"])["timepoint"].nunique()
    if len(table["timepoint"].unique()) < 2:
        return None
    within = (times > 1).mean() >= 0.5
    arms = sorted(table["treatment"].unique())
    rows, value, variance = _of_slopes(table, params) if within else _of_means(table)
    arm = rows["treatment"].map({name: i for i, name in enumerate(arms)}).to_numpy()
    design = np.eye(len(arms))[arm]
    if not within:
        since = rows["timepoint"] - rows.groupby("treatment")["timepoint"].transform("mean")
        design = np.hstack([design * since.to_numpy(float)[:, None], design])
    if within and (times == 1).any():
        warnings.warn(
            f"{int((times == 1).sum())} of {len(times)} subjects at site {table['site'].iloc[0]} were seen "
            f"once: growth is told without them",
            RgbtrackWarning,
            stacklevel=3,
        )
    fit = fit_moderated(value.to_numpy(float), variance.to_numpy(float), design)
    units = np.stack([value.notna().to_numpy()[arm == i].sum(axis=0) for i in range(len(arms))])
    enough = units >= (2 if within else 3)
    unit = np.eye(design.shape[1])
    parts = []
    for i, name in enumerate(arms):
        rate, _, low, high = fit.contrast(unit[i], params.level)
        part = pd.DataFrame({"clone": value.columns, "treatment": name, "site": table["site"].iloc[0]})
        part["kind"], part["design"] = params.kind, "within subjects" if within else "across subjects"
        part["rate_per_d"] = rate
        part["rate_low_per_d"], part["rate_high_per_d"] = [
            np.where(enough[i], end, np.nan) for end in (low, high)
        ]
        part["n_subjects"] = units[i]
        part["between_sd"] = np.sqrt(fit.between)
        names = ["difference_per_d", "difference_low_per_d", "difference_high_per_d", "p_value", "q_value"]
        part[names] = np.nan
        if control in arms and name != control:
            c = arms.index(control)
            difference, se, low, high = fit.contrast(unit[i] - unit[c], params.level)
            both = enough[i] & enough[c]
            p = 2 * stdtr(np.maximum(fit.freedom, 1e-9), -np.abs(difference / np.where(se > 0, se, np.nan)))
            part[names[:4]] = np.where(both, [difference, low, high, p], np.nan).T
            known = part["p_value"].notna()
            if known.any():
                part.loc[known, "q_value"] = false_discovery_control(part.loc[known, "p_value"])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _of_slopes(table: pd.DataFrame, params: GrowthParams) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Slopes of subjects that were seen repeatedly, and their variances, (subjects, clones)."""
    blocks = _repeated(table)
    scatter = _scatter(blocks)
    slopes = pd.concat([_slopes(block, scatter, params) for block in blocks], ignore_index=True)
    slopes["variance"] = slopes["rate_se_per_d"] ** 2
    return _table(slopes, ["subject", "treatment"], "rate_per_d")


def _of_means(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Log sizes of subjects, one each, and their variances, (subjects, clones)."""
    groups = table.groupby(["clone", "subject", "treatment"])
    mean = groups[["timepoint", "log_size", "variance"]].mean()
    mean["variance"] /= groups.size()
    mean = mean.reset_index()
    mean["timepoint"] = mean.groupby(["subject", "treatment"])["timepoint"].transform("mean")
    seen = table.groupby("clone")["n_cells"].sum() > 0
    return _table(mean[mean["clone"].map(seen)], ["subject", "treatment", "timepoint"], "log_size")


def _table(
    long: pd.DataFrame, index: list[str], name: str
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows that name the subjects, and values and variances, (subjects, clones)."""
    rows = pd.MultiIndex.from_frame(long[index])
    value: pd.DataFrame = _by_clone(rows, long["clone"], long[name])
    variance: pd.DataFrame = _by_clone(rows, long["clone"], long["variance"])
    some = np.flatnonzero(value.notna().to_numpy().any(axis=1))
    return value.index.to_frame(index=False).iloc[some], value.iloc[some], variance.iloc[some]


def _by_clone(rows: pd.MultiIndex, clone: pd.Series, values: pd.Series) -> pd.DataFrame:
    """Values with a row per subject and a column per clone, both in order."""
    row, subjects = pd.factorize(rows, sort=True)
    column, clones = pd.factorize(clone, sort=True)
    wide = np.full((len(subjects), len(clones)), np.nan)
    wide[row, column] = values
    index = pd.MultiIndex.from_tuples(list(subjects), names=rows.names)
    return pd.DataFrame(wide, index=index, columns=pd.Index(clones, name="clone"))
