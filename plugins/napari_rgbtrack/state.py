"""What is under review, as values: cells as corrections by hand leave them. Without Qt, without napari."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import rgbtrack
from napari_rgbtrack.layers import check_results
from napari_rgbtrack.redrawn import Frames, Labels, redraw_images
from rgbtrack.clones import CloneModel, SubjectModels, load_clones
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import read_json, read_table
from rgbtrack.pipeline import called_cells, redrawn_in, replay
from rgbtrack.review import (
    Correction,
    Memory,
    Redraw,
    Redrawn,
    Undo,
    append_correction,
    read_review,
)
from rgbtrack.tables import CELLS, markers_of

NEEDED = ("image_id", "frame", "cell", "z_um", "y_um", "x_um", "clone", "clone_probability")
SAME = 0.9
"""A clone is as the run found it if it still holds this share of those cells, and no more others."""


@dataclass(frozen=True, eq=False)
class Review:
    """A results folder and the corrections made to it so far.

    Attributes
    ----------
    results
        The results folder.
    run
        What run.json tells.
    model
        The clones as they were found.
    found
        The clone table of the last run.
    made
        Ids of the corrections that the last run knew.
    called
        Cells as they were called, before any correction; outlines changed by hand are measured anew.
    labels
        Outlines of the images that were redrawn since the last run, (t, z, y, x).
    redrawn
        What came of each correction of outlines.
    frames, memory
        What is kept so that the next correction takes no longer than it must.
    corrections
        Of review.jsonl, in their order.
    remarks
        What a person should know of the files that were read.
    cells, outcomes
        Cells of `called` with the corrections made, and what came of each correction.
    clones
        One row per clone of `cells`; see `summarise_clones`.
    """

    results: Path
    run: Mapping[str, Any]
    model: CloneModel | SubjectModels
    found: pd.DataFrame
    made: frozenset[str]
    called: pd.DataFrame
    labels: Mapping[str, Labels]
    redrawn: Mapping[str, Redrawn]
    frames: Frames
    memory: Memory
    corrections: tuple[Correction, ...] = ()
    remarks: tuple[str, ...] = ()
    cells: pd.DataFrame = None  # type: ignore[assignment]
    outcomes: pd.DataFrame = None  # type: ignore[assignment]
    clones: pd.DataFrame = None  # type: ignore[assignment]

    @property
    def file(self) -> Path:
        """Where corrections are kept."""
        return self.results / "review.jsonl"

    @property
    def n_waiting(self) -> int:
        """Corrections that the last run did not know."""
        return sum(correction.id not in self.made for correction in self.corrections)

    @property
    def image_ids(self) -> list[str]:
        """Images that were processed, in the order of the sample sheet."""
        return [name for name, record in self.run["images"].items() if record["status"] == "done"]


def open_review(results: str | Path) -> Review:
    """Read a results folder and make the corrections that wait for its next run.

    Raises
    ------
    DataError
        If the folder holds no results, none with clones, or tables that do not belong together.
    """
    results = check_results(results)
    run = read_json(results / "run.json")
    called = called_cells(results)
    missing = [name for name in NEEDED if name not in called.columns]
    if missing:
        raise DataError(
            f"{results / 'cells.parquet'} lacks {', '.join(missing)}: the folder is of another version of "
            f"rgbtrack, or clones are not called yet: run it again with 'rgbtrack run'"
        )
    CELLS.check(called, need=NEEDED)
    model = load_clones(results / "clone_model.json")
    found = (results / "clones.csv", results / "review.csv")
    clones, reviewed = (read_table(path) if path.is_file() else None for path in found)
    bare = Review(
        results=results,
        run=run,
        model=model,
        found=pd.DataFrame({"clone": []}) if clones is None else clones,
        made=frozenset() if reviewed is None else frozenset(reviewed["id"].astype("str")),
        called=called.reset_index(drop=True),
        labels={},
        redrawn=redrawn_in(run["images"]),
        frames=Frames(),
        memory=Memory(),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RgbtrackWarning)
        corrections = read_review(bare.file)
    remarks = [str(item.message) for item in caught if issubclass(item.category, RgbtrackWarning)]
    if run.get("version") != rgbtrack.__version__:
        remarks.append(
            f"these results are of rgbtrack {run.get('version')}, this is {rgbtrack.__version__}: what you "
            "do here is made by the next run of this version, which does all again"
        )
    return _with(replace(bare, remarks=tuple(remarks)), corrections)


def add_correction(review: Review, correction: Correction) -> Review:
    """Write a correction to review.jsonl, and make it.

    Raises
    ------
    DataError
        If it cannot be written; nothing is changed then.
    """
    append_correction(review.file, correction)
    return _with(review, (*review.corrections, correction))


def undo(review: Review) -> Review:
    """Take back the last correction that holds.

    Raises
    ------
    DataError
        If there is none.
    """
    done, _ = history(review.corrections)
    if not done:
        raise DataError("there is nothing to undo: no correction holds")
    last = next(correction for correction in review.corrections if correction.id == done[-1])
    return add_correction(review, Undo(of=last.id, said=f"undo {last.said or last.id}"))


def redo(review: Review) -> Review:
    """Make the correction again that was taken back last.

    Raises
    ------
    DataError
        If there is none, or another was made since.
    """
    _, undone = history(review.corrections)
    if not undone:
        raise DataError("there is nothing to redo: the last act was no undo")
    last = next(correction for correction in review.corrections if correction.id == undone[-1])
    return add_correction(review, Undo(of=last.id, said=f"redo {last.said.removeprefix('undo ')}"))


def history(corrections: Sequence[Correction]) -> tuple[list[str], list[str]]:
    """Return what could be undone and redone next, last first to go.

    Returns
    -------
    done
        Ids of the corrections that hold.
    undone
        Ids of the undos that no correction followed: to undo them makes their corrections again.
    """
    done: list[str] = []
    undone: list[str] = []
    of: dict[str, str] = {}
    for correction in corrections:
        if not isinstance(correction, Undo):
            done.append(correction.id)
            undone.clear()
            continue
        of[correction.id] = correction.of
        if correction.of in done:
            done.remove(correction.of)
            undone.append(correction.id)
        elif correction.of in of:  # an undo that is taken back: what it undid holds again
            undone = [earlier for earlier in undone if earlier != correction.of]
            done.append(of[correction.of])
    return done, undone


def summarise_clones(cells: pd.DataFrame, found: pd.DataFrame, called: pd.Series) -> pd.DataFrame:
    """Tell of each clone as it is now.

    Parameters
    ----------
    cells
        Cells with the corrections made.
    found
        The clone table of the last run.
    called
        Clone of each cell as the run called it, before corrections.

    Returns
    -------
    clones
        ``clone, clone_name, n_cells, mean_probability``, the mean of each marker, and of the run's table
        what tells of doubts, for the clones that corrections left as they were found.
    """
    markers = list(markers_of(cells))
    groups = cells.dropna(subset=["clone"]).groupby("clone")
    clones = groups[markers].mean().reset_index().astype({"clone": "int64"})
    clones.insert(1, "n_cells", groups.size().to_numpy())
    clones.insert(2, "mean_probability", groups["clone_probability"].mean().to_numpy(float))
    names = groups["clone_name"].first() if "clone_name" in cells.columns else pd.Series(dtype="object")
    clones.insert(1, "clone_name", clones["clone"].map(names).astype("object"))
    doubts = [name for name in found.columns if name not in clones.columns and name != "clone"]
    told = found.set_index("clone")[doubts].reindex(clones["clone"]).reset_index(drop=True)
    together = pd.DataFrame({"now": cells["clone"].array, "then": called.array}).dropna().astype("int64")
    kept = clones["clone"].map(together.loc[together["now"] == together["then"], "now"].value_counts())
    before = clones["clone"].map(called.dropna().astype("int64").value_counts())
    same = kept.fillna(0) >= SAME * np.fmax(clones["n_cells"], before.fillna(0))
    return clones.join(told.where(same, axis=0))


def _with(review: Review, corrections: tuple[Correction, ...]) -> Review:
    """Make corrections on what was called; of images redrawn by them, what changed is measured again."""
    news = corrections[len(review.corrections) :]
    by_id = {correction.id: correction for correction in corrections}
    touched = {shape.image_id for shape in (_redrawn_by(one, by_id) for one in news) if shape}
    if not review.corrections:  # at first, only what the last run did not know
        touched = {
            shape.image_id
            for correction in news
            if correction.id not in review.made and (shape := _redrawn_by(correction, by_id))
        }
    called, labels, drawn = redraw_images(
        review.results,
        review.run,
        review.model,
        review.called,
        review.labels,
        touched,
        corrections,
        review.frames,
    )
    redrawn = {**review.redrawn, **drawn}
    memory = review.memory if called is review.called else Memory()
    cells, outcomes = replay(called, corrections, review.model, memory, redrawn)
    clones = summarise_clones(cells, review.found, called["clone"])
    return replace(
        review,
        called=called,
        labels=labels,
        redrawn=redrawn,
        memory=memory,
        corrections=corrections,
        cells=cells,
        outcomes=outcomes,
        clones=clones,
    )


def _redrawn_by(correction: Correction, by_id: Mapping[str, Correction]) -> Redraw | None:
    """Outlines that a correction changes: its own, or those of what it takes back."""
    while isinstance(correction, Undo) and correction.of in by_id:
        correction = by_id[correction.of]
    return correction if isinstance(correction, Redraw) else None
