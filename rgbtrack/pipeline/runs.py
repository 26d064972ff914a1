"""The whole flow: images to tables, figures and report, in one results folder."""

import datetime
import platform
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

import rgbtrack
from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import read_json, read_table, write_json
from rgbtrack.pipeline.alone import alone_in
from rgbtrack.pipeline.batches import judge_batches, knowing, look_at_batches
from rgbtrack.pipeline.call_clones import call_clones
from rgbtrack.pipeline.cluster import Cluster
from rgbtrack.pipeline.drawing import drawing
from rgbtrack.pipeline.dynamics import DYNAMICS, describe_dynamics
from rgbtrack.pipeline.experiment import Experiment, read_experiment
from rgbtrack.pipeline.image import UNREADABLE, finished_record, forget_image, process_image
from rgbtrack.pipeline.pool import Crew, crew_for, map_tasks
from rgbtrack.pipeline.processes import Processes, available_workers
from rgbtrack.pipeline.review import REVIEW
from rgbtrack.pipeline.steps import Step as Stage
from rgbtrack.pipeline.steps import checksums, doing, done
from rgbtrack.pipeline.task import LARGE_PX, PARTS, TILE_PX, ImageTask, is_large
from rgbtrack.pipeline.tracks import MOTILITY, describe_movies
from rgbtrack.report import write_report
from rgbtrack.review import read_review, standing_redraws
from rgbtrack.segment import check_method
from rgbtrack.segment.methods import BUILT_IN
from rgbtrack.stamp import STAMP, make_stamp, remove_stamp, states
from rgbtrack.threads import limit_threads

Step = Literal["segment", "measure", "clones", "link", "dynamics", "report"]
STEPS: tuple[Step, ...] = ("segment", "measure", "clones", "link", "dynamics", "report")
"""Stages of a run, in their order."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes
    ----------
    results
        The results folder.
    failed
        Image id to reason, for each image that could not be processed.
    counts
        Images, cells, assigned and unassigned cells, clones.
    """

    results: Path
    failed: dict[str, str]
    counts: dict[str, Any]


def run(
    experiment: Experiment | str | Path,
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    tile_px: int | None = None,
    overwrite: bool = False,
    steps: tuple[Step, ...] = STEPS,
    progress: Progress | None = None,
) -> Outcome:
    """Run an experiment from images to report.

    What a former run left and is up to date (same input bytes, settings and version) is not done again. An
    image that fails does not stop the others.

    Parameters
    ----------
    experiment
        An experiment, or the path of its ``experiment.toml``.
    out
        Results folder; default ``results`` beside ``experiment.toml``.
    workers
        Processes for the images; default one per core. The tables are the same for any number.
    scheduler
        Address, or scheduler file, of a Dask cluster whose workers do the images instead.
    tile_px
        Rows and columns of the tiles in which images larger than memory are worked on; None: `TILE_PX`. The
        tables are the same for any.
    overwrite
        Do everything again.
    steps
        Which stages to run; a stage works from what is there of those before it.
    progress
        Called with (what, done, total).

    Returns
    -------
    outcome
        Folder, failed images and counts.

    Raises
    ------
    ParamError
        All mistakes in the experiment at once, a folder that holds something else or that another run works
        in, a segmentation method that is not there, or a cluster that cannot do the work.
    DataError
        If a step is asked for whose input is not there.
    """
    if not isinstance(experiment, Experiment):
        experiment = read_experiment(experiment)
    results = Path(out) if out is not None else experiment.folder / "results"
    crew_for_images = crew_for(workers, scheduler, results, inputs=[experiment.path])
    _prepare(results, overwrite)
    with alone_in(results):
        return _run(experiment, results, crew_for_images, tile_px, overwrite, steps, progress)


