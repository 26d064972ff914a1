"""The plain alternative: a Gaussian mixture of variance-stabilised colours, its size chosen by BIC."""

import warnings

import numpy as np
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from rgbtrack.clones.ray import Floats


def gaussian_likelihood(x: Floats, softness: Floats, means: Floats, covariances: Floats) -> Floats:
    """Log-density (n, k) of Gaussians in ``asinh(x / softness)``, in the units of ``x``."""
    z = np.arcsinh(x / softness)
    jacobian = -0.5 * np.log(x**2 + softness**2).sum(axis=1)
    result = np.empty((len(x), len(means)))
    for k, (mean, cov) in enumerate(zip(means, covariances, strict=True)):
        chol = np.linalg.cholesky(cov)
        y = np.linalg.solve(chol, (z - mean).T)
        result[:, k] = -0.5 * (y**2).sum(axis=0) - np.log(np.diag(chol)).sum() + jacobian
    return result - 0.5 * x.shape[1] * np.log(2 * np.pi)


def rough_gaussians(z: Floats, n_parts: int, floor: float, seed: int, n_init: int = 1) -> GaussianMixture:
    """Fit Gaussians on one thread; the last digits of convergence are not asked for."""
    mixture = GaussianMixture(
        n_parts,
        reg_covar=floor,
        random_state=seed,
        max_iter=60,
        tol=1e-2,
        n_init=n_init,
        init_params="k-means++",
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixture.fit(z)


def fit_gaussians(
    x: Floats, softness: Floats, max_clones: int, min_cells: int, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Return means and covariances in asinh space, and weights, of the mixture with the least BIC."""
    d = x.shape[1]
    z = np.arcsinh(x / softness)
    most = min(max_clones, len(np.unique(z.round(9), axis=0)), max(1, len(z) // (d * (d + 3) // 2)))
    sizes = sorted({round(float(k)) for k in np.geomspace(1, most, 14)}) if len(z) >= min_cells else []
    best: tuple[float, GaussianMixture] | None = None
    for size in sizes:
        mixture = rough_gaussians(z, size, 1e-3, seed, n_init=2)
        bic = float(mixture.bic(z))
        if best is None or bic < best[0]:
            best = bic, mixture
    if best is None:
        return np.empty((0, d)), np.empty((0, d, d)), np.empty(0)
    return best[1].means_, best[1].covariances_, best[1].weights_
