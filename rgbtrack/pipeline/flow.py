"""Flow cytometry beside images: events called with the clones of a run, and counted like its cells."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.clones import CloneModel, ClonesParams, load_clones
from rgbtrack.clones.flow import CV, call_events, events_as_cells
from rgbtrack.clones.model import UNLIKE
from rgbtrack.clones.palettes import SubjectModels
from rgbtrack.dynamics import clone_sizes
from rgbtrack.dynamics.sizes import SAMPLE
from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import read_json, read_table, write_table
from rgbtrack.files.fcs import read_events

NEEDED = ("file", "subject", "treatment", "timepoint")
SITE = "blood"
STRANGE = 0.3
"""Share of marked events like no clone, from which they are hardly of these founders."""
MONOCLONAL = 0.8
"""Share of the called events in one clone, from which the gains of a file rest on that clone."""
UNSURE = 0.15
"""Relative error of a gain, from which it is hardly known."""
FEWEST = 50
"""Called events from which gains are believed."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Events called with the clones of a run.

    Attributes
    ----------
    events
        One row per event: file, sample, markers in the units of the images, the call.
    sizes
        As clone_sizes.csv has them.
    gains
        One row per file and marker: the factor from its units to counts of the images and its relative error;
        how many events were called, and how many of those with a marker are like no clone.
    """

    events: pd.DataFrame
    sizes: pd.DataFrame
    gains: pd.DataFrame


def call_flow(
    results: str | Path,
    sheet: str | Path,
    markers: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    cv: float = CV,
) -> tuple[Flow, Path]:
    """Call the events of FCS files with the clones of a run, and count them.

    Parameters
    ----------
    results
        Folder of the run that found the clones.
    sheet
        CSV with a row per file: ``file`` (relative to the sheet), ``subject``, ``treatment``, ``timepoint``
        (d); ``site``, "blood" where it is not given; and ``batch``, which files share that were read with the
        same settings on the same day: their gains are then learnt together.
    markers
        Marker to parameter of the files; default the names of the experiment's channels.
    out
        Folder for the tables; default ``flow`` in the results.
    cv
        Spread of one cell's readings in the cytometer, as a share of it.

    Returns
    -------
    flow, out
        What was found, also written as events.parquet, clone_sizes.csv and gains.csv.

    Raises
    ------
    DataError, ParamError
        If results, sheet or a file are not what they should be.
    """
    results, sheet = Path(results), Path(sheet)
    out = Path(out) if out is not None else results / "flow"
    model = load_clones(results / "clone_model.json")
    if not model.n_clones:
        raise DataError(f"{results}: the run found no clones that events could be of")
    configuration = read_json(results / "run.json")["configuration"]
    params = ClonesParams(**configuration["clones"] | {"model": None})
    known = {
        marker: name for marker, name in configuration["channels"]["markers"].items() if isinstance(name, str)
    }
    wrong = set(markers or {}) - set(model.markers)
    if wrong:
        raise ParamError(f"--markers names {', '.join(wrong)}: the run has {', '.join(model.markers)}")
    wanted = known | dict(markers or {})
    unnamed = [marker for marker in model.markers if marker not in wanted]
    if unnamed:
        raise ParamError(f"name the parameters of {', '.join(unnamed)}: --markers {unnamed[0]}=PARAMETER")
    wanted = {marker: wanted[marker] for marker in model.markers}
    samples = _read_sheet(sheet)
    tables, gains = [], []
    for _, shared in samples.groupby("shares", sort=False):
        rows = [{str(name): value for name, value in row.items()} for row in shared.to_dict("records")]
        parts = [events_as_cells(read_events(sheet.parent / row["file"], wanted), cv) for row in rows]
        together = pd.concat(parts, ignore_index=True)
        cells, factors = call_events(_model_of(model, rows), together, params)
        ends = np.cumsum([len(part) for part in parts])
        for row, stop, part in zip(rows, ends, parts, strict=True):
            of = cells.iloc[stop - len(part) : stop].reset_index(drop=True)
            of.insert(0, "image_id", row["image_id"])
            of.insert(1, "frame", 0)
            of.insert(2, "cell", range(1, len(of) + 1))
            tables.append(of.assign(**{name: row[name] for name in SAMPLE}))
            gains.append(_told(row["image_id"], of, factors))
    found = pd.concat(tables, ignore_index=True)
    flow = Flow(found, clone_sizes(found, samples=samples), pd.concat(gains, ignore_index=True))
    write_table(out / "events.parquet", flow.events)
    write_table(out / "clone_sizes.csv", flow.sizes)
    write_table(out / "gains.csv", flow.gains)
    return flow, out


def _model_of(model: CloneModel | SubjectModels, rows: list[dict[str, Any]]) -> CloneModel:
    """Clones that events of some files may be of."""
    if isinstance(model, CloneModel):
        return model
    subjects = sorted({row["subject"] for row in rows})
    if len(subjects) > 1:
        raise DataError(
            f"files of {', '.join(subjects)} share a batch, but each subject has clones of its own: leave "
            "batch blank"
        )
    if subjects[0] not in model.subjects:
        raise DataError(
            f"no clones were found for subject {subjects[0]}; known are {', '.join(model.subjects)}"
        )
    return model.subjects[subjects[0]]


def _read_sheet(path: Path) -> pd.DataFrame:
    samples = read_table(path)
    missing = [name for name in NEEDED if name not in samples.columns]
    if missing or samples.empty:
        what = f"lacks {', '.join(missing)}" if missing else "has no rows"
        raise DataError(
            f"{path}: {what}: a row per FCS file, with {', '.join(NEEDED)}, and site where it is not {SITE}"
        )
    blank = samples[list(NEEDED)].isna().any(axis=1)
    if blank.any():
        raise DataError(f"{path}: row {int(np.flatnonzero(blank)[0]) + 2}: a field is blank")
    if not pd.api.types.is_numeric_dtype(samples["timepoint"]):
        raise DataError(f"{path}: timepoint should be numbers of days")
    samples = samples.astype({"file": "str", "subject": "str", "treatment": "str", "timepoint": float})
    site = samples["site"] if "site" in samples else pd.Series(None, samples.index, dtype=object)
    samples["site"] = site.astype(object).where(site.notna(), SITE).astype("str")
    batch = samples["batch"] if "batch" in samples else pd.Series(None, samples.index, dtype=object)
    # files without a batch share their gains with none
    samples["shares"] = [str(b) if pd.notna(b) else f"file {i}" for i, b in enumerate(batch)]
    samples["image_id"] = [Path(file).stem for file in samples["file"]]
    twice = samples.loc[samples["image_id"].duplicated(), "file"]
    if len(twice):
        raise DataError(f"{path}: {', '.join(twice)}: two files of one name: rename one")
    return samples


def _told(image_id: str, cells: pd.DataFrame, factors: pd.DataFrame) -> pd.DataFrame:
    called = int(cells["clone"].notna().sum())
    strange = int(cells["unassigned_reason"].eq(UNLIKE).fillna(value=False).sum())
    share = strange / max(called + strange, 1)
    if called < FEWEST:
        warnings.warn(
            f"{image_id}: only {called} of {len(cells)} events were called: too few to know how its "
            "detectors read; look at its gates and parameters",
            RgbtrackWarning,
            stacklevel=3,
        )
    elif share > STRANGE:
        warnings.warn(
            f"{image_id}: {share:.0%} of the events with a marker are like no clone: other founders, or "
            "parameters that are not the markers? Do not trust these calls before you know",
            RgbtrackWarning,
            stacklevel=3,
        )
    most = cells["clone"].value_counts(normalize=True)
    if called >= FEWEST and len(most) and most.iloc[0] > MONOCLONAL:
        warnings.warn(
            f"{image_id}: {most.iloc[0]:.0%} of the called events are of one clone, {most.index[0]}: events "
            "of one clone do not tell how detectors read, so that it may be any clone; give the files that "
            "were read alike one batch in the sheet",
            RgbtrackWarning,
            stacklevel=3,
        )
    unsure = factors.loc[factors["factor_se"] > UNSURE, "marker"]
    if called >= FEWEST and len(unsure):
        warnings.warn(
            f"{image_id}: how its detector of {', '.join(unsure)} reads is hardly known: too few of its "
            "clones carry it; clones that differ in it may be taken for each other",
            RgbtrackWarning,
            stacklevel=3,
        )
    counts = {"n_events": len(cells), "n_called": called, "n_unlike": strange}
    return factors.assign(**counts).assign(image_id=image_id)[["image_id", *factors.columns, *counts]]
