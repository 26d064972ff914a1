"""Divisions: a cell that appears beside another of its colour, both explained by one mother."""

import numpy as np
from numba import njit

from rgbtrack.link.movie import Bools, Floats, Ints
from rgbtrack.link.states import birth_place, colour_evidence, colour_most, pair_evidence, place_evidence


@njit(cache=True, nogil=True, error_model="numpy")
def division_odds(heads, far, frame, time, begin, target, before, after, past, future, ahead, gain, zone, alike, motion,
                  drift, tails, room, shift, spread, appear, leave, rates):  # type: ignore[no-untyped-def]
    """Candidate divisions with their log odds against one cell that goes on, or ends, and others that appear.

    ``heads``: which detections have no predecessor. ``begin`` and ``target`` list, for each detection, candidates of
    later frames. Returns mothers, daughters ``one`` (who appears) and ``two``, log odds.
    """
    n, none = len(frame), np.zeros(len(shift))
    mothers, ones, twos, odds = [0], [0], [0], [0.0]
    for i in range(n):
        k = after[i]
        if k >= 0 and frame[k] - frame[i] - 1 > far:
            continue
        for o in range(begin[i], begin[i + 1]):
            j = target[o]
            if not heads[j] or j == k:
                continue
            late = frame[j] - frame[i] - 1
            if late > far:
                continue
            appears = appear[zone[j]] + alike[j]
            near = rates[1] + birth_place(i, j, past, future, room, tails[0]) + late * rates[0]
            if near + colour_most(j, future, tails[1]) < appears - 5.0:
                continue
            what_j = colour_evidence(i, j, past, future, gain, spread, shift, tails[1])
            if near + what_j < appears - 5.0:
                continue
            if k >= 0:
                late_k = frame[k] - frame[i] - 1
                dt = time[frame[k]] - time[frame[i]]
                on = place_evidence(i, k, dt, past, future, ahead, motion, tails[0]) + late_k * rates[0]
                on += colour_evidence(i, k, past, future, gain, dt * drift, none, tails[1])
                what_k = colour_evidence(i, k, past, future, gain, spread, shift, tails[1])
                pair = pair_evidence(i, j, k, past, future, room, tails) + what_j + what_k + (late + late_k) * rates[0]
                total = rates[1] + pair - on - appears
                if total > 0:
                    mothers.append(i)
                    ones.append(j)
                    twos.append(k)
                    odds.append(total)
                continue
            for p in range(o + 1, begin[i + 1]):
                k2 = target[p]
                if not heads[k2]:
                    continue
                late_k = frame[k2] - frame[i] - 1
                if late_k > far:
                    continue
                what_k = colour_evidence(i, k2, past, future, gain, spread, shift, tails[1])
                pair = pair_evidence(i, j, k2, past, future, room, tails) + what_j + what_k + (late + late_k) * rates[0]
                leaves = leave[zone[i]]
                total = rates[1] + pair - leaves - appears - appear[zone[k2]] - alike[k2]
                if total > 0:
                    mothers.append(i)
                    ones.append(j)
                    twos.append(k2)
                    odds.append(total)
    return np.array(mothers[1:]), np.array(ones[1:]), np.array(twos[1:]), np.array(odds[1:])


def choose_divisions(mother: Ints, one: Ints, two: Ints, odds: Floats, n: int) -> Bools:
    """Choose among candidates, best first, so that each cell takes part in one as mother and in one as daughter."""
    chosen = np.zeros(len(odds), dtype=bool)
    is_mother, is_daughter = np.zeros(n, bool), np.zeros(n, bool)
    for c in np.lexsort((two, one, mother, -odds)):
        if not (is_mother[mother[c]] or is_daughter[one[c]] or is_daughter[two[c]]):
            chosen[c] = is_mother[mother[c]] = is_daughter[one[c]] = is_daughter[two[c]] = True
    return chosen
