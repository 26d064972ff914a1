"""The whole flow: images to tables, figures and report, in one results folder."""

import datetime
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import rgbtrack
from rgbtrack.clones import Resolution, assign_clones, describe_clones, fit_clones, resolve_palettes
from rgbtrack.dynamics import clone_sizes
from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import read_json, read_table, sha256, write_json, write_table
from rgbtrack.pipeline.colours import Corrected, correct_colours
from rgbtrack.pipeline.experiment import Experiment, read_experiment
from rgbtrack.pipeline.findings import Finding, findings_table
from rgbtrack.pipeline.image import PARTS, ImageTask, content_key, forget_image, process_image, read_part
from rgbtrack.pipeline.pool import available_workers, map_tasks
from rgbtrack.pipeline.shifts import Shifts, draw_shift, find_shifts, known_shifts
from rgbtrack.plot import plot_fading, plot_resolution, plot_unmixing, save_figure
from rgbtrack.report import write_report
from rgbtrack.segment import check_method
from rgbtrack.signature import no_colours

Step = Literal["segment", "measure", "clones", "dynamics", "report"]
STEPS: tuple[Step, ...] = ("segment", "measure", "clones", "dynamics", "report")
FIGURES = 6
"""Corrections that are drawn."""
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
        All mistakes in the experiment at once, a folder that holds something else, or a segmentation method
        that is not there.
    DataError
        If a step is asked for whose input is not there.
    """
    if not isinstance(experiment, Experiment):
        experiment = read_experiment(experiment)
    if workers is not None and workers < 1:
        raise ParamError(f"workers is {workers}: give 1 or more")
    results = Path(out) if out is not None else experiment.folder / "results"
    _prepare(results, overwrite)
    say = progress or (lambda what, done, total: None)
    started = _now()

    tasks = image_tasks(experiment, results, overwrite=overwrite, measure="measure" in steps)
    if {"segment", "measure"} & set(steps):
        if any(task.labels is None and not task.labels_file.exists() for task in tasks):
            check_method(experiment.segment)
        tasks = _with_shifts(tasks, results, workers, say)
        records = _run_images(tasks, workers, say)
        _forget_others(results, set(records))
    else:
        records = _records(tasks)
    if "clones" in steps:
        say("clones", 0, 1)
        _call_clones(experiment, results, records, tasks, overwrite)
        say("clones", 1, 1)
    if "dynamics" in steps:
        _count_clones(experiment, results, records, overwrite)
    description = _write_run_json(experiment, results, records, started)
    if "report" in steps:
        _need(results, "clone_sizes.csv", "dynamics")
        say("report", 0, 1)
        _write_report(experiment, results, records, overwrite)
        say("report", 1, 1)
    for text in description["warnings"]:
        warnings.warn(text, RgbtrackWarning, stacklevel=2)
    failed = {name: record["error"] for name, record in records.items() if record["status"] == "failed"}
    return Outcome(results, failed, description["counts"])


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
    return [
        ImageTask(
            image_id=str(row["image_id"]),
            paths=experiment.images[i],
            channels=channels,
            out=results,
            correct=experiment.correct,
            segment=experiment.segment,
            signature=experiment.signature,
            pixel_size_um=_number(row.get("pixel_size_um")),
            z_step_um=_number(row.get("z_step_um")),
            frame_interval_h=_number(row.get("frame_interval_h")),
            labels=experiment.labels[i],
            bleed_through=matrix,
            flat_field=None if flat in ("auto", "none") else experiment.folder / flat,
            dark_field=None if dark == "none" else experiment.folder / dark,
            batch="" if pd.isna(row.get("batch")) else str(row.get("batch")),
            overwrite=overwrite,
            measure=measure,
        )
        for i, (_, row) in enumerate(experiment.samples.iterrows())
    ]


def _with_shifts(
    tasks: list[ImageTask], results: Path, workers: int | None, say: Progress
) -> list[ImageTask]:
    """Tasks that know how far the channels of their batch lie beside each other."""
    if not tasks or tasks[0].correct.chromatic_shift == "none":
        return tasks
    found = find_shifts(
        tasks, results, workers or available_workers(), lambda done, total: say("channels", done, total)
    )
    return [replace(task, shift_px=found[task.batch][0]) for task in tasks]


def _run_images(tasks: list[ImageTask], workers: int | None, say: Progress) -> dict[str, dict[str, Any]]:
    workers = min(workers or available_workers(), max(1, len(tasks)))
    records: dict[str, dict[str, Any]] = {}
    say("images", 0, len(tasks))
    for index, record in map_tasks(process_image, tasks, workers, _lost):
        records[tasks[index].image_id] = record
        say("images", len(records), len(tasks))
    return {task.image_id: records[task.image_id] for task in tasks}


def _lost(task: ImageTask) -> dict[str, Any]:
    forget_image(task.out, task.image_id)
    error = f"{task.image_id}: the worker process died, most often for want of memory: try fewer --workers"
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


def _gather_cells(experiment: Experiment, results: Path, records: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """All cells, with the sample sheet's columns."""
    done = _done(records)
    missing = [name for name in done if not (results / PARTS / f"{name}.parquet").exists()]
    if missing:
        raise DataError(f"{', '.join(missing)} not measured in {results}: run 'rgbtrack measure' first")
    parts = [read_part(results, name) for name in done]
    if not parts:
        markers = tuple(experiment.channels.markers)
        none = no_colours(markers)
        parts = [pd.DataFrame({"image_id": [], "frame": [], "cell": [], **none})]
    # empty tables have no types to speak of: they would turn numbers into objects
    cells = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    sheet = experiment.sheet_columns().astype({"image_id": "str"})
    return cells.astype({"image_id": "str"}).merge(
        sheet, on="image_id", how="left", validate="many_to_one", sort=False
    )


