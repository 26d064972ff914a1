"""What the cells of a track know together: one colour, one clone."""

from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.link.movie import Floats, Ints
from rgbtrack.tables import CELLS, markers_of

SUREST = 0.999
"""No call of one cell counts for more than this."""
TRUSTED = 0.5
"""A daughter tells of her mother's clone if her birth is at least so probable."""


def track_signatures(cells: pd.DataFrame) -> pd.DataFrame:
    """Average the colour of each track over its frames.

    Frames are weighted by ``1 / (se^2 + flicker^2)``, the flicker being what the frames differ by beyond
    their standard errors (DerSimonian and Laird, Controlled Clinical Trials 7 (1986) 177).

    Parameters
    ----------
    cells
        From `link_cells`: ``image_id, frame, track, parent, tree`` and markers with ``<marker>_se``, and
        ``<marker>_systematic`` where there is one.

    Returns
    -------
    signatures
        One row per track; see `tables.TRACK_SIGNATURES`. Systematic errors are those of a frame, on
        average: they are the same in every frame, and no mean takes them off.

    Raises
    ------
    DataError
        If columns are missing, or there is no marker.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "frame": [0, 1], "track": 1, "parent": np.nan, "tree": 1})
    >>> cells = cells.assign(red=[90.0, 110.0], red_se=20.0)
    >>> track_signatures(cells)[["track", "n_frames", "red", "red_se"]].round(1)
       track  n_frames    red  red_se
    0      1         2  100.0    14.1
    """
    CELLS.check(cells, need=["image_id", "frame", "track", "parent", "tree"])
    markers = markers_of(cells)
    if not markers:
        raise DataError(
            f"cells table has no marker with a <marker>_se beside it; found {', '.join(cells.columns)}"
        )
    rows = cells[cells["track"].notna()]
    by = rows.groupby(["image_id", "track"], sort=True)
    table = by.agg(
        parent=("parent", "first"),
        tree=("tree", "first"),
        n_frames=("frame", "size"),
        first_frame=("frame", "min"),
        last_frame=("frame", "max"),
    ).reset_index()
    which = np.asarray(by.ngroup(), dtype=np.int64)
    for name in markers:
        x, se = (rows[column].to_numpy(float, na_value=np.nan) for column in (name, f"{name}_se"))
        table[name], table[f"{name}_se"] = _mean(x, se, which, len(table))
        if f"{name}_systematic" in rows:
            known = rows[f"{name}_systematic"].to_numpy(float, na_value=np.nan)
            table[f"{name}_systematic"] = np.sqrt(pd.Series(known**2).groupby(which).mean().to_numpy())
    return table.astype({"track": "Int64", "parent": "Int64", "tree": "Int64"})


def _mean(x: Floats, se: Floats, which: Ints, n: int) -> tuple[Floats, Floats]:
    """Weighted means of groups and their standard errors, NaN where nothing is known."""
    good = np.isfinite(x) & (se > 0)
    x, se, which = x[good], se[good], which[good]

    def add(values: Floats) -> Floats:
        return np.bincount(which, values, n).astype(float)

    with np.errstate(invalid="ignore", divide="ignore"):
        w = 1 / se**2
        first = add(w * x) / add(w)
        spare = np.bincount(which, minlength=n) - 1.0
        excess = add(w * (x - first[which]) ** 2) - spare
        flicker2 = np.where(spare > 0, np.maximum(excess, 0) / (add(w) - add(w * w) / add(w)), 0.0)
        w = 1 / (se**2 + flicker2[which])
        return add(w * x) / add(w), 1 / np.sqrt(add(w))


