"""The linear model of a comparison: what makes units alike, and the columns that are asked for."""

import warnings
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackWarning

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Design:
    """A linear model of log sizes.

    Attributes
    ----------
    rows
        Units that it is of, as positions.
    matrix
        Shape (rows, columns), of full rank.
    effects
        What is asked for: name of the effect to its column.
    n_subjects
        Subjects behind each effect, both sides of it.
    """

    rows: NDArray[np.int64]
    matrix: Floats
    effects: dict[str, int]
    n_subjects: dict[str, int]

    @property
    def freedom(self) -> int:
        """Residual degrees of freedom."""
        return self.matrix.shape[0] - self.matrix.shape[1]


def make_design(units: pd.DataFrame, control: dict[str, str]) -> Design:
    """Make the model of a comparison.

    Parameters
    ----------
    units
        One row per subject and condition, see `Units`.
    control
        Reference of every factor, the treatment first.

    Returns
    -------
    design
        Subjects in one arm each: a column per treatment (and factor, and pair of them). Subjects
        seen in several arms, or before and after an event, are compared with themselves: a column per subject
        takes up all that they differ by.

    Raises
    ------
    DataError
        If there is no control, no second arm, or no scatter between subjects to hold effects against.
    """
    factors = list(control)
    reference = (units[factors] == pd.Series(control)).all(axis=1)
    if not reference.any():
        wanted = ", ".join(f"{factor} {level}" for factor, level in control.items())
        raise DataError(f"no sample of the control ({wanted}) is left to compare with")
    arms = units.drop_duplicates(["subject", *factors]).groupby("subject").size()
    if units["after"].any():
        return _before_after(units, control)
    if reference.all():
        raise DataError(
            f"only one arm is left ({units['treatment'].iloc[0]}): a response needs a treatment and a "
            f"control, or an event_time to compare before and after"
        )
    if (arms > 1).any():
        return _within(units, control, arms)
    effects = _factorial(units, control)
    return _solved(units, np.arange(len(units)), np.ones((len(units), 1)), effects, control)


def _factorial(units: pd.DataFrame, control: dict[str, str]) -> dict[str, Floats]:
    """Indicator of each effect, shape (units,): levels other than the reference, and pairs across factors."""
    levels: dict[str, dict[str, Floats]] = {}
    for factor, reference in control.items():
        others = sorted(set(units[factor]) - {reference})
        prefix = "" if factor == "treatment" else f"{factor} "
        levels[factor] = {f"{prefix}{level}": (units[factor] == level).to_numpy(float) for level in others}
    effects = {name: column for of in levels.values() for name, column in of.items()}
    for first, second in combinations(control, 2):
        for one, left in levels[first].items():
            for other, right in levels[second].items():
                if (left * right).any():
                    effects[f"{one} : {other}"] = left * right
    return effects


def _within(units: pd.DataFrame, control: dict[str, str], arms: pd.Series) -> Design:
    """Subjects that are in several arms, each compared with itself."""
    several = set(arms.index[arms > 1])
    alone = sorted(set(map(str, arms.index[arms == 1])))
    if len(several) < 2:
        raise DataError(
            f"subject {', '.join(map(str, several))} is in several arms, the others are in one: "
            f"one subject cannot be compared with itself; name different animals differently"
        )
    if alone:
        warnings.warn(
            f"{len(several)} subjects are in several arms and are compared with themselves; those in "
            f"one arm are left out: {', '.join(alone)}",
            RgbtrackWarning,
            stacklevel=5,
        )
    rows = np.flatnonzero(units["subject"].isin(several))
    kept = units.iloc[rows].reset_index(drop=True)
    return _solved(kept, rows, _subjects(kept), _factorial(kept, control), control)


def _before_after(units: pd.DataFrame, control: dict[str, str]) -> Design:
    """Each subject before and after the event: how its change differs from that of the control."""
    sides = units.groupby("subject")["after"].nunique()
    both = set(sides.index[sides == 2])
    lacking = sorted(map(str, sides.index[sides == 1]))
    if not both:
        raise DataError("no subject has samples both before and after the event: look at event_time")
    if lacking:
        warnings.warn(
            f"subjects without samples both before and after the event are left out: {', '.join(lacking)}",
            RgbtrackWarning,
            stacklevel=5,
        )
    rows = np.flatnonzero(units["subject"].isin(both))
    kept = units.iloc[rows].reset_index(drop=True)
    after = kept["after"].to_numpy(float)
    arms = {name: column * after for name, column in _factorial(kept, control).items()}
    if not arms:  # one arm: what changed at the event
        return _solved(kept, rows, _subjects(kept), {control["treatment"]: after}, control)
    return _solved(kept, rows, np.column_stack([_subjects(kept), after]), arms, control)


def _subjects(units: pd.DataFrame) -> Floats:
    return pd.get_dummies(units["subject"]).to_numpy(float)


def _solved(
    units: pd.DataFrame,
    rows: NDArray[np.int64],
    base: Floats,
    effects: dict[str, Floats],
    control: dict[str, str],
) -> Design:
    """Keep the columns that can be told from those before them; refuse a model without freedom."""
    matrix, kept, lost = base, {}, []
    for name, column in effects.items():
        wider = np.column_stack([matrix, column])
        if np.linalg.matrix_rank(wider) == wider.shape[1]:
            kept[name] = matrix.shape[1]
            matrix = wider
        else:
            lost.append(name)
    if lost:
        warnings.warn(
            f"not told, for want of subjects in some combination: {', '.join(lost)}",
            RgbtrackWarning,
            stacklevel=6,
        )
    if not kept:
        raise DataError("no effect can be told from differences between subjects: an arm is missing")
    levels = _factorial(units, control)
    n = {name: _n_subjects(units["subject"], effects[name], levels) for name in kept}
    if len(matrix) == matrix.shape[1]:
        raise DataError(
            "one subject an arm: how much subjects differ by chance cannot be seen, so no effect can be "
            "tested; look at the sizes, and add subjects"
        )
    return Design(rows, matrix, kept, n)


def _n_subjects(subject: pd.Series, effect: Floats, levels: dict[str, Floats]) -> int:
    """Subjects behind an effect: of its own levels and their references, not of other levels."""
    asked = effect != 0
    others = [level for level in levels.values() if not (level[asked] != 0).all()]
    apart = np.any([level != 0 for level in others], axis=0) if others else np.zeros(len(subject), dtype=bool)
    return int(subject[~apart].nunique())
