"""All links between two frames at once: candidates, their odds, the best assignment, marginals."""

from math import exp, log

import numpy as np
from numba import njit
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from rgbtrack.link.movie import Floats, Ints
from rgbtrack.link.states import (
    birth_place,
    colour_evidence,
    colour_most,
    limit_of,
    place_evidence,
    speed_alone,
    take_in,
    transition,
)

UNLIKELY = 3.0
"""Links whose log odds are further below 0 than this are left out."""


@njit(cache=True, nogil=True, error_model="numpy")
def next_within(place, start, reach, most):  # type: ignore[no-untyped-def]
    """Detections of the next frame within ``reach`` (frames - 1,) of each, the nearest ``most``.

    Those of a frame are in order of their last coordinate. Returns beginnings (n + 1,) and targets.
    """
    n, dims = place.shape
    begin = np.zeros(n + 1, np.int64)
    target = np.empty(n * 8, np.int64)
    used = 0
    for t in range(len(start) - 2):
        a, b, c = start[t], start[t + 1], start[t + 2]
        near, who = np.empty(c - b), np.empty(c - b, np.int64)
        low = b
        for i in range(a, b):
            while low < c and place[low, dims - 1] < place[i, dims - 1] - reach[t]:
                low += 1
            found = 0
            for j in range(low, c):
                if place[j, dims - 1] > place[i, dims - 1] + reach[t]:
                    break
                q = 0.0
                for axis in range(dims):
                    q += (place[j, axis] - place[i, axis]) ** 2
                if q <= reach[t] ** 2:
                    near[found], who[found] = q, j
                    found += 1
            if found > most:
                who[:most] = who[:found][np.argsort(near[:found])[:most]]
                found = most
            if used + found > len(target):
                target = np.concatenate((target, np.empty(len(target) + found, np.int64)))
            target[used : used + found] = who[:found]
            used += found
            begin[i + 1] = used
    begin[start[-2] + 1 :] = used
    return begin, target[:used]


@njit(cache=True, nogil=True, error_model="numpy")
def _add(a, b):  # type: ignore[no-untyped-def]
    high = max(a, b)
    if high == -np.inf:
        return high
    return high + log(exp(a - high) + exp(b - high))


@njit(cache=True, nogil=True, error_model="numpy")
def cut_edges(  # type: ignore[no-untyped-def]
    low,
    first,
    high,
    dt,
    begin,
    target,
    past,
    future,
    ahead,
    gain,
    zone,
    alike,
    motion,
    drift,
    tails,
    room,
    shift,
    spread,
    appear,
    leave,
    rates,
):
    """Candidate links from the detections ``low`` to ``first`` of a frame to the next, up to ``high``.

    Returns sources and sinks, counted within their frames, in order of sources, and the log odds of each link
    against a cell that ends and one that appears or is born.
    """
    base, most, alone = np.empty(high - first), np.empty(high - first), np.empty(high - first)
    m = len(shift)
    none, change, C, d = np.zeros(m), dt * drift, np.empty((m, m)), np.empty(m)
    moves = transition(motion, dt)
    for j in range(first, high):
        base[j - first] = appear[zone[j]] + alike[j]
        most[j - first] = colour_most(j, future, tails[1])
        alone[j - first] = speed_alone(j, future, ahead, motion, tails[0])
    total = begin[first] - begin[low]
    source, sink = np.empty(total, np.int64), np.empty(total, np.int64)
    odds = np.empty(total)
    n_edges = 0
    for i in range(low, first):
        for o in range(begin[i], begin[i + 1]):
            j = target[o]
            bound = base[j - first] + leave[zone[i]] - most[j - first] - UNLIKELY
            place = place_evidence(i, j, moves, past, future, ahead, tails[0], alone[j - first])
            born = rates[1] + birth_place(i, j, moves, past, future, room, tails[0])
            if place < bound and born < bound:
                continue
            weight = -np.inf
            if place >= bound:
                limit = limit_of(place - bound, m, tails[1])
                weight = place + colour_evidence(
                    i, j, past, future, gain, change, none, tails[1], limit, C, d
                )
            if born >= bound:
                limit = limit_of(born - bound, m, tails[1])
                born += colour_evidence(i, j, past, future, gain, spread, shift, tails[1], limit, C, d)
                base[j - first] = _add(base[j - first], born)
                weight = _add(weight, born)
            if weight > -np.inf:
                source[n_edges], sink[n_edges], odds[n_edges] = i - low, j - first, weight - leave[zone[i]]
                n_edges += 1
    for e in range(n_edges):
        odds[e] -= base[sink[e]]
    keep = odds[:n_edges] > -UNLIKELY
    return source[:n_edges][keep], sink[:n_edges][keep], odds[:n_edges][keep]


