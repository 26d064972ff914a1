"""Cells linked over frames by place, size and colour, divisions found."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from rgbtrack.errors import RgbtrackWarning
from rgbtrack.link.cuts import advance, best_links, cut_edges, marginals
from rgbtrack.link.divisions import choose_divisions, division_odds
from rgbtrack.link.movie import Bools, Floats, Ints, Movie, check_cells, read_movie
from rgbtrack.link.params import LinkParams
from rgbtrack.link.scales import Scales, first_scales, learn_scales, other_cells, zones
from rgbtrack.link.states import look_back
from rgbtrack.link.steadying import common_shift, find_jumps

REACH = 4.5
"""Candidates lie within so many typical steps."""
MOST_CANDIDATES = 32
MEMORY = (3.0, 6.0, 100.0)
"""Frames over which colours are remembered in the first sweeps: short, so that two swaps are not mended as one."""


@dataclass(eq=False)
class Links:
    """Links of one movie: who each detection follows (-1: none) and is followed by, and how probably rightly."""

    before: Ints
    after: Ints
    probability: Floats
    born: Bools
    births: tuple[Ints, Ints, Ints]
    fit: Floats


def link_cells(cells: pd.DataFrame, params: LinkParams = LinkParams()) -> pd.DataFrame:  # noqa: B008
    """Link the cells of time-lapse images over frames.

    Parameters
    ----------
    cells
        One row per cell and frame: ``image_id, frame, cell, y_um, x_um``; ``z_um`` in volumes; markers with
        ``<marker>_se``, ``area_um2`` or ``volume_um3``, ``drift_y_um, drift_x_um`` and ``time_h`` where there are.
        Each image is a movie of its own.
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
    detections are one cell rather than one that ends and another that appears. The odds compare what a track so
    far foretells, place by a persistent walk and colour by its mean over frames, with what follows, and with how
    likely any other cell of the movie were to look so. All scales are learnt from the movie, in sweeps; see
    docs/link.md.

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
            f"{placeless} cells have no place or no image_id and are in no track", RgbtrackWarning, stacklevel=2
        )
    whole = {name: pd.array(columns[name], dtype="Int64") for name in ("track", "parent", "tree")}
    return cells.assign(**whole, link_probability=columns["link_probability"])


def link_movie(movie: Movie, params: LinkParams) -> Links:
    """Link the detections of one movie."""
    n = len(movie.rows)
    scales = first_scales(movie, params.divisions)
    movie = movie.moved(find_jumps(movie, scales))
    links = Links(
        np.full(n, -1),
        np.full(n, -1),
        np.full(n, np.nan),
        np.zeros(n, bool),
        (np.zeros(0, np.int64),) * 3,
        np.zeros((n, 2)),
    )
    for turn in range(params.sweeps + 1):
        memory = MEMORY[min(max(turn - 1, 0), len(MEMORY) - 1)] if turn < params.sweeps else np.inf
        if movie.n_frames > 1:
            links = _sweep(movie, links, scales, params, forward=turn == 0, memory=memory, last=turn == params.sweeps)
        if turn < params.sweeps:
            shift = common_shift(movie, links.before, links.born)
            movie = movie.moved(shift)
            if movie.place.shape[1] == 3:
                movie = _even(movie, links)
            scales = learn_scales(
                movie, links.before, links.born, links.fit, links.births, scales, params.divisions
            )
    return links


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
    params: LinkParams,
    *,
    forward: bool,
    memory: float,
    last: bool,
) -> Links:
    """Reconsider all links, frame by frame, given those before and after; then all divisions."""
    n, m = movie.feature.shape
    dims = movie.place.shape[1]
    far = params.max_gap
    begin, target = _candidates(movie, scales, far)
    before, after = links.before.copy(), links.after.copy()
    born = links.born.copy()
    forget = 1 / memory**2
    seen = (movie.place, movie.feature, movie.gain, movie.noise)
    law = (scales.motion, scales.flicker, scales.noise, scales.drift, forget)
    time = movie.time[movie.frame]
    order = np.arange(n)

    def blank() -> tuple[Floats, Floats, Floats, Floats, Floats]:
        return np.zeros((n, dims)), np.zeros((n, dims)), np.zeros((n, 3)), np.zeros((n, m)), np.zeros((n, m, m))

    past, future = blank(), blank()
    ahead, fit, unused = np.zeros(n, bool), np.full((n, 2), np.nan), np.zeros((n, 2))

    def back(next_: Ints) -> None:
        look_back(order, next_, time, *seen, *law, *future, unused, ahead)

    back(np.where((after >= 0) & ~born[after], after, -1))
    alike = other_cells(movie, scales.flicker, scales.noise)
    weights = (movie.gain, zones(movie, scales.step), alike, scales.motion, scales.drift, scales.tails)
    births = (scales.room, scales.shift, scales.spread, scales.appear, scales.leave, scales.rates)
    probability = np.full(n, np.nan)
    for t in range(movie.n_frames):
        a, b = movie.start[t : t + 2]
        advance(a, b, before, born, movie.time, movie.frame, *seen, *law, *past, fit)
        if t + 1 == movie.n_frames:
            break
        ends, source, sink, odds, first, width = cut_edges(
            t, far, forward, movie.start, movie.frame, movie.time, begin, target, before, after,
            past, future, ahead, *weights, *births,
        )  # fmt: skip
        i, j = best_links(len(ends), width, source, sink, odds)
        _relink(before, after, born, ends, first, ends[i], first + j)
        if last:
            chance = marginals(len(ends), width, source, sink, odds, 30)
            edge = source * width + sink
            ranked = np.argsort(edge)
            probability[first + j] = chance[ranked[np.searchsorted(edge, i * width + j, sorter=ranked)]]
    back(after)
    born[:] = False
    mothers = (np.zeros(0, np.int64),) * 3
    if params.divisions:
        mother, one, two, odds = division_odds(
            before < 0, far, movie.frame, movie.time, begin, target, before, after, past, future, ahead, *weights, *births
        )  # fmt: skip
        chosen = choose_divisions(mother, one, two, odds, n)
        mother, one, two, odds = mother[chosen], one[chosen], two[chosen], odds[chosen]
        mothers = (mother, one, two)
        goes_on = after[mother] == two
        born[two[goes_on]] = True
        if last:
            sure = 1 / (1 + np.exp(-np.minimum(odds, 50.0)))
            probability[one] = sure
            probability[two] = np.where(goes_on, sure * probability[two], sure)
    return Links(before, after, probability, born, mothers, fit)


