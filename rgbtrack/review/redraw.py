"""Outlines changed by hand: as a correction, and made again on labels that a later run found."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.review.corrections import Correction, Outline, Place, Redraw
from rgbtrack.review.masks import Box, Labels, boxes_of, decode, encode, pixels_of, say_changes
from rgbtrack.review.outcomes import count_cells
from rgbtrack.review.places import locate, places_of, rows_of
from rgbtrack.review.undo import undone_by

COVERED = 0.5
"""A cell of which an outline drawn by hand covers more than this share is the same cell, found otherwise."""


@dataclass(frozen=True)
class Redrawn:
    """What came of one correction of outlines.

    Attributes
    ----------
    status
        As in `rgbtrack.tables.REVIEW`.
    words
        What was done, or why not.
    cells
        Labels that were drawn.
    n_erased
        Cells that are no longer there.
    n_missing
        Former cells that were not found.
    """

    status: str
    words: str
    cells: list[int] = field(default_factory=list)
    n_erased: int = 0
    n_missing: int = 0


def redraw_cells(
    cells: pd.DataFrame,
    before: Labels,
    after: Labels,
    *,
    image_id: str,
    frame: int,
    who: str | None = None,
    note: str | None = None,
) -> Redraw:
    """Say that outlines are others.

    Parameters
    ----------
    cells
        Cells of the outlines before, as in ``cells.parquet``.
    before, after
        Labels of one frame, (z, y, x), by their number in the table; new cells have numbers of their own.
    image_id, frame
        Which frame.
    who, note
        Who says so, and why.

    Returns
    -------
    correction
        To be added to ``review.jsonl`` with `append_correction`.

    Raises
    ------
    DataError
        If nothing differs, the shapes do, or a cell that changed is not in the table.
    """
    if before.shape != after.shape or before.ndim != 3:
        raise DataError(
            f"redraw of {image_id}: outlines have shape {after.shape}, those before {before.shape}: give "
            f"both as (z, y, x) of one frame"
        )
    differs = before != after
    if not differs.any():
        raise DataError(f"redraw of {image_id}: the outlines are as they were: change some first")
    inside = np.union1d(before[differs], after[differs])
    numbers = [int(number) for number in inside[inside > 0]]
    was, now = pixels_of(before, numbers), pixels_of(after, numbers)
    rows = rows_of(cells, [(image_id, frame, number) for number in was])
    former = dict(zip(was, places_of(cells, rows), strict=True))
    outlines = [
        Outline(was=former.get(n), cell=n, mask=encode(now[n]) if n in now else None) for n in numbers
    ]
    where = image_id if frame == 0 else f"{image_id}, frame {frame}"
    said = f"redraw {count_cells(len(numbers))} of {where}: {say_changes(before, after, was, now)}"
    return Redraw(image_id=image_id, frame=frame, outlines=tuple(outlines), said=said, who=who, note=note)


def standing_redraws(corrections: Sequence[Correction], image_id: str) -> tuple[Redraw, ...]:
    """Corrections of an image's outlines that were not taken back, in their order."""
    undone = undone_by(corrections)
    return tuple(
        correction
        for correction in corrections
        if isinstance(correction, Redraw) and correction.image_id == image_id and correction.id not in undone
    )


