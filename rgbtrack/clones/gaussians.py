"""Gaussians of variance-stabilised colours."""

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
