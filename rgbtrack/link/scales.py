"""How far cells step and how much colours flicker: all that links are weighed by, learnt from the movie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls
from scipy.special import gammaln

from rgbtrack.link.cuts import within
from rgbtrack.link.movie import UNKNOWN, Bools, Floats, Ints, Movie
from rgbtrack.link.states import likeness, pair_evidence_of
from rgbtrack.threads import over_bands

PRIOR_SD = 0.1
"""ln sd of flicker, of brightness and of each marker, before anything is seen."""
PRIOR_WEIGHT = 20.0  # links that the prior counts for
MOST = 20_000  # pairs that scales are learnt from
SAMPLE, FEW = 2048, 256
"""Detections that stand for all other cells, and before anything is linked."""
ODD = 0.05
"""Share of cells taken to be unlike those that the density of features is made of."""
REACH = 4.0
"""Candidates lie within so many typical steps."""
RATES = (0.01, 0.1, 10.0)
NUS = (2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, 100.0)


@dataclass(frozen=True, eq=False)
class Scales:
    """What links are weighed by; see `states` for the motion, lengths in um, times in frames.

    Attributes
    ----------
    motion
        Rate at which velocity is forgotten, variances of velocity, of diffusion per frame, of a place.
    flicker
        Covariance of the logarithms of features of one cell from frame to frame, (m, m).
    noise
        What the variances by standard errors are to be multiplied by, (m,).
    drift
        Covariance by which features change for good, per frame, (m, m).
    tails
        Of Student's t, of places and of features, see `tail_of`, (2, 4).
    room
        Variances of the midpoint of sisters around their mother, and of their distance, along each axis;
        whether (1 or 0) the mother's velocity counts.
    shift
        How features of daughters differ from their mother's, (m,).
    spread
        Covariance of that difference, (m, m).
    appear, leave
        Log rate of appearing in a frame, per um², and log odds of leaving, by `zones` from the edge, (4,).
    break_in, break_off
        The same with cells that are missed for a while.
    ghost
        Log rate per um² of what is seen once and never again, (4,).
    rates
        Log rates of being missed in a frame and of dividing, (2,).
    """

    motion: Floats
    flicker: Floats
    noise: Floats
    drift: Floats
    tails: Floats
    room: Floats
    shift: Floats
    spread: Floats
    appear: Floats
    leave: Floats
    break_in: Floats
    break_off: Floats
    ghost: Floats
    rates: Floats

    @property
    def step(self) -> float:
        """Sd of the distance from one frame to the next, along each axis, um."""
        rate, v, w, r = self.motion
        e = np.exp(-rate)
        return float(np.sqrt(2 * v / rate**2 * (rate - 1 + e) + w + 2 * r))

    def reach(self, dt: float) -> float:
        """How far a cell, or a daughter from her mother, may be found after so many frames, um."""
        rate, v, w, r = self.motion
        step2 = 2 * v / rate**2 * (rate * dt - 1 + np.exp(-rate * dt)) + w * dt + 2 * r
        birth2 = self.room[0] + self.room[1] / 4
        return float(REACH * np.sqrt(max(step2, birth2 / 2)))


def first_scales(movie: Movie, divisions: bool) -> Scales:
    """Scales before anything is linked: the step under which pairs of detections are most likely.

    Notes
    -----
    Of the cells of the next frame around a cell, one is itself and the others are there by chance; the
    likelihood of all of them, ``1 - p + p sum_j f(step_j) g(colour_j) / density``, is greatest at the right
    step (Semrau and Schmidt, Biophysical Journal 92 (2007) 613). No link needs to be known.
    """
    m = movie.feature.shape[1]
    flicker = PRIOR_SD**2 * (np.eye(m) + 1.0)
    source, sink = neighbour_pairs(movie, 3.0 * movie.spacing, 2000)
    step = 0.3 * movie.spacing
    factor = 1.0
    if len(source):
        distance2 = ((movie.place[sink] - movie.place[source]) ** 2).sum(axis=1)
        dims = movie.place.shape[1]
        best = -np.inf
        group = np.unique(source, return_inverse=True)[1]
        for wide in (0.25, 1.0, 4.0, 16.0) if m else (1.0,):
            colour = pair_odds(movie, source, sink, wide * flicker, np.ones(m))
            for share in (0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.5):
                s2 = (share * movie.spacing) ** 2
                odds = colour - 0.5 * distance2 / s2 - 0.5 * dims * np.log(2 * np.pi * s2)
                odds = np.exp(np.minimum(odds - np.log(movie.density), 300.0))
                total = np.log(0.1 + 0.9 * np.bincount(group, odds)).sum()
                if total > best + 1e-9:
                    best, step, factor = total, share * movie.spacing, wide
    return Scales(
        motion=np.array([10.0, 0.0, step**2, 0.01 * step**2]),
        flicker=factor * flicker,
        noise=np.ones(m),
        drift=np.zeros((m, m)),
        tails=np.array([tail_of(10.0, 1.0, movie.place.shape[1]), tail_of(10.0, 1.0, m)]),
        room=np.array([step**2 + (0.15 * movie.spacing) ** 2, 2 * step**2 + (0.5 * movie.spacing) ** 2, 0.0]),
        shift=0.5 * size_shifts(movie)[-1],
        spread=first_spread(movie, factor * flicker),
        appear=np.log(np.array([0.1, 0.05, 0.03, 0.02]) * movie.density),
        leave=np.log(np.array([0.1, 0.05, 0.03, 0.02])),
        break_in=np.log(np.array([0.1, 0.05, 0.03, 0.02]) * movie.density),
        break_off=np.log(np.array([0.1, 0.05, 0.03, 0.02])),
        ghost=np.log(np.array([0.02, 0.02, 0.02, 0.02]) * movie.density),
        rates=_rates(0.03, 0.01 if divisions else 0.0),
    )


def size_shifts(movie: Movie) -> Floats:
    """Changes of features at a division to start from: none, and half the size, (k, m)."""
    m = movie.feature.shape[1]
    shifts = np.zeros((1 + movie.has_size, m))
    if movie.has_size:
        shifts[1, -1] = -0.6
    return shifts


def first_spread(movie: Movie, flicker: Floats) -> Floats:
    """Covariance of the change of features at a division, before any is seen."""
    m = movie.feature.shape[1]
    spread = flicker + 0.15**2 * (np.eye(m) + 1.0)
    if movie.has_size:
        # two halves: how even they are has nothing to do with how bright
        spread[-1], spread[:, -1] = 0.0, 0.0
        spread[-1, -1] = 0.15**2
    return spread


def _rates(missed: float, divide: float) -> Floats:
    return np.array([np.log(missed), np.log(divide) if divide > 0 else -1000.0])


def zones(movie: Movie, step: float) -> Ints:
    """How many steps away from the edge each detection lies, 3 for all that are further, shape (n,)."""
    return np.minimum(movie.edge / max(step, 1e-9), 3.0).astype(np.int64)


def neighbour_pairs(movie: Movie, reach: float, most: int) -> tuple[Ints, Ints]:
    """Pairs of a detection, at most so many, and one of the next frame within reach."""
    n = len(movie.rows)
    every = max(1, -(-movie.start[-2] // most))
    around = np.full(movie.n_frames - 1, reach)
    begin, sinks = within(movie.place, movie.start, movie.place, movie.start[1:], around, n, every)
    return np.repeat(np.arange(n), np.diff(begin)), sinks


def pair_odds(movie: Movie, i: Ints, j: Ints, flicker: Floats, noise: Floats) -> Floats:
    """Log density of features of ``j`` if it is the cell ``i``, over that of another cell's."""
    if not movie.feature.shape[1] or not len(i):
        return np.zeros(len(i))
    who, where = np.unique(j, return_inverse=True)
    alone = other_cells(movie, flicker, noise, who, FEW)
    return pair_evidence_of(movie.feature, movie.gain, movie.noise, i, j, flicker, noise) - alone[where]


