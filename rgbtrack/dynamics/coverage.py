"""What the counts of one sample say about the clones that it missed.

Everything here depends on a sample only through its counts: how many clones were seen once, twice and so on.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

EXACT = 30.0
"""Expected cells below which an expectation is summed, and above which it is expanded."""


@dataclass(frozen=True)
class Abundances:
    """Counts of one sample: the distinct ones, and how many clones have each."""

    counts: np.ndarray
    clones: np.ndarray

    @property
    def n(self) -> float:
        """Cells in all."""
        return float((self.counts * self.clones).sum())

    def seen(self, count: int) -> float:
        """Clones of which so many cells were seen."""
        return float(self.clones[self.counts == count].sum())


def abundances(counts: np.ndarray) -> Abundances:
    """Group whole counts; zeros are left out."""
    distinct, clones = np.unique(counts[counts > 0], return_counts=True)
    return Abundances(distinct.astype(float), clones.astype(float))


def unseen_clones(n: float, f1: float, f2: float) -> float:
    """Least number of clones that were missed (Chao, Scandinavian Journal of Statistics 11 (1984) 265).

    Parameters
    ----------
    n
        Cells in the sample.
    f1, f2
        Clones of which one cell, or two, were seen.

    Examples
    --------
    >>> unseen_clones(100, 10, 5)
    9.9
    """
    pairs = f1**2 / (2 * f2) if f2 > 0 else f1 * (f1 - 1) / 2
    return max((n - 1) / n * pairs, 0.0)


def turing_factor(n: float, f1: float, f2: float) -> float:
    """Share of what is missing that is still missing after one more cell."""
    if f1 <= 0:
        return 0.0
    if f2 > 0:
        return (n - 1) * f1 / ((n - 1) * f1 + 2 * f2)
    return max((n - 1) * (f1 - 1) / ((n - 1) * (f1 - 1) + 2), 0.0)


def sample_coverage(n: float, f1: float, f2: float, more: float = 0.0) -> float:
    """Share of the cells of the population that belong to clones seen in a sample of ``n + more`` cells.

    Chao and Jost, Ecology 93 (2012) 2533, equations 4a and 12.

    Examples
    --------
    >>> round(sample_coverage(100, 10, 5), 4)
    0.901
    """
    return 1 - f1 / n * turing_factor(n, f1, f2) ** (more + 1)


def missed(k: np.ndarray, n: float, m: float) -> np.ndarray:
    """Chance that none of m cells, drawn from n without return, is one of the k of a clone."""
    k = np.asarray(k, dtype=float)
    possible = k <= n - m
    at = np.where(possible, k, 0)
    log = gammaln(n - at + 1) - gammaln(n - at - m + 1) - gammaln(n + 1) + gammaln(n - m + 1)
    return np.where(possible, np.exp(log), 0.0)


def missed_share(k: np.ndarray, n: float, m: float) -> np.ndarray:
    """What a clone of k of n cells adds to the share not covered by m of them (m < n)."""
    k = np.asarray(k, dtype=float)
    # one of its cells is the next that is drawn: it is not among the n - 1 that the m are drawn from
    return np.where(k > 0, k / n * missed(np.maximum(k - 1, 0), n - 1, m), 0.0)


def drawn_entropy(k: np.ndarray, n: float, m: float) -> np.ndarray:
    """Mean of ``-(K/m) ln(K/m)`` for the K cells of a clone of k of n cells among m drawn without return.

    Summed where few are expected, else expanded to the fourth central moment.
    """
    k = np.asarray(k, dtype=float)
    mean = k * m / n
    out = np.zeros(len(k))
    few = (mean <= EXACT) & (k > 0)
    if few.any():
        x = k[few][:, None]
        drawn = np.arange(1, min(x.max(), m, EXACT + 12 * np.sqrt(EXACT)) + 1)
        out[few] = _chance(drawn, x, n, m) @ -xlogy(drawn / m, drawn / m)
    many = (mean > EXACT) & (k > 0)
    mu, x = mean[many], k[many]
    if mu.size:
        share, part = x / n, m / n
        left = max(n - 1, 1)
        second = mu * (1 - share) * (n - m) / left
        third = second * (1 - 2 * share) * (1 - 2 * part)
        fourth = 3 * second**2 + second
        mean_log = mu * np.log(mu) + second / (2 * mu) - third / (6 * mu**2) + fourth / (12 * mu**3)
        out[many] = (np.log(m) * mu - mean_log) / m
    return out


def _chance(j: np.ndarray, x: np.ndarray, n: float, m: float) -> np.ndarray:
    """Chance of j of the x cells of a clone among m of n, shape (x, j)."""
    possible = (j <= x) & (m - j <= n - x)
    j = np.where(possible, j, x)
    rest, other = n - x, m - j
    fit = possible & (other <= rest) & (other >= 0)
    other = np.where(fit, other, 0)
    log = gammaln(x + 1) - gammaln(j + 1) - gammaln(x - j + 1)
    log += gammaln(rest + 1) - gammaln(other + 1) - gammaln(rest - other + 1)
    log -= gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1)
    return np.where(fit, np.exp(log), 0.0)
