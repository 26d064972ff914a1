"""Find the mixture: over-clustered start, moves, several starts."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from rgbtrack.clones.detectors import DetectorPart, Detectors, Drift, gain_errors
from rgbtrack.clones.mixture import Cells, Mixture, expect, expected_moments, maximise
from rgbtrack.clones.moves import Price, Search, birth, drop_weak, embed, merge, split
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.ray import TYPICAL, Floats, Spread
from rgbtrack.threads import over_bands

GAINS: tuple[DetectorPart, ...] = ("gains",)
BOTH: tuple[DetectorPart, ...] = ("gains", "leaks")
_WIDE = 0.18  # ln sd while gains are still unknown: wide enough to hold their drift
_CYCLES = 6
_START_CELLS = 4000  # cells that each start sees; the best start is refined on more


@dataclass
class Climber:
    """Expectation maximisation of one start."""

    cells: Cells
    price: Price
    params: ClonesParams
    rng: np.random.Generator

    @property
    def drift(self) -> Drift:
        """How far detectors drift."""
        return Drift(self.params.gain_drift, self.params.leak_drift)

    def step(
        self,
        mixture: Mixture,
        n_iter: int,
        *,
        fit_spread: bool = True,
        fit: tuple[DetectorPart, ...] = BOTH,
    ) -> Mixture:
        """Run some EM steps, parts of the detectors in turn; candidates are looked for at the first."""
        candidates = None
        for i in range(n_iter):
            expectation = expect(self.cells, mixture, candidates)
            candidates = expectation.candidates
            mixture = maximise(
                self.cells,
                mixture,
                expectation,
                self.drift,
                fit_spread=fit_spread,
                fit=fit[i % len(fit)] if fit else None,
            )
        return mixture

    def look(self, mixture: Mixture) -> Search:
        """Return the state that moves judge."""
        return Search(self.cells, mixture, self.price, self.rng)

    def shrink(self, mixture: Mixture, *, fit_spread: bool, fit: tuple[DetectorPart, ...] = BOTH) -> Mixture:
        """Drop and merge until nothing more falls away."""
        for _ in range(10):
            before = len(mixture.weight)
            mixture = self.step(drop_weak(self.look(mixture)), 1, fit_spread=fit_spread, fit=fit)
            mixture, merged = merge(self.look(mixture))
            mixture = self.step(mixture, 3, fit_spread=fit_spread, fit=fit)
            if not merged and len(mixture.weight) == before:
                break
        return mixture

    def climb(self, mixture: Mixture, *, steady: bool) -> Mixture:
        """From an over-clustered start to a local optimum of the penalised likelihood.

        A steady start has its clones before detectors may drift; else clones start wide enough to hold the
        drift, which would merge clones that single images hold. What leaks is left to the end.
        """
        drifting = len(mixture.detectors) > 1
        if drifting and not steady:
            mixture = replace(mixture, spread=Spread(_WIDE, TYPICAL.brightness))
        mixture = self.step(mixture, 4, fit_spread=False, fit=())
        if drifting and steady:
            mixture = self.shrink(mixture, fit_spread=True, fit=())
        elif drifting:
            mixture = self.shrink(mixture, fit_spread=False, fit=GAINS)
            mixture = self.step(mixture, 6, fit_spread=False, fit=GAINS)
            mixture = self.step(mixture, 6, fit=GAINS)
        else:
            mixture = self.shrink(mixture, fit_spread=True)
        return self.refine(mixture, _CYCLES)

    def refine(self, mixture: Mixture, cycles: int) -> Mixture:
        """Split, give birth and merge until nothing more changes."""
        for cycle in range(cycles):
            mixture = self.step(mixture, 4)
            mixture, n_split = split(self.look(mixture), self.params.max_clones)
            mixture = self.step(mixture, 4)
            mixture, n_born = birth(self.look(mixture), self.params.max_clones)
            mixture = self.shrink(mixture, fit_spread=True)
            if n_split + n_born == 0 or (n_split + n_born <= 1 and cycle > 2):
                break
        return self.step(self.crop(mixture), 6)

    def crop(self, mixture: Mixture) -> Mixture:
        """Drop the clones that explain least, one by one, down to the largest number allowed."""
        while len(mixture.weight) > self.params.max_clones:
            worth = -np.log(np.maximum(1 - self.look(mixture).resp, 1e-12)).sum(axis=0)
            mixture = self.step(mixture.keep(np.delete(np.arange(len(worth)), worth.argmin())), 3)
        return mixture


def start(cells: Cells, n_groups: int, params: ClonesParams, seed: int) -> Mixture:
    """Over-clustered start: k-means on direction and brightness of the cells above noise."""
    n, d = cells.x.shape
    marked = np.flatnonzero(cells.noise < cells.junk + 2)
    mixture = Mixture(
        np.empty((0, d)),
        np.empty(0),
        max(1 - len(marked) / n, 0.01),
        0.05,
        TYPICAL,
        Detectors.steady(n_groups, d),
    )
    if len(marked) < params.min_cells:
        return mixture
    points = embed(cells.x[marked], cells.s[marked])
    n_start = int(np.clip(len(marked) / 40, 30, 200))
    n_start = min(n_start, len(np.unique(points.round(6), axis=0)), len(marked) // 2)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct points than clusters: handled below
        label = (
            MiniBatchKMeans(max(n_start, 1), n_init=2, random_state=seed, batch_size=4096, max_iter=40)
            .fit(points)
            .labels_
        )
    colours, shares = [], []
    for k in np.unique(label):
        members = marked[label == k]
        colour = np.median(cells.x[members], axis=0)
        if len(members) >= 2 and colour.sum() > 0:
            colours.append(colour)
            shares.append(len(members) / n)
    if not colours:
        return mixture
    return mixture.add(np.array(colours), np.array(shares))


def search_mixture(cells: Cells, n_groups: int, params: ClonesParams) -> Mixture:
    """Search from several starts; keep the best objective."""
    n, d = cells.x.shape
    few = cells
    if n > _START_CELLS:
        rng = np.random.default_rng([params.seed, 5])
        few = cells.take(np.sort(rng.choice(n, _START_CELLS, replace=False)))
    price = Price(params.strictness, d, params.min_cells)
    starts = [start(few, n_groups, params, params.seed + 7919 * k) for k in range(params.starts)]

    def climb(k: int, _: int) -> tuple[float, Mixture]:
        climber = Climber(few, price, params, np.random.default_rng([params.seed, 2, k]))
        mixture = climber.climb(starts[k], steady=k % 2 == 1)
        return climber.look(mixture).objective - mixture.detectors.cost(climber.drift), mixture

    found = over_bands(climb, len(starts), len(starts))
    best = max(range(len(found)), key=lambda k: (round(found[k][0], 6), -k))
    if few is cells:
        return found[best][1]
    return Climber(cells, price, params, np.random.default_rng([params.seed, 6])).refine(found[best][1], 2)


def gains_se(cells: Cells, mixture: Mixture, params: ClonesParams) -> Floats:
    """Standard errors of the log-gains (groups, d), of the cells that they were fitted to."""
    information = expected_moments(cells, mixture, expect(cells, mixture)).gain_information
    return gain_errors(information, Drift(params.gain_drift, params.leak_drift))
