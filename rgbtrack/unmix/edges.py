"""The edge of the cone of colours: what a detector reads in the cells that lack its own protein."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from rgbtrack.unmix.lines import Array, Ints

ROUNDS = 150
TIGHT = 0.002
"""Width of the edge beyond noise, share of a cell's light."""
NARROWING = 0.8
STRAY = 0.001
"""Share of cells below the edge, where none should be."""
LIKELY = 0.15
"""Leaks expected before anything is seen: standard deviation of a Gaussian around 0."""
NOISE = (0.1, 2.0)
"""How far the errors given may be off, as factors."""
DRIFT = (0.01, 0.3)
"""How far a leak may differ between sessions, share of it: least and most."""
LEAST_LEAK = 0.01


@dataclass(frozen=True, eq=False)
class Edge:
    """What one detector reads in cells that lack its own protein: ``offset + light @ leaks``.

    Attributes
    ----------
    leaks, covariance
        Share of the signal of each other detector in this one, shapes (k,) and (k, k).
    drift
        How far leaks differ between sessions, sd as a share of each.
    lacks
        Probability of each cell that it lacks the protein, shape (n,).
    noise
        How many times as far from the edge as their errors the cells on it lie.
    pull
        Distance of each cell from the edge in units of the edge's width there, shape (n,).
    fit
        Log-likelihood a cell.
    """

    leaks: Array
    covariance: Array
    drift: float
    lacks: Array
    noise: float
    pull: Array
    fit: float


def fit_edge(
    read: Array, read_var: Array, light: Array, light_var: Array, session: Ints, start: Array, width: float
) -> Edge:
    """Fit the edge on which the cells lie that lack a protein; all that carry it lie above.

    A mixture, fitted by expectation-maximisation: cells on the edge, Gaussian with their own noise times a
    factor; cells above it by a half-Cauchy share of their light; few strays below. Each session has leaks of
    its own, Gaussian around those of all, for gains drift. The edge starts wide and is narrowed.

    Parameters
    ----------
    read, read_var
        Counts of the detector and their variances, shape (n,).
    light, light_var
        Counts of the k other detectors and their variances, shape (n, k).
    session
        Session of each cell, from 0, shape (n,).
    start
        Leaks to start from, shape (k,).
    width
        Width of the edge at the start, share of a cell's light.
    """
    k = light.shape[1]
    groups = int(session.max()) + 1
    total = np.maximum(light, 0).sum(axis=1) + np.sqrt(read_var)  # (n,)
    offset_prior = 1 / float(np.median(read_var))  # the background is gone up to about an error
    leaks, own = start, np.tile(start, (groups, 1))
    offset = np.zeros(groups)
    share, noise, drift = 0.5, 1.0, 0.2 if groups > 1 else DRIFT[0]
    for _ in range(ROUNDS):
        rest = read - offset[session] - (light * own[session]).sum(axis=1)
        spread = read_var + light_var @ leaks**2
        variance = noise**2 * spread + (width * total) ** 2
        on, above, below = _densities(rest, variance, total)
        mixed = share * on + (1 - STRAY - share) * above + STRAY * below
        lacks = share * on / mixed
        share = float(np.clip(lacks.mean(), 0.01, 0.98 - STRAY))
        noise = float(np.sqrt(np.clip((lacks * rest**2 / spread).sum() / lacks.sum(), *np.square(NOISE))))
        old = leaks
        tie = np.diag(1 / (drift * np.maximum(np.abs(leaks), LEAST_LEAK)) ** 2)
        square, right, middle, mean_light, mean_read = _sums(
            lacks / variance, read, light, session, groups, offset_prior
        )
        solved = np.linalg.inv(square + tie)  # (groups, k, k): error of a session's leaks, those of all known
        held = square - square @ solved @ square  # what a session tells of those of all
        precision = held.sum(axis=0) + np.eye(k) / LIKELY**2
        leaks = np.linalg.solve(precision, (right - (square @ solved @ right[..., None])[..., 0]).sum(axis=0))
        own = (solved @ (right + tie @ leaks)[..., None])[..., 0]
        offset = mean_read - (mean_light * own).sum(axis=1)
        if groups > 1:
            seen = np.maximum(np.abs(leaks), LEAST_LEAK)
            moved = ((own - leaks) ** 2 + solved.diagonal(axis1=1, axis2=2)) / seen**2
            drift = float(np.clip(np.sqrt((moved * middle).sum() / middle.sum()), *DRIFT))
        if width == TIGHT and np.abs(leaks - old).max() < 1e-6:
            break
        width = max(TIGHT, width * NARROWING)
    # curvature of the log-likelihood: a cell half on the edge is half free to leave it
    bend = np.clip(lacks - lacks * (1 - lacks) * rest**2 / variance, 0, 1) / variance
    square = _sums(bend, read, light, session, groups, offset_prior)[0]
    held = square - square @ np.linalg.inv(square + tie) @ square
    covariance = np.linalg.inv(held.sum(axis=0) + np.eye(k) / LIKELY**2)
    return Edge(leaks, covariance, drift, lacks, noise, rest / np.sqrt(variance), float(np.log(mixed).mean()))


def _densities(rest: Array, variance: Array, total: Array) -> tuple[Array, Array, Array]:
    """Densities of distances on the edge, above it, and below."""
    sd = np.sqrt(variance)
    on = np.exp(-0.5 * rest**2 / variance) / (sd * np.sqrt(2 * np.pi))
    above = 2 / np.pi * total / (total**2 + np.maximum(rest, 0) ** 2) * ndtr(rest / sd)
    below = 2 / np.pi * total / (total**2 + np.minimum(rest, 0) ** 2) * ndtr(-rest / sd)
    return on, above, below


def _sums(
    weight: Array, read: Array, light: Array, session: Ints, groups: int, offset_prior: float
) -> tuple[Array, Array, Array, Array, Array]:
    """Normal equations of each session, its offset solved for.

    Returns
    -------
    square, right, diagonal, mean_light, mean_read
        Shapes (groups, k, k), (groups, k), (groups, k), (groups, k) and (groups,).
    """
    k = light.shape[1]

    def add(values: Array) -> Array:
        return np.bincount(session, weight * values, groups).astype(float)

    norm = add(np.ones(len(read))) + offset_prior
    mean_light = np.stack([add(light[:, j]) for j in range(k)], axis=1) / norm[:, None]
    mean_read = add(read) / norm
    square = np.empty((groups, k, k))
    for i in range(k):
        for j in range(i + 1):
            one = add(light[:, i] * light[:, j]) - norm * mean_light[:, i] * mean_light[:, j]
            square[:, i, j] = square[:, j, i] = one
    right = np.stack([add(light[:, j] * read) for j in range(k)], axis=1)
    right -= (norm * mean_read)[:, None] * mean_light
    return square, right, square.diagonal(axis1=1, axis2=2), mean_light, mean_read
