"""Clone sizes with planted effects: tables to learn from, to test with and to plan with."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import beta

from rgbtrack.errors import ParamError
from rgbtrack.tables import CLONE_SIZES

Arm = str | tuple[str, ...]
Effects = Mapping[Arm, Mapping[int, float]]
NO_EFFECT: Effects = {"vehicle": {}, "isoproterenol": {}}
_CELLS_SD = 0.3


def simulate_sizes(
    effects: Effects = NO_EFFECT,
    *,
    subjects: int = 5,
    clones: int = 15,
    timepoints: Sequence[float] = (14,),
    event_time: float | None = None,
    factors: Sequence[str] = ("treatment",),
    scatter: float = 0.3,
    drift: float = 0.0,
    size_sd: float = 0.8,
    cells: float = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw a table of clone sizes in which each treatment does to each clone what is planted.

    The share of a clone in a sample is ``size * 2^effect * exp(scatter z + drift w)``, divided by the sum
    over clones; z is drawn for each clone and subject, w for each clone and sample; cells are counted by a
    multinomial.

    Parameters
    ----------
    effects
        Arm to clone to log2 fold: ``{"vehicle": {}, "isoproterenol": {1: 1.2}}`` makes clone 1 2^1.2 = 2.3
        times as large under isoproterenol. Clones that are not named do not respond.
    subjects
        Animals per arm.
    clones
        Clones, shared by all subjects; 1 is the largest before any effect.
    timepoints
        Days; every subject is seen on each.
    event_time
        Day of an event within each subject: effects are there in samples of later days. Without it, in all.
    factors
        Columns that name an arm. With ``("treatment", "inhibitor")`` each arm is a pair:
        ``("isoproterenol", "none")``.
    scatter
        How far subjects differ: ln sd of a clone's size. 0.3 is by a third.
    drift
        How far samples of one subject stray, beyond counting: ln sd of a clone's size.
    size_sd
        How unequal clones are: ln sd.
    cells
        Cells assigned to clones in a sample, on average; samples differ by a third.
    seed
        The same seed draws the same table.

    Returns
    -------
    sizes
        One row per clone and sample, zeros included, as `tables.CLONE_SIZES`; and ``true_effect``, the
        planted log2 fold in this sample.

    Raises
    ------
    ParamError
        If a number makes no table, an arm does not name each factor, or an effect is of no clone.

    Examples
    --------
    >>> sizes = simulate_sizes({"vehicle": {}, "drug": {2: 1.0}}, subjects=3, clones=4)
    >>> sizes.loc[sizes["subject"] == "m4", ["clone", "treatment", "true_effect"]]
        clone treatment  true_effect
    12      1      drug          0.0
    13      2      drug          1.0
    14      3      drug          0.0
    15      4      drug          0.0
    """
    arms = {(arm,) if isinstance(arm, str) else tuple(arm): of for arm, of in effects.items()}
    _check(arms, subjects, clones, timepoints, factors, (scatter, drift, size_sd), cells)
    rng = np.random.default_rng(seed)
    names = np.arange(1, clones + 1)
    size = np.sort(rng.lognormal(0, size_sd, clones))[::-1]
    parts: list[pd.DataFrame] = []
    for arm, planted in arms.items():
        fold = np.array([float(planted.get(int(clone), 0.0)) for clone in names])
        for _ in range(subjects):
            own = size * rng.lognormal(0, scatter, clones)
            for day in timepoints:
                change = fold if event_time is None or day > event_time else np.zeros(clones)
                share = own * 2**change * rng.lognormal(0, drift, clones)
                total = rng.poisson(cells * rng.lognormal(-(_CELLS_SD**2) / 2, _CELLS_SD))
                n = rng.multinomial(total, share / share.sum())
                part = pd.DataFrame({"clone": names, "n_cells": n, "true_effect": change})
                part["subject"] = f"m{len(parts) // len(timepoints) + 1}"
                part[list(factors)] = arm
                parts.append(part.assign(timepoint=float(day), site="primary"))
    sizes = _with_fractions(pd.concat(parts, ignore_index=True))
    order = [column.name for column in CLONE_SIZES.columns if column.name in sizes.columns]
    return sizes[[*order, *factors[1:], "true_effect"]]


def _with_fractions(sizes: pd.DataFrame) -> pd.DataFrame:
    """Shares of each sample with Jeffreys' intervals, missing where a sample has no cell."""
    n = sizes["n_cells"]
    total = n.groupby([sizes["subject"], sizes["timepoint"]]).transform("sum")
    low, high = beta.interval(0.95, n + 0.5, total - n + 0.5)
    some = total > 0
    return sizes.assign(
        fraction=(n / total.where(some)).astype(float),
        fraction_low=np.where(some, np.where(n == 0, 0.0, low), np.nan),
        fraction_high=np.where(some, np.where(n == total, 1.0, high), np.nan),
    )


def _check(
    arms: Mapping[tuple[str, ...], Mapping[int, float]],
    subjects: int,
    clones: int,
    timepoints: Sequence[float],
    factors: Sequence[str],
    spreads: tuple[float, ...],
    cells: float,
) -> None:
    problems = []
    if not arms:
        problems.append("effects name no arm: give one at least, as {'vehicle': {}}")
    if not factors or factors[0] != "treatment":
        problems.append(f"factors are {', '.join(factors) or 'none'}: the first is treatment")
    for arm, planted in arms.items():
        named = " / ".join(arm)
        if len(arm) != len(factors):
            problems.append(f"arm {named} names {len(arm)} factors, there are {len(factors)}: give each")
        unknown = [clone for clone in planted if clone not in range(1, clones + 1)]
        if unknown:
            problems.append(
                f"arm {named} has an effect on clone {unknown[0]}: clones are 1 to {clones}; give one of them"
            )
    if subjects < 1:
        problems.append(f"subjects is {subjects}: give 1 or more animals per arm")
    if clones < 2:
        problems.append(f"clones is {clones}: give 2 or more")
    if not len(timepoints) or len(set(timepoints)) != len(timepoints):
        problems.append(f"timepoints are {list(timepoints)}: give different days")
    if min(spreads) < 0:
        problems.append(f"scatter, drift and size_sd are {spreads}: give numbers from 0 on")
    if not cells > 0:
        problems.append(f"cells is {cells}: give a positive number")
    if problems:
        raise ParamError(*problems)
