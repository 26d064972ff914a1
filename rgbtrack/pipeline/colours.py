"""From cells as measured to cells whose colours can be compared: over depth, field, frames and detectors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from rgbtrack.correct import (
    Fading,
    estimate_attenuation,
    estimate_bleaching,
    estimate_falloff,
    given_attenuation,
    pool_fadings,
)
from rgbtrack.errors import DataError
from rgbtrack.pipeline.batches import spaced
from rgbtrack.pipeline.experiment import Experiment
from rgbtrack.pipeline.findings import Finding
from rgbtrack.pipeline.pool import map_all
from rgbtrack.pipeline.processes import Processes
from rgbtrack.signature import unfade_cells, unmix_cells
from rgbtrack.tables import markers_of
from rgbtrack.unmix import bleed_through_blind

LEAST_FRAMES = 3


Faded = tuple[str, str, pd.DataFrame, Fading]


@dataclass(frozen=True, eq=False)
class Corrected:
    """Cells with corrected colours, and what that took.

    Attributes
    ----------
    cells
        The table, all columns kept.
    matrix
        Bleed-through undone: rows detectors, columns proteins, by marker; None for none.
    findings
        What each correction found.
    fadings
        Of each that was undone: its name, where it holds, the cells before, and what was found in them.
    mixed
        The cells before bleed-through was undone.
    """

    cells: pd.DataFrame
    matrix: pd.DataFrame | None
    findings: list[Finding]
    fadings: list[Faded]
    mixed: pd.DataFrame


def correct_colours(
    cells: pd.DataFrame, experiment: Experiment, records: Mapping[str, Any], crew: Processes
) -> Corrected:
    """Undo what light met on its way, backwards: field, depth, bleed-through, bleaching.

    Parameters
    ----------
    cells
        Cells of all images, measured without a bleed-through matrix, with the sheet's columns.
    experiment
        What is to be undone, and the matrix where a file gives it.
    records
        What the images are: shapes and pixel sizes, by image id.
    crew
        Who looks at them.
    """
    fadings: list[Faded] = []
    with threadpool_limits(1):
        for step in (_even_out_field, _restore_depth):
            cells, seen = step(cells, experiment, records, crew)
            fadings += seen
        mixed = cells
        cells, matrix, leaks = _undo_bleed_through(cells, experiment)
        cells, seen = _restore_bleached(cells, experiment, records)
        fadings += seen
    findings = [finding for name, where, _, fading in fadings for finding in _findings(name, where, fading)]
    undone = [faded for faded in fadings if faded[3].evident.any()]
    return Corrected(cells, matrix, [*findings, *leaks], undone, mixed)


def _batch_of(cells: pd.DataFrame) -> pd.Series:
    if "batch" in cells.columns:
        return cells["batch"].astype("string").fillna("")
    return pd.Series("", index=cells.index, dtype="string")


def _even_out_field(
    cells: pd.DataFrame, experiment: Experiment, records: Mapping[str, Any], crew: Processes
) -> tuple[pd.DataFrame, list[Faded]]:
    if experiment.correct.flat_field != "auto" or cells.empty:
        return cells, []
    corner = np.zeros(len(cells))  # 0 in the centre of the field, 1 in its corners
    for image_id, rows in cells.groupby("image_id", sort=False).indices.items():
        record = records[str(image_id)]
        size = np.array(record["shape"][3:]) * (record.get("pixel_size_um") or 1.0)
        place = cells[["y_um", "x_um"]].to_numpy(float)[rows] / size * 2 - 1
        corner[rows] = (place**2).mean(axis=1)
    rates, found = _rates_by_batch(
        cells.assign(corner=corner), experiment, estimate_falloff, "falloff", lambda _: True, crew
    )
    # the mean over the field keeps its light
    return _restore(cells, rates, corner - 1 / 3), found


def _restore_depth(
    cells: pd.DataFrame, experiment: Experiment, records: Mapping[str, Any], crew: Processes
) -> tuple[pd.DataFrame, list[Faded]]:
    asked = experiment.correct.attenuation_um

    def deep(image_id: str) -> bool:
        record = records[image_id]
        return record["shape"][2] > 1 and not record.get("n_planes_projected")

    rows = cells["image_id"].map(lambda name: deep(str(name))).to_numpy(bool)
    if asked == "none" or not rows.any():
        return cells, []
    markers = markers_of(cells)
    if isinstance(asked, dict):
        given = given_attenuation({name: asked.get(name, np.inf) for name in markers})
        rates = dict.fromkeys(_batch_of(cells).unique(), given.rate)
        found: list[Faded] = [("attenuation", "", cells[rows], given)]
    else:
        rates, found = _rates_by_batch(cells, experiment, estimate_attenuation, "attenuation", deep, crew)
    depth = np.where(rows, cells["z_um"].to_numpy(float), 0.0)
    return _restore(cells, rates, depth), found


def _rates_by_batch(
    cells: pd.DataFrame,
    experiment: Experiment,
    estimate: Callable[[pd.DataFrame], Fading],
    name: str,
    wanted: Callable[[str], bool],
    crew: Processes,
) -> tuple[dict[str, Any], list[Faded]]:
    """Rate of each marker by batch, from the first frames of some of its images."""
    first = cells[cells["frame"] == 0]
    chosen = {
        str(batch): spaced(
            [part for image, part in rows.groupby("image_id", sort=True) if wanted(str(image))]
        )
        for batch, rows in first.groupby(_batch_of(first))
    }
    tasks = [(batch, part) for batch, parts in chosen.items() for part in parts]
    estimates = map_all(estimate, [part for _, part in tasks], crew)
    rates: dict[str, Any] = {}
    found: list[Faded] = []
    for batch, parts in chosen.items():
        if not parts:
            continue
        whole = pool_fadings([one for one, (of, _) in zip(estimates, tasks, strict=True) if of == batch])
        rates[batch] = whole.rate
        found.append((name, batch, pd.concat(parts), whole))
    return rates, found


def _restore(cells: pd.DataFrame, rates: Mapping[str, Any], position: Any) -> pd.DataFrame:
    """Divide out ``exp(-rate * position)``; batches without a rate stay as they are."""
    none = np.zeros(len(markers_of(cells)))
    by_cell = (
        np.stack([rates.get(str(batch), none) for batch in _batch_of(cells)])
        if len(cells)
        else none[None][:0]
    )
    if not by_cell.any():
        return cells
    return unfade_cells(cells, np.exp(-by_cell * np.asarray(position)[:, None]))


def _undo_bleed_through(
    cells: pd.DataFrame, experiment: Experiment
) -> tuple[pd.DataFrame, pd.DataFrame | None, list[Finding]]:
    markers = list(markers_of(cells))
    asked = experiment.correct.bleed_through
    if asked == "none":
        return cells, None, []
    if asked != "auto":
        matrix = experiment.read_bleed_through()
        assert matrix is not None  # noqa: S101 - read_experiment has read it
        named = list(experiment.channels.markers)
        matrix = matrix.set_axis(named, axis=0).set_axis(named, axis=1)
        found = [
            Finding(
                "bleed-through",
                "",
                f"{p} into {d}",
                _element(matrix, d, p),
                applied=True,
                reason=f"from {asked}",
            )
            for p in named
            for d in named
            if p != d
        ]
        return unmix_cells(cells, matrix.loc[markers, markers], experiment.signature), matrix, found
    try:
        blind = bleed_through_blind(cells)
    except DataError as error:
        return cells, None, [Finding("bleed-through", reason=f"not undone: {error}")]
    found = [
        Finding(
            "bleed-through",
            "",
            f"{p} into {d}",
            _element(blind.matrix, d, p),
            _element(blind.se, d, p),
            "share",
            blind.needed and (d, p) not in blind.reasons,
            blind.reasons.get((d, p), "estimated from the cells" if blind.needed else "none is seen"),
        )
        for p in markers
        for d in markers
        if p != d
    ]
    if not blind.needed:
        return cells, None, found
    return unmix_cells(cells, blind.matrix, experiment.signature, se=blind.se), blind.matrix, found


def _element(matrix: pd.DataFrame, detector: str, protein: str) -> float:
    return float(matrix[protein].to_dict()[detector])


def _restore_bleached(
    cells: pd.DataFrame, experiment: Experiment, records: Mapping[str, Any]
) -> tuple[pd.DataFrame, list[Faded]]:
    if experiment.correct.bleaching == "none":
        return cells, []
    left = np.ones((len(cells), len(markers_of(cells))))
    found: list[Faded] = []
    for image_id, rows in cells.groupby("image_id", sort=False).indices.items():
        if (records[str(image_id)].get("n_frames") or 1) < LEAST_FRAMES:
            continue
        part = cells.iloc[rows]
        bleaching = estimate_bleaching(part)
        found.append(("bleaching", str(image_id), part, bleaching))
        left[rows] = np.exp(-bleaching.rate * part["frame"].to_numpy(float)[:, None])
    return (unfade_cells(cells, left) if (left != 1).any() else cells), found


def _findings(name: str, where: str, fading: Fading) -> list[Finding]:
    unit = {"um": "1/um", "frame": "1/frame", "corner": "ln, centre to corner"}[fading.unit]
    return [
        Finding(
            name,
            where,
            channel,
            float(estimate),
            float(se),
            unit,
            bool(evident),
            fading.reason,
            float(rate),
        )
        for channel, estimate, se, evident, rate in zip(
            fading.channels, fading.estimate, fading.se, fading.evident, fading.rate, strict=True
        )
    ]