def other_cells(
    movie: Movie, flicker: Floats, noise: Floats, which: Ints | None = None, sample: int = SAMPLE
) -> Floats:
    """Log density of the features of detections, or those named, if each is any other cell.

    The mean of normal densities around a ``sample`` of all detections, but for itself.
    """
    n, m = movie.feature.shape
    which = np.arange(n) if which is None else which
    if not m:
        return np.zeros(len(which))
    rows = np.flatnonzero(movie.measured)
    rows = rows[np.linspace(0, len(rows) - 1, min(sample, len(rows))).astype(np.int64)]
    g = movie.gain[rows]
    typical = 2 * (flicker * (g[:, :, None] * g[:, None, :]).mean(axis=0))
    typical[range(m), range(m)] += 2 * noise * np.minimum(movie.usual_noise, 1.0) + 1e-6
    root = np.linalg.cholesky(typical)
    centre = movie.feature[rows].mean(axis=0)
    white, others = (np.linalg.solve(root, (movie.feature[some] - centre).T) for some in (which, rows))
    itself = np.isin(which, rows)

    def of_band(low: int, high: int) -> Any:
        return likeness(white[:, low:high].astype(np.float32, "C"), others.T.astype(np.float32))

    total = np.concatenate(over_bands(of_band, len(which))).astype(float) - itself
    near = np.log(np.maximum(total, 1e-30) / np.maximum(len(rows) - itself, 1)) - 0.5 * m * np.log(2 * np.pi)
    # a cell unlike all others is rare, as far as the spread of all tells
    wide = np.linalg.cholesky(2 * np.atleast_2d(np.cov(others, bias=True)) + np.eye(m))
    q = (np.linalg.solve(wide, white) ** 2).sum(axis=0)
    any_ = -0.5 * (q + m * np.log(2 * np.pi)) - np.log(np.diag(wide)).sum()
    logdet = np.log(np.diag(root)).sum()
    return np.asarray(np.logaddexp(np.log1p(-ODD) + near, np.log(ODD) + any_) - logdet)


