"""The rate at which light fades, from pairs of cells that look alike once it is undone.

Cells of one clone read the same up to their own brightness and noise. If light fades as ``exp(-rate * z)``
they lie along a line in log-intensity, and only the right rates make them fall together. No clone is named:
each cell is scored by the density of all others around it, ``log sum_j N(u_i + r z_i - u_j - r z_j; V_ij)``,
a kernel estimate whose width is what is known of cells of one clone: noise, a spread of each channel of its
own, and a wide spread of brightness shared by all channels. Differences between channels are therefore found
free of brightness, and the common rate from brightness as far as it tells. Rates maximise the sum (the least
entropy of the cells' colours); cells without any alike weigh nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Width(NamedTuple):
    """Spread within a clone: ln sd of each channel, and of the brightness shared by all channels."""

    colour: float
    brightness: float


WIDTHS = (Width(0.45, 0.8), Width(0.25, 0.55), Width(0.14, 0.4))
"""From a wide kernel, which sees the trend, to that of a typical clone."""
ALONE = 0.5
"""Weight of a cell's own density, which no rate can raise: who has none alike drops out."""
_LONGEST = 2.0  # change of r z in one step


@dataclass(frozen=True)
class LogCells:
    """Cells in log-intensity.

    Attributes
    ----------
    u, variance
        Log-intensities and their variances, shape (n, c).
    seen
        Channels in which the cell is above noise, shape (n, c); cells are compared with those seen in the
        same channels.
    z
        Depth or time, shape (n,).
    cluster
        Cells whose errors hang together, shape (n,), from 0.
    """

    u: Floats
    variance: Floats
    seen: NDArray[np.bool_]
    z: Floats
    cluster: Ints

    def groups(self) -> list[tuple[Ints, Ints]]:
        """Cells seen in the same channels, and these channels."""
        code = self.seen @ (1 << np.arange(self.seen.shape[1]))
        return [
            (np.flatnonzero(code == k), np.flatnonzero(self.seen[code == k][0]))
            for k in np.unique(code[code > 0])
            if (code == k).sum() > 1
        ]


class _Group:
    """Cells seen in the same channels, and what no rate changes of their pairs; channels come first.

    Attributes
    ----------
    rows, on
        The cells, and the channels.
    u, z, cluster
        Log-intensities, shape (c, n), depth or time, shape (n,), and whose errors hang together, shape (n,).
    w, total
        Precision of a pair's difference in each channel, (c, n, n), and of its shared brightness, (n, n).
    log_scale
        Logarithm of the kernel of cells that do not differ, shape (n, n).
    """

    def __init__(self, cells: LogCells, rows: Ints, on: Ints, width: Width) -> None:
        self.rows, self.on = rows, on
        self.u, self.z, self.cluster = cells.u[np.ix_(rows, on)].T, cells.z[rows], cells.cluster[rows]
        d = cells.variance[np.ix_(rows, on)].T
        self.w = 1 / (d[:, :, None] + d[:, None] + 2 * width.colour**2)
        self.total = self.w.sum(0) + 1 / (2 * width.brightness**2)
        self.log_scale = 0.5 * np.log(self.w.prod(0) / self.total)

    def score(self, rate: Floats, within: float) -> tuple[Floats, Floats]:
        """What each cell adds to the slope of the objective, (c, n), and the pairs' normal matrix, (c, c)."""
        from rgbtrack.correct.kernels import score_pairs

        c = len(self.on)
        scores, normal = np.zeros((c, len(self.rows))), np.zeros((c, c))
        v = self.u + rate[self.on][:, None] * self.z
        pairs = self.w, self.total, self.log_scale
        score_pairs(v, *pairs, self.z, self.cluster, ALONE, within, scores, normal)
        return scores, normal


def fit_rates(cells: LogCells, start: Floats) -> tuple[Floats, Floats]:
    """Find the rates that make cells look alike.

    Parameters
    ----------
    cells
        Cells in log-intensity.
    start
        Rates to start from, shape (c,).

    Returns
    -------
    rate, covariance
        Shapes (c,) and (c, c). The covariance is the sandwich of the pairwise score, summed by cluster; it
        is infinite where the cells tell nothing.
    """
    rate = start.astype(float)
    scale = max(float(np.std(cells.z)), 1e-9)
    for width in WIDTHS:
        groups = [_Group(cells, rows, on, width) for rows, on in cells.groups()]
        for _ in range(8):
            step = _step(groups, cells, rate)
            rate = rate + step
            if np.abs(step).max() * scale < 1e-3:
                break
    for _ in range(3):
        slope = _curve(groups, cells, rate, 0.02 / scale)
        if np.linalg.eigvalsh(slope).max() >= 0:
            break
        step = -np.linalg.solve(slope, _scores(groups, cells, rate).sum(0) / 2)
        if np.abs(step).max() * scale > 0.3:
            break
        rate = rate + step
    return rate, _covariance(groups, cells, rate, 0.02 / scale)


def _covariance(groups: list[_Group], cells: LogCells, rate: Floats, by: float) -> Floats:
    slope = _curve(groups, cells, rate, by)
    unknown = np.full(slope.shape, np.nan)
    np.fill_diagonal(unknown, np.inf)
    if np.linalg.eigvalsh(slope).max() >= -1e-9:
        return unknown
    n, spent = int(cells.cluster.max()) + 1, len(rate) + 1
    if n <= 2 * spent:
        return unknown
    sums = np.zeros((n, len(rate)))
    np.add.at(sums, cells.cluster, _scores(groups, cells, rate, within=0.5))
    inverse = np.linalg.inv(slope)
    return np.asarray(inverse @ (sums.T @ sums * n / (n - spent)) @ inverse)


def _step(groups: list[_Group], cells: LogCells, rate: Floats) -> Floats:
    """One step of expectation and maximisation: weighted least squares over the pairs."""
    c = len(rate)
    normal, right = np.zeros((c, c)), np.zeros(c)
    for group in groups:
        scores, part = group.score(rate, within=1.0)
        normal[np.ix_(group.on, group.on)] += part
        right[group.on] += scores.sum(1) / 2
    ridge = np.trace(normal) / c * 1e-6 + 1e-12
    step = np.linalg.solve(normal + ridge * np.eye(c), right)
    # pairs share what they tell: a step goes about half the way
    longest = _LONGEST / max(float(np.std(cells.z)), 1e-9)
    return np.asarray(np.clip(1.7 * step, -longest, longest))


def _scores(groups: list[_Group], cells: LogCells, rate: Floats, within: float = 1.0) -> Floats:
    """What each cell adds to the slope of the objective through all of its pairs, (n, c).

    Each pair counts with both of its cells; `within` weighs pairs of one cluster, which would be in its sum
    twice.
    """
    scores = np.zeros(cells.u.shape)
    for group in groups:
        scores[np.ix_(group.rows, group.on)] += group.score(rate, within)[0].T
    return scores


def _curve(groups: list[_Group], cells: LogCells, rate: Floats, by: float) -> Floats:
    """Second derivative of the objective, (c, c), from its slopes on both sides."""
    c = len(rate)
    curve = np.empty((c, c))
    for j in range(c):
        move = np.zeros(c)
        move[j] = by
        up, down = (_scores(groups, cells, rate + side * move).sum(0) / 2 for side in (1, -1))
        curve[j] = (up - down) / (2 * by)
    return (curve + curve.T) / 2
