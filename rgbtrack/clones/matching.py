"""Which of two sets of clones are the same founders: a Bayes posterior over one-to-one matchings."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import gammaln
from scipy.stats import binom

from rgbtrack.clones.confusion import Colours
from rgbtrack.clones.ray import Floats, Ints, Spread

_TOLERANCE = 0.3  # difference of two means that is not believed, in standard deviations of a cell
_CARRIED = 2.0  # a founder carries a marker that reads more, in standard errors of a cell
_KERNEL = 0.3  # least width of what a founder density is smoothed with, likewise
_SHARES = np.linspace(0, 1, 21)  # of clones that may have a partner
_ROUNDS = 8
_SWEEPS = 1500
_NEVER = 1e-6  # odds of a pair that are not followed up
_LEAST_VARIANCE = 1e-8  # of log-gains that do not drift


@dataclass(frozen=True, eq=False)
class Scale:
    """The coordinate in which colours are compared: standard deviations of a typical cell.

    ``z = asinh(s_e x / sigma) / s_e``, as in `rgbtrack.clones.confusion.separation`.

    Attributes
    ----------
    sigma
        Noise of a typical cell, shape (d,).
    share
        Spread of colour within a clone, s_e.
    """

    sigma: Floats
    share: float

    def of(self, x: Floats) -> Floats:
        """Coordinate of intensities, shape (..., d)."""
        return np.asarray(np.arcsinh(self.share * x / self.sigma) / self.share)

    def unit(self, x: Floats) -> Floats:
        """Counts that one unit is worth at these intensities."""
        return np.asarray(np.sqrt(self.sigma**2 + np.square(self.share * x)))


@dataclass(frozen=True, eq=False)
class Means:
    """Mean colours of the clones of one subject, with their errors.

    Attributes
    ----------
    z
        Coordinates, shape (k, d).
    slope
        How far a gain moves each, per unit of its logarithm, shape (k, d).
    error
        Covariance of the means, shape (k, d, d).
    log_density
        Of founders, at each mean, shape (k,).
    """

    z: Floats
    slope: Floats
    error: Floats
    log_density: Floats

    def __len__(self) -> int:
        return len(self.z)


@dataclass(frozen=True, eq=False)
class Matching:
    """Posterior of the matchings of two subjects' clones.

    Attributes
    ----------
    same
        Probability that two clones are one founder, shape (k, m).
    distance
        Of their means, in standard errors, once gains are allowed for; shape (k, m).
    """

    same: Floats
    distance: Floats


def read_means(colours: Colours, n_cells: Ints, spread: Spread, scale: Scale, founders: Colours) -> Means:
    """Return the means of clones, their errors, and how dense founders are there.

    Parameters
    ----------
    colours, n_cells
        Mean and noise of each clone's cells, and how many there are.
    spread
        Within the clones.
    scale
        Coordinate in which they are compared.
    founders
        A sample of the founder population; each vector enters a cell on its own, so that markers are
        independent.
    """
    unit = scale.unit(colours.mean)
    z, slope = scale.of(colours.mean), colours.mean / unit
    own = (colours.noise + np.square(spread.colour * colours.mean)) / unit**2
    cell = own[:, :, None] * np.eye(z.shape[1])
    cell += spread.brightness**2 * slope[:, :, None] * slope[:, None, :]
    error = cell * (1 / np.maximum(n_cells, 1) + _TOLERANCE**2 / 2)[:, None, None]
    # two means are compared, so that founders are smoothed by twice the error of one
    width = np.sqrt(2 * np.diagonal(error, axis1=1, axis2=2) + _KERNEL**2)
    return Means(z, slope, error, _log_density(z, width, scale, founders))


def _log_density(z: Floats, width: Floats, scale: Scale, founders: Colours) -> Floats:
    """Density of founders at some coordinates, each marker smoothed by its width; (k, d) to (k,).

    Which markers founders carry is taken together, how much of each marker on its own.
    """
    carried = founders.mean > _CARRIED * np.sqrt(founders.noise)
    level = scale.of(founders.mean)
    density = np.zeros((2, *z.shape))
    for on in (0, 1):
        for j in range(z.shape[1]):
            of = level[carried[:, j] == bool(on), j]
            apart = (z[:, j, None] - of) / width[:, j, None]
            density[on, :, j] = np.exp(-0.5 * apart**2).sum(axis=1) / max(len(of), 1)
    density /= np.sqrt(2 * np.pi) * width
    patterns, count = np.unique(carried, axis=0, return_counts=True)
    joint = np.where(patterns, density[1][:, None], density[0][:, None]).prod(axis=-1)
    return np.asarray(np.log(joint @ (count / count.sum()) + 1e-30))


def match_means(
    first: Means, second: Means, gain_sd: float, prior: Floats, seed: int = 0
) -> tuple[Matching, Floats]:
    """Match the clones of two subjects.

    Parameters
    ----------
    first, second
        Mean colours of their clones.
    gain_sd
        How far the gains of the two may differ, ln sd.
    prior
        Probability of each share of clones that have a partner; see `even_shares`.
    seed
        The same seed draws the same matchings.

    Returns
    -------
    matching
        Probability of each pair.
    shares
        Probability of each share of clones with a partner, as ``prior``.

    Notes
    -----
    Two clones of one founder differ by the errors of their means and by the gains, ``N(slope g, C)`` with
    ``g ~ N(0, gain_sd^2)``; two of different founders by what the founder population allows. Gains are learnt
    from the matching, for each pair from the clones of all others (a cavity), and the matching from the
    gains, in turn. Each clone has one partner at most: matchings are drawn by Gibbs sampling.
    """
    k, m, d = len(first), len(second), first.z.shape[1]
    same = np.zeros((k, m))
    if not k or not m:
        return Matching(same, np.zeros((k, m))), prior
    difference = first.z[:, None] - second.z[None]
    slope = (first.slope[:, None] + second.slope[None]) / 2
    error = first.error[:, None] + second.error[None]
    by_chance = (first.log_density[:, None] + second.log_density[None]) / 2
    inverse = np.linalg.inv(error)
    information = slope[..., :, None] * inverse * slope[..., None, :]
    told = slope * (inverse @ difference[..., None])[..., 0]
    still = np.eye(d) / max(gain_sd**2, _LEAST_VARIANCE)
    for _ in range(_ROUNDS):
        before = same
        precision = still + _of_others(same[..., None, None] * information)
        variance = np.linalg.inv(precision)
        gain = (variance @ _of_others(same[..., None] * told)[..., None])[..., 0]
        rest = difference - slope * gain
        total = error + slope[..., :, None] * variance * slope[..., None, :]
        square = (rest * np.linalg.solve(total, rest[..., None])[..., 0]).sum(axis=-1)
        log_same = -0.5 * (square + np.linalg.slogdet(total)[1] + d * np.log(2 * np.pi))
        same, posterior = _one_to_one(log_same - by_chance, prior, seed)
        if np.abs(same - before).max() < 0.01:
            break
    return Matching(same, np.sqrt(square)), posterior


def even_shares() -> Floats:
    """Return the prior that knows nothing of how many clones have a partner."""
    return np.full(len(_SHARES), 1 / len(_SHARES))


def _of_others(parts: Floats) -> Floats:
    """Sum over all pairs, (k, m, ...), that have no clone in common with each."""
    rows, columns = parts.sum(axis=1, keepdims=True), parts.sum(axis=0, keepdims=True)
    return np.asarray(rows.sum(axis=0, keepdims=True) - rows - columns + parts)


def _one_to_one(log_odds: Floats, prior: Floats, seed: int) -> tuple[Floats, Floats]:
    """Probability of each pair, (k, m), and of each share of clones with a partner.

    Matchings are drawn in proportion to their probability (Gibbs sampling); all of as many pairs are as
    likely as each other before the colours are seen.
    """
    k, m = log_odds.shape
    n = np.arange(min(k, m) + 1)
    ways = gammaln(k + 1) - gammaln(k - n + 1) + gammaln(m + 1) - gammaln(m - n + 1) - gammaln(n + 1)
    of_share = binom.pmf(n, n[-1], _SHARES[:, None]) * prior[:, None]
    log_prior = np.log(of_share.sum(axis=0) + 1e-300) - ways
    step = np.exp(np.append(np.diff(log_prior), -np.inf))
    uniform = np.random.default_rng([seed, k, m]).random((_SWEEPS, k, 3))
    same, sizes = np.zeros((k, m)), np.zeros(len(n))
    draw_matchings(np.exp(np.clip(log_odds, -200, 200)), step, uniform, same, sizes)
    same /= np.maximum(same.sum(axis=0), 1)  # rows are exact given the others, columns but for chance
    posterior = (sizes * of_share / of_share.sum(axis=0)).sum(axis=1)
    return same, posterior / posterior.sum()


@njit(cache=True, nogil=True, error_model="numpy")
def draw_matchings(weight, step, uniform, same, sizes):  # type: ignore[no-untyped-def]
    """Fill ``same`` (k, m) with the probability of each pair, ``sizes`` with that of each number of pairs.

    ``weight`` holds the odds of each pair, ``step`` how much likelier n + 1 pairs are than n before the
    colours are seen. Each clone in turn draws its partner given those of all others; then it may change
    partners with another one. The first fifth of the sweeps is not counted.
    """
    sweeps, k, _ = uniform.shape
    m = weight.shape[1]
    partner = np.full(k, -1)
    taken = np.zeros(m, dtype=np.bool_)
    likely = np.empty((k, m), dtype=np.int64)
    count = np.zeros(k, dtype=np.int64)
    for a in range(k):
        for b in range(m):
            if weight[a, b] > _NEVER:
                likely[a, count[a]] = b
                count[a] += 1
    n = 0
    first = sweeps // 5
    for t in range(sweeps):
        for a in range(k):
            if partner[a] >= 0:
                taken[partner[a]] = False
                partner[a] = -1
                n -= 1
            total = 1.0
            for b in likely[a, : count[a]]:
                if not taken[b]:
                    total += weight[a, b] * step[n]
            left = uniform[t, a, 0] * total - 1.0
            for b in likely[a, : count[a]]:
                if not taken[b]:
                    odds = weight[a, b] * step[n]
                    if t >= first:
                        same[a, b] += odds / total / (sweeps - first)
                    if partner[a] < 0 and left >= 0.0:
                        left -= odds
                        if left < 0.0:
                            partner[a] = b
            if partner[a] >= 0:
                taken[partner[a]] = True
                n += 1
        for a in range(k):
            c = int(uniform[t, a, 1] * k)
            p, q = partner[a], partner[c]
            ratio = 1.0
            if p >= 0:
                ratio *= weight[c, p] / weight[a, p]
            if q >= 0:
                ratio *= weight[a, q] / weight[c, q]
            if uniform[t, a, 2] < ratio:
                partner[a], partner[c] = q, p
        if t >= first:
            sizes[n] += 1.0 / (sweeps - first)
