"""Which samples are compared: one row per subject and condition, counts of every clone beside it."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.dynamics.names import name_of
from rgbtrack.dynamics.params import ResponseParams
from rgbtrack.dynamics.plain import plain
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import CLONE_SIZES

Floats = NDArray[np.float64]

_TAKEN = {"clone", "subject", "timepoint", "site", "after"}
"""Columns that cannot be factors of a design."""


@dataclass(frozen=True, eq=False)
class Units:
    """What is compared at one site.

    Attributes
    ----------
    table
        One row per subject and condition: ``subject``, the factors, and ``after`` (of an event; always False
        without one).
    counts
        Cells of each clone, shape (units, clones), not always whole numbers.
    clones
        The clones, in the order of the columns.
    when
        What was compared, in words.
    """

    table: pd.DataFrame
    counts: Floats
    clones: pd.Index
    when: str


def references(sizes: pd.DataFrame, params: ResponseParams) -> dict[str, str]:
    """Return the reference of every factor; the first factor is the treatment.

    Raises
    ------
    DataError
        If a factor or its reference is not in the table, or none is given and the table does not tell.
    """
    control = params.control
    if control is None:
        found = (
            sorted(set(map(name_of, sizes["treatment"].dropna().unique()))) if "treatment" in sizes else []
        )
        if len(found) == 1:
            return {"treatment": found[0]}
        raise DataError(f"control is not given: name the reference treatment, one of {', '.join(found)}")
    named = {"treatment": control} if isinstance(control, str) else dict(control)
    if "treatment" not in named:
        raise DataError(f"control names {', '.join(named)}: name the reference treatment too")
    for factor, level in named.items():
        if factor in _TAKEN:
            raise DataError(
                f"control names {factor}, which is no condition that is compared: name the treatment and "
                f"columns of your own (rename a column that is called {factor})"
            )
        if factor not in sizes.columns:
            raise DataError(f"control names {factor}, found columns {', '.join(map(str, sizes.columns))}")
        found = sorted({name_of(value) for value in sizes[factor].dropna().unique()})
        if level not in found:
            raise DataError(f"control {factor} {level!r} is not in the table, found {', '.join(found)}")
    return {"treatment": named.pop("treatment"), **named}


def units_by_site(sizes: pd.DataFrame, params: ResponseParams, factors: list[str]) -> dict[str, Units]:
    """Choose what is compared, site by site.

    Parameters
    ----------
    sizes
        Clone sizes, see `tables.CLONE_SIZES`; ``timepoint`` and ``site`` may be absent.
    params
        What is compared.
    factors
        Columns that name a condition, the first is ``treatment``.

    Raises
    ------
    DataError
        If a column is missing, a size is negative or missing, or there is nothing to compare.
    """
    sizes = plain(sizes)
    CLONE_SIZES.check(sizes, need=["clone", "subject", "treatment"])
    column = params.size
    if column not in sizes.columns:
        raise DataError(f"sizes are not in column {column}, found {', '.join(map(str, sizes.columns))}")
    size = pd.to_numeric(sizes[column], errors="coerce")
    bad = size.isna() | (size < 0) | ~np.isfinite(size)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} rows have no valid {column} (the first is "
            f"{sizes.loc[bad, column].iloc[0]}): give numbers from 0 on, zero for a clone not seen"
        )
    long = sizes.assign(
        _size=size.astype(float),
        timepoint=sizes["timepoint"] if "timepoint" in sizes.columns else 0.0,
        **{factor: sizes[factor].map(name_of, na_action="ignore") for factor in factors},
    )
    event = [params.event_time] if isinstance(params.event_time, str) else []
    if event and event[0] not in sizes.columns:
        raise DataError(f"event_time is not in column {event[0]}, found {', '.join(map(str, sizes.columns))}")
    keys = list(dict.fromkeys(["site", "subject", *factors, "timepoint", *event]))
    blank = [name for name in [*keys, "clone"] if long[name].isna().any()]
    if blank:
        raise DataError(f"some rows have no {', '.join(blank)}: fill them in")
    repeated = long.duplicated([*keys, "clone"])
    if repeated.any():
        raise DataError(
            f"{int(repeated.sum())} rows repeat a clone of a sample, the first is clone "
            f"{long.loc[repeated, 'clone'].iloc[0]} of {long.loc[repeated, 'subject'].iloc[0]}: "
            f"add them up first"
        )
    if long.empty:
        raise DataError("the table of sizes is empty: nothing was counted")
    return {
        str(site): _units(part, params, factors, keys[1:]) for site, part in long.groupby("site", sort=True)
    }


def _units(long: pd.DataFrame, params: ResponseParams, factors: list[str], keys: list[str]) -> Units:
    """Units of one site."""
    wide = long.pivot_table(index=keys, columns="clone", values="_size", aggfunc="sum")
    samples = wide.index.to_frame(index=False)
    counts = wide.fillna(0.0).to_numpy()
    empty = counts.sum(axis=1) == 0
    if empty.all():
        raise DataError("no sample holds any cell of a clone: nothing can be compared")
    if empty.any():
        names = ", ".join(f"{row.subject} at day {row.timepoint:g}" for row in samples[empty].itertuples())
        warnings.warn(
            f"samples without any cell of a clone are left out: {names}", RgbtrackWarning, stacklevel=5
        )
        samples, counts = samples[~empty].reset_index(drop=True), counts[~empty]
    after = np.zeros(len(samples), dtype=bool)
    if params.event_time is not None:
        after = (samples["timepoint"] > _event_times(samples, params.event_time)).to_numpy()
        if not after.any():
            raise DataError(
                f"no sample was taken after the event (event_time = {params.event_time}), found days "
                f"{', '.join(f'{day:g}' for day in np.unique(samples['timepoint']))}: look at event_time"
            )
        named = (
            f"the event (column {params.event_time})"
            if isinstance(params.event_time, str)
            else f"day {params.event_time:g}"
        )
        when = f"after {named}, against that day and before"
        chosen = np.ones(len(samples), dtype=bool)
    else:
        chosen, when = _chosen(samples, params, factors)
    samples = samples.assign(after=after)[chosen].reset_index(drop=True)
    counts = counts[chosen]
    group = ["subject", *factors, "after"]
    number = samples.groupby(group, sort=True).ngroup().to_numpy()
    # timepoints of one subject weigh alike, and are no replicates
    totals = counts.sum(axis=1, keepdims=True)
    weight = np.zeros((number.max() + 1, len(samples)))
    weight[number, np.arange(len(samples))] = 1.0
    shares = weight @ (counts / totals) / weight.sum(axis=1, keepdims=True)
    table = samples[group].drop_duplicates().sort_values(group, ignore_index=True)
    return Units(table, shares * (weight @ totals), wide.columns, when)


def _event_times(samples: pd.DataFrame, event: float | str) -> pd.Series:
    """Day of the event in each sample's subject."""
    if not isinstance(event, str):
        return pd.Series(event, index=samples.index)
    times = pd.to_numeric(samples[event], errors="coerce")
    if times.isna().any():
        found = samples.loc[times.isna(), event].iloc[0]
        raise DataError(f"event_time: column {event} should hold days, found {found!r}: give numbers")
    several = times.groupby(samples["subject"]).nunique()
    if (several > 1).any():
        raise DataError(
            f"event_time: column {event} holds several days in subject {several.idxmax()}: give each subject "
            f"the one day of its event, in all its rows"
        )
    return times


