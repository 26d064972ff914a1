"""Diversity of clones: how many there are, common ones, dominant ones, at one coverage of all samples."""

import warnings

import numpy as np
import pandas as pd

from rgbtrack.dynamics.coverage import Abundances, abundances, sample_coverage
from rgbtrack.dynamics.groups import by_treatment
from rgbtrack.dynamics.hill import ORDERS, Estimate, hill_numbers
from rgbtrack.dynamics.matrix import CountMatrix, count_matrix
from rgbtrack.dynamics.params import DiversityParams
from rgbtrack.errors import ParamError, RgbtrackWarning
from rgbtrack.tables import DIVERSITY, DIVERSITY_BY_TREATMENT

MEASURES = ("standardised", "observed", "estimated")
MANY = 5
"""Clones counted twice, beside which some should have been counted once."""
NOTHING = Estimate(*(np.full(3, np.nan) for _ in range(3)))


def clone_diversity(
    sizes: pd.DataFrame,
    params: DiversityParams = DiversityParams(),  # noqa: B008
) -> pd.DataFrame:
    """Estimate Hill numbers of every sample, observed and at the same coverage of all.

    The Hill number of order q is how many clones of one size would be as diverse: q 0 counts clones, q 1
    weighs each by its cells, q 2 looks at the dominant ones. Coverage is the share of the cells of the
    population that belong to clones seen in the sample.

    Parameters
    ----------
    sizes
        Clone sizes; see `tables.CLONE_SIZES`. Clones may be labels of any kind.
    params
        What is counted, and the coverage at which samples are compared.

    Returns
    -------
    diversity
        One row per sample and order; see `tables.DIVERSITY`. Intervals are what counting leaves unsure, not
        differences between subjects. ``standardised`` is missing, with a warning, for samples of too few
        cells and those that do not reach the coverage even with twice their cells.

    Raises
    ------
    DataError
        If a column is missing, or a count is missing or negative.

    Warns
    -----
    RgbtrackWarning
        Where samples could not be standardised, or counts are not whole.

    Notes
    -----
    Coverage, and the number of cells at which it is reached: Chao and Jost, Ecology 93 (2012) 2533.
    Rarefied and extrapolated Hill numbers: Chao et al., Ecological Monographs 84 (2014) 45. Those of the
    population: Chao and Jost, Methods in Ecology and Evolution 6 (2015) 873; of order 0 it is a lower bound.
    Intervals: the spread over repeated samples of the composition that the latter suggest, on the log of the
    Hill number, worked out rather than simulated.

    Order 0 is the least robust: one misassigned cell makes a clone. ``counts="expected_cells"`` helps where
    the sizes hold it; orders 1 and 2 hardly change.

    Examples
    --------
    >>> sizes = pd.DataFrame({"clone": [1, 2, 3, 4], "n_cells": [40, 40, 40, 40]})
    >>> sizes = sizes.assign(subject="m1", treatment="vehicle", timepoint=0)
    >>> clone_diversity(sizes)[["q", "n_clones", "coverage", "observed"]].round(3)
       q  n_clones  coverage  observed
    0  0         4       1.0       4.0
    1  1         4       1.0       4.0
    2  2         4       1.0       4.0
    """
    matrix = count_matrix(sizes, params.counts)
    samples = [abundances(matrix.of(i)[1]) for i in range(len(matrix.samples))]
    _tell_filtered(samples, matrix.whole)
    target = params.coverage or _common_coverage(matrix, samples, params.least_cells)
    rows = [_of_sample(matrix, sample, target, params) for sample in samples]
    table = matrix.samples.loc[matrix.samples.index.repeat(len(ORDERS))].reset_index(drop=True)
    table["q"] = np.tile(ORDERS, len(samples))
    filled = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]} if rows else {}
    table = table.assign(**filled).reindex(columns=[column.name for column in DIVERSITY.columns])
    table["n_clones"] = table["n_clones"].astype("int64")
    table["common_coverage"] = target
    _tell_left_out(table, target, params)
    return DIVERSITY.check(table)


def _common_coverage(matrix: CountMatrix, samples: list[Abundances], least_cells: int) -> float:
    """Least coverage that samples reach when doubled: further, order 0 cannot be foreseen."""
    if not matrix.whole:
        return float("nan")
    reached = [_coverage(sample, sample.n) for sample in samples if sample.n >= least_cells]
    return min(reached, default=float("nan"))


def _coverage(sample: Abundances, more: float = 0.0) -> float:
    """Return the coverage; of a single cell it is unknown."""
    if sample.n < 2:
        return float("nan")
    return sample_coverage(sample.n, sample.seen(1), sample.seen(2), more)


