"""Moves that change the number of clones: each is judged by penalised likelihood."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from rgbtrack.clones.mixture import (
    Cells,
    Expectation,
    Mixture,
    all_clones,
    corrected,
    expect,
    likelihood,
    moments,
)
from rgbtrack.clones.ray import Floats, Ints, Spread

_DIMMEST = 3.0  # a colour that stands less above its noise is no marker, let alone a clone
_NOISIEST = 10.0  # times the usual standard error: cells beyond count as if they had this one
_LOCAL_CELLS = 800  # cells that judge one move; more are subsampled


@dataclass(frozen=True)
class Price:
    """What a clone must earn: ``strictness`` times its share of the Bayesian information criterion."""

    strictness: float
    n_markers: int
    min_cells: int

    def __call__(self, n: float) -> float:
        """Price of a clone of n cells: a colour and a weight."""
        return self.strictness * 0.5 * (self.n_markers + 1) * math.log(max(n, 8.0))


@dataclass(frozen=True)
class Local:
    """Cells near some clones, with the log-density of everything else; ``scale`` cells stand behind each."""

    x: Floats
    s: Floats
    base: Floats
    scale: float
    n_total: int
    spread: Spread

    def fit(self, mu: Floats, weight: Floats, n_iter: int) -> tuple[float, Floats, Floats]:
        """Fit a few clones, all else fixed; return log-likelihood, colours and weights."""
        every = all_clones(len(mu))
        group = np.zeros(len(self.x), dtype=np.int64)
        for step in range(n_iter + 1):
            loglik, mode, variance = likelihood(self.x, self.s, mu, every, self.spread)
            parts = np.column_stack([loglik + np.log(np.maximum(weight, 1e-300)), self.base])
            top = parts.max(axis=1)
            np.exp(parts - top[:, None], out=parts)
            total = parts.sum(axis=1)
            if step == n_iter:
                break
            resp = np.ascontiguousarray(parts[:, :-1] / total[:, None])
            sums = moments(self.x, self.s, group, 1, mu, self.spread, every, resp, mode, variance)
            mu = sums.colours(mu)
            weight = np.maximum(sums.n, 1e-6) * self.scale / self.n_total
        return float((np.log(total) + top).sum()) * self.scale, mu, weight


class Search:
    """One state of the search: cells, mixture, and its expectation, computed once for all judgements."""

    def __init__(self, cells: Cells, mixture: Mixture, price: Price, rng: np.random.Generator) -> None:
        self.cells, self.mixture, self.price, self.rng = cells, mixture, price, rng
        self.expectation: Expectation = expect(cells, mixture)
        self.x, self.s = corrected(cells, mixture.detectors)
        self.k = len(mixture.weight)
        self.resp = self.expectation.dense(self.k)
        self.n = self.resp.sum(axis=0)

    @property
    def objective(self) -> float:
        """Penalised log-likelihood."""
        return float(self.expectation.log_density.sum()) - sum(self.price(n) for n in self.n)

    def local(self, rows: Ints, excluded: Floats) -> tuple[Local, Ints]:
        """Cells of ``rows`` with the density of all but the share ``excluded`` of each (over all cells)."""
        scale = 1.0
        if len(rows) > _LOCAL_CELLS:
            scale = len(rows) / _LOCAL_CELLS
            rows = np.sort(self.rng.choice(rows, _LOCAL_CELLS, replace=False))
        base = self.expectation.log_density[rows] + np.log(np.maximum(1 - excluded[rows], 1e-12))
        # the densities of clones are those of the corrected colours: the same Jacobian for all
        base = base - self.mixture.detectors.log_jacobian[self.cells.group[rows]]
        return (
            Local(
                np.ascontiguousarray(self.x[rows]),
                np.ascontiguousarray(self.s[rows]),
                base,
                scale,
                len(self.cells),
                self.mixture.spread,
            ),
            rows,
        )


def _signal(search: Search) -> Floats:
    """Return the colour of each clone in units of the noise of its cells."""
    mu = np.maximum(search.mixture.mu, 0)
    # a cell of no precision belongs to every clone a little, and must not drown them all
    variance = np.diagonal(search.s, axis1=1, axis2=2)
    usual = np.median(variance, axis=0) if len(variance) else np.ones(mu.shape[1])
    heard = np.minimum(1.0, (_NOISIEST**2 * usual / variance).min(axis=1))
    share = search.resp * heard[:, None] / np.maximum(search.n, 1e-9)
    noise = np.tensordot(share, search.s, axes=(0, 0))
    noise += np.eye(mu.shape[1]) * 1e-12
    return np.sqrt(np.maximum((mu * np.linalg.solve(noise, mu[:, :, None])[:, :, 0]).sum(axis=1), 0))


def drop_weak(search: Search) -> Mixture:
    """Drop clones that drown in noise, hold too few cells, or whose cells are explained as well without."""
    loss = -np.log(np.maximum(1 - search.resp, 1e-12)).sum(axis=0)
    dim = _signal(search) < _DIMMEST
    if dim.any():
        return search.mixture.keep(np.flatnonzero(~dim))
    keep = np.array(
        [
            n >= search.price.min_cells - 0.5 and worth > search.price(n)
            for n, worth in zip(search.n, loss, strict=True)
        ],
        dtype=bool,
    )
    if search.k and not keep.all():
        # all the weak ones at once could be each other's alternative: drop the weakest half
        weak = np.flatnonzero(~keep)
        weak = weak[np.argsort(search.n[weak], kind="stable")][: max(1, (len(weak) + 1) // 2)]
        keep[:] = True
        keep[weak] = False
    return search.mixture.keep(np.flatnonzero(keep))


def merge(search: Search) -> tuple[Mixture, int]:
    """Merge pairs of clones that one clone explains as well."""
    mixture, resp, price = search.mixture, search.resp, search.price
    overlap = resp.T @ resp
    overlap /= np.minimum(search.n[:, None], search.n[None, :]) + 1e-9
    first, second = np.nonzero(np.triu(overlap, 1) > 0.005)
    order = np.argsort(-overlap[first, second], kind="stable")
    used = np.zeros(search.k, dtype=bool)
    keep = np.ones(search.k, dtype=bool)
    mu, weight = mixture.mu.copy(), mixture.weight.copy()
    softness = 0.05
    merged = 0
    for a, b in zip(first[order], second[order], strict=True):
        if used[a] or used[b]:
            continue
        both = resp[:, a] + resp[:, b]
        local, _ = search.local(np.flatnonzero(both > 0.01), np.minimum(both, 1.0))
        pair = [a, b]
        share = weight[pair] / weight[pair].sum()
        start = np.sinh(share @ np.arcsinh(mu[pair] / softness)) * softness
        two = local.fit(mu[pair], weight[pair], 0)[0]
        one, new_mu, new_weight = local.fit(start[None], weight[pair].sum(keepdims=True), 5)
        gain = price(search.n[a]) + price(search.n[b]) - price(search.n[a] + search.n[b])
        if two - one < 3 * gain:
            two = max(two, local.fit(mu[pair], weight[pair], 5)[0])
        if two - one < gain:
            mu[a], weight[a] = new_mu[0], new_weight[0]
            keep[b] = False
            used[pair] = True
            merged += 1
    found = Mixture(mu, weight, mixture.unmarked, mixture.junk, mixture.spread, mixture.detectors)
    return found.keep(np.flatnonzero(keep)), merged


def _halves(x: Floats, s: Floats, mode: Floats, resp: Floats, mu: Floats, spread: Spread) -> list[Floats]:
    """Ways to cut a clone in two: along the main axes of its standardised residuals and brightness."""
    bright = np.exp(mode)[:, None] * mu
    variance = spread.variance_factor * bright**2 + np.diagonal(s, axis1=1, axis2=2)
    features = np.column_stack(
        [(x - spread.mean_factor * bright) / np.sqrt(variance), mode / spread.brightness]
    )
    features = features - (resp @ features) / resp.sum()
    values, axes = np.linalg.eigh((features * resp[:, None]).T @ features / resp.sum())
    cuts = []
    for rank, axis in enumerate(range(len(values) - 1, max(len(values) - 4, -1), -1)):
        along = features @ axes[:, axis]
        for threshold in (0.0, 0.9, -0.9) if rank == 0 else (0.0,):
            cuts.append((along > threshold * math.sqrt(max(values[axis], 1e-9))).astype(float))
    return cuts


def split(search: Search, limit: int) -> tuple[Mixture, int]:
    """Split clones that two clones explain better."""
    mixture, price = search.mixture, search.price
    n_total = len(search.cells)
    mode = search.expectation.dense_mode(search.k)
    mu, weight = mixture.mu.copy(), mixture.weight.copy()
    new: list[tuple[Floats, float]] = []
    for k in range(search.k):
        if search.n[k] < 2 * price.min_cells or search.k + len(new) >= limit:
            continue
        local, rows = search.local(np.flatnonzero(search.resp[:, k] > 0.01), search.resp[:, k])
        resp = search.resp[rows, k]
        one = local.fit(mu[[k]], weight[[k]], 2)[0]
        best: tuple[float, Floats, Floats] | None = None
        for upper in _halves(local.x, local.s, mode[rows, k], resp, mu[k], mixture.spread):
            shares = [resp * upper, resp * (1 - upper)]
            if min(share.sum() for share in shares) < 2:
                continue
            start = np.array([share @ local.x / share.sum() for share in shares])
            start *= math.exp(-0.5 * mixture.spread.brightness**2)
            size = np.array([share.sum() for share in shares]) * local.scale / n_total
            trial = local.fit(start, size, 3)
            if best is None or trial[0] > best[0]:
                best = trial
        if best is None:
            continue
        if best[0] - one > -price(search.n[k]):
            best = local.fit(best[1], best[2], 6)
        size = best[2] * n_total
        cost = price(size[0]) + price(size[1]) - price(search.n[k])
        if size.min() >= price.min_cells and best[0] - one > cost + 0.5:
            mu[k], weight[k] = best[1][0], best[2][0]
            new.append((best[1][1], float(best[2][1])))
    found = Mixture(mu, weight, mixture.unmarked, mixture.junk, mixture.spread, mixture.detectors)
    if new:
        found = found.add(np.array([colour for colour, _ in new]), np.array([share for _, share in new]))
    return found, len(new)


def birth(search: Search, limit: int) -> tuple[Mixture, int]:
    """Found clones among the cells that nothing explains."""
    mixture, price = search.mixture, search.price
    rows = np.flatnonzero(search.expectation.junk > 0.5)
    if len(rows) < price.min_cells:
        return mixture, 0
    points = embed(search.x[rows], search.s[rows])
    n_near = min(max(5, price.min_cells), len(rows))
    found = cKDTree(points).query(points, k=n_near)
    distance, near = np.asarray(found[0]), np.asarray(found[1])
    taken = np.zeros(len(rows), dtype=bool)
    every, _ = search.local(rows, np.zeros(len(search.cells)))
    before = float(every.base.sum()) * every.scale
    new: list[tuple[Floats, float]] = []
    for seed in np.argsort(distance[:, price.min_cells - 1], kind="stable")[:150]:
        if search.k + len(new) >= limit or len(new) >= 30:
            break
        if taken[near[seed]].any():
            continue
        taken[near[seed]] = True
        start = np.median(search.x[rows[near[seed]]], axis=0)
        after, mu, weight = every.fit(start[None], np.array([n_near / len(search.cells)]), 6)
        size = float(weight[0]) * len(search.cells)
        # a share of density was added: what all others lose for it is its own size
        if size >= price.min_cells - 0.5 and after - before - size > price(size) + 1:
            new.append((mu[0], float(weight[0])))
    if not new:
        return mixture, 0
    return mixture.add(np.array([mu for mu, _ in new]), np.array([share for _, share in new])), len(new)


def embed(x: Floats, s: Floats) -> Floats:
    """Place cells so that those of one clone lie about one apart: direction and log-brightness."""
    floor = np.median(np.diagonal(s, axis1=1, axis2=2), axis=0).sum()
    norm = np.sqrt((np.maximum(x, 0) ** 2).sum(axis=1) + floor)
    return np.column_stack([np.arcsinh(x / norm[:, None] / 0.15) / 0.225, np.log(norm) / 0.45])
