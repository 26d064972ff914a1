"""What is no clone: the density of doublets, debris and anything else."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from rgbtrack.clones.gaussians import gaussian_likelihood, rough_gaussians
from rgbtrack.clones.ray import Floats

_SHARE_UNIFORM = 0.3
_N_PARTS = 8
_ALIKE = 0.95  # cosine from which two colours are one
_SHARPEST = 0.25  # least variance in asinh units, that of noise: junk must never be surer than a clone


@dataclass(frozen=True)
class Junk:
    """Density in ``asinh(x / softness)``: a few Gaussians fitted to synthetic doublets, and a uniform box."""

    softness: Floats
    means: Floats
    covariances: Floats
    weights: Floats
    log_volume: float

    def log_density(self, x: Floats) -> Floats:
        """Log-density of each row, in the units of ``x``."""
        parts = gaussian_likelihood(x, self.softness, self.means, self.covariances)
        doublets = logsumexp(parts + np.log(self.weights), axis=1) + np.log(1 - _SHARE_UNIFORM)
        jacobian = -0.5 * np.log(x**2 + self.softness**2).sum(axis=1)
        uniform = np.log(_SHARE_UNIFORM) - self.log_volume + jacobian
        return np.logaddexp(doublets, uniform)


def fit_junk(x: Floats, s: Floats, seed: int, n_synthetic: int = 4000) -> Junk:
    """Fit the density of junk to mixtures of two cells of different colour each.

    Two cells of one clone, taken for one, still have its colour: they are no junk.
    """
    rng = np.random.default_rng([seed, 3])
    softness = 2 * np.sqrt(np.median(np.diagonal(s, axis1=1, axis2=2), axis=0))
    share = rng.uniform(0.3, 0.7, n_synthetic)[:, None]
    pair = rng.integers(len(x), size=(2, n_synthetic))
    direction = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    unlike = (direction[pair[0]] * direction[pair[1]]).sum(axis=1) < _ALIKE
    if unlike.sum() > 50:
        pair, share = pair[:, unlike], share[unlike]
    z = np.arcsinh((share * x[pair[0]] + (1 - share) * x[pair[1]]) / softness)
    low, high = np.quantile(np.arcsinh(x / softness), [0.0005, 0.9995], axis=0)
    few = len(x) < 50 or len(np.unique(z.round(6), axis=0)) < 100
    mixture = rough_gaussians(z, 1 if few else _N_PARTS, _SHARPEST, seed)
    log_volume = float(np.log(high - low + 1.0).sum())
    return Junk(softness, mixture.means_, mixture.covariances_, mixture.weights_, log_volume)