def track_clones(cells: pd.DataFrame) -> pd.DataFrame:
    """Say of which clone each track is, and which cells were called for another.

    A track is one clone, and so are mother and daughters. The calls of a track's cells are averaged, not
    added up, for its frames repeat one deviation from the clone's colour; those of a family's tracks add up,
    each weighted by how sure its birth is. A track whose own cells speak against its family
    more clearly than its birth is sure is left with its own clone.

    Parameters
    ----------
    cells
        Linked and called: ``image_id, frame, track, parent, link_probability``, and ``colour_clone,
        colour_probability`` (by colour alone), else ``clone, clone_probability``.

    Returns
    -------
    cells
        The table with ``track_clone, track_clone_probability`` (missing where no cell of the track was
        called) and ``clone_disagrees`` (the cell's own call is another; missing without one).

    Raises
    ------
    DataError
        If columns are missing.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "frame": [0, 1, 2], "track": 1, "parent": np.nan})
    >>> cells = cells.assign(link_probability=0.9, clone=[1, 1, 2], clone_probability=[0.9, 0.9, 0.6])
    >>> track_clones(cells)[["track_clone", "clone_disagrees"]]
       track_clone  clone_disagrees
    0            1            False
    1            1            False
    2            1             True
    """
    call = "colour" if {"colour_clone", "colour_probability"} <= set(cells.columns) else "clone"
    clone_name = "colour_clone" if call == "colour" else "clone"
    CELLS.check(
        cells,
        need=["image_id", "frame", "track", "parent", "link_probability", clone_name, f"{call}_probability"],
    )
    calls = cells[clone_name].to_numpy(float, na_value=np.nan)
    chance = cells[f"{call}_probability"].to_numpy(float, na_value=np.nan)
    tracked = cells["track"].notna().to_numpy()
    result = cells.assign(
        track_clone=pd.array([pd.NA] * len(cells), dtype="Int64"), track_clone_probability=np.nan
    )
    known = np.unique(calls[np.isfinite(calls) & tracked])
    if len(known):
        rows = np.flatnonzero(tracked)
        by = cells.iloc[rows].groupby(["image_id", "track"], sort=True)
        which = np.asarray(by.ngroup(), dtype=np.int64)
        evidence = _evidence(calls[rows], chance[rows], known, which, by.ngroups)
        best, sure = _along_families(evidence, cells.iloc[rows], known)
        numbers = _scatter(best[which].to_numpy(float, na_value=np.nan), rows, len(cells))
        result["track_clone"] = pd.array(numbers, dtype="Float64").astype("Int64")
        result["track_clone_probability"] = _scatter(sure[which], rows, len(cells))
    own = pd.array(np.where(np.isfinite(calls), calls, 0), dtype="Int64")
    differs = (result["track_clone"] != own).astype("boolean")
    result["clone_disagrees"] = differs.mask(~np.isfinite(calls) | result["track_clone"].isna())
    return result


def _scatter(values: Floats, rows: Ints, n: int) -> Floats:
    out = np.full(n, np.nan)
    out[rows] = values
    return out


def _evidence(calls: Floats, chance: Floats, known: Floats, which: Ints, n: int) -> Floats:
    """Log evidence of each track for each clone, the mean over its called cells, (n, clones)."""
    good = np.isfinite(calls)
    p = np.clip(np.nan_to_num(chance[good], nan=0.5), 1 - SUREST, SUREST)
    other = np.log((1 - p) / max(len(known) - 1, 1))
    number = np.bincount(which[good], minlength=n)
    base = np.bincount(which[good], other, n)
    column = np.searchsorted(known, calls[good])
    table = np.repeat(base[:, None], len(known), axis=1)
    np.add.at(table, (which[good], column), np.log(p) - other)
    return table / np.maximum(number, 1)[:, None]


def _along_families(evidence: Floats, cells: pd.DataFrame, known: Floats) -> tuple[Any, Floats]:
    """Clone of each track and how sure it is, by its cells and its family: sum-product on the tree."""
    in_time = cells.sort_values(["image_id", "track", "frame"], kind="stable")
    first = in_time.drop_duplicates(["image_id", "track"])
    n, k = evidence.shape
    place = {key: i for i, key in enumerate(zip(first["image_id"], first["track"], strict=True))}
    mother = np.full(n, -1)
    link = first["link_probability"].to_numpy(float, na_value=0.5)
    for i, (image, parent) in enumerate(zip(first["image_id"], first["parent"], strict=True)):
        if not pd.isna(parent) and link[i] >= TRUSTED:
            mother[i] = place.get((image, parent), -1)
    order = np.argsort(first["frame"].to_numpy(), kind="stable")
    upward = evidence.copy()
    message = np.zeros_like(evidence)
    for i in order[::-1]:
        like = np.exp(upward[i] - upward[i].max())
        share = link[i] * like + (1 - link[i]) * like.mean()
        message[i] = np.log(np.maximum(share, 1e-300))
        if mother[i] >= 0:
            upward[mother[i]] += message[i]
    belief = upward.copy()
    for i in order:
        j = mother[i]
        if j >= 0:
            rest = np.exp(belief[j] - message[i] - (belief[j] - message[i]).max())
            rest /= rest.sum()
            belief[i] = upward[i] + np.log(link[i] * rest + (1 - link[i]) / k)
    p = np.exp(belief - belief.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    best = pd.array(known[p.argmax(axis=1)].astype(np.int64), dtype="Int64")
    sure = p.max(axis=1)
    silent = np.ptp(belief, axis=1) < 1e-12 if k > 1 else np.abs(evidence).max(axis=1) == 0
    best[silent] = pd.NA
    sure[silent] = np.nan
    return best, sure
