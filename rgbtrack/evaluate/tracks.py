"""Tracks against true ones: links, divisions, the challenge's measures, honest probabilities."""

import io
import warnings
from contextlib import redirect_stderr
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree

from rgbtrack.errors import DataError
from rgbtrack.evaluate.scores import calibration_error
from rgbtrack.files.extras import need_extra
from rgbtrack.tables import check_tracks, track_links

KEY = ["image_id", "frame", "cell"]
_PLACE = ("z_um", "y_um", "x_um")
SCORES = (
    "TRA",
    "DET",
    "LNK",
    "link_precision",
    "link_recall",
    "link_f1",
    "n_links",
    "n_true_links",
    "division_exact_f1",
    "division_precision",
    "division_recall",
    "division_f1",
    "n_divisions",
    "n_true_divisions",
    "link_calibration_error",
)


def evaluate_tracks(
    found: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    pairs: pd.DataFrame | None = None,
    radius_um: float | None = None,
    tolerance: int = 1,
) -> dict[str, float]:
    """Score tracks against true ones.

    Parameters
    ----------
    found, truth
        Tracked cells; see `rgbtrack.tables.TRACKED`. Cells without a track are left out.
    pairs
        Which found cell is which true one: ``image_id, frame, cell, true_cell``, as from masks
        (`match_cells`), one to one. Default: cells of one image, frame and number are the same.
    radius_um
        Pair cells by place instead, each the other's nearest, no further apart than this.
    tolerance
        A division may be this many frames early or late.

    Returns
    -------
    scores
        ``TRA, DET, LNK`` of the Cell Tracking Challenge (Matula et al., PLoS ONE 10 (2015) e0144959), of 1 at
        best; ``link_precision, link_recall, link_f1``: links whose both cells are paired, and linked in
        truth; ``division_precision, division_recall, division_f1`` within the tolerance, mother and both
        daughters right; counts; ``link_calibration_error``: how far stated and true probability of found
        links lie apart. Missing where there is nothing to score.

    Raises
    ------
    DataError
        If they cannot be tracks, share no cell, or traccuracy is not installed.

    Notes
    -----
    TRA, DET, LNK and divisions are traccuracy's (Janelia). Pairs are one to one: cells joined into one count
    as missed, where the challenge counts a split; TRA then differs a little. A link over a gap agrees with no
    other link.
    """
    found, truth = check_tracks(found), check_tracks(truth)
    mapping = _pair(found, truth, pairs, radius_um)
    if len(found) and len(truth) and not len(mapping):
        raise DataError(
            "no tracked cell is paired with a true one: are they of the same images and frames? Cells of "
            "other "
            "numbers need pairs or radius_um"
        )
    links, true_links = track_links(found), track_links(truth)
    stated = link_calibration(found, truth, mapping)
    scores = {
        **_challenge(found, truth, links, true_links, mapping, tolerance),
        **_plain(links, true_links, mapping, len(found)),
        "link_calibration_error": calibration_error(stated["link_probability"], stated["correct"]),
    }
    return {name: float(scores[name]) for name in SCORES}


def link_scores(
    found: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    pairs: pd.DataFrame | None = None,
    radius_um: float | None = None,
) -> dict[str, float]:
    """Links and divisions alone, of `evaluate_tracks`: quick, and without its library.

    Parameters
    ----------
    found, truth, pairs, radius_um
        As for `evaluate_tracks`.

    Returns
    -------
    scores
        ``link_precision, link_recall, link_f1, n_links, n_true_links``; ``division_exact_f1``: mother and all
        daughters right, in the very frame; ``n_divisions, n_true_divisions``.
    """
    found, truth = check_tracks(found), check_tracks(truth)
    return _plain(track_links(found), track_links(truth), _pair(found, truth, pairs, radius_um), len(found))


def _plain(
    links: tuple[NDArray, NDArray],
    true_links: tuple[NDArray, NDArray],
    mapping: NDArray[np.int64],
    n_cells: int,
) -> dict[str, float]:
    right = _right_links(links, true_links, mapping, n_cells)
    n, n_true, n_right = len(links[0]), len(true_links[0]), int(right.sum())
    daughters = np.bincount(links[0], minlength=n_cells)
    true_of = np.full(n_cells, -1)
    true_of[mapping[:, 0]] = mapping[:, 1]
    true_daughters = np.append(np.bincount(true_links[0], minlength=int(mapping[:, 1].max(initial=0)) + 1), 0)
    whole = np.bincount(links[0], right, n_cells) == daughters
    exact = int(((daughters > 1) & whole & (true_daughters[true_of] == daughters)).sum())
    found, true = _divisions(links[0]), _divisions(true_links[0])
    return {
        "link_precision": n_right / n if n else np.nan,
        "link_recall": n_right / n_true if n_true else np.nan,
        "link_f1": 2 * n_right / (n + n_true) if n + n_true else np.nan,
        "n_links": n,
        "n_true_links": n_true,
        "division_exact_f1": 2 * exact / (found + true) if found + true else np.nan,
        "n_divisions": found,
        "n_true_divisions": true,
    }


