"""What is known of each cell at each detection: place, velocity and colour, from its track so far and from what follows.

Place follows an Ornstein-Uhlenbeck velocity (a persistent walk) plus diffusion, seen with jitter; each feature a
slow random walk, seen with flicker and noise. Both are filtered along the links, once forward and once
backward; the two meet at the link that is in question.
"""

from math import exp, lgamma, log, pi

import numpy as np
from numba import njit

DIAGONAL = 1e-9


@njit(cache=True, nogil=True, error_model="numpy")
def transition(motion, dt):  # type: ignore[no-untyped-def]
    """Drift of place per velocity, of velocity, and what is added to Var x, Cov xv, Var v over ``dt``.

    ``motion`` is rate, variance of velocity, variance of diffusion per frame, variance of a place.
    """
    rate, v, diffusion = motion[0], motion[1], motion[2]
    e = exp(-rate * dt)
    b = (1 - e) / rate
    qxx = v / rate**2 * (2 * rate * dt - 3 + 4 * e - e * e) + diffusion * dt
    return b, e, max(qxx, 0.0), v * rate * b * b, v * (1 - e * e)


@njit(cache=True, nogil=True, error_model="numpy")
def seen(W, k, gain, noise, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (m, m) with the variance of one detection's features: flicker and noise."""
    m = len(k)
    for a in range(m):
        for b in range(m):
            out[a, b] = W[a, b] * gain[a] * gain[b]
        out[a, a] += k[a] * noise[a] + DIAGONAL


@njit(cache=True, nogil=True, error_model="numpy")
def distance(C, d, m):  # type: ignore[no-untyped-def]
    """Mahalanobis distance squared of ``d`` and log-determinant of ``C`` (m, m), which is overwritten."""
    logdet, q = 0.0, 0.0
    for a in range(m):
        for b in range(a + 1):
            total = C[a, b]
            for c in range(b):
                total -= C[a, c] * C[b, c]
            if a == b:
                C[a, a] = max(total, 1e-12) ** 0.5
            else:
                C[a, b] = total / C[b, b]
        total = d[a]
        for c in range(a):
            total -= C[a, c] * d[c]
        d[a] = total / C[a, a]
        q += d[a] * d[a]
        logdet += 2 * log(C[a, a])
    return q, logdet


@njit(cache=True, nogil=True, error_model="numpy")
def log_t(q, logdet, dims, tail):  # type: ignore[no-untyped-def]
    """Log density of Student's t of ``dims`` dimensions: degrees of freedom and scale in ``tail``."""
    if dims == 0:
        return 0.0
    nu, scale = tail[0], tail[1]
    return (
        lgamma((nu + dims) / 2)
        - lgamma(nu / 2)
        - 0.5 * dims * log(nu * pi * scale)
        - 0.5 * logdet
        - 0.5 * (nu + dims) * np.log1p(q / (nu * scale))
    )


@njit(cache=True, nogil=True, error_model="numpy")
def take_in(j, i, dt, place, feature, gain, noise, motion, W, k, drift, memory, mean, var, speed, V, mu, M, fit):  # type: ignore[no-untyped-def]
    """Fill the state at detection ``j``: that at ``i`` (-1 for none), ``dt`` earlier, and what was seen at ``j``.

    ``speed`` (n, d), ``V`` (n, 3) hold velocity and the variances xx, xv, vv; ``mu``, ``M`` the features; ``mean``
    and ``var`` (n, d), (m,): the place as filtered and a prior of features. ``fit`` (n, 2) how well place and
    features were foretold, as squared distances.
    """
    dims, m = place.shape[1], feature.shape[1]
    r = motion[3]
    if i < 0:
        for a in range(dims):
            mean[j, a] = place[j, a]
            speed[j, a] = 0.0
        V[j, 0], V[j, 1], V[j, 2] = r, 0.0, motion[1]
        for a in range(m):
            mu[j, a] = feature[j, a]
        seen(W, k, gain[j], noise[j], M[j])
        return
    b, e, qxx, qxv, qvv = transition(motion, dt)
    xx = V[i, 0] + 2 * b * V[i, 1] + b * b * V[i, 2] + qxx
    xv = e * (V[i, 1] + b * V[i, 2]) + qxv
    vv = e * e * V[i, 2] + qvv
    s = xx + r
    kx, kv = xx / s, xv / s
    total = 0.0
    for a in range(dims):
        ahead = mean[i, a] + b * speed[i, a]
        gap = place[j, a] - ahead
        total += gap * gap / s
        mean[j, a] = ahead + kx * gap
        speed[j, a] = e * speed[i, a] + kv * gap
    V[j, 0], V[j, 1], V[j, 2] = xx - kx * xx, xv - kx * xv, vv - kv * xv
    fit[j, 0] = total
    if m == 0:
        return
    R = np.empty((m, m))
    seen(W, k, gain[j], noise[j], R)
    P = np.empty((m, m))
    for a in range(m):
        for c in range(m):
            P[a, c] = M[i, a, c] + dt * drift[a, c] * gain[j, a] * gain[j, c] + R[a, c] * memory
    C = P + R
    d = feature[j] - mu[i]
    gainful = np.linalg.solve(C, P)  # transposed gain
    fit[j, 1] = d @ np.linalg.solve(C, d)
    for a in range(m):
        total = 0.0
        for c in range(m):
            total += gainful[c, a] * d[c]
        mu[j, a] = mu[i, a] + total
    M[j] = P - P @ gainful
    for a in range(m):
        for c in range(a):
            half = 0.5 * (M[j, a, c] + M[j, c, a])
            M[j, a, c], M[j, c, a] = half, half


@njit(cache=True, nogil=True, error_model="numpy")
def look_back(order, after, time, place, feature, gain, noise, motion, W, k, drift, memory, mean, speed, V, mu, M, fit, ahead):  # type: ignore[no-untyped-def]
    """Fill the states of all detections by what follows them; ``ahead`` says which know of a velocity.

    Velocity comes out as seen forward in time, and place and velocity without their prior: as a measurement.
    """
    dims = place.shape[1]
    var = np.empty(0)
    for o in range(len(order) - 1, -1, -1):
        j = order[o]
        i = after[j]
        dt = time[i] - time[j] if i >= 0 else 1.0
        take_in(j, i, dt, place, feature, gain, noise, motion, W, k, drift, memory, mean, var, speed, V, mu, M, fit)
    prior = motion[1]
    for j in range(len(order)):
        ahead[j] = False
        det = V[j, 0] * V[j, 2] - V[j, 1] ** 2
        if after[j] < 0 or prior <= 0 or det <= 0:
            V[j, 1], V[j, 2] = 0.0, 0.0
            continue
        xx, xv, vv = V[j, 2] / det, -V[j, 1] / det, V[j, 0] / det
        bare = vv - 1 / prior
        left = xx * bare - xv * xv
        if left <= 1e-6 * xx / prior:
            # nothing is known of the velocity: place alone, where it is with the velocity's prior
            V[j, 1], V[j, 2] = 0.0, 0.0
            continue
        ahead[j] = True
        for a in range(dims):
            hx = xx * mean[j, a] + xv * speed[j, a]
            hv = xv * mean[j, a] + vv * speed[j, a]
            mean[j, a] = (bare * hx - xv * hv) / left
            speed[j, a] = -(xx * hv - xv * hx) / left
        V[j, 0], V[j, 1], V[j, 2] = bare / left, xv / left, xx / left


@njit(cache=True, nogil=True, error_model="numpy")
def link_evidence(i, j, dt, past, future, ahead, gain, motion, drift, tails):  # type: ignore[no-untyped-def]
    """Log density of the past of ``i`` and the future of ``j`` meeting, as one cell: place and features."""
    mean, speed, V, mu, M = past
    bmean, bspeed, bV, bmu, bM = future
    dims, m = mean.shape[1], mu.shape[1]
    b, e, qxx, qxv, qvv = transition(motion, dt)
    xx = V[i, 0] + 2 * b * V[i, 1] + b * b * V[i, 2] + qxx + bV[j, 0]
    if not ahead[j]:
        q = 0.0
        for a in range(dims):
            q += (bmean[j, a] - mean[i, a] - b * speed[i, a]) ** 2 / xx
        total = log_t(q, dims * log(xx), dims, tails[0])
    else:
        xv = e * (V[i, 1] + b * V[i, 2]) + qxv + bV[j, 1]
        vv = e * e * V[i, 2] + qvv + bV[j, 2]
        det = max(xx * vv - xv * xv, 1e-12 * xx * vv)
        alone = motion[1] + bV[j, 2]
        q, q0 = 0.0, 0.0
        for a in range(dims):
            dx = bmean[j, a] - mean[i, a] - b * speed[i, a]
            dv = bspeed[j, a] - e * speed[i, a]
            q += (vv * dx * dx - 2 * xv * dx * dv + xx * dv * dv) / det
            q0 += bspeed[j, a] ** 2 / alone
        total = log_t(q, dims * log(det), 2 * dims, tails[0]) - log_t(q0, dims * log(alone), dims, tails[0])
    if m == 0:
        return total
    C = np.empty((m, m))
    d = np.empty(m)
    for a in range(m):
        d[a] = bmu[j, a] - mu[i, a]
        for c in range(a + 1):
            C[a, c] = M[i, a, c] + bM[j, a, c] + dt * drift[a, c] * gain[j, a] * gain[j, c]
    q, logdet = distance(C, d, m)
    return total + log_t(q, logdet, m, tails[1])


@njit(cache=True, nogil=True, error_model="numpy")
def birth_evidence(i, j, past, future, gain, room, shift, spread, tails):  # type: ignore[no-untyped-def]
    """Log densities of ``j`` being a daughter of ``i``: of her place, and of her features."""
    mean, mu, M = past[0], past[3], past[4]
    bmean, bmu, bM = future[0], future[3], future[4]
    dims, m = mean.shape[1], mu.shape[1]
    s = room[0] + room[1] / 4
    q = 0.0
    for a in range(dims):
        q += (bmean[j, a] - mean[i, a]) ** 2 / s
    where = log_t(q, dims * log(s), dims, tails[0])
    if m == 0:
        return where, 0.0
    C = np.empty((m, m))
    d = np.empty(m)
    for a in range(m):
        d[a] = bmu[j, a] - mu[i, a] - shift[a] * gain[j, a]
        for c in range(a + 1):
            C[a, c] = M[i, a, c] + bM[j, a, c] + spread[a, c] * gain[j, a] * gain[j, c]
        C[a, a] += 1e-6
    q, logdet = distance(C, d, m)
    return where, log_t(q, logdet, m, tails[1])


@njit(cache=True, nogil=True, error_model="numpy")
def pair_evidence(i, j, k, past, future, room, tails):  # type: ignore[no-untyped-def]
    """Log density of the places of two sisters, ``j`` and ``k``, around their mother ``i``."""
    mean, bmean = past[0], future[0]
    dims = mean.shape[1]
    q0, q1 = 0.0, 0.0
    for a in range(dims):
        q0 += (0.5 * (bmean[j, a] + bmean[k, a]) - mean[i, a]) ** 2 / room[0]
        q1 += (bmean[j, a] - bmean[k, a]) ** 2 / room[1]
    return log_t(q0, dims * log(room[0]), dims, tails[0]) + log_t(q1, dims * log(room[1]), dims, tails[0])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def likeness(x, others, spread):  # type: ignore[no-untyped-def]
    """Log of the mean density of ``x`` (n, m), whitened, around ``others`` (k, m): of another cell being such."""
    n, m = x.shape
    out = np.empty(n)
    for i in range(n):
        total, used = 0.0, 0
        for c in range(len(others)):
            q = 0.0
            for a in range(m):
                q += (x[i, a] - others[c, a]) ** 2
            if q > 0:
                total += exp(-0.5 * q / spread)
                used += 1
        out[i] = log(max(total, 1e-30) / max(used, 1)) - 0.5 * m * log(2 * pi * spread)
    return out