def learn_scales(
    movie: Movie,
    before: Ints,
    born: Bools,
    fit: Floats,
    mothers: Ints,
    foreign: Floats,
    old: Scales,
) -> Scales:
    """Learn all scales from links.

    Parameters
    ----------
    movie
        Detections.
    before, born
        Detection that each follows, -1 for none; whether it is its mother.
    fit
        Squared distances of place and features from what was foretold, (n, 2).
    mothers
        Those that divide.
    foreign
        Probability of each detection that follows none to be no daughter.
    old
        Scales that the links were found with.
    """
    follows = np.flatnonzero((before >= 0) & ~born)
    if len(follows) < 3:
        return old
    flicker, noise, drift = _learn_colour(movie, before, born, old)
    m = movie.feature.shape[1]
    dims = movie.place.shape[1]
    later = follows[(before[before[follows]] >= 0)]
    used = later if len(later) >= 30 else follows
    tails = np.array(
        [_learn_tail(fit[used, 0], dims), _learn_tail(fit[used, 1], m) if m else tail_of(10.0, 1.0, 1)]
    )
    motion = _learn_motion(movie, before, born, old.motion)
    return Scales(
        motion=motion,
        flicker=flicker,
        noise=noise,
        drift=drift,
        tails=tails,
        room=old.room,
        shift=old.shift,
        spread=old.spread,
        **_learn_rates(movie, before, mothers, foreign, zones(movie, old.step), old.rates[1]),
    )


