"""Whether a treatment changes numbers of lesions, the share of polyclonal ones, and numbers of founders."""

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from rgbtrack.dynamics.lesion_params import LesionParams
from rgbtrack.dynamics.names import name_of
from rgbtrack.dynamics.plain import plain
from rgbtrack.errors import DataError, ParamError
from rgbtrack.tables import SEEDING, SEEDING_EFFECTS

Floats = NDArray[np.float64]

OUTCOMES = ("n_lesions", "polyclonal_share", "founders")
_EXACT = 20_000  # ways to exchange subjects up to which all are tried


def compare_seeding(
    seeding: pd.DataFrame,
    params: LesionParams = LesionParams(),  # noqa: B008
    *,
    control: str,
) -> pd.DataFrame:
    """Compare lesions per subject, share of polyclonal ones and founders between arms.

    Parameters
    ----------
    seeding
        From `count_founders`: a row is a subject, which is the statistical unit.
    params
        Level of the intervals, draws and seed.
    control
        The treatment that the others are compared with.

    Returns
    -------
    effects
        One row per outcome, site, timepoint and treatment; see `tables.SEEDING_EFFECTS`. Missing where an arm
        has fewer than two subjects that tell.

    Raises
    ------
    ParamError
        If no subject had the control treatment.
    DataError
        If columns are missing, or a subject is in two arms.

    Notes
    -----
    Numbers of lesions: quasi-Poisson, ``t = ln ratio / sqrt(phi (1/y_1 + 1/y_0))`` with y the lesions of each
    arm, phi the Pearson dispersion, at least 1, and n - 2 degrees of freedom; per image looked at, where the
    numbers of images differ. Where an arm has no lesion at all, its effect counts half a lesion, there is no
    interval, and the p value is that of the permutation. Shares and founders: Welch's t. The permutation test
    exchanges subjects between the two arms; of 3 against 3 it can give no p value below .1.
    """
    SEEDING.check(seeding)
    seeding, control = plain(seeding), name_of(control)
    if control not in set(seeding["treatment"]):
        found = ", ".join(map(str, sorted(seeding["treatment"].unique())))
        raise ParamError(f"no subject had the control treatment {control!r}; found {found or 'no subjects'}")
    arms = seeding.groupby("subject")["treatment"].nunique()
    if (arms > 1).any():
        name = arms.index[arms > 1][0]
        raise DataError(
            f"{int((arms > 1).sum())} subjects are in two arms, as {name!r}: arms are compared by subjects "
            f"of their own; name them apart, or leave one arm out"
        )
    rows = []
    for (site, timepoint), table in seeding.groupby(["site", "timepoint"], sort=True):
        base = table[table["treatment"] == control]
        for treatment, arm in table[table["treatment"] != control].groupby("treatment", sort=True):
            for outcome in OUTCOMES:
                rows.append(
                    {"outcome": outcome, "site": site, "timepoint": timepoint, "treatment": treatment}
                    | _compare(outcome, arm, base, params)
                )
    names = [column.name for column in SEEDING_EFFECTS.columns]
    effects = pd.DataFrame(rows, columns=names)
    effects["q_value"] = np.nan
    told = effects["p_value"].notna()
    if told.any():
        effects.loc[told, "q_value"] = stats.false_discovery_control(
            effects.loc[told, "p_value"].astype(float)
        )
    return SEEDING_EFFECTS.check(effects)


def _compare(outcome: str, arm: pd.DataFrame, base: pd.DataFrame, params: LesionParams) -> dict[str, float]:
    arm, base = (table[table[outcome].notna()] for table in (arm, base))
    y, x = (table[outcome].to_numpy(dtype=float) for table in (arm, base))
    told: dict[str, float] = {"n_subjects": len(y), "n_control": len(x)}
    told |= {"mean": y.mean() if len(y) else np.nan, "control_mean": x.mean() if len(x) else np.nan}
    names = ("effect", "low", "high", "p_value", "p_permutation")
    if min(len(y), len(x)) < 2:
        return told | dict.fromkeys(names, np.nan)
    if outcome == "n_lesions":
        effort = [table["n_images"].to_numpy(dtype=float, na_value=1.0) for table in (arm, base)]
        permuted = permutation_p(y / effort[0], x / effort[1], params)
        found = _quasi_poisson(y, x, effort[0], effort[1], params.level)
        found = found if np.isfinite(found[3]) else (*found[:3], permuted)
    else:
        permuted = permutation_p(y, x, params)
        found = welch(y, x, params.level)
    return told | dict(zip(names, (*found, permuted), strict=True))


def welch(y: Floats, x: Floats, level: float) -> tuple[float, float, float, float]:
    """Difference of two means with interval and p value, at their own variances; missing without spread."""
    effect = float(y.mean() - x.mean())
    if np.ptp(y) == 0 and np.ptp(x) == 0:
        return effect, np.nan, np.nan, np.nan if effect else 1.0
    test = stats.ttest_ind(y, x, equal_var=False)
    low, high = test.confidence_interval(level)
    return effect, float(low), float(high), float(test.pvalue)


def permutation_p(y: Floats, x: Floats, params: LesionParams) -> float:
    """P value of a difference of means under exchange of subjects; all ways if they are few."""
    both = np.concatenate([y, x])
    n, m = len(both), len(y)
    if comb(n, m) <= _EXACT:
        chosen = np.array(list(combinations(range(n), m)))
    else:
        rng = np.random.default_rng([params.seed, 3])
        chosen = np.argsort(rng.random((_EXACT, n)), axis=1)[:, :m]
        chosen[0] = np.arange(m)
    part = both[chosen].sum(axis=1)
    apart = np.abs(part / m - (both.sum() - part) / (n - m))
    seen = abs(y.mean() - x.mean())
    return float(np.mean(apart >= seen * (1 - 1e-9)))


def _quasi_poisson(
    y: Floats, x: Floats, y_effort: Floats, x_effort: Floats, level: float
) -> tuple[float, float, float, float]:
    """Log2 ratio of two rates with interval and p value."""
    if y.sum() == 0 and x.sum() == 0:
        return 0.0, np.nan, np.nan, 1.0
    if not (y.sum() and x.sum()):
        ratio = (y.sum() + 0.5) / y_effort.sum() / ((x.sum() + 0.5) / x_effort.sum())
        return float(np.log2(ratio)), np.nan, np.nan, np.nan
    rate = np.array([y.sum() / y_effort.sum(), x.sum() / x_effort.sum()])
    expected = np.concatenate([rate[0] * y_effort, rate[1] * x_effort])
    df = len(expected) - 2
    phi = max(float((np.square(np.concatenate([y, x]) - expected) / expected).sum() / df), 1.0)
    effect = float(np.log(rate[0] / rate[1]))
    se = float(np.sqrt(phi * (1 / y.sum() + 1 / x.sum())))
    half = float(stats.t.ppf((1 + level) / 2, df)) * se
    p = 2 * float(stats.t.sf(abs(effect) / se, df))
    return effect / np.log(2), (effect - half) / np.log(2), (effect + half) / np.log(2), p
