"""One image, from file to labels and signatures: the unit of parallel work."""

import errno
import hashlib
import json
import os
import shutil
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import rgbtrack
from rgbtrack.correct import correct_stack
from rgbtrack.errors import DataError, RgbtrackError, RgbtrackWarning
from rgbtrack.files import (
    ZARR,
    Scale,
    is_ome_zarr,
    json_values,
    labels_file,
    read_json,
    read_labels,
    read_table,
    sha256,
    write_json,
    write_label_zarr,
    write_labels,
    write_table,
)
from rgbtrack.pipeline.closeup import write_closeup
from rgbtrack.pipeline.drift import follow_stage, see_from_above
from rgbtrack.pipeline.looked import Cells, Looked, quality
from rgbtrack.pipeline.masks import refuse_mask_volume
from rgbtrack.pipeline.pool import Crew
from rgbtrack.pipeline.processes import ALONE
from rgbtrack.pipeline.task import FOUND_LABELS, PARTS, ImageTask, is_large, voxel_um
from rgbtrack.pipeline.thumbnail import write_thumbnail
from rgbtrack.pipeline.tiles import look_in_tiles
from rgbtrack.review import apply_redraws
from rgbtrack.segment import find_cells
from rgbtrack.segment.params import OURS
from rgbtrack.signature import measure_signatures
from rgbtrack.stack import Stack

LABEL_ENDINGS = (".tif", ZARR)
TOGETHER = 2.0
"""Noise correlation that is told."""
BY_HAND = "erased by hand"
SURE_JOIN = 0.8
"""Parts joined with less probability may be two cells."""


UNREADABLE = (RgbtrackError, OSError, MemoryError)
"""What comes of an image that cannot be read, or is no longer there."""


def process_image(task: ImageTask, crew: Crew = ALONE) -> dict[str, Any]:
    """Segment and measure one image, doing again only what is out of date.

    Parameters
    ----------
    task
        The image.
    crew
        Who works on the tiles of a large one.

    Returns
    -------
    record
        What run.json tells of the image: never raises for a fault of the image.
    """
    caught: list[warnings.WarningMessage]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RgbtrackWarning)
        try:
            record = _process(task, crew)
        except RgbtrackError as error:
            record = _failure(task, str(error))
        except (OSError, MemoryError) as error:
            if isinstance(error, OSError) and _stops_all(error, task.out):
                raise OSError(error.errno, error.strerror, str(error.filename or task.out)) from error
            record = _failure(task, f"{task.image_id}: {type(error).__name__}: {error}")
        except Exception as error:
            record = _failure(task, f"{task.image_id}: a defect of rgbtrack: {type(error).__name__}: {error}")
            record["traceback"] = traceback.format_exc()
    said = [str(item.message) for item in caught if issubclass(item.category, RgbtrackWarning)]
    if said:
        record["warnings"] = list(dict.fromkeys([*record["warnings"], *said]))
        if record["status"] == "done":
            write_json(task.record_file, record)
    return dict(json_values(record))  # as a later run reads it, which must find that nothing changed


