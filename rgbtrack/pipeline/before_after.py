"""Figures of what was corrected, before and after: the first few of each kind."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgbtrack.correct import correct_stack, noise_sd
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.pipeline.batches import Shared, by_batch
from rgbtrack.pipeline.colours import Corrected
from rgbtrack.pipeline.drift import draw_drift
from rgbtrack.pipeline.image import UNREADABLE
from rgbtrack.pipeline.lamps import draw_light
from rgbtrack.pipeline.shifts import draw_shift
from rgbtrack.pipeline.task import ImageTask
from rgbtrack.plot import plot_background, plot_fading, plot_gains, plot_unmixing
from rgbtrack.plot.style import Save

MOST = 6
"""Figures of one kind; the table holds all numbers."""
WINDOW_PX = 512


def draw_corrections(
    results: Path,
    corrected: Corrected,
    batches: Mapping[str, Shared],
    tasks: Sequence[ImageTask],
    gains: pd.DataFrame,
    save: Save,
) -> None:
    """Draw what was undone, into the folder of figures; older ones go.

    Parameters
    ----------
    results
        Results folder.
    corrected
        What was undone in the cells.
    batches
        What was undone in the images.
    tasks
        Images that are there.
    gains
        What `rgbtrack.clones.gains_seen` saw.
    save
        What writes figures.
    """
    folder = results / "figures"
    for old in folder.glob("correction_*"):
        old.unlink()

    def keep(figure: Figure | None, *name: str) -> None:
        if figure is not None:
            save(figure, folder, plain_name("correction", *name))

    first = {batch: of_batch[0] for batch, of_batch in by_batch(tasks).items()}
    for batch, shared in islice(batches.items(), MOST):
        keep(draw_light(shared.illumination), "illumination", batch)
        if batch in first:
            keep(draw_background(first[batch]), "background", batch)
            if shared.shift_px is not None:
                keep(draw_shift(first[batch], shared.shift_px), "shift", batch)
    for name, where, cells, fading in corrected.fadings[:MOST]:
        keep(plot_fading(cells, fading), name, where)
    if corrected.matrix is not None:
        keep(plot_unmixing(corrected.mixed, corrected.cells, corrected.matrix), "unmixing")
    for task, path_um in islice(_drifted(corrected.cells, tasks), MOST):
        try:
            keep(draw_drift(task.image_id, task.read(), task.correct, path_um), "drift", task.image_id)
        except UNREADABLE:
            continue
    if len(gains):
        keep(plot_gains(gains), "gains")


def plain_name(*parts: str) -> str:
    """Name of a figure's files, whatever batches, images and subjects are called."""
    return re.sub(r"[^\w.+ -]", "_", "_".join(parts).rstrip("_"))


def draw_background(task: ImageTask) -> Figure | None:
    """The middle of an image, before and after its background was taken off; None if it fails."""
    if not task.correct.background:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            frame = task.read_middle().frame(0)
            corrected = correct_stack(frame, task.correct)
    except UNREADABLE:
        return None
    z = frame.pixels.shape[2] // 2
    middle = tuple(slice(max(0, (n - WINDOW_PX) // 2), (n + WINDOW_PX) // 2) for n in frame.pixels.shape[3:])
    planes = [np.asarray(stack.pixels[0, :, z], np.float32)[:, *middle] for stack in (frame, corrected)]
    pictures = {name: (planes[0][c], planes[1][c]) for c, name in enumerate(frame.channels)}
    sd = dict(zip(frame.channels, map(float, noise_sd(corrected)), strict=True))
    return plot_background(pictures, sd, f"Background of {task.image_id}, which is the first of its batch")


def _drifted(
    cells: pd.DataFrame, tasks: Sequence[ImageTask]
) -> Iterator[tuple[ImageTask, NDArray[np.float64]]]:
    """Tasks whose stage drifted, each with its way (t, 2) in um."""
    names = ["drift_y_um", "drift_x_um"]
    if not set(names) <= set(cells.columns):
        return
    for task in tasks:
        rows = cells[cells["image_id"] == task.image_id]
        path = rows.groupby("frame")[names].first().to_numpy(float)
        if np.nan_to_num(path).any():
            yield task, path
