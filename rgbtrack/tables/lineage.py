"""Tracks as links between cells, and links as tracks: who follows whom, and what cannot be."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rgbtrack.errors import DataError
from rgbtrack.tables.tracks import TRACKED

Ints = NDArray[np.integer[Any]]


def check_tracks(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the tracked cells in order of image, track and frame, if they can be tracks.

    Parameters
    ----------
    cells
        Tracked cells; see `rgbtrack.tables.TRACKED`. Cells without a track are dropped. Without ``parent`` no
        division is known.

    Returns
    -------
    tracked
        Sorted, ``track`` and ``parent`` as Int64, ``tree`` found anew.

    Raises
    ------
    DataError
        If a cell is in two tracks, a track has two cells in a frame or two parents, or a parent is not in
        the image or does not end before its daughter begins: all of it at once.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "frame": [0, 1, 1], "cell": [1, 1, 2]})
    >>> check_tracks(cells.assign(track=[4, 7, 9], parent=[None, 4, 4]))["tree"].tolist()
    [4, 4, 4]
    """
    TRACKED.check(cells, need=["image_id", "frame", "track"])
    TRACKED.check(cells, need=["cell"])
    parent = cells["parent"] if "parent" in cells.columns else pd.Series(pd.NA, index=cells.index)
    tracked = cells.assign(parent=whole_numbers(parent), track=whole_numbers(cells["track"]))
    tracked = tracked[tracked["track"].notna()].astype({"image_id": "str"})
    tracked["frame"] = whole_numbers(tracked["frame"], blanks=False).astype("int64")
    tracked = tracked.sort_values(["image_id", "track", "frame"], kind="stable", ignore_index=True)
    problems = [*_repeats(tracked), *_parents(tracked)]
    if problems:
        raise DataError("\n".join(problems))
    # written in one row of a track, it holds for all
    tracked["parent"] = tracked.groupby(["image_id", "track"])["parent"].transform("first").astype("Int64")
    return tracked.assign(tree=_trees(tracked))


def whole_numbers(column: pd.Series, *, blanks: bool = True) -> pd.Series:
    """Numbers of cells, tracks or frames as Int64.

    Parameters
    ----------
    column
        From a file, of any type.
    blanks
        Whether some may be missing.

    Raises
    ------
    DataError
        If any is no whole number, or missing.

    Examples
    --------
    >>> whole_numbers(pd.Series([1.0, None], name="track")).tolist()
    [1, <NA>]
    >>> whole_numbers(pd.Series(["1", "a"], name="track"))
    Traceback (most recent call last):
    rgbtrack.errors.DataError: column track should hold whole numbers, found 'a'
    """
    if pd.api.types.is_signed_integer_dtype(column) and not column.hasnans:
        return column.astype("Int64")
    numbers = pd.to_numeric(column, errors="coerce").astype("Float64")
    good = (numbers.abs() < 2**63) & (numbers == numbers.round())
    bad = ~good.fillna(value=False) & (column.notna() if blanks else True)
    if bad.any():
        raise DataError(
            f"column {column.name} should hold whole numbers, found {str(column[bad].iloc[0])[:40]!r}"
        )
    return numbers.astype("Int64")


def _repeats(tracked: pd.DataFrame) -> list[str]:
    problems = []
    twice = tracked.duplicated(["image_id", "frame", "cell"], keep=False)
    if twice.any():
        first = tracked[twice].sort_values(["image_id", "frame", "cell"], kind="stable").iloc[:2]
        problems.append(
            f"{int(twice.sum()) - len(tracked[twice].drop_duplicates(list(TRACKED.key)))} cells are in "
            "two tracks, the first is "
            f"cell {first['cell'].iloc[0]} of frame {first['frame'].iloc[0]}, image "
            f"{first['image_id'].iloc[0]}, in "
            f"tracks {first['track'].iloc[0]} and {first['track'].iloc[1]}: a cell is in one track"
        )
    branch = tracked.duplicated(["image_id", "track", "frame"]) & ~twice
    if branch.any():
        row = tracked[branch].iloc[0]
        problems.append(
            f"{tracked.loc[branch, ['image_id', 'track']].drop_duplicates().shape[0]} tracks have several "
            "cells in a "
            f"frame, the first is track {row['track']} in frame {row['frame']} of image "
            f"{row['image_id']}: a "
            f"track is one cell; give daughters tracks of their own, with parent {row['track']}"
        )
    return problems


