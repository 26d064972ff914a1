import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, evaluate_results
from rgbtrack.evaluate import (
    calibration_error,
    clone_scores,
    clone_size_error,
    detection_scores,
    match_cells,
    match_clones,
)
from rgbtrack.files import write_labels, write_table


def square(at, label, shape=(40, 40), side=10):
    labels = np.zeros(shape, np.uint32)
    labels[at[0] : at[0] + side, at[1] : at[1] + side] = label
    return labels


@pytest.mark.parametrize(("shift", "matched"), [(0, True), (3, True), (4, False), (12, False)])
def test_outlines_match_from_half_overlap_on(shift, matched):
    pairs = match_cells(square((5, 5), 2), square((5, 5 + shift), 9))
    assert bool(len(pairs)) == matched
    if matched:
        assert pairs["iou"][0] == pytest.approx((10 - shift) / (10 + shift))


def test_below_half_overlap_pairs_stay_one_to_one():
    found = square((5, 0), 1) + square((5, 10), 2)
    pairs = match_cells(found, square((5, 5), 7), min_iou=0.2)
    assert len(pairs) == 1


def test_labels_of_other_shape_are_refused():
    with pytest.raises(DataError, match="must agree"):
        match_cells(np.zeros((4, 4), int), np.zeros((4, 5), int))


def test_nothing_found_and_nothing_there():
    assert np.isnan(detection_scores(0, 0, 0)["f1"])
    assert detection_scores(0, 5, 0)["f1"] == 0


def test_perfect_calls_score_one():
    scores = clone_scores([4, 4, 2, 2, 2, 7], [1, 1, 3, 3, 3, 2])
    assert scores["ari"] == scores["pair_f1"] == scores["called"] == 1
    assert scores["spurious"] == scores["missed"] == 0


def test_unassigned_cells_cost_recall_but_not_precision():
    clone = pd.array([1, 1, 1, None, None, 2, 2, 2], dtype="Int64")
    scores = clone_scores(clone, [1, 1, 1, 1, 1, 2, 2, 2])
    assert scores["pair_precision"] == 1
    assert scores["pair_recall"] == pytest.approx(6 / 13)
    assert scores["called"] == pytest.approx(6 / 8)
    assert scores["ari"] < scores["ari_called"] == 1


def test_a_split_clone_is_spurious_and_a_merged_one_missed():
    split = clone_scores([1] * 4 + [2] * 3 + [3] * 5, [1] * 7 + [2] * 5)
    assert (split["spurious"], split["missed"]) == (1, 0)
    merged = clone_scores([1] * 12, [1] * 7 + [2] * 5)
    assert (merged["spurious"], merged["missed"]) == (0, 1)


def test_cells_without_true_clone_are_not_scored():
    truth = pd.array([1, 1, None], dtype="Int64")
    assert clone_scores([5, 5, 5], truth)["ari"] == 1
    assert np.isnan(clone_scores([1], pd.array([None], dtype="Int64"))["ari"])


def test_clones_are_paired_one_to_one():
    assert match_clones([1, 1, 1, 2, 2, 3], [8, 8, 8, 8, 9, 9]) in ({1: 8, 2: 9}, {1: 8, 3: 9})


@pytest.mark.parametrize(
    ("found", "error"), [({1: 5, 2: 5}, 0.0), ({1: 10}, 0.5), ({3: 10}, 1.0), ({1: 50, 2: 50}, 0.0)]
)
def test_size_error_is_the_share_counted_elsewhere(found, error):
    assert clone_size_error(found, {1: 5, 2: 5}) == pytest.approx(error)


def test_calibration_error_of_honest_and_boastful_calls():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.5, 1, 20_000)
    honest = rng.random(20_000) < probability
    assert calibration_error(probability, honest) < 0.02
    assert calibration_error(np.ones(1000), rng.random(1000) < 0.7) == pytest.approx(0.3, abs=0.05)


@pytest.fixture
def scored(tmp_path):
    """Two found cells, one of them unmarked in truth, and one missed."""
    results, truth = tmp_path / "results", tmp_path / "truth"
    found = square((5, 5), 1) + square((5, 25), 2)
    true = square((5, 5), 3) + square((5, 25), 4) + square((25, 5), 5)
    write_labels(results / "labels" / "a.tif", found[None, None])
    write_labels(truth / "labels" / "a.tif", true[None, None])
    cells = pd.DataFrame(
        {"image_id": "a", "frame": 0, "cell": [1, 2], "clone": [1, 1], "clone_probability": 0.9}
    )
    write_table(results / "cells.parquet", cells.astype({"clone": "Int64"}))
    known = pd.DataFrame({"image_id": "a", "frame": 0, "cell": [3, 4, 5], "clone": [6, None, 6]})
    write_table(truth / "cells.csv", known.astype({"clone": "Int64"}))
    return results, truth


def test_an_unmarked_cell_is_neither_missed_nor_false(scored):
    scores = evaluate_results(*scored).set_index("image_id")
    assert list(scores.index) == ["a", "all"]
    assert (scores.loc["a", ["n_found", "n_true", "n_matched"]] == [1, 2, 1]).all()
    assert scores.loc["all", "recall"] == 0.5
    assert scores.loc["all", "correct"] == 1


def test_truth_of_another_experiment_is_refused(scored):
    results, truth = scored
    (truth / "labels" / "a.tif").rename(truth / "labels" / "b.tif")
    with pytest.raises(DataError, match="no image has labels in both"):
        evaluate_results(results, truth)
