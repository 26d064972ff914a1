"""All links between what is before a moment and what is after it, at once: candidates, their odds, marginals."""

from math import exp, log

import numpy as np
from numba import njit
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from rgbtrack.link.movie import Floats, Ints
from rgbtrack.link.states import birth_place, colour_evidence, colour_most, place_evidence, take_in


@njit(cache=True, nogil=True, error_model="numpy")
def _add(a, b):  # type: ignore[no-untyped-def]
    high = max(a, b)
    if high == -np.inf:
        return high
    return high + log(exp(a - high) + exp(b - high))


@njit(cache=True, nogil=True, error_model="numpy")
def cut_edges(t, far, forward, start, frame, time, begin, target, before, after, past, future, ahead, gain, zone, alike,
              motion, drift, tails, room, shift, spread, appear, leave, rates):  # type: ignore[no-untyped-def]
    """Candidate links over the cut behind frame ``t``, with their log odds against ending here and beginning there.

    ``forward``: nothing is known of later frames yet. Returns sources, targets, their edges in order of sources,
    and log odds.
    """
    low = start[max(t - far, 0)]
    high = start[t + 2] if forward else start[min(t + 2 + far, len(start) - 1)]
    first = start[t + 1]
    ends = np.empty(first - low, np.int64)
    n_ends = 0
    for i in range(low, first):
        if after[i] < 0 or after[i] >= first:
            ends[n_ends] = i
            n_ends += 1
    ends = ends[:n_ends]
    base = np.full(high - first, -np.inf)
    most = np.empty(high - first)
    none = np.zeros(len(shift))
    open_ = np.zeros(high - first, np.bool_)
    for j in range(first, high):
        if before[j] < first:
            open_[j - first] = True
            base[j - first] = appear[zone[j]] + alike[j]
            most[j - first] = colour_most(j, future, tails[1])
    total = 0
    for i in ends:
        total += begin[i + 1] - begin[i]
    source = np.empty(total, np.int64)
    sink = np.empty(total, np.int64)
    odds = np.empty(total)
    births = np.empty(total)
    n_edges = 0
    for s in range(n_ends):
        i = ends[s]
        for o in range(begin[i], begin[i + 1]):
            j = target[o]
            if j < first or j >= high or not open_[j - first]:
                continue
            missed = frame[j] - frame[i] - 1
            if missed > far:
                continue
            dt = time[frame[j]] - time[frame[i]]
            lost = missed * rates[0]
            least = base[j - first] - 3.0
            place = place_evidence(i, j, dt, past, future, ahead, motion, tails[0]) + lost
            born = -np.inf
            if rates[1] > -100 and missed == 0:
                born = rates[1] + birth_place(i, j, past, future, room, tails[0])
            bound = least + leave[zone[i]] - most[j - first]
            if place < bound and born < bound:
                continue
            if born >= bound - 3:
                born += colour_evidence(i, j, past, future, gain, spread, shift, tails[1])
                base[j - first] = _add(base[j - first], born)
            else:
                born = -np.inf
            weight = -np.inf
            if place >= bound:
                weight = place + colour_evidence(i, j, past, future, gain, dt * drift, none, tails[1])
            births[n_edges] = born
            source[n_edges], sink[n_edges] = s, j - first
            odds[n_edges] = weight
            n_edges += 1
    for e in range(n_edges):
        i = ends[source[e]]
        odds[e] = _add(odds[e], births[e]) - base[sink[e]] - leave[zone[i]]
    keep = odds[:n_edges] > -3.0
    return ends, source[:n_edges][keep], sink[:n_edges][keep], odds[:n_edges][keep], first, high - first


def best_links(n: int, m: int, source: Ints, sink: Ints, odds: Floats) -> tuple[Ints, Ints]:
    """Return the edges, as (source, sink), of the assignment whose log odds add up to the most."""
    good = odds > 0
    source, sink, odds = source[good], sink[good], odds[good]
    if not len(odds):
        return source, sink
    users, row = np.unique(source, return_inverse=True)
    n = len(users)
    most = odds.max() + 1.0
    rows = np.concatenate([row, np.arange(n)])
    columns = np.concatenate([sink, m + np.arange(n)])
    costs = np.concatenate([most - odds, np.full(n, most)])
    graph = csr_array((costs, (rows, columns)), shape=(n, m + n))
    i, j = min_weight_full_bipartite_matching(graph)
    real = j < m
    return users[i[real]], j[real].astype(np.int64)


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
def advance(first, high, before, born, time, frame, place, feature, gain, noise, motion, W, k, drift, memory, mean, speed, V, mu, M,
            fit):  # type: ignore[no-untyped-def]
    """Fill the states of the detections from ``first`` to ``high`` by their tracks so far."""
    for j in range(first, high):
        i = before[j]
        if i >= 0 and born[j]:
            i = -1
        dt = time[frame[j]] - time[frame[i]] if i >= 0 else 1.0
        take_in(j, i, dt, place, feature, gain, noise, motion, W, k, drift, memory, mean, speed, V, mu, M, fit)
