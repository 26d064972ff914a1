"""An experiment with known truth: animals, treatments and timepoints that share one set of founders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile

import rgbtrack
from rgbtrack.errors import ParamError
from rgbtrack.files import write_atomically, write_labels, write_table
from rgbtrack.simulate.founders import simulate_founders
from rgbtrack.simulate.params import SimulateParams, preset_params
from rgbtrack.simulate.scene import Scene, simulate_scene

CONTROL, TREATED = "vehicle", "isoproterenol"
MARKER_NAMES = ("red", "green", "blue", "far_red", "orange", "cyan", "violet")


def simulate_experiment(
    folder: str | Path,
    preset: str | SimulateParams = "sample",
    *,
    subjects: int = 2,
    timepoints: Sequence[float] | None = None,
    effect: float = 3.0,
    speed_up: float = 1.6,
    responders: float = 0.3,
    growth_sd: float = 0.5,
    concentration: float = 50.0,
    gain_drift: float = 0.1,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Make an experiment with planted clones, ready to run.

    Animals of both arms get cells from one pool of founders. Shares differ between animals by a Dirichlet
    draw, each clone grows at its own rate, and some clones respond to the treatment. Each timepoint is one
    imaging session with detector gains of its own. In time series the treatment makes all cells faster.

    Parameters
    ----------
    folder
        Where to write; made if it is not there.
    preset
        Kind of image, see `simulate_scene`.
    subjects
        Animals per arm.
    timepoints
        Days; by default 0, 7 and 14, and 0 alone where each image is a time series.
    effect
        By how many times the treatment raises the odds of a responding clone by the last timepoint; 1 is no
        effect.
    speed_up
        By how many times the treatment lengthens the steps of cells, in time series; 1 is no effect.
    responders
        Share of clones that respond.
    growth_sd
        Spread of growth among clones: ln sd at the last timepoint.
    concentration
        Of the Dirichlet draw; small numbers make animals differ.
    gain_drift
        ln sd of each detector's gain between sessions.
    seed
        The same seed gives the same experiment.
    overwrite
        Write into a folder that is not empty.

    Returns
    -------
    path
        ``experiment.toml``. Beside it ``samples.csv``, ``bleed.csv``, ``images/`` and ``truth/``:
        ``cells.csv``, ``founders.csv``, ``clone_sizes.csv`` and ``labels/``.

    Raises
    ------
    ParamError
        If the folder is not empty, or a number makes no experiment.
    """
    folder = Path(folder)
    params = preset_params(preset)
    if timepoints is None:
        timepoints = (0,) if params.n_frames > 1 else (0, 7, 14)
    _check(folder, subjects, timepoints, effect, overwrite)
    if not speed_up > 0:
        raise ParamError(f"speed_up is {speed_up}: give a positive number; 1 is no effect")
    rng = np.random.default_rng(seed)
    founders = simulate_founders(params, rng)
    n = len(founders)
    growth = rng.normal(0, growth_sd, n)
    responds = np.zeros(n)
    responds[rng.permutation(n)[: round(responders * n)]] = 1
    gains = {day: np.exp(rng.normal(0, gain_drift, len(params.markers))) for day in timepoints}
    rows, cells, sizes = [], [], []
    last = max(timepoints) or 1.0
    for arm, treatment in enumerate((CONTROL, TREATED)):
        for number in range(subjects):
            subject = f"m{arm * subjects + number + 1}"
            start = rng.dirichlet(np.maximum(concentration * founders["share"], 1e-3))
            for day in timepoints:
                change = (growth + arm * responds * np.log(effect)) * day / last
                share = start * np.exp(change)
                share /= share.sum()
                image_id = f"{treatment}_{subject}_d{day:g}"
                session = params.model_copy(
                    update={
                        "gains": tuple(float(gain) for gain in gains[day]),
                        "step_um": params.step_um * speed_up**arm,
                    }
                )
                scene = simulate_scene(
                    session, seed=int(rng.integers(2**31)), founders=founders.assign(share=share)
                )
                _write_image(folder / "images" / f"{image_id}.ome.tif", scene)
                write_labels(folder / "truth" / "labels" / f"{image_id}.tif", scene.labels)
                row: dict[str, Any] = {"subject": subject, "treatment": treatment, "timepoint": day}
                rows.append({"image": f"images/{image_id}.ome.tif", **row, "batch": f"session_d{day:g}"})
                cells.append(scene.cells.assign(image_id=image_id, **row))
                sizes.append(founders[["clone"]].assign(**row, site="primary", true_share=share))
    truth = pd.concat(cells, ignore_index=True)
    truth.insert(0, "image_id", truth.pop("image_id"))
    write_table(folder / "truth" / "cells.csv", truth)
    write_table(folder / "truth" / "founders.csv", founders.assign(growth=growth, responds=responds > 0))
    write_table(folder / "truth" / "clone_sizes.csv", _count(truth, pd.concat(sizes, ignore_index=True)))
    write_table(folder / "bleed.csv", scene.bleed_through.reset_index(names="detector"))
    write_table(folder / "samples.csv", pd.DataFrame(rows))
    path = folder / "experiment.toml"
    write_atomically(path, lambda part: part.write_text(_settings(params, scene), encoding="utf-8"))
    return path


