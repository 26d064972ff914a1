"""Did the treatment change how cells move or divide? Subjects compared, never cells."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, ttest_ind

from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.link.motility import clone_motility
from rgbtrack.link.motility_params import MotilityParams
from rgbtrack.tables import MOTILITY_BY_TREATMENT, TRACKED

MEASURES = (
    "speed_um_h",
    "speed_corrected_um_h",
    "straightness",
    "persistence_h",
    "motility_um2_h",
    "division_rate_per_h",
    "loss_rate_per_h",
    "exit_rate_per_h",
)
"""Columns of `rgbtrack.tables.CLONE_MOTILITY` that are compared."""
_WHEN = ("timepoint", "site")


def motility_by_treatment(
    cells: pd.DataFrame,
    params: MotilityParams = MotilityParams(),  # noqa: B008
    *,
    measures: Sequence[str] = MEASURES,
) -> pd.DataFrame:
    """Compare movement and division between treatments, with the subject as the unit.

    Parameters
    ----------
    cells
        Tracked cells with ``subject`` and ``treatment``; see `rgbtrack.tables.TRACKED`.
    params
        How it is measured; ``control`` names the reference.
    measures
        Columns of `rgbtrack.tables.CLONE_MOTILITY`.

    Returns
    -------
    comparison
        One row per clone (and one of all tracks, ``clone`` missing), measure, timepoint, site and treatment
        other than the control; see `rgbtrack.tables.MOTILITY_BY_TREATMENT`. Every subject gives one value,
        from all its tracks, whatever their number.

    Raises
    ------
    DataError
        If the columns of the sheet are missing, or they cannot be tracks.
    ParamError
        If a measure or the control is not there.

    Warns
    -----
    RgbtrackWarning
        If a subject had several treatments: pairs are not made.

    Notes
    -----
    Welch's t test of the subjects' values; false discovery rate over the clones of a measure, a treatment, a
    timepoint and a site. A rate of a subject with few cell hours weighs as much as that of one with many.
    Where subjects have few cells of a clone, the test has little power: a large p does not show that a
    treatment did nothing.
    """
    TRACKED.check(cells, need=["subject", "treatment"])
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise ParamError(f"no measure is named {', '.join(unknown)}: there are {', '.join(MEASURES)}")
    if cells[["subject", "treatment"]].isna().any(axis=None):
        raise DataError("some cells have no subject or no treatment: fill in every row of the sample sheet")
    when = [name for name in _WHEN if name in cells]
    values = [clone_motility(cells, params, by=["subject", "treatment", *when])]
    if "clone" in cells:
        values.append(
            clone_motility(cells, params, by=["clone", "subject", "treatment", *when]).dropna(subset="clone")
        )
    long = pd.concat(values, ignore_index=True)
    long = long.reindex(columns=["clone", *values[0].columns]).astype({"clone": "Int64"})
    treatments = sorted(long["treatment"].unique())
    control = params.control if params.control is not None else next(iter(treatments), None)
    if treatments and control not in treatments:
        raise ParamError(f"no tracked cell had the control {control!r}: there are {', '.join(treatments)}")
    twice = long.drop_duplicates(["subject", "treatment"]).groupby("subject").size() > 1
    if twice.any():
        warnings.warn(
            f"{int(twice.sum())} subjects had several treatments "
            f"({', '.join(map(str, twice.index[twice][:3]))}): "
            f"they are compared as if they were different subjects",
            RgbtrackWarning,
            stacklevel=2,
        )
    rows: list[dict[str, Any]] = []
    for key, pool in long.groupby(["clone", *when], dropna=False, sort=True):
        names = dict(zip(["clone", *when], key, strict=True))
        rows += [
            names
            | {"measure": measure, "treatment": other, "control": control}
            | _compare(pool, measure, other, control, params.level)
            for measure in measures
            for other in treatments
            if other != control
        ]
    columns = [c.name for c in MOTILITY_BY_TREATMENT.columns if c.required or c.name in when]
    table = pd.DataFrame(rows, columns=columns).astype({"clone": "Int64"})
    return _with_q(table, ["measure", "treatment", *when])


def _compare(pool: pd.DataFrame, measure: str, other: str, control: Any, level: float) -> dict[str, Any]:
    a, b = (
        pool.loc[pool["treatment"] == name, measure].dropna().to_numpy(float) for name in (other, control)
    )
    row: dict[str, Any] = {"n_subjects": len(a), "n_control": len(b)}
    mean, reference = (float(x.mean()) if len(x) else np.nan for x in (a, b))
    row |= {"mean": mean, "control_mean": reference, "difference": mean - reference}
    row["ratio"] = mean / reference if reference else np.nan
    if min(len(a), len(b)) < 2 or np.ptp(a) + np.ptp(b) <= 1e-12 * max(abs(mean), abs(reference)):
        return row | dict.fromkeys(("difference_low", "difference_high", "p"), np.nan)
    test = ttest_ind(a, b, equal_var=False)
    low, high = test.confidence_interval(level)
    return row | {"difference_low": float(low), "difference_high": float(high), "p": float(test.pvalue)}


def _with_q(table: pd.DataFrame, family: list[str]) -> pd.DataFrame:
    """False discovery rates, of the clones among themselves; that of all tracks is its p."""
    q = table["p"].astype(float).copy()
    tested = table[table["clone"].notna() & table["p"].notna()]
    for _, rows in tested.groupby(family, dropna=False):
        q[rows.index] = false_discovery_control(rows["p"].to_numpy(float))
    return table.assign(q=q)