def _call_clones(
    experiment: Experiment,
    results: Path,
    records: dict[str, dict[str, Any]],
    tasks: list[ImageTask],
    overwrite: bool,
) -> None:
    """Write cells.parquet, clones.csv and what corrections found, unless they are up to date."""
    names = ("cells.parquet", "clones.csv", "corrections.csv", "bleed_through.csv", "clone_distances.csv")
    written = [results / name for name in names]
    matrix = experiment.read_bleed_through()
    key = content_key(
        [
            rgbtrack.__version__,
            experiment.correct.model_dump(),
            None if matrix is None else matrix.to_json(),
            experiment.signature.model_dump(),
            experiment.clones.model_dump(),
            {name: records[name]["measure_key"] for name in _done(records)},
            experiment.sheet_columns().to_json(),
        ]
    )
    with _step(results, "clones", key, lambda _: written, overwrite) as told:
        if told is None:
            return
        corrected = correct_colours(_gather_cells(experiment, results, records), experiment, records)
        cells = corrected.cells
        with threadpool_limits(1):
            model = fit_clones(cells, experiment.clones)
            cells = assign_clones(cells, experiment.clones, model=model)
            clones = describe_clones(cells, model, experiment.clones)
            resolutions = resolve_palettes(cells, model, experiment.clones)
        shifts = known_shifts(tasks, results) if experiment.correct.chromatic_shift == "auto" else {}
        found = [
            *(finding for _, of_batch in shifts.values() for finding in of_batch),
            *corrected.findings,
            *_drifts(records),
            *_gains(model.gains_table()),
        ]
        told |= {
            "gains": model.gains_table(),
            "corrections": [asdict(finding) for finding in found],
            "resolution": {name: resolution.numbers() for name, resolution in resolutions.items()},
        }
        for name, resolution in resolutions.items():
            if resolution.unresolvable:
                warnings.warn(
                    f"{name}: {resolution.verdict}".removeprefix(": "), RgbtrackWarning, stacklevel=2
                )
        write_table(written[0], cells)
        write_table(written[1], clones)
        write_table(written[2], findings_table(found))
        write_table(
            written[4],
            pd.concat([resolution.distances for resolution in resolutions.values()], ignore_index=True),
        )
        _draw_corrections(results, corrected, shifts, tasks)
        _draw_resolutions(results, resolutions, clones)
        written[3].unlink(missing_ok=True)
        if corrected.matrix is not None:
            write_table(written[3], _by_channel(corrected.matrix, experiment))


def _draw_corrections(results: Path, corrected: Corrected, shifts: Shifts, tasks: list[ImageTask]) -> None:
    """Before and after, of what was undone: the first few of each."""
    folder = results / "figures"
    for old in folder.glob("correction_*"):
        old.unlink()

    def keep(figure: Figure | None, *name: str) -> None:
        if figure is not None:
            plain = re.sub(r"[^\w.+ -]", "_", "_".join(["correction", *name]).rstrip("_"))
            save_figure(figure, folder, plain)

    moved = [(batch, shift) for batch, (shift, _) in shifts.items() if shift is not None]
    for batch, shift in moved[:FIGURES]:
        keep(draw_shift(next(task for task in tasks if task.batch == batch), shift), "shift", batch)
    for name, where, cells, fading in corrected.fadings[:FIGURES]:
        keep(plot_fading(cells, fading), name, where)
    if corrected.matrix is not None:
        keep(plot_unmixing(corrected.mixed, corrected.cells, corrected.matrix), "unmixing")


