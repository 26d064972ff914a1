"""The mixture's state, and one step of expectation and maximisation."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from rgbtrack.clones.detectors import DetectorPart, Detectors, Drift
from rgbtrack.clones.ray import TYPICAL, Floats, Ints, Spread, ray_likelihood, ray_moments, ray_screen

N_CANDIDATES = 12
_HOPELESS = 30.0  # log-likelihood behind the best: such a clone is not looked at
_PRIOR_CELLS = 20.0  # what the typical spread weighs
_JUNK_SHARE = (0.005, 0.15)


@dataclass(frozen=True)
class Cells:
    """Cells of one fit: colours, covariances, log-density of noise and of junk, gain group of each."""

    x: Floats
    s: Floats
    noise: Floats
    junk: Floats
    group: Ints

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Ints) -> "Cells":
        """Return some of the cells."""
        return Cells(self.x[rows], self.s[rows], self.noise[rows], self.junk[rows], self.group[rows])


@dataclass(frozen=True)
class Mixture:
    """Clones (``mu`` (k, d), ``weight`` (k,)), shares of unmarked and junk, spread, and detectors."""

    mu: Floats
    weight: Floats
    unmarked: float
    junk: float
    spread: Spread
    detectors: Detectors

    def keep(self, which: Ints) -> "Mixture":
        """Return the mixture of some of its clones."""
        return replace(self, mu=np.ascontiguousarray(self.mu[which]), weight=self.weight[which])

    def add(self, mu: Floats, weight: Floats) -> "Mixture":
        """Return the mixture with further clones."""
        return replace(
            self,
            mu=np.ascontiguousarray(np.vstack([self.mu, mu])),
            weight=np.concatenate([self.weight, weight]),
        )


@dataclass(frozen=True)
class Expectation:
    """Responsibilities of the candidates of every cell (n, c), of noise and junk (n,), log-density (n,)."""

    candidates: Ints
    resp: Floats
    mode: Floats
    variance: Floats
    unmarked: Floats
    junk: Floats
    log_density: Floats

    def dense(self, n_clones: int) -> Floats:
        """Responsibilities (n, n_clones)."""
        return self._spread_out(np.zeros((len(self.resp), n_clones)), self.resp)

    def dense_mode(self, n_clones: int) -> Floats:
        """Log-brightness of each cell in each clone (n, n_clones), 0 where the clone is no candidate."""
        return self._spread_out(np.zeros((len(self.resp), n_clones)), self.mode)

    def _spread_out(self, full: Floats, values: Floats) -> Floats:
        row, column = np.nonzero(self.candidates >= 0)
        full[row, self.candidates[row, column]] = values[row, column]
        return full


def likelihood(
    x: Floats, s: Floats, mu: Floats, candidates: Ints, spread: Spread, steps: int = 2
) -> tuple[Floats, Floats, Floats]:
    """Return log-likelihood, mode and variance of h of each cell for its candidates."""
    shape = (len(x), candidates.shape[1])
    loglik, mode, variance = np.empty(shape), np.zeros(shape), np.zeros(shape)
    ray_likelihood(
        x,
        s,
        mu,
        candidates,
        spread.brightness,
        spread.variance_factor,
        spread.mean_factor,
        steps,
        loglik,
        mode,
        variance,
    )
    return loglik, mode, variance


def all_clones(n_clones: int) -> Ints:
    """One row of candidates for all cells: every clone."""
    return np.arange(n_clones, dtype=np.int64)[None, :]


def corrected(cells: Cells, detectors: Detectors) -> tuple[Floats, Floats]:
    """Colours and covariances as the detectors of one common session would have read them."""
    if not detectors.drifted:
        return cells.x, cells.s
    return detectors.undo(cells.x, cells.s, cells.group)


def find_candidates(x: Floats, s: Floats, mu: Floats, weight: Floats, spread: Spread) -> Ints:
    """Return the likely clones of each cell from a quick look at all of them; -1 where there are fewer."""
    n_clones = len(weight)
    score = np.empty((len(x), n_clones))
    ray_screen(x, s, mu, spread.brightness, spread.variance_factor, spread.mean_factor, score)
    score += np.log(weight)
    best = np.tile(np.arange(n_clones), (len(x), 1))
    if n_clones > N_CANDIDATES:
        best = np.sort(np.argpartition(-score, N_CANDIDATES - 1, axis=1)[:, :N_CANDIDATES], axis=1)
    chosen = np.take_along_axis(score, best, axis=1)
    hopeless = chosen < chosen.max(axis=1, keepdims=True, initial=-np.inf) - _HOPELESS
    return np.ascontiguousarray(np.where(hopeless, -1, best).astype(np.int64))


def expect(cells: Cells, mixture: Mixture, candidates: Ints | None = None, steps: int = 2) -> Expectation:
    """E-step."""
    x, s = corrected(cells, mixture.detectors)
    if candidates is None:
        candidates = find_candidates(x, s, mixture.mu, mixture.weight, mixture.spread)
    loglik, mode, variance = likelihood(x, s, mixture.mu, candidates, mixture.spread, steps)
    jacobian = mixture.detectors.log_jacobian[cells.group]
    parts = np.column_stack(
        [
            loglik + np.log(mixture.weight)[candidates] + jacobian[:, None],
            cells.noise + math.log(mixture.unmarked),
            cells.junk + math.log(mixture.junk),
        ]
    )
    total = logsumexp(parts, axis=1)
    resp = np.exp(parts - total[:, None])
    return Expectation(candidates, resp[:, :-2].copy(), mode, variance, resp[:, -2], resp[:, -1], total)


@dataclass(frozen=True)
class Moments:
    """Sums over cells that the M-step needs; see `ray_moments`."""

    normal: Floats
    right: Floats
    n: Floats
    h: Floats
    h2: Floats
    own: Floats
    n_own: Floats
    gain_information: Floats
    gain_slope: Floats

    def colours(self, mu: Floats) -> Floats:
        """Return new colours: generalised least squares, then moved by the mean log-brightness."""
        d = mu.shape[1]
        normal = self.normal + np.eye(d) * 1e-9 * (
            np.trace(self.normal, axis1=1, axis2=2)[:, None, None] + 1e-30
        )
        found = np.linalg.solve(normal, self.right[:, :, None])[:, :, 0]
        found *= np.exp(self.shift)[:, None]
        return np.ascontiguousarray(np.where(self.n[:, None] > 1, found, mu))

    @property
    def shift(self) -> Floats:
        """Mean log-brightness of each clone."""
        return np.clip(self.h / np.maximum(self.n, 1e-9), -1, 1)


def moments(
    x: Floats,
    s: Floats,
    group: Ints,
    n_groups: int,
    mu: Floats,
    spread: Spread,
    candidates: Ints,
    resp: Floats,
    mode: Floats,
    variance: Floats,
) -> Moments:
    """Add up the sums of the M-step."""
    k, d = mu.shape
    colour = np.zeros((k, d * d + d + 5))
    gain = np.zeros((n_groups, d * d + d))
    ray_moments(
        x,
        s,
        mu,
        candidates,
        resp,
        mode,
        variance,
        spread.variance_factor,
        spread.mean_factor,
        group,
        colour,
        gain,
    )
    rest = colour[:, d * d + d :]
    return Moments(
        colour[:, : d * d].reshape(k, d, d),
        colour[:, d * d : d * d + d],
        rest[:, 0],
        rest[:, 1],
        rest[:, 2],
        rest[:, 3],
        rest[:, 4],
        gain[:, : d * d].reshape(n_groups, d, d),
        gain[:, d * d :],
    )


def expected_moments(cells: Cells, mixture: Mixture, expectation: Expectation) -> Moments:
    """Sums of the M-step, of cells as one common session would have read them."""
    x, s = corrected(cells, mixture.detectors)
    return moments(
        x,
        s,
        cells.group,
        len(mixture.detectors),
        mixture.mu,
        mixture.spread,
        expectation.candidates,
        expectation.resp,
        expectation.mode,
        expectation.variance,
    )


def maximise(
    cells: Cells,
    mixture: Mixture,
    expectation: Expectation,
    prior: Drift,
    *,
    fit_spread: bool,
    fit: DetectorPart | None,
) -> Mixture:
    """M-step; of the detectors, one part at a time."""
    sums = expected_moments(cells, mixture, expectation)
    n = len(cells)
    junk = float(np.clip(expectation.junk.sum() / n, *_JUNK_SHARE))
    unmarked = max(float(expectation.unmarked.sum()), 0.5) / n
    new = replace(
        mixture,
        mu=sums.colours(mixture.mu),
        weight=np.maximum(sums.n, 1e-3) / n,
        unmarked=unmarked,
        junk=junk,
    )
    if fit_spread:
        new = replace(new, spread=_spread(sums))
    if len(mixture.detectors) == 1 or fit is None:
        return new
    if fit == "gains":
        return replace(
            new,
            detectors=mixture.detectors.step_gains(sums.gain_information, sums.gain_slope, prior).centred(
                cells.group
            ),
        )
    x, s = corrected(cells, mixture.detectors)
    spread = mixture.spread
    brightness = spread.mean_factor * expectation.resp * np.exp(expectation.mode)
    expected = np.einsum("nc,ncd->nd", brightness, mixture.mu[expectation.candidates])
    weight = expectation.resp.sum(axis=1)
    expected /= np.maximum(weight, 1e-9)[:, None]
    noise = np.diagonal(s, axis1=1, axis2=2) + spread.variance_factor * expected**2
    return replace(
        new,
        detectors=mixture.detectors.step_leaks(x, expected, weight[:, None] / noise, cells.group, prior),
    )


def _spread(sums: Moments) -> Spread:
    """Spread of colour and brightness, shared by all clones, shrunk to what is typical."""
    big = sums.n > 10
    weight = _PRIOR_CELLS
    square = (sums.h2 - sums.n * sums.shift**2)[big].sum() + weight * TYPICAL.brightness**2
    brightness = math.sqrt(max(square / (sums.n[big].sum() + weight), 1e-4))
    # a clone of n cells has spent one on its mean
    free = (sums.n_own * (1 - 1 / np.maximum(sums.n, 2)))[big].sum()
    variance = (sums.own[big].sum() + weight * TYPICAL.variance_factor) / (free + weight)
    colour = math.sqrt(math.log((1 + math.sqrt(1 + 4 * variance)) / 2))
    return Spread(float(np.clip(colour, 0.03, 0.4)), float(np.clip(brightness, 0.08, 1.0)))