def _learn_rates(
    movie: Movie, before: Ints, mothers: Ints, foreign: Floats, zone: Ints, divide: float
) -> dict[str, Floats]:
    after = np.zeros(len(before), bool)
    after[before[before >= 0]] = True
    after[mothers] = True
    later, earlier = movie.frame > 0, movie.frame < movie.n_frames - 1
    starts = ((before < 0) & later) * foreign
    ends = ~after & earlier
    # what is seen only once is no cell that leaves
    lone = (before < 0) & ends & later
    linked = before >= 0
    skips = np.flatnonzero(linked)
    skips = skips[movie.frame[skips] - movie.frame[before[skips]] > 1]
    broken_start, broken_end = starts.copy(), ends.copy()
    broken_start[skips], broken_end[before[skips]] = 1.0, True

    def rate(what: Floats | Bools, which: Bools) -> Floats:
        count, total = np.bincount(zone, what * which, minlength=4), np.bincount(zone[which], minlength=4)
        return np.asarray((count + 0.5) / (total + 50.0))

    leave, break_off = rate(ends, earlier & ~lone), rate(broken_end, earlier)
    gaps = (movie.frame[linked] - movie.frame[before[linked]] - 1).sum()
    missed = (gaps + 0.5) / (linked.sum() + gaps + 100.0)
    return {
        "appear": np.log(rate(starts, later) * movie.density),
        "leave": np.log(leave / (1 - leave)),
        "ghost": np.log(rate(starts * lone, later) * movie.density),
        "break_in": np.log(rate(broken_start, later) * movie.density),
        "break_off": np.log(break_off / (1 - break_off)),
        "rates": np.array([np.log(missed), divide]),
    }


def _spread_of(x: Floats) -> float:
    """Variance by the median of absolute values, over all axes."""
    return float((np.median(np.abs(x)) / 0.6745) ** 2)


