"""Movies as tables: cells that walk, collide, divide, die, enter and leave, as perfect masks show them."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import cKDTree

from rgbtrack.params import Params
from rgbtrack.simulate.founders import simulate_founders
from rgbtrack.simulate.params import SimulateParams

Array = NDArray[np.float64]
AWAY = 4
"""Frames without a sight of her after which nobody can know a cell, or the mother of a daughter."""
NAMES = ("red", "green", "blue", "far_red", "infrared", "ultraviolet", "white")


class MovieParams(Params):
    """How cells of a time-lapse move, divide and are measured; units of length are um, of time frames."""

    n_frames: int = Field(30, ge=1, description="frames")
    n_cells: int = Field(120, ge=1, description="cells in the first frame")
    n_clones: int = Field(12, ge=1, description="founders")
    n_markers: int = Field(3, ge=2, le=7, description="markers")
    spacing_um: float = Field(20.0, gt=0, description="root of the area per cell (root of three in 3-D)")
    three_d: bool = Field(False, description="cells move in a volume")
    frame_interval_h: float = Field(0.25, gt=0, description="h per frame")
    # moving
    step: float = Field(0.25, ge=0, description="sd of a step along each axis, share of the spacing")
    persistence: float = Field(0.65, ge=0, lt=1, description="correlation of a step with the one before")
    speed_sd: float = Field(0.0, ge=0, description="ln sd of the step from cell to cell")
    tails: float | None = Field(None, gt=2, description="steps are Student's t of so many degrees of freedom")
    jitter_um: float = Field(0.3, ge=0, description="sd of a measured place, um")
    contact: float = Field(0.6, ge=0, le=1, description="cells push off nearer than this share of a diameter")
    # living
    division_rate: float = Field(0.01, ge=0, lt=1, description="divisions per cell and frame")
    death_rate: float = Field(0.001, ge=0, lt=1, description="deaths per cell and frame")
    apart: float = Field(0.8, ge=0, description="distance of newborn sisters, share of a diameter")
    open_field: bool = Field(True, description="cells enter and leave; else they turn at the border")
    # being seen
    missed: float = Field(0.0, ge=0, lt=1, description="share of cells not detected in a frame")
    false_cells: float = Field(0.0, ge=0, description="detections of nothing, share of the cells")
    # size and colour
    diameter_um: float = Field(14.0, gt=0, description="mean cell diameter, um")
    size_sd: float = Field(0.08, ge=0, description="ln sd of a cell's measured area from frame to frame")
    brightness_sd: float = Field(0.4, ge=0, description="ln sd of brightness of cells within a clone")
    colour_sd: float = Field(0.1, ge=0, description="ln sd of each marker of cells within a clone")
    inherited: float = Field(
        0.8, ge=0, le=1, description="correlation of a daughter's deviations from her clone with her mother's"
    )
    flicker_brightness: float = Field(
        0.05, ge=0, description="ln sd of brightness of one cell from frame to frame"
    )
    flicker_colour: float = Field(
        0.05, ge=0, description="ln sd of each marker of one cell from frame to frame"
    )
    photons: float = Field(1000.0, gt=0, description="counts of a typical clone's brightest marker")
    noise: float = Field(15.0, ge=0, description="standard error of a dark cell, counts")


@dataclass
class _Population:
    """Cells alive: one entry each."""

    place: Array  # (n, 3)
    step: Array  # (n, 3)
    clone: NDArray[np.int64]
    own: Array  # (n, 1 + m): ln deviations of brightness and markers
    speed: Array
    size: Array  # diameter, um
    track: NDArray[np.int64]
    parent: NDArray[np.int64]
    tree: NDArray[np.int64]

    def keep(self, chosen: NDArray) -> "_Population":
        return _Population(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def join(self, other: "_Population") -> "_Population":
        return _Population(
            *(np.concatenate([getattr(self, each.name), getattr(other, each.name)]) for each in fields(self))
        )


def simulate_tracks(params: MovieParams = MovieParams(), *, seed: int = 0) -> pd.DataFrame:  # noqa: B008
    """Simulate the cells table of one time-lapse, with its truth.

    Cells are persistent walkers (each step keeps a share of the last) that push each other off, divide into
    two daughters of half the volume side by side, die, enter and leave. Colour is heritable: a clone's,
    times deviations of the cell that daughters inherit in part, times flicker from frame to frame, and noise.

    Parameters
    ----------
    params
        How they live and are seen.
    seed
        The same seed gives the same movie.

    Returns
    -------
    cells
        One row per detection: ``image_id, frame, cell, z_um, y_um, x_um, area_um2`` (or ``volume_um3``),
        markers with ``<marker>_se``, ``touches_border``, and the truth: ``true_track, true_parent,
        true_tree, true_clone``, missing for a detection of nothing.

    Examples
    --------
    >>> cells = simulate_tracks(MovieParams(n_frames=3, n_cells=5, division_rate=0), seed=1)
    >>> cells["true_track"].nunique() >= 5
    True
    """
    rng = np.random.default_rng(seed)
    m = params.n_markers
    dims = 3 if params.three_d else 2
    axes = np.array([params.three_d, True, True])
    side = params.spacing_um * params.n_cells ** (1 / dims)
    margin = 2 * params.spacing_um * max(params.step, 0.25) * 2 if params.open_field else 0.0
    world = (side + 2 * margin) * axes
    founders = simulate_founders(
        SimulateParams(n_clones=params.n_clones, markers=NAMES[:m], size_sd=0.5), rng
    )
    colours = params.photons * founders[list(NAMES[:m])].to_numpy()
    n = round(params.n_cells * ((side + 2 * margin) / side) ** dims)
    cells = _Population(
        place=rng.uniform(0, 1, (n, 3)) * world,
        step=rng.normal(0, 1, (n, 3)) * axes,
        clone=rng.choice(params.n_clones, n, p=founders["share"]),
        own=rng.normal(0, 1, (n, 1 + m)) * [params.brightness_sd, *[params.colour_sd] * m],
        speed=np.exp(rng.normal(0, params.speed_sd, n)),
        size=params.diameter_um * np.exp(rng.normal(0, 0.1, n)),
        track=np.arange(1, n + 1),
        parent=np.zeros(n, np.int64),
        tree=np.arange(1, n + 1),
    )
    for _ in range(20):
        cells.place = _apart(cells.place, params, world)
    number = n + 1
    rows = []
    for frame in range(params.n_frames):
        if frame:
            cells, number = _divide(
                cells.keep(rng.random(len(cells.track)) >= params.death_rate), params, number, axes, rng
            )
            cells = _walk(cells, params, world, axes, rng)
        rows.append(_see(cells, frame, colours, params, margin, side, axes, rng))
    table = pd.concat(rows, ignore_index=True)
    return _seen_tracks(table)


def _walk(
    cells: _Population, params: MovieParams, world: Array, axes: Array, rng: np.random.Generator
) -> _Population:
    """Every cell takes a step; cells that meet push each other off."""
    n = len(cells.track)
    new = rng.normal(0, 1, (n, 3))
    if params.tails is not None:
        t = params.tails
        new *= np.sqrt((t - 2) / np.maximum(rng.chisquare(t, (n, 1)), 1e-9))
    p = params.persistence
    cells.step = (p * cells.step + np.sqrt(1 - p * p) * new) * axes
    place = cells.place + cells.step * (params.step * params.spacing_um * cells.speed)[:, None]
    out = (place < 0) | (place > world)
    cells.step = np.where(out, -cells.step, cells.step)
    place = np.where(place < 0, -place, np.where(place > world, 2 * world - place, place))
    cells.place = np.clip(place, 0, world)
    for _ in range(3):
        cells.place = _apart(cells.place, params, world)
    return cells


def _apart(place: Array, params: MovieParams, world: Array) -> Array:
    """Push cells off each other that are nearer than they can be."""
    least = params.contact * params.diameter_um
    pairs = cKDTree(place).query_pairs(least, output_type="ndarray") if least else np.empty((0, 2), int)
    if not len(pairs):
        return place
    between = place[pairs[:, 0]] - place[pairs[:, 1]]
    length = np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-6)
    push = 0.5 * (least - length) * between / length
    moved = place.copy()
    np.add.at(moved, pairs[:, 0], push)
    np.add.at(moved, pairs[:, 1], -push)
    return np.clip(moved, 0, world)


def _divide(
    cells: _Population, params: MovieParams, number: int, axes: Array, rng: np.random.Generator
) -> tuple[_Population, int]:
    """Mothers are gone; two daughters of each lie side by side, around where she was."""
    n = len(cells.track)
    divides = rng.random(n) < params.division_rate
    mothers, others = cells.keep(divides), cells.keep(~divides)
    # cells grow to twice their volume between divisions, on average
    others.size = others.size * 2 ** (params.division_rate / 3)
    k = len(mothers.track)
    if not k:
        return others, number
    angle = rng.normal(0, 1, (k, 3)) * axes
    angle *= 0.5 * params.apart * params.diameter_um / np.linalg.norm(angle, axis=1, keepdims=True)
    h = params.inherited
    spread = np.array([params.brightness_sd, *[params.colour_sd] * params.n_markers])
    pair = []
    for sign in (1, -1):
        own = h * mothers.own + np.sqrt(1 - h * h) * rng.normal(0, 1, mothers.own.shape) * spread
        pair.append(
            _Population(
                place=mothers.place + sign * angle,
                step=rng.normal(0, 1, (k, 3)) * axes,
                clone=mothers.clone,
                own=own,
                speed=mothers.speed,
                size=mothers.size / 2 ** (1 / 3) * np.exp(rng.normal(0, 0.05, k)),
                track=number + 2 * np.arange(k) + (sign < 0),
                parent=mothers.track,
                tree=mothers.tree,
            )
        )
    return others.join(pair[0]).join(pair[1]), number + 2 * k


def _see(
    cells: _Population,
    frame: int,
    colours: Array,
    params: MovieParams,
    margin: float,
    side: float,
    axes: Array,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Rows of what is detected in the field in one frame, in no order."""
    inner = np.asarray(((cells.place >= margin * axes) & (cells.place <= (margin + side) * axes)).all(axis=1))
    seen = cells.keep(inner & (rng.random(len(inner)) >= params.missed))
    n_false = rng.poisson(params.false_cells * len(seen.track))
    n = len(seen.track)
    place = (seen.place - margin * axes + rng.normal(0, params.jitter_um, (n, 3))) * axes
    flicker = rng.normal(0, params.flicker_brightness, (n, 1)) + rng.normal(
        0, params.flicker_colour, (n, params.n_markers)
    )
    x = colours[seen.clone] * np.exp(seen.own[:, :1] + seen.own[:, 1:] + flicker)
    size = seen.size * np.exp(rng.normal(0, params.size_sd / 2, n))
    truth = np.column_stack([seen.track, seen.parent, seen.tree, seen.clone + 1])
    if n_false:
        place = np.vstack([place, rng.uniform(0, side, (n_false, 3)) * axes])
        ghosts = colours[rng.choice(len(colours), n_false)] * np.exp(rng.normal(0, 0.7, (n_false, 1)))
        x = np.vstack([x, ghosts])
        size = np.append(size, params.diameter_um * np.exp(rng.normal(0, 0.3, n_false)))
        truth = np.vstack([truth, np.zeros((n_false, 4), np.int64)])
    se = np.sqrt(x + params.noise**2)
    x = x + rng.normal(0, 1, x.shape) * se
    order = rng.permutation(len(place))
    table = pd.DataFrame(
        {"image_id": "movie", "frame": frame, "cell": np.arange(1, len(place) + 1)}
        | dict(zip(("z_um", "y_um", "x_um"), place[order].T, strict=True))
    )
    if params.three_d:
        table["volume_um3"] = np.pi / 6 * size[order] ** 3
    else:
        table["area_um2"] = np.pi / 4 * size[order] ** 2
    for j in range(params.n_markers):
        table[NAMES[j]], table[f"{NAMES[j]}_se"] = x[order, j], se[order, j]
    edge = params.diameter_um / 2 * axes
    near = (place < edge) | (place > side * axes - edge)
    table["touches_border"] = np.asarray(near[order][:, axes].any(axis=1))
    for j, name in enumerate(("true_track", "true_parent", "true_tree", "true_clone")):
        column = pd.array(truth[order, j], dtype="Int64")
        column[truth[order, j] == 0] = pd.NA
        table[name] = column
    return table


