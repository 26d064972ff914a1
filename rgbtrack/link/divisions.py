"""Divisions: a cell that appears beside another of its colour, both explained by one mother."""

import numpy as np
from numba import njit

from rgbtrack.link.movie import Bools, Floats, Ints
from rgbtrack.link.states import birth_evidence, link_evidence, pair_evidence


@njit(cache=True, nogil=True, error_model="numpy")
def division_odds(heads, far, frame, time, begin, target, before, after, past, future, ahead, gain, border, alike, motion,
                  drift, tails, room, shift, spread, rates):  # type: ignore[no-untyped-def]
    """Candidate divisions with their log odds against one cell that goes on, or ends, and others that appear.

    ``heads``: which detections have no predecessor. ``begin`` and ``target`` list, for each detection, candidates of
    later frames. Returns mothers, daughters ``one`` (who appears) and ``two``, log odds.
    """
    n = len(frame)
    mothers, ones, twos, odds = [0], [0], [0], [0.0]
    for i in range(n):
        k = after[i]
        if k >= 0 and frame[k] - frame[i] - 1 > far:
            continue
        for o in range(begin[i], begin[i + 1]):
            j = target[o]
            if not heads[j] or j == k:
                continue
            where_j, what_j = birth_evidence(i, j, past, future, gain, room, shift, spread, tails)
            appears = rates[2 if border[j] else 0] + alike[j]
            late = frame[j] - frame[i] - 1
            if late > far:
                continue
            if rates[5] + where_j + what_j + late * rates[4] < appears - 5.0:
                continue
            if k >= 0:
                late_k = frame[k] - frame[i] - 1
                on = link_evidence(i, k, time[frame[k]] - time[frame[i]], past, future, ahead, gain, motion, drift, tails)
                on += late_k * rates[4]
                what_k = birth_evidence(i, k, past, future, gain, room, shift, spread, tails)[1]
                pair = pair_evidence(i, j, k, past, future, room, tails) + what_j + what_k + (late + late_k) * rates[4]
                total = rates[5] + pair - on - appears
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
                what_k = birth_evidence(i, k2, past, future, gain, room, shift, spread, tails)[1]
                pair = pair_evidence(i, j, k2, past, future, room, tails) + what_j + what_k + (late + late_k) * rates[4]
                leaves = rates[3 if border[i] else 1]
                total = rates[5] + pair - leaves - appears - rates[2 if border[k2] else 0] - alike[k2]
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
