"""Corrections from what a person sees: clone numbers and cells of the table as it is now."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError, ParamError
from rgbtrack.review.corrections import Assign, Exclude, Merge, Rename, Split
from rgbtrack.review.outcomes import count_cells
from rgbtrack.review.places import Key, anchors_of, places_of, rows_of
from rgbtrack.tables import CELLS


def merge_clones(
    cells: pd.DataFrame, clones: Sequence[int], *, who: str | None = None, note: str | None = None
) -> Merge:
    """Say that clones are one.

    Parameters
    ----------
    cells
        Called cells, as in ``cells.parquet``.
    clones
        Two or more numbers of clones in that table.
    who, note
        Who says so, and why.

    Returns
    -------
    correction
        To be added to ``review.jsonl`` with `append_correction`. The clone keeps the smallest of the numbers.

    Raises
    ------
    ParamError
        If fewer than two clones are named.
    DataError
        If the table has no such clone.
    """
    if len(set(clones)) < 2:
        raise ParamError(
            f"merge names clone {', '.join(map(str, clones)) or 'none'}: give two or more clones"
        )
    _check_clones(cells, clones)
    anchors = tuple(anchors_of(cells, clone) for clone in dict.fromkeys(clones))
    said = f"merge {' and '.join(_clone(cells, clone) for clone in dict.fromkeys(clones))}"
    return Merge(clones=anchors, said=said, who=who, note=note)


def split_clone(
    cells: pd.DataFrame,
    clone: int,
    groups: Sequence[Sequence[Key]],
    *,
    by_colour: bool = False,
    who: str | None = None,
    note: str | None = None,
) -> Split:
    """Say that a clone is several.

    Parameters
    ----------
    cells
        Called cells.
    clone
        Number of the clone in that table.
    groups
        Cells (image_id, frame, cell) of each part; all are of the clone.
    by_colour
        False: each group becomes a clone of its own, the rest stays. True: each cell of the clone goes to the
        group, of two or more, whose mean colour it fits best.
    who, note
        Who says so, and why.

    Raises
    ------
    ParamError
        If there are too few groups, or nothing would stay.
    DataError
        If the table has no such clone or cell, or a cell is of another clone or in two groups.
    """
    _check_clones(cells, [clone])
    rows = [rows_of(cells, list(group)) for group in groups]
    if not rows or not all(len(part) for part in rows) or (by_colour and len(rows) < 2):
        needed = "the cells of two or more parts" if by_colour else "the cells of each part"
        raise ParamError(f"split of clone {clone}: give {needed}, at least one cell for each")
    named = np.concatenate(rows)
    _check_members(cells, named, clone)
    if len(np.unique(named)) < len(named):
        raise DataError(f"split of clone {clone}: a cell is named twice: each belongs to one part")
    if not by_colour and len(rows) == 1 and len(named) == (cells["clone"] == clone).sum():
        raise ParamError(f"split of clone {clone}: these are all of its cells: leave some, or name two parts")
    parts = " and ".join(count_cells(len(part)) for part in rows)
    if by_colour:
        said = f"split {_clone(cells, clone)} by the colours of {parts}"
    else:
        said = f"split {parts} off {_clone(cells, clone)}"
    return Split(
        clone=anchors_of(cells, clone, without=named),
        groups=tuple(places_of(cells, part) for part in rows),
        rule="colour" if by_colour else "cells",
        said=said,
        who=who,
        note=note,
    )


def assign_cells(
    cells: pd.DataFrame,
    keys: Sequence[Key],
    clone: int | None,
    *,
    who: str | None = None,
    note: str | None = None,
) -> Assign:
    """Say which clone cells belong to; None for no clone.

    Parameters
    ----------
    cells
        Called cells.
    keys
        The cells (image_id, frame, cell).
    clone
        Number of the clone in that table.
    who, note
        Who says so, and why.

    Raises
    ------
    ParamError
        If no cell is named.
    DataError
        If the table has no such clone or cell.
    """
    if clone is not None:
        _check_clones(cells, [clone])
    named, rows = _named(cells, keys), rows_of(cells, list(keys))
    to = "no clone" if clone is None else _clone(cells, clone)
    return Assign(
        cells=named,
        clone=None if clone is None else anchors_of(cells, clone, without=rows) or anchors_of(cells, clone),
        said=f"assign {count_cells(len(rows))} to {to}",
        who=who,
        note=note,
    )


def exclude_cells(
    cells: pd.DataFrame,
    keys: Sequence[Key],
    reason: str,
    *,
    who: str | None = None,
    note: str | None = None,
) -> Exclude:
    """Say that cells must not count.

    Parameters
    ----------
    cells
        Cells.
    keys
        The cells (image_id, frame, cell).
    reason
        Why, as "debris"; it ends up in ``unassigned_reason``.
    who, note
        Who says so, and more.

    Raises
    ------
    ParamError
        If no cell is named, or no reason is given.
    DataError
        If the table has no such cell.
    """
    if not reason.strip():
        raise ParamError("exclude without a reason: say why the cells do not count, as 'debris'")
    said = f"exclude {count_cells(len(keys))}: {reason.strip()}"
    return Exclude(cells=_named(cells, keys), reason=reason, said=said, who=who, note=note)


def rename_clone(
    cells: pd.DataFrame, clone: int, name: str, *, who: str | None = None, note: str | None = None
) -> Rename:
    """Give a clone a name, shown beside its number.

    Parameters
    ----------
    cells
        Called cells.
    clone
        Number of the clone in that table.
    name
        Its name.
    who, note
        Who says so, and why.

    Raises
    ------
    ParamError
        If the name is empty.
    DataError
        If the table has no such clone.
    """
    if not name.strip():
        raise ParamError(f"rename of clone {clone} without a name: give one, as 'big red'")
    _check_clones(cells, [clone])
    said = f"name {_clone(cells, clone)} {name.strip()!r}"
    return Rename(clone=anchors_of(cells, clone), name=name, said=said, who=who, note=note)


def _named(cells: pd.DataFrame, keys: Sequence[Key]) -> tuple:
    if not keys:
        raise ParamError("no cell is named: give one or more, as (image_id, frame, cell)")
    return places_of(cells, rows_of(cells, list(keys)))


def _check_clones(cells: pd.DataFrame, clones: Sequence[int]) -> None:
    CELLS.check(cells, need=["clone"])
    known = sorted(int(number) for number in cells["clone"].dropna().unique())
    unknown = [str(clone) for clone in dict.fromkeys(clones) if clone not in known]
    if unknown:
        raise DataError(
            f"the table has no clone {', '.join(unknown)}; it has {', '.join(map(str, known)) or 'none'}"
        )


def _check_members(cells: pd.DataFrame, rows: np.ndarray, clone: int) -> None:
    here = cells.iloc[rows]
    others = here[here["clone"].to_numpy(float, na_value=np.nan) != clone]
    if len(others):
        first = others.iloc[0]
        now = (
            "no clone"
            if np.isnan(float(others["clone"].to_numpy(float, na_value=np.nan)[0]))
            else f"clone {first['clone']}"
        )
        raise DataError(
            f"split of clone {clone}: cell {first['image_id']}:{first['frame']}:{first['cell']} is of {now}: "
            f"name cells of clone {clone} only"
        )


def _clone(cells: pd.DataFrame, clone: int) -> str:
    """A clone in words, with its size, to see that it is the one that was meant."""
    return f"clone {clone} ({count_cells(int((cells['clone'] == clone).sum()))})"
