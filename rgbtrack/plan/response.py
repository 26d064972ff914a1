"""Did the treatment change the clones? Tests with the animal as the unit, and the one that is wrong."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, digamma, polygamma, stdtr

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_TURNS = 200
_BELIEVED = 0.25
"""Of the freedom that other clones provide: they differ in size, and small clones scatter more."""
_TINY = 1e-12


def compare_arms(control: Counts, treated: Counts, turns: Floats) -> tuple[Floats, Floats]:
    """Test the clones of two arms, one by one and all together.

    Parameters
    ----------
    control, treated
        Cells of each clone in each animal, shape (..., animals, clones).
    turns
        From `turn_animals`, for the animals of both arms.

    Returns
    -------
    clone_p
        Of each clone, shape (..., clones), not yet corrected over clones.
    overall_p
        Of any response, shape (...).

    Notes
    -----
    What `rgbtrack.clone_response` and `rgbtrack.response_heterogeneity` do, cut down to what thousands of
    experiments bear. Cells of a clone (plus one half) become centred log-ratios in each animal (Aitchison,
    1982). One clone's gain lowers the log-ratios of all others alike: the difference of the arms is taken
    less its median over clones, which stays where fewer than half of them respond; the variance of the median
    (of normal clones, pi / 2 of one clone's over their number) is added to that of each clone, which is
    moderated over clones (Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004) 3). The overall test turns animals
    (Langsrud, Stat. Comput. 15 (2005) 53): the sum over clones of the squared difference, in units of the
    clone's variance.
    """
    logs = np.log(np.concatenate([control, treated], axis=-2) + 0.5)
    ratios = logs - logs.mean(axis=-1, keepdims=True)
    arms = np.split(ratios, [control.shape[-2]], axis=-2)
    difference = arms[1].mean(axis=-2) - arms[0].mean(axis=-2)
    centred = ratios - ratios.mean(axis=-2, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-2, keepdims=True) + _TINY)
    statistic = ((turns @ scaled) ** 2).sum(axis=-1)  # (..., turns)
    overall = (statistic >= statistic[..., :1] * (1 - 1e-9)).mean(axis=-1)
    shift = np.median(difference, axis=-1, keepdims=True)
    return _moderated(difference - shift, *arms), np.asarray(overall)


def turn_animals(control: int, treated: int, rng: np.random.Generator) -> Floats:
    """Turn the animals of two arms at random; the first turn leaves them in the arms they are in.

    Returns
    -------
    turns
        Weights of unit length that add up to zero, shape (ways, animals).
    """
    arms = np.repeat([-1 / control, 1 / treated], [control, treated])
    drawn = np.vstack([arms, rng.normal(size=(_TURNS - 1, control + treated))])
    drawn -= drawn.mean(axis=1, keepdims=True)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


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


def _moderated(difference: Floats, first: Floats, second: Floats) -> Floats:
    """Two-sided p of the clones' differences less their median, whose variance counts too."""
    n, m = first.shape[-2], second.shape[-2]
    own = n + m - 2
    variance = (first.var(axis=-2) * n + second.var(axis=-2) * m) / own + _TINY  # (..., clones)
    logs = np.log(variance) - digamma(own / 2) + np.log(own / 2)
    excess = logs.var(axis=-1, ddof=1, keepdims=True) if logs.shape[-1] > 1 else np.zeros_like(logs)
    prior = 2 * _BELIEVED * _inverse_trigamma(np.maximum(excess - polygamma(1, own / 2), 1e-3))
    middle = np.exp(logs.mean(axis=-1, keepdims=True) + digamma(prior / 2) - np.log(prior / 2))
    variance = (own * variance + prior * middle) / (own + prior)
    freedom = np.minimum(own + prior, own * max(variance.shape[-1] - 1, 1))
    square = variance * (1 / n + 1 / m)
    of_median = np.pi / 2 * np.median(square, axis=-1, keepdims=True) / difference.shape[-1]
    return np.asarray(2 * stdtr(freedom, -np.abs(difference) / np.sqrt(square + of_median)))


def _inverse_trigamma(value: Floats) -> Floats:
    """Where the trigamma function has a value, by Newton's method on its inverse (Smyth, 2004)."""
    x = 0.5 + 1 / value
    for _ in range(8):
        trigamma = polygamma(1, x)
        x = x + trigamma * (1 - trigamma / value) / polygamma(2, x)
    return np.asarray(x)
