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
from rgbtrack.pipeline.image import corrected_frame
from rgbtrack.pipeline.run import image_tasks
from rgbtrack.signature import measure_signatures, unfade_cells, unmix_cells
from rgbtrack.stack import Stack
from rgbtrack.tables import markers_of


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
    """

    image_id: str
    frame: int
    stack: Stack
    experiment: Experiment
    record: Mapping[str, Any]


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
    return Corrected(image_id, frame, stack, experiment, run["images"][image_id])


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
    """
    results = Path(results)
    with threadpool_limits(1):
        seen = replace(corrected.stack, bleed_through=None)
        table = measure_signatures(seen, labels[None].astype(np.uint32), corrected.experiment.signature)
        table = table[table["cell"].isin(list(numbers))].reset_index(drop=True).assign(frame=corrected.frame)
        table.insert(0, "image_id", corrected.image_id)
        sheet = corrected.experiment.sheet_columns().astype({"image_id": "str"})
        table = table.astype({"image_id": "str"}).merge(sheet, on="image_id", how="left", sort=False)
        table = table.assign(cell_probability=np.nan, merged=False)
        if len(table):
            table = _restore(table, corrected, results)
        called = model.assign(table)
        return called.assign(colour_clone=called["clone"], colour_probability=called["clone_probability"])


def _restore(cells: pd.DataFrame, corrected: Corrected, results: Path) -> pd.DataFrame:
    """Undo what the run found that light met on its way, in the order in which the run does."""
    found = read_table(results / "corrections.csv")
    found = found[found["applied"].astype(bool)]
    record = corrected.record
    batch = "" if "batch" not in cells.columns else str(cells["batch"].iloc[0])
    size = np.array(record["shape"][3:]) * (record.get("pixel_size_um") or 1.0)
    corner = ((cells[["y_um", "x_um"]].to_numpy(float) / size * 2 - 1) ** 2).mean(axis=1)
    markers = list(markers_of(cells))
    for name, where, position in (
        ("falloff", batch, corner - 1 / 3),
        ("attenuation", batch, cells["z_um"].to_numpy(float)),
    ):
        cells = _unfade(cells, found, name, where, position, markers)
    matrix = results / "bleed_through.csv"
    if matrix.is_file():
        channels = corrected.experiment.channels.markers
        unmixing = read_bleed_through(matrix, channels)
        cells = unmix_cells(cells, unmixing.loc[markers, markers], corrected.experiment.signature)
    frame = np.full(len(cells), float(corrected.frame))
    return _unfade(cells, found, "bleaching", corrected.image_id, frame, markers)


def _unfade(
    cells: pd.DataFrame,
    found: pd.DataFrame,
    name: str,
    where: str,
    position: NDArray[np.float64],
    markers: list[str],
) -> pd.DataFrame:
    own = found[(found["correction"] == name) & (found["where"].fillna("").astype("str").isin(["", where]))]
    if own.empty:
        return cells
    rates = own.set_index("channel")["value"].reindex(markers).fillna(0.0).to_numpy(float)
    return unfade_cells(cells, np.exp(-rates * position[:, None]))
