"""Which founders of a palette look alike: told apart, merged, unique."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from rgbtrack.clones import ClonesParams
from rgbtrack.clones.confusion import Colours, colour_distances, merge_probability
from rgbtrack.clones.ray import Spread
from rgbtrack.plan.params import PlanParams
from rgbtrack.simulate import SimulateParams, simulate_founders

Floats = NDArray[np.float64]

PAIRS = 800_000
"""Pairs of founders compared for one curve, about."""
MOST_PALETTES = 200
_DRAWS = 80
"""Numbers of clones that are drawn for the limits, at least."""
SHARPNESS, LEARNING = 0.59, 0.130
"""Many cells tell apart what few do not: distances count ``SHARPNESS * cells**LEARNING`` times. Fitted to the
clone engine by ``benchmarks/bench_plan.py --fit``."""


@dataclass(frozen=True, eq=False)
class Palettes:
    """Palettes of founders that are drawn by chance.

    Attributes
    ----------
    colours
        Shape (palettes, founders, markers); 1 is the brightest marker of a typical founder.
    sizes
        Of the clones, relative to each other, shape (palettes, founders).
    distances
        Of every two colours, in standard deviations of a cell, shape (palettes, founders, founders).
    """

    colours: Floats
    sizes: Floats
    distances: Floats


def draw_colours(params: PlanParams, n: int, rng: np.random.Generator) -> Floats:
    """Draw the colours of n founders, shape (n, markers); 1 is the brightest marker of a typical founder."""
    markers = tuple(f"marker_{k + 1}" for k in range(params.n_markers))
    drawn = SimulateParams(
        markers=markers, n_clones=n, share_marked=params.share_transduced, copy_sd=params.copy_sd
    )
    return simulate_founders(drawn, rng)[list(markers)].to_numpy()


def draw_palettes(params: PlanParams, n_palettes: int, n_founders: int, rng: np.random.Generator) -> Palettes:
    """Draw palettes of so many founders each."""
    colours = draw_colours(params, n_palettes * n_founders, rng)
    colours = colours.reshape(n_palettes, n_founders, params.n_markers)
    distances = np.stack([founder_distances(one, params) for one in colours])
    sizes = rng.lognormal(0, params.size_sd, (n_palettes, n_founders))
    return Palettes(colours, sizes, distances)


def founder_distances(colours: Floats, params: PlanParams) -> Floats:
    """Distance of every two of n founders in standard deviations of a cell, shape (n, n)."""
    known = Colours(colours, np.full(colours.shape, params.snr**-2.0))
    return colour_distances(known, known, Spread(params.colour_sd, params.brightness_sd))


def chance_merged(palettes: Palettes, n: int, params: PlanParams) -> Floats:
    """Chance of every two of the first n founders to be taken for one clone.

    Returns
    -------
    merged
        Shape (palettes, n, n), zero on the diagonals.

    Notes
    -----
    That a pair is two clones shows in the spread of its cells, with evidence that grows as
    ``(a b)**2 / (a + b)**3`` for clones of a and b cells; for a cells each, this is said as a cells.
    """
    fitted = min(2 * params.subjects * params.cells, ClonesParams().max_fit_cells)
    sizes = palettes.sizes[:, :n]
    cells = sizes / sizes.sum(axis=1, keepdims=True) * fitted
    one, other = cells[:, :, None], cells[:, None, :]
    evidence = 8 * (one * other) ** 2 / (one + other) ** 3
    merged = merge_probability(palettes.distances[:, :n, :n] * SHARPNESS * evidence**LEARNING)
    merged[:, range(n), range(n)] = 0
    return merged


def founder_table(
    palettes: Palettes, numbers: Sequence[int], params: PlanParams, rng: np.random.Generator
) -> pd.DataFrame:
    """Expect clones and look-alikes for several numbers of founders.

    Returns
    -------
    table
        One row per number of ``founders``: ``distinguishable`` clones, with the limits within which 90 % of
        experiments lie; ``merged_pairs`` of founders that look alike; ``founder_unique``, the chance of a
        founder to look like no other; ``clone_unique``, the chance of a called clone to be one founder.

    Notes
    -----
    A founder makes a clone of its own if it looks like none before it, and is alone if it looks like no
    other. The number of clones is the sum of the former chances.
    """
    rows = []
    for n in numbers:
        merged = chance_merged(palettes, n, params)
        new = np.prod(1 - np.tril(merged), axis=2)
        alone = np.prod(1 - merged, axis=2)
        # limits of few palettes would be those of few draws
        draws = -(-_DRAWS // len(new))
        drawn = (rng.random((draws, *new.shape)) < new).sum(axis=2)
        rows.append(
            {
                "founders": n,
                "distinguishable": new.sum(axis=1).mean(),
                "distinguishable_low": np.quantile(drawn, 0.05),
                "distinguishable_high": np.quantile(drawn, 0.95),
                "merged_pairs": merged.sum(axis=(1, 2)).mean() / 2,
                "founder_unique": alone.mean(),
                "clone_unique": alone.sum() / new.sum(),
            }
        )
    return pd.DataFrame(rows)


def kind_table(palettes: Palettes, params: PlanParams) -> pd.DataFrame:
    """Chance to be unique by the number of markers that a founder carries.

    Returns
    -------
    table
        One row per number of ``markers_carried``: ``share`` of founders that carry so many and
        ``founder_unique``, the chance of such a founder to look like no other of those planned.
    """
    carried = (palettes.colours[:, : params.founders] > 0).sum(axis=2).ravel()
    unique = np.prod(1 - chance_merged(palettes, params.founders, params), axis=2).ravel()
    table = pd.DataFrame({"markers_carried": carried, "founder_unique": unique})
    means = table.groupby("markers_carried")["founder_unique"].agg(["size", "mean"]).reset_index()
    means.insert(1, "share", means.pop("size") / len(table))
    return means.rename(columns={"mean": "founder_unique"})


def example_table(palettes: Palettes, params: PlanParams) -> pd.DataFrame:
    """Take one typical palette: the founders, their colours, and whom they look like.

    Returns
    -------
    table
        One row per ``founder``, the largest first: each marker, its ``share`` of the cells, and
        ``looks_like``, the largest founder from which it cannot be told; missing where there is none.
    """
    n = params.founders
    merged = chance_merged(palettes, n, params)
    clones = np.prod(1 - np.tril(merged), axis=2).sum(axis=1)
    typical = np.abs(clones - np.median(clones)).argmin()
    sizes = palettes.sizes[typical, :n]
    order = np.argsort(-sizes, kind="stable")
    alike = np.tril(merged[typical][np.ix_(order, order)]) > 0.5
    colours = palettes.colours[typical, order]
    table = pd.DataFrame(colours, columns=[f"marker_{k + 1}" for k in range(params.n_markers)])
    table.insert(0, "founder", np.arange(1, n + 1))
    table["share"] = sizes[order] / sizes.sum()
    table["looks_like"] = pd.array(alike.argmax(axis=1) + 1, dtype="Int64")
    table.loc[~alike.any(axis=1), "looks_like"] = pd.NA
    return table


def pairs_told_apart(colours: Floats, distances: ArrayLike) -> Floats:
    """Share of pairs of colours further apart than each distance.

    Colours are divided by their sum and compared by Euclidean distance; founders without a copy are left out.

    Parameters
    ----------
    colours
        Copies or expression of each marker, shape (n, markers).
    distances
        Between colours whose markers sum to 1.

    Notes
    -----
    With equal expression of every copy this is the measure of Sakaguchi et al., eLife 7 (2018) e40350,
    figure 1G (Tetbow).

    Examples
    --------
    >>> pairs_told_apart(np.array([[2, 0, 0], [1, 0, 0], [1, 1, 0]]), [0.1, 0.8])
    array([0.66666667, 0.        ])
    """
    colours = colours[colours.sum(axis=1) > 0]
    apart = pdist(colours / colours.sum(axis=1, keepdims=True))
    return np.array([np.mean(apart > distance) for distance in np.atleast_1d(distances)])
