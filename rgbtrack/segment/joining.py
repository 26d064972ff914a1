"""Parts to cells: regions are joined across seams that a network takes for the inside of one cell."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.network import Array
from rgbtrack.segment.regions import (
    CHANNELS,
    STRENGTH,
    N,
    Seams,
    ellipsoid,
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
    a, b = seams.first, seams.second
    one, other = sums[a], sums[b]
    both = one + other
    n_one, n_other = one[:, N], other[:, N]
    n_small = np.minimum(n_one, n_other)
    n_colours = (sums.shape[1] - CHANNELS) // 2
    typical = typical_size(diameter, spacing, volume)
    fill_one, fill_other = (ellipsoid(each, volume, spacing)[0] for each in (one, other))
    fill, long, short = ellipsoid(both, volume, spacing)
    parts = (n_one * fill_one + n_other * fill_other) / (n_one + n_other)
    colours = slice(CHANNELS, CHANNELS + n_colours)
    colour_one, colour_other = one[:, colours] / n_one[:, None], other[:, colours] / n_other[:, None]
    apart = np.sqrt(((colour_one - colour_other) ** 2).sum(1))
    norm = np.sqrt((colour_one**2).sum(1) * (colour_other**2).sum(1))
    cosine = (colour_one * colour_other).sum(1) / np.maximum(norm, 1e-6)
    strength_one, strength_other = one[:, STRENGTH] / n_one, other[:, STRENGTH] / n_other
    dimmer = np.minimum(strength_one, strength_other)
    length = seams.sums[:, 0]
    # seams of volumes are areas: compared by what is left of them in the plane
    width = np.sqrt(length * spacing) if volume else length
    radius = (n_small * spacing * 3 / 4 / np.pi) ** (1 / 3) if volume else np.sqrt(n_small / np.pi)
    return np.stack(
        [
            np.log1p(seams.sums[:, 1] / length * (diameter / 10)),
            np.log1p(apart),
            1 - cosine,
            np.clip(dimmer - seams.sums[:, 2] / length, -10, 10),
            fill,
            fill - parts,
            np.log(long / short),
            np.log((n_one + n_other) / typical),
            np.log(n_small / typical),
            np.log(np.maximum(n_one, n_other) / typical),
            width / radius,
            width / short,
            seams.pass_height / np.maximum(np.minimum(peak[a], peak[b]), 0.5),
            np.log1p(2 * np.maximum(peak[a], peak[b]) / diameter),
            np.log1p(np.maximum(dimmer, 0)),
            np.log1p(np.abs(strength_one - strength_other)),
        ],
        axis=1,
    )


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
        rank = np.empty(len(probability), np.int64)
        rank[np.argsort(-probability, kind="stable")] = np.arange(len(probability))
        best = np.full(n + 1, len(rank))
        np.minimum.at(best, seams.first, rank)
        np.minimum.at(best, seams.second, rank)
        joined = (probability > least) & (rank == best[seams.first]) & (rank == best[seams.second])
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
        first, second = target[seams.first], target[seams.second]
        anew = (changed[first] | changed[second]) & (first != second)
        low, high = np.minimum(first, second)[anew], np.maximum(first, second)[anew]
        some = fold_seams(low * (n + 1) + high, n, seams.sums[anew], seams.pass_height[anew])
        # the others are as they were
        same = ~(changed[first] | changed[second])
        seams, order = seams.take(same).merge(some)
        probability = np.concatenate([probability[same], judge(some, describe(some, sums, peak))])[order]
    return root, doubt
