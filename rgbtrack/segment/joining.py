"""Parts to cells: regions are joined across seams that a network takes for the inside of one cell."""

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.network import Array
from rgbtrack.segment.regions import (
    CHANNELS,
    STRENGTH,
    N,
    Seams,
    ellipsoid_of,
    fold_seams,
)

MAX_ROUNDS = 20
FEATURES = (
    "gradient on the seam",
    "difference in colour and brightness",
    "difference in hue",
    "valley on the seam",
    "fill of the ellipse",
    "gain in fill",
    "elongation",
    "size together",
    "size of the smaller",
    "size of the larger",
    "seam over the smaller's width",
    "seam over the short axis",
    "pass over the lower peak",
    "higher peak",
    "strength of the dimmer",
    "difference in strength",
)
Judge = Callable[[Array], Array]


def seam_features(
    seams: Seams, sums: Array, peak: Array, diameter: float, spacing: float, volume: bool
) -> Array:
    """What tells whether two regions are one cell, shape (s, 16); see `FEATURES`.

    Sizes are shares of a typical cell's, so that the features do not depend on the magnification.
    """
    features = np.empty((len(seams.first), len(FEATURES)))
    scale = diameter, spacing, typical_size(diameter, spacing, volume)
    _seam_features(
        seams.first, seams.second, seams.sums, seams.pass_height, sums, peak, scale, volume, features
    )
    return features


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _seam_features(first, second, seam_sums, pass_height, regions, peak, scale, volume, features):  # type: ignore[no-untyped-def]
    diameter, spacing, typical = scale
    n_colours = (regions.shape[1] - CHANNELS) // 2
    both = np.empty(regions.shape[1])
    for i in range(len(first)):
        one, other, feature = regions[first[i]], regions[second[i]], features[i]
        for k in range(len(both)):
            both[k] = one[k] + other[k]
        n_one, n_other = one[N], other[N]
        n_small, n_large = min(n_one, n_other), max(n_one, n_other)
        fill_one, fill_other = ellipsoid_of(one, volume, spacing)[0], ellipsoid_of(other, volume, spacing)[0]
        fill, long, short = ellipsoid_of(both, volume, spacing)
        parts = (n_one * fill_one + n_other * fill_other) / (n_one + n_other)
        apart = square_one = square_other = product = 0.0
        for c in range(CHANNELS, CHANNELS + n_colours):
            a, b = one[c] / n_one, other[c] / n_other
            apart += (a - b) ** 2
            square_one += a * a
            square_other += b * b
            product += a * b
        strength_one, strength_other = one[STRENGTH] / n_one, other[STRENGTH] / n_other
        dimmer = min(strength_one, strength_other)
        low, high = min(peak[first[i]], peak[second[i]]), max(peak[first[i]], peak[second[i]])
        length = seam_sums[i, 0]
        if volume:  # a seam is an area: compared by what is left of it in the plane
            width = np.sqrt(length * spacing)
            radius = (n_small * spacing * 3 / 4 / np.pi) ** (1 / 3)
        else:
            width, radius = length, np.sqrt(n_small / np.pi)
        feature[0] = np.log1p(seam_sums[i, 1] / length * (diameter / 10))
        feature[1] = np.log1p(np.sqrt(apart))
        feature[2] = 1 - product / max(np.sqrt(square_one * square_other), 1e-6)
        feature[3] = min(max(dimmer - seam_sums[i, 2] / length, -10.0), 10.0)
        feature[4] = fill
        feature[5] = fill - parts
        feature[6] = np.log(long / short)
        feature[7] = np.log((n_one + n_other) / typical)
        feature[8] = np.log(n_small / typical)
        feature[9] = np.log(n_large / typical)
        feature[10] = width / radius
        feature[11] = width / short
        feature[12] = pass_height[i] / max(low, 0.5)
        feature[13] = np.log1p(2 * high / diameter)
        feature[14] = np.log1p(max(dimmer, 0.0))
        feature[15] = np.log1p(abs(strength_one - strength_other))


def typical_size(diameter: float, spacing: float, volume: bool) -> float:
    """Pixels of a typical cell."""
    return np.pi / 6 * diameter**3 / spacing if volume else np.pi / 4 * diameter**2


def join_regions(
    seams: Seams,
    sums: Array,
    peak: Array,
    describe: Callable[[Seams, Array, Array], Array],
    judge: Callable[[Seams, Array], Array],
    least: float,
) -> tuple[NDArray[np.int64], Array]:
    """Join regions, surest first, until no seam is more probably inside a cell than not.

    In each round those pairs are joined whose seam is the most probable one of both.

    Parameters
    ----------
    seams, sums, peak
        Of the regions, see `regions`; `peak` is the largest distance to an edge in each.
    describe
        Features of seams from (seams, sums, peak).
    judge
        Probability that a seam lies inside a cell, from (seams, features).
    least
        Probability from which two regions are joined.

    Returns
    -------
    root, doubt
        New label of each old one, and for each label the least probability at which it was joined, 1 where
        it was not; shape (n + 1,).
    """
    sums, peak = sums.copy(), peak.copy()
    n = len(sums) - 1
    root, doubt = np.arange(n + 1), np.ones(n + 1)
    probability = judge(seams, describe(seams, sums, peak))
    for _ in range(MAX_ROUNDS):
        joined = _surest(seams.first, seams.second, probability, least, n)
        if not joined.any():
            break
        a, b = seams.first[joined], seams.second[joined]
        target = np.arange(n + 1)
        target[b] = a
        sums[a] += sums[b]
        peak[a] = np.maximum(peak[a], peak[b])
        doubt[a] = np.minimum(np.minimum(doubt[a], doubt[b]), probability[joined])
        root = target[root]
        changed = np.zeros(n + 1, bool)
        changed[a] = True
        pairs = np.stack([target[seams.first], target[seams.second]], axis=1)
        anew = changed[pairs[:, 0]] | changed[pairs[:, 1]]
        again = anew & (pairs[:, 0] != pairs[:, 1])
        values = np.column_stack([seams.sums, seams.pass_height])
        some = fold_seams(pairs[again], n, values[again])
        seams = seams.take(~anew).plus(some)
        probability = np.concatenate([probability[~anew], judge(some, describe(some, sums, peak))])
    return root, doubt


@numba.njit(cache=True, nogil=True)
def _surest(first, second, probability, least, n):  # type: ignore[no-untyped-def]
    """Whether each seam is probable enough, and the most probable one of both its regions.

    Of seams that are as probable that of the lower labels counts.
    """
    best = np.full(n + 1, -1)
    for i in range(len(first)):
        for region in (first[i], second[i]):
            k = best[region]
            if (
                k < 0
                or probability[i] > probability[k]
                or (probability[i] == probability[k] and (first[i], second[i]) < (first[k], second[k]))
            ):
                best[region] = i
    joined = np.zeros(len(first), np.bool_)
    for i in range(len(first)):
        joined[i] = probability[i] > least and best[first[i]] == i and best[second[i]] == i
    return joined