def apply_redraws(
    labels: Labels,
    redraws: Sequence[Redraw],
    *,
    image_id: str,
    frame: int,
    voxel_um: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> tuple[Labels, dict[str, Redrawn]]:
    """Make outlines again that were changed by hand.

    Parameters
    ----------
    labels
        Of one frame, (z, y, x), as they were segmented.
    redraws
        From `standing_redraws`, in their order.
    image_id, frame
        Which frame: corrections of others are passed over.
    voxel_um
        Size of a voxel, (z, y, x), as the centroids of the tables have it.

    Returns
    -------
    labels
        A copy with the corrections made.
    redrawn
        What came of each, by its id.

    Notes
    -----
    A cell is found again as `locate` finds it: the nearest centroid within the radius that it had. Its pixels
    are taken off, then the outline is drawn. What it covers of another cell stays with that cell, unless it
    covers more than half of it: that cell is then the one that was drawn, found otherwise, and goes. A cell
    keeps the number that it has in `labels`; a new one has that of the correction where it is free.
    """
    own = [redraw for redraw in redraws if (redraw.image_id, redraw.frame) == (image_id, frame)]
    if not own:
        return labels, {}
    drawing = _Drawing.of(labels, voxel_um)
    return drawing.labels, {redraw.id: _draw(drawing, redraw) for redraw in own}


@dataclass
class _Drawing:
    """Outlines while they are changed: where each cell lies, so that only its surroundings are looked at."""

    labels: Labels
    voxel_um: tuple[float, float, float]
    boxes: dict[int, Box]

    @classmethod
    def of(cls, labels: Labels, voxel_um: tuple[float, float, float]) -> "_Drawing":
        """Begin with a copy of labels."""
        return cls(labels.copy(), voxel_um, boxes_of(labels))

    def erase(self, number: int) -> None:
        """Take a cell off."""
        part = self.labels[self.boxes.pop(number)]
        part[part == number] = 0

    def paint(self, number: int, box: Box, mask: NDArray[np.bool_]) -> bool:
        """Give a new cell the pixels of a mask that are free; whether there are any."""
        part = self.labels[box]
        part[mask & (part == 0)] = number
        if not (part == number).any():
            return False
        self.boxes[number] = box
        return True

    def near(self, places: Sequence[Place]) -> pd.DataFrame:
        """Cells that may have a centroid within the radius of a place, as the tables have them."""
        numbers = np.array(list(self.boxes), np.int64)
        spans = np.array([[(s.start, s.stop - 1) for s in box] for box in self.boxes.values()], float)
        voxel = np.array(self.voxel_um)
        first, last = (spans.reshape(-1, 3, 2)[:, :, k] * voxel for k in (0, 1))
        reached = np.zeros(len(numbers), bool)
        for place in places:
            at = np.array([place.z_um, place.y_um, place.x_um])
            off = np.maximum(first - at, 0) + np.maximum(at - last, 0)
            reached |= np.linalg.norm(off, axis=1) <= place.radius_um + voxel.max()
        cells = numbers[reached]
        table = pd.DataFrame({"image_id": places[0].image_id, "frame": places[0].frame, "cell": cells})
        middle = np.array([self._centroid(int(number)) for number in cells]).reshape(-1, 3)
        return table.assign(z_um=middle[:, 0], y_um=middle[:, 1], x_um=middle[:, 2])

    def _centroid(self, number: int) -> NDArray[np.float64]:
        box = self.boxes[number]
        inside = np.nonzero(self.labels[box] == number)
        return np.asarray((np.mean(inside, axis=1) + [s.start for s in box]) * self.voxel_um)


def _draw(drawing: _Drawing, redraw: Redraw) -> Redrawn:
    """Make one correction."""
    found = dict[Place, int]()
    if redraw.former:
        table = drawing.near(redraw.former)
        rows = locate(table, redraw.former)
        found = {place: int(table["cell"].iloc[row]) for place, row in rows.items()}
    missing = sum(place not in found for place in redraw.former)
    for number in set(found.values()):
        drawing.erase(number)
    cells, n_erased = list[int](), 0
    for outline in redraw.outlines:
        if outline.mask is None:
            n_erased += outline.was in found
            continue
        box, mask = decode(outline.mask, drawing.labels.shape)
        number = found.get(outline.was, 0) if outline.was is not None else 0
        if not number or number in cells:
            taken = drawing.boxes.keys() | set(found.values())
            number = outline.cell if outline.cell not in taken else max(taken, default=0) + 1
        n_erased += _uncover(drawing, box, mask, cells)
        if drawing.paint(number, box, mask):
            cells.append(number)
    return _tell(redraw, cells, n_erased, missing)


def _uncover(drawing: _Drawing, box: Box, mask: NDArray[np.bool_], drawn: Sequence[int]) -> int:
    """Take off the cells that an outline covers for the most part, but those just drawn; how many."""
    numbers, under = np.unique(drawing.labels[box][mask], return_counts=True)
    covered = [
        int(number)
        for number, n in zip(numbers, under, strict=True)
        if number
        and number not in drawn
        and n > COVERED * (drawing.labels[drawing.boxes[int(number)]] == number).sum()
    ]
    for number in covered:
        drawing.erase(number)
    return len(covered)


def _tell(redraw: Redraw, cells: list[int], n_erased: int, missing: int) -> Redrawn:
    drawn = f"{len(cells)} drawn" if cells else ""
    gone = f"{n_erased} erased" if n_erased else ""
    lost = f"{missing} of {len(redraw.former)} former cells not found" if missing else ""
    words = ", ".join(part for part in (drawn, gone, lost) if part)
    if not cells and not n_erased:
        return Redrawn("conflict", words or "nothing is left to draw", n_missing=missing)
    return Redrawn("partly" if missing else "applied", words, cells, n_erased, missing)
