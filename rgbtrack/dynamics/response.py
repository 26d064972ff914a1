"""Did the treatment do it? Clones tested one by one and all together, the subject as the unit."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from rgbtrack.dynamics.count_model import model_counts
from rgbtrack.dynamics.design import Design, make_design
from rgbtrack.dynamics.log_ratios import LogRatioFit, fit_log_ratios
from rgbtrack.dynamics.params import ResponseParams
from rgbtrack.dynamics.reference import majority
from rgbtrack.dynamics.rotation import rotation_test
from rgbtrack.dynamics.units import Units, references, units_by_site
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import CLONE_RESPONSE, HETEROGENEITY

SURE, UNSURE = 0.05, 0.2
"""Two models disagree where one has a p below the first and the other above the second."""


@dataclass(frozen=True, eq=False)
class _Comparison:
    """What is compared at one site: the model and what goes into it."""

    site: str
    units: Units
    design: Design
    counts: NDArray[np.float64]
    totals: NDArray[np.float64]
    tested: NDArray[np.bool_]
    notes: list[str]

    def fit(self) -> LogRatioFit:
        return fit_log_ratios(self.counts[:, self.tested], self.totals, self.design.matrix)


def clone_response(
    sizes: pd.DataFrame,
    params: ResponseParams = ResponseParams(),  # noqa: B008
    **settings: Any,
) -> pd.DataFrame:
    """Test how each clone responds to each treatment.

    Parameters
    ----------
    sizes
        Clone sizes, one row per clone and sample, zeros included; see `tables.CLONE_SIZES`. Needed are
        ``clone, subject, treatment`` and ``n_cells``; clones may have any names.
    params
        What is compared.
    **settings
        Any setting of `ResponseParams`, instead of that in ``params``: ``control="vehicle"``,
        ``event_time=7``.

    Returns
    -------
    response
        One row per clone, treatment and site, see `tables.CLONE_RESPONSE`; in the order of the clones.

    Raises
    ------
    DataError
        If a column or the control is missing, or there is nothing that the subjects could tell: one arm, one
        subject an arm, one clone, or clones that are each in one subject.

    Notes
    -----
    The unit is the subject: cells of one animal go together, and counting them as replicates makes anything
    significant. Log shares of all clones are modelled together (`fit_log_ratios`): the scatter between
    subjects is learnt from all clones. An effect is relative to the majority of clones, whose shift is
    estimated from the clones themselves (`majority`), with its error in the interval: shares alone cannot
    tell whether one clone grew or all others shrank. The second model (`model_counts`) shares neither
    logs nor variance with the first. False discovery rates by Benjamini and Hochberg over clones.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = [(k, f"m{s}", "drug" if s > 4 else "vehicle", n * (1 + 3 * (s > 4 and k == 1)))
    ...         for s in range(1, 9) for k, n in enumerate(rng.poisson(100, 6), 1)]
    >>> sizes = pd.DataFrame(rows, columns=["clone", "subject", "treatment", "n_cells"])
    >>> clone_response(sizes, control="vehicle")[["clone", "effect", "q_value"]].head(2).round(1)
       clone  effect  q_value
    0      1     1.9      0.0
    1      2     0.1      0.7
    """
    params = params.with_settings(settings)
    parts = []
    for one in _comparisons(sizes, params):
        fit = one.fit()
        for name, column in one.design.effects.items():
            parts.append(_tested(one, fit, name, column, params))
    table = pd.concat(parts, ignore_index=True)
    _warn_of_models(table)
    return table[[column.name for column in CLONE_RESPONSE.columns]]


def response_heterogeneity(
    sizes: pd.DataFrame,
    params: ResponseParams = ResponseParams(),  # noqa: B008
    **settings: Any,
) -> pd.DataFrame:
    """Test whether clones respond differently to a treatment at all.

    Parameters
    ----------
    sizes, params, **settings
        As for `clone_response`.

    Returns
    -------
    heterogeneity
        One row per treatment and site, see `tables.HETEROGENEITY`.

    Raises
    ------
    DataError
        As `clone_response`.

    Notes
    -----
    Asks one question instead of one per clone, so that many small responses count together; see
    `rotation_test`. A treatment that makes all clones grow alike changes no share and is not seen here.
    """
    params = params.with_settings(settings)
    rows = []
    for one in _comparisons(sizes, params):
        fit = one.fit()
        for name, column in one.design.effects.items():
            statistic, p = rotation_test(fit, column, params.rotations, params.seed)
            rows.append(
                (
                    name,
                    one.site,
                    one.units.when,
                    statistic,
                    p,
                    one.design.n_subjects[name],
                    int(one.tested.sum()),
                )
            )
    return pd.DataFrame(rows, columns=[column.name for column in HETEROGENEITY.columns])


def _comparisons(sizes: pd.DataFrame, params: ResponseParams) -> Iterator[_Comparison]:
    """What can be compared, site by site; a site where nothing can is told, unless it is the only one."""
    control = references(sizes, params)
    sites = units_by_site(sizes, params, list(control))
    refused = {}
    for site, units in sites.items():
        try:
            yield _comparison(site, units, control, params)
        except DataError as error:
            refused[site] = str(error)
    if len(refused) == len(sites):
        reasons = {why: f"{site}: {why}" for site, why in refused.items()}
        raise DataError("\n".join(reasons if len(reasons) == 1 else reasons.values()))
    for site, why in refused.items():
        warnings.warn(f"site {site} is not compared: {why}", RgbtrackWarning, stacklevel=3)


def _comparison(site: str, units: Units, control: dict[str, str], params: ResponseParams) -> _Comparison:
    design = make_design(units.table, control)
    counts = units.counts[design.rows]
    subjects = units.table["subject"].to_numpy()[design.rows]
    seen_in = np.array([len(set(subjects[column > 0])) for column in counts.T])
    cells = counts.sum(axis=0)
    notes = [
        "not seen in these samples"
        if n == 0
        else "seen in one subject only"
        if n == 1
        else f"fewer than {params.min_cells:g} cells in all"
        if total < params.min_cells
        else ""
        for n, total in zip(seen_in, cells, strict=True)
    ]
    tested = np.array([not note for note in notes])
    if tested.sum() < 2:
        if (seen_in <= 1).all() and len(cells) > 1:
            raise DataError(
                'every clone is in one subject only (palette = "subject"?): subjects share no clone that '
                "could be compared; compare diversity or sizes of the largest clones instead"
            )
        raise DataError(
            f"{int(tested.sum())} of {len(cells)} clones have enough cells in at least two subjects: shares "
            f"need two clones or more, one alone always has all"
        )
    return _Comparison(site, units, design, counts, counts.sum(axis=1), tested, notes)


def _tested(
    one: _Comparison, fit: LogRatioFit, name: str, column: int, params: ResponseParams
) -> pd.DataFrame:
    """Response of all clones to one treatment."""
    change, variance = fit.effect(column)
    shift, of_shift = majority(change, variance)
    error = np.sqrt(variance + of_shift)
    half = student.isf((1 - params.level) / 2, fit.freedom) * error
    p = 2 * student.sf(np.abs(change - shift) / error, fit.freedom)
    second = model_counts(one.counts[:, one.tested], one.totals, one.design.matrix, column)
    both = np.sign(second.effect) == np.sign(change - shift)
    worst, best = np.maximum(p, second.p_value), np.minimum(p, second.p_value)
    agree = ~((best < SURE) & ((worst > UNSURE) | ((worst < SURE) & ~both)))
    values = {
        "effect": (change - shift) / np.log(2),
        "low": (change - shift - half) / np.log(2),
        "high": (change - shift + half) / np.log(2),
        "p_value": p,
        "q_value": false_discovery_control(p),
        "second_effect": second.effect / np.log(2),
        "second_p_value": second.p_value,
        "models_agree": agree,
    }
    tested = pd.DataFrame(values, index=one.units.clones[one.tested])
    table = tested.reindex(one.units.clones).rename_axis("clone").reset_index()
    table["models_agree"] = table["models_agree"].astype("boolean")
    return table.assign(
        treatment=name,
        site=one.site,
        when=one.units.when,
        n_subjects=one.design.n_subjects[name],
        n_cells=one.counts.sum(axis=0),
        note=one.notes,
    )


def _warn_of_models(table: pd.DataFrame) -> None:
    split = table[table["models_agree"].eq(False).fillna(value=False)]
    if len(split):
        named = ", ".join(f"{row.clone} ({row.treatment})" for row in split.head(5).itertuples())
        others = " and others" * (len(split) > 5)
        warnings.warn(
            f"two models disagree on {len(split)} of {table['p_value'].count()} tests: clone {named}{others}"
            f"; look at the dots of single subjects before you believe either",
            RgbtrackWarning,
            stacklevel=3,
        )