def _parents(tracked: pd.DataFrame) -> list[str]:
    problems = []
    key = ["image_id", "track"]
    written = tracked.loc[tracked["parent"].notna(), [*key, "parent"]].drop_duplicates()
    several = written[written.duplicated(key)]
    if len(several):
        first = several.iloc[0]
        problems.append(
            f"{len(several.drop_duplicates(key))} tracks have more than one parent, the first is track "
            f"{first['track']} of image {first['image_id']}: a track has one mother, or none"
        )
        return problems
    tracks = tracked.groupby(["image_id", "track"])
    ends = tracks["frame"].agg(["min", "max"]).assign(parent=tracks["parent"].first()).reset_index()
    ends["track"] = ends["track"].astype("Int64")
    born = ends[ends["parent"].notna()].merge(
        ends[["image_id", "track", "max"]].rename(columns={"track": "parent", "max": "parent_end"}),
        on=["image_id", "parent"],
        how="left",
    )
    unknown = born[born["parent_end"].isna()]
    if len(unknown):
        first = unknown.iloc[0]
        elsewhere = sorted(ends.loc[ends["track"] == first["parent"], "image_id"].unique())
        where = (
            f"; it is one of image {', '.join(elsewhere[:3])}: a track lies in one image" if elsewhere else ""
        )
        problems.append(
            f"{len(unknown)} tracks have a parent that is no track of their image, the first is track "
            f"{first['track']} of image {first['image_id']} with parent {first['parent']}{where}"
        )
    late = born[born["parent_end"] >= born["min"]]
    if len(late):
        first = late.iloc[0]
        problems.append(
            f"{len(late)} tracks begin before their parent ends, the first is track {first['track']} of "
            "image "
            f"{first['image_id']}: it begins in frame {first['min']}, its parent {first['parent']} ends "
            "in frame "
            f"{first['parent_end']}: a mother ends where she divides"
        )
    return problems


def _trees(tracked: pd.DataFrame) -> pd.Series:
    """Root track of each row's family."""
    tracks = tracked.drop_duplicates(["image_id", "track"])[["image_id", "track", "parent"]]
    tree = tracks["track"].copy()
    known = pd.Series(tracks["parent"].array, index=pd.MultiIndex.from_frame(tracks[["image_id", "track"]]))
    up = tracks["parent"]
    while up.notna().any():  # one generation a round
        tree = up.where(up.notna(), tree)
        index = pd.MultiIndex.from_arrays([tracks["image_id"], up])
        up = pd.Series(known.reindex(index).array, index=tracks.index)
    return tracked[["image_id", "track"]].merge(
        tracks.assign(tree=tree), on=["image_id", "track"], how="left"
    )["tree"]


def track_links(tracked: pd.DataFrame) -> tuple[Ints, Ints]:
    """Links of tracked cells, from the cell before or from the mother's last cell.

    Parameters
    ----------
    tracked
        From `check_tracks`.

    Returns
    -------
    source, target
        Positions of rows, shape (links,).
    """
    if tracked.empty:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    group = tracked.groupby(["image_id", "track"], sort=False).ngroup().to_numpy()
    first = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.append(first[1:], len(group)) - 1
    inside = np.flatnonzero(np.diff(group, prepend=-1) == 0)
    place = pd.Series(last, index=pd.MultiIndex.from_frame(tracked.iloc[first][["image_id", "track"]]))
    born = first[tracked["parent"].iloc[first].notna().to_numpy()]
    mothers = pd.MultiIndex.from_frame(
        tracked.iloc[born][["image_id", "parent"]], names=["image_id", "track"]
    )
    source = np.concatenate([inside - 1, place.reindex(mothers).to_numpy(np.int64)])
    return source.astype(np.int64), np.concatenate([inside, born]).astype(np.int64)


