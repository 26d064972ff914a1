"""Cells linked over frames by place, size and colour, divisions found."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rgbtrack.errors import RgbtrackWarning
from rgbtrack.link.births import Beginnings, birth_odds, learn_births
from rgbtrack.link.cuts import advance, best_links, cut_edges, gap_odds, marginals, within
from rgbtrack.link.divisions import candidates_of, choose_divisions, find_candidates
from rgbtrack.link.movie import Bools, Floats, Ints, Movie, check_cells, read_movie
from rgbtrack.link.params import LinkParams
from rgbtrack.link.scales import (
    Scales,
    first_scales,
    first_spread,
    learn_scales,
    other_cells,
    size_shifts,
    zones,
)
from rgbtrack.link.states import look_back
from rgbtrack.link.steadying import common_shift, find_jumps

MOST_CANDIDATES = 32
MOST = 12_000
"""Of movies of twice as many detections, a part of so many tells the first scales."""
MEMORY = 1.5
"""Frames over which colours are remembered: few, so that a short exchange of two cells is found out."""
ROUNDS = 30  # of belief propagation
DOUBT = 1.8
"""Log odds are divided by this before they become probabilities: they take all other links for granted."""


@dataclass(eq=False)
class Links:
    """Links of one movie.

    What each detection follows (-1: none), how probably rightly, whether as a daughter; mothers and their two
    daughters; how probably each is no daughter if it follows none; how well it was foretold; scales.
    """

    before: Ints
    probability: Floats
    born: Bools
    mother: Ints
    one: Ints
    two: Ints
    foreign: Floats
    fit: Floats
    scales: Scales


def link_cells(cells: pd.DataFrame, params: LinkParams = LinkParams()) -> pd.DataFrame:  # noqa: B008
    """Link the cells of time-lapse images over frames.

    Parameters
    ----------
    cells
        One row per cell and frame: ``image_id, frame, cell, y_um, x_um``; ``z_um`` in volumes; markers with
        ``<marker>_se``, ``area_um2`` or ``volume_um3``, ``drift_y_um, drift_x_um`` and ``time_h`` where there
        are. Each image is a movie of its own.
    params
        What is looked for.

    Returns
    -------
    cells
        The table, its rows in their order, with ``track, parent, tree`` and ``link_probability``; see
        `tables.TRACKED`.

    Raises
    ------
    DataError
        If columns are missing or hold no numbers, cells repeat a key, or times do not increase.
    ParamError
        If a marker to link by is no column.

    Warns
    -----
    RgbtrackWarning
        If cells have no place (they are in no track), if tracks are replaced, or if the stage jumped.

    Notes
    -----
    All links between two frames are made at once, by the assignment of the greatest total log odds that two
    detections are one cell rather than one that ends and another that appears. The odds compare what
    a track so far foretells, place by a persistent walk and colour by its mean over frames, with what
    follows, and with how likely any other cell of the movie were to look so. All scales are learnt from the
    movie, in sweeps; see docs/link.md.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "frame": [0, 0, 1, 1], "cell": [1, 2, 1, 2]})
    >>> cells = cells.assign(y_um=[0.0, 50.0, 51.0, 1.0], x_um=0.0)
    >>> link_cells(cells)["track"].tolist()
    [1, 2, 2, 1]
    """
    markers = check_cells(cells, params)
    columns: dict[str, Floats] = {
        name: np.full(len(cells), np.nan) for name in ("track", "parent", "tree", "link_probability")
    }
    placeless = 0
    for rows in cells.groupby("image_id", sort=True).indices.values():
        movie = read_movie(cells, np.asarray(rows, dtype=np.int64), markers, params)
        placeless += len(rows) - (len(movie.rows) if movie is not None else 0)
        if movie is not None:
            links = link_movie(movie, params)
            for name, values in number_tracks(movie, links, cells["cell"].to_numpy()).items():
                columns[name][movie.rows] = values
    if placeless:
        warnings.warn(
            f"{placeless} cells have no place or no image_id and are in no track",
            RgbtrackWarning,
            stacklevel=2,
        )
    whole = {
        name: pd.Series(columns[name], cells.index).astype("Int64") for name in ("track", "parent", "tree")
    }
    return cells.assign(**whole, link_probability=columns["link_probability"])


def link_movie(movie: Movie, params: LinkParams) -> Links:
    """Link the detections of one movie."""
    scales = first_scales(movie, params.divisions)
    movie = movie.moved(find_jumps(movie, scales))
    frames = max(MOST // max(len(movie.rows) // movie.n_frames, 1), 8)
    if params.sweeps > 1 and 2 * frames < movie.n_frames and movie.place.shape[1] == 2:
        # of a long movie, a part tells the scales to begin with
        first = (movie.n_frames - frames) // 2
        scales = _sweeps(movie.between(first, first + frames), scales, params, [True, True], False)[1]
        return _sweeps(movie, scales, params, [True] + [False] * (params.sweeps - 1), True)[0]
    return _sweeps(movie, scales, params, [True] * (params.sweeps + 1), True)[0]


def _sweeps(
    movie: Movie, scales: Scales, params: LinkParams, renewed: list[bool], final: bool
) -> tuple[Links, Scales]:
    """Reconsider all links, once for each of ``renewed``, which tells whether candidates are sought anew.

    Without a ``final`` sweep, scales are learnt after the last too.
    """
    n, none = len(movie.rows), np.zeros(0, np.int64)
    links = Links(
        np.full(n, -1), np.full(n, np.nan), np.zeros(n, bool), none, none, none, np.ones(n), np.zeros((n, 2)),
        scales,
    )  # fmt: skip
    for turn, anew in enumerate(renewed):
        last = final and turn == len(renewed) - 1
        if movie.n_frames > 1:
            if anew:
                near, alike = _candidates(movie, scales), other_cells(movie, scales.flicker, scales.noise)
            links = _sweep(movie, links, scales, near, alike, params, last=last)
        if not last:
            movie = movie.moved(common_shift(movie, links.before, links.born))
            if movie.place.shape[1] == 3:
                movie = _even(movie, links)
            scales = learn_scales(
                movie, links.before, links.born, links.fit, links.mother, links.foreign, links.scales
            )
    return links, scales


def _even(movie: Movie, links: Links) -> Movie:
    """Depth in units in which cells step as far as they do sideways."""
    follows = np.flatnonzero((links.before >= 0) & ~links.born)
    if len(follows) < 20:
        return movie
    steps = np.median(np.abs(movie.place[follows] - movie.place[links.before[follows]]), axis=0)
    ratio = float(np.clip(steps[0] / max(steps[1:].mean(), 1e-9), 0.05, 20.0))
    place = movie.place.copy()
    place[:, 0] /= ratio
    return replace(movie, place=place, density=movie.density * ratio)


def _sweep(
    movie: Movie,
    links: Links,
    scales: Scales,
    near: tuple[Ints, Ints],
    alike: Floats,
    params: LinkParams,
    *,
    last: bool,
) -> Links:
    """Reconsider all links, frame by frame, given those before and after; then all gaps and divisions."""
    n, m = movie.feature.shape
    dims = movie.place.shape[1]
    born = links.born.copy()
    # gaps are closed anew, when all cells that were seen in them have been linked
    skips = (links.before >= 0) & (movie.frame - movie.frame[links.before] > 1)
    before = np.where(skips, -1, links.before)
    after = np.full(n, -1)
    after[before[before >= 0]] = np.flatnonzero(before >= 0)
    born &= before >= 0
    seen = (movie.place, movie.feature, movie.gain, movie.noise)
    law = (scales.motion, scales.flicker, scales.noise, scales.drift, 1 / MEMORY**2)
    time = movie.time[movie.frame]

    def blank() -> tuple[Floats, Floats, Floats, Floats, Floats]:
        return (
            np.zeros((n, dims)),
            np.zeros((n, dims)),
            np.zeros((n, 3)),
            np.zeros((n, m)),
            np.zeros((n, m, m)),
        )

    past, future = blank(), blank()
    ahead, fit, unused = np.zeros(n, bool), np.full((n, 2), np.nan), np.zeros((n, 2))

    def back(next_: Ints) -> None:
        look_back(next_, time, *seen, *law, *future, unused, ahead)

    back(np.where((after >= 0) & ~born[after], after, -1))
    weights = (movie.gain, zones(movie, scales.step), alike, scales.motion, scales.drift, scales.tails)
    births = (scales.room, scales.shift, scales.spread)
    probability = np.full(n, np.nan)
    advance(0, movie.start[1], before, born, movie.time, movie.frame, *seen, *law, *past, fit)
    for t in range(movie.n_frames - 1):
        a, b, c = movie.start[t : t + 3]
        source, sink, odds = cut_edges(
            a, b, c, movie.time[t + 1] - movie.time[t], *near, past, future, ahead, *weights, *births,
            scales.break_in, scales.break_off, scales.rates,
        )  # fmt: skip
        linked = best_links(b - a, c - b, source, sink, odds)
        i, j = source[linked], sink[linked]
        was = before[b:c].copy()
        after[a:b], before[b:c] = -1, -1
        after[a + i], before[b + j] = b + j, a + i
        born[b:c] &= before[b:c] == was
        if last:
            probability[b + j] = marginals(b - a, c - b, source, sink, odds / DOUBT, ROUNDS)[linked]
        advance(b, c, before, born, movie.time, movie.frame, *seen, *law, *past, fit)
    back(after)
    close = _earlier(movie, scales, np.flatnonzero((before < 0) & (movie.frame > 0)), params.max_gap)
    if params.max_gap:
        i, j = close
        open_ = (after[i] < 0) & (movie.frame[j] - movie.frame[i] > 1)
        i, j = i[open_], j[open_]
        odds = gap_odds(
            i,
            j,
            movie.frame,
            movie.time,
            past,
            future,
            ahead,
            *weights,
            scales.appear,
            scales.leave,
            scales.rates,
        )
        linked = best_links(n, n, i, j, odds)
        one, two = i[linked], j[linked]
        if last:
            probability[two] = marginals(n, n, i, j, odds / DOUBT, ROUNDS)[linked]
        before[two], after[one] = one, two
    born[:] = False
    mother = one = two = np.zeros(0, np.int64)
    foreign = np.ones(n)
    if params.divisions:
        i, j = close
        open_ = before[j] < 0
        begin = _beginnings(movie, scales, before, after, (i[open_], j[open_]), past, future, ahead)
        scales = learn_births(begin, first_spread(movie, scales.flicker))
        odds, foreign = birth_odds(begin, scales)
        chosen = choose_divisions(begin.found, odds, n)
        mother, one, two = begin.found.mother[chosen], begin.found.one[chosen], begin.found.two[chosen]
        goes_on = after[mother] == two
        born[two[goes_on]] = True
        if last:
            chance = 1 / (1 + np.exp(-np.minimum(odds[chosen] / DOUBT, 50.0)))
            probability[one] = probability[two] = chance
    return Links(before, probability, born, mother, one, two, foreign, fit, scales)


def _beginnings(
    movie: Movie,
    scales: Scales,
    before: Ints,
    after: Ints,
    pairs: tuple[Ints, Ints],
    past: tuple[Floats, ...],
    future: tuple[Floats, ...],
    ahead: Bools,
) -> Beginnings:
    """All tracks that begin, with the divisions that may explain them, among ``pairs`` of mother and head."""
    i, j = pairs
    begin = np.append(np.flatnonzero(np.diff(i, prepend=-1)), len(i)) if len(i) else np.zeros(1, np.int64)
    widest = 3 * max(movie.spacing, np.sqrt(2) * scales.step)
    found = find_candidates(
        begin, i, j, movie.frame, movie.time, after, movie.place, past, future, ahead, movie.gain,
        scales.motion, scales.drift, scales.tails, size_shifts(movie),
        first_spread(movie, scales.flicker), 4 * scales.step, widest,
    )  # fmt: skip
    heads = np.flatnonzero((before < 0) & (movie.frame > 0))
    lone = (after < 0) & (movie.frame < movie.n_frames - 1)
    return Beginnings(
        movie,
        scales,
        heads,
        lone,
        zones(movie, scales.step),
        candidates_of(*found),
        (past, future),
    )


def _candidates(movie: Movie, scales: Scales) -> tuple[Ints, Ints]:
    """Detections of the next frame within reach of each: beginnings (n + 1,) and targets."""
    reach = np.array([scales.reach(dt) for dt in np.diff(movie.time)])
    begin, target = within(movie.place, movie.start, movie.place, movie.start[1:], reach, MOST_CANDIDATES, 1)
    return begin, target


def _earlier(movie: Movie, scales: Scales, heads: Ints, far: int) -> tuple[Ints, Ints]:
    """Pairs of a detection and one of ``heads``, some frames later, within reach; in order of the first."""
    n = len(movie.rows)
    none = np.zeros(0, np.int64)
    if not len(heads):
        return none, none
    usual = float(np.median(np.diff(movie.time)))
    reach = scales.reach((far + 1) * usual)
    opens = np.searchsorted(heads, movie.start)
    first, later = [], []
    for lag in range(1, min(far + 1, movie.n_frames - 1) + 1):
        round_ = np.full(movie.n_frames - lag, reach * np.sqrt(movie.place.shape[1]))
        begin, found = within(movie.place, movie.start, movie.place[heads], opens[lag:], round_, n, 1)
        first.append(np.repeat(np.arange(n), np.diff(begin)))
        later.append(heads[found])
    i, j = np.concatenate(first), np.concatenate(later)
    # the room for a cell that was missed for long is a box
    boxed = (np.abs(movie.place[j] - movie.place[i]) <= reach).all(axis=1)
    i, j = i[boxed], j[boxed]
    order = np.argsort(i * n + j)
    return i[order], j[order]


def tracks_of(before: Ints, born: Bools) -> Ints:
    """First detection of the track of each."""
    head = np.where((before < 0) | born, np.arange(len(before)), before)
    while (head[head] != head).any():
        head = head[head]
    return head


def number_tracks(movie: Movie, links: Links, cell: Floats) -> dict[str, Floats]:
    """Number tracks by when they begin, and by the cell's label among those of one frame."""
    n = len(movie.rows)
    head = tracks_of(links.before, links.born)
    heads = np.flatnonzero(head == np.arange(n))
    label = pd.Series(cell[movie.rows[heads]]).rank().to_numpy()
    ranked = heads[np.lexsort((label, movie.frame[heads]))]
    number = np.zeros(n, np.int64)
    number[ranked] = np.arange(1, len(ranked) + 1)
    track = number[head]
    parent = np.full(len(ranked) + 1, np.nan)
    parent[number[links.one]] = parent[number[links.two]] = track[links.mother]
    tree = np.arange(len(ranked) + 1)
    for k in range(1, len(ranked) + 1):
        if np.isfinite(parent[k]):
            tree[k] = tree[int(parent[k])]
    return {
        "track": track.astype(float),
        "parent": parent[track],
        "tree": tree[track].astype(float),
        "link_probability": links.probability,
    }
