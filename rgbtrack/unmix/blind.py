"""Bleed-through from the cells of the experiment itself, without controls."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.tables import CELLS, errors_of, markers_of
from rgbtrack.unmix.controls import CLEAR, usable_cells
from rgbtrack.unmix.edges import Edge, fit_edge
from rgbtrack.unmix.lines import Array, Ints
from rgbtrack.unmix.result import BleedThrough

BRIGHT = 10.0
"""A cell tells something where one detector is so many standard errors above 0."""
PART, MOST = 0.3, 0.7
"""A cell carries a protein, or little else, where its detector has this share of the light."""
MIN_CELLS = 30
MAX_SE, MAX_SHARE = 0.02, 0.25
"""Standard error that is no use, unless it is less than a share of the leak: gains drift by so much."""
ON, NEAR, FAR = 2.5, (3.0, 8.0), 4.0
"""Cells on the edge, just above it, and below it where none can be, in widths of the edge."""
FEW_BELOW, SHARP = 0.01, 0.4
"""Share of cells that may lie below the edge, and number just above it, of those on it."""
PURE, ALIKE, MOSTLY = 0.9, 0.1, 0.8
"""Below this share of a protein a cell carries others too; shares that differ by less are one colour; an edge
of which so many cells have one such colour rests on one clone."""
MAX_NOISE = 1.9
"""Cells on an edge lie no further from it than this times their errors."""
LEAST_LEAK, MOST_LEAK = -0.03, 0.5
FLOOR = 0.001
"""No element is known better: haze, spill and pieces of neighbours differ between detectors."""
MAX_CELLS, SEARCH_CELLS = 20_000, 2_500
"""Cells that are used at most, and for the search among starts."""
STARTS = (0.0, 0.02, 0.1, 0.3)
"""Quantiles of the ratio of two detectors at which to look for the edge."""
WIDTHS = (0.1, 0.02, 0.005)
"""Widths of the edge to start from, share of a cell's light."""


def bleed_through_blind(cells: pd.DataFrame) -> BleedThrough:
    """Estimate the bleed-through matrix from cells of all colours.

    A cell that lacks protein d shows in detector d what leaks from the others, and nothing else: such cells
    lie on an edge of the cone of colours, as sharp as noise, and all that carry d lie above it. Clones that
    lack a given marker are common (half of them where half of the founders carry it), so that each
    detector's edge is fitted to all cells, as a mixture of those on it and those above; see `fit_edge`. The
    edges' coefficients C give the matrix, ``M = (1 - C)^-1``, columns scaled to a diagonal of 1.

    What the data cannot tell is said and left at 0: an element of which too few cells carry the protein
    without the detector's own, whose error is too large, or whose edge is not sharp, as where a clone that
    carries both stands in for it.

    Parameters
    ----------
    cells
        Cells of all images in one table, measured without a matrix: ``<marker>_raw`` and ``<marker>_se``.
        Gains may drift between sessions (column ``batch``, else ``image_id``): the matrix is that of a
        typical one. Cells flagged as saturated or as two are left out.

    Returns
    -------
    found
        The matrix, its standard errors, and in words what is not known.

    Raises
    ------
    DataError
        If the table lacks columns.

    Notes
    -----
    Assumes that some clones lack each marker. A clone that carries two proteins in a fixed and small ratio
    looks like one that leaks, but is not as sharp: its cells differ by more than noise. With few clones, or
    one that dominates, controls are the better way. The idea is that of the convex cone of nonnegative
    mixtures, whose edges are the pure components (Donoho and Stodden, NIPS 16 (2003)).
    """
    markers = markers_of(cells)
    CELLS.check(cells, need=[f"{name}_{end}" for name in markers for end in ("raw", "se")])
    if len(markers) < 2:
        raise DataError(
            f"cells of {len(markers)} markers ({', '.join(markers) or 'none'}): 2 or more are needed for any "
            f"to leak into another"
        )
    read, error, session = _bright_cells(cells, markers)
    m = len(markers)
    slopes, covariance = np.zeros((m, m)), np.zeros((m, m, m))
    known, n_cells = np.eye(m, dtype=bool), dict.fromkeys(markers, 0)
    reasons: dict[tuple[str, str], str] = {}
    for d, detector in enumerate(markers):
        row = _read_edge(read, error**2, session, d, markers)
        known[d, row.proteins], slopes[d, row.proteins] = True, row.slopes
        covariance[np.ix_([d], row.proteins, row.proteins)] = row.covariance
        for p, n in zip(row.proteins, row.n_cells, strict=True):
            n_cells[markers[p]] += n
        reasons |= {(detector, markers[p]): why for p, why in row.doubts.items()}
    matrix = np.linalg.inv(np.eye(m) - slopes)
    # d(1 - C)^-1 = M dC M
    variance = np.einsum("di,ijk,jp,kp->dp", matrix**2, covariance, matrix, matrix)
    se = np.hypot(np.sqrt(np.maximum(variance, 0)), FLOOR)
    matrix = np.maximum(matrix / np.diag(matrix), 0)
    off = ~np.eye(m, dtype=bool)
    matrix[~known], se[~known], se[~off] = 0, np.nan, 0
    names = list(markers)
    return BleedThrough(
        pd.DataFrame(matrix, index=names, columns=names),
        pd.DataFrame(se, index=names, columns=names),
        n_cells,
        bool((matrix > CLEAR * se)[off & known].any()),
        reasons,
    )


