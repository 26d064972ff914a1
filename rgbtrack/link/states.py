"""Place, velocity and colour of each cell at each detection, by what came before and by what follows.

Place follows an Ornstein-Uhlenbeck velocity (a persistent walk) plus diffusion, seen with jitter; each
feature a slow random walk, seen with flicker and noise. Both are filtered along the links, once forward
and once backward; the two meet at the link that is in question.

What is called for each pair is inlined: handing over all its arrays took longer than its work.
"""

from math import exp, log, pi

import numpy as np
from numba import njit

DIAGONAL = 1e-9
ROUNDED = 1 + 1e-9  # more than what is lost by rounding
MANY = 512
"""Sums that are added to side by side: a single one cannot be without changing its order."""


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


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def whiten(C, d, a):  # type: ignore[no-untyped-def]
    """Turn row ``a`` of ``C`` into that of its Cholesky root, ``d[a]`` into what is new in it; its variance.

    The rows before have been turned.
    """
    for b in range(a):
        total = C[a, b]
        for c in range(b):
            total -= C[a, c] * C[b, c]
        C[a, b] = total / C[b, b]
    left, new = C[a, a], d[a]
    for c in range(a):
        left -= C[a, c] * C[a, c]
        new -= C[a, c] * d[c]
    left = max(left, 1e-12)
    C[a, a] = left**0.5
    d[a] = new / C[a, a]
    return left


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def distance(C, d):  # type: ignore[no-untyped-def]
    """Mahalanobis distance squared of ``d`` and log-determinant of ``C`` (m, m); both are overwritten."""
    product, q = 1.0, 0.0
    for a in range(len(d)):
        product *= whiten(C, d, a)
        q += d[a] * d[a]
    return q, log(product)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def log_t(q, logdet, dims, tail, twice):  # type: ignore[no-untyped-def]
    """Log density of Student's t of ``dims`` dimensions, ``twice`` those that ``tail`` is made for or not."""
    nu, scale = tail[0], tail[1]
    return tail[3 if twice else 2] - 0.5 * logdet - 0.5 * (nu + dims) * log(1 + q / (nu * scale))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def update(j, i, dt, feature, gain, drift, memory, mu, M, fit, work):  # type: ignore[no-untyped-def]
    """Fill features ``mu`` and their variance ``M`` at ``j``, where ``M[j]`` holds that of what was seen."""
    m = feature.shape[1]
    P, L, Y, d = work[0], work[1], work[2], work[3, 0]
    for a in range(m):
        d[a] = feature[j, a] - mu[i, a]
        for c in range(m):
            P[a, c] = M[i, a, c] + dt * drift[a, c] * gain[j, a] * gain[j, c] + M[j, a, c] * memory
            L[a, c] = P[a, c] + M[j, a, c]
    fit[j, 1] = distance(L, d)[0]
    # L and d now hold the root of the variance of the difference, and the whitened difference
    for a in range(m):
        for c in range(m):
            total = P[a, c]
            for b in range(a):
                total -= L[a, b] * Y[b, c]
            Y[a, c] = total / L[a, a]
    for a in range(m):
        mu[j, a] = mu[i, a]
        for b in range(m):
            mu[j, a] += Y[b, a] * d[b]
        for c in range(a + 1):
            total = P[a, c]
            for b in range(m):
                total -= Y[b, a] * Y[b, c]
            M[j, a, c] = M[j, c, a] = total


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def take_in(  # type: ignore[no-untyped-def]
    j, i, dt, place, feature, gain, noise, motion, W, k, drift, memory, mean, speed, V, mu, M, fit, work
):
    """Fill the state at detection ``j``: that at ``i`` (-1 for none), ``dt`` earlier, and what was seen.

    ``mean``, ``speed`` (n, d) hold place and velocity, ``V`` (n, 3) the variances xx, xv, vv, ``mu``, ``M``
    the features, ``fit`` (n, 2) how well place and features were foretold, as squared distances; ``work``
    (4, m, m) is overwritten.
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
    seen(W, k, gain[j], noise[j], M[j])
    update(j, i, dt, feature, gain, drift, memory, mu, M, fit, work)


@njit(cache=True, nogil=True, error_model="numpy")
def look_back(  # type: ignore[no-untyped-def]
    after, time, place, feature, gain, noise, motion, W, k, drift, memory, mean, speed, V, mu, M, fit, ahead
):
    """Fill the states of all detections by what follows them; ``ahead`` says which know of a velocity.

    Velocity comes out as seen forward in time, and place and velocity without their prior: as a measurement.
    """
    dims, m = place.shape[1], feature.shape[1]
    work = np.empty((4, m, m))
    for j in range(len(after) - 1, -1, -1):
        i = after[j]
        dt = time[i] - time[j] if i >= 0 else 1.0
        take_in(
            j,
            i,
            dt,
            place,
            feature,
            gain,
            noise,
            motion,
            W,
            k,
            drift,
            memory,
            mean,
            speed,
            V,
            mu,
            M,
            fit,
            work,
        )
    prior = motion[1]
    for j in range(len(after)):
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


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def speed_alone(j, future, ahead, motion, tail):  # type: ignore[no-untyped-def]
    """Log density of the velocity that ``j`` goes on with, whoever it is; 0 where none is known."""
    if not ahead[j]:
        return 0.0
    bspeed, bV = future[1], future[2]
    dims = bspeed.shape[1]
    alone = motion[1] + bV[j, 2]
    q = 0.0
    for a in range(dims):
        q += bspeed[j, a] ** 2 / alone
    return log_t(q, dims * log(alone), dims, tail, False)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def place_evidence(i, j, moves, past, future, ahead, tail, alone):  # type: ignore[no-untyped-def]
    """Log density of the past of ``i`` and the future of ``j`` meeting, as one cell: place and velocity.

    ``moves`` is what `transition` gave, ``alone`` what `speed_alone` gives for ``j``.
    """
    mean, speed, V = past[0], past[1], past[2]
    bmean, bspeed, bV = future[0], future[1], future[2]
    dims = mean.shape[1]
    b, e, qxx, qxv, qvv = moves
    xx = V[i, 0] + 2 * b * V[i, 1] + b * b * V[i, 2] + qxx + bV[j, 0]
    q = 0.0
    if not ahead[j]:
        for a in range(dims):
            q += (bmean[j, a] - mean[i, a] - b * speed[i, a]) ** 2
        return log_t(q / xx, dims * log(xx), dims, tail, False)
    xv = e * (V[i, 1] + b * V[i, 2]) + qxv + bV[j, 1]
    vv = e * e * V[i, 2] + qvv + bV[j, 2]
    det = max(xx * vv - xv * xv, 1e-12 * xx * vv)
    for a in range(dims):
        dx = bmean[j, a] - mean[i, a] - b * speed[i, a]
        dv = bspeed[j, a] - e * speed[i, a]
        q += vv * dx * dx - 2 * xv * dx * dv + xx * dv * dv
    return log_t(q / det, dims * log(det), 2 * dims, tail, True) - alone


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _apart(i, j, past, future, gain, change, shift, limit, C, d):  # type: ignore[no-untyped-def]
    """Squared distance of features of ``i`` and ``j`` after a ``shift`` and ``change``; log-determinant.

    Infinite beyond ``limit``. ``C`` (m, m) and ``d`` (m,) are overwritten.
    """
    mu, M = past[3], past[4]
    bmu, bM = future[3], future[4]
    for a in range(mu.shape[1]):
        d[a] = bmu[j, a] - mu[i, a] - shift[a] * gain[j, a]
        # most are told apart by one feature alone, whatever the others add
        alone = M[i, a, a] + bM[j, a, a] + change[a, a] * gain[j, a] * gain[j, a]
        if d[a] * d[a] > ROUNDED * limit * alone:
            return np.inf, 0.0
    product, q = 1.0, 0.0
    for a in range(mu.shape[1]):
        for c in range(a + 1):
            C[a, c] = M[i, a, c] + bM[j, a, c] + change[a, c] * gain[j, a] * gain[j, c]
        product *= whiten(C, d, a)
        q += d[a] * d[a]
        if q > limit:  # it only grows
            return np.inf, 0.0
    return q, log(product)


@njit(cache=True, nogil=True, error_model="numpy")
def colour_near(i, j, past, future, gain, change, shift, limit, C, d):  # type: ignore[no-untyped-def]
    """Whether the squared distance of features after a ``shift`` and a ``change`` is within a ``limit``."""
    return len(shift) == 0 or _apart(i, j, past, future, gain, change, shift, limit, C, d)[0] <= limit


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def colour_evidence(i, j, past, future, gain, change, shift, tail, limit, C, d):  # type: ignore[no-untyped-def]
    """Log density of the features of ``i`` and ``j`` meeting, after a ``shift`` and a ``change``.

    Minus infinity where their squared distance is beyond ``limit``, see `limit_of`.
    ``C`` (m, m) and ``d`` (m,) are overwritten.
    """
    m = len(shift)
    if m == 0:
        return 0.0
    q, logdet = _apart(i, j, past, future, gain, change, shift, limit, C, d)
    return log_t(q, logdet, m, tail, False) if q <= limit else -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def limit_of(loss, dims, tail):  # type: ignore[no-untyped-def]
    """Squared distance at which the log density of Student's t is less by ``loss`` than at its middle."""
    return tail[0] * tail[1] * (exp(2 * loss / (tail[0] + dims)) - 1)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def colour_most(j, future, tail):  # type: ignore[no-untyped-def]
    """The most that `colour_evidence` can be for ``j``."""
    M = future[4]
    m = M.shape[1]
    if m == 0:
        return 0.0
    C, d = M[j].copy(), np.zeros(m)
    return log_t(0.0, distance(C, d)[1], m, tail, False)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def birth_place(i, j, moves, past, future, room, tail):  # type: ignore[no-untyped-def]
    """Log density of the place of ``j`` as one of two daughters of ``i``; ``room`` as in `Scales`."""
    mean, speed, bmean = past[0], past[1], future[0]
    dims = mean.shape[1]
    s = room[0] + room[1] / 4
    q = 0.0
    for a in range(dims):
        q += (bmean[j, a] - mean[i, a] - room[2] * moves[0] * speed[i, a]) ** 2
    return log_t(q / s, dims * log(s), dims, tail, False)