def link_calibration(
    found: pd.DataFrame, truth: pd.DataFrame, mapping: NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """Stated probability of every found link, and whether it is right.

    Parameters
    ----------
    found, truth
        As for `evaluate_tracks`.
    mapping
        Rows of found and of true cells that are the same, shape (pairs, 2), of the tables as `check_tracks`
        orders them; default: by number.

    Returns
    -------
    links
        Columns ``link_probability, correct, division``, one row per found link whose probability is stated.
    """
    found, truth = check_tracks(found), check_tracks(truth)
    mapping = _pair(found, truth, None, None) if mapping is None else mapping
    links = track_links(found)
    stated = np.full(len(found), np.nan)
    if "link_probability" in found:
        stated = found["link_probability"].to_numpy(float, na_value=np.nan)
    table = pd.DataFrame(
        {
            "link_probability": stated[links[1]],
            "correct": _right_links(links, track_links(truth), mapping, len(found)),
            "division": np.bincount(links[0], minlength=len(found) + 1)[links[0]] > 1,
        }
    )
    return table[table["link_probability"].notna()].reset_index(drop=True)


def _pair(
    found: pd.DataFrame, truth: pd.DataFrame, pairs: pd.DataFrame | None, radius_um: float | None
) -> NDArray[np.int64]:
    """Rows of found and true cells that are the same, shape (pairs, 2)."""
    if pairs is None and radius_um is not None:
        return _near(found, truth, radius_um)
    if pairs is None:
        pairs = found[KEY].assign(true_cell=found["cell"])
    pairs = pairs.astype({"image_id": "str"})
    row = found[KEY].assign(row=np.arange(len(found)))
    true_row = truth[KEY].rename(columns={"cell": "true_cell"}).assign(true_row=np.arange(len(truth)))
    both = pairs.merge(row, on=KEY).merge(true_row, on=["image_id", "frame", "true_cell"])
    return both[["row", "true_row"]].drop_duplicates("row").drop_duplicates("true_row").to_numpy(np.int64)


def _near(found: pd.DataFrame, truth: pd.DataFrame, radius_um: float) -> NDArray[np.int64]:
    axes = [name for name in _PLACE if name in found and name in truth]
    if "y_um" not in axes or "x_um" not in axes:
        raise DataError("cells are paired by place only where both tables have y_um and x_um")
    place, true_place = found[axes].to_numpy(float), truth[axes].to_numpy(float)
    frames = truth.groupby(["image_id", "frame"]).indices
    parts = [np.empty((0, 2), np.int64)]
    for key, rows in found.groupby(["image_id", "frame"]).indices.items():
        there = frames.get(key, np.empty(0, np.int64))
        if not len(there):
            continue
        distance, nearest = KDTree(true_place[there]).query(place[rows])
        back = KDTree(place[rows]).query(true_place[there])[1]
        good = (back[nearest] == np.arange(len(rows))) & (distance <= radius_um)
        parts.append(np.column_stack([np.asarray(rows)[good], np.asarray(there)[nearest[good]]]))
    return np.concatenate(parts)


def _right_links(
    links: tuple[NDArray, NDArray], true_links: tuple[NDArray, NDArray], mapping: NDArray[np.int64], n: int
) -> NDArray[np.bool_]:
    true_of = np.full(n, -1)
    true_of[mapping[:, 0]] = mapping[:, 1]
    size = int(max(mapping[:, 1].max(initial=0), *(end.max(initial=0) for end in true_links))) + 1
    a, b = true_of[links[0]], true_of[links[1]]
    return (a >= 0) & (b >= 0) & np.isin(a * size + b, true_links[0] * size + true_links[1])


def _divisions(source: NDArray) -> int:
    return int((np.bincount(source, minlength=1) > 1).sum())


def _challenge(
    found: pd.DataFrame,
    truth: pd.DataFrame,
    links: tuple[NDArray, NDArray],
    true_links: tuple[NDArray, NDArray],
    mapping: NDArray[np.int64],
    tolerance: int,
) -> dict[str, Any]:
    """Measures of traccuracy."""
    if found.empty or truth.empty:
        return dict.fromkeys(
            ("TRA", "DET", "LNK", "division_precision", "division_recall", "division_f1"), np.nan
        )
    library = need_extra("traccuracy", "tracks")
    matched = need_extra("traccuracy.matchers", "tracks").Matched(
        _graph(library, truth, true_links),
        _graph(library, found, links),
        [(int(b) + 1, int(a) + 1) for a, b in mapping],
        {"name": "rgbtrack", "matching type": "one-to-one"},
    )
    metrics = need_extra("traccuracy.metrics", "tracks")
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # bars of progress
        warnings.simplefilter("ignore")  # of what there is nothing of: a score is missing then
        ctc = metrics.CTCMetrics().compute(matched).results
        divisions = metrics.DivisionMetrics(max_frame_buffer=tolerance).compute(matched).results
    right = divisions[f"Frame Buffer {tolerance}"]["True Positive Divisions"]
    n, n_true = _divisions(links[0]), _divisions(true_links[0])
    return {
        **{name: ctc[name] for name in ("TRA", "DET", "LNK")},
        "division_precision": right / n if n else np.nan,
        "division_recall": right / n_true if n_true else np.nan,
        "division_f1": 2 * right / (n + n_true) if n + n_true else np.nan,
    }


def _graph(library: Any, tracked: pd.DataFrame, links: tuple[NDArray, NDArray]) -> Any:
    """Nodes from 1 in the order of rows; frames of different images are told apart by the mapping."""
    networkx = need_extra("networkx", "tracks")
    graph = networkx.DiGraph()
    graph.add_nodes_from((k + 1, {"t": int(t), "y": 0.0, "x": 0.0}) for k, t in enumerate(tracked["frame"]))
    graph.add_edges_from((int(a) + 1, int(b) + 1) for a, b in zip(*links, strict=True))
    return library.TrackingGraph(graph, label_key=None, location_keys=("y", "x"))
