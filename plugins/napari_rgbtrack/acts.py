"""What a person can do to cells, clones, links and outlines: each act is declared once, with its key."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_rgbtrack.outlines import fuse_cells
from napari_rgbtrack.refit import refit_groups
from napari_rgbtrack.state import Review
from rgbtrack.errors import DataError
from rgbtrack.review import (
    Correction,
    assign_cells,
    cut_link,
    exclude_cells,
    give_verdict,
    join_cells,
    merge_clones,
    redraw_cells,
    rename_clone,
    split_clone,
)
from rgbtrack.review.corrections import Judged
from rgbtrack.review.places import Key, rows_of


@dataclass(frozen=True, eq=False)
class Asked:
    """What a person had chosen when an act was asked for.

    Attributes
    ----------
    cells
        Image, frame and number of each cell chosen.
    clones
        Clones chosen in the table.
    target
        Clone to assign cells to.
    reason, name, note
        In the person's words.
    audit, sample
        Name of the audit that goes on, "" where none does, and its cells.
    image_id, frame
        What is on the screen.
    before, after
        Outlines of that frame as they were, and as they were painted or are on the screen, (z, y, x).
    """

    cells: Sequence[Key] = ()
    clones: Sequence[int] = ()
    target: int | None = None
    reason: str = ""
    name: str = ""
    note: str | None = None
    audit: str = ""
    sample: Collection[Key] = ()
    image_id: str = ""
    frame: int = 0
    before: NDArray[Any] | None = None
    after: NDArray[Any] | None = None


Make = Callable[[Review, Asked], Correction]


@dataclass(frozen=True)
class Act:
    """One thing to do.

    Attributes
    ----------
    title, tip
        On its button, and what it does.
    key
        On the keyboard, as Qt writes keys.
    make
        The correction from what was chosen; raises RgbtrackError in words where that does not suffice.
    """

    title: str
    key: str
    tip: str
    make: Make


def _merge(review: Review, asked: Asked) -> Correction:
    clones = asked.clones if len(asked.clones) > 1 else _clones_of(review.cells, asked)
    if len(clones) < 2:
        raise DataError("merge: choose two or more clones in the table (Ctrl-click), or cells of them")
    return merge_clones(review.cells, clones, note=asked.note)


def _split(review: Review, asked: Asked) -> Correction:
    cells = _some(asked, "split")
    clones = _clones_of(review.cells, asked)
    if len(clones) != 1:
        raise DataError(
            f"split: the chosen cells are of {len(clones)} clones: choose cells of one clone, which become a "
            f"clone of their own"
        )
    return split_clone(review.cells, clones[0], [cells], note=asked.note)


def _refit(review: Review, asked: Asked) -> Correction:
    clones = asked.clones or _clones_of(review.cells, asked)
    if len(clones) != 1:
        raise DataError(f"refit: {len(clones)} clones are chosen: choose one, whose cells are fitted anew")
    groups = refit_groups(review.cells, clones[0])
    return split_clone(review.cells, clones[0], groups, by_colour=True, note=asked.note)


def _assign(review: Review, asked: Asked) -> Correction:
    cells = _some(asked, "assign")
    if asked.target is None:
        raise DataError("assign: choose the clone that the cells belong to, beside the button")
    return assign_cells(review.cells, cells, asked.target, note=asked.note)


def _unassign(review: Review, asked: Asked) -> Correction:
    return assign_cells(review.cells, _some(asked, "unassign"), None, note=asked.note)


def _exclude(review: Review, asked: Asked) -> Correction:
    cells = _some(asked, "exclude")
    if not asked.reason.strip():
        raise DataError("exclude: choose or type the reason, beside the button: the report lists it")
    return exclude_cells(review.cells, cells, asked.reason, note=asked.note)


def _rename(review: Review, asked: Asked) -> Correction:
    clones = asked.clones or _clones_of(review.cells, asked)
    if len(clones) != 1:
        raise DataError(f"rename: {len(clones)} clones are chosen: choose one in the table")
    others = review.clones[review.clones["clone"] != clones[0]]
    named = others.loc[others["clone_name"] == asked.name.strip(), "clone"]
    if len(named):
        raise DataError(
            f"rename: clone {named.iloc[0]} is named {asked.name.strip()} already: give another name, or "
            f"merge the two"
        )
    return rename_clone(review.cells, clones[0], asked.name, note=asked.note)


def _redraw(review: Review, asked: Asked) -> Correction:
    assert asked.before is not None  # noqa: S101 - the desk gives both
    assert asked.after is not None  # noqa: S101
    return redraw_cells(
        review.cells,
        asked.before,
        asked.after,
        image_id=asked.image_id,
        frame=asked.frame,
        note=asked.note,
    )


def _erase(review: Review, asked: Asked) -> Correction:
    numbers, outlines = _here(asked, "erase")
    after = np.where(np.isin(outlines, numbers), 0, outlines)
    return _redraw(review, _painted(asked, after))


def _fuse(review: Review, asked: Asked) -> Correction:
    numbers, outlines = _here(asked, "fuse")
    if len(numbers) < 2:
        raise DataError("fuse: choose two or more cells of this image that are one cell")
    return _redraw(review, _painted(asked, fuse_cells(outlines, numbers)))


def _cut(review: Review, asked: Asked) -> Correction:
    cells = _some(asked, "cut")
    if len(cells) != 1:
        raise DataError(f"cut: {len(cells)} cells are chosen: choose one, which is cut from the frame before")
    return cut_link(review.cells, cells[0], note=asked.note)


def _join(review: Review, asked: Asked) -> Correction:
    cells = sorted(_some(asked, "join"), key=lambda cell: cell[1])
    if len(cells) != 2 or cells[0][1] == cells[1][1]:
        raise DataError(
            f"join: {len(cells)} cells are chosen: choose two of different frames (Shift-click, with the "
            f"slider moved in between)"
        )
    return join_cells(review.cells, cells[0], cells[1], note=asked.note)


def _verdict(verdict: Judged) -> Make:
    def make(review: Review, asked: Asked) -> Correction:
        cells = _some(asked, verdict)
        if not asked.audit or len(cells) != 1:
            raise DataError("a verdict is on one cell of a sample: draw a sample to audit first")
        if cells[0] not in asked.sample:
            raise DataError(f"this cell is not of {asked.audit}: go to one that is, by 'Go on'")
        return give_verdict(review.cells, cells[0], verdict, audit=asked.audit, note=asked.note)

    return make


ACTS: dict[str, Act] = {
    "merge": Act("Merge clones", "Shift+M", "The clones chosen in the table become one", _merge),
    "split": Act("Split off", "Shift+S", "The chosen cells of a clone become a clone of their own", _split),
    "refit": Act(
        "Split by refit",
        "Shift+R",
        "Fit the chosen clone's cells anew, and part them where colours say so",
        _refit,
    ),
    "rename": Act("Rename", "Shift+N", "Give the chosen clone the name typed beside", _rename),
    "assign": Act("Assign", "Shift+A", "The chosen cells are of the clone named beside", _assign),
    "unassign": Act("Unassign", "Shift+U", "The chosen cells are of no clone", _unassign),
    "exclude": Act("Exclude", "Shift+X", "The chosen cells count nowhere, for the reason beside", _exclude),
    "redraw": Act("Keep", "Shift+K", "Keep the outlines as they are painted now", _redraw),
    "erase": Act(
        "Erase", "Shift+E", "The chosen outlines are no cells: they go from image and tables", _erase
    ),
    "fuse": Act("Fuse", "Shift+F", "The chosen outlines are one cell", _fuse),
    "cut": Act("Cut link", "Shift+C", "The chosen cell does not continue that of the frame before", _cut),
    "join": Act(
        "Join", "Shift+J", "The later of two chosen cells continues, or descends from, the other", _join
    ),
    "right": Act("Right", "Shift+Y", "The cell is of the clone it was called", _verdict("right")),
    "wrong": Act("Wrong", "Shift+W", "The cell is of another clone, of none, or no cell", _verdict("wrong")),
    "unclear": Act("Unclear", "Shift+Q", "It cannot be told by eye", _verdict("unclear")),
}


def _some(asked: Asked, what: str) -> list[Key]:
    if not asked.cells:
        raise DataError(f"{what}: no cell is chosen: click a cell, or draw around some")
    return list(asked.cells)


def _here(asked: Asked, what: str) -> tuple[list[int], NDArray[Any]]:
    """Numbers of the chosen cells that are on the screen, and the outlines there."""
    numbers = [cell for image, frame, cell in asked.cells if (image, frame) == (asked.image_id, asked.frame)]
    if not numbers or asked.before is None:
        raise DataError(f"{what}: no cell of the image on the screen is chosen: click its outline")
    return numbers, asked.before


def _painted(asked: Asked, after: NDArray[Any]) -> Asked:
    return Asked(
        image_id=asked.image_id, frame=asked.frame, note=asked.note, before=asked.before, after=after
    )


def _clones_of(cells: pd.DataFrame, asked: Asked) -> list[int]:
    """Clones of the chosen cells, in the order of their numbers."""
    clone = cells["clone"].iloc[rows_of(cells, asked.cells)]
    return sorted(int(number) for number in clone.dropna().unique())