def tracks_of_links(
    frame: Ints,
    source: Ints,
    target: Ints,
    image_id: NDArray | None = None,
    number: NDArray | None = None,
) -> pd.DataFrame:
    """Tracks of cells that are linked: a cell followed by one is the same track, by several a mother.

    Parameters
    ----------
    frame
        Of each cell, shape (n,).
    source, target
        Positions of linked cells, shape (links,), the earlier first.
    image_id
        Of each cell, shape (n,); default: all of one image. Tracks are numbered from 1 in each image, by
        their first frame.
    number
        Track in which each cell was before, NaN where in none, shape (n,): a track keeps the number of its
        first cell, the earliest track where several would.

    Returns
    -------
    tracks
        One row per cell: ``track, parent, tree``.

    Raises
    ------
    DataError
        If a cell has two cells before it, or a link leads backward in time or to another image.

    Examples
    --------
    >>> tracks_of_links(np.array([0, 1, 2, 2]), np.array([0, 1, 1]), np.array([1, 2, 3]))
       track  parent  tree
    0      1    <NA>     1
    1      1    <NA>     1
    2      2       1     1
    3      3       1     1
    """
    n, frame = len(frame), np.asarray(frame)
    if number is not None:
        number = whole_numbers(pd.Series(number, name="track")).to_numpy(float, na_value=np.nan)
    images = np.zeros(n, np.int64) if image_id is None else pd.factorize(np.asarray(image_id), sort=True)[0]
    source, target = np.asarray(source, np.int64), np.asarray(target, np.int64)
    _check_links(frame, images, source, target)
    single = np.bincount(source, minlength=n)[source] == 1
    group = _components(n, source[single], target[single])
    family = _components(n, source, target)
    order = np.lexsort((np.arange(n), frame, images))
    groups, first = np.unique(group[order], return_index=True)
    start = order[first]  # first cell of each group
    rank = np.lexsort((start, frame[start], images[start]))
    track_of = _numbers(images[start], rank, None if number is None else number[start])
    track = track_of[group]
    mother_of = np.full(len(groups), -1)
    mother_of[group[target[~single]]] = track[source[~single]]
    mother = pd.Series(mother_of[group], dtype="Int64")
    families, first = np.unique(family[order], return_index=True)
    tree = track[order[first]][np.searchsorted(families, family)] if n else track
    return pd.DataFrame({"track": track, "parent": mother.where(mother >= 0), "tree": tree})


def _numbers(image: Ints, rank: Ints, known: NDArray[np.float64] | None) -> Ints:
    """Numbers of tracks in each image, from 1 by rank; those known are kept, once each."""
    number = np.zeros(len(image), np.int64)
    table = pd.DataFrame({"image": image, "known": np.nan if known is None else known}).iloc[rank]
    kept = table[table["known"].notna() & ~table.duplicated(["image", "known"])]
    number[kept.index] = kept["known"].astype(np.int64)
    new = table.drop(kept.index)
    top = kept.groupby("image")["known"].max().reindex(new["image"]).fillna(0).to_numpy(np.int64)
    number[new.index] = top + new.groupby("image").cumcount().to_numpy() + 1
    return number


def _check_links(frame: NDArray, images: Ints, source: Ints, target: Ints) -> None:
    problems = []
    twice = np.bincount(target, minlength=1) > 1
    if twice.any():
        problems.append(
            f"{int(twice.sum())} cells follow two cells each, the first in frame {frame[twice.argmax()]}: "
            f"tracks divide, but do not merge; keep one of them"
        )
    backward = frame[source] >= frame[target]
    if backward.any():
        k = np.flatnonzero(backward)[0]
        problems.append(
            f"{int(backward.sum())} links do not lead forward in time, the first from frame "
            f"{frame[source[k]]} to "
            f"{frame[target[k]]}"
        )
    across = images[source] != images[target]
    if across.any():
        problems.append(
            f"{int(across.sum())} links lead from one image to another: a track lies in one image"
        )
    if problems:
        raise DataError("\n".join(problems))


def _components(n: int, source: Ints, target: Ints) -> Ints:
    graph = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64) if n else np.empty(0, np.int64)
