"""Turnover: how alike two samples are, and whether they differ by more than counting."""

import itertools
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import betainc, gammainc, xlogy
from scipy.stats import binom, chi2, norm

from rgbtrack.dynamics.groups import by_treatment
from rgbtrack.dynamics.matrix import CountMatrix, count_matrix
from rgbtrack.dynamics.params import DiversityParams
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.tables import SUBJECT_SIMILARITY, TURNOVER, TURNOVER_BY_TREATMENT

SIMILARITIES = ("morisita_horn", "shared_fraction", "jensen_shannon")
"""Each 1 for samples of one composition and 0 for samples that share no clone."""
WINDOW = 340
"""Counts that a clone may have in one of two samples, summed one by one; beyond, they are taken as normal."""
_SD = 20.0


@dataclass(frozen=True)
class Chance:
    """What counting alone gives for two samples of one composition."""

    similarity: dict[str, float]
    gained: tuple[float, float]
    lost: tuple[float, float]
    deviance: tuple[float, float]


def clone_turnover(
    sizes: pd.DataFrame,
    params: DiversityParams = DiversityParams(),  # noqa: B008
) -> pd.DataFrame:
    """Compare each subject's clones at one timepoint with those at the next.

    Parameters
    ----------
    sizes
        Clone sizes; see `tables.CLONE_SIZES`. Clones may be labels of any kind.
    params
        What is counted.

    Returns
    -------
    turnover
        One row per subject, site and step between timepoints; see `tables.TURNOVER`. Samples without cells
        are passed over. ``treatment`` is that of the later sample.

    Raises
    ------
    DataError
        If a column is missing, or a count is missing or negative.

    Notes
    -----
    With shares p and p' of a clone in the two samples: ``morisita_horn`` is
    ``2 sum pp' / (sum p^2 + sum p'^2)`` and looks at the large clones; ``shared_fraction`` is
    ``sum min(p, p')``, one less Bray and Curtis' measure of the shares; ``jensen_shannon`` is one less the
    divergence of Jensen and Shannon, in bits.

    ``..._by_chance``, and the p values, come from one composition counted twice: given how often a clone was
    seen in both samples together, its cells fall into either by lot. The deviance of the two samples is
    compared with a chi-square of its mean and variance under that lot, which holds for many small clones and
    few large ones alike. A small p value says that the change is more than counting: not why, and not that
    another subject would change.

    Examples
    --------
    >>> sizes = pd.DataFrame({"clone": [1, 2, 1, 3], "timepoint": [0, 0, 7, 7], "n_cells": [50, 50, 90, 10]})
    >>> turnover = clone_turnover(sizes.assign(subject="m1", treatment="vehicle"))
    >>> turnover[["n_kept", "n_gained", "n_lost", "shared_fraction"]]
       n_kept  n_gained  n_lost  shared_fraction
    0       1         1       1              0.5
    """
    matrix = count_matrix(sizes, params.counts)
    rows = []
    for i, j in _steps(matrix):
        before, after = matrix.samples.loc[i], matrix.samples.loc[j]
        rows.append(
            {
                "subject": after["subject"],
                "treatment": after["treatment"],
                "site": after["site"],
                "timepoint": before["timepoint"],
                "next_timepoint": after["timepoint"],
                **_compared(matrix, i, j),
            }
        )
    table = pd.DataFrame(rows, columns=[column.name for column in TURNOVER.columns])
    table = table.sort_values(["treatment", "site", "subject", "timepoint"], kind="stable", ignore_index=True)
    return TURNOVER.check(table) if len(table) else table


def _steps(matrix: CountMatrix) -> list[tuple[int, int]]:
    """Consecutive samples of one subject and site; of one treatment too, where it had two at a time."""
    samples = matrix.samples[np.diff(matrix.counts.indptr) > 0]
    key = ["subject", "site"]
    if samples.duplicated([*key, "timepoint"]).any():
        key.append("treatment")
        warnings.warn(
            "some subjects had two treatments at one timepoint: each treatment is followed by itself",
            RgbtrackWarning,
            stacklevel=3,
        )
    steps = []
    for _, own in samples.sort_values("timepoint", kind="stable").groupby(key, sort=True):
        steps += list(itertools.pairwise(own.index))
    return steps


