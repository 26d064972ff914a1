"""How far two colours lie apart, and what becomes of founders whose colours are near."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from rgbtrack.clones.ray import Floats, Ints, Spread

HALF_MERGED = 1.64
"""Distance at which two founders are called as one clone half of the time."""
NEAR = 3.0
"""Distance below which a few percent of the cells are confused."""
_MERGE_WIDTH = 0.57
_OTHERS = 0.1  # share of a clone's cells from which another founder counts
_LEAK_WIDTH = 0.53  # of ln share


@dataclass(frozen=True, eq=False)
class Colours:
    """Colours: mean intensity, and error variance of a typical cell; both (k, d)."""

    mean: Floats
    noise: Floats


def separation(first: Floats, second: Floats, noise: Floats, spread: Spread) -> Floats:
    """Distance of two colours in standard deviations of a cell.

    Parameters
    ----------
    first, second, noise
        Colours and the error variance of a cell, shapes (..., d) that broadcast.
    spread
        Of colour and brightness within a clone.

    Notes
    -----
    Each marker is counted in its own standard deviations, ``z = asinh(s_e x / sigma) / s_e``: sigma (noise)
    where it is dim, a share s_e where it is bright. In z a cell scatters by 1 in each marker, and by s_g
    along the direction ``b`` in which brightness moves it:
    ``D^2 = |dz|^2 - (dz b)^2 s_g^2 / (1 + s_g^2 |b|^2)``.
    """
    share = spread.colour
    difference = (
        np.arcsinh(share * first / np.sqrt(noise)) - np.arcsinh(share * second / np.sqrt(noise))
    ) / share
    brighter = (
        first / np.sqrt(noise + np.square(share * first))
        + second / np.sqrt(noise + np.square(share * second))
    ) / 2
    along = np.square((difference * brighter).sum(axis=-1)) * spread.brightness**2
    along /= 1 + spread.brightness**2 * np.square(brighter).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(np.square(difference).sum(axis=-1) - along, 0)))


def colour_distances(first: Colours, second: Colours, spread: Spread) -> Floats:
    """Separation of every colour of ``first`` from every one of ``second``, shape (k, m)."""
    noise = (first.noise[:, None] + second.noise[None]) / 2
    return separation(first.mean[:, None], second.mean[None], noise, spread)


def merge_probability(distance: Floats) -> Floats:
    """Chance that two founders so many standard deviations apart are called as one clone.

    A logistic curve, fitted to what `fit_clones` did to planted founders (``benchmarks/bench_unique.py``).
    """
    return np.asarray(1 / (1 + np.exp(np.clip((distance - HALF_MERGED) / _MERGE_WIDTH, -50, 50))))


def foreign_share(distance: Floats, n_cells: Ints) -> Floats:
    """Largest share of each clone's cells that another called clone provides, shape (k,).

    Two normal clones at a distance, cut where both are equally probable.
    """
    k = len(n_cells)
    if k < 2:
        return np.zeros(k)
    apart = np.maximum(distance, 0.05)
    odds = np.log(n_cells[None, :] / n_cells[:, None])
    received = n_cells[None, :] / n_cells[:, None] * ndtr(-apart / 2 - odds / apart)
    lost = ndtr(-apart / 2 + odds / apart)
    share = received / (1 - lost + received)
    np.fill_diagonal(share, 0)
    return np.asarray(share.max(axis=1))


def pure_probability(share: Floats) -> Floats:
    """Chance that no called neighbour provides over a tenth of a clone's cells, from the share expected."""
    return np.asarray(1 / (1 + (np.maximum(share, 1e-6) / _OTHERS) ** (1 / _LEAK_WIDTH)))