def _relink(before: Ints, after: Ints, born: Bools, ends: Ints, first: int, source: Ints, sink: Ints) -> None:
    """Replace the links over a cut."""
    followers = after[ends]
    followers = followers[followers >= 0]
    was = before[followers]
    before[followers] = -1
    after[ends] = -1
    before[sink], after[source] = source, sink
    born[followers[before[followers] != was]] = False


def _candidates(movie: Movie, scales: Scales, far: int) -> tuple[Ints, Ints]:
    """Detections of the next frames within reach of each, nearest first: beginnings (n + 1,) and targets."""
    n = len(movie.rows)
    sources, sinks = [], []
    # about a mother, her daughters
    birth = np.sqrt(scales.room[0] + scales.room[1] / 4)
    rate, v, w, r = scales.motion
    for t in range(movie.n_frames - 1):
        a, b = movie.start[t : t + 2]
        for later in range(t + 1, min(t + 2 + far, movie.n_frames)):
            c, d = movie.start[later : later + 2]
            dt = movie.time[later] - movie.time[t]
            step2 = 2 * v / rate**2 * (rate * dt - 1 + np.exp(-rate * dt)) + w * dt + 2 * r
            reach = REACH * max(np.sqrt(step2), birth / 1.5)
            k = min(MOST_CANDIDATES, d - c)
            near, which = _tree(movie.place[c:d]).query(
                movie.place[a:b], k=list(range(1, k + 1)), distance_upper_bound=reach
            )
            found = np.isfinite(near)
            sources.append(np.repeat(np.arange(a, b), found.sum(axis=1)))
            sinks.append(c + which[found])
    if not sources:
        return np.zeros(n + 1, np.int64), np.zeros(0, np.int64)
    source, sink = np.concatenate(sources), np.concatenate(sinks)
    order = np.argsort(source, kind="stable")
    begin = np.searchsorted(source[order], np.arange(n + 1))
    return begin.astype(np.int64), sink[order].astype(np.int64)


def _tree(place: Floats) -> cKDTree:
    return cKDTree(place)


def number_tracks(movie: Movie, links: Links, cell: Floats) -> dict[str, Floats]:
    """Number tracks by when they begin, and by the cell's label among those of one frame."""
    n = len(movie.rows)
    before = np.where(links.born, -1, links.before)
    head = np.arange(n)
    for j in range(n):  # in order of time
        if before[j] >= 0:
            head[j] = head[before[j]]
    heads = np.flatnonzero(before < 0)
    label = pd.Series(cell[movie.rows[heads]]).rank().to_numpy()
    ranked = heads[np.lexsort((label, movie.frame[heads]))]
    number = np.zeros(n, np.int64)
    number[ranked] = np.arange(1, len(ranked) + 1)
    track = number[head]
    parent = np.full(len(ranked) + 1, np.nan)
    mother, one, two = links.births
    parent[number[one]] = parent[number[two]] = track[mother]
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
