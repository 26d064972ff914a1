"""Settings tried on a part of an image, and on the cells of the last run. Without Qt, without napari."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rgbtrack.clones import assign_clones, fit_clones, load_clones
from rgbtrack.errors import DataError
from rgbtrack.files import labels_file, read_labels, read_table
from rgbtrack.pipeline import read_experiment
from rgbtrack.pipeline.batches import judge_batches
from rgbtrack.pipeline.experiment import Experiment
from rgbtrack.pipeline.image import corrected_frame
from rgbtrack.pipeline.runs import image_tasks
from rgbtrack.pipeline.task import ImageTask
from rgbtrack.plot import clone_colours
from rgbtrack.segment import Segmentation, find_cells
from rgbtrack.signature import measure_signatures
from rgbtrack.stack import Stack
from rgbtrack.tables import markers_of

SIDE_PX = 1024
"""Side of the part that is tried at most."""
MOST_CELLS = 20_000
"""Cells that clones are tried on at most."""
Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Place:
    """What of an experiment is looked at.

    Attributes
    ----------
    experiment, results
        Its experiment.toml and its results folder.
    image_id, frame
        The image.
    centre_px
        Row and column that the part is around.
    """

    experiment: Path
    results: Path
    image_id: str
    frame: int = 0
    centre_px: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Tried:
    """What settings come to.

    Attributes
    ----------
    labels
        Cells of the part, (z, y, x).
    origin_px
        First row and column of the part in the image.
    words
        What was found.
    corrected, channels
        Channels of the part, corrected, (c, z, y, x), and their names.
    set_aside
        Centres ``z_px, y_px, x_px`` in the part of what is no cell, and the ``reason``.
    clones
        Colour of each cell by its clone, red, green, blue from 0 to 1; None where clones were not tried.
    """

    labels: NDArray[np.uint32]
    origin_px: tuple[int, int]
    words: str
    corrected: NDArray[np.float32] | None = None
    channels: tuple[str, ...] = ()
    set_aside: pd.DataFrame | None = None
    clones: dict[int, tuple[float, float, float]] | None = None


def window(centre_px: Sequence[float], shape: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns of an image that are tried: around a place, of `SIDE_PX` at most.

    >>> window((100, 1500), (512, 4096))
    (slice(0, 512, None), slice(988, 2012, None))
    """
    starts = [
        int(np.clip(round(centre) - SIDE_PX // 2, 0, max(0, size - SIDE_PX)))
        for centre, size in zip(centre_px, shape, strict=True)
    ]
    rows, columns = (slice(at, min(at + SIDE_PX, size)) for at, size in zip(starts, shape, strict=True))
    return rows, columns


def try_image(place: Place, sections: Sections, pixels: bool = False) -> Tried:
    """Correct, segment and measure a part of an image, as a run would.

    Parameters
    ----------
    place
        Where.
    sections
        Sections that stand in for those of experiment.toml.
    pixels
        Whether the corrected channels are wanted too.

    Raises
    ------
    RgbtrackError
        If a setting is not allowed or does not suit the image, or the image cannot be read.
    """
    experiment, task = _task(place, sections)
    stack, found, cells, part = _measure(place, task)
    return Tried(
        labels=found.labels[0],
        origin_px=(part[0].start, part[1].start),
        words="\n".join([_figures(found, cells, stack), *_left_out(place, experiment, task, stack)]),
        corrected=np.asarray(stack.pixels[0], np.float32) if pixels else None,
        channels=stack.channels,
        set_aside=found.set_aside,
    )


def try_clones(place: Place, sections: Sections) -> Tried:
    """Find clones anew: in the cells of the last run or, before the first, in those of a part of an image.

    Parameters
    ----------
    place
        Image whose cells are shown.
    sections
        Sections that stand in for those of experiment.toml.

    Raises
    ------
    RgbtrackError
        If a setting is not allowed, or there are no cells to try it on.
    """
    experiment, task = _task(place, sections)
    params = experiment.clones
    if (place.results / "cells.parquet").is_file():
        cells, labels, origin, of = *_of_results(place), (0, 0), "of the last run"
    else:
        _, found, cells, part = _measure(place, task)
        cells = _with_sheet(cells, experiment, place.image_id)
        labels, origin, of = (
            found.labels[0],
            (part[0].start, part[1].start),
            "in view; a run has more to go by",
        )
    if cells.empty:
        raise DataError("no cells were found to try clones on: see Segment first")
    thin = -(-len(cells) // MOST_CELLS)
    few = np.arange(len(cells)) % thin == 0
    shown = (cells["image_id"].astype("str").eq(place.image_id) & cells["frame"].eq(place.frame)).to_numpy()
    some = cells.drop(columns=[name for name in cells.columns if "clone" in str(name)])
    with threadpool_limits(1):
        model = load_clones(params.model) if params.model else fit_clones(some[few], params)
        called = assign_clones(some[few | shown], params, model=model)
    own = called[shown[few | shown]].dropna(subset=["clone"])
    markers = list(markers_of(called))
    means = called.dropna(subset=["clone"]).groupby("clone")[markers].mean().reset_index()
    colours = clone_colours(means, markers)
    return Tried(
        labels=labels,
        origin_px=origin,
        words=_clone_figures(called.loc[few[few | shown], "clone"], of, thin),
        clones={int(c): colours[int(k)] for c, k in zip(own["cell"], own["clone"], strict=True)},
    )


def _task(place: Place, sections: Sections) -> tuple[Experiment, ImageTask]:
    """An image with what the last run knew of its batch."""
    experiment = read_experiment(place.experiment, sections)
    tasks = image_tasks(experiment, place.results)
    task = next((one for one in tasks if one.image_id == place.image_id), None)
    if task is None:
        raise DataError(f"{place.image_id} is no longer in the sample sheet: choose another image")
    shared = judge_batches(tasks, place.results)[task.batch]
    return experiment, replace(task, shift_px=shared.shift_px, light=shared.light)


def _measure(place: Place, task: ImageTask) -> tuple[Stack, Segmentation, pd.DataFrame, tuple[slice, slice]]:
    """Corrected pixels, cells and signatures of the part in view, and its rows and columns."""
    whole = task.read()
    part = window(place.centre_px, whole.pixels.shape[3:])
    with threadpool_limits(1):
        stack = corrected_frame(task, place.frame, part)
        if task.labels is None:
            found = find_cells(stack, task.segment)
        else:
            masks = read_labels(task.labels, (whole.n_frames, *whole.pixels.shape[2:]))
            found = Segmentation(masks[place.frame, :, part[0], part[1]][None], np.nan)
        cells = measure_signatures(stack, found.labels, task.signature)
    return stack, found, cells, part


def _of_results(place: Place) -> tuple[pd.DataFrame, NDArray[np.uint32]]:
    """All cells of the last run, and the outlines of those in view; none where it has none of the image."""
    cells = read_table(place.results / "cells.parquet")
    file = labels_file(place.results / "labels", place.image_id)
    if not file.exists():
        return cells, np.zeros((1, 1, 1), np.uint32)
    return cells, read_labels(file)[place.frame]


def _with_sheet(cells: pd.DataFrame, experiment: Experiment, image_id: str) -> pd.DataFrame:
    """Cells with what the sheet tells of their image, as clones are found with."""
    row = experiment.samples[experiment.samples["image_id"].astype("str") == image_id].iloc[0]
    told = {name: row[name] for name in ("subject", "treatment", "timepoint", "batch") if name in row}
    return cells.assign(image_id=image_id, **told)


def _figures(found: Segmentation, cells: pd.DataFrame, stack: Stack) -> str:
    size = " x ".join(f"{n:,}" for n in stack.pixels.shape[3:])
    told = [f"{len(cells):,} cells in {size} pixels"]
    if np.isfinite(found.diameter_um):
        told.append(f"typical diameter {found.diameter_um:.1f} {'µm' if stack.pixel_size_um else 'px'}")
    if len(cells):
        told.append(f"median SNR {cells['snr'].median():.0f}")
    reasons = sorted(((n, reason) for reason, n in found.rejected.items() if n), reverse=True)
    aside = [f"{sum(n for n, _ in reasons)} objects set aside:"]
    aside += [f"  {n} {reason}" for n, reason in reasons]
    return "\n".join([", ".join(told), *(aside if reasons else [])])


def _left_out(place: Place, experiment: Experiment, task: ImageTask, stack: Stack) -> list[str]:
    """What a run undoes and this does not: it takes all images to know."""
    correct = experiment.correct
    known = (place.results / ".parts" / "batches.step").exists()
    parts = {
        "bleed-through": correct.bleed_through == "auto",
        "illumination": correct.flat_field == "auto" and not known,
        "shifts between channels": correct.chromatic_shift == "auto" and not known,
        "fading with depth": correct.attenuation_um != "none" and stack.pixels.shape[2] > 1,
        "bleaching": correct.bleaching == "auto" and task.read().n_frames > 1,
    }
    left = [name for name, is_left in parts.items() if is_left]
    return [f"left to the run, which sees all images: {', '.join(left)}"] if left else []


def _clone_figures(clones: pd.Series, of: str, thin: int) -> str:
    n, lost = len(clones), int(clones.isna().sum())
    sizes = clones.value_counts()
    one_in = f", one in {thin}" if thin > 1 else ""
    largest = ", ".join(f"{size / n:.0%}" for size in sizes.head(5))
    return (
        f"{len(sizes)} clones in {n:,} cells {of}{one_in}\n"
        f"largest: {largest}{' ...' if len(sizes) > 5 else ''}\n"
        f"{lost:,} cell{'s' * (lost != 1)} ({lost / n:.1%}) unassigned"
    )