def _run(
    experiment: Experiment,
    results: Path,
    crew_for_images: AbstractContextManager[Crew],
    tile_px: int | None,
    overwrite: bool,
    steps: tuple[Step, ...],
    progress: Progress | None,
) -> Outcome:
    say = progress or (lambda what, done, total: None)
    started = _now()
    remove_stamp(results)
    settings = states(_settings_files(experiment, results), experiment.known_by)
    tasks = image_tasks(experiment, results, overwrite=overwrite, measure="measure" in steps)
    tasks = [replace(task, tile_px=tile_px or TILE_PX) for task in tasks]
    if {"segment", "measure"} & set(steps):
        if any(task.labels is None and not task.labels_file.exists() for task in tasks):
            check_method(experiment.segment)
        with crew_for_images as crew:
            if isinstance(crew, Cluster):
                tasks = [task.anywhere() for task in tasks]
            tasks = _knowing_batches(tasks, results, crew, say)
            records = _run_images(tasks, crew, say)
        _forget_others(results, set(records))
    else:
        records = _records(tasks)
    # what follows the images is done on this machine
    here = crew_for_images if isinstance(crew_for_images, Processes) else Processes(available_workers())
    with here, limit_threads(here.n):
        if "clones" in steps:
            say("clones", 0, 1)
            call_clones(experiment, results, records, tasks, overwrite, here)
            say("clones", 1, 1)
        if "link" in steps:
            describe_movies(experiment, results, records, overwrite)
        if "dynamics" in steps:
            describe_dynamics(experiment, results, records, overwrite)
        description = _write_run_json(experiment, results, records, started)
        if "report" in steps:
            _need(results, "clone_sizes.csv", "dynamics")
            say("report", 0, 1)
            _write_report(experiment, results, records, overwrite, here)
            say("report", 1, 1)
    for text in description["warnings"]:
        warnings.warn(text, RgbtrackWarning, stacklevel=3)
    failed = {name: record["error"] for name, record in records.items() if record["status"] == "failed"}
    if steps == STEPS and not failed and experiment.segment.method in BUILT_IN:
        told = {"counts": description["counts"], "warnings": description["warnings"]}
        # what a former run told of files that have moved since holds where they are now
        images = {
            str(path): state
            for task in tasks
            for path, state in zip(task.files, records[task.image_id]["inputs"].values(), strict=True)
        }
        version, known_by = rgbtrack.__version__, experiment.known_by
        stamp = make_stamp(results, version, experiment.path, known_by, settings | images, told)
        write_json(results / STAMP, stamp)
    return Outcome(results, failed, description["counts"])


def _settings_files(experiment: Experiment, results: Path) -> set[Path]:
    """Files beside the images that the results rest on, whether they are there or not."""
    named = (experiment.correct.bleed_through, experiment.segment.model, experiment.clones.model)
    files = {experiment.folder / name for name in named if name not in (None, "auto", "none")}
    files |= {path for path in experiment.tracks if path is not None}
    return files | {experiment.path, experiment.folder / experiment.samples_file, results / REVIEW}


def image_tasks(
    experiment: Experiment, results: Path, *, overwrite: bool = False, measure: bool = True
) -> list[ImageTask]:
    """One task per row of the sample sheet."""
    matrix = experiment.read_bleed_through()
    flat, dark = experiment.correct.flat_field, experiment.correct.dark_field
    channels: dict[str, str | int] = dict(experiment.channels.markers)
    if experiment.channels.nucleus is not None:
        channels["nucleus"] = experiment.channels.nucleus
    if matrix is not None:
        matrix = matrix.set_axis(list(experiment.channels.markers)).set_axis(
            list(experiment.channels.markers), axis=1
        )
    corrections = read_review(results / REVIEW)
    return [
        ImageTask(
            image_id=str(row["image_id"]),
            paths=experiment.images[i],
            channels=channels,
            out=results,
            correct=experiment.correct,
            segment=experiment.segment,
            signature=experiment.signature,
            **experiment.reading(i),
            labels=experiment.labels[i],
            bleed_through=matrix,
            flat_field=None if flat in ("auto", "none") else experiment.folder / flat,
            dark_field=None if dark == "none" else experiment.folder / dark,
            batch="" if pd.isna(row.get("batch")) else str(row.get("batch")),
            redraws=standing_redraws(corrections, str(row["image_id"])),
            overwrite=overwrite,
            measure=measure,
            known_by=experiment.known_by,
        )
        for i, (_, row) in enumerate(experiment.samples.iterrows())
    ]


def _knowing_batches(tasks: list[ImageTask], results: Path, crew: Crew, say: Progress) -> list[ImageTask]:
    """Tasks that know the illumination of their batch, and how far its channels lie beside each other."""
    look_at_batches(tasks, results, crew, lambda done, total: say("batches", done, total))
    return knowing(tasks, judge_batches(tasks, results))


def _run_images(tasks: list[ImageTask], crew: Crew, say: Progress) -> dict[str, dict[str, Any]]:
    """What is told of every image, worked on where it is not up to date."""
    say("images", 0, len(tasks))
    with ThreadPoolExecutor(available_workers()) as readers:  # checksums let go of the interpreter
        found = list(readers.map(finished_record, tasks))
    records = {task.image_id: old for task, old in zip(tasks, found, strict=True) if old is not None}
    due = [task for task in tasks if task.image_id not in records]
    large = [task for task in due if _is_large(task)]
    shared = {task.image_id for task in large}
    small = [task for task in due if task.image_id not in shared]
    for index, record in map_tasks(process_image, small, crew, _lost):
        records[small[index].image_id] = record
        say("images", len(records), len(tasks))
    for task in large:  # of which the tiles are shared out
        records[task.image_id] = process_image(task, crew)
        say("images", len(records), len(tasks))
    say("images", len(tasks), len(tasks))
    return {task.image_id: records[task.image_id] for task in tasks}


