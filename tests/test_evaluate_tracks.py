import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, RgbtrackWarning, evaluate_results
from rgbtrack.evaluate import evaluate_tracks, link_calibration, link_scores
from rgbtrack.files import write_labels, write_table

TRUTH = pd.DataFrame(
    [  # (frame, cell, track, parent)
        *[(t, 1, 1, None) for t in range(4)],
        *[(t, 1, 2, 1) for t in range(4, 8)],
        *[(t, 2, 3, 1) for t in range(4, 8)],
        *[(t, 9, 4, None) for t in range(8)],
    ],
    columns=["frame", "cell", "track", "parent"],
).assign(image_id="a", parent=lambda t: t["parent"].astype("Int64"))
"""1 divides after frame 3 into 2 and 3; 4 goes its own way."""
TRUTH["y_um"], TRUTH["x_um"] = TRUTH["cell"] * 10.0, TRUTH["frame"] * 1.0


def retracked(change):
    table = TRUTH.copy()
    for (frames, cells), track, parent in change:
        rows = table["frame"].isin(frames) & table["cell"].isin(cells)
        table.loc[rows, "track"] = track
        table.loc[rows, "parent"] = parent
    return table


def test_true_tracks_score_one():
    scores = evaluate_tracks(TRUTH, TRUTH)
    for name in ("TRA", "DET", "LNK", "link_f1", "division_f1", "division_exact_f1"):
        assert scores[name] == pytest.approx(1)
    assert (scores["n_links"], scores["n_divisions"]) == (18, 1)
    assert np.isnan(scores["link_calibration_error"])


def test_a_division_that_is_missed_costs_its_links():
    scores = evaluate_tracks(
        retracked([((range(4, 8), [2]), 3, pd.NA), ((range(4, 8), [1]), 1, pd.NA)]), TRUTH
    )
    assert scores["link_recall"] == pytest.approx(17 / 18)
    assert scores["link_precision"] == 1
    assert scores["division_recall"] == 0
    assert scores["n_divisions"] == 0
    assert scores["DET"] == 1 > scores["TRA"]


def test_a_division_a_frame_early_counts_within_the_tolerance():
    early = pd.concat([TRUTH, TRUTH[(TRUTH["frame"] == 3) & (TRUTH["cell"] == 1)].assign(cell=2)])
    early.loc[(early["frame"] == 3) & (early["cell"] < 9), "track"] = [2, 3]
    early.loc[(early["frame"] == 3) & (early["cell"] < 9), "parent"] = 1
    scores = evaluate_tracks(early, TRUTH, tolerance=0)
    assert scores["division_f1"] == scores["division_exact_f1"] == 0
    assert evaluate_tracks(early, TRUTH, tolerance=1)["division_f1"] == 1


def test_swapped_tracks_cost_links_both_ways():
    swapped = retracked([((range(6, 8), [1]), 4, pd.NA), ((range(6, 8), [9]), 2, 1)])
    scores = evaluate_tracks(swapped, TRUTH)
    assert scores["link_precision"] == scores["link_recall"] == pytest.approx(16 / 18)
    assert scores["division_f1"] == 1


def test_cells_are_paired_by_number_by_place_or_by_pairs():
    other = TRUTH.assign(cell=TRUTH["cell"] + 100, x_um=TRUTH["x_um"] + 0.4)
    with pytest.raises(DataError, match="no tracked cell is paired with a true one"):
        evaluate_tracks(other, TRUTH)
    assert evaluate_tracks(other, TRUTH, radius_um=1)["link_f1"] == 1
    pairs = other[["image_id", "frame", "cell"]].assign(true_cell=other["cell"] - 100)
    assert evaluate_tracks(other, TRUTH, pairs=pairs)["TRA"] == pytest.approx(1)
    with pytest.raises(DataError, match="only where both tables have y_um and x_um"):
        evaluate_tracks(other.drop(columns="y_um"), TRUTH, radius_um=1)


def test_a_missed_cell_costs_detection_and_two_links():
    less = TRUTH[~((TRUTH["frame"] == 2) & (TRUTH["cell"] == 9))]
    scores = evaluate_tracks(less, TRUTH)
    assert scores["link_recall"] == pytest.approx(16 / 18)
    assert scores["link_precision"] == pytest.approx(16 / 17)
    assert scores["DET"] == pytest.approx(1 - 10 / (10 * 20))


