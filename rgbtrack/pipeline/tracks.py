"""Tracks of a run: what they say of how cells move and divide, and the files that other programs open."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import rgbtrack
from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import (
    check_names,
    labels_file,
    read_labels,
    read_table,
    sha256,
    write_ctc,
    write_geff,
    write_table,
    write_trackmate,
)
from rgbtrack.link import (
    MotilityParams,
    clone_motility,
    describe_tracks,
    mean_squared_displacement,
    motility_by_treatment,
)
from rgbtrack.pipeline.called import called_file
from rgbtrack.pipeline.experiment import Experiment
from rgbtrack.pipeline.movies import interval_known, movies_of
from rgbtrack.pipeline.steps import Step, doing
from rgbtrack.tables import counted

GEFF = "tracks.geff"
_SUBJECT = ("subject", "treatment", "timepoint", "site")
Maker = Callable[[pd.DataFrame, MotilityParams], pd.DataFrame]
MOTILITY: dict[str, Maker] = {
    "motility": clone_motility,
    "motility_by_clone": lambda cells, params: clone_motility(cells, params, by=("clone", "treatment")),
    "motility_by_subject": lambda cells, params: clone_motility(cells, params, by=_SUBJECT),
    "motility_by_treatment": motility_by_treatment,
    "msd": mean_squared_displacement,
    "msd_by_treatment": lambda cells, params: mean_squared_displacement(cells, params, by=_SUBJECT[1:]),
}
"""Tables in the folder ``dynamics``, by name, and how each is made of tracked cells."""


def link_step(experiment: Experiment, results: Path, records: dict[str, dict[str, Any]]) -> Step:
    """What tracks, and the tables of `MOTILITY`, rest on."""
    movies = movies_of(records)
    rests_on: dict[str, Any] = {"time series": movies}
    if movies:
        rests_on |= {
            "version": rgbtrack.__version__,
            "[link]": _with_control(experiment).model_dump(),
            "cells": sha256(called_file(results)),
        }

    def written(folder: Path) -> list[Path]:
        geff = sorted(path for path in (folder / GEFF).rglob("*") if path.is_file())
        return [*_tables(folder).values(), *geff]

    return Step("link", rests_on, written)


def _tables(results: Path) -> dict[str, Path]:
    folder = results / "dynamics"
    return {"tracks": results / "tracks.csv", **{name: folder / f"{name}.csv" for name in MOTILITY}}


def describe_movies(
    experiment: Experiment, results: Path, records: dict[str, dict[str, Any]], overwrite: bool
) -> None:
    """Write tracks.geff, tracks.csv and the tables of `MOTILITY`, unless they are up to date.

    What the data do not allow is not written; run.json tells why. Without time series nothing is.
    """
    source = called_file(results)
    tables = _tables(results)
    params = _with_control(experiment)
    movies = movies_of(records)
    with doing(results, link_step(experiment, results, records), overwrite) as told:
        if told is None:
            return
        for path in tables.values():
            path.unlink(missing_ok=True)
        shutil.rmtree(results / GEFF, ignore_errors=True)
        if not movies:
            return
        cells = counted(read_table(source))
        if "track" not in cells:  # not one cell was found
            return
        cells = cells[cells["image_id"].isin(movies)].reset_index(drop=True)
        _write_geff(results / GEFF, cells)
        told["not_told"] = {}
        timed = _with_times(cells, params, told["not_told"])
        for name, make in {"tracks": describe_tracks, **MOTILITY}.items():
            if not len(timed):
                continue
            try:
                write_table(tables[name], make(timed, params))
            except (DataError, ParamError) as error:
                told["not_told"][name] = str(error)


def export_tracks(results: str | Path, to: str, out: str | Path | None = None) -> Path:
    """Write the tracks of a run for another program.

    Parameters
    ----------
    results
        A results folder.
    to
        ``geff``, ``ctc`` (a folder a movie) or ``trackmate`` (two tables a movie).
    out
        Where; default ``tracks.geff``, ``tracks_ctc`` or ``tracks_trackmate`` in the results.

    Raises
    ------
    DataError
        If the results hold no tracks.
    """
    results = Path(results)
    cells = tracked_cells(results)
    check_names(cells["image_id"].astype("str").unique())
    target = Path(out) if out is not None else results / (GEFF if to == "geff" else f"tracks_{to}")
    if to == "geff":
        write_geff(target, cells)
    elif to == "trackmate":
        write_trackmate(target, cells)
    else:
        for image_id, movie in cells.groupby("image_id", sort=True):
            labels = read_labels(labels_file(results / "labels", str(image_id)))
            write_ctc(target / str(image_id), movie, labels)
    return target


def tracked_cells(results: Path) -> pd.DataFrame:
    """Cells of the time series of a results folder, without those that a person excluded.

    Raises
    ------
    DataError
        If there are none.
    """
    cells = counted(read_table(results / "cells.parquet"))
    if "track" not in cells or not cells["track"].notna().any():
        raise DataError(f"{results} holds no tracks: none of its images has several frames")
    return cells[cells.groupby("image_id")["track"].transform("count") > 0].reset_index(drop=True)


def _write_geff(path: Path, cells: pd.DataFrame) -> None:
    try:
        write_geff(path, cells)
    except DataError as error:
        warnings.warn(f"{path.name} is not written: {error}", RgbtrackWarning, stacklevel=3)


def _with_times(cells: pd.DataFrame, params: MotilityParams, not_told: dict[str, str]) -> pd.DataFrame:
    """Cells whose time is known; why nothing is told of the others."""
    if params.frame_interval_h is not None:
        return cells
    known = interval_known(cells)
    lacking = cells.loc[~known, "image_id"].astype("str").unique()
    if len(lacking):
        not_told["time"] = (
            f"the time between frames of {', '.join(lacking[:3])}{' and others' * (len(lacking) > 3)} is not "
            "known: give it in the sheet's column frame_interval_h, in hours; without it nothing is told "
            "of how fast cells move and divide"
        )
        warnings.warn(not_told["time"], RgbtrackWarning, stacklevel=3)
    return cells[known].reset_index(drop=True)


def _with_control(experiment: Experiment) -> MotilityParams:
    """Settings in which treatments are held against the experiment's control, unless they name another."""
    if experiment.motility.control is not None:
        return experiment.motility
    return experiment.motility.with_settings({"control": experiment.control})