def _draw_resolutions(results: Path, resolutions: dict[str, Resolution], clones: pd.DataFrame) -> None:
    """How far clones lie apart: of the first few subjects, where each has clones of its own."""
    folder = results / "figures"
    for old in folder.glob("resolution*"):
        old.unlink()
    for name, resolution in [pair for pair in resolutions.items() if pair[1].n_clones > 1][:FIGURES]:
        plain = re.sub(r"[^\w.+ -]", "_", f"resolution_{name}".rstrip("_"))
        save_figure(plot_resolution(resolution, clones), folder, plain)


def _by_channel(matrix: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """A matrix by marker as the table that `read_bleed_through` reads, by channel name."""
    names = {marker: str(channel) for marker, channel in experiment.channels.markers.items()}
    return matrix.rename(index=names, columns=names).reset_index(names="detector")


def _drifts(records: dict[str, dict[str, Any]]) -> list[Finding]:
    return [Finding(**found) for name in _done(records) for found in records[name].get("drift") or []]


def _gains(gains: dict[str, dict[str, float]]) -> list[Finding]:
    return [
        Finding(
            "gain",
            group,
            marker,
            value,
            unit="share of the mean",
            applied=True,
            reason="from the clones that images share, blind to treatment; undone where clones are called",
        )
        for group, values in gains.items()
        for marker, value in values.items()
        if group
    ]


def _count_clones(
    experiment: Experiment, results: Path, records: dict[str, dict[str, Any]], overwrite: bool
) -> None:
    """Write clone_sizes.csv, unless it is up to date."""
    source = _need(results, "cells.parquet", "clones")
    written = results / "clone_sizes.csv"
    samples = experiment.samples[experiment.samples["image_id"].isin(_done(records))]
    key = content_key(
        [rgbtrack.__version__, experiment.dynamics.model_dump(), sha256(source), samples.to_json()]
    )
    with _step(results, "dynamics", key, lambda _: [written], overwrite) as told:
        if told is not None:
            write_table(written, clone_sizes(read_table(source), experiment.dynamics, samples=samples))


@contextmanager
def _step(
    results: Path, name: str, key: str, written: Callable[[Path], list[Path]], overwrite: bool
) -> Iterator[dict[str, Any] | None]:
    """Yield None where the step's files are those of a former run of that key, else a dict to tell into.

    The step's own note vouches for its files: it goes first and comes back last.
    """
    note = results / PARTS / f"{name}.step"
    if not overwrite and note.exists():
        old = read_json(note)
        if old["key"] == key and old["written"] == _checksums(written(results)):
            yield None
            return
    note.unlink(missing_ok=True)
    told: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RgbtrackWarning)
        yield told
    told["warnings"] = [str(item.message) for item in caught if issubclass(item.category, RgbtrackWarning)]
    write_json(note, {"key": key, "written": _checksums(written(results)), "told": told})


def _checksums(paths: list[Path]) -> list[str | None]:
    return [sha256(path) if path.exists() else None for path in paths]


def _write_run_json(
    experiment: Experiment, results: Path, records: dict[str, dict[str, Any]], started: str
) -> dict[str, Any]:
    """Tell what was run, on what, and what came of it."""
    notes = [results / PARTS / f"{name}.step" for name in ("clones", "dynamics")]
    told = [read_json(note)["told"] if note.exists() else {} for note in notes]
    counts: dict[str, Any] = {
        "images": len(records),
        "failed": len(records) - len(_done(records)),
        "cells": sum(record["n_cells"] or 0 for record in records.values()),
    }
    if notes[0].exists():
        cells = read_table(results / "cells.parquet")
        counts |= {
            "assigned": int(cells["clone"].notna().sum()),
            "unassigned": {str(k): int(n) for k, n in cells["unassigned_reason"].value_counts().items()},
            "clones": int(cells["clone"].nunique()),
        }
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
        "corrections": told[0].get("corrections", []),
        "resolution": told[0].get("resolution", {}),
        "warnings": [text for step in told for text in step.get("warnings", [])],
    }
    write_json(results / "run.json", description)
    return description


def _write_report(experiment: Experiment, results: Path, records: dict[str, Any], overwrite: bool) -> None:
    tables = [results / name for name in ("cells.parquet", "clones.csv", "clone_sizes.csv")]
    key = content_key(
        [rgbtrack.__version__, experiment.configuration(), records, [sha256(path) for path in tables]]
    )
    with _step(results, "report", key, _report_files, overwrite) as told:
        if told is not None:
            write_report(results, experiment.report)


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
    ours = (results / "run.json").exists() or (results / PARTS).exists()
    if results.exists() and not ours and not overwrite and any(results.iterdir()):
        raise ParamError(
            f"--out {results} is a folder that holds other files: give a new one, or --overwrite to "
            f"write into it"
        )
    try:
        (results / PARTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParamError(f"--out {results} cannot be made: {error.strerror}: give another folder") from error


def _done(records: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, record in records.items() if record["status"] == "done"]


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
