"""Links between cells, cut and joined by hand: tracks and families as a person sees them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.review.corrections import Correction, Cut, Join
from rgbtrack.review.outcomes import Told, outcome_table
from rgbtrack.review.places import CENTROID, Ints, Key, locate, places_of, rows_of
from rgbtrack.review.undo import undone_by
from rgbtrack.tables import CELLS, check_tracks, track_links, tracks_of_links

LINKED = ("track", "parent", "tree", "link_probability")
"""Columns that linking adds to cells; all of them, or none where no image is a time series."""
NO_TRACKS = "there are no tracks: links are between the cells of a time series"


def apply_links(cells: pd.DataFrame, corrections: Sequence[Correction]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut and join links by hand, in the order in which that was asked for.

    Parameters
    ----------
    cells
        Linked cells, with ``image_id, frame, cell``, centroids and ``track, parent``.
    corrections
        From `read_review`; only those of links are made.

    Returns
    -------
    cells
        The table with ``track, parent, tree`` renewed in the images concerned; ``link_probability`` is
        missing where a person decided. A track keeps the number of its first cell, what is cut off gets the
        next that is free.
    outcomes
        One row per correction of links; see `rgbtrack.tables.REVIEW`. One that would give a cell two cells
        before it, or three daughters, is not made: a conflict.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "frame": [0, 1, 2], "cell": 1, "track": 1, "parent": pd.NA})
    >>> cells = cells.assign(z_um=0.0, y_um=0.0, x_um=[0.0, 2.0, 4.0], area_um2=100.0)
    >>> cut, outcomes = apply_links(cells, [cut_link(cells, ("a", 2, 1))])
    >>> cut["track"].tolist(), outcomes["outcome"].item()
    ([1, 1, 2], 'a:2:1 no longer follows a:1:1')
    """
    mine = [correction for correction in corrections if isinstance(correction, Cut | Join)]
    undone = undone_by(corrections)
    told = {
        one.id: Told("undone", words=[f"taken back by {undone[one.id]}"]) for one in mine if one.id in undone
    }
    mine = [one for one in mine if one.id not in undone]
    if "track" not in cells:
        told |= {one.id: Told("conflict", words=[NO_TRACKS]) for one in mine}
    elif mine:
        images = {place.image_id for one in mine for place in one.places}
        rows = np.flatnonzero(cells["image_id"].astype("str").isin(images))
        here = _narrow(cells).iloc[rows].reset_index(drop=True)
        before = cells_before(here)
        after = before.copy()
        found = locate(here, (place for one in mine for place in one.places))
        decided: list[int] = []
        for one in mine:
            first, second = (found.get(place) for place in one.places)
            if first is None or second is None:
                n = (first is None) + (second is None)
                told[one.id] = Told("conflict", n_missing=n, words=["a cell of the link was not found"])
                continue
            told[one.id] = (_cut if isinstance(one, Cut) else _join)(here, after, first, second)
            if told[one.id].status == "applied":
                decided.append(second)
        cells = _relinked(cells, rows, here, before, after, decided)
    return cells, outcome_table(corrections, told)


def cut_link(cells: pd.DataFrame, key: Key, *, who: str | None = None, note: str | None = None) -> Cut:
    """Say that a cell does not follow, or descend from, the cell before it.

    Parameters
    ----------
    cells
        Linked cells, as in ``cells.parquet``.
    key
        Image, frame and number of the later cell.
    who, note
        Who says so, and why.

    Raises
    ------
    DataError
        If the table has no tracks or no such cell, or it follows none.
    """
    here, (row,) = _of_one_image(cells, [key])
    before = int(cells_before(here)[row])
    if before < 0:
        raise DataError(f"cell {_name(here, row)} follows no cell: there is no link to cut")
    earlier, later = (places_of(here, np.array([k]))[0] for k in (before, row))
    said = f"cut the link from {_name(here, before)} to {_name(here, row)}"
    return Cut(before=earlier, cell=later, said=said, who=who, note=note)


def join_cells(
    cells: pd.DataFrame, earlier: Key, later: Key, *, who: str | None = None, note: str | None = None
) -> Join:
    """Say that a cell continues, or descends from, one of an earlier frame.

    Parameters
    ----------
    cells
        Linked cells.
    earlier, later
        Image, frame and number of the two. Where a cell follows the earlier one already, it divides.
    who, note
        Who says so, and why.

    Raises
    ------
    DataError
        If the table has no tracks or no such cells, they are of two images or in the wrong order, the later
        one follows another cell, or the earlier one divides already.
    """
    if earlier[0] != later[0]:
        raise DataError(f"cells of two images, {earlier[0]} and {later[0]}: a track lies in one image")
    here, (first, second) = _of_one_image(cells, [earlier, later])
    before = cells_before(here)
    if before[second] == first:
        raise DataError(f"cell {_name(here, second)} follows {_name(here, first)} already")
    problem = _why_not(here, before, first, second)
    if problem:
        raise DataError(f"{problem}: cut a link first" if "already" in problem else problem)
    divides = " as a daughter" if (before == first).any() else ""
    places = [places_of(here, np.array([k]))[0] for k in (first, second)]
    said = f"join {_name(here, second)} to {_name(here, first)}{divides}"
    return Join(earlier=places[0], later=places[1], said=said, who=who, note=note)


