"""A large image, tile by tile: each cell is found and measured as it would be in the whole.

What rests on all of an image (noise, background, and what its cells and the gaps between them are like) is
found first, in a pass over it in strips and in some parts of it. Each tile is then worked on with so much
around it that its cells are those of the whole; a cell is told by the tile that its centre lies in.
"""

import ctypes
import io
import shutil
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.correct import Correction, apply_correction, find_correction
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import open_labels, read_json, read_table, write_atomically, write_json, write_table
from rgbtrack.pipeline.looked import Looked, quality
from rgbtrack.pipeline.pool import Crew, map_tasks
from rgbtrack.pipeline.seams import Tile, blocks_of, cells_of, number_cells
from rgbtrack.pipeline.task import ImageTask, voxel_um
from rgbtrack.segment import Survey, find_cells, survey_cells
from rgbtrack.segment.cells import alignment_px
from rgbtrack.segment.methods import method_diameter
from rgbtrack.segment.params import OURS
from rgbtrack.segment.regions import label_places
from rgbtrack.signature import Surroundings, measure_signatures, survey_surroundings
from rgbtrack.stack import NUCLEUS, Stack

Window = tuple[slice, slice, slice]
Labels = NDArray[np.uint32]

AROUND = 8
"""Diameters around a tile that have a say in the outlines of its cells."""
AROUND_OTHERS = 4
"""The same for ready-made masks and other methods of segmentation."""
REACH = 4
"""Surroundings (`SignatureParams.surroundings_um`) around a cell that have a say in its colour."""
SURVEY_PX, SURVEY_SIDE, SURVEY_PARTS = 2**23, 1024, 8
"""Of an image of more voxels some parts are surveyed, of so many rows and columns, so many."""
LEAST_SIDE = 256
GRID = 12
"""Blocks in which light around cells is averaged are 1 to 4 pixels wide."""
DETAIL_PX = 1536
LEAST_LIGHT = 0.01
CHUNKS = 3
"""Chunks of labels along a side of a tile."""
PLACE = ["z_px", "y_px", "x_px"]