def test_link_scores_are_those_of_evaluate_tracks():
    swapped = retracked([((range(6, 8), [1]), 4, pd.NA), ((range(6, 8), [9]), 2, 1)])
    scores = evaluate_tracks(swapped, TRUTH)
    assert link_scores(swapped, TRUTH) == {name: scores[name] for name in link_scores(swapped, TRUTH)}


def test_images_do_not_mix():
    two = pd.concat([TRUTH, TRUTH.assign(image_id="b")])
    assert evaluate_tracks(two, two)["n_true_divisions"] == 2
    crossed = two.assign(image_id=two["image_id"].map({"a": "b", "b": "a"}))
    assert evaluate_tracks(crossed, two)["link_f1"] == 1


def test_nothing_to_score_is_missing():
    scores = evaluate_tracks(TRUTH[:0], TRUTH[:0])
    assert np.isnan(scores["TRA"])
    assert np.isnan(scores["link_f1"])
    assert scores["n_links"] == 0
    assert evaluate_tracks(TRUTH[:0], TRUTH)["link_recall"] == 0


def test_link_probabilities_are_held_against_the_truth():
    swapped = retracked([((range(6, 8), [1]), 4, pd.NA), ((range(6, 8), [9]), 2, 1)])
    first = ~swapped.sort_values("frame").duplicated("track") & swapped["parent"].isna()
    swapped["link_probability"] = np.where(first, np.nan, 0.75)
    links = link_calibration(swapped, TRUTH)
    assert len(links) == 18
    assert links["correct"].sum() == 16
    assert links["division"].sum() == 2
    assert evaluate_tracks(swapped, TRUTH)["link_calibration_error"] == pytest.approx(0.25)


def write_experiment(folder, tracks_in_truth=True):
    """A movie of which the found cells have other numbers, and an image that is none."""
    labels = np.zeros((8, 1, 40, 40), np.uint32)
    for row in TRUTH.itertuples():
        y, x = 4 * row.cell, 4 * row.frame
        labels[row.frame, 0, y : y + 3, x : x + 3] = row.cell
    still = pd.DataFrame({"image_id": "still", "frame": 0, "cell": [1, 9], "clone": 1})
    true = pd.concat([TRUTH.assign(clone=1), still], ignore_index=True)
    found = pd.concat([TRUTH.assign(clone=1, cell=20 - TRUTH["cell"]), still.assign(cell=20 - still["cell"])])
    mine = np.where(labels > 0, 20 - labels, 0)
    for name, part in (("a", slice(None)), ("still", slice(0, 1))):
        write_labels(folder / "truth" / "labels" / f"{name}.tif", labels[part])
        write_labels(folder / "results" / "labels" / f"{name}.tif", mine[part])
    columns = ["image_id", "frame", "cell", "clone"] + ["track", "parent"] * tracks_in_truth
    write_table(folder / "truth" / "cells.csv", true[columns])
    write_table(folder / "results" / "cells.parquet", found.assign(clone_probability=1.0))


def test_results_with_tracks_are_scored_by_their_masks(tmp_path):
    write_experiment(tmp_path)
    scores = evaluate_results(tmp_path / "results", tmp_path / "truth").set_index("image_id")
    assert scores.loc[["a", "all"], "TRA"].tolist() == pytest.approx([1, 1])
    assert scores.loc[["a", "all"], "division_f1"].tolist() == [1, 1]
    assert np.isnan(scores.loc["still", "TRA"])


def test_without_its_library_links_are_scored_all_the_same(tmp_path, monkeypatch):
    write_experiment(tmp_path)
    monkeypatch.setattr("rgbtrack.evaluate.results.find_spec", lambda _: None)
    with pytest.warns(RgbtrackWarning, match=r"TRA and DET are not scored: traccuracy is not installed"):
        scores = evaluate_results(tmp_path / "results", tmp_path / "truth").set_index("image_id")
    assert "TRA" not in scores
    assert scores.loc["all", "link_f1"] == pytest.approx(1)


def test_results_without_true_tracks_are_scored_without(tmp_path):
    write_experiment(tmp_path, tracks_in_truth=False)
    assert "TRA" not in evaluate_results(tmp_path / "results", tmp_path / "truth")
