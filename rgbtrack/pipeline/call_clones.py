"""Clones of all cells of a run: colours corrected together, cells called, clones described."""

import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

import rgbtrack
from rgbtrack.clones import (
    CloneModel,
    ClonesParams,
    Resolution,
    SubjectModels,
    assign_clones,
    describe_clones,
    fit_clones,
    gains_seen,
    learn_gains,
    load_clones,
    match_subjects,
    matches_in_words,
    resolve_palettes,
    save_clones,
)
from rgbtrack.clones.model import UNLIKE
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import sha256, write_table
from rgbtrack.pipeline.batches import by_batch, judge_batches
from rgbtrack.pipeline.before_after import MOST, draw_corrections, plain_name
from rgbtrack.pipeline.called import CALLED, keep_called
from rgbtrack.pipeline.colours import correct_colours
from rgbtrack.pipeline.drawing import drawing
from rgbtrack.pipeline.experiment import Experiment
from rgbtrack.pipeline.findings import Finding, findings_table
from rgbtrack.pipeline.image import read_part
from rgbtrack.pipeline.movies import (
    agree_on_clones,
    link_movies,
    linking_key,
    links_in_words,
    one_row_a_family,
    strays_of,
)
from rgbtrack.pipeline.processes import Processes
from rgbtrack.pipeline.review import REVIEW, keep_doubts, name_clones, review_cells, review_counts
from rgbtrack.pipeline.steps import Step, checksums, doing, done
from rgbtrack.pipeline.task import PARTS, ImageTask
from rgbtrack.plot import plot_resolution
from rgbtrack.plot.style import Save
from rgbtrack.review import apply_links, read_review
from rgbtrack.signature import no_colours

WRITTEN = (
    "cells.parquet",
    "clones.csv",
    "clone_distances.csv",
    "clone_matches.csv",
    "clone_model.json",
    "corrections.csv",
    "bleed_through.csv",
    "review.csv",
    "audit.csv",
    CALLED,
)
STRANGE = 0.15
"""Share of cells like no clone of an earlier run, from which they are hardly of its founders."""


def clones_step(experiment: Experiment, results: Path, records: dict[str, dict[str, Any]]) -> Step:
    """What the clones rest on."""
    matrix = experiment.read_bleed_through()
    model = experiment.clones.model
    rests_on = {
        "version": [rgbtrack.__version__, list(Finding.__dataclass_fields__)],
        "[correct]": experiment.correct.model_dump(),
        "bleed-through": None if matrix is None else matrix.to_json(),
        "[signature]": experiment.signature.model_dump(),
        "[clones]": experiment.clones.model_dump(),
        "clone model": sha256(Path(model)) if model else None,
        "images": {name: records[name]["measure_key"] for name in done(records)},
        "sample sheet": experiment.sheet_columns().to_json(),
        "links": linking_key(experiment, records),
        "corrections by hand": checksums([results / REVIEW]),
    }
    return Step("clones", rests_on, lambda folder: [folder / name for name in WRITTEN])


def call_clones(
    experiment: Experiment,
    results: Path,
    records: dict[str, dict[str, Any]],
    tasks: list[ImageTask],
    overwrite: bool,
    crew: Processes,
) -> None:
    """Write cells.parquet, clones.csv and what corrections found, unless they are up to date."""
    with doing(results, clones_step(experiment, results, records), overwrite) as told:
        if told is None:
            return
        corrections = read_review(results / REVIEW)
        corrected = correct_colours(_gather_cells(experiment, results, records), experiment, records, crew)
        with threadpool_limits(1):
            linked = link_movies(corrected.cells, experiment, records)
            cells, links = apply_links(linked, corrections)
            model = _clones_of(cells, experiment.clones)
            cells = assign_clones(cells, experiment.clones, model=model)
            strays = strays_of(cells)
            if strays.any():  # what clones tell to be debris is no daughter
                linked = link_movies(corrected.cells, experiment, records, strays)
                cells, links = apply_links(linked, corrections)
                cells = assign_clones(cells, experiment.clones, model=model)
            cells = agree_on_clones(cells)
            # what colour can tell rests on the clones as they were found, whatever a hand made of them
            resolutions = resolve_palettes(cells, model, experiment.clones)
            matches = match_subjects(cells, model, experiment.clones)
            clones, fitted = describe_clones(cells, model, experiment.clones), cells["clone"]
            keep_called(results, cells, linked)
            cells, reviewed, audits = review_cells(cells, corrections, model, links, records)
            if len(reviewed):
                by_hand = describe_clones(cells, model, experiment.clones)
                clones = keep_doubts(by_hand, clones, cells["clone"], fitted)
            clones = name_clones(clones, cells)
        _warn_of_strangers(cells, experiment.clones.model)
        batches = judge_batches(tasks, results)
        measured = set(done(records))
        present = [task for task in tasks if task.image_id in measured]
        found = [
            *(finding for shared in batches.values() for finding in shared.findings),
            *corrected.findings,
            *_backgrounds(records, by_batch(present)),
            *_drifts(records),
            *_gains(model.gains_table()),
        ]
        told |= _tell(model, found, resolutions)
        told["review"] = review_counts(reviewed)
        told["neighbours"] = cells.attrs.get("neighbours", "spatial is off: calls rest on colour alone")
        told["matches"] = matches_in_words(matches)
        told["links"] = links_in_words(cells)
        pairs = pd.concat([one.distances for one in resolutions.values()], ignore_index=True)
        write_table(results / "cells.parquet", cells)
        write_table(results / "clones.csv", clones)
        write_table(results / "clone_distances.csv", pairs)
        write_table(results / "clone_matches.csv", matches)
        save_clones(results / "clone_model.json", model)
        write_table(results / "corrections.csv", findings_table(found))
        for name in ("bleed_through.csv", "review.csv", "audit.csv"):
            (results / name).unlink(missing_ok=True)
        if corrected.matrix is not None:
            write_table(results / "bleed_through.csv", _by_channel(corrected.matrix, experiment))
        if len(reviewed):
            write_table(results / "review.csv", reviewed)
        if len(audits):
            write_table(results / "audit.csv", audits)
        seen = gains_seen(cells, model)
        with drawing(crew) as save:
            draw_corrections(results, replace(corrected, cells=cells), batches, present, seen, save)
            _draw_resolutions(results, resolutions, clones, save)


