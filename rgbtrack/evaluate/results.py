"""A results folder against known truth."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.evaluate.scores import (
    calibration_error,
    clone_scores,
    clone_size_error,
    detection_scores,
    match_cells,
    match_clones,
)
from rgbtrack.evaluate.tracks import evaluate_tracks, link_scores
from rgbtrack.files import labels_file, read_labels, read_table
from rgbtrack.tables import TRUTH

ALL = "all"


def evaluate_results(results: str | Path, truth: str | Path) -> pd.DataFrame:
    """Score a results folder against known truth.

    Parameters
    ----------
    results
        A results folder.
    truth
        Folder with ``cells.csv`` (``image_id, frame, cell, clone``; of a time-lapse ``track, parent`` too)
        and ``labels/<image_id>.tif``, as `simulate_experiment` makes.

    Returns
    -------
    scores
        One row per image and one, ``all``, over the experiment: cells, `detection_scores`, `clone_scores`,
        the median error of the clone size per sample and the calibration error. Cells that are unmarked in
        truth count as neither missed nor false when found. Where results and truth hold tracks, the scores of
        `evaluate_tracks` too, cells paired by their outlines.

    Raises
    ------
    DataError
        If a folder lacks a file, or no image is in both.
    """
    cells, true, table, counts = _match(Path(results), Path(truth))
    names = match_clones(*_called_and_true(table))
    parts = [table[table["image_id"] == count["image_id"]] for count in counts]
    rows = [_score(count, part, names, true) for count, part in zip(counts, parts, strict=True)]
    total = {"image_id": ALL} | {
        key: sum(count[key] for count in counts) for key in ("n_found", "n_true", "n_matched")
    }
    everything = _score(total, table, names, true)
    everything["size_error"] = float(np.nanmedian([row["size_error"] for row in rows]))
    if _have_tracks(cells, true):
        for row, part in zip(rows, parts, strict=True):
            row |= _score_tracks(cells, true, part)
        everything |= _score_tracks(cells, true, table)
    return pd.DataFrame([*rows, everything])


def name_clones(results: str | Path, truth: str | Path) -> dict[int, int]:
    """Pair called clones with planted ones, by the cells that they share.

    Parameters
    ----------
    results, truth
        As for `evaluate_results`.

    Returns
    -------
    names
        Called clone to the true one it stands for, see `match_clones`; spurious clones are not in it.

    Raises
    ------
    DataError
        If a folder lacks a file, or no image is in both.
    """
    return match_clones(*_called_and_true(_match(Path(results), Path(truth))[2]))


def _match(
    results: Path, truth: Path
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, list[dict[str, Any]]]:
    """Cells found, true cells, the pairs of them, and cells of each image that are in both folders."""
    cells = read_table(results / "cells.parquet")
    true = TRUTH.check(read_table(truth / "cells.csv"), need=["image_id", "frame", "cell"])
    if "clone" not in true.columns:
        true = true.assign(clone=pd.array([pd.NA] * len(true), dtype="Int64"))
    true = true.astype({"image_id": "str", "clone": "Int64"})
    with_labels = sorted((truth / "labels").glob("*.tif"))
    shared = [path for path in with_labels if labels_file(results / "labels", path.stem).exists()]
    if not shared:
        raise DataError(
            f"no image has labels in both {results / 'labels'} and {truth / 'labels'}: "
            f"is {truth} the truth of this experiment?"
        )
    counts: list[dict[str, Any]] = []
    matched = []
    for path in shared:
        image_id = path.stem
        here = true[true["image_id"] == image_id]
        count, pairs = _match_image(labels_file(results / "labels", image_id), path, here)
        counts.append({"image_id": image_id, **count})
        matched.append(pairs.assign(image_id=image_id))
    table = pd.concat(matched, ignore_index=True).merge(
        cells.astype({"image_id": "str"}), on=["image_id", "frame", "cell"], how="left"
    )
    columns = ["image_id", "frame", "cell", "clone"]
    table = table.merge(
        true[columns].rename(columns={"cell": "true_cell", "clone": "true_clone"}),
        on=["image_id", "frame", "true_cell"],
        how="left",
    )
    return cells, true, table, counts


def _have_tracks(*tables: pd.DataFrame) -> bool:
    return all("track" in table and bool(table["track"].notna().any()) for table in tables)


def _score_tracks(cells: pd.DataFrame, true: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, float]:
    """Scores of the tracks of the images of which pairs are; missing where these are no time series."""
    found, truth = (table[table["image_id"].astype("str").isin(pairs["image_id"])] for table in (cells, true))
    if not _have_tracks(found, truth):
        return {}
    if find_spec("traccuracy") is None:
        warnings.warn(
            "TRA and DET are not scored: traccuracy is not installed (pip install 'rgbtrack[tracks]')",
            RgbtrackWarning,
            stacklevel=4,
        )
        return link_scores(found, truth, pairs=pairs)
    return evaluate_tracks(found, truth, pairs=pairs)


def _match_image(
    found_path: Path, true_path: Path, true: pd.DataFrame
) -> tuple[dict[str, int], pd.DataFrame]:
    found_labels = read_labels(found_path)  # (t, z, y, x)
    true_labels = read_labels(true_path, found_labels.shape)
    count = {"n_found": 0, "n_true": 0, "n_matched": 0}
    pairs = []
    for t in range(len(found_labels)):
        here = true[true["frame"] == t]
        # without a single clone the truth is one of outlines only
        marked = here["clone"].notna() if true["clone"].notna().any() else pd.Series(True, here.index)
        unmarked = set(here.loc[~marked, "cell"])
        frame = match_cells(found_labels[t], true_labels[t])
        neutral = frame["true_cell"].isin(unmarked)
        count["n_found"] += len(np.unique(found_labels[t][found_labels[t] > 0])) - int(neutral.sum())
        count["n_true"] += int(marked.sum())
        count["n_matched"] += int((~neutral).sum())
        pairs.append(frame.assign(frame=t))
    return count, pd.concat(pairs, ignore_index=True)


def _called_and_true(table: pd.DataFrame) -> tuple[Any, Any]:
    both = table[table["clone"].notna() & table["true_clone"].notna()]
    return both["clone"].astype("int64"), both["true_clone"].astype("int64")


def _counts(clone: pd.Series) -> dict[int, float]:
    return {int(k): float(n) for k, n in clone.astype("int64").value_counts().items()}  # type: ignore[call-overload]


def _score(
    count: dict[str, Any], table: pd.DataFrame, names: dict[int, int], true: pd.DataFrame
) -> dict[str, Any]:
    """Scores of one image, or of all; ``names``: called to true clone, one to one."""
    marked = table[table["true_clone"].notna()]
    here = true if count["image_id"] == ALL else true[true["image_id"] == count["image_id"]]
    # a spurious clone keeps a name of its own
    called = table["clone"].dropna().map(lambda clone: names.get(int(clone), -int(clone)))
    sure = marked[marked["clone"].notna()]
    correct = sure["clone"].map(lambda clone: names.get(int(clone), -int(clone))) == sure["true_clone"]
    return {
        **count,
        **detection_scores(count["n_found"], count["n_true"], count["n_matched"]),
        **clone_scores(marked["clone"], marked["true_clone"]),
        "size_error": clone_size_error(_counts(called), _counts(here["clone"].dropna())),
        "correct": float(correct.mean()) if len(correct) else np.nan,
        "calibration_error": calibration_error(sure["clone_probability"], correct),
    }
