"""The field of light that normal equations of several images tell, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rgbtrack.correct.light import DEGREES, Floats, polynomials

PRIOR = np.array([0.0, 0.06, 0.08, 0.015, 0.015])[DEGREES]
"""Spread of the coefficients over microscopes, by degree: tilt, bowl, and little that is finer."""
RIDGE = 1e-3
"""Share of the diagonal added to it, where images leave a part of the field out."""
BACKGROUND = np.array([0.0, 0.04, 0.015, 0.01, 0.01])[DEGREES]
"""How far the backgrounds of single images differ, usually: gradients of their own are mostly tilts."""
CELLS = np.full(len(DEGREES), 0.1)
"""How far the cells of single images differ, usually."""
_FLOOR = 0.002  # how exactly background or cells follow the illumination at best, per coefficient
_BELIEF = 4  # what the usual spread weighs, degrees of freedom


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one kind of light tells of the illumination.

    Attributes
    ----------
    beta, covariance
        Coefficients of the field of light, shape (k,), and (k, k); see `rgbtrack.correct.light`.
    n_images
        That told something; with 0 nothing is known.
    """

    beta: Floats
    covariance: Floats
    n_images: int

    @property
    def corners(self) -> float:
        """Light in the corners less light in the centre, as a share of the mean; -0.2: a fifth is lost."""
        return float(_CORNERS @ self.beta)

    @property
    def corners_se(self) -> float:
        """Standard error of `corners`."""
        return float(np.sqrt(_CORNERS @ self.covariance @ _CORNERS))


def solve_light(normal: Floats, right: Floats, fields: NDArray[np.int64], usual: Floats) -> Evidence:
    """Solve the normal equations of all fields of view; the covariance is from how they differ.

    The scores of one degree share a spread, of which the `usual` one, shape (k,), is part of the evidence, as
    few images tell it badly; fields that lie far off the others count less (Huber).
    """
    names = np.unique(fields)
    a = np.stack([normal[fields == one].mean(0) for one in names])  # (n, k, k)
    r = np.stack([right[fields == one].mean(0) for one in names])  # (n, k)
    n, k = r.shape
    weight = np.ones(n)
    ridge = RIDGE * np.trace(a.sum(0)) / k * np.eye(k)
    for _ in range(5):
        whole = np.tensordot(weight, a, 1)
        beta = np.linalg.solve(whole + ridge, weight @ r)
        rest = r - a @ beta
        size = np.sqrt(np.array([(rest[:, d == DEGREES] ** 2).mean(1) for d in (1, 2)]))  # (2, n)
        typical = np.median(size, axis=1, keepdims=True)
        weight = 1 / np.maximum(1, (size / np.maximum(2.5 * typical, 1e-12)).max(0))
    whole = np.tensordot(weight, a, 1) + ridge
    shape = (a.sum(0) + ridge) / n  # of the scores' covariance: scores of patches that are missing are alike
    spread = np.empty(k)
    for d in np.unique(DEGREES):
        of = d == DEGREES
        free = (n - 1) * (d + 1)
        score = weight[:, None] * rest[:, of] / np.sqrt(np.diag(shape)[of])
        found = free * float((score**2).mean()) * n / (n - 1)
        spread[of] = np.sqrt((found + _BELIEF * usual[of] ** 2) / (free + _BELIEF - 2))
    inverse = np.linalg.inv(whole)
    covariance = n * inverse @ (spread[:, None] * shape * spread) @ inverse + _FLOOR**2 * np.eye(k)
    return Evidence(beta, covariance, n)


def pool_light(parts: Sequence[Evidence]) -> Evidence:
    """Pool evidence by precision, with what is known of microscopes: little that is finer than a bowl."""
    precision = np.diag(1 / PRIOR**2)
    right = np.zeros(len(PRIOR))
    for part in parts:
        if part.n_images:
            own = np.linalg.inv(part.covariance)
            precision = precision + own
            right = right + own @ part.beta
    covariance = np.linalg.inv(precision)
    return Evidence(covariance @ right, covariance, max(part.n_images for part in parts))


def _corners() -> Floats:
    """What the coefficients are to be weighed with for the mean of the corners less the centre."""
    at = polynomials((201, 201))
    return np.asarray(at[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(1) - at[:, 100, 100])


_CORNERS = _corners()