def _chosen(
    samples: pd.DataFrame, params: ResponseParams, factors: list[str]
) -> tuple[NDArray[np.bool_], str]:
    """Rows of the day that is compared, and that day in words."""
    days = np.sort(samples["timepoint"].unique())
    if params.timepoint == "mean":
        return np.ones(len(samples), dtype=bool), "mean of days " + ", ".join(f"{day:g}" for day in days)
    if params.timepoint != "last":
        chosen = (samples["timepoint"] == params.timepoint).to_numpy()
        if not chosen.any():
            raise DataError(
                f"no sample was taken on day {params.timepoint:g}, found days "
                f"{', '.join(f'{day:g}' for day in days)}"
            )
        return chosen, f"day {params.timepoint:g}"
    arms = samples.groupby(factors, sort=False)["subject"].nunique()
    seen = pd.crosstab(
        samples["timepoint"], [samples[factor] for factor in factors], samples["subject"], aggfunc="nunique"
    )
    seen = seen.reindex(columns=arms.index).fillna(0)
    enough = (seen >= np.minimum(2, arms.to_numpy())).all(axis=1).to_numpy()
    shared = (seen >= 1).all(axis=1).to_numpy()
    usable = seen.index[enough] if enough.any() else seen.index[shared]
    day = float(usable.max()) if len(usable) else float(days[-1])
    if day != days[-1]:
        warnings.warn(
            f"day {day:g} is compared, not day {days[-1]:g}: there, an arm is missing or has one subject",
            RgbtrackWarning,
            stacklevel=6,
        )
    return (samples["timepoint"] == day).to_numpy(), f"day {day:g}"
