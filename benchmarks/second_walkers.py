"""A second kind of movie to link, written apart from `rgbtrack.simulate`: cells that steer.

A cell keeps its speed and turns its heading a little each frame; it divides when its clock runs out, in the
place that it has got to, into two that lie close together; speeds and colours are handed down. Nothing here
is shared with the simulator that linking was made with.
"""

from typing import Any

import numpy as np
import pandas as pd

MARKERS = ["red", "green", "blue"]


def second_walkers(
    step: float,
    seed: int,
    *,
    n_frames: int = 30,
    n_cells: int = 120,
    n_clones: int = 12,
    spacing: float = 40.0,
    pixel_um: float = 0.5,
    open_field: bool = False,
    turn: float = 0.6,
    cycle: float = 90.0,
    sisters: float = 5.0,
    brightness: float = 0.35,
    own: float = 0.06,
    handed_down: float = 0.9,
    flicker: float = 0.08,
    counts: float = 800.0,
    dark: float = 12.0,
    grows: bool = True,
    missed: float = 0.0,
    false_cells: float = 0.0,
) -> pd.DataFrame:
    """Cells table of one movie, with its truth.

    Parameters
    ----------
    step
        Mean step, share of the spacing.
    seed
        The same seed gives the same movie.
    n_frames, n_cells, n_clones
        Numbers; cells in the field of the first frame.
    spacing
        Root of the area per cell, px.
    pixel_um
        Size of a pixel, um.
    open_field
        Cells wander in and out; else walls turn them back.
    turn
        Sd of the change of heading in a frame, rad.
    cycle
        Mean frames from division to division (gamma, shape 6).
    sisters
        Mean distance of a newborn from the middle of the two, px.
    brightness, own
        ln sd over cells of one clone: of brightness, of each marker.
    handed_down
        Share of the variance of these that a daughter has from her mother.
    flicker
        ln sd of a marker of one cell from frame to frame.
    counts, dark
        Of a bright marker; standard error of no colour.
    grows
        Cells grow from division to division; else all are of one size, but for chance.
    missed, false_cells
        Shares of the cells.
    """
    rng = np.random.default_rng([seed, 77])
    side = spacing * np.sqrt(n_cells)
    margin = 3 * spacing * max(step, 0.3) if open_field else 0.0
    world = side + 2 * margin
    n = round(n_cells * (world / side) ** 2)
    clones = _clone_colours(n_clones, rng)
    place = rng.uniform(0, world, (n, 2))
    heading = rng.uniform(0, 2 * np.pi, n)
    pace = rng.gamma(9, 1 / 9, n)
    spread = np.array([brightness, own, own, own])
    traits = rng.normal(0, 1, (n, 4)) * spread
    clone = rng.permutation(np.arange(n) % n_clones)
    length = cycle * rng.gamma(6, 1 / 6, n)
    age = rng.uniform(0, 1, n) * length
    name, mother = np.arange(n), np.full(n, -1)
    names, rows = n, []
    for frame in range(n_frames):
        if frame:
            heading = heading + rng.normal(0, turn, n)
            gait = step * spacing * pace * rng.gamma(16, 1 / 16, n)
            place = place + gait[:, None] * np.column_stack([np.sin(heading), np.cos(heading)])
            place, heading = _walls(place, heading, world)
            age = age + 1
            splits = np.flatnonzero(age >= length)
            k = len(splits)
            if k:
                axis = rng.uniform(0, np.pi, k)
                apart = (sisters * rng.gamma(16, 1 / 16, k))[:, None] * np.column_stack(
                    [np.sin(axis), np.cos(axis)]
                )
                both = np.concatenate([splits, splits])
                keep = np.sqrt(handed_down)
                new = keep * traits[both] + np.sqrt(1 - handed_down) * rng.normal(0, 1, (2 * k, 4)) * spread
                stay = np.setdiff1d(np.arange(n), splits)

                def join(values: Any, daughters: Any, stay: Any = stay) -> Any:
                    return np.concatenate([values[stay], daughters])

                mother = join(mother, name[both])
                name = join(name, names + np.arange(2 * k))
                names += 2 * k
                place = join(place, np.concatenate([place[splits] + apart, place[splits] - apart]))
                heading = join(heading, rng.uniform(0, 2 * np.pi, 2 * k))
                pace, clone = join(pace, pace[both]), join(clone, clone[both])
                traits = join(traits, new)
                length = join(length, cycle * rng.gamma(6, 1 / 6, 2 * k))
                age = join(age, np.zeros(2 * k))
                n = len(name)
        seen = ((place >= margin) & (place < margin + side)).all(axis=1) & (rng.random(n) >= missed)
        at = np.flatnonzero(seen)
        x = np.exp(np.log(counts * clones[clone[at]] + 1e-9) + traits[at, :1] + traits[at, 1:])
        x = x * np.exp(rng.normal(0, flicker, x.shape))
        grown = 300.0 * (1 + np.minimum(age / length, 1)) / 1.5 if grows else np.full(n, 300.0)
        area = grown[at] * np.exp(rng.normal(0, 0.07, len(at)))
        part = pd.DataFrame({"true_track": name[at] + 1.0, "true_parent": mother[at] + 1.0})
        part["place"] = list(place[at] - margin + rng.normal(0, 0.5, (len(at), 2)))
        n_false = rng.poisson(false_cells * len(at))
        if n_false:
            ghosts = pd.DataFrame({"true_track": np.full(n_false, np.nan), "true_parent": np.nan})
            ghosts["place"] = list(rng.uniform(0, side, (n_false, 2)))
            part = pd.concat([part, ghosts], ignore_index=True)
            x = np.vstack([x, x[rng.integers(0, len(x), n_false)] * rng.lognormal(0, 0.4, (n_false, 3))])
            area = np.append(area, rng.uniform(60, 350, n_false))
        error = np.sqrt(dark**2 + 1.5 * x)
        x = x + rng.normal(0, error)
        part[["y_um", "x_um"]] = np.array(part.pop("place").tolist()).reshape(-1, 2) * pixel_um
        part["area_um2"] = area * pixel_um**2
        for j, marker in enumerate(MARKERS):
            part[marker], part[f"{marker}_se"] = x[:, j], error[:, j]
        part = part.sample(frac=1, random_state=int(rng.integers(1 << 31)))
        rows.append(part.assign(image_id="second", frame=frame, cell=np.arange(1, len(part) + 1)))
    table = pd.concat(rows, ignore_index=True)
    table["true_parent"] = table["true_parent"].where(table["true_parent"] > 0)
    return _seen(table)