@njit(cache=True, nogil=True, error_model="numpy")
def gap_odds(  # type: ignore[no-untyped-def]
    source,
    sink,
    frame,
    time,
    past,
    future,
    ahead,
    gain,
    zone,
    alike,
    motion,
    drift,
    tails,
    appear,
    leave,
    rates,
):
    """Log odds that tracks that end and tracks that begin some frames later are one, for pairs."""
    out = np.empty(len(source))
    m = len(drift)
    none, C, d = np.zeros(m), np.empty((m, m)), np.empty(m)
    for e in range(len(source)):
        i, j = source[e], sink[e]
        dt = time[frame[j]] - time[frame[i]]
        missed = frame[j] - frame[i] - 1
        alone = speed_alone(j, future, ahead, motion, tails[0])
        out[e] = place_evidence(i, j, transition(motion, dt), past, future, ahead, tails[0], alone)
        out[e] += colour_evidence(i, j, past, future, gain, dt * drift, none, tails[1], np.inf, C, d)
        out[e] += missed * rates[0]
        out[e] -= appear[zone[j]] + alike[j] + leave[zone[i]]
    return out


def best_links(n: int, m: int, source: Ints, sink: Ints, odds: Floats) -> tuple[Ints, Ints]:
    """Return the edges, as (source, sink), of the assignment whose log odds add up to the most."""
    good = odds > 0
    source, sink, odds = source[good], sink[good], odds[good]
    sure, open_ = sure_links(n, m, source, sink, odds)
    one, other = source[sure], sink[sure]
    source, sink, odds = source[open_], sink[open_], odds[open_]
    if not len(odds):
        return one, other
    users, row = _renumbered(source, n)
    wanted, column = _renumbered(sink, m)
    n, m = len(users), len(wanted)
    most = odds.max() + 1.0
    # each source may also end, at a column of its own
    at = np.searchsorted(row, np.arange(n), side="right")
    costs = np.insert(most - odds, at, most)
    columns = np.insert(column, at, m + np.arange(n)).astype(np.int32)
    begin = np.append(0, at + np.arange(1, n + 1)).astype(np.int32)
    i, j = min_weight_full_bipartite_matching(csr_array((costs, columns, begin), shape=(n, m + n)))
    real = j < m
    return np.concatenate([one, users[i[real]]]), np.concatenate([other, wanted[j[real]]])


@njit(cache=True, nogil=True, error_model="numpy")
def sure_links(n, m, source, sink, odds):  # type: ignore[no-untyped-def]
    """Edges that are in the best assignment, and those that remain open, as two masks.

    An edge is sure if it is worth as much as the best other edges of its two ends together: whatever an
    assignment without it holds there can be exchanged for it at no loss.
    """
    sure, open_ = np.zeros(len(odds), np.bool_), np.ones(len(odds), np.bool_)
    found = True
    while found:
        found = False
        out, into = np.zeros((n, 2)), np.zeros((m, 2))  # the best and the next
        for e in np.flatnonzero(open_):
            for ends, end in ((out, source[e]), (into, sink[e])):
                if odds[e] > ends[end, 0]:
                    ends[end, 1], ends[end, 0] = ends[end, 0], odds[e]
                else:
                    ends[end, 1] = max(ends[end, 1], odds[e])
        used, taken = np.zeros(n, np.bool_), np.zeros(m, np.bool_)
        for e in np.flatnonzero(open_):
            i, j = source[e], sink[e]
            best = odds[e] == out[i, 0] and odds[e] == into[j, 0]
            if best and not used[i] and not taken[j] and odds[e] >= out[i, 1] + into[j, 1]:
                sure[e] = used[i] = taken[j] = found = True
        open_ &= ~(used[source] | taken[sink])
    return sure, open_


def _renumbered(which: Ints, n: int) -> tuple[Ints, Ints]:
    """Those of ``n`` that are used, and the place of each use among them."""
    used = np.bincount(which, minlength=n) > 0
    return np.flatnonzero(used), (np.cumsum(used) - 1)[which]


@njit(cache=True, nogil=True, error_model="numpy")
def marginals(n, m, source, sink, odds, rounds):  # type: ignore[no-untyped-def]
    """Probability of each edge over all assignments, by belief propagation (Williams and Lau 2014)."""
    k = len(odds)
    w = np.exp(np.minimum(odds, 300.0))
    up, down = w.copy(), np.ones(k)
    for _ in range(rounds):
        into = np.zeros(m)
        for e in range(k):
            into[sink[e]] += up[e]
        for e in range(k):
            down[e] = 1 / (1 + max(into[sink[e]] - up[e], 0.0))
        out = np.zeros(n)
        for e in range(k):
            out[source[e]] += w[e] * down[e]
        for e in range(k):
            up[e] = w[e] / (1 + max(out[source[e]] - w[e] * down[e], 0.0))
    return up * down / (1 + up * down)


@njit(cache=True, nogil=True, error_model="numpy")
def advance(  # type: ignore[no-untyped-def]
    first,
    high,
    before,
    born,
    time,
    frame,
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
):
    """Fill the states of the detections from ``first`` to ``high`` by their tracks so far."""
    m = feature.shape[1]
    work = np.empty((4, m, m))
    for j in range(first, high):
        i = before[j]
        if i >= 0 and born[j]:
            i = -1
        dt = time[frame[j]] - time[frame[i]] if i >= 0 else 1.0
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
