"""Hill numbers of one sample, at the depth it has and at the depth that a coverage asks for, with intervals.

Every estimate is a smooth function of sums over clones: clones seen, clones seen once, entropy, and so on.
The spread of such sums over repeated counting follows from the composition that the counts suggest, missed
clones included, and that of the estimate from its slopes.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, exp1, xlogy
from scipy.stats import norm, poisson

from rgbtrack.dynamics.coverage import (
    Abundances,
    drawn_entropy,
    missed,
    missed_share,
    sample_coverage,
    turing_factor,
    unseen_clones,
)

TABLE = 120
"""Counts up to which the spread of a clone's count is summed."""
LARGE = 50.0
"""Expected count above which a function of the count is taken as straight over its spread."""
ORDERS = (0, 1, 2)
"""Orders of Hill numbers: clones, clones that are common, clones that dominate."""
SEEN, ONCE, TWICE, PAIRS, ENTROPY, BEYOND, LAST, SEEN_M, ENTROPY_M, SHARE_M = range(10)
"""Places of the sums: clones seen, seen once, seen twice; chance that two cells are of one clone; entropy,
what the population has beyond it of seen clones, what the last cell added to it; of m cells, clones seen,
entropy, and the share not covered. The last three come once more, of m + 1 cells."""


@dataclass(frozen=True)
class Estimate:
    """Hill numbers of orders 0, 1, 2, each with the ends of its interval, shape (3,)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Composition:
    """Counts that repeated samples of one size would have on average: of seen clones, then of missed ones."""

    expected: np.ndarray
    clones: np.ndarray


def suggested_composition(sample: Abundances) -> Composition:
    """Counts to expect of each clone, the missed ones included.

    Chao and Jost, Methods in Ecology and Evolution 6 (2015) 873, appendix S2: seen clones are lowered so that
    their shares add up to the coverage, the rarest the most; the rest is divided evenly among the missed.
    """
    n, f1, f2 = sample.n, sample.seen(1), sample.seen(2)
    cover = sample_coverage(n, f1, f2)
    share = sample.counts / n
    lowered = share * np.exp(n * np.log1p(-np.minimum(share, 1 - 1e-15)))
    weight = (1 - cover) / max((lowered * sample.clones).sum(), 1e-300) if cover < 1 else 0.0
    expected = n * np.clip(share - weight * lowered, 0, None)
    unseen = np.ceil(unseen_clones(n, f1, f2)) if cover < 1 else 0.0
    if unseen < 1:
        return Composition(expected, sample.clones)
    return Composition(np.append(expected, n * (1 - cover) / unseen), np.append(sample.clones, unseen))


def sums_over_clones(k: np.ndarray, n: float, m: float) -> np.ndarray:
    """What a clone of k of n cells adds to each sum, shape (k, 13)."""
    k = np.minimum(np.asarray(k, dtype=float), n)
    share, some = k / n, np.maximum(k, 1)
    last_cell = -np.log1p(-1 / n) if n > 1 else 0.0
    columns = [
        k > 0,
        k == 1,
        k == 2,
        share * (k - 1) / max(n - 1, 1),
        -xlogy(share, share),
        np.where(k > 0, share * (digamma(n) - np.log(n) - digamma(some) + np.log(some)), 0),
        share * (last_cell + (k - 1) / max(n - 1, 1) * np.log1p(-1 / np.maximum(k, 2))),
    ]
    for size in (m, m + 1):
        whole = size >= n
        columns += [
            columns[0] if whole else 1 - missed(k, n, size),
            columns[4] if whole else drawn_entropy(k, n, size),
            np.zeros(len(k)) if whole else missed_share(k, n, size),
        ]
    return np.column_stack(columns).astype(float)


def spread_of_sums(composition: Composition, n: float, m: float) -> np.ndarray:
    """Covariance of the sums over repeated samples of n cells, shape (13, 13).

    Counts of clones are taken as Poisson around what is expected, given their total.
    """
    small = composition.expected <= LARGE
    clones, expected = composition.clones[small], composition.expected[small]
    table = np.arange(TABLE)
    value = sums_over_clones(table, n, m)
    chance = poisson.pmf(table, expected[:, None])
    mean = chance @ value
    covariance = np.einsum("ij,i,jk,jl->kl", chance, clones, value, value, optimize=True)
    covariance -= (mean * clones[:, None]).T @ mean
    with_total = clones @ (chance @ (value * table[:, None]) - mean * expected[:, None])
    clones, expected = composition.clones[~small], composition.expected[~small]
    if expected.size:
        step = np.round(np.sqrt(expected))
        low, high = np.round(expected) - step, np.round(expected) + step
        high = np.minimum(high, n)
        slope = sums_over_clones(high, n, m) - sums_over_clones(low, n, m)
        slope /= (high - low)[:, None]
        covariance += (slope * (clones * expected)[:, None]).T @ slope
        with_total += (clones * expected) @ slope
    return covariance - np.outer(with_total, with_total) / n


def hill_numbers(sample: Abundances, target: float | None = None, level: float = 0.95) -> dict[str, Estimate]:
    """Estimate Hill numbers of orders 0, 1, 2.

    Parameters
    ----------
    sample
        Two cells or more.
    target
        Coverage at which samples are compared: fewer cells than were counted are drawn, or more foreseen.
        None: no such estimate.
    level
        Coverage of the intervals: what counting leaves unsure.

    Returns
    -------
    estimates
        ``observed`` of this sample, ``estimated`` of its population, ``standardised`` at the coverage.
    """
    n = sample.n
    m = n if target is None else size_of_coverage(sample, target)
    sums = sums_over_clones(sample.counts, n, m).T @ sample.clones
    now = sample_coverage(n, sample.seen(1), sample.seen(2))
    question = (n, m, target, target is not None and now < target)
    value = _estimates(sums, *question)
    slopes = np.zeros((value.size, sums.size))
    for j in np.flatnonzero(sums):
        step = np.zeros(sums.size)
        step[j] = 1e-5 * sums[j]
        slopes[:, j] = _estimates(sums + step, *question) - _estimates(sums - step, *question)
        slopes[:, j] /= 2 * step[j]
    spread = spread_of_sums(suggested_composition(sample), n, m)
    error = np.sqrt(np.clip(np.einsum("ij,jk,ik->i", slopes, spread, slopes), 0, None))
    reach = np.exp(norm.isf((1 - level) / 2) * error / value)
    low, high = np.maximum(value / reach, 1.0), value * reach
    names = ("observed", "estimated", "standardised")[: value.size // 3]
    return {
        name: Estimate(value[i : i + 3], low[i : i + 3], high[i : i + 3])
        for name, i in zip(names, (0, 3, 6), strict=False)
    }


def size_of_coverage(sample: Abundances, target: float) -> float:
    """Most cells, whole, of which the coverage does not pass the target; n where more are needed."""
    n = sample.n
    if sample_coverage(n, sample.seen(1), sample.seen(2)) <= target:
        return n
    low, high = 1.0, n - 1
    while low < high:
        middle = np.ceil((low + high) / 2)
        if 1 - missed_share(sample.counts, n, middle) @ sample.clones <= target:
            low = middle
        else:
            high = middle - 1
    return float(low)


def _estimates(sums: np.ndarray, n: float, m: float, target: float | None, beyond: bool) -> np.ndarray:
    """Observed, estimated and, with a target, standardised Hill numbers, shape (6,) or (9,).

    ``beyond`` says that more cells than were counted are needed.
    """
    seen, f1, f2 = sums[SEEN], sums[ONCE], sums[TWICE]
    unseen, still = unseen_clones(n, f1, f2), turing_factor(n, f1, f2)
    now = np.array([seen, np.exp(sums[ENTROPY]), _order_two(sums[PAIRS], n)])
    further = sums[BEYOND] + f1 / n * _tail(n, still)
    final = np.array([seen + unseen, now[1] * np.exp(further), 1 / max(sums[PAIRS], 1e-300)])
    if target is None:
        return np.concatenate([now, final])
    cover = sample_coverage(n, f1, f2)
    if m < n:
        below = np.array([sums[SEEN_M], np.exp(sums[ENTROPY_M]), _order_two(sums[PAIRS], m)])
        above = np.array([sums[SEEN_M + 3], np.exp(sums[ENTROPY_M + 3]), _order_two(sums[PAIRS], m + 1)])
        cover_below = 1 - sums[SHARE_M]
        cover_above = cover if m + 1 >= n else 1 - sums[SHARE_M + 3]
        gap = cover_above - cover_below
        part = (target - cover_below) / gap if gap > 0 else 1.0
        return np.concatenate([now, final, below + part * (above - below)])
    if not beyond or not 0 < still < 1:
        return np.concatenate([now, final, now])
    more = np.log(max(1 - target, 1e-15) / (1 - cover)) / np.log(still)
    gain, left = -np.expm1(-sums[LAST]), np.expm1(further)
    rate = gain / (gain + left) if gain > 0 and left > 0 else 1.0
    then = np.array(
        [
            seen + unseen * (1 - (1 - f1 / (n * unseen + f1)) ** more),
            now[1] * (1 + left * (1 - (1 - rate) ** more)),
            _order_two(sums[PAIRS], n + more),
        ]
    )
    return np.concatenate([now, final, then])


def _order_two(pairs: float, m: float) -> float:
    """Hill number of order 2 of m cells, from the chance that two cells are of one clone."""
    return m / (1 + (m - 1) * pairs)


def _tail(n: float, still: float) -> float:
    """Sum over j from 0 of ``still^(j+1) / (n + j)``: entropy of the clones that were missed, over f1 / n.

    Summed at first, then by the integral (Euler and Maclaurin).
    """
    if still <= 0:
        return 0.0
    j = np.arange(100)
    start, rate = n + j.size, -np.log(still)
    x = rate * start
    integral = np.exp(x) * exp1(x) if x < 50 else (1 - 1 / x + 2 / x**2) / x
    rest = still ** (j.size + 1) * (integral + 0.5 / start + (rate / start + start**-2) / 12)
    return float((still ** (j + 1) / (n + j)).sum() + rest)
