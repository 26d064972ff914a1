"""Clone dynamics of a run: sizes, and every table that follows from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import rgbtrack
from rgbtrack.dynamics import DynamicsParams, clone_response, clone_sizes, response_heterogeneity
from rgbtrack.errors import DataError
from rgbtrack.files import read_table, sha256, write_table
from rgbtrack.pipeline.experiment import Experiment
from rgbtrack.pipeline.image import content_key
from rgbtrack.pipeline.steps import done, step

Maker = Callable[[pd.DataFrame, DynamicsParams], pd.DataFrame]
DYNAMICS: dict[str, Maker] = {
    "response": lambda sizes, params: clone_response(sizes, params.response),
    "heterogeneity": lambda sizes, params: response_heterogeneity(sizes, params.response),
}
"""Tables in the folder ``dynamics``, by name, and how each is made of clone sizes."""


def describe_dynamics(
    experiment: Experiment, results: Path, records: dict[str, dict[str, Any]], overwrite: bool
) -> None:
    """Write clone_sizes.csv and the tables of `DYNAMICS`, unless they are up to date.

    A table that the data do not allow is not written; run.json tells why.
    """
    source = results / "cells.parquet"
    if not source.exists():
        raise DataError(f"{source} is not there: run 'rgbtrack clones' (or 'rgbtrack run') first")
    folder = results / "dynamics"
    written = [results / "clone_sizes.csv", *(folder / f"{name}.csv" for name in DYNAMICS)]
    samples = experiment.samples[experiment.samples["image_id"].isin(done(records))]
    params = _with_control(experiment)
    key = content_key(
        [
            rgbtrack.__version__,
            params.model_dump(),
            experiment.clones.palette,
            sha256(source),
            samples.to_json(),
        ]
    )
    with step(results, "dynamics", key, lambda _: written, overwrite) as told:
        if told is None:
            return
        cells = read_table(source)
        sizes = clone_sizes(cells, params, samples=samples)
        if experiment.clones.palette == "subject":  # a clone of one subject is not absent in the others
            own = cells.dropna(subset=["clone"]).groupby("clone")["subject"].first()
            sizes = sizes[sizes["clone"].map(own) == sizes["subject"]].reset_index(drop=True)
        write_table(results / "clone_sizes.csv", sizes)
        told["not_told"] = {}
        for name, make in DYNAMICS.items():
            try:
                write_table(folder / f"{name}.csv", make(sizes, params))
            except DataError as error:
                (folder / f"{name}.csv").unlink(missing_ok=True)
                told["not_told"][name] = str(error)


def _with_control(experiment: Experiment) -> DynamicsParams:
    """Settings in which responses are held against the experiment's control, unless they name another."""
    params = experiment.dynamics
    if params.response.control is not None or experiment.control is None:
        return params
    response = params.response.with_settings({"control": experiment.control})
    return params.model_copy(update={"response": response})
