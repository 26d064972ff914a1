"""Scores against truth or annotation: cells found, clones recovered, sizes right, probabilities honest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from rgbtrack.errors import DataError
from rgbtrack.files import read_labels, read_table
from rgbtrack.tables import TRUTH

ALL = "all"


def match_cells(found: NDArray[Any], true: NDArray[Any], min_iou: float = 0.5) -> pd.DataFrame:
    """Pair found cells with true ones by overlap.

    Parameters
    ----------
    found, true
        Labels of the same shape, one frame, 0 is background.
    min_iou
        Intersection over union from which two outlines are the same cell; from 0.5 on, pairs are unique.

    Returns
    -------
    pairs
        Columns ``cell, true_cell, iou``, one row per pair.

    Raises
    ------
    DataError
        If the shapes differ.

    Examples
    --------
    >>> match_cells(np.array([[0, 3, 3, 3]]), np.array([[0, 0, 7, 7]]))
       cell  true_cell       iou
    0     3          7  0.666667
    """
    if np.shape(found) != np.shape(true):
        raise DataError(
            f"found labels have shape {np.shape(found)}, true ones {np.shape(true)}: they must agree"
        )
    a_ids, a = np.unique(found, return_inverse=True)
    b_ids, b = np.unique(true, return_inverse=True)
    overlap = np.bincount(a.ravel() * len(b_ids) + b.ravel(), minlength=len(a_ids) * len(b_ids))
    overlap = overlap.reshape(len(a_ids), len(b_ids))
    union = overlap.sum(1)[:, None] + overlap.sum(0)[None, :] - overlap
    iou = np.where((a_ids[:, None] > 0) & (b_ids[None, :] > 0), overlap / np.maximum(union, 1), 0.0)
    if min_iou < 0.5:
        rows, columns = linear_sum_assignment(iou, maximize=True)
    else:
        rows, columns = np.nonzero(iou >= max(min_iou, 1e-9))
    good = iou[rows, columns] >= max(min_iou, 1e-9)
    rows, columns = rows[good], columns[good]
    return pd.DataFrame(
        {
            "cell": a_ids[rows].astype(np.int64),
            "true_cell": b_ids[columns].astype(np.int64),
            "iou": iou[rows, columns],
        }
    )


def detection_scores(n_found: int, n_true: int, n_matched: int) -> dict[str, float]:
    """Precision, recall and F1 of cells found; missing where there is nothing to score.

    >>> detection_scores(10, 8, 8)["f1"]
    0.888...
    """
    return {
        "precision": n_matched / n_found if n_found else np.nan,
        "recall": n_matched / n_true if n_true else np.nan,
        "f1": 2 * n_matched / (n_found + n_true) if n_found + n_true else np.nan,
    }


def clone_scores(clone: Any, true_clone: Any) -> dict[str, float]:
    """Agreement of called clones with true ones.

    Parameters
    ----------
    clone
        Called clone of each cell, missing where unassigned, shape (n,).
    true_clone
        True clone of each cell, shape (n,); cells where it is missing are not scored.

    Returns
    -------
    scores
        ``ari``: adjusted Rand index, each unassigned cell a clone of its own; ``ari_called``: over called
        cells only; ``pair_precision, pair_recall, pair_f1``: pairs of cells put together; ``called``: share
        of cells called; ``spurious`` and ``missed``: called clones that are no true clone's best match, and
        true clones that are no called clone's, in numbers, over clones of at least 3 cells.
    """
    called, true = pd.Series(clone).astype("Int64"), pd.Series(true_clone).astype("Int64")
    called, true = called.reset_index(drop=True), true.reset_index(drop=True)
    known = true.notna().to_numpy()
    called, true = called[known], true[known].astype("int64")
    n = len(true)
    assigned = called.notna().to_numpy()
    if n == 0:
        return dict.fromkeys(
            ("ari", "ari_called", "pair_precision", "pair_recall", "pair_f1", "called", "spurious", "missed"),
            np.nan,
        )
    top = int(called.max()) if assigned.any() else 0
    alone = called.to_numpy(dtype=float, na_value=np.nan)
    alone[~assigned] = top + 1 + np.arange(n - int(assigned.sum()))
    (_, split), (joined, together) = pair_confusion_matrix(true, alone)
    precision = together / (together + split) if together + split else np.nan
    recall = together / (together + joined) if together + joined else np.nan
    scores = {
        "ari": float(adjusted_rand_score(true, alone)),
        "ari_called": float(adjusted_rand_score(true[assigned], called[assigned]))
        if assigned.any()
        else np.nan,
        "pair_precision": float(precision),
        "pair_recall": float(recall),
        "pair_f1": float(2 * together / (2 * together + split + joined))
        if together + split + joined
        else np.nan,
        "called": float(assigned.mean()),
    }
    table = pd.crosstab(called[assigned].astype("int64"), true[assigned])
    large = {int(k) for k in table.index[table.sum(axis=1) >= 3]}
    planted = true.value_counts()
    matches = match_clones(called[assigned], true[assigned])
    scores["spurious"] = float(len(large - set(matches)))
    scores["missed"] = float(len({int(k) for k in planted.index[planted >= 3]} - set(matches.values())))
    return scores


def match_clones(clone: Any, true_clone: Any) -> dict[int, int]:
    """Called clone to the true one it stands for: the pairing, one to one, that agrees on most cells."""
    table = pd.crosstab(pd.Series(np.asarray(clone)), pd.Series(np.asarray(true_clone)))
    together = table.to_numpy(np.int64)
    called, true = list(table.index), list(table.columns)
    rows, columns = linear_sum_assignment(together, maximize=True)
    return {int(called[i]): int(true[j]) for i, j in zip(rows, columns, strict=True) if together[i, j] > 0}


def clone_size_error(sizes: Mapping[int, float], true_sizes: Mapping[int, float]) -> float:
    """Half the sum of absolute differences of clone fractions: the share of cells counted for another clone.

    >>> clone_size_error({1: 75, 2: 25}, {1: 50, 2: 50})
    0.25
    """
    total, true_total = sum(sizes.values()), sum(true_sizes.values())
    if not total or not true_total:
        return float("nan")
    clones = {*sizes, *true_sizes}
    return 0.5 * sum(abs(sizes.get(k, 0) / total - true_sizes.get(k, 0) / true_total) for k in clones)


def calibration_error(probability: Any, correct: Any, n_bins: int = 10) -> float:
    """Expected calibration error: how far stated probability and share correct lie apart.

    Bins hold equal numbers of cells (Guo et al., ICML 2017, with equal-mass bins).

    Parameters
    ----------
    probability, correct
        Stated probability of each call, and whether it was right, shape (n,). Calls without a probability,
        as those made by hand, are left out.
    """
    stated, right = np.asarray(probability, float), np.asarray(correct, float)
    right, stated = right[np.isfinite(stated)], stated[np.isfinite(stated)]
    if not len(stated):
        return float("nan")
    bins = np.array_split(np.argsort(stated, kind="stable"), min(n_bins, len(stated)))
    return float(sum(len(b) * abs(stated[b].mean() - right[b].mean()) for b in bins) / len(stated))


def evaluate_results(results: str | Path, truth: str | Path) -> pd.DataFrame:
    """Score a results folder against known truth.

    Parameters
    ----------
    results
        A results folder.
    truth
        Folder with ``cells.csv`` (``image_id, frame, cell, clone``) and ``labels/<image_id>.tif``, as
        `simulate_experiment` makes.

    Returns
    -------
    scores
        One row per image and one, ``all``, over the experiment: cells, `detection_scores`, `clone_scores`,
        the median error of the clone size per sample and the calibration error. Cells that are unmarked in
        truth count as neither missed nor false when found.

    Raises
    ------
    DataError
        If a folder lacks a file, or no image is in both.
    """
    results, truth = Path(results), Path(truth)
    cells = read_table(results / "cells.parquet")
    true = TRUTH.check(read_table(truth / "cells.csv"), need=["image_id", "frame", "cell"])
    if "clone" not in true.columns:
        true = true.assign(clone=pd.array([pd.NA] * len(true), dtype="Int64"))
    true = true.astype({"image_id": "str", "clone": "Int64"})
    shared = [p for p in sorted((truth / "labels").glob("*.tif")) if (results / "labels" / p.name).exists()]
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
        count, pairs = _match_image(results / "labels" / path.name, path, here)
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
    names = match_clones(*_called_and_true(table))
    rows = [_score(count, table[table["image_id"] == count["image_id"]], names, true) for count in counts]
    total = {"image_id": ALL} | {
        key: sum(count[key] for count in counts) for key in ("n_found", "n_true", "n_matched")
    }
    everything = _score(total, table, names, true)
    everything["size_error"] = float(np.nanmedian([row["size_error"] for row in rows]))
    return pd.DataFrame([*rows, everything])


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
