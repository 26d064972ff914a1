"""Ranks and sizes of clones, and how far sizes are from what neutral growth gives."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from rgbtrack.dynamics.groups import mean_interval
from rgbtrack.dynamics.matrix import count_matrix
from rgbtrack.dynamics.params import DiversityParams
from rgbtrack.dynamics.sizes import SAMPLE
from rgbtrack.tables import RANK_ABUNDANCE, SIZE_DEPARTURE, SIZE_SPECTRUM

GROUP = ["treatment", "timepoint", "site"]
POINTS = 60
"""Scaled sizes at which a distribution is given."""
SIMULATED, FEW = 1999, 500
"""Neutral samples that are drawn, where there are no more clones than this; else the limit is used."""
CAUTION = (
    "Shape alone proves nothing: unequal beginnings, unequal growth, few founders and cells called for a "
    "wrong clone change it as selection does, and a neutral shape does not exclude selection."
)


def rank_abundance(
    sizes: pd.DataFrame,
    params: DiversityParams = DiversityParams(),  # noqa: B008
) -> pd.DataFrame:
    """Rank the clones of every sample by size.

    Parameters
    ----------
    sizes
        Clone sizes; see `tables.CLONE_SIZES`.
    params
        What is counted.

    Returns
    -------
    ranks
        One row per clone and sample that holds it, the largest first; see `tables.RANK_ABUNDANCE`.
    """
    matrix = count_matrix(sizes, params.counts)
    counts = matrix.counts.tocoo()
    order = np.lexsort((counts.col, -counts.data, counts.row))
    row, n = counts.row[order], counts.data[order]
    table = pd.DataFrame({name: matrix.samples[name].array.take(row) for name in SAMPLE})
    table["clone"] = matrix.clones.take(counts.col[order])
    start = np.flatnonzero(np.diff(row, prepend=-1))
    own = np.diff(start, append=len(row))
    table["rank"] = np.arange(len(row)) - np.repeat(start, own) + 1
    table["n_cells"] = n
    total = np.asarray(matrix.counts.sum(axis=1)).ravel()[row]
    running = np.cumsum(n)
    table["fraction"] = n / total
    table["cumulative"] = (running - np.repeat(running[start] - n[start], own)) / total
    return RANK_ABUNDANCE.check(table[[column.name for column in RANK_ABUNDANCE.columns]], need=["n_cells"])


def size_spectrum(
    sizes: pd.DataFrame,
    params: DiversityParams = DiversityParams(),  # noqa: B008
) -> pd.DataFrame:
    """Distribution of clone sizes over their mean, beside the one of neutral growth.

    Parameters
    ----------
    sizes
        Clone sizes; see `tables.CLONE_SIZES`.
    params
        What is counted.

    Returns
    -------
    spectrum
        The share of clones larger than a scaled size, the mean over subjects with its interval; see
        `tables.SIZE_SPECTRUM`. Sizes are scaled by the mean of the clones seen in the same sample.
        ``attrs["caution"]`` says what it cannot show.

    Notes
    -----
    Single cells that divide, die or leave at one rate give clones whose survivors have geometric sizes,
    whether the population keeps its size (Clayton et al., Nature 446 (2007) 185; Klein and Simons,
    Development 138 (2011) 3103) or grows (Kendall, Annals of Mathematical Statistics 19 (1948) 1); scaled by
    the mean they tend to exp(-x). So do the clones of which at least one cell was seen, where any share of
    the cells was counted. Founders in unequal numbers, labels given at different times and clones that vary
    in growth leave broader shapes; clones that began with many cells each leave narrower ones.
    """
    matrix = count_matrix(sizes, params.counts)
    rows = []
    for names, group in matrix.samples.groupby(GROUP, sort=True):
        found = [np.sort(n) for n in (matrix.of(i)[1] for i in group.index) if len(n)]
        if not found:
            continue
        low = min(n[0] / n.mean() for n in found)
        high = max(n[-1] / n.mean() for n in found)
        at = np.geomspace(low / 1.5, high * 1.05, POINTS)
        larger = np.array([1 - np.searchsorted(n / n.mean(), at, "right") / len(n) for n in found])
        neutral = np.mean([_neutral_larger(at, n.mean(), matrix.whole) for n in found], axis=0)
        for k, x in enumerate(at):
            mean, below, above = mean_interval(larger[:, k], params.level)
            interval = (max(below, 0), min(above, 1)) if len(found) > 1 else (np.nan, np.nan)
            rows.append((*names, x, mean, *interval, neutral[k], len(found)))
    table = pd.DataFrame(rows, columns=[column.name for column in SIZE_SPECTRUM.columns])
    table.attrs["caution"] = CAUTION
    return table


def _neutral_larger(at: np.ndarray, mean: float, whole: bool) -> np.ndarray:
    """Share of neutral clones larger than a scaled size."""
    if not whole:
        return np.exp(-at)
    return (1 - 1 / mean) ** np.floor(at * mean + 1e-9)


def size_departure(
    sizes: pd.DataFrame,
    params: DiversityParams = DiversityParams(),  # noqa: B008
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Test whether clone sizes are more or less unequal than neutral growth makes them.

    Parameters
    ----------
    sizes
        Clone sizes; see `tables.CLONE_SIZES`.
    params
        What is counted.
    seed
        Of the neutral samples that are drawn.

    Returns
    -------
    departure
        One row per treatment, timepoint and site; see `tables.SIZE_DEPARTURE`. ``attrs["caution"]`` says what
        it cannot show.

    Notes
    -----
    Inequality is the mean log deviation, ``ln(mean) - mean(ln)`` of the sizes of seen clones (Moran's test of
    exponential lifetimes, 1951); of exponential ones it is 0.577. Each subject's is set against geometric
    sizes of the same mean and number of clones, and the deviations of all subjects are added. The p value
    tests the neutral model with all its assumptions (`size_spectrum`), clones of one subject independent:
    it does not compare treatments. Clones that several subjects share (one marked pool) are counted in each,
    so its unequal beginnings are seen several times.
    """
    matrix = count_matrix(sizes, params.counts)
    rng = np.random.default_rng(seed)
    rows = []
    for names, group in matrix.samples.groupby(GROUP, sort=True):
        found = [n for n in (matrix.of(i)[1] for i in group.index) if len(n) > 1 and n.mean() > 1]
        seen = int(sum(len(matrix.of(i)[0]) for i in group.index))
        if not found:
            rows.append((*names, 0, seen, *[np.nan] * 4, None))
            continue
        inequality = np.array([_inequality(n) for n in found])
        expected, spread = np.array([_neutral_inequality(n, matrix.whole, rng) for n in found]).T
        z = (inequality - expected).sum() / np.sqrt((spread**2).sum())
        p_value = 2 * norm.sf(abs(z))
        told = "not told apart" if p_value >= 1 - params.level else "broader" if z > 0 else "narrower"
        rows.append((*names, len(found), seen, inequality.mean(), expected.mean(), z, p_value, told))
    table = pd.DataFrame(rows, columns=[column.name for column in SIZE_DEPARTURE.columns])
    table.attrs["caution"] = CAUTION
    return table


def _inequality(n: np.ndarray) -> float:
    return float(np.log(n.mean()) - np.log(n).mean())


def _neutral_inequality(n: np.ndarray, whole: bool, rng: np.random.Generator) -> tuple[float, float]:
    """Mean and spread of the inequality of neutral clones: as many, of the same mean."""
    mean = n.mean()
    drawn = min(len(n), FEW)
    size = (SIMULATED, drawn)
    sample = rng.geometric(1 / mean, size) if whole else rng.exponential(size=size)
    found = np.log(sample.mean(axis=1)) - np.log(sample).mean(axis=1)
    # beyond so many clones the mean has settled, and the spread falls with the root of their number
    return float(found.mean()), float(found.std() * np.sqrt(drawn / len(n)))
