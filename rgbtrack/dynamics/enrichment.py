"""Clones that are over-represented at a site against the site it was seeded from."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from rgbtrack.dynamics.lesion_params import LesionParams
from rgbtrack.dynamics.linkage import Floats, Ints
from rgbtrack.dynamics.names import name_of
from rgbtrack.dynamics.overlap import last_counts
from rgbtrack.dynamics.seeding_effects import welch
from rgbtrack.errors import DataError, ParamError
from rgbtrack.tables import SITE_CLONES, SITE_ENRICHMENT

_HALF = 0.5
"""Cells added to each count: the ratio of a clone of zero cells is finite."""


class Enrichment(NamedTuple):
    """Clones of each subject and site against the source, and the mean over subjects of each arm."""

    subjects: pd.DataFrame
    arms: pd.DataFrame


def site_enrichment(
    sizes: pd.DataFrame,
    params: LesionParams = LesionParams(),  # noqa: B008
    *,
    source: str = "primary",
    control: str | None = None,
    clones: pd.DataFrame | None = None,
) -> Enrichment:
    """Tell which clones are over-represented at each site, in each subject and over the subjects of an arm.

    Parameters
    ----------
    sizes
        Clone sizes; the last timepoint with cells of each subject and site counts.
    params
        Level of the intervals.
    source
        Site that is compared with.
    control
        Treatment whose enrichment that of the others is compared with; None: no such comparison.
    clones
        The clone table, for ``expected_founders``.

    Returns
    -------
    subjects
        One row per subject, site and clone with cells at either; see `tables.SITE_CLONES`. Beyond counting,
        within this one animal: no statement on others.
    arms
        One row per site, clone, arm and comparison; see `tables.SITE_ENRICHMENT`. The subject is the unit.

    Raises
    ------
    DataError
        If columns are missing, or no subject has cells at the source and at another site.
    ParamError
        If no subject had the control treatment.

    Notes
    -----
    In a subject: the log2 ratio of shares, ``ln((a + .5)(m + 1) / ((b + .5)(n + 1)))`` with the delta-method
    interval, and Fisher's exact test with mid-p. Cells of one lesion descend from few founders, so counts of
    cells tell seeding and growth together; to ask about seeding alone, count lesions (`count_seeds`). Over
    subjects the log2 ratios are centred on the mean clone of each subject (shares sum to one: one clone's
    gain is the others' loss), and tested by t, between arms by Welch's t. Clones that no subject of an arm
    has are left out there.
    """
    table = last_counts(sizes)
    control = None if control is None else name_of(control)
    if control is not None and control not in set(table["treatment"]):
        found = ", ".join(map(str, sorted(table["treatment"].unique())))
        raise ParamError(f"no subject had the control treatment {control!r}; found {found or 'no subjects'}")
    parts = []
    for (subject, treatment), own in table.groupby(["subject", "treatment"], sort=True):
        counts = own.pivot_table("n_cells", "clone", "site", aggfunc="sum", fill_value=0)
        times = own.groupby("site")["timepoint"].first()
        if source not in counts.columns:
            continue
        for site in counts.columns.drop(source):
            a, b = (counts[name].to_numpy(dtype=np.int64) for name in (site, source))
            either = (a + b) > 0
            ratios = _ratios(a[either], b[either], params.level)
            ratios.insert(0, "clone", counts.index[either])
            names = {"subject": str(subject), "treatment": str(treatment), "site": str(site)}
            parts.append(ratios.assign(timepoint=times[site], **names))
    if not parts:
        raise DataError(
            f"no subject has cells at the site {source!r} and at another; found sites "
            f"{', '.join(map(str, sorted(table['site'].unique()))) or 'none'}: name the site that "
            "cells spread from, [dynamics.lesions] source, or image it"
        )
    told = pd.concat(parts, ignore_index=True)
    if clones is not None and "expected_founders" in clones.columns:
        told = told.merge(clones[["clone", "expected_founders"]], on="clone", how="left")
    order = [column.name for column in SITE_CLONES.columns if column.name in told.columns]
    return Enrichment(SITE_CLONES.check(told[order]), _arms(told, params, control, source))


def _ratios(a: Ints, b: Ints, level: float) -> pd.DataFrame:
    """Shares of clones at two places: ratio, interval, p value."""
    n, m = a.sum(), b.sum()
    ratio = np.log2((a + _HALF) * (m + 1.0) / ((b + _HALF) * (n + 1.0)))
    variance = 1 / (a + _HALF) - 1 / (n + 1) + 1 / (b + _HALF) - 1 / (m + 1)
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(np.maximum(variance, 0)) / np.log(2)
    law = stats.hypergeom(n + m, a + b, n)
    at = law.pmf(a)
    p = np.minimum(2 * np.minimum(law.cdf(a), law.sf(a - 1)) - at, 1)
    p = np.clip(p, 0, 1)
    return pd.DataFrame(
        {"n_cells": a, "source_cells": b, "log2_ratio": ratio, "low": ratio - half, "high": ratio + half}
        | {"p_value": p, "q_value": stats.false_discovery_control(p)}
    )


def _arms(told: pd.DataFrame, params: LesionParams, control: str | None, source: str) -> pd.DataFrame:
    """Mean enrichment of each clone over the subjects of each arm, and between arms."""
    rows = []
    for site, table in told.groupby("site", sort=True):
        wide = table.pivot_table("log2_ratio", ["treatment", "subject"], "clone")
        # a clone with no cell at either place has no ratio: it weighs nothing in the centre
        centred = wide.sub(wide.mean(axis=1), axis=0)
        arms = {str(name): part for name, part in centred.groupby(level="treatment")}
        for name, arm in arms.items():
            for clone in arm.columns[arm.notna().any()]:
                y = arm[clone].dropna().to_numpy()
                key = {"site": site, "clone": clone, "treatment": name, "n_subjects": len(y)}
                rows.append({**key, "against": source} | _one_sample(y, params.level))
                if control is not None and name != control and control in arms:
                    x = arms[control][clone].dropna().to_numpy()
                    rows.append({**key, "against": control} | _two_samples(y, x, params.level))
    arms_table = pd.DataFrame(rows, columns=[column.name for column in SITE_ENRICHMENT.columns])
    arms_table["q_value"] = arms_table.groupby(["site", "treatment", "against"])["p_value"].transform(_q)
    arms_table = arms_table.sort_values(["site", "treatment", "against", "clone"], ignore_index=True)
    return SITE_ENRICHMENT.check(arms_table)


def _one_sample(y: Floats, level: float) -> dict[str, float]:
    effect = float(y.mean())
    if len(y) < 2 or np.ptp(y) == 0:
        return {"effect": effect, "low": np.nan, "high": np.nan, "p_value": np.nan}
    test = stats.ttest_1samp(y, 0)
    low, high = test.confidence_interval(level)
    return {"effect": effect, "low": float(low), "high": float(high), "p_value": float(test.pvalue)}


def _two_samples(y: Floats, x: Floats, level: float) -> dict[str, float]:
    names = ("effect", "low", "high", "p_value")
    if min(len(y), len(x)) < 2:
        return dict.fromkeys(names, np.nan)
    return dict(zip(names, welch(y, x, level), strict=True))


def _q(p: pd.Series) -> pd.Series:
    told = p.notna()
    q = pd.Series(np.nan, index=p.index)
    if told.any():
        q[told] = stats.false_discovery_control(p[told].astype(float))
    return q
