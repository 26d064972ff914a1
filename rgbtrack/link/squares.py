"""Mean squared displacement: how far cells get in a given time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rgbtrack.link.paths import Floats, Paths


@dataclass(frozen=True)
class LagSums:
    """Squared displacements by lag, summed over tracks or for each: lags run along the last axis."""

    squares: Floats
    """Sum of squared displacements, um², shape (..., lags)."""
    times: Floats
    """Sum of the times that they took, h."""
    pairs: Floats
    """Pairs of places."""
    longest: Floats
    """Longest track in lags, shape (...)."""

    def pool(self, chosen: NDArray) -> "LagSums":
        """Sum over tracks: those chosen, shape (tracks,), or with weights, shape (pools, tracks)."""
        weights = np.asarray(chosen, float)
        used = weights > 0
        longest = np.where(used, self.longest, 0).max(axis=-1, initial=0)
        return LagSums(weights @ self.squares, weights @ self.times, weights @ self.pairs, longest)

    @property
    def msd(self) -> Floats:
        """Mean squared displacement, um²; missing where no pair is."""
        return np.divide(
            self.squares, self.pairs, out=np.full(self.pairs.shape, np.nan), where=self.pairs > 0
        )

    @property
    def lag_h(self) -> Floats:
        """Mean time of the pairs of each lag, h."""
        return np.divide(self.times, self.pairs, out=np.full(self.pairs.shape, np.nan), where=self.pairs > 0)


def lag_sums(paths: Paths, max_lags: int) -> LagSums:
    """Squared displacements of every track by lag, all pairs of its places.

    Parameters
    ----------
    paths
        Tracks.
    max_lags
        Longest lag, in intervals.

    Returns
    -------
    sums
        Shape (tracks, lags). A lag is a whole number of intervals, the shortest of all images; pairs of
        uneven times go to the nearest, which keeps the mean of their own times.
    """
    n = len(paths.first)
    known = paths.interval_h[np.isfinite(paths.interval_h)]
    unit = float(known.min()) if len(known) else 1.0
    squares, times, pairs = (np.zeros((n, max_lags)) for _ in range(3))
    for shift in range(1, len(paths.track)):
        row = np.flatnonzero(paths.track[shift:] == paths.track[:-shift])
        if not len(row):
            break
        time = paths.time_h[row + shift] - paths.time_h[row]
        lag = np.rint(time / unit).astype(np.int64) - 1
        good = (lag >= 0) & (lag < max_lags)
        if not good.any() and (lag >= max_lags).all():
            break
        row, time = row[good], time[good]
        at = paths.track[row] * max_lags + lag[good]
        move = ((paths.place_um[row + shift] - paths.place_um[row]) ** 2).sum(axis=1)
        for total, part in ((squares, move), (times, time), (pairs, np.ones(len(row)))):
            total += np.bincount(at, part, n * max_lags).reshape(n, max_lags)
    longest = (paths.time_h[paths.last] - paths.time_h[paths.first]) / unit
    return LagSums(squares, times, pairs, longest)
