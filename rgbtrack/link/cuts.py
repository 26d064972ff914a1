"""All links between two frames at once: candidates, their odds, the best assignment, marginals."""

from math import exp, log

import numpy as np
from numba import njit

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
def within(place, start, others, opens, reach, most, every):  # type: ignore[no-untyped-def]
    """Which of ``others``, places too, lie within ``reach`` of every so-manieth place, the nearest ``most``.

    Places from ``start[t]`` on are compared to others from ``opens[t]`` on, up to the next, within
    ``reach[t]``; those of one ``t`` are in order of their last coordinate. Returns beginnings
    (places + 1,) and which of the others.
    """
    n, dims = place.shape
    begin = np.zeros(n + 1, np.int64)
    target = np.empty(n, np.int64)
    used = 0
    for t in range(len(reach)):
        low, c = opens[t], opens[t + 1]
        near, who = np.empty(c - low), np.empty(c - low, np.int64)
        for i in range(start[t], start[t + 1]):
            found = 0
            if i % every == 0:
                while low < c and others[low, dims - 1] < place[i, dims - 1] - reach[t]:
                    low += 1
                for j in range(low, c):
                    if others[j, dims - 1] > place[i, dims - 1] + reach[t]:
                        break
                    q = 0.0
                    for axis in range(dims):
                        q += (others[j, axis] - place[i, axis]) ** 2
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
    begin[start[len(reach)] + 1 :] = used
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


@njit(cache=True, nogil=True, error_model="numpy")
def best_links(n, m, source, sink, odds):  # type: ignore[no-untyped-def]
    """Which of the edges, given in order of sources, the assignment of the greatest total log odds holds.

    Sources come in one by one, each by the exchange of links that gains the most: a shortest path in what
    edges cost beyond what they are worth to sources and the price of sinks (Jonker and Volgenant, Computing
    38 (1987) 325).
    """
    begin = np.searchsorted(source, np.arange(n + 1))
    mine, worth = np.full(n, -1), np.zeros(n)  # edges and gains of sources
    holder, price = np.full(m, -1), np.zeros(m)
    far, via, settled = np.full(m, np.inf), np.empty(m, np.int64), np.zeros(m, np.bool_)
    reached = np.empty(m, np.int64)
    for s in range(n):
        for e in range(begin[s], begin[s + 1]):
            worth[s] = max(worth[s], odds[e] - price[sink[e]])
        if worth[s] == 0:
            continue
        i, at, n_settled, n_reached = s, 0.0, 0, 0
        last, end, cost = -1, s, worth[s]  # without a last sink, the source at the end goes unlinked
        while True:
            for e in range(begin[i], begin[i + 1]):
                j = sink[e]
                new = at + worth[i] + price[j] - odds[e]
                if not settled[j] and new < min(far[j], cost):
                    if far[j] == np.inf:
                        reached[n_reached] = j
                        n_reached += 1
                    far[j], via[j] = new, e
            if n_settled == n_reached:
                break
            k = n_settled
            for r in range(n_settled + 1, n_reached):
                if far[reached[r]] < far[reached[k]]:
                    k = r
            reached[n_settled], reached[k] = reached[k], reached[n_settled]
            j = reached[n_settled]
            if far[j] >= cost:
                break
            if holder[j] < 0:
                last, cost = j, far[j]
                break
            settled[j] = True
            n_settled += 1
            i, at = holder[j], far[j]
            if at + worth[i] < cost:
                end, cost = i, at + worth[i]
        worth[s] -= cost
        for j in reached[:n_settled]:
            price[j] += cost - far[j]
            worth[holder[j]] -= cost - far[j]
        if last < 0 and end != s:
            last, mine[end] = sink[mine[end]], -1
        while last >= 0:
            e = via[last]
            i = holder[last] = source[e]
            mine[i], e = e, mine[i]
            last = sink[e] if i != s else -1
        for j in reached[:n_reached]:
            far[j], settled[j] = np.inf, False
    return mine[mine >= 0]


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
