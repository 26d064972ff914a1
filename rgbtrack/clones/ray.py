"""The ray likelihood: compiled kernels for any number of markers.

A clone is a ray through the origin. Given its colour ``mu`` and a cell's log-brightness ``h``,

    x ~ N(m e^h mu, e^(2h) v diag(mu^2) + S),    h ~ N(0, s_g^2)

``h`` is marginalised by Laplace's method at its mode, which damped Fisher scoring finds. The kernels are
serial, so that a result never depends on the number of threads, and release the interpreter's lock.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TINY = 1e-280


class Spread(NamedTuple):
    """Spread within every clone: ln sd of each colour (``s_e``) and of the shared brightness (``s_g``)."""

    colour: float
    brightness: float

    @property
    def mean_factor(self) -> float:
        """Mean of a lognormal of this colour spread."""
        return math.exp(self.colour**2 / 2)

    @property
    def variance_factor(self) -> float:
        """Variance of a lognormal of this colour spread."""
        return math.exp(self.colour**2) * math.expm1(self.colour**2)


TYPICAL = Spread(0.12, 0.4)


@njit(cache=True, nogil=True, error_model="numpy")
def _invert(a, chol, inv, d):  # type: ignore[no-untyped-def]
    """Invert the symmetric positive matrix ``a`` into ``inv``; return its log-determinant.

    Three markers, the usual number, are inverted in closed form; any other number by Cholesky.
    """
    if d == 3:
        inv[0, 0] = a[1, 1] * a[2, 2] - a[2, 1] * a[2, 1]
        inv[1, 0] = a[2, 0] * a[2, 1] - a[1, 0] * a[2, 2]
        inv[2, 0] = a[1, 0] * a[2, 1] - a[2, 0] * a[1, 1]
        det = a[0, 0] * inv[0, 0] + a[1, 0] * inv[1, 0] + a[2, 0] * inv[2, 0]
        det = max(det, 1e-12 * a[0, 0] * a[1, 1] * a[2, 2], _TINY)
        over = 1.0 / det
        inv[0, 0] *= over
        inv[1, 0] *= over
        inv[2, 0] *= over
        inv[1, 1] = (a[0, 0] * a[2, 2] - a[2, 0] * a[2, 0]) * over
        inv[2, 1] = (a[1, 0] * a[2, 0] - a[0, 0] * a[2, 1]) * over
        inv[2, 2] = (a[0, 0] * a[1, 1] - a[1, 0] * a[1, 0]) * over
        inv[0, 1] = inv[1, 0]
        inv[0, 2] = inv[2, 0]
        inv[1, 2] = inv[2, 1]
        return math.log(det)
    logdet = 0.0
    for i in range(d):
        for j in range(i):
            s = a[i, j]
            for k in range(j):
                s -= chol[i, k] * chol[j, k]
            chol[i, j] = s * chol[j, j]
        s = a[i, i]
        for k in range(i):
            s -= chol[i, k] * chol[i, k]
        s = max(s, 1e-12 * a[i, i], _TINY)
        logdet += math.log(s)
        chol[i, i] = 1.0 / math.sqrt(s)  # the diagonal is kept inverted
    # the inverse of the triangle, in place
    for j in range(d):
        for i in range(j + 1, d):
            s = 0.0
            for k in range(j, i):
                s -= chol[i, k] * chol[k, j]
            chol[i, j] = s * chol[i, i]
    for i in range(d):
        for j in range(i + 1):
            s = 0.0
            for k in range(i, d):
                s += chol[k, i] * chol[k, j]
            inv[i, j] = s
            inv[j, i] = s
    return logdet


@njit(cache=True, nogil=True, error_model="numpy")
def _start(x, s, mu, i, k, d, sg2, v, m):  # type: ignore[no-untyped-def]
    """Guess the log-brightness: weighted projection on the ray, shrunk to the prior."""
    top = 0.0
    bottom = _TINY
    for j in range(d):
        top += x[i, j] * abs(mu[k, j])
        bottom += mu[k, j] * mu[k, j]
    bright = min(max(top / bottom, 0.1), 10.0)
    top = 0.0
    bottom = _TINY
    for j in range(d):
        weight = mu[k, j] / (s[i, j, j] + v * mu[k, j] * mu[k, j] * bright * bright + _TINY)
        top += weight * x[i, j]
        bottom += weight * mu[k, j]
    limit = 4.0 * math.sqrt(sg2)
    bright = top / (bottom * m)
    h = -limit if bright <= math.exp(-limit) else min(math.log(bright), limit)
    precision = bottom * m * m * math.exp(2.0 * h)
    return h * precision / (precision + 1.0 / sg2)


@njit(cache=True, nogil=True, error_model="numpy")
def ray_likelihood(x, s, mu, candidates, sg, v, m, steps, loglik, mode, variance):  # type: ignore[no-untyped-def]
    """Fill ``loglik``, ``mode`` and ``variance`` of h, each (n, n_candidates).

    ``candidates`` holds clone indices for every cell, or one row for all cells; an index below 0 is skipped.
    """
    n, d = x.shape
    sg2 = sg * sg
    limit = 4.5 * sg
    cov = np.empty((d, d))
    chol = np.zeros((d, d))
    inv = np.empty((d, d))
    mean = np.empty(d)
    own = np.empty(d)
    resid = np.empty(d)
    constant = -0.5 * d * math.log(2.0 * math.pi) - 0.5 * math.log(sg2)
    for i in range(n):
        row = i if candidates.shape[0] > 1 else 0
        for a in range(candidates.shape[1]):
            k = candidates[row, a]
            if k < 0:
                loglik[i, a] = -1e30
                continue
            h = _start(x, s, mu, i, k, d, sg2, v, m)
            for step in range(steps + 1):
                eh = math.exp(h)
                for j in range(d):
                    mean[j] = mu[k, j] * eh
                    own[j] = v * mean[j] * mean[j]
                    mean[j] *= m
                    resid[j] = x[i, j] - mean[j]
                    for q in range(j + 1):
                        cov[j, q] = s[i, j, q]
                    cov[j, j] += own[j]
                logdet = _invert(cov, chol, inv, d)
                distance = 0.0
                along = 0.0
                information = 1.0 / sg2
                slope = -h / sg2
                curve = 0.0
                for j in range(d):
                    u = 0.0
                    p = 0.0
                    for q in range(d):
                        u += inv[j, q] * resid[q]
                        p += inv[j, q] * mean[q]
                        curve += inv[j, q] * inv[j, q] * own[j] * own[q]
                    distance += resid[j] * u
                    along += mean[j] * u
                    information += mean[j] * p
                    slope += own[j] * (u * u - inv[j, j])
                slope += along
                move = slope / (information + 2.0 * curve)
                if step == steps or move * move * information < 1e-3:
                    loglik[i, a] = (
                        constant - 0.5 * (distance + logdet + h * h / sg2) - 0.5 * math.log(information)
                    )
                    mode[i, a] = h
                    variance[i, a] = 1.0 / information
                    break
                h = min(max(h + min(max(move, -0.7), 0.7), -limit), limit)


@njit(cache=True, nogil=True, error_model="numpy")
def ray_screen(x, s, mu, sg, v, m, score):  # type: ignore[no-untyped-def]
    """Fill ``score`` (n, k) with a rough log-likelihood of every clone, without covariances."""
    n, d = x.shape
    sg2 = sg * sg
    for i in range(n):
        for k in range(mu.shape[0]):
            h = _start(x, s, mu, i, k, d, sg2, v, m)
            eh = math.exp(h)
            information = 1.0 / sg2
            determinant = 1.0
            distance = h * h / sg2
            for j in range(d):
                mean = mu[k, j] * eh
                variance = s[i, j, j] + v * mean * mean
                resid = x[i, j] - m * mean
                distance += resid * resid / variance
                information += m * m * mean * mean / variance
                determinant *= variance
            score[i, k] = -0.5 * (distance + math.log(determinant * information))


@njit(cache=True, nogil=True, error_model="numpy")
def null_likelihood(x, s, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with the log-density of pure noise, N(0, S)."""
    n, d = x.shape
    cov = np.empty((d, d))
    chol = np.zeros((d, d))
    inv = np.empty((d, d))
    constant = -0.5 * d * math.log(2.0 * math.pi)
    for i in range(n):
        for j in range(d):
            for q in range(d):
                cov[j, q] = s[i, j, q]
        total = _invert(cov, chol, inv, d)
        for j in range(d):
            for q in range(d):
                total += x[i, j] * inv[j, q] * x[i, q]
        out[i] = constant - 0.5 * total