def _stops_all(error: OSError, out: Path) -> bool:
    """Whether a fault is of the results folder, not of an image: no other image would fare better."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) or not out.is_dir():
        return True
    return bool(error.filename) and Path(os.fsdecode(error.filename)).is_relative_to(out)


def forget_image(out: Path, image_id: str) -> None:
    """Remove what a former run left of an image that failed or is no longer in the sheet."""
    for path in (
        out / PARTS / f"{image_id}.json",
        out / PARTS / f"{image_id}.parquet",
        out / PARTS / f"{image_id}.found.parquet",
        out / PARTS / f"{image_id}.aside.parquet",
        out / PARTS / f"{image_id}.tiles",
        *(out / PARTS / FOUND_LABELS / f"{image_id}{ending}" for ending in LABEL_ENDINGS),
        *(out / "labels" / f"{image_id}{ending}" for ending in LABEL_ENDINGS),
        out / "thumbnails" / f"{image_id}.png",
        out / "closeups" / f"{image_id}.png",
    ):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _process(task: ImageTask, crew: Crew) -> dict[str, Any]:
    hashing = _hash_beside(task)
    old = {} if task.overwrite else _old_record(task)
    # where nothing was done before, the work need not wait for the checksums
    segmented, drawn, measured = _what_is_done(task, old, hashing.result()) if old else _Done(*[False] * 3)
    if measured or (drawn and not task.measure):
        return old
    found_file = task.found_labels_file if old.get("redraw_key") else task.labels_file
    start = time.perf_counter()
    record = (dict(old) if segmented else _new_record({})) | {
        "paths": [str(path) for path in task.paths],
        "scene": task.scene,
        "axes": task.axes,
    }
    record |= {"redrawn": {}, "redraw_key": _redraw_key(task)}
    record["rejected"] = {reason: n for reason, n in record["rejected"].items() if reason != BY_HAND}
    ready = found_file if segmented else task.labels
    stack = task.read()
    if ready is not None:
        refuse_mask_volume(ready, stack)
    if is_large(stack):
        made_from = content_key(_rests_on(task, hashing.result())[1])
        looked = look_in_tiles(task, stack, ready, crew, made_from)
    else:
        looked = _look_at_whole(task, stack, ready, record)
    record |= _told_of(stack) | looked.quality
    if looked.diameter_um is not None:
        record["diameter_um"] = looked.diameter_um
    for reason, n in looked.rejected.items():
        record["rejected"][reason] = record["rejected"].get(reason, 0) + n
    if not drawn:
        # the old record vouches for the old labels: it goes before they do
        task.record_file.unlink(missing_ok=True)
        in_zarr = is_large(stack) or is_ome_zarr(task.paths[0])
        if task.redraws and looked.found is not None:
            _write(looked.found, task.out / PARTS / FOUND_LABELS, task, stack, in_zarr, looked.chunk_px)
        _write(looked.labels, task.out / "labels", task, stack, in_zarr, looked.chunk_px)
        if not task.redraws:
            _remove(task.found_labels_file)
    if not segmented:
        task.found_file.unlink(missing_ok=True)
        if len(looked.sure):
            write_table(task.found_file, looked.sure)
        task.aside_file.unlink(missing_ok=True)
        if len(looked.set_aside):
            write_table(task.aside_file, looked.set_aside)
        write_thumbnail(task.thumbnail_file, looked.picture)
    if not drawn:
        lost = read_table(task.aside_file) if task.aside_file.exists() else pd.DataFrame()
        write_closeup(task.closeup_file, *looked.detail(lost))
    rests_on = _rests_on(task, hashing.result())
    segment_key, measure_key = (content_key(one) for one in rests_on)
    record |= {"inputs": hashing.result(), "segment_key": segment_key, "measure_key": None}
    record["rests_on"] = keys_of(rests_on[1])
    if task.measure:
        table = _add_certainty(looked.cells, task.found_file, record["redrawn"])
        table.insert(0, "image_id", task.image_id)
        if stack.n_frames > 1 and stack.frame_interval_h is not None:
            table.insert(3, "time_h", table["frame"] * stack.frame_interval_h)
        if looked.lights:
            path_um, moves = follow_stage(looked.lights, task.image_id, stack)
            table["drift_y_um"], table["drift_x_um"] = path_um[table["frame"]].T
            record["drift"] = [asdict(move) for move in moves]
        write_table(task.cells_file, table)
        record |= {"measure_key": measure_key, "n_cells": len(table)}
        record["limit_of_detection"] = {
            name: float(table[f"{name}_limit"].median()) for name in stack.markers if len(table)
        }
        _warn_of(stack, table, record["noise"])
    record["seconds"] = round(time.perf_counter() - start, 3)
    written = (task.labels_file, *([task.cells_file] if task.measure else []))
    record["written"] = {str(path.relative_to(task.out)): sha256(path) for path in written}
    write_json(task.record_file, record)
    _remove(task.tiles_folder)
    return record


def _look_at_whole(task: ImageTask, stack: Stack, ready: Path | None, record: dict[str, Any]) -> Looked:
    """Look at an image frame by frame, each as a whole."""
    labels, found_labels, cells, sure, lights = [], [], [], [], []
    set_aside: pd.DataFrame | None = None
    first: Stack | None = None
    rejected: dict[str, int] = {}
    diameter_um, segment = None, task.segment
    shape = (stack.n_frames, *stack.pixels.shape[2:])
    known = read_labels(ready, shape) if ready is not None else None
    for t, frame in _corrected_frames(task, stack, range(stack.n_frames)):
        first = first or frame
        if known is None:
            found = find_cells(frame, segment)
            if segment.method == OURS:  # the first frame's diameter serves all; other methods have their own
                segment = segment.model_copy(update={"diameter_um": found.diameter_um})
            for reason, n in found.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + n
            if np.isfinite(found.diameter_um):
                diameter_um = found.diameter_um
            found_labels.append(found.labels[0])
            sure.append(found.cells.assign(frame=t))
            set_aside = found.set_aside if set_aside is None else set_aside
        else:
            found_labels.append(known[t])
        labels.append(_redraw(record, task, found_labels[-1], t, stack))
        if stack.n_frames > 1 and task.correct.drift == "auto":
            lights.append(see_from_above(frame))
        if task.measure:
            seen = frame.with_bleed_through(None)  # undone for all images together: see `correct_colours`
            cells.append(measure_signatures(seen, labels[-1][None], task.signature).assign(frame=t))
    assert first is not None  # noqa: S101 - a stack has at least one frame
    corrected = first

    def detail(lost: pd.DataFrame) -> tuple[Stack, NDArray[np.uint32], pd.DataFrame]:
        return corrected, labels[0], lost

    return Looked(
        labels=np.stack(labels),
        found=np.stack(found_labels) if task.redraws else None,
        picture=corrected,
        detail=detail,
        quality=quality([corrected], stack),
        cells=pd.concat(cells, ignore_index=True) if cells else pd.DataFrame(),
        sure=pd.concat(sure, ignore_index=True) if sure else pd.DataFrame(),
        set_aside=pd.DataFrame() if set_aside is None else set_aside,
        rejected=rejected,
        diameter_um=diameter_um,
        lights=lights,
    )


def _write(labels: Cells, folder: Path, task: ImageTask, stack: Stack, in_zarr: bool, chunk_px: int) -> None:
    """Write the labels of an image, of a large one or one in an OME-Zarr as such, and remove former ones."""
    tiff, stored = (folder / f"{task.image_id}{ending}" for ending in LABEL_ENDINGS)
    if in_zarr or callable(labels):
        shape = (stack.n_frames, *stack.pixels.shape[2:])
        scale = Scale(stack.pixel_size_um, stack.z_step_um, stack.frame_interval_h)
        if callable(labels):
            write_label_zarr(stored, shape, labels(), scale, chunk_px)
        else:
            write_label_zarr(stored, shape, [((slice(None),) * 4, labels)], scale)
        _remove(tiff)
    else:
        write_labels(tiff, labels)
        _remove(stored)


def _redraw(
    record: dict[str, Any], task: ImageTask, labels: NDArray[np.uint32], frame: int, stack: Stack
) -> NDArray[np.uint32]:
    """Outlines of a frame with those that a person changed; the record tells what came of it."""
    changed, redrawn = apply_redraws(
        labels,
        task.redraws,
        image_id=task.image_id,
        frame=frame,
        voxel_um=voxel_um(stack.pixel_size_um, stack.z_step_um),
    )
    record["redrawn"] |= {name: asdict(told) | {"frame": frame} for name, told in redrawn.items()}
    erased = sum(told.n_erased for told in redrawn.values())
    if erased:
        record["rejected"][BY_HAND] = record["rejected"].get(BY_HAND, 0) + erased
    return changed


def found_labels(out: Path, image_id: str) -> NDArray[np.uint32]:
    """Labels of an image as they were found, (t, z, y, x), before any outline was changed by hand."""
    kept = labels_file(out / PARTS / FOUND_LABELS, image_id)
    return read_labels(kept if kept.exists() else labels_file(out / "labels", image_id))


def _add_certainty(cells: pd.DataFrame, file: Path, redrawn: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Add how sure the segmentation was of each cell; of ready-made masks, and by hand, nobody knows."""
    if not file.exists():
        return cells.assign(cell_probability=np.nan, merged=False)
    sure = read_table(file).astype({"frame": cells["frame"].dtype, "cell": cells["cell"].dtype})
    for told in redrawn.values():
        sure = sure[(sure["frame"] != told["frame"]) | ~sure["cell"].isin(told["cells"])]
    table = cells.merge(sure, on=["frame", "cell"], how="left", validate="1:1")
    doubt = table.pop("join_probability") < SURE_JOIN
    return table.assign(merged=doubt)