def _seen_tracks(table: pd.DataFrame) -> pd.DataFrame:
    """Truth of what can be seen: who is out of sight for more than `AWAY` frames is new when seen again.

    A daughter first seen more than `AWAY` frames after her mother was last seen has no mother.
    """
    rows = table[table["true_track"].notna()].sort_values(["true_track", "frame"])
    away = rows.groupby("true_track")["frame"].diff() > AWAY
    part = away.groupby(rows["true_track"]).cumsum()
    track = rows.groupby(["true_track", part]).ngroup() + 1
    parts = rows.assign(track=track, first=part == 0).groupby("track")
    seen = parts.agg(
        cell=("true_track", "first"),
        mother=("true_parent", "first"),
        first=("first", "first"),
        begin=("frame", "min"),
        end=("frame", "max"),
    )
    last_of = dict(zip(seen["cell"], seen.index, strict=True))  # the last part of each
    mother = seen["mother"].map(lambda cell: last_of.get(cell, pd.NA), na_action="ignore").astype("Int64")
    late = seen["begin"] - mother.map(seen["end"]) > AWAY
    mother = mother.mask(late.fillna(value=False) | ~seen["first"])
    root: dict[int, int] = {}
    for one in seen.sort_values("end", kind="stable").index:
        root[one] = one if pd.isna(mother[one]) else root[mother[one]]
    table = table.copy()
    for name, values in (
        ("true_track", track),
        ("true_parent", track.map(mother)),
        ("true_tree", track.map(root)),
    ):
        table[name] = pd.Series(values, dtype="Int64").reindex(table.index)
    return table