def cells_before(cells: pd.DataFrame) -> Ints:
    """Position of the cell that each cell follows or descends from, shape (n,); -1 where there is none."""
    tracked = check_tracks(cells.assign(_row=np.arange(len(cells))))
    source, target = track_links(tracked)
    row = tracked["_row"].to_numpy(np.int64)
    before = np.full(len(cells), -1, dtype=np.int64)
    before[row[target]] = row[source]
    return before


def _cut(cells: pd.DataFrame, before: Ints, first: int, second: int) -> Told:
    later, earlier = _name(cells, second), _name(cells, first)
    if before[second] != first:
        now = f"it follows {_name(cells, int(before[second]))}" if before[second] >= 0 else "it follows none"
        return Told("nothing", words=[f"{later} does not follow {earlier}: {now}"])
    before[second] = -1
    return Told("applied", 1, words=[f"{later} no longer follows {earlier}"])


def _join(cells: pd.DataFrame, before: Ints, first: int, second: int) -> Told:
    later, earlier = _name(cells, second), _name(cells, first)
    if before[second] == first:
        return Told("nothing", words=[f"{later} follows {earlier} already"])
    problem = _why_not(cells, before, first, second)
    if problem:
        return Told("conflict", words=[problem])
    sisters = np.flatnonzero(before == first)
    before[second] = first
    beside = f", which divides: its other daughter is {_name(cells, int(sisters[0]))}" if len(sisters) else ""
    return Told("applied", 1, words=[f"{later} follows {earlier}{beside}"])


def _why_not(cells: pd.DataFrame, before: Ints, first: int, second: int) -> str:
    """Why a cell cannot follow another; nothing where it can."""
    later, earlier = _name(cells, second), _name(cells, first)
    image, frame = cells["image_id"], cells["frame"]
    if image[first] != image[second]:
        return f"{earlier} and {later} are of two images: a track lies in one"
    if frame[first] >= frame[second]:
        return f"{earlier} is not in an earlier frame than {later}: a cell follows one of a frame before"
    if before[second] >= 0:
        return f"{later} follows {_name(cells, int(before[second]))} already, and no cell has two before it"
    daughters = np.flatnonzero(before == first)
    if len(daughters) > 1:
        names = " and ".join(_name(cells, int(row)) for row in daughters)
        return f"{earlier} divides into {names} already, and no cell has three daughters"
    return ""


def _relinked(
    cells: pd.DataFrame, rows: Ints, here: pd.DataFrame, before: Ints, after: Ints, decided: list[int]
) -> pd.DataFrame:
    """Cells with the tracks of other links, and no probability where a person decided."""
    result = cells.copy()
    if "link_probability" in cells:
        chance = cells["link_probability"].to_numpy(float, na_value=np.nan).copy()
        chance[rows[decided]] = np.nan
        result["link_probability"] = chance
    if (before == after).all():
        return result
    linked = np.flatnonzero(after >= 0)
    tracked = here["track"].notna().to_numpy(bool).copy()
    tracked[linked] = tracked[after[linked]] = True
    kept = np.flatnonzero(tracked)
    place = np.full(len(here), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    tracks = tracks_of_links(
        here["frame"].to_numpy(np.int64)[kept],
        place[after[linked]],
        place[linked],
        here["image_id"].astype("str").to_numpy()[kept],
        here["track"].to_numpy(float, na_value=np.nan)[kept],
    )
    for name in LINKED[:3]:
        values = (cells[name].astype("Int64") if name in cells else _missing(cells)).array.copy()
        values[rows[kept]] = tracks[name].astype("Int64").array
        result[name] = values
    return result


def _of_one_image(cells: pd.DataFrame, keys: Sequence[Key]) -> tuple[pd.DataFrame, list[int]]:
    """The image of some cells, and their positions in it."""
    if "track" not in cells:
        raise DataError(NO_TRACKS)
    row = rows_of(cells, keys)
    here = np.flatnonzero(cells["image_id"].astype("str") == keys[0][0])
    return _narrow(cells).iloc[here].reset_index(drop=True), np.searchsorted(here, row).tolist()


def _narrow(cells: pd.DataFrame) -> pd.DataFrame:
    """Columns that links need."""
    known = (*CELLS.key, *CENTROID, "area_um2", "volume_um3", "track", "parent")
    return cells[[name for name in known if name in cells]]


def _name(cells: pd.DataFrame, row: int) -> str:
    return ":".join(str(value) for value in cells[[*CELLS.key]].iloc[row])


def _missing(cells: pd.DataFrame) -> pd.Series:
    return pd.Series(pd.NA, index=cells.index, dtype="Int64")
