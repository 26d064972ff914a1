"""Possible divisions: a mother, a cell that appears, and another that appears or that she would go on as."""

from typing import NamedTuple

import numpy as np
from numba import njit

from rgbtrack.link.movie import Bools, Floats, Ints
from rgbtrack.link.states import colour_evidence, colour_near, place_evidence, speed_alone, transition

FAR = 36.0
"""A daughter whose colour is further than this from her mother's (squared Mahalanobis distance) is none."""


class Candidates(NamedTuple):
    """Possible divisions, one entry each.

    Attributes
    ----------
    mother, one, two
        Detections; ``one`` appears, ``two`` does or is what the mother would go on as.
    pair
        Whether both appear.
    missed
        Frames in which a daughter was missed, both together.
    late
        Frames that the daughters have walked since.
    middle
        Squared distances of their midpoint from where the mother was, and from where she headed for, (n, 2).
    apart
        Squared distance of the two.
    on
        Log density of ``two`` as the mother gone on, 0 for pairs.
    """

    mother: Ints
    one: Ints
    two: Ints
    pair: Bools
    missed: Floats
    late: Floats
    middle: Floats
    apart: Floats
    on: Floats

    def of(self, chosen: Bools | Ints) -> "Candidates":
        """Some of them."""
        return Candidates._make(each[chosen] for each in self)


@njit(cache=True, nogil=True, error_model="numpy")
def _geometry(i, j, k, tj, tk, place, past, motion):  # type: ignore[no-untyped-def]
    """Squared distances of the midpoint of ``j`` and ``k`` from ``i``, from ``i`` foretold, and theirs."""
    mean, speed = past[0], past[1]
    b = transition(motion, 0.5 * (tj + tk))[0]
    still, moving, apart = 0.0, 0.0, 0.0
    for a in range(place.shape[1]):
        gap = 0.5 * (place[j, a] + place[k, a]) - mean[i, a]
        still += gap * gap
        moving += (gap - b * speed[i, a]) ** 2
        apart += (place[j, a] - place[k, a]) ** 2
    return still, moving, apart


@njit(cache=True, nogil=True, error_model="numpy")
def find_candidates(  # type: ignore[no-untyped-def]
    begin, mother, head, frame, time, after, place, past, future, ahead, gain, motion, drift, tails, shifts,
    spread, middle_reach, apart_reach,
):  # fmt: skip
    """Possible divisions as the fields of `Candidates`.

    ``mother`` and ``head`` are pairs of a detection and a later one that follows none, in order of mothers,
    of which each has those from ``begin`` on. Colours may change by any of ``shifts`` (k, m) and by
    ``spread``.
    """
    m = shifts.shape[1]
    none, C, d = np.zeros(m), np.empty((m, m)), np.empty(m)
    good = np.zeros(len(head), np.bool_)
    for o in range(len(head)):
        i, j = mother[o], head[o]
        for s in range(len(shifts)):
            good[o] |= colour_near(i, j, past, future, gain, spread, shifts[s], FAR, C, d)
    ids = [(0, 0, 0, False)]
    numbers = [(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)]
    for g in range(len(begin) - 1):
        i = mother[begin[g]]
        k = after[i]
        on, sister = 0.0, False
        for o in range(begin[g], begin[g + 1]):
            j = head[o]
            if not good[o] or j == k:
                continue
            tj = time[frame[j]] - time[frame[i]]
            missed = frame[j] - frame[i] - 1
            if k >= 0:
                tk = time[frame[k]] - time[frame[i]]
                still, moving, apart = _geometry(i, j, k, tj, tk, place, past, motion)
                if apart > apart_reach**2 or min(still, moving) > middle_reach**2:
                    continue
                if not sister:
                    alone = speed_alone(k, future, ahead, motion, tails[0])
                    on = place_evidence(i, k, transition(motion, tk), past, future, ahead, tails[0], alone)
                    on += colour_evidence(i, k, past, future, gain, tk * drift, none, tails[1], np.inf, C, d)
                    sister = True
                ids.append((i, j, k, False))
                numbers.append((1.0 * missed, tj + tk - 2, still, moving, apart, on))
                continue
            for p in range(o + 1, begin[g + 1]):
                k2 = head[p]
                if not good[p]:
                    continue
                tk = time[frame[k2]] - time[frame[i]]
                still, moving, apart = _geometry(i, j, k2, tj, tk, place, past, motion)
                if apart > apart_reach**2 or min(still, moving) > middle_reach**2:
                    continue
                ids.append((i, j, k2, True))
                numbers.append(
                    (1.0 * (missed + frame[k2] - frame[i] - 1), tj + tk - 2, still, moving, apart, 0.0)
                )
    return ids[1:], numbers[1:]


def candidates_of(ids: list, numbers: list) -> Candidates:
    """Candidates as arrays."""
    who = np.array(ids, dtype=np.int64).reshape(-1, 4)
    x = np.array(numbers).reshape(-1, 6)
    return Candidates(
        who[:, 0], who[:, 1], who[:, 2], who[:, 3].astype(bool), x[:, 0], np.maximum(x[:, 1], 0.0),
        x[:, 2:4], x[:, 4], x[:, 5],
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def candidate_colours(mother, one, two, past, future, gain, spread, shift, tail):  # type: ignore[no-untyped-def]
    """Log density of the features of both daughters of each candidate."""
    m = len(shift)
    out, C, d = np.empty(len(mother)), np.empty((m, m)), np.empty(m)
    for c in range(len(mother)):
        out[c] = colour_evidence(mother[c], one[c], past, future, gain, spread, shift, tail, np.inf, C, d)
        out[c] += colour_evidence(mother[c], two[c], past, future, gain, spread, shift, tail, np.inf, C, d)
    return out


def choose_divisions(found: Candidates, odds: Floats, n: int) -> Ints:
    """Choose among candidates, best first: each cell is mother once and daughter once."""
    chosen = []
    is_mother, is_daughter = np.zeros(n, bool), np.zeros(n, bool)
    possible = np.flatnonzero(odds > 0)
    order = np.lexsort((found.two[possible], found.one[possible], found.mother[possible], -odds[possible]))
    for c in possible[order].tolist():
        mother, one, two = found.mother[c], found.one[c], found.two[c]
        if not (is_mother[mother] or is_daughter[one] or is_daughter[two]):
            chosen.append(c)
            is_mother[mother] = is_daughter[one] = is_daughter[two] = True
    return np.array(chosen, dtype=np.int64)
