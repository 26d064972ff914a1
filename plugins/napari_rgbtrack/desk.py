"""What a viewer has under review: the one place that panels read, and ask for acts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from psygnal import Signal

from napari_rgbtrack.acts import ACTS, Asked
from napari_rgbtrack.colouring import Colouring, colour_cells
from napari_rgbtrack.jobs import Jobs
from napari_rgbtrack.scene import Scene, load_scene
from napari_rgbtrack.state import Review, add_correction, open_review, redo, undo
from rgbtrack.review import Undo
from rgbtrack.review.places import Key
from rgbtrack.tables import markers_of

if TYPE_CHECKING:
    import napari


class Desk:
    """A review, what of it is chosen and on the screen; slow work goes on in a thread, one piece at a time.

    Attributes
    ----------
    review
        What is under review.
    chosen
        Of each cell of ``review.cells``, whether it is chosen.
    clones
        Numbers of the clones chosen.
    image_id, frame
        What is on the screen.
    scene
        Its layers' data.
    colouring
        Colour of each cell.
    """

    changed = Signal()
    """Cells, clones or corrections are others."""
    shown = Signal()
    """Another image or frame is on the screen."""
    selected = Signal()
    """Other cells are chosen."""
    coloured = Signal()
    """Cells have other colours."""
    leaving = Signal()
    """What is on the screen is about to be left or changed: what was painted there must be kept first."""
    told = Signal(str, bool)
    """Words for the person, and whether they are of something that did not work."""
    busy = Signal(str)
    """What goes on in the thread; "" for nothing."""

    def __init__(self, viewer: "napari.Viewer", review: Review) -> None:
        self.viewer = viewer
        self.review = review
        self.chosen = np.zeros(len(review.cells), bool)
        self.clones: list[int] = []
        self.image_id = ""
        self.wanted = ""
        self.frame = 0
        self.scene: Scene | None = None
        self.by = "clone"
        self.audit = ""
        self.sample: frozenset[Key] = frozenset()
        self.settings: dict[str, Any] = {"note": None, "reason": "", "name": "", "target": None}
        self.jobs = Jobs(self.busy.emit, lambda _, words: self.told.emit(words, True))
        self._renew()

    # what is chosen

    def choose(self, rows: NDArray[Any] | Sequence[int], *, add: bool = False) -> None:
        """Choose cells by their rows; with `add` beside those chosen, where a single one is let go again."""
        rows = np.asarray(rows, np.int64)
        if add and len(rows) == 1:
            self.chosen[rows] = ~self.chosen[rows]
        else:
            if not add:
                self.chosen[:] = False
                self.clones = []
            self.chosen[rows] = True
        self.selected.emit()

    def choose_clones(self, clones: Sequence[int]) -> None:
        """Choose clones, and with them their cells."""
        self.clones = [int(clone) for clone in clones]
        self.chosen = self.review.cells["clone"].isin(self.clones).fillna(value=False).to_numpy(bool)
        self.selected.emit()

    def colour_by(self, by: str) -> None:
        """Colour cells by clone, or by a column."""
        self.by = by
        self._colour()
        self.coloured.emit()

    # what is on the screen

    def rows_of(self, image_id: str, frame: int | None = None) -> NDArray[np.int64]:
        """Rows of an image's cells, of one frame or all."""
        rows = self._rows.get(image_id, np.zeros(0, np.int64))
        return rows if frame is None else rows[self._frames[rows] == frame]

    def row_at(self, number: int) -> int | None:
        """Row of the cell of a number in what is on the screen; None for none."""
        rows = self.rows_of(self.image_id, self.frame)
        found = rows[self._numbers[rows] == number]
        return int(found[0]) if len(found) else None

    def open_image(self, image_id: str, then: Callable[[], None] | None = None) -> None:
        """Show an image: read in the thread, shown when it is there."""

        def show(scene: Scene) -> None:
            self.image_id, self.frame, self.scene = image_id, 0, scene
            self.shown.emit()
            if scene.trouble:
                self.told.emit(scene.trouble, True)
            if then is not None:
                then()

        self.leaving.emit()
        self.wanted = image_id
        self.jobs.submit_newest("opening the image", lambda: load_scene(self.review, image_id), show)

    def step_image(self, by: int) -> None:
        """Show the next image, or the one before."""
        ids = self.review.image_ids
        place = ids.index(self.wanted) + by if self.wanted in ids else 0
        if 0 <= place < len(ids):
            self.open_image(ids[place])

    def show_frame(self, frame: int) -> None:
        """Tell that another frame is on the screen."""
        if frame != self.frame:
            self.frame = frame
            self.shown.emit()

    def go_to(self, row: int) -> None:
        """Choose a cell and bring it to the middle of the screen."""
        cell = self.review.cells.iloc[row]
        key = (str(cell["image_id"]), int(cell["frame"]), int(cell["cell"]))

        def look() -> None:
            found = self.row_of(key)
            if found is not None:
                self.choose([found])
                self.centre.emit(found)

        if key[0] != self.image_id:
            self.open_image(key[0], look)
        else:
            look()

    centre = Signal(int)
    """Row of a cell that is to be brought to the middle of the screen."""

    def numbers_of(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        """Numbers of cells in their images."""
        return self._numbers[rows]

    def key_of(self, row: int | np.integer[Any]) -> Key:
        """Image, frame and number of a cell."""
        return (str(self._images[row]), int(self._frames[row]), int(self._numbers[row]))

    def row_of(self, key: Key) -> int | None:
        """Row of a cell; None where it is no longer there."""
        rows = self.rows_of(key[0], key[1])
        found = rows[self._numbers[rows] == key[2]]
        return int(found[0]) if len(found) else None

    # what is done

    def act(self, name: str, **more: Any) -> None:
        """Do one of `ACTS` to what is chosen: kept in review.jsonl, made on all cells, shown."""
        if name != "redraw":
            self.leaving.emit()
        chosen: dict[str, Any] = {
            "cells": [self.key_of(row) for row in np.flatnonzero(self.chosen)],
            "clones": list(self.clones),
            "audit": self.audit,
            "sample": self.sample,
            "image_id": self.image_id,
            "frame": self.frame,
        }
        asked = Asked(**{**chosen, **self.settings, **self._outlines(), **more})

        def work() -> Review:
            return add_correction(self.review, ACTS[name].make(self.review, asked))

        self.jobs.submit(ACTS[name].title.lower(), work, self._set)

    def undo(self) -> None:
        """Take back the last act."""
        self.leaving.emit()
        self.jobs.submit("undo", lambda: undo(self.review), self._set)

    def redo(self) -> None:
        """Do again what was taken back last."""
        self.leaving.emit()
        self.jobs.submit("redo", lambda: redo(self.review), self._set)

    def reload(self, results: Path | None = None) -> None:
        """Read the results anew, as after a run."""
        self.leaving.emit()
        folder = results or self.review.results

        def renew(review: Review) -> None:
            self._set(review)
            ids = review.image_ids
            self.open_image(self.image_id if self.image_id in ids else ids[0])

        self.jobs.submit("reading results", lambda: open_review(folder), renew)

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on or waits."""
        return self.jobs.is_idle

    def _outlines(self) -> dict[str, Any]:
        if self.scene is None:
            return {}
        frame = self.scene.labels[self.frame]
        return {"before": frame, "after": frame}

    def _set(self, review: Review) -> None:
        before = self.review
        same_rows = len(before.cells) == len(review.cells) and before.called is review.called
        keys = [self.key_of(row) for row in np.flatnonzero(self.chosen)] if not same_rows else []
        self.review = review
        self._renew()
        if not same_rows:
            found = [self.row_of(key) for key in keys]
            self.chosen = np.zeros(len(review.cells), bool)
            self.chosen[[row for row in found if row is not None]] = True
        self.clones = [clone for clone in self.clones if clone in set(review.clones["clone"])]
        if self.scene is not None and self.image_id in review.labels:
            self.scene = self.scene.with_labels(review.labels[self.image_id])
        self.changed.emit()
        news = review.corrections[len(before.corrections) :]
        if news and before.results == review.results:
            row = review.outcomes[review.outcomes["id"] == news[-1].id].iloc[-1]
            came = "" if isinstance(news[-1], Undo) else f". {row['outcome']}"  # which names an id only
            self.told.emit(f"{news[-1].said}: {row['status']}{came}", row["status"] == "conflict")

    def _renew(self) -> None:
        cells = self.review.cells
        codes, names = pd.factorize(cells["image_id"].astype("str"))
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(names)))
        self._rows = {str(n): r for n, r in zip(names, np.split(order, ends[:-1]), strict=True)}
        self._images = np.asarray(names, object)[codes]
        self._frames = cells["frame"].to_numpy(np.int64)
        self._numbers = cells["cell"].to_numpy(np.int64)
        self._colour()

    def _colour(self) -> None:
        clones = self.review.clones[["clone", "n_cells", *markers_of(self.review.cells)]]
        self.colouring: Colouring = colour_cells(self.review.cells, self.by, clones)