def _write_image(path: Path, scene: Scene) -> None:
    stack = scene.stack
    pixel = stack.pixel_size_um
    metadata = {
        "axes": "TCZYX",
        "Channel": {"Name": list(stack.channels)},
        "PhysicalSizeX": pixel,
        "PhysicalSizeY": pixel,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeYUnit": "µm",
    }
    if stack.z_step_um is not None:
        metadata |= {"PhysicalSizeZ": stack.z_step_um, "PhysicalSizeZUnit": "µm"}
    if stack.frame_interval_h is not None:
        metadata |= {"TimeIncrement": stack.frame_interval_h, "TimeIncrementUnit": "h"}

    def write(part: Path) -> None:
        tifffile.imwrite(
            part,
            stack.pixels,
            ome=True,
            metadata=metadata,
            photometric="minisblack",
            compression="zlib",
            predictor=True,
        )

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)


def _count(truth: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """True cells of each clone in each sample, zeros included."""
    key = ["clone", "subject", "treatment", "timepoint"]
    first = truth[(truth["frame"] == 0) & truth["clone"].notna()].astype({"clone": "int64"})
    n = first.groupby(key).size().rename("n_cells").reset_index()
    sizes = shares.merge(n, on=key, how="left").fillna({"n_cells": 0}).astype({"n_cells": "int64"})
    return sizes.sort_values([*key[1:], "clone"], ignore_index=True)


def _settings(params: SimulateParams, scene: Scene) -> str:
    names = zip(MARKER_NAMES, params.markers, strict=False)
    markers = ", ".join(f'{name} = "{protein}"' for name, protein in names)
    nucleus = 'nucleus = "DAPI"\n' if params.nucleus else ""
    return f"""\
# Made by rgbtrack {rgbtrack.__version__}: a simulated experiment; the truth is in truth/.
[experiment]
name = "Simulated: RGB-marked cells under a beta-adrenoreceptor agonist"
samples = "samples.csv"
control = "{CONTROL}"

[channels]
markers = {{ {markers} }}
{nucleus}
[correct]
bleed_through = "bleed.csv"
"""


def _check(folder: Path, subjects: int, timepoints: Sequence[float], effect: float, overwrite: bool) -> None:
    problems = []
    if subjects < 1:
        problems.append(f"subjects is {subjects}: give 1 or more animals per arm")
    if not len(timepoints) or len(set(timepoints)) != len(timepoints) or min(timepoints) < 0:
        problems.append(f"timepoints are {list(timepoints)}: give different days, none negative")
    if not effect > 0:
        problems.append(f"effect is {effect}: give a positive number; 1 is no effect")
    if folder.exists() and not folder.is_dir():
        problems.append(f"{folder} is a file: give a folder")
    elif not overwrite and folder.exists() and any(folder.iterdir()):
        problems.append(f"{folder} is not empty: give a new folder, or --overwrite to write into it")
    if problems:
        raise ParamError(*problems)
