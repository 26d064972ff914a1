"""Cells whose outlines were changed by hand, measured and called as a run would: for a window that waits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rgbtrack.clones import CloneModel, SubjectModels
from rgbtrack.errors import DataError
from rgbtrack.files import read_bleed_through, read_json, read_table
from rgbtrack.pipeline.batches import judge_batches
from rgbtrack.pipeline.experiment import Experiment, read_experiment
from rgbtrack.pipeline.image import corrected_frame, read_part
from rgbtrack.pipeline.runs import image_tasks
from rgbtrack.signature import measure_signatures, unfade_cells, unmix_cells
from rgbtrack.stack import Stack
from rgbtrack.tables import markers_of

ALIKE = ("time_h", "drift_y_um", "drift_x_um")


@dataclass(frozen=True, eq=False)
class Corrected:
    """One frame of an image, ready to be measured as often as its outlines change.

    Attributes
    ----------
    image_id, frame
        Which frame.
    stack
        Its pixels, corrected.
    experiment, record
        Its settings, and what the run tells of the image.
    shared
        Columns that all cells of the frame have alike: its time, and how far the stage had drifted.
    """

    image_id: str
    frame: int
    stack: Stack
    experiment: Experiment
    record: Mapping[str, Any]
    shared: Mapping[str, float]


def correct_frame(results: str | Path, image_id: str, frame: int) -> Corrected:
    """Read and correct one frame of an image, as the run that left the results did.

    Parameters
    ----------
    results
        A results folder.
    image_id, frame
        Which frame.

    Raises
    ------
    ParamError
        If the experiment is no longer where it was, or has mistakes.
    DataError
        If the image is not among its images, or cannot be read.
    """
    results = Path(results)
    run = read_json(results / "run.json")
    experiment = read_experiment(run["experiment"])
    tasks = image_tasks(experiment, results)
    own = [task for task in tasks if task.image_id == image_id]
    if not own or image_id not in run["images"]:
        raise DataError(
            f"{image_id} is not in the sample sheet of {run['experiment']}: outlines can be measured only of "
            f"its images"
        )
    shared = judge_batches(tasks, results)[own[0].batch]
    task = replace(own[0], shift_px=shared.shift_px, light=shared.light)
    stack = corrected_frame(task, frame)
    own_cells = read_part(results, image_id)
    first = own_cells[own_cells["frame"] == frame].head(1)
    alike = {name: float(first[name].iloc[0]) for name in ALIKE if name in first and len(first)}
    return Corrected(image_id, frame, stack, experiment, run["images"][image_id], alike)


def remeasure_cells(
    corrected: Corrected,
    results: str | Path,
    labels: NDArray[Any],
    numbers: Iterable[int],
    model: CloneModel | SubjectModels,
) -> pd.DataFrame:
    """Measure and call cells anew whose outlines changed.

    Parameters
    ----------
    corrected
        Their frame, from `correct_frame`.
    results
        The results folder: what its run found of bleed-through, depth, field and bleaching is undone here
        too, and not estimated anew.
    labels
        Outlines of the frame, (z, y, x), all its cells.
    numbers
        Cells that changed.
    model
        The clones that call them.

    Returns
    -------
    cells
        Their rows, as in ``cells.parquet`` before any correction by hand. Neighbours have no say in these
        calls; tracks are for the next run.

    Raises
    ------
    DataError
        If the results are of a version that did not tell what it had undone.
    """
    results = Path(results)
    with threadpool_limits(1):
        seen = corrected.stack.with_bleed_through(None)
        table = measure_signatures(seen, labels[None].astype(np.uint32), corrected.experiment.signature)
        table = table[table["cell"].isin(list(numbers))].reset_index(drop=True)
        table = table.assign(frame=corrected.frame, **corrected.shared)
        table.insert(0, "image_id", corrected.image_id)
        sheet = corrected.experiment.sheet_columns().astype({"image_id": "str"})
        table = table.astype({"image_id": "str"}).merge(sheet, on="image_id", how="left", sort=False)
        table = table.assign(cell_probability=np.nan, merged=False)
        if len(table):
            table = _restore(table, corrected, results)
        called = model.assign(table)
        return called.assign(colour_clone=called["clone"], colour_probability=called["clone_probability"])


def _restore(cells: pd.DataFrame, corrected: Corrected, results: Path) -> pd.DataFrame:
    """Undo what the run found that light met on its way, in the order in which `correct_colours` does."""
    found = read_table(results / "corrections.csv")
    if "used" not in found:
        raise DataError(
            f"{results}: the version of rgbtrack that ran it did not tell by how much it corrected colours: "
            f"run 'rgbtrack run' again, then outlines can be changed"
        )
    record, settings = corrected.record, corrected.experiment
    batch = "" if "batch" not in cells or pd.isna(cells["batch"].iloc[0]) else str(cells["batch"].iloc[0])
    size = np.array(record["shape"][3:]) * (record.get("pixel_size_um") or 1.0)
    corner = ((cells[["y_um", "x_um"]].to_numpy(float) / size * 2 - 1) ** 2).mean(axis=1)
    cells = _unfade(cells, found, "falloff", batch, corner - 1 / 3)
    cells = _unfade(cells, found, "attenuation", batch, cells["z_um"].to_numpy(float))
    matrix = results / "bleed_through.csv"
    if matrix.is_file():
        markers = list(markers_of(cells))
        unmixing = read_bleed_through(matrix, settings.channels.markers).loc[markers, markers]
        errors = _errors(found, markers) if settings.correct.bleed_through == "auto" else None
        cells = unmix_cells(cells, unmixing, settings.signature, se=errors)
    return _unfade(cells, found, "bleaching", corrected.image_id, cells["frame"].to_numpy(float))


def _unfade(
    cells: pd.DataFrame, found: pd.DataFrame, name: str, where: str, position: NDArray[np.float64]
) -> pd.DataFrame:
    """Bring back light that faded at the rates that the run used: of a batch or image, else of all."""
    place = found["where"].fillna("").astype("str")
    own = found[(found["correction"] == name) & (place == where)]
    own = own if len(own) else found[(found["correction"] == name) & (place == "")]
    rates = own.set_index("channel")["used"].reindex(markers_of(cells)).fillna(0.0).to_numpy(float)
    return unfade_cells(cells, np.exp(-rates * position[:, None])) if rates.any() else cells


def _errors(found: pd.DataFrame, markers: list[str]) -> pd.DataFrame:
    """Standard errors of a matrix of bleed-through that was estimated from the cells."""
    own = found[found["correction"] == "bleed-through"].set_index("channel")["se"]
    errors = [[own.get(f"{protein} into {detector}", 0.0) for protein in markers] for detector in markers]
    return pd.DataFrame(np.nan_to_num(np.array(errors, float)), index=markers, columns=markers)