def _clone_colours(n: int, rng: np.random.Generator) -> np.ndarray:
    """Markers of each clone, 1 for a bright one: copies of each vector, at least one, of uneven strength."""
    copies = rng.poisson(0.9, (n, 3))
    none = copies.sum(axis=1) == 0
    copies[none, rng.integers(0, 3, none.sum())] = 1
    return np.asarray(copies * rng.lognormal(0, 0.4, (n, 3)) / 1.5 + 0.01)


def _walls(place: np.ndarray, heading: np.ndarray, world: float) -> tuple[np.ndarray, np.ndarray]:
    low, high = place < 0, place > world
    place = np.where(low, -place, np.where(high, 2 * world - place, place))
    down, right = np.sin(heading), np.cos(heading)
    out = low | high
    down, right = np.where(out[:, 0], -down, down), np.where(out[:, 1], -right, right)
    return np.clip(place, 0, world), np.arctan2(down, right)


def _seen(table: pd.DataFrame) -> pd.DataFrame:
    """Truth of what can be seen: a cell out of the field for more than two frames comes back as another.

    A division is one if the mother was seen at most three frames before both daughters.
    """
    rows = table[table["true_track"].notna()].sort_values(["true_track", "frame"])
    gap = rows.groupby("true_track")["frame"].diff().fillna(1) > 3
    part = gap.groupby(rows["true_track"]).cumsum()
    code = rows.groupby(["true_track", part.astype(int)], sort=True).ngroup() + 1
    first = pd.DataFrame(
        {"code": code, "old": rows["true_track"], "frame": rows["frame"], "parent": rows["true_parent"]}
    )
    ends = first.groupby("code").agg(old=("old", "first"), last=("frame", "max"))
    last_of = ends.reset_index().groupby("old")["code"].max()
    starts = first.groupby("code").agg(
        begin=("frame", "min"), parent=("parent", "first"), old=("old", "first")
    )
    head = ~starts.duplicated("old")
    mother = starts["parent"].map(last_of).where(head)
    late = starts["begin"] - mother.map(ends["last"]) > 3
    table = table.copy()
    table["true_track"] = code.reindex(table.index)
    table["true_parent"] = table["true_track"].map(mother.where(~late))
    return table
