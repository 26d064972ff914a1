"""Evidence of place: cells that lie side by side often share a founder.

A cell's clone is drawn from the clones of its neighbours as from an urn: one ball of each clone's share, and
``strength`` balls for each neighbour,

    p(c | neighbours) = (1 - q) share_c + q s_c,    q = strength n / (1 + strength n), at most 0.95

with ``s`` the mean of the neighbours' probabilities of each clone and ``n`` how many marked neighbours there
are. The cell's own colour decides from there. A neighbour's probability is sharpened by its own neighbours in
turn, but for those that it shares with the cell that asks, so that no cell hears its own echo.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.optimize import minimize_scalar
from scipy.spatial import cKDTree

from rgbtrack.clones.ray import Floats, Ints

ADJACENT = 1.5
"""Cells up to so many spacings away are neighbours."""
WITNESS = 2.25
"""Cells between that and so many spacings away bear witness that clones keep together."""
MOST = 0.95
"""Weight of the neighbours at most: one cell in twenty may always be a migrant."""
CLEAR = 3.0
"""Standard deviations of chance that likeness must exceed."""
ROUNDS = 4
_SHUFFLES = 40
_MOST_CELLS = 10_000  # that the strength is learnt from
_FEWEST_CELLS = 30


@dataclass(frozen=True)
class Field:
    """Cells of one image and frame: their rows, and places in um, shape (n, 3)."""

    rows: Ints
    places: Floats


@dataclass(frozen=True)
class Patchiness:
    """How far clones keep together.

    Attributes
    ----------
    strength
        What one neighbour weighs against the clones' shares; 0 where there is no evidence of patches.
    reach_um
        How far away a neighbour lies at most.
    likeness
        How often neighbours share a clone, by colour alone, as a multiple of chance.
    evidence
        Likeness of cells that do not touch, in standard deviations of chance.
    """

    strength: float
    reach_um: float
    likeness: float
    evidence: float


NO_PATCHES = Patchiness(0.0, 0.0, 1.0, 0.0)


def find_patchiness(probability: Floats, share: Floats, fields: list[Field]) -> Patchiness:
    """Learn how much the neighbours of a cell tell of its clone.

    Parameters
    ----------
    probability
        From colour alone: of each clone, then of unmarked and of junk, shape (n, k + 2).
    share
        Of each clone among the marked cells, shape (k,).
    fields
        Fields of view that do not show the same cells.

    Returns
    -------
    patchiness
        Of strength 0 unless cells that lie near each other but do not touch are alike, by more than three
        standard deviations of what shuffling the cells of each field gives: light of touching cells spills
        over, and makes them alike without any patches.

    Notes
    -----
    The strength maximises the likelihood of each cell's colour as its neighbours' colours foretell it,
    ``sum_i log sum_c l_i(c) p(c | neighbours)``: a proper score that no cell's own colour enters twice.
    """
    n = sum(len(field.rows) for field in fields)
    if n < _FEWEST_CELLS or len(share) < 2:
        return NO_PATCHES
    spacing = _spacing(fields)
    step = -(-n // _MOST_CELLS)
    near, far = [], []
    seen = 0
    for field in fields:
        chosen = np.arange(-seen % step, len(field.rows), step)
        seen += len(field.rows)
        adjacent, beyond = _pairs(field.places, chosen, spacing)
        near.append(field.rows[adjacent])
        far.append(field.rows[beyond])
    adjacent, beyond = (np.ascontiguousarray(np.concatenate(pairs).T) for pairs in (near, far))
    if not spacing or not adjacent.shape[1] or not beyond.shape[1]:
        return NO_PATCHES
    clones = probability[:, : len(share)]
    rare = (np.ones(len(share)), share**-0.5)  # from afar, that two cells share a rare clone tells more
    rng = np.random.default_rng(0)
    order = np.arange(len(clones))
    alike = np.empty((2, 1 + _SHUFFLES))
    for turn in range(1 + _SHUFFLES):
        for field in fields if turn else ():
            order[field.rows] = rng.permutation(field.rows)
        alike[:, turn] = [
            _alike(clones, weight, *pairs, order)
            for weight, pairs in zip(rare, (adjacent, beyond), strict=True)
        ]
    chance, sd = alike[:, 1:].mean(axis=1), alike[:, 1:].std(axis=1, ddof=1)
    evidence = (alike[:, 0] - chance) / np.maximum(sd, 1e-12)
    patchiness = Patchiness(
        0.0, ADJACENT * spacing, float(alike[0, 0] / max(chance[0], 1e-12)), float(evidence[1])
    )
    if evidence.min() < CLEAR:
        return patchiness
    foretold, number = np.zeros(len(clones)), np.zeros(len(clones))
    _foretell(clones, share, *adjacent, foretold, number)
    cells = np.unique(adjacent[0])
    strength = _likeliest(clones[cells].sum(axis=1), foretold[cells], number[cells])
    return Patchiness(strength, patchiness.reach_um, patchiness.likeness, patchiness.evidence)


def hear_neighbours(probability: Floats, share: Floats, places: Floats, patchiness: Patchiness) -> Floats:
    """Return the probabilities of the cells of one field, sharpened by their neighbours.

    Parameters
    ----------
    probability, share
        See `find_patchiness`.
    places
        In um, shape (n, 3).
    patchiness
        From `find_patchiness`.
    """
    if patchiness.strength == 0 or len(places) < 2:
        return probability
    pairs = cKDTree(places).query_pairs(patchiness.reach_um, output_type="ndarray")
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    start = np.searchsorted(both[:, 0], np.arange(len(places) + 1))
    own = np.ascontiguousarray(probability, np.float32)
    heard = own
    for turn in range(ROUNDS):
        told = np.empty_like(own)
        _listen(own, heard, share.astype(np.float32), start, both[:, 1], patchiness.strength, turn > 0, told)
        heard = told
    return heard.astype(probability.dtype)


def _spacing(fields: list[Field]) -> float:
    """Typical distance of cells that lie side by side: the median to the third nearest."""
    third = [
        cKDTree(field.places).query(field.places, k=[4])[0][:, 0] for field in fields if len(field.rows) > 3
    ]
    return float(np.median(np.concatenate(third))) if third else 0.0


def _pairs(places: Floats, chosen: Ints, spacing: float) -> tuple[Ints, Ints]:
    """Pairs of a chosen cell and its neighbours, and of it and those that bear witness, shape (n, 2)."""
    around = cKDTree(places).query_ball_point(places[chosen], WITNESS * spacing, return_sorted=True)
    first = np.repeat(chosen, [len(found) for found in around])
    second = np.concatenate([np.asarray(found, dtype=np.int64) for found in around] or [chosen[:0]])
    pairs = np.column_stack([first, second])[first != second]
    adjacent = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1) <= ADJACENT * spacing
    return pairs[adjacent], pairs[~adjacent]


def _likeliest(marked: Floats, foretold: Floats, number: Floats) -> float:
    """Return the strength under which the neighbours best foretell the colours.

    A cell's likelihood, in units of that without neighbours, is ``1 + q (foretold / number - marked)``.
    """
    gain = foretold / np.maximum(number, 1e-9) - marked

    def loss(log_strength: float) -> float:
        weight = np.exp(log_strength) * number
        return float(-np.log1p(np.minimum(weight / (1 + weight), MOST) * gain).sum())

    found = minimize_scalar(loss, bounds=(np.log(1e-3), np.log(30.0)), method="bounded")
    return float(np.exp(found.x)) if found.fun < 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _alike(clones, weight, first, second, order):  # type: ignore[no-untyped-def]
    """Mean probability that two cells share a clone, by its weight, over pairs of rows in some order."""
    total = 0.0
    for a in range(len(first)):
        i, j = order[first[a]], order[second[a]]
        for c in range(clones.shape[1]):
            total += clones[i, c] * clones[j, c] * weight[c]
    return total / len(first)


@njit(cache=True, nogil=True, error_model="numpy")
def _foretell(clones, share, first, second, foretold, number):  # type: ignore[no-untyped-def]
    """Add up, for each cell, its likelihood by each neighbour's clone, and the number of neighbours."""
    for a in range(len(first)):
        i, j = first[a], second[a]
        for c in range(clones.shape[1]):
            foretold[i] += clones[i, c] * clones[j, c] / share[c]
            number[i] += clones[j, c]


