"""Cells as they were called before any correction by hand, and the corrections made on them again."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from rgbtrack.clones import CloneModel, SubjectModels
from rgbtrack.errors import DataError
from rgbtrack.files import read_table, write_table
from rgbtrack.pipeline.task import PARTS
from rgbtrack.review import Correction, Memory, Redrawn, apply_review
from rgbtrack.review.links import LINKED
from rgbtrack.review.outcomes import in_order
from rgbtrack.tables import CELLS

CALLED = f"{PARTS}/called/cells.parquet"
"""In a folder of its own: beside it lies a table for every image, under the image's name."""
CHANGED = ("clone", "clone_probability", "unassigned_reason", "colour_clone", *LINKED)
"""Columns of cells that corrections by hand change."""
ADDED = ("corrected_by", "clone_name")
"""Columns of cells that corrections by hand add."""


def called_file(results: Path) -> Path:
    """The table of called cells.

    Raises
    ------
    DataError
        If clones were not called yet.
    """
    source = results / "cells.parquet"
    if not source.exists():
        raise DataError(f"{source} is not there: run 'rgbtrack clones' (or 'rgbtrack run') first")
    return source


def keep_called(results: Path, cells: pd.DataFrame, linked: pd.DataFrame) -> None:
    """Keep what was called: where a viewer begins from that makes corrections, or takes them back."""
    cells = cells.assign(**{name: linked[name].array for name in LINKED if name in linked})
    path = results / CALLED
    path.parent.mkdir(exist_ok=True)
    write_table(path, cells[[*CELLS.key, *(name for name in CHANGED if name in cells)]])


def called_cells(results: str | Path) -> pd.DataFrame:
    """Cells of a run as they were called, before any correction by hand.

    Parameters
    ----------
    results
        A results folder.

    Returns
    -------
    cells
        Its ``cells.parquet`` with clones and tracks as they were found; without ``corrected_by`` and
        ``clone_name``.

    Raises
    ------
    DataError
        If there are no cells, or corrections were made by a version that did not keep what was called.
    """
    results = Path(results)
    cells, path = read_table(results / "cells.parquet"), results / CALLED
    by_hand = cells[[name for name in ADDED if name in cells]].notna().to_numpy().any()
    cells = cells.drop(columns=[name for name in ADDED if name in cells])
    if not path.is_file():
        if by_hand:
            raise DataError(
                f"{results} does not hold what was called before the corrections by hand: "
                f"run 'rgbtrack clones' (or 'rgbtrack run') again"
            )
        return cells
    called = read_table(path)
    key = list(CELLS.key)
    if not called[key].equals(cells[key]):
        raise DataError(
            f"{path} is of other cells than cells.parquet: run 'rgbtrack clones' (or 'rgbtrack run') again"
        )
    return cells.assign(**{name: called[name] for name in called.columns if name not in key})


def replay(
    cells: pd.DataFrame,
    corrections: Sequence[Correction],
    model: CloneModel | SubjectModels,
    memory: Memory | None = None,
    redrawn: Mapping[str, Redrawn] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make corrections on cells as they were called, as a run makes them.

    Parameters
    ----------
    cells
        From `called_cells`.
    corrections
        From `rgbtrack.read_review`, and any that are not written yet.
    model
        ``clone_model.json`` of the results, from `rgbtrack.load_clones`.
    memory
        One ``rgbtrack.review.Memory()`` for all calls with these cells and this model: then only what is new
        takes time.
    redrawn
        What came of corrections of outlines, as `redrawn_in` reads it.

    Returns
    -------
    cells, outcomes
        As `rgbtrack.apply_review` gives them: of the corrections of the last run, its ``cells.parquet``. Of
        links that are changed only tracks follow; what cells are called, and ``track_clone``, waits for the
        next run.
    """
    memory = memory or Memory()
    cells, links = memory.linked(cells, corrections)
    cells, calls = correct_calls(cells, corrections, model, memory, redrawn)
    return cells, in_order(corrections, links, calls)


def correct_calls(
    cells: pd.DataFrame,
    corrections: Sequence[Correction],
    model: CloneModel | SubjectModels,
    memory: Memory | None = None,
    redrawn: Mapping[str, Redrawn] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make all corrections but those of links, as `replay`."""
    within = "subject" if isinstance(model, SubjectModels) else None
    return apply_review(
        cells, corrections, within=within, assign=model.assign, memory=memory, redrawn=redrawn
    )