@dataclass(frozen=True, eq=False)
class TileTask:
    """One tile of one frame, and what is known of the whole."""

    image: ImageTask
    frame: int
    number: int
    core: Window
    window: Window
    correction: Correction
    survey: Survey | None
    surroundings: Surroundings
    ready: Path | None

    @property
    def name(self) -> str:
        """Of what is kept of it."""
        return f"{self.frame}.{self.number}"


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of one frame: its correction, itself in small, and what its cells and gaps are like."""

    correction: Correction
    small: Stack
    survey: Survey | None
    surroundings: Surroundings
    diameter_um: float
    quality: dict[str, Any]


def look_in_tiles(
    task: ImageTask,
    stack: Stack,
    ready: Path | None,
    crew: Crew,
    name: str,
) -> Looked:
    """Look at a large image tile by tile.

    Parameters
    ----------
    task, stack
        The image, opened.
    ready
        Labels that are there already, as a label image.
    crew
        Who works on the tiles.
    name
        Of all that the outcome rests on: what was found in tiles before is taken over under the same name.
    """
    if task.redraws:
        warnings.warn(
            f"{task.image_id}: is larger than memory: outlines changed by hand are not applied to it",
            RgbtrackWarning,
            stacklevel=2,
        )
    if stack.n_frames > 1 and task.correct.drift == "auto":
        warnings.warn(
            f"{task.image_id}: is larger than memory: drift of the stage is not looked for in it",
            RgbtrackWarning,
            stacklevel=2,
        )
    segment, first = task.segment, None
    tasks: list[TileTask] = []
    for t in range(stack.n_frames):
        known = _survey(task, _frame(stack, t), t, ready, segment)
        if first is None:
            first = known
            segment = segment.model_copy(update={"diameter_um": known.diameter_um})
        tasks += _tiles(task, stack, t, known, ready)
    assert first is not None  # noqa: S101 - a stack has at least one frame
    _start(task.tiles_folder, name)
    for _, said in map_tasks(work_on_tile, tasks, crew, _lost):
        for text in said:
            warnings.warn(text, RgbtrackWarning, stacklevel=2)
    tiles = number_cells([_kept(one) for one in tasks], task.image_id, ready is not None)
    cells = cells_of(tiles, ready is not None)
    aside = pd.concat([read_table(_file(one, "aside")) for one in tasks], ignore_index=True)
    sure = ["frame", "cell", "cell_probability", "join_probability"]
    whole = ready is None and segment.method == OURS
    correction, place = first.correction, _densest(cells[cells["frame"] == 0], stack)

    def detail(lost: pd.DataFrame) -> tuple[Stack, Labels, pd.DataFrame]:
        part = apply_correction(_frame(stack, 0), _with_fields(correction, task, stack), place)
        corner = [place[1].start, place[2].start]
        return (
            part,
            np.asarray(open_labels(task.labels_file)[(0, *place)], np.uint32),
            lost.assign(y_px=lost["y_px"] - corner[0], x_px=lost["x_px"] - corner[1]) if len(lost) else lost,
        )

    return Looked(
        labels=blocks_of(tiles, ready),
        found=None,
        picture=first.small,
        detail=detail,
        quality=first.quality,
        cells=cells.drop(columns=["n_px", *PLACE, *(sure[2:] if whole else [])]),
        sure=cells[sure] if whole else pd.DataFrame(),
        set_aside=aside[aside["frame"] == 0].reset_index(drop=True),
        rejected={str(why): int(n) for why, n in aside["reason"].value_counts(sort=False).items()},
        diameter_um=first.diameter_um if ready is None else None,
        lights=[],
        chunk_px=(tasks[0].core[1].stop - tasks[0].core[1].start) // CHUNKS or 1,
    )


def work_on_tile(task: TileTask) -> list[str]:
    """Find and measure the cells of one tile, and keep them; returns what is to be told of it."""
    told = _file(task, "told")
    if told.exists():
        return list(read_json(told))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RgbtrackWarning)
        _work(task)
    _give_back()
    said = [str(one.message) for one in caught if issubclass(one.category, RgbtrackWarning)]
    write_json(told, said)  # last, so that it vouches for the rest
    return said


def _work(task: TileTask) -> None:
    image = task.image
    stack = image.read()
    frame = _frame(stack, task.frame)
    part = apply_correction(frame, _with_fields(task.correction, image, stack), task.window)
    start = np.array([cut.start for cut in task.window])
    if task.ready is None:
        found = find_cells(part, image.segment, task.survey)
        labels, aside, sure = found.labels[0], found.set_aside.copy(), found.cells
    else:
        labels = np.asarray(open_labels(task.ready)[(task.frame, *task.window)], np.uint32)
        aside, sure = pd.DataFrame(columns=[*PLACE, "reason"]), pd.DataFrame()
    there = label_places(labels)
    inside = _in_core(there.centre + start, task.core)
    cut = inside & _reaches_out(there.low, there.high, task.window, stack.pixels.shape[2:])
    if cut.any():
        warnings.warn(
            f"{image.image_id}: {int(cut.sum())} cells are larger than what is seen around a tile: they are "
            f"measured in part; raise --tile-px, or check diameter_um",
            RgbtrackWarning,
            stacklevel=2,
        )
    own = there.labels[inside]
    if task.ready is None:
        _keep_labels(task, labels, own)
    else:
        core = labels[_within(task.core, task.window)]
        write_json(_file(task, "seen"), np.unique(core[core > 0]).tolist())
    # no larger a part than has a say in the signatures, and without the rest: memory is needed most here
    some = _around(task, part, there.low[inside], there.high[inside])
    part, labels = _copy(part.crop(some)), np.ascontiguousarray(labels[some])
    table = measure_signatures(part, labels[None], image.signature, task.surroundings)
    place = pd.DataFrame(there.centre[inside] + start, columns=PLACE).assign(
        cell=own, n_px=there.n_px[inside]
    )
    table = table.merge(place, on="cell", how="right", validate="1:1").assign(frame=task.frame)
    if task.survey is not None:
        certain = sure[["cell", "cell_probability", "join_probability"]]
        table = table.merge(certain, on="cell", how="left", validate="1:1")
    for axis, size in zip("zyx", voxel_um(stack.pixel_size_um, stack.z_step_um), strict=True):
        table[f"{axis}_um"] = table[f"{axis}_px"] * size
    aside[PLACE] = aside[PLACE].to_numpy(float) + start
    aside = aside[_in_core(aside[PLACE].to_numpy(float), task.core)]
    write_table(_file(task, "aside"), aside.assign(frame=task.frame))
    write_table(_file(task, "cells"), table)


def _around(task: TileTask, part: Stack, low: Any, high: Any) -> Window:
    """What has a say in the signatures of cells of such first and last pixels."""
    distance = task.image.signature.surroundings_um / (part.pixel_size_um or 1.0)
    reach = int(REACH * distance) + 4 * GRID
    z, *plane = (slice(0, n) for n in part.pixels.shape[2:])
    if len(low):
        plane = [
            slice(
                max(0, int(low[:, axis].min()) - reach) // GRID * GRID,
                min(part.pixels.shape[axis + 2], int(high[:, axis].max()) + reach),
            )
            for axis in (1, 2)
        ]
    return z, plane[0], plane[1]


def _copy(part: Stack) -> Stack:
    """A stack whose arrays are its own; bleed-through is undone for all images together."""
    noise, limits = part.noise, part.limits
    assert noise is not None  # noqa: S101 - from apply_correction
    assert limits is not None  # noqa: S101 - from apply_correction
    raw = np.ascontiguousarray(noise.raw)
    full = raw if limits.raw.base is noise.raw.base else np.ascontiguousarray(limits.raw)
    return replace(
        part,
        pixels=np.ascontiguousarray(part.pixels),
        variance=replace(noise, raw=raw),
        saturated=replace(limits, raw=full),
        bleed_through=None,
    )


def _keep_labels(task: TileTask, labels: Labels, own: NDArray[np.int64]) -> None:
    """Keep the cells of a tile, numbered from 1: what lies in its core, and their pixels beside it."""
    number = np.zeros(int(labels.max(initial=0)) + 1, np.uint32)
    number[own] = np.arange(1, len(own) + 1)
    mine = number[labels]
    core = _within(task.core, task.window)
    inner = np.ascontiguousarray(mine[core])
    mine[core] = 0
    beside = np.nonzero(mine)
    start = [cut.start for cut in task.window]
    content = io.BytesIO()
    np.savez(
        content,
        core=np.frombuffer(imagecodecs.zstd_encode(inner.tobytes(), level=1), np.uint8),
        places=np.stack([at + begin for at, begin in zip(beside, start, strict=True)]),
        labels=mine[beside],
    )
    write_atomically(_file(task, "labels"), lambda temporary: temporary.write_bytes(content.getbuffer()))


def _survey(task: ImageTask, frame: Stack, t: int, ready: Path | None, segment: Any) -> _Known:
    """Learn what has to be known of a frame before any part of it can be worked on."""
    flat, dark = task.fields(frame)
    correction, small = find_correction(
        frame,
        task.correct,
        bleed_through=task.bleed_through,
        flat_field=flat,
        dark_field=dark,
        shift_px=task.shift_px,
    )
    windows = survey_windows(small, frame.pixels.shape[2:])
    parts = [apply_correction(frame, correction, window) for window in windows]
    survey, found = None, []
    if ready is not None:
        found = [np.asarray(open_labels(ready)[(t, *window)], np.uint32)[None] for window in windows]
    else:
        survey = survey_cells(parts, segment) if segment.method == OURS else None
        found = [find_cells(part, segment, survey).labels for part in parts]
    if survey is not None:
        diameter_um = survey.diameter_um
    else:
        each = [method_diameter(labels, frame) for labels in found]
        there = [one for one in each if np.isfinite(one)]
        diameter_um = float(np.median(there)) if there else 13.0
    around = survey_surroundings(list(zip(parts, found, strict=True)), task.signature)
    known = _Known(correction.without_fields(), small, survey, around, diameter_um, quality(parts, frame))
    del parts
    _give_back()
    return known


def survey_windows(small: Stack, shape: tuple[int, ...]) -> list[Window]:
    """Parts of a frame that tell of all of it: some, the more likely the more light is in them, or the whole.

    Parameters
    ----------
    small
        The frame in small.
    shape
        Of the frame, (z, y, x).
    """
    depth, height, width = shape
    if depth * height * width <= SURVEY_PX:
        return [(slice(0, depth), slice(0, height), slice(0, width))]
    side = int(np.clip(np.sqrt(SURVEY_PX / SURVEY_PARTS / depth), LEAST_SIDE, SURVEY_SIDE))
    rows, columns = max(1, height // side), max(1, width // side)
    markers = [c for c, name in enumerate(small.channels) if name != NUCLEUS]
    light = np.zeros(small.pixels.shape[3:])
    for c in markers:
        units = small.pixels[0, c] / np.sqrt(small.variance[0, c])
        light = np.maximum(light, np.clip(units, 0, 5).max(axis=0))
    # light of each square, on the image in small
    y, x = (
        np.minimum(np.arange(n) * many // n, many - 1)
        for n, many in zip(light.shape, (rows, columns), strict=True)
    )
    there = np.bincount((y[:, None] * columns + x).ravel(), light.ravel(), rows * columns)
    weight = there + LEAST_LIGHT * max(float(there.mean()), 1e-9)
    n = int(np.clip(SURVEY_PX // (depth * side**2), 1, SURVEY_PARTS))
    at = (np.arange(n) + 0.5) / n * float(weight.sum())
    chosen = np.unique(np.searchsorted(np.cumsum(weight), at))

    def cut(i: int, whole: int) -> slice:
        return slice(i * side, min(whole, (i + 1) * side))

    squares = [divmod(int(one), columns) for one in chosen]
    return [(slice(0, depth), cut(row, height), cut(column, width)) for row, column in squares]


def _tiles(task: ImageTask, stack: Stack, t: int, known: _Known, ready: Path | None) -> list[TileTask]:
    """The tiles of a frame."""
    depth, height, width = stack.pixels.shape[2:]
    pixel = stack.pixel_size_um or 1.0
    diameter, ours = known.diameter_um / pixel, known.survey is not None
    align = int(np.lcm(alignment_px(diameter, NUCLEUS in stack.channels), GRID)) if ours else GRID
    reach = (AROUND if ours else AROUND_OTHERS) * diameter + REACH * task.signature.surroundings_um / pixel
    halo = -(-int(reach) // align) * align
    side = max(min(task.tile_px, LEAST_SIDE), int(task.tile_px / np.sqrt(depth)))
    side = max(1, side // (CHUNKS * align)) * CHUNKS * align
    planes = slice(0, depth)
    tasks: list[TileTask] = []
    for y in range(0, height, side):
        for x in range(0, width, side):
            core = planes, slice(y, min(height, y + side)), slice(x, min(width, x + side))
            window = planes, _grown(core[1], halo, height), _grown(core[2], halo, width)
            of_all = known.correction, known.survey, known.surroundings
            tasks.append(TileTask(task, t, len(tasks), core, window, *of_all, ready))
    return tasks


def _grown(cut: slice, by: int, n: int) -> slice:
    return slice(max(0, cut.start - by), min(n, cut.stop + by))


def _frame(stack: Stack, t: int) -> Stack:
    """One frame, not read yet."""
    saturated = stack.saturated
    return replace(
        stack,
        pixels=stack.pixels[t : t + 1],
        saturated=None if saturated is None else saturated[t : t + 1],
    )


def _with_fields(correction: Correction, task: ImageTask, stack: Stack) -> Correction:
    return correction.with_fields(stack, *task.fields(stack))


def _give_back() -> None:
    """Give memory that is free back to the system, where its library keeps it otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _within(core: Window, window: Window) -> Window:
    """The place of a tile in its window."""
    z, y, x = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(core, window, strict=True))
    return z, y, x


