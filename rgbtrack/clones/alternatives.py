"""Plain ways to find clones, to compare with: none knows the noise of single cells, or gains.

Each tells which clone a cell was found in; cells are then called by the Gaussian around the cells of each
clone, in ``asinh(x / softness)``.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.cluster import HDBSCAN
from sklearn.mixture import GaussianMixture

from rgbtrack.clones.gaussians import rough_gaussians
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.ray import Floats, Ints

THRESHOLD = 0.2
"""Distance of two unit vectors from which they are two clones, as usual with QDyeFinder."""
ROUNDS = 20
_LEAST_VARIANCE = 1e-3
_HDBSCAN_SHARE = 0.002


def gaussians_of(x: Floats, softness: Floats, params: ClonesParams) -> tuple[Floats, Floats, Floats]:
    """Means (k, d), covariances (k, d, d) in ``asinh(x / softness)`` and weights of the clones of one method.

    Parameters
    ----------
    x
        Signatures of marked cells, shape (n, d).
    softness
        Noise of each marker, (d,): where asinh turns from linear to logarithmic.
    params
        The method, and the fewest cells of a clone.
    """
    z = np.arcsinh(x / softness)
    d = z.shape[1]
    clone = FINDERS[params.method](x, z, params) if len(z) >= params.min_cells else np.full(len(z), -1)
    numbers, size = np.unique(clone[clone >= 0], return_counts=True)
    numbers = numbers[size >= params.min_cells][: params.max_clones]
    if not len(numbers):
        return np.empty((0, d)), np.empty((0, d, d)), np.empty(0)
    members = [z[clone == k] for k in numbers]
    weights = np.array([len(cells) for cells in members], float)
    return (
        np.stack([cells.mean(axis=0) for cells in members]),
        np.stack([np.cov(cells.T, ddof=0) + _LEAST_VARIANCE * np.eye(d) for cells in members]),
        weights / weights.sum(),
    )


def _gmm(_: Floats, z: Floats, params: ClonesParams) -> Ints:
    """Gaussian mixture with the least BIC."""
    d = z.shape[1]
    most = min(params.max_clones, len(np.unique(z.round(9), axis=0)), max(1, len(z) // (d * (d + 3) // 2)))
    best: tuple[float, GaussianMixture] | None = None
    for size in sorted({round(float(k)) for k in np.geomspace(1, most, 14)}):
        mixture = rough_gaussians(z, size, _LEAST_VARIANCE, params.seed, n_init=2)
        bic = float(mixture.bic(z))
        if best is None or bic < best[0]:
            best = bic, mixture
    assert best is not None  # noqa: S101 - sizes start at 1
    return np.asarray(best[1].predict(z))


def _hdbscan(_: Floats, z: Floats, params: ClonesParams) -> Ints:
    """Clusters of density (Campello et al., PAKDD 2013)."""
    least = max(params.min_cells, 5, round(_HDBSCAN_SHARE * len(z)))
    if len(z) <= least:
        return np.full(len(z), -1)
    return np.asarray(HDBSCAN(min_cluster_size=least, copy=True).fit(z).labels_)


def _threshold(x: Floats, _: Floats, params: ClonesParams) -> Ints:
    """Unit vectors within a distance of each other, after dCrawler of QDyeFinder (Leiwe et al. 2024).

    Each cell joins the nearest centroid within the threshold or founds one; centroids are moved to the mean
    of their cells, and nearer ones than the threshold are merged, until nothing changes.
    """
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    centres = unit[:0]
    clone = np.full(len(unit), -1)
    for _round in range(ROUNDS):
        before = clone
        clone, centres = _join(unit, centres)
        clone, centres = _merge(unit, clone)
        if np.array_equal(before, clone):
            break
    return clone


def _join(unit: Floats, centres: Floats) -> tuple[Ints, Floats]:
    clone = np.empty(len(unit), dtype=np.int64)
    known = np.empty((len(unit) + len(centres), unit.shape[1]))
    known[: len(centres)] = centres
    n = len(centres)
    for i, colour in enumerate(unit):
        distance = ((known[:n] - colour) ** 2).sum(axis=1)
        nearest = int(distance.argmin()) if n else -1
        if n == 0 or distance[nearest] > THRESHOLD**2:
            known[n], nearest = colour, n
            n += 1
        clone[i] = nearest
    return clone, known[:n]


def _merge(unit: Floats, clone: Ints) -> tuple[Ints, Floats]:
    centres = np.empty((0, unit.shape[1]))
    while True:
        numbers, clone = np.unique(clone, return_inverse=True)
        total = np.zeros((len(numbers), unit.shape[1]))
        np.add.at(total, clone, unit)
        centres = total / np.bincount(clone)[:, None]
        distance = cdist(centres, centres) + np.diag(np.full(len(centres), np.inf))
        first, second = np.unravel_index(distance.argmin(), distance.shape)
        if distance[first, second] > THRESHOLD:
            return clone, centres
        clone = np.where(clone == second, first, clone)


FINDERS: dict[str, Callable[[Floats, Floats, ClonesParams], Ints]] = {
    "gmm": _gmm,
    "hdbscan": _hdbscan,
    "threshold": _threshold,
}