@njit(cache=True, nogil=True, error_model="numpy")
def likeness(x, others):  # type: ignore[no-untyped-def]
    """Sum of ``exp(-q / 2)`` over the squared distances of ``x`` (m, n) to all of ``others`` (k, m), single.

    By ``(1 - q / 512) ** 256``, which many at once are raised to; 4 % less at 3 standard deviations.
    """
    m, n = x.shape
    out, q = np.zeros(n, np.float32), np.empty(MANY, np.float32)
    for low in range(0, n, MANY):
        total = out[low : low + MANY]
        for c in range(len(others)):
            q[:] = 0
            for a in range(m):
                at, here = others[c, a], x[a, low : low + MANY]
                for i in range(len(total)):
                    q[i] += (at - here[i]) ** 2
            for i in range(len(total)):
                power = max(np.float32(1) - q[i] * np.float32(1 / 512), np.float32(0))
                for _ in range(8):
                    power *= power
                total[i] += power
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def pair_evidence_of(feature, gain, noise, first, second, W, k):  # type: ignore[no-untyped-def]
    """Log density of the difference in features of pairs of detections of one cell."""
    m = feature.shape[1]
    out = np.empty(len(first))
    A, B, d = np.empty((m, m)), np.empty((m, m)), np.empty(m)
    for p in range(len(first)):
        i, j = first[p], second[p]
        seen(W, k, gain[i], noise[i], A)
        seen(W, k, gain[j], noise[j], B)
        for a in range(m):
            d[a] = feature[j, a] - feature[i, a]
            for c in range(m):
                A[a, c] += B[a, c]
        q, logdet = distance(A, d)
        out[p] = -0.5 * (q + logdet + m * log(2 * pi))
    return out