def corrected_frame(task: ImageTask, frame: int, window: tuple[slice, slice] | None = None) -> Stack:
    """Read one frame, or some rows and columns of it, corrected.

    Raises
    ------
    DataError
        If the image has no such frame, or cannot be read.
    """
    stack = task.read()
    if not 0 <= frame < stack.n_frames:
        raise DataError(f"{task.image_id} has {stack.n_frames} frames: there is no frame {frame}")
    return next(_corrected_frames(task, stack, range(frame, frame + 1), window))[1]


def _corrected_frames(
    task: ImageTask,
    stack: Stack,
    frames: range,
    window: tuple[slice, slice] | None = None,
) -> Iterator[tuple[int, Stack]]:
    """Each frame, corrected; only one is in memory at a time."""
    flat, dark = task.fields(stack)
    if window is not None:
        stack = stack.crop(window)
        flat, dark = (None if light is None else light[..., window[0], window[1]] for light in (flat, dark))
    for t in frames:
        yield (
            t,
            correct_stack(
                stack.frame(t),
                task.correct,
                bleed_through=task.bleed_through,
                flat_field=flat,
                dark_field=dark,
                shift_px=task.shift_px,
            ),
        )


def _hash_beside(task: ImageTask) -> Future[dict[str, str | None]]:
    """Fingerprints of the files of an image, taken in a thread of their own."""
    pool = ThreadPoolExecutor(1)
    hashing = pool.submit(task.fingerprints)
    pool.shutdown(wait=False)
    return hashing