def _is_large(task: ImageTask) -> bool:
    """Whether the tiles of an image are shared out; what cannot be read is told of later.

    Small files, of which there may be thousands, are not opened for it: whoever works on one finds out.
    """
    if all(path.is_file() and path.stat().st_size < LARGE_PX // 8 for path in task.paths):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        try:
            return is_large(task.read())
        except UNREADABLE:
            return False


def _lost(task: ImageTask) -> dict[str, Any]:
    forget_image(task.out, task.image_id)
    error = (
        f"{task.image_id}: the worker process died, most often for want of memory: try fewer --workers (on a "
        f"cluster, workers of more memory)"
    )
    return {"status": "failed", "error": error, "inputs": {}, "n_cells": None, "rejected": {}, "warnings": []}


def _records(tasks: list[ImageTask]) -> dict[str, dict[str, Any]]:
    """What former runs tell of the images."""
    records = {}
    for task in tasks:
        if not task.record_file.exists():
            raise DataError(
                f"{task.image_id} has not been segmented and measured into {task.out}: "
                f"run 'rgbtrack measure' (or 'rgbtrack run') first"
            )
        records[task.image_id] = read_json(task.record_file)
    return records


def _write_run_json(
    experiment: Experiment, results: Path, records: dict[str, dict[str, Any]], started: str
) -> dict[str, Any]:
    """Tell what was run, on what, and what came of it."""
    notes = [results / PARTS / f"{name}.step" for name in ("clones", "dynamics", "link")]
    told = [read_json(note)["told"] if note.exists() else {} for note in notes]
    counts: dict[str, Any] = {
        "images": len(records),
        "failed": len(records) - len(done(records)),
        "cells": sum(record["n_cells"] or 0 for record in records.values()),
    }
    if notes[0].exists():
        cells = read_table(results / "cells.parquet")
        counts |= {
            "assigned": int(cells["clone"].notna().sum()),
            "unassigned": {str(k): int(n) for k, n in cells["unassigned_reason"].value_counts().items()},
            "clones": int(cells["clone"].nunique()),
        }
        if "track" in cells:
            counts["tracks"] = len(cells[["image_id", "track"]].dropna().drop_duplicates())
    description = {
        "version": rgbtrack.__version__,
        "python": platform.python_version(),
        "name": experiment.name,
        "experiment": str(experiment.path.resolve()),
        "configuration": experiment.configuration(),
        "seed": experiment.clones.seed,
        "started": started,
        "finished": _now(),
        "images": records,
        "counts": counts,
        "gains": told[0].get("gains", {}),
        "neighbours": told[0].get("neighbours", ""),
        "matches": told[0].get("matches", ""),
        "links": told[0].get("links", ""),
        "corrections": told[0].get("corrections", []),
        "resolution": told[0].get("resolution", {}),
        "review": told[0].get("review", {}),
        "not_told": told[1].get("not_told", {}) | told[2].get("not_told", {}),
        "remarks": told[1].get("remarks", {}) | told[2].get("remarks", {}),
        "warnings": [text for step in told for text in step.get("warnings", [])],
    }
    write_json(results / "run.json", description)
    return description


def _write_report(
    experiment: Experiment, results: Path, records: dict[str, Any], overwrite: bool, crew: Processes
) -> None:
    with doing(results, report_step(experiment, results, records), overwrite) as told:
        if told is not None:
            write_report(results, experiment.report, drawing(crew))


def report_step(experiment: Experiment, results: Path, records: dict[str, Any]) -> Stage:
    """What the report rests on."""
    names = ("cells.parquet", "clones.csv", "clone_sizes.csv", "review.csv", "audit.csv", "tracks.csv")
    tables = [*names, *(f"dynamics/{name}.csv" for name in (*DYNAMICS, *MOTILITY))]
    rests_on = {
        "version": rgbtrack.__version__,
        "settings": experiment.configuration(),
        "images": records,
        "tables": checksums([results / name for name in tables]),
    }
    return Stage("report", rests_on, _report_files)


def _report_files(results: Path) -> list[Path]:
    return [results / "report.html", *sorted((results / "figures").glob("*"))]


def _forget_others(results: Path, current: set[str]) -> None:
    """Remove what former runs left of images that the sheet no longer names."""
    for record in (results / PARTS).glob("*.json"):
        if record.stem not in current:
            forget_image(results, record.stem)


def _need(results: Path, name: str, step: str) -> Path:
    path = results / name
    if not path.exists():
        raise DataError(f"{path} is not there: run 'rgbtrack {step}' (or 'rgbtrack run') first")
    return path


def _prepare(results: Path, overwrite: bool) -> None:
    """Make the results folder; refuse one that holds something else."""
    if results.exists() and not results.is_dir():
        raise ParamError(f"--out {results} is a file: give a folder")
    ours = any((results / name).exists() for name in ("run.json", PARTS, REVIEW))
    if results.exists() and not ours and not overwrite and any(results.iterdir()):
        raise ParamError(
            f"--out {results} is a folder that holds other files: give a new one, or --overwrite to "
            f"write into it"
        )
    try:
        (results / PARTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParamError(f"--out {results} cannot be made: {error.strerror}: give another folder") from error


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