def _bright_cells(cells: pd.DataFrame, markers: tuple[str, ...]) -> tuple[Array, Array, Ints]:
    """Counts and errors (n, m) of the cells that tell something, and the session of each."""
    chosen = usable_cells(cells, markers)
    read = chosen[[f"{name}_raw" for name in markers]].to_numpy(float)
    error = errors_of(chosen, markers)
    bright = np.flatnonzero((read > BRIGHT * error).any(axis=1))
    if len(bright) > MAX_CELLS:
        bright = np.sort(np.random.default_rng(0).choice(bright, MAX_CELLS, replace=False))
    column = next((name for name in ("batch", "image_id") if name in chosen.columns), None)
    session = np.zeros(len(bright), np.int64)
    if column is not None:
        session = np.unique(chosen[column].astype(str).to_numpy()[bright], return_inverse=True)[1].astype(
            np.int64
        )
    return read[bright], error[bright], session


@dataclass(frozen=True, eq=False)
class _Row:
    """One row of the matrix: what is known of a detector's edge, and why the rest is not."""

    proteins: list[int] = field(default_factory=list)
    slopes: Array = field(default_factory=lambda: np.zeros(0))
    covariance: Array = field(default_factory=lambda: np.zeros((0, 0)))
    n_cells: tuple[int, ...] = ()
    doubts: dict[int, str] = field(default_factory=dict)


def _read_edge(read: Array, variance: Array, session: Ints, d: int, markers: tuple[str, ...]) -> _Row:
    """Fit the edge of one detector to those of the other proteins that it can tell of."""
    others = [p for p in range(len(markers)) if p != d]
    if len(read) < MIN_CELLS:
        few = f"{len(read)} cells stand out of the noise, {MIN_CELLS} are needed"
        return _Row(doubts=dict.fromkeys(others, few))
    absent: dict[int, str] = {}
    while True:
        edge = _best_edge(read, variance, session, d, others)
        light, unsure = read[:, others], variance[:, others]
        doubts = _doubts(edge, light, unsure, [markers[p] for p in others], markers[d])
        nobody = [j for j in doubts if _n_on(edge, _carriers(light, unsure, j)) < MIN_CELLS]
        if len(nobody) in (0, len(doubts), len(others)):
            break
        # what no cell tells of must not pull at what is in doubt
        absent |= {others[j]: doubts[j] for j in nobody}
        others = [p for j, p in enumerate(others) if j not in nobody]
    told = [j for j in range(len(others)) if j not in doubts]
    return _Row(
        [others[j] for j in told],
        edge.leaks[told],
        edge.covariance[np.ix_(told, told)],
        tuple(_n_on(edge, _carriers(light, unsure, j)) for j in told),
        absent | {others[j]: why for j, why in doubts.items()},
    )


