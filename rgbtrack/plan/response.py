"""Did the treatment change the clones? Tests with the animal as the unit, and the one that is wrong."""

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, stdtr

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_EXACT = 200
"""Divisions of the animals: so many are tried at most; all of them where there are fewer."""
_TINY = 1e-12


def compare_arms(control: Counts, treated: Counts, divisions: Floats) -> tuple[Floats, Floats]:
    """Test the clones of two arms, one by one and all together.

    Parameters
    ----------
    control, treated
        Cells of each clone in each animal, shape (..., animals, clones).
    divisions
        From `divide_animals`, for the animals of both arms.

    Returns
    -------
    clone_p
        Of each clone, shape (..., clones), not yet corrected over clones.
    overall_p
        Of any response, shape (...).

    Notes
    -----
    Cells of a clone (plus one half) become centred log-ratios in each animal (Aitchison, 1982). One clone's
    gain lowers the log-ratios of all others alike: the difference of the arms is taken less its median over
    clones, which stays where fewer than half of them respond, and tested by Welch's t; the variance of the
    median (of normal clones, pi / 2 of one clone's over their number) is added to that of each clone. The
    overall test permutes animals (Anderson, Austral Ecology 26 (2001) 32): the sum over clones of the squared
    difference, in units of the clone's variance.
    """
    logs = np.log(np.concatenate([control, treated], axis=-2) + 0.5)
    ratios = logs - logs.mean(axis=-1, keepdims=True)
    arms = np.split(ratios, [control.shape[-2]], axis=-2)
    difference = arms[1].mean(axis=-2) - arms[0].mean(axis=-2)
    centred = ratios - ratios.mean(axis=-2, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-2, keepdims=True) + _TINY)
    statistic = ((divisions @ scaled) ** 2).sum(axis=-1)  # (..., divisions)
    overall = (statistic >= statistic[..., :1] * (1 - 1e-9)).mean(axis=-1)
    shift = np.median(difference, axis=-1, keepdims=True)
    return _welch(difference - shift, *arms), np.asarray(overall)


def divide_animals(control: int, treated: int, rng: np.random.Generator) -> Floats:
    """Divide animals into two arms in every way, or in 200 ways; the first is the one they are in.

    Returns
    -------
    divisions
        Weights that give the difference of the arms' means, shape (ways, animals).
    """
    n = control + treated
    arms = np.repeat([False, True], [control, treated])
    if comb(n, treated) <= _EXACT * 2:
        chosen = np.zeros((comb(n, treated), n), dtype=bool)
        for row, members in enumerate(combinations(range(n - 1, -1, -1), treated)):
            chosen[row, list(members)] = True
    else:
        chosen = np.stack([arms, *(rng.permutation(arms) for _ in range(_EXACT - 1))])
    return np.where(chosen, 1 / treated, -1 / control)


def compare_cells(control: Counts, treated: Counts) -> Floats:
    """Chi-square test of the cells of all animals in one pot: wrong, as cells of one animal go together.

    Parameters
    ----------
    control, treated
        As for `compare_arms`.

    Returns
    -------
    p
        Shape (...).
    """
    arms = np.stack([control.sum(axis=-2), treated.sum(axis=-2)], axis=-2).astype(float)  # (..., 2, clones)
    clone = arms.sum(axis=-2, keepdims=True)
    expected = arms.sum(axis=-1, keepdims=True) * clone / clone.sum(axis=-1, keepdims=True)
    seen = clone[..., 0, :] > 0
    chi2 = ((arms - expected) ** 2 / np.maximum(expected, _TINY)).sum(axis=(-2, -1))
    return np.asarray(chdtrc(np.maximum(seen.sum(axis=-1) - 1, 1), chi2))


def _welch(difference: Floats, first: Floats, second: Floats) -> Floats:
    """Two-sided p of the clones' differences less their median, whose variance counts too."""
    n, m = first.shape[-2], second.shape[-2]
    v, w = first.var(axis=-2, ddof=1) / n + _TINY, second.var(axis=-2, ddof=1) / m + _TINY
    freedom = (v + w) ** 2 / (v**2 / (n - 1) + w**2 / (m - 1))
    of_median = np.pi / 2 * np.median(v + w, axis=-1, keepdims=True) / difference.shape[-1]
    return np.asarray(2 * stdtr(freedom, -np.abs(difference) / np.sqrt(v + w + of_median)))