def _of_sample(
    matrix: CountMatrix, sample: Abundances, target: float, params: DiversityParams
) -> dict[str, np.ndarray]:
    n, seen = sample.n, sample.clones.sum()
    now = _coverage(sample) if matrix.whole else float("nan")
    reached = (
        matrix.whole
        and n >= params.least_cells
        and np.isfinite(target)
        and _coverage(sample, n) >= target - 1e-12
    )
    if matrix.whole and n >= 2:
        found = hill_numbers(sample, target if reached else None, params.level)
    else:
        found = {"observed": _plain(sample)}
    how = "rarefied" if now > target else "extrapolated" if now < target else "observed"
    columns: dict[str, np.ndarray] = {
        "n_cells": np.full(3, n),
        "n_clones": np.full(3, seen),
        "coverage": np.full(3, now),
        "depth": np.full(3, how if reached else None, dtype=object),
    }
    for name in MEASURES:
        estimate = found.get(name, NOTHING)
        columns[name] = estimate.value
        columns[f"{name}_low"], columns[f"{name}_high"] = estimate.low, estimate.high
    return columns


def _plain(sample: Abundances) -> Estimate:
    """Hill numbers of shares that say nothing of counting."""
    if sample.n == 0:
        return NOTHING
    share = sample.counts / sample.n
    entropy = -(sample.clones * share * np.log(share)).sum()
    value = np.array([sample.clones.sum(), np.exp(entropy), 1 / (sample.clones * share**2).sum()])
    return Estimate(value, NOTHING.low, NOTHING.high)


def _tell_filtered(samples: list[Abundances], whole: bool) -> None:
    filtered = sum(sample.seen(1) == 0 and sample.seen(2) >= MANY for sample in samples)
    if whole and filtered:
        warnings.warn(
            f"{filtered} samples hold {MANY} clones or more counted twice and none counted once: if those "
            f"were taken out, coverage is overstated and diversity is that of what was left",
            RgbtrackWarning,
            stacklevel=3,
        )


def _tell_left_out(table: pd.DataFrame, target: float, params: DiversityParams) -> None:
    first = table[table["q"] == 0]
    out = first[first["standardised"].isna() & first["coverage"].notna()]
    few = out["n_cells"] < params.least_cells
    reasons = []
    if few.any():
        reasons.append(f"{int(few.sum())} samples hold fewer than {params.least_cells} cells")
    if (~few).any():
        reasons.append(
            f"{int((~few).sum())} do not reach a coverage of {target:.3g} even with twice their cells"
        )
    if reasons:
        named = out.iloc[0]
        warnings.warn(
            f"not standardised: {'; '.join(reasons)} (the first is subject {named['subject']}, "
            f"timepoint {named['timepoint']}): see least_cells and coverage",
            RgbtrackWarning,
            stacklevel=3,
        )


def diversity_by_treatment(
    diversity: pd.DataFrame,
    *,
    control: str | None = None,
    baseline: float | None = None,
    measure: str = "standardised",
    level: float = 0.95,
) -> pd.DataFrame:
    """Average diversity over subjects, and compare treatments with the control.

    Parameters
    ----------
    diversity
        From `clone_diversity`.
    control
        The reference treatment; None: means only.
    baseline
        Timepoint (d) before treatment began. Given, what is compared is each subject's change since; subjects
        without it are left out. None: levels are compared.
    measure
        "standardised", "observed" or "estimated".
    level
        Coverage of the intervals, over subjects.

    Returns
    -------
    means
        One row per treatment, timepoint, site and order; see `tables.DIVERSITY_BY_TREATMENT`. Geometric means
        and folds of the control, from t tests on the logs of Hill numbers with the subject as the unit
        (Welch; paired where the same subjects had both). Of one subject there is a mean without an interval.

    Raises
    ------
    ParamError
        If the measure, the control or the baseline is not there.
    DataError
        If a column is missing.
    """
    if measure not in MEASURES:
        raise ParamError(f"measure is {measure!r}: give one of {', '.join(MEASURES)}")
    DIVERSITY.check(diversity, need=["subject", "treatment", "timepoint", "site", "q", measure])
    values = diversity.assign(value=np.log(diversity[measure]))
    table = by_treatment(values, ["timepoint", "site", "q"], control=control, baseline=baseline, level=level)
    logs = ["mean", "low", "high", "fold", "fold_low", "fold_high"]
    table = table.rename(columns={"effect": "fold", "effect_low": "fold_low", "effect_high": "fold_high"})
    table[logs] = np.exp(table[logs])
    table["measure"] = measure
    return DIVERSITY_BY_TREATMENT.check(table[[column.name for column in DIVERSITY_BY_TREATMENT.columns]])