def _best_edge(read: Array, variance: Array, session: Ints, d: int, others: list[int]) -> Edge:
    """Fit an edge from several starts; the most probable of those with the fewest cells below."""
    light = read[:, others]
    total = np.maximum(light, 0).sum(axis=1)
    places = np.zeros((len(STARTS), len(others)))
    for j, p in enumerate(others):
        mostly = (light[:, j] > MOST * total) & (light[:, j] > 5 * np.sqrt(variance[:, p]))
        if mostly.sum() >= 10:
            places[:, j] = np.clip(np.quantile(read[mostly, d] / light[mostly, j], STARTS), 0, 0.6)
    starts = [np.zeros(len(others)), *places]
    for j in range(len(others)):  # one further up than the others
        for higher in places[1:]:
            starts.append(places[0].copy())
            starts[-1][j] = higher[j]

    def fit(start: Array, width: float, step: int) -> Edge:
        few = slice(None, None, step)
        return fit_edge(
            read[few, d], variance[few, d], light[few], variance[few][:, others], session[few], start, width
        )

    def impossible(edge: Edge, step: int) -> int:
        shown = [_carriers(light[::step], variance[::step][:, others], j) for j in range(len(others))]
        return sum(_below(edge, carriers, j) for j, carriers in enumerate(shown))

    step = max(1, len(read) // SEARCH_CELLS)
    fits = [fit(start, width, step) for start in np.unique(np.round(starts, 3), axis=0) for width in WIDTHS]
    best = max(fits, key=lambda edge: (-impossible(edge, step), edge.fit))
    return best if step == 1 else fit(best.leaks, WIDTHS[-1], 1)


def _carriers(light: Array, variance: Array, j: int) -> NDArray[np.bool_]:
    """Cells that show one of the other proteins well."""
    part = light[:, j] > PART * np.maximum(light, 0).sum(axis=1)
    return np.asarray(part & (light[:, j] > BRIGHT * np.sqrt(variance[:, j])))


def _below(edge: Edge, carriers: NDArray[np.bool_], j: int) -> bool:
    """Whether there are cells where there can be none: below the edge, or a leak below 0."""
    below = int((edge.pull[carriers] < -FAR).sum())
    return bool(edge.leaks[j] < LEAST_LEAK or below > max(2, FEW_BELOW * carriers.sum()))


def _n_on(edge: Edge, carriers: NDArray[np.bool_]) -> int:
    """Number of cells on the edge."""
    return int((np.abs(edge.pull[carriers]) < ON).sum())


def _one_colour(edge: Edge, light: Array, carriers: NDArray[np.bool_], j: int) -> bool:
    """Whether the cells on the edge are all of one colour, and not the protein's own: perhaps one clone."""
    on = carriers & (np.abs(edge.pull) < ON)
    part = light[on, j] / np.maximum(light[on], 0).sum(axis=1)
    middle = float(np.median(part))
    return middle < PURE and float((np.abs(part - middle) < ALIKE).mean()) > MOSTLY


def _doubts(edge: Edge, light: Array, variance: Array, proteins: list[str], detector: str) -> dict[int, str]:
    """By protein, why the edge does not tell its leak into this detector, where it does not."""
    # cells below the edge, or more leak than there is, tell that it is not the edge
    wrong = bool((edge.leaks > MOST_LEAK).any()) or any(
        _below(edge, _carriers(light, variance, j), j) for j in range(len(proteins))
    )
    doubts = {}
    for j, protein in enumerate(proteins):
        carriers = _carriers(light, variance, j)
        on = _n_on(edge, carriers)
        near = int(((edge.pull[carriers] > NEAR[0]) & (edge.pull[carriers] < NEAR[1])).sum())
        leak, se = float(edge.leaks[j]), float(np.sqrt(edge.covariance[j, j]))
        if on < MIN_CELLS:
            doubts[j] = f"{on} cells carry {protein} and lack {detector}, {MIN_CELLS} are needed"
        elif _one_colour(edge, light, carriers, j):
            doubts[j] = (
                f"the {on} cells with {protein} that seem to lack {detector} are of one mixed colour: they "
                f"look as if {leak:.2f} leaked into {detector}, but that may be their own"
            )
        elif not se < max(MAX_SE, MAX_SHARE * leak):
            doubts[j] = f"it could be {leak:.2f} ± {se:.2f}: too few cells, or of too few colours"
        elif near > on * SHARP or edge.noise > MAX_NOISE or wrong:
            doubts[j] = (
                f"no sharp edge: {on} cells with {protein} look as if {leak:.2f} of it leaked into "
                f"{detector}, but they may carry both"
            )
    return doubts