def _learn_motion(movie: Movie, before: Ints, born: Bools, old: Floats) -> Floats:
    """Fit how steps, one to three frames apart, go together."""
    last = np.where(born, -1, before)
    dt = np.where(last >= 0, movie.time[movie.frame] - movie.time[movie.frame[last]], np.nan)
    steps = np.where(
        (np.abs(dt - 1) < 0.25)[:, None], (movie.place - movie.place[last]) / dt[:, None], np.nan
    )
    if np.isfinite(steps[:, 0]).sum() < 5:
        return old
    together = []
    lagged, back = steps, last
    for lag in range(4):
        if lag:
            lagged = np.where((back >= 0)[:, None], steps[back], np.nan)
            back = np.where(back >= 0, last[back], -1)
        both = np.flatnonzero(np.isfinite(lagged[:, 0]) & np.isfinite(steps[:, 0]))
        if lag and len(both) < 20:
            break
        both = both[:: max(1, len(both) // MOST)]
        plus, minus = steps[both] + lagged[both], steps[both] - lagged[both]
        together.append((_spread_of(plus) - _spread_of(minus)) / 4)
    if together[0] <= 0:
        return old
    target = np.array(together) / together[0]
    best, found = np.inf, np.array([10.0, 0.0, 1.0, 0.01])
    for rate in np.exp(np.linspace(np.log(RATES[0]), np.log(RATES[2]), 40)):
        e = np.exp(-rate)
        apart = np.array([2 * (rate - 1 + e), *[(1 - e) ** 2 * e**k for k in range(3)]]) / rate**2
        # each column: what one unit of velocity, diffusion, jitter adds
        design = np.column_stack([apart, [1, 0, 0, 0], [2, -1, 0, 0]])[: len(target)]
        weights, miss = nnls(design * 1.0, target)
        if miss < best - 1e-6:
            best, found = miss, np.array([rate, *weights])
    found[1:] *= together[0]
    found[3] = max(found[3], 1e-3 * together[0])
    if found[1] < 1e-3 * together[0]:
        found[0], found[1] = 10.0, 0.0
        found[2] = max(found[2], 1e-3 * together[0])
    return found


def _learn_colour(movie: Movie, before: Ints, born: Bools, old: Scales) -> tuple[Floats, Floats, Floats]:
    """Flicker, noise and lasting change from differences one to eight frames apart along tracks."""
    m = movie.feature.shape[1]
    if not m:
        return old.flicker, old.noise, old.drift
    last = np.where(born, -1, before)
    pairs = []
    back = np.arange(len(last))
    for lag in range(1, 9):
        back = np.where(back >= 0, last[back], -1)
        if lag in (1, 2, 4, 8):
            j = np.flatnonzero(back >= 0)
            j = j[:: max(1, len(j) * 4 // MOST)]
            pairs.append((j, back[j]))
    j, i = (np.concatenate(kind) for kind in zip(*pairs, strict=True))
    apart = movie.time[movie.frame[j]] - movie.time[movie.frame[i]]
    d = movie.feature[j] - movie.feature[i]
    g2 = movie.gain[i] ** 2 + movie.gain[j] ** 2
    gg = movie.gain[i] * movie.gain[j]
    noise2 = movie.noise[i] + movie.noise[j]
    flicker, noise, drift = np.zeros(m), np.ones(m), np.zeros(m)
    trusted = np.empty_like(d)
    prior = np.array([2 * PRIOR_SD**2, 1.0, 0.0])
    for a in range(m):
        ok = noise2[:, a] < UNKNOWN
        design = np.stack([g2[ok, a], noise2[ok, a], apart[ok] * gg[ok, a]])
        d2 = d[ok, a] ** 2
        weights = np.array([old.flicker[a, a], old.noise[a], old.drift[a, a]])
        for _ in range(6):
            expected = weights @ design + 1e-9
            bounded = np.minimum(d2, 9 * expected)
            # what the bound takes from a Gaussian's variance
            bounded = bounded / 0.9733
            terms = design / expected
            scale = terms.std(axis=1) + np.abs(terms.mean(axis=1)) + 1e-12
            pull = np.sqrt(PRIOR_WEIGHT) * np.diag(scale * [0.3, 1.0, 1.0])
            root = np.linalg.cholesky(terms @ terms.T + pull**2 + 1e-12 * np.eye(3))
            goal = terms @ (bounded / expected) + np.diag(pull) ** 2 * prior
            weights = nnls(root.T, np.linalg.solve(root, goal))[0]
        flicker[a], noise[a], drift[a] = weights
        flicker[a] = max(flicker[a], 1e-4)
        trusted[:, a] = np.clip(
            d[:, a],
            *np.array([[-3], [3]])
            * np.sqrt(2 * flicker[a] * np.maximum(g2[:, a], 0) + noise[a] * noise2[:, a] + 1e-9),
        )
    together = np.eye(m)
    short = apart <= 2
    for a in range(m):
        for b in range(a):
            both = short & (noise2[:, a] < UNKNOWN) & (noise2[:, b] < UNKNOWN)
            g = 2 * gg[both, a] * gg[both, b]
            root = np.sqrt(flicker[a] * flicker[b])
            weight = PRIOR_WEIGHT * 2
            top = (trusted[both, a] * trusted[both, b] * g).sum() / root + weight * 0.5
            bottom = (g * g).sum() + weight
            together[a, b] = together[b, a] = np.clip(top / bottom, -0.95, 0.95)
    values, vectors = np.linalg.eigh(together)
    together = (vectors * np.maximum(values, 0.02)) @ vectors.T
    return (
        together * np.sqrt(np.outer(flicker, flicker)),
        np.maximum(noise, 1e-3),
        together * np.sqrt(np.outer(drift, drift)),
    )


def tail_of(nu: float, scale: float, dims: int) -> Floats:
    """Degrees of freedom and scale of Student's t, and what normalises it in ``dims`` and twice as many."""
    both = [
        gammaln((nu + d) / 2) - gammaln(nu / 2) - 0.5 * d * np.log(nu * np.pi * scale)
        for d in (dims, 2 * dims)
    ]
    return np.array([nu, scale, *both])


def _learn_tail(q: Floats, dims: int) -> Floats:
    """Degrees of freedom and scale under which squared distances are those of Student's t."""
    q = q[np.isfinite(q)]
    q = q[:: max(1, len(q) // 5000)]
    best, found = -np.inf, tail_of(10.0, 1.0, dims)
    if len(q) < 10:
        return found
    for nu in NUS:
        scale = 1.0
        for _ in range(30):
            scale = float(((nu + dims) / (nu + q / scale) * q).mean() / dims) + 1e-9
        scale = max(scale, 1e-3)
        fit = len(q) * tail_of(nu, scale, dims)[2] - 0.5 * (nu + dims) * np.log1p(q / (nu * scale)).sum()
        if fit > best:
            best, found = fit, tail_of(nu, scale, dims)
    return found