def noise_density(x: Floats, s: Floats) -> Floats:
    """Log-density of pure noise at each colour; x (n, d), s (n, d, d), contiguous."""
    density = np.empty(len(x))
    null_likelihood(x, s, density)
    return density


@njit(cache=True, nogil=True, error_model="numpy")
def ray_moments(x, s, mu, candidates, resp, mode, variance, v, m, group, colour, gain):  # type: ignore[no-untyped-def]
    """Add up what the M-step needs, into ``colour`` (one row a clone) and ``gain`` (one row a group).

    A row of ``colour`` holds: the normal matrix of mu (d*d), its right side (d), sums of r, r h and
    r (h^2 + var h), of the squared own deviation and its count. A row of ``gain``: the marginal information
    of the log-gains (d*d) and their gradient (d).
    """
    n, d = x.shape
    dd = d * d
    cov = np.empty((d, d))
    chol = np.zeros((d, d))
    inv = np.empty((d, d))
    mean = np.empty(d)
    own = np.empty(d)
    resid = np.empty(d)
    p = np.empty(d)
    for i in range(n):
        row = i if candidates.shape[0] > 1 else 0
        g = group[i]
        for a in range(candidates.shape[1]):
            k = candidates[row, a]
            r = resp[i, a]
            if k < 0 or r < 1e-4:
                continue
            h = mode[i, a]
            vh = variance[i, a]
            eh = math.exp(h)
            for j in range(d):
                mean[j] = mu[k, j] * eh
                own[j] = v * mean[j] * mean[j]
                mean[j] *= m
                resid[j] = x[i, j] - mean[j]
                for q in range(j + 1):
                    cov[j, q] = s[i, j, q]
                cov[j, j] += own[j]
            _invert(cov, chol, inv, d)
            scale = r * m * eh
            for j in range(d):
                t = 0.0
                p[j] = 0.0
                for q in range(d):
                    t += inv[j, q] * x[i, q]
                    p[j] += inv[j, q] * mean[q]
                    colour[k, j * d + q] += scale * m * eh * inv[j, q]
                colour[k, dd + j] += scale * t
                u = t - p[j]
                gain[g, dd + j] += r * mean[j] * u
                if own[j] > s[i, j, j]:
                    o = own[j]
                    colour[k, dd + d + 3] += (
                        r * v * ((o * u) ** 2 + (o * p[j]) ** 2 * vh + o - o * o * inv[j, j]) / o
                    )
                    colour[k, dd + d + 4] += r
            for j in range(d):
                for q in range(d):
                    gain[g, j * d + q] += r * mean[j] * mean[q] * (inv[j, q] - p[j] * p[q] * vh)
            colour[k, dd + d] += r
            colour[k, dd + d + 1] += r * h
            colour[k, dd + d + 2] += r * (h * h + vh)
