"""Scores of cells, clones, sizes and probabilities, from what was found and what is true."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import pair_confusion_matrix

from rgbtrack.errors import DataError


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