def _compared(matrix: CountMatrix, i: int, j: int) -> dict[str, float]:
    x, y = _together(matrix, i, j)
    found = dict(zip(SIMILARITIES, similarities(x, y), strict=True))
    gained, lost = int(((x == 0) & (y > 0)).sum()), int(((x > 0) & (y == 0)).sum())
    row: dict[str, float] = {
        "n_cells": x.sum(),
        "next_n_cells": y.sum(),
        "n_kept": int(((x > 0) & (y > 0)).sum()),
        "n_gained": gained,
        "n_lost": lost,
        **found,
    }
    if not matrix.whole:
        return row
    chance = by_chance(x, y)
    row["gained_by_chance"], row["gained_p_value"] = chance.gained[0], _at_least(gained, *chance.gained)
    row["lost_by_chance"], row["lost_p_value"] = chance.lost[0], _at_least(lost, *chance.lost)
    row |= {f"{name}_by_chance": value for name, value in chance.similarity.items()}
    mean, variance = chance.deviance
    if variance > 1e-9:
        scale = variance / (2 * mean)
        row["p_value"] = float(chi2.sf(_deviance(x, y).sum() / scale, mean / scale))
    return row


def _together(matrix: CountMatrix, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of two samples, over the clones that either holds."""
    (one, x), (other, y) = matrix.of(i), matrix.of(j)
    both = np.zeros((2, len(matrix.clones)))
    both[0, one], both[1, other] = x, y
    both = both[:, (both > 0).any(axis=0)]
    return both[0], both[1]


def similarities(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Morisita and Horn's, shared fraction, Jensen and Shannon's: of two samples, over the same clones.

    >>> similarities(np.array([1, 1, 0, 0]), np.array([0, 0, 3, 1]))
    (0.0, 0.0, 0.0)
    """
    p, q = x / x.sum(), y / y.sum()
    horn = 2 * (p * q).sum() / ((p**2).sum() + (q**2).sum())
    return float(horn), float(np.minimum(p, q).sum()), float(1 - _divergence(p, q).sum())


def by_chance(x: np.ndarray, y: np.ndarray) -> Chance:
    """Work out what two samples of these sizes would show if their cells were dealt out by lot.

    Sums over clones of a function of the cells dealt to the first sample. Each is binomial; that they add up
    to the size of the sample is allowed for to the second order.
    """
    n, m = x.sum(), y.sum()
    total, clones = np.unique(x + y, return_counts=True)
    dealt, chance = _dealt(total, n / (n + m))
    rest = total[:, None] - dealt
    parts = np.stack(
        [
            _deviance(dealt, rest, n / (n + m)),
            (dealt <= 0).astype(float),
            (rest <= 0).astype(float),
            np.abs(dealt / n - rest / m) / 2,
            _divergence(dealt / n, rest / m),
        ]
    )
    off = dealt - (chance * dealt).sum(axis=1, keepdims=True)
    mean = (parts * chance).sum(axis=2)
    centred = parts - mean[:, :, None]
    variance = ((centred**2 * chance).sum(axis=2) * clones).sum(axis=1)
    of_total = ((off**2 * chance).sum(axis=1) * clones).sum()
    straight = ((centred * off * chance).sum(axis=2) * clones).sum(axis=1)
    curved = ((centred * off**2 * chance).sum(axis=2) * clones).sum(axis=1) / max(of_total, 1e-300)
    mean_all = (mean * clones).sum(axis=1) - curved / 2
    variance_all = variance - straight**2 / max(of_total, 1e-300) - curved**2 / 2
    again = (total * (total - 1) * clones).sum() / ((n + m) * (n + m - 1))
    squares = (n * (n - 1) * again + n) / n**2 + (m * (m - 1) * again + m) / m**2
    values = (2 * again / squares, 1 - mean_all[3], 1 - mean_all[4])
    return Chance(
        {name: float(np.clip(value, 0, 1)) for name, value in zip(SIMILARITIES, values, strict=True)},
        (float(max(mean_all[1], 0)), float(max(variance_all[1], 0))),
        (float(max(mean_all[2], 0)), float(max(variance_all[2], 0))),
        (float(mean_all[0]), float(max(variance_all[0], 0))),
    )


def _dealt(total: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells that may be dealt to the first sample and the chance of each, shape (totals, places)."""
    sd = np.sqrt(total * share * (1 - share))
    start = np.maximum(np.floor(total * share - 8 * np.minimum(sd, _SD)), 0)
    dealt = start[:, None] + np.arange(min(WINDOW, int(total.max()) + 1))
    chance = binom.pmf(dealt, total[:, None], share)
    wide = sd > _SD
    z = np.linspace(-5, 5, dealt.shape[1])
    dealt[wide] = (total * share)[wide, None] + sd[wide, None] * z
    chance[wide] = norm.pdf(z)
    dealt = np.clip(dealt, 0, total[:, None])
    return dealt, chance / chance.sum(axis=1, keepdims=True)


def _deviance(x: np.ndarray, y: np.ndarray, share: float | None = None) -> np.ndarray:
    """What each clone adds to the deviance of two samples from one composition."""
    share = x.sum() / (x.sum() + y.sum()) if share is None else share
    total = np.maximum(x + y, 1e-300)
    return 2 * (xlogy(x, x / (total * share)) + xlogy(y, y / (total * (1 - share))))


def _divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """What each clone adds to the divergence of Jensen and Shannon, bits."""
    half = np.maximum((p + q) / 2, 1e-300)
    return (xlogy(p, p / half) + xlogy(q, q / half)) / (2 * np.log(2))


def _at_least(count: int, mean: float, variance: float) -> float:
    """Chance of so many clones or more: binomial of that mean and variance, else Poisson."""
    if count == 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if variance >= mean * (1 - 1e-9):
        return float(gammainc(count, mean))
    share = 1 - variance / mean
    trials = mean / share
    return float(betainc(count, trials - count + 1, share)) if trials > count - 1 else 0.0


def subject_similarity(
    sizes: pd.DataFrame,
    params: DiversityParams = DiversityParams(),  # noqa: B008
) -> pd.DataFrame:
    """Compare the clones of different subjects at the same timepoint and site: the scale for turnover.

    Parameters
    ----------
    sizes
        Clone sizes, of clones that subjects share; where each subject has clones of its own, all is 0.
    params
        What is counted.

    Returns
    -------
    similarity
        One row per pair of subjects, timepoint and site; see `tables.SUBJECT_SIMILARITY`.
    """
    matrix = count_matrix(sizes, params.counts)
    samples = matrix.samples[np.diff(matrix.counts.indptr) > 0]
    rows = []
    for (timepoint, site), own in samples.groupby(["timepoint", "site"], sort=True):
        for i, j in itertools.combinations(own.index, 2):
            one, other = own.loc[i], own.loc[j]
            if one["subject"] == other["subject"]:
                continue
            names = (one["subject"], one["treatment"], other["subject"], other["treatment"])
            rows.append((timepoint, site, *names, *similarities(*_together(matrix, i, j))))
    table = pd.DataFrame(rows, columns=[column.name for column in SUBJECT_SIMILARITY.columns])
    return SUBJECT_SIMILARITY.check(table) if len(table) else table


def turnover_by_treatment(
    turnover: pd.DataFrame, *, control: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Average similarity over subjects, and compare treatments with the control.

    Parameters
    ----------
    turnover
        From `clone_turnover`.
    control
        The reference treatment; None: means only.
    level
        Coverage of the intervals, over subjects.

    Returns
    -------
    means
        One row per treatment, step, site and measure of similarity; see `tables.TURNOVER_BY_TREATMENT`. The
        subject is the unit (Welch's t test; paired where the same subjects had both).

    Raises
    ------
    ParamError
        If the control is not there.
    DataError
        If a column is missing.
    """
    keys = ["timepoint", "next_timepoint", "site", "measure"]
    named = ["subject", "treatment", *keys[:3]]
    TURNOVER.check(turnover, need=[*named, *SIMILARITIES])
    values = turnover.melt(named, list(SIMILARITIES), "measure", "value")
    values["value"] = values["value"].astype(float)
    table = by_treatment(values, keys, control=control, baseline=None, level=level)
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)
    table = table.rename(columns={"effect": "difference"})
    table = table.rename(columns={"effect_low": "difference_low", "effect_high": "difference_high"})
    return TURNOVER_BY_TREATMENT.check(table[[column.name for column in TURNOVER_BY_TREATMENT.columns]])
