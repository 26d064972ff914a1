"""Displacements common to all cells of a frame: a stage that jumped, or drift that was left."""

import warnings

import numpy as np

from rgbtrack.errors import RgbtrackWarning
from rgbtrack.link.movie import Bools, Floats, Ints, Movie
from rgbtrack.link.scales import Scales, neighbour_pairs, pair_odds

WITNESSES = 80  # cells that a jump is looked for with
CERTAIN = 8.0  # log odds beyond chance


def find_jumps(movie: Movie, scales: Scales) -> Floats:
    """Find where each frame lies relative to the first because the stage jumped, um, shape (frames, d).

    Looked for where the cells of a frame, left where they are, are hardly found in the next: among the
    displacements between cells of like colour, the one under which most of them are found.
    """
    n_frames, dims = movie.n_frames, movie.place.shape[1]
    shift = np.zeros((n_frames, dims))
    if n_frames < 2:
        return shift
    i, j = neighbour_pairs(movie, 4.0 * scales.step, WITNESSES * n_frames)
    odds = pair_odds(movie, i, j, scales.flicker, scales.noise)
    apart = movie.place[j] - movie.place[i]
    cut = np.searchsorted(movie.frame[i], np.arange(n_frames))
    n_witnesses = np.bincount(
        movie.frame[np.arange(0, movie.start[-2], _every(movie))], minlength=n_frames - 1
    )
    stay, known = np.zeros(n_frames - 1), n_witnesses >= 4
    still = np.zeros(dims)
    for t in np.flatnonzero(known).tolist():
        part = slice(cut[t], cut[t + 1])
        stay[t] = _support(
            apart[part], odds[part], i[part], still, _room(movie, scales, t), movie.density, n_witnesses[t]
        )
    usual = np.median(stay[known]) if known.any() else 0.0
    for t in np.flatnonzero(known & (stay < max(0.5 * usual, 0.3))).tolist():
        i, j = _witnesses(movie, t)
        odds = pair_odds(movie, i, j, scales.flicker, scales.noise)
        apart = movie.place[j] - movie.place[i]
        variance = _room(movie, scales, t)
        found, support = _best_shift(apart, odds, i, variance, movie.density)
        cells = len(np.unique(i))
        choices = np.log(1 + np.ptp(apart, axis=0).prod() / variance ** (dims / 2))
        # a jump takes most cells along, and leaves few where they were
        moved, left = (_share(apart, odds, i, where, variance) for where in (found, still))
        if np.linalg.norm(found) < 2 * np.sqrt(variance) or moved < max(0.5, 1.5 * left):
            continue
        if cells * (support - stay[t]) > choices + CERTAIN:
            shift[t + 1] = found
            warnings.warn(
                f"the stage jumped by {np.linalg.norm(found):.0f} um before frame {t + 1} of those with "
                "cells: places are linked with the jump taken off",
                RgbtrackWarning,
                stacklevel=4,
            )
    return np.cumsum(shift, axis=0)


def common_shift(movie: Movie, before: Ints, born: Bools) -> Floats:
    """Displacement common to the cells of each frame, summed from the first, um, shape (frames, d).

    The median step of linked cells, as far as it varies from frame to frame more than medians do.
    """
    steps = np.zeros((movie.n_frames, movie.place.shape[1]))
    doubt = np.full(movie.n_frames, np.inf)
    follows = np.flatnonzero((before >= 0) & ~born)
    follows = follows[movie.frame[before[follows]] == movie.frame[follows] - 1]
    moved = movie.place[follows] - movie.place[before[follows]]
    cut = np.searchsorted(movie.frame[follows], np.arange(movie.n_frames + 1))
    for t in range(movie.n_frames):
        part = moved[cut[t] : cut[t + 1]]
        if len(part) >= 5:
            steps[t] = np.median(part, axis=0)
            doubt[t] = 1.57 * np.mean((np.median(np.abs(part - steps[t]), axis=0) / 0.6745) ** 2) / len(part)
    sure = np.isfinite(doubt)
    if not sure.any():
        return steps
    true = max(float((steps[sure] ** 2).mean(axis=1).mean() - doubt[sure].mean()), 0.0)
    # cells that push each other move together a little: what is within twice the doubt is left alone
    true = true if true > doubt[sure].mean() else 0.0
    return np.cumsum(steps * (true / np.maximum(true + doubt, 1e-12))[:, None], axis=0)


def _witnesses(movie: Movie, t: int) -> tuple[Ints, Ints]:
    """Pairs of some cells of a frame and all of the next."""
    a, b, c = movie.start[t : t + 3]
    mine = np.arange(a, b, max(1, -(-(b - a) // WITNESSES)))
    others = np.arange(b, c, max(1, -(-(c - b) // 4000)))
    return np.repeat(mine, len(others)), np.tile(others, len(mine))


def _support(
    apart: Floats, odds: Floats, cell: Ints, shift: Floats, variance: float, density: float, n_cells: int
) -> float:
    """Log odds, mean over cells, that they are found where ``shift`` puts them, not others by chance."""
    dims = len(shift)
    q = ((apart - shift) ** 2).sum(axis=1) / variance
    near = np.exp(np.minimum(odds - 0.5 * q, 300.0)) / (2 * np.pi * variance) ** (dims / 2) / density
    group = np.unique(cell, return_inverse=True)[1]
    found = np.log(0.1 + 0.9 * np.bincount(group, near))
    return float((found.sum() + (n_cells - len(found)) * np.log(0.1)) / n_cells)


def _share(apart: Floats, odds: Floats, cell: Ints, shift: Floats, variance: float) -> float:
    """Share of cells that have one of their colour within two steps of where ``shift`` puts them."""
    good = (((apart - shift) ** 2).sum(axis=1) < 4 * len(shift) * variance) & (odds > -1.0)
    return len(np.unique(cell[good])) / len(np.unique(cell))


def _room(movie: Movie, scales: Scales, t: int) -> float:
    return float(scales.step**2 * max(movie.time[t + 1] - movie.time[t], 1.0))


def _every(movie: Movie) -> int:
    return int(max(1, -(-movie.start[-2] // (WITNESSES * movie.n_frames))))


def _best_shift(
    apart: Floats, odds: Floats, cell: Ints, variance: float, density: float
) -> tuple[Floats, float]:
    """Return the displacement that most cells share."""
    width = 1.5 * np.sqrt(variance)
    bins = np.floor(apart / width).astype(np.int64)
    votes = np.minimum(np.exp(np.minimum(odds, 50.0)), 100.0)
    places, which = np.unique(bins, axis=0, return_inverse=True)
    tally = np.bincount(which.ravel(), votes)
    best, support = np.zeros(apart.shape[1]), -np.inf
    for b in np.argsort(-tally, kind="stable")[:30]:
        shift = (places[b] + 0.5) * width
        for _ in range(4):
            near = ((apart - shift) ** 2).sum(axis=1) < 9 * variance
            weight = votes * near * np.exp(-0.5 * ((apart - shift) ** 2).sum(axis=1) / variance)
            if weight.sum() <= 0:
                break
            shift = (weight[:, None] * apart).sum(axis=0) / weight.sum()
        value = _support(apart, odds, cell, shift, variance, density, len(np.unique(cell)))
        if value > support:
            best, support = shift, value
    return best, support