def _in_core(centre: NDArray[np.float64], core: Window) -> NDArray[np.bool_]:
    """Whether places (n, 3) lie in a tile."""
    low, high = ([getattr(cut, name) for cut in core] for name in ("start", "stop"))
    return np.asarray(((centre >= low) & (centre < high)).all(axis=1))


def _reaches_out(low: Any, high: Any, window: Window, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether cells, of such first and last pixels, touch a side of a window that is no side of the image."""
    out = np.zeros(len(low), bool)
    for axis, (cut, n) in enumerate(zip(window, shape, strict=True)):
        if cut.start > 0:
            out |= low[:, axis] == 0
        if cut.stop < n:
            out |= high[:, axis] == cut.stop - cut.start
    return out


def _densest(cells: pd.DataFrame, stack: Stack) -> Window:
    """Part of a frame where most cells are."""
    depth, height, width = stack.pixels.shape[2:]
    bins = [max(1, n // (DETAIL_PX // 2)) for n in (height, width)]
    n, rows, columns = np.histogram2d(
        cells["y_px"], cells["x_px"], bins=bins, range=[[0, height], [0, width]]
    )
    row, column = np.unravel_index(int(n.argmax()), n.shape)
    middle = rows[row : row + 2].mean(), columns[column : column + 2].mean()
    y, x = (
        max(0, min(int(at) - DETAIL_PX // 2, n - DETAIL_PX))
        for at, n in zip(middle, (height, width), strict=True)
    )
    return slice(0, depth), slice(y, min(height, y + DETAIL_PX)), slice(x, min(width, x + DETAIL_PX))


def _start(folder: Path, name: str) -> None:
    """Make the folder for what is found in tiles; what is there of another name goes."""
    note = folder / "made_from.json"
    try:
        same = read_json(note) == name
    except (DataError, OSError):
        same = False
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(note, name)


ENDINGS = {"cells": "parquet", "aside": "parquet", "labels": "npz", "told": "json", "seen": "json"}


def _file(task: TileTask, what: str) -> Path:
    return task.image.tiles_folder / f"{task.name}.{what}.{ENDINGS[what]}"


def _kept(task: TileTask) -> Tile:
    seen = _file(task, "seen")
    return Tile(
        task.frame,
        task.core,
        _file(task, "cells"),
        _file(task, "labels"),
        np.array(read_json(seen), np.int64) if seen.exists() else None,
    )


def _lost(task: TileTask) -> list[str]:
    raise DataError(
        f"{task.image.image_id}: the worker process died at one of its tiles, most often for want of memory: "
        f"try fewer --workers, or a smaller --tile-px"
    )
