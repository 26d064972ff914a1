"""Divisions: a cell that appears beside another of its colour, both explained by one mother."""

import numpy as np
from numba import njit

from rgbtrack.link.movie import Bools, Floats, Ints
from rgbtrack.link.states import (
    birth_place,
    colour_evidence,
    colour_most,
    pair_evidence,
    place_evidence,
    transition,
)


@njit(cache=True, nogil=True, error_model="numpy")
def _lone(j, after, frame, zone, leave):  # type: ignore[no-untyped-def]
    """Log odds that a cell is seen once and leaves; 0 for others."""
    return leave[zone[j]] if after[j] < 0 and frame[j] < frame[-1] else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _alone(j, after, frame, zone, appear, ghost):  # type: ignore[no-untyped-def]
    """Log rate of what a head is if it is no daughter: a cell that appears, or nothing."""
    return ghost[zone[j]] if after[j] < 0 and frame[j] < frame[-1] else appear[zone[j]]


@njit(cache=True, nogil=True, error_model="numpy")
def division_odds(  # type: ignore[no-untyped-def]
    begin,
    mother,
    head,
    frame,
    time,
    after,
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
    ghost,
):
    """Candidate divisions with their log odds against one cell that goes on, or ends, and others that appear.

    What is seen once and never again may be a detection of nothing: ``ghost`` is the log rate of those, by
    zone. ``mother`` and ``head`` are pairs of a detection and a later one that follows none, in order of
    mothers, of which each has those from ``begin`` on. Returns mothers, daughters ``one`` (who appears) and
    ``two``, log odds.
    """
    mothers, ones, twos, odds = [0], [0], [0], [0.0]
    none = np.zeros(len(shift))
    near = np.empty(len(head))
    for o in range(len(head)):
        i, j = mother[o], head[o]
        near[o] = birth_place(i, j, past, future, room, tails[0]) + (frame[j] - frame[i] - 1) * rates[0]
        near[o] += _lone(j, after, frame, zone, leave)
        least = _alone(j, after, frame, zone, appear, ghost) + alike[j] - rates[1] - 5.0
        if near[o] + colour_most(j, future, tails[1]) < least:
            near[o] = -np.inf
            continue
        near[o] = colour_evidence(i, j, past, future, gain, spread, shift, tails[1])
        near[o] += _lone(j, after, frame, zone, leave)
    for g in range(len(begin) - 1):
        i = mother[begin[g]]
        k = after[i]
        for o in range(begin[g], begin[g + 1]):
            j = head[o]
            if near[o] == -np.inf or j == k:
                continue
            lost = (frame[j] - frame[i] - 1) * rates[0]
            appears = _alone(j, after, frame, zone, appear, ghost) + alike[j]
            if k >= 0:
                dt = time[frame[k]] - time[frame[i]]
                on = place_evidence(i, k, transition(motion, dt), past, future, ahead, motion, tails[0])
                on += colour_evidence(i, k, past, future, gain, dt * drift, none, tails[1])
                both = near[o] + colour_evidence(i, k, past, future, gain, spread, shift, tails[1])
                total = (
                    rates[1] + pair_evidence(i, j, k, past, future, room, tails) + both + lost - on - appears
                )
                if total > 0:
                    mothers.append(i)
                    ones.append(j)
                    twos.append(k)
                    odds.append(total)
                continue
            for p in range(o + 1, begin[g + 1]):
                k2 = head[p]
                if near[p] == -np.inf:
                    continue
                both = near[o] + near[p] + lost + (frame[k2] - frame[i] - 1) * rates[0]
                total = rates[1] + pair_evidence(i, j, k2, past, future, room, tails) + both
                total -= leave[zone[i]] + appears + _alone(k2, after, frame, zone, appear, ghost) + alike[k2]
                if total > 0:
                    mothers.append(i)
                    ones.append(j)
                    twos.append(k2)
                    odds.append(total)
    return np.array(mothers[1:]), np.array(ones[1:]), np.array(twos[1:]), np.array(odds[1:])


def choose_divisions(mother: Ints, one: Ints, two: Ints, odds: Floats, n: int) -> Bools:
    """Choose among candidates, best first: each cell is mother once and daughter once."""
    chosen = np.zeros(len(odds), dtype=bool)
    is_mother, is_daughter = np.zeros(n, bool), np.zeros(n, bool)
    for c in np.lexsort((two, one, mother, -odds)):
        if not (is_mother[mother[c]] or is_daughter[one[c]] or is_daughter[two[c]]):
            chosen[c] = is_mother[mother[c]] = is_daughter[one[c]] = is_daughter[two[c]] = True
    return chosen