def _rests_on(task: ImageTask, inputs: dict[str, str | None]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the labels, and what the signatures, are made from: contents, settings, version."""
    # what acts on the cells of all images together comes after: it leaves labels and measures as they are
    correct = task.correct.model_dump(
        exclude={"bleed_through", "attenuation_um", "bleaching", "chromatic_shift"}
    )
    labels = {
        "version": rgbtrack.__version__,
        "image": list(inputs.values()),
        "channels": list(task.channels.items()),
        "calibration": [task.pixel_size_um, task.z_step_um, task.frame_interval_h],
        "scene": [task.scene, task.axes],
        "[correct]": correct,
        "channels' shift": None if task.shift_px is None else task.shift_px.tolist(),
        "illumination": None if task.light is None else task.light.tolist(),
        "[segment]": task.segment.model_dump() | {"model": _model_key(task.segment.model)},
        "ready labels": task.labels is not None,
    }
    signatures = {"[signature]": task.signature.model_dump(), "outlines by hand": _redraw_key(task)}
    return labels, labels | signatures


class _Done(NamedTuple):
    """What of an image is up to date: its cells as found, as outlined by hand, and as measured."""

    segmented: bool
    drawn: bool
    measured: bool


def _what_is_done(task: ImageTask, old: dict[str, Any], inputs: dict[str, str | None]) -> _Done:
    labels, signatures = (content_key(rests_on) for rests_on in _rests_on(task, inputs))
    found_file = task.found_labels_file if old.get("redraw_key") else task.labels_file
    segmented = old.get("segment_key") == labels and found_file.exists()
    drawn = segmented and old.get("redraw_key") == _redraw_key(task) and task.labels_file.exists()
    return _Done(
        segmented, drawn, drawn and old.get("measure_key") == signatures and task.cells_file.exists()
    )


def finished_record(task: ImageTask) -> dict[str, Any] | None:
    """What a former run tells of an image that is up to date; None where there is work to do."""
    old = {} if task.overwrite else _old_record(task)
    inputs = task.fingerprints() if old else {}
    if not old or None in inputs.values():
        return None
    done = _what_is_done(task, old, inputs)
    return old if done.measured or (done.drawn and not task.measure) else None


def why_image_due(task: ImageTask) -> list[str]:
    """Why an image is to be worked on: what changed since it was; empty where it is up to date."""
    old = _old_record(task)
    inputs = task.fingerprints()
    gone = [path for path, known in inputs.items() if known is None]
    if gone:
        return [f"{path} is not there: it would fail" for path in gone]
    if not old:
        return ["not done yet"]
    if finished_record(task) is not None:
        return []
    rests_on = _rests_on(task, inputs)[1]
    return changes(old.get("rests_on", {}), keys_of(rests_on)) or ["its files are gone"]


def _redraw_key(task: ImageTask) -> str:
    """Name of what a person drew; empty for nothing."""
    return content_key([redraw.model_dump() for redraw in task.redraws]) if task.redraws else ""


def _model_key(model: str | None) -> Any:
    """What tells one model from another: its name, or of a file or folder what is in it, wherever it lies."""
    if model is None or not Path(model).exists():
        return model
    files = [Path(model)] if Path(model).is_file() else sorted(Path(model).iterdir())
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def keys_of(rests_on: Mapping[str, Any]) -> dict[str, str]:
    """Short name of each thing that an outcome rests on."""
    return {name: content_key(content) for name, content in rests_on.items()}


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Names of what an outcome rested on, or rests on now, that changed."""
    return [f"{name} changed" for name in new if old.get(name) != new[name]]


def content_key(content: Any) -> str:
    """Short name of any JSON-like content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:24]


def _old_record(task: ImageTask) -> dict[str, Any]:
    try:
        record = read_json(task.record_file)
    except (RgbtrackError, OSError):
        return {}
    return record if isinstance(record, dict) else {}


def _new_record(inputs: dict[str, str | None]) -> dict[str, Any]:
    return {
        "status": "done",
        "error": None,
        "inputs": inputs,
        "n_cells": None,
        "rejected": {},
        "warnings": [],
    }


def _failure(task: ImageTask, error: str) -> dict[str, Any]:
    forget_image(task.out, task.image_id)
    return _new_record({}) | {"status": "failed", "error": error, "inputs": task.fingerprints()}


def _told_of(stack: Stack) -> dict[str, Any]:
    """What the file says of the image."""
    return {
        "n_frames": stack.n_frames,
        "shape": list(stack.pixels.shape),
        "pixel_size_um": stack.pixel_size_um,
        "z_step_um": stack.z_step_um,
        "n_planes_projected": None if stack.projection is None else stack.projection.n_planes,
        "frame_interval_h": stack.frame_interval_h,
    }


def _warn_of(stack: Stack, table: pd.DataFrame, noise: dict[str, Any]) -> None:
    worst = max(noise, key=lambda name: noise[name]["correlation"])
    if noise[worst]["correlation"] > TOGETHER:
        warnings.warn(
            f"neighbouring pixels of {worst} err together, as in smoothed, binned or compressed images: "
            f"errors are widened {np.sqrt(noise[worst]['correlation']):.1f}-fold; use raw images if you can",
            RgbtrackWarning,
            stacklevel=2,
        )
    if stack.pixel_size_um is None:
        warnings.warn(
            "its pixel size is not known: lengths and areas are in pixels, not um; give it in the sheet's "
            "column pixel_size_um",
            RgbtrackWarning,
            stacklevel=2,
        )
    if table.empty:
        warnings.warn("no cells were found", RgbtrackWarning, stacklevel=2)


def read_part(out: Path, image_id: str) -> pd.DataFrame:
    """Signatures of one image, as measured."""
    return read_table(out / PARTS / f"{image_id}.parquet")
