"""Whether a results folder is whole: every cell from label to table to size, every file as it was written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files import has_changed, labels_file, open_labels, read_json, read_table, sha256
from rgbtrack.pipeline.alone import torn_files
from rgbtrack.pipeline.image import read_part
from rgbtrack.pipeline.review import REVIEW
from rgbtrack.pipeline.steps import checksums, done
from rgbtrack.pipeline.task import PARTS
from rgbtrack.review import read_review


@dataclass(frozen=True)
class Verified:
    """What a look through a results folder came to.

    Attributes
    ----------
    problems
        What is not as the run left it, or does not add up.
    remarks
        What is worth knowing, and harms nothing.
    counts
        Images, cells, and what became of them.
    """

    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    counts: dict[str, Any]


def is_results(folder: str | Path) -> bool:
    """Whether a folder holds results of a run."""
    return (Path(folder) / "run.json").is_file() and not (Path(folder) / "experiment.toml").exists()


def verify_results(results: str | Path) -> Verified:
    """Look through a results folder: counts of every stage add up, files are those that were written.

    Parameters
    ----------
    results
        A results folder.

    Returns
    -------
    verified
        Problems are empty where all is well.

    Raises
    ------
    DataError
        If there is no run.json.
    """
    results = Path(results)
    described = read_json(results / "run.json")
    if not isinstance(described, dict) or not {"images", "counts"} <= set(described):
        raise DataError(f"{results / 'run.json'}: is not what a run writes: run the experiment again")
    records = described["images"]
    problems: list[str] = []
    for image_id in done(records):
        problems += _image_problems(results, image_id, records[image_id])
    problems += _table_problems(results, records, described["counts"])
    problems += _changed_files(results)
    try:
        read_review(results / REVIEW)
    except DataError as error:
        problems.append(str(error))
    remarks = [
        f"image {name} failed: {records[name]['error']}" for name in records if name not in done(records)
    ]
    remarks += _moved_inputs(records)
    remarks += [
        f"{path} was left by a run that was killed: the next removes it" for path in torn_files(results)
    ]
    return Verified(tuple(problems), tuple(remarks), described["counts"])


def _image_problems(results: Path, image_id: str, record: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the cells of one image, between labels and table."""
    for name, was in record.get("written", {}).items():
        path = results / name
        if not path.exists():
            yield f"{name} is gone"
            return
        if sha256(path) != was:
            yield f"{name} is not as the run wrote it"
    try:
        labels = open_labels(labels_file(results / "labels", image_id))
        cells = read_part(results, image_id)
    except DataError as error:
        yield str(error)
        return
    if record["n_cells"] != len(cells):
        yield f"image {image_id}: {record['n_cells']:,} cells in run.json, {len(cells):,} in its table"
    for t, frame in enumerate(labels):
        there = _numbers(frame)
        told = np.sort(cells["cell"].to_numpy(np.int64)[cells["frame"].to_numpy(np.int64) == t])
        if not np.array_equal(there, told):
            yield (
                f"image {image_id}, frame {t}: {len(there):,} cells in labels, {len(told):,} in its table, "
                f"{len(np.setxor1d(there, told)):,} in one of them only"
            )


def _numbers(frame: Any) -> NDArray[np.int64]:
    """Labels of a lazy frame, in order, read piece by piece."""
    pieces = [np.zeros(0, np.int64)]
    for piece in frame.to_delayed().ravel():
        pieces.append(pd.unique(np.asarray(piece.compute()).ravel()).astype(np.int64))
    found = np.unique(np.concatenate(pieces))
    return found[found > 0]


def _table_problems(results: Path, records: dict[str, Any], counts: dict[str, Any]) -> Iterator[str]:
    """Where cells are lost, or made, between the tables."""
    measured = {name: records[name]["n_cells"] for name in done(records)}
    total = sum(n or 0 for n in measured.values())
    if total != counts["cells"]:
        yield f"run.json: its images hold {total:,} cells, {counts['cells']:,} are told"
    if "assigned" not in counts:
        return
    try:
        cells, clones = read_table(results / "cells.parquet"), read_table(results / "clones.csv")
    except DataError as error:
        yield str(error)
        return
    n = cells["image_id"].astype("str").value_counts().to_dict()
    for name, told in measured.items():
        if n.get(name, 0) != (told or 0):
            yield f"image {name}: {told:,} cells were measured, cells.parquet holds {n.get(name, 0):,}"
    twice = int(cells.duplicated(["image_id", "frame", "cell"]).sum())
    if twice:
        yield f"cells.parquet: {twice:,} cells are there twice"
    assigned = cells["clone"].notna()
    became = {"assigned": int(assigned.sum()), "unassigned": int(cells["unassigned_reason"].notna().sum())}
    if sum(became.values()) != len(cells) or (assigned & cells["unassigned_reason"].notna()).any():
        told = f"{became['assigned']:,} assigned and {became['unassigned']:,} unassigned with a reason"
        yield f"cells.parquet: {told} are not {len(cells):,} cells"
    if became["assigned"] != counts["assigned"] or became["unassigned"] != sum(counts["unassigned"].values()):
        yield "run.json: assigned and unassigned cells are not those of cells.parquet"
    if "track" not in cells.columns:  # of a movie the tables count each cell once, not in every frame
        yield from _size_problems(results, cells, clones)


def _size_problems(results: Path, cells: pd.DataFrame, clones: pd.DataFrame) -> Iterator[str]:
    sizes = cells["clone"].value_counts()
    told = clones.set_index("clone")["n_cells"]
    wrong = [int(c) for c in told.index.union(sizes.index) if sizes.get(c, 0) != told.get(c, 0)]
    if wrong:
        yield f"clones.csv: sizes of clones {', '.join(map(str, wrong[:10]))} are not those of cells.parquet"
    path = results / "clone_sizes.csv"
    if path.is_file():
        total, assigned = int(read_table(path)["n_cells"].sum()), int(cells["clone"].notna().sum())
        if total != assigned:
            yield f"clone_sizes.csv: sizes sum to {total:,}, cells.parquet has {assigned:,} assigned cells"


def _changed_files(results: Path) -> Iterator[str]:
    """Files of the later stages that are not as they were written."""
    for note in sorted((results / PARTS).glob("*.step")):
        for name, was in read_json(note).get("written", {}).items():
            if checksums([results / name]) != [was]:
                yield f"{name} is {'not as the run wrote it' if (results / name).exists() else 'gone'}"


def _moved_inputs(records: dict[str, Any]) -> Iterator[str]:
    for image_id, record in records.items():
        for name, was in record["inputs"].items():
            path = Path(name)
            if not path.exists():
                yield f"image {image_id}: {path} is no longer there"
            elif was is not None and has_changed(path, was):
                yield f"image {image_id}: {path} changed since it was measured: the next run does it again"