@njit(cache=True, nogil=True, error_model="numpy")
def _sharpen(own, votes, share, strength, i, told):  # type: ignore[no-untyped-def]
    """Fill ``told`` (k,) with the probabilities of cell i's clones, given the sum of its neighbours'."""
    k = len(share)
    number = np.float32(1e-9)
    for c in range(k):
        number += votes[c]
    weight = min(strength * number / (1 + strength * number), MOST)
    total = own[i, k] + own[i, k + 1]
    for c in range(k):
        told[c] = own[i, c] * (1 - weight + weight * votes[c] / (number * share[c]))
        total += told[c]
    for c in range(k):
        told[c] /= total
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _listen(own, heard, share, start, other, strength, sharpened, told):  # type: ignore[no-untyped-def]
    """Fill ``told`` with what each cell is, given its colour and what its neighbours ``heard`` last.

    Where ``sharpened``, each neighbour answers from its colour and from those of its own neighbours that are
    no neighbours of the cell that asks.
    """
    n, k = own.shape[0], own.shape[1] - 2
    asking = np.full(n, -1)
    votes, answer, beyond = np.empty(k, np.float32), np.empty(k, np.float32), np.empty(k, np.float32)
    for i in range(n):
        votes[:] = 0
        asking[i] = i
        for a in range(start[i], start[i + 1]):
            asking[other[a]] = i
        for a in range(start[i], start[i + 1]):
            j = other[a]
            if not sharpened:
                for c in range(k):
                    votes[c] += heard[j, c]
                continue
            beyond[:] = 0
            for b in range(start[j], start[j + 1]):
                if asking[other[b]] != i:
                    for c in range(k):
                        beyond[c] += heard[other[b], c]
            _sharpen(own, beyond, share, strength, j, answer)
            for c in range(k):
                votes[c] += answer[c]
        total = _sharpen(own, votes, share, strength, i, told[i])
        told[i, k] = own[i, k] / total
        told[i, k + 1] = own[i, k + 1] / total
