"""Evidence of time: a track is one cell, and a daughter has her mother's clone.

Labels along a track form a chain, which branches where cells divide: a cell has its predecessor's clone with
probability ``q`` (the link is right), else any clone by its share. Forward and backward messages are exact.
The frames of a track show the same cell with the same deviation from its clone's colour, over and over, so
their evidence is averaged, not added up: each track counts as one measurement. A link that joins colours of
different clones, as when a track jumps to another cell, is cut.
"""

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rgbtrack.clones.ray import Floats, Ints
from rgbtrack.errors import DataError

_FLOOR = 1e-9
_SUREST = 0.995


def read_numbers(table: pd.DataFrame, name: str) -> Floats:
    """Return a column as numbers, missing ones as NaN.

    Raises
    ------
    DataError
        If it holds anything else.
    """
    found = table[name]
    numbers = pd.to_numeric(found, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    other = np.isnan(numbers) & found.notna().to_numpy()
    if other.any():
        raise DataError(
            f"column {name} should hold numbers, found {found[other].iloc[0]!r}: give numbers, leave the "
            "column out, or set spatial to false"
        )
    return numbers


def find_predecessors(table: pd.DataFrame) -> tuple[Ints, NDArray[np.bool_]]:
    """Find the row that each row comes from.

    Parameters
    ----------
    table
        Cells with ``image_id, frame, track``, and ``parent`` (the mother's track) where there are divisions.

    Returns
    -------
    previous
        The same track in the frame before (the last one that it was seen in), else the mother's last row
        before this one; -1 for none. Shape (n,).
    born
        Whether the predecessor is the mother, shape (n,).

    Raises
    ------
    DataError
        If frame, track or parent are no numbers.
    """
    n = len(table)
    previous, born = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=bool)
    rows = pd.DataFrame(
        {
            "image": table["image_id"].astype("string").fillna("").to_numpy(),
            "frame": read_numbers(table, "frame"),
            "track": read_numbers(table, "track"),
            "row": np.arange(n),
        }
    )
    rows = rows[rows["track"].notna() & rows["frame"].notna()].sort_values(
        ["image", "track", "frame"], kind="stable"
    )
    tracks = rows.groupby(["image", "track"], sort=False)
    before = tracks["row"].shift()
    previous[rows["row"]] = before.fillna(-1).astype(np.int64)
    if "parent" in table.columns:
        first = rows[before.isna()]
        mother = read_numbers(table, "parent")[first["row"]]
        first = first.assign(mother=mother)
        first = first[first["mother"].notna() & (first["mother"] != first["track"])]
        found = pd.merge_asof(
            first.sort_values("frame", kind="stable"),
            rows.sort_values("frame", kind="stable").rename(columns={"track": "mother", "row": "from"}),
            on="frame",
            by=["image", "mother"],
            allow_exact_matches=False,
        ).dropna(subset=["from"])
        previous[found["row"].to_numpy()] = found["from"].astype(np.int64)
        born[found["row"].to_numpy()] = True
    return previous, born


def judge_links(
    probability: Floats, share: Floats, previous: Ints, certainty: float | None = None
) -> tuple[float, Floats]:
    """Learn how probable it is that a link joins cells of one clone, beyond chance.

    The certainty maximises ``sum log(1 - q + q r)`` over links, ``r = sum_c p_i(c) p_j(c) / share_c``.

    Parameters
    ----------
    probability
        From colour alone, of each class, shape (n, classes).
    share
        Of each class, shape (classes,).
    previous
        From `find_predecessors`.
    certainty
        What was learnt before; None to learn it from these links.

    Returns
    -------
    certainty
        Of a link before one looks at the colours that it joins; 0 where links mean nothing.
    right
        That the link to each row's predecessor is right, given both colours; 0 where it has none. Shape (n,).
    """
    right = np.zeros(len(previous))
    later = np.flatnonzero(previous >= 0)
    if not len(later):
        return 0.0, right
    ratio = np.zeros(len(later))
    _agreement(probability, share, later, previous, ratio)
    q = 0.5 if certainty is None else certainty
    for _ in range(200 if certainty is None else 0):
        q = float((q * ratio / (1 - q + q * ratio)).mean())
    q = min(q, _SUREST) if q > 1e-3 else 0.0
    right[later] = q * ratio / (1 - q + q * ratio)
    return q, right


def hear_links(
    probability: Floats,
    share: Floats,
    previous: Ints,
    born: NDArray[np.bool_],
    frame: Floats,
    certainty: float,
) -> Floats:
    """Return the probabilities of all cells, given those they are linked with.

    Parameters
    ----------
    probability, share
        See `judge_links`.
    previous, born
        See `find_predecessors`.
    frame
        Of each row; predecessors are in earlier ones.
    certainty
        From `judge_links`.
    """
    n = len(previous)
    linked = previous >= 0
    same = np.flatnonzero(linked & ~born)
    linked[previous[linked]] = True
    rows = np.flatnonzero(linked)
    if certainty == 0 or not len(rows):
        return probability
    links = coo_array((np.ones(len(same)), (same, previous[same])), shape=(n, n))
    track = connected_components(links, directed=False)[1]
    length = np.bincount(track)[track[rows]]
    rows_in_time = np.argsort(frame[rows], kind="stable")
    rows, length = rows[rows_in_time], length[rows_in_time]
    place = np.full(n, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    origin = np.where(previous[rows] >= 0, place[previous[rows]], -1)
    evidence = (np.maximum(probability[rows], _FLOOR) / share) ** (1 / length)[:, None]
    result = probability.copy()
    result[rows] = _along(evidence, share, origin, certainty)
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def _agreement(probability, share, later, previous, ratio):  # type: ignore[no-untyped-def]
    for a in range(len(later)):
        i, j = later[a], previous[later[a]]
        for c in range(len(share)):
            ratio[a] += probability[i, c] * probability[j, c] / share[c]


@njit(cache=True, nogil=True, error_model="numpy")
def _along(evidence, share, origin, certainty):  # type: ignore[no-untyped-def]
    """Messages from the last rows to the first and back; rows are in order of time."""
    n, k = evidence.shape
    upward = evidence.copy()  # evidence of a row and all that come from it
    message = np.empty((n, k))
    for i in range(n - 1, -1, -1):
        total = (upward[i] * share).sum()
        for c in range(k):
            upward[i, c] /= total
            message[i, c] = 1 - certainty + certainty * upward[i, c]
        if origin[i] >= 0:
            for c in range(k):
                upward[origin[i], c] *= message[i, c]
    result = np.empty((n, k))
    for i in range(n):
        for c in range(k):
            result[i, c] = share[c]
        j = origin[i]
        if j >= 0:
            total = 0.0
            for c in range(k):
                total += result[j, c] / message[i, c]
            for c in range(k):
                result[i, c] = (1 - certainty) * share[c] + certainty * result[j, c] / message[i, c] / total
        total = 0.0
        for c in range(k):
            result[i, c] *= upward[i, c]
            total += result[i, c]
        for c in range(k):
            result[i, c] /= total
    return result