def _tell(
    model: CloneModel | SubjectModels, found: list[Finding], resolutions: dict[str, Resolution]
) -> dict[str, Any]:
    """What run.json tells of the clones; and a warning where they cannot be resolved."""
    for name, resolution in resolutions.items():
        if resolution.unresolvable:
            warnings.warn(f"{name}: {resolution.verdict}".removeprefix(": "), RgbtrackWarning, stacklevel=2)
    gains = model.gains_table()
    return {
        "gains": {
            group: dict(zip(of["marker"], of["gain"], strict=True)) for group, of in gains.groupby("group")
        },
        "corrections": [asdict(finding) for finding in found],
        "resolution": {name: resolution.numbers() for name, resolution in resolutions.items()},
    }


def _draw_resolutions(
    results: Path, resolutions: dict[str, Resolution], clones: pd.DataFrame, save: Save
) -> None:
    """How far clones lie apart: of the first few subjects, where each has clones of its own."""
    folder = results / "figures"
    for old in folder.glob("resolution*"):
        old.unlink()
    for name, resolution in [pair for pair in resolutions.items() if pair[1].n_clones > 1][:MOST]:
        save(plot_resolution(resolution, clones), folder, plain_name("resolution", name))


def _clones_of(cells: pd.DataFrame, params: ClonesParams) -> CloneModel | SubjectModels:
    """Clones of an earlier run where the settings name one, else those found in the cells."""
    if params.method != "ray":
        warnings.warn(
            f'[clones] method = "{params.method}" is for comparison: it does not know the noise of cells, '
            f"and how many founders are behind a clone was worked out for the method ray",
            RgbtrackWarning,
            stacklevel=2,
        )
    cells = one_row_a_family(cells)
    if params.model is None:
        return fit_clones(cells, params)
    path = Path(params.model)
    if (path.parent / REVIEW).exists():
        warnings.warn(
            f"the run that left {path} has corrections by hand: they are not made here, copy its {REVIEW} "
            f"into this results folder if they should hold",
            RgbtrackWarning,
            stacklevel=2,
        )
    return learn_gains(load_clones(path).at_least(params.min_probability), cells, params)


def _warn_of_strangers(cells: pd.DataFrame, model: str | None) -> None:
    """Warn if many cells are like no clone of an earlier run."""
    strange = float(cells["unassigned_reason"].eq(UNLIKE).fillna(value=False).sum()) / max(len(cells), 1)
    if model is not None and strange > STRANGE:
        warnings.warn(
            f"{strange:.0%} of the cells are like no clone of {model}: other founders, other markers, or "
            f"another exposure? Do not trust these clones before you know",
            RgbtrackWarning,
            stacklevel=2,
        )


def _by_channel(matrix: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """A matrix by marker as the table that `read_bleed_through` reads, by channel name."""
    names = {marker: str(channel) for marker, channel in experiment.channels.markers.items()}
    return matrix.rename(index=names, columns=names).reset_index(names="detector")


def _drifts(records: dict[str, dict[str, Any]]) -> list[Finding]:
    return [Finding(**found) for name in done(records) for found in records[name].get("drift") or []]


def _backgrounds(records: dict[str, dict[str, Any]], batches: dict[str, list[ImageTask]]) -> list[Finding]:
    """Median background of the images of each batch, and how far they scatter about it."""
    found = []
    for batch, tasks in batches.items():
        levels = pd.DataFrame([records[task.image_id].get("background") or {} for task in tasks])
        found += [
            Finding(
                "background",
                batch,
                str(channel),
                float(level.median()),
                float(level.std()),
                "counts",
                applied=tasks[0].correct.background,
                reason=f"median of {len(level)} image{'s' * (len(level) > 1)}, first frames; "
                "± is their scatter, not an error",
            )
            for channel, level in levels.items()
        ]
    return found


def _gains(gains: pd.DataFrame) -> list[Finding]:
    return [
        Finding(
            "gain",
            group,
            marker,
            gain,
            se,
            "share of the mean",
            applied=True,
            reason="from the clones that images share, blind to treatment; undone where clones are called",
        )
        for group, marker, gain, se in gains.to_numpy(object)
    ]


def _gather_cells(experiment: Experiment, results: Path, records: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """All cells, with the sample sheet's columns."""
    names = done(records)
    missing = [name for name in names if not (results / PARTS / f"{name}.parquet").exists()]
    if missing:
        raise DataError(f"{', '.join(missing)} not measured in {results}: run 'rgbtrack measure' first")
    parts = [read_part(results, name) for name in names]
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
