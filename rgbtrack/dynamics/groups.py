"""Means over subjects, and treatments against the control: the subject is the unit."""

import warnings
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, t

from rgbtrack.dynamics.names import name_of
from rgbtrack.dynamics.plain import plain
from rgbtrack.errors import ParamError, RgbtrackWarning


@dataclass(frozen=True)
class Difference:
    """Of two groups of subjects, with its interval."""

    effect: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p_value: float = np.nan
    test: str | None = None


def by_treatment(
    values: pd.DataFrame,
    keys: Sequence[str],
    *,
    control: str | None,
    baseline: float | None,
    level: float,
) -> pd.DataFrame:
    """Average ``value`` over subjects in each treatment, and compare each treatment with the control.

    Parameters
    ----------
    values
        ``subject, treatment, value`` and the keys, one row per subject and treatment of each; missing values
        are left out.
    keys
        Columns that, together with the treatment, name a group: first the timepoint.
    control
        The reference treatment; None: no comparison.
    baseline
        Timepoint from which changes are compared; None: values are.
    level
        Coverage of the intervals.

    Returns
    -------
    groups
        ``treatment``, the keys, ``mean, low, high, n_subjects, effect, effect_low, effect_high, p_value,
        q_value, test``.
    """
    control = None if control is None else name_of(control)
    values = plain(values[values["value"].notna()])
    found = sorted(values["treatment"].unique(), key=str)
    if control is not None and len(values) and control not in found:
        raise ParamError(f"control is {control!r}: give one of {', '.join(map(str, found))}")
    compared = values if baseline is None else _changes(values, keys, baseline)
    rows = []
    for names, group in values.groupby(list(keys), sort=True):
        same = np.logical_and.reduce([compared[key] == name for key, name in zip(keys, names, strict=True)])
        reference = compared[same & (compared["treatment"] == control)].set_index("subject")["value"]
        for treatment, own in group.groupby("treatment", sort=True):
            mean, low, high = mean_interval(own["value"].to_numpy(), level)
            difference = Difference()
            if control is not None and treatment != control:
                rest = compared[same & (compared["treatment"] == treatment)].set_index("subject")["value"]
                difference = _difference(rest, reference, level)
            rows.append((treatment, *names, mean, low, high, own["subject"].nunique(), *astuple(difference)))
    columns = ["treatment", *keys, "mean", "low", "high", "n_subjects"]
    columns += ["effect", "effect_low", "effect_high", "p_value", "test"]
    table = pd.DataFrame(rows, columns=columns)
    tested = table["p_value"].notna()
    table["q_value"] = np.nan
    if tested.any():
        table.loc[tested, "q_value"] = false_discovery_control(table.loc[tested, "p_value"].to_numpy(float))
    return table


def mean_interval(values: np.ndarray, level: float) -> tuple[float, float, float]:
    """Mean and its t interval; of one value there is none."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, np.nan, np.nan
    reach = t.isf((1 - level) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return mean, float(mean - reach), float(mean + reach)


def _changes(values: pd.DataFrame, keys: Sequence[str], baseline: float) -> pd.DataFrame:
    """Each subject's change since the baseline, whatever it was given then."""
    time, others = keys[0], list(keys[1:])
    before = values[values[time] == baseline]
    if before.empty:
        times = ", ".join(f"{at:g}" for at in sorted(values[time].unique()))
        raise ParamError(f"baseline is {baseline:g}: no sample is of that {time}, give one of {times}")
    before = before.groupby(["subject", *others])["value"].mean().rename("before").reset_index()
    later = values[values[time] != baseline].merge(before, on=["subject", *others], how="left")
    without = later["before"].isna()
    if without.any():
        warnings.warn(
            f"{later.loc[without, 'subject'].nunique()} subjects have no value at the baseline {baseline:g} "
            f"and are left out of comparisons",
            RgbtrackWarning,
            stacklevel=4,
        )
    return later[~without].assign(value=later["value"] - later["before"])


def _difference(own: pd.Series, reference: pd.Series, level: float) -> Difference:
    """Welch's t test, or the paired one where subjects are in both groups."""
    both = own.index.intersection(reference.index)
    if len(both):
        alone = len(own) + len(reference) - 2 * len(both)
        if alone:
            warnings.warn(
                f"{len(both)} subjects had both treatments: they alone are compared, "
                f"and {alone} others are not",
                RgbtrackWarning,
                stacklevel=5,
            )
        own = own[both] - reference[both]
        parts, test = [own.to_numpy(float)], "paired t"
    else:
        parts, test = [own.to_numpy(float), reference.to_numpy(float)], "Welch t"
    n = np.array([len(part) for part in parts])
    if (n == 0).any():
        return Difference()
    effect = float(parts[0].mean() - (parts[1].mean() if len(parts) > 1 else 0))
    if (n < 2).any():
        return Difference(effect)
    error2 = np.array([np.var(part, ddof=1) for part in parts]) / n
    error = float(np.sqrt(error2.sum()))
    if error <= 1e-12 * max(1.0, abs(effect)):
        return Difference(effect)  # no scatter: nothing to judge it by
    freedom = error2.sum() ** 2 / (error2**2 / (n - 1)).sum()
    reach = float(t.isf((1 - level) / 2, freedom)) * error
    p_value = float(2 * t.sf(abs(effect) / error, freedom))
    return Difference(effect, effect - reach, effect + reach, p_value, test)
