"""Cells as they were called: what corrections by hand are made on, and what taking all of them back leaves."""

import shutil

import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, append_correction, load_clones, read_review, run
from rgbtrack.files import read_table, write_table
from rgbtrack.pipeline import called_cells, replay
from rgbtrack.pipeline.called import ADDED, CALLED
from rgbtrack.review import Memory, Undo, assign_cells, exclude_cells, merge_clones, rename_clone, split_clone


def keys_of(cells, clone, n):
    rows = np.flatnonzero(cells["clone"].eq(clone).fillna(value=False))[:n]
    return list(cells.iloc[rows][["image_id", "frame", "cell"]].itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def corrected(small_experiment, finished, tmp_path_factory):
    """Results of a run with one correction of each kind, one of them taken back."""
    results = shutil.copytree(finished, tmp_path_factory.mktemp("corrected") / "results")
    cells = read_table(results / "cells.parquet")
    gone = exclude_cells(cells, keys_of(cells, 2, 3), "debris")
    for correction in (
        merge_clones(cells, [3, 4]),
        split_clone(cells, 1, [keys_of(cells, 1, 4)]),
        assign_cells(cells, keys_of(cells, 2, 2), 1),
        gone,
        rename_clone(cells, 2, "second"),
        assign_cells(cells, keys_of(cells, 1, 8)[6:], None),
        Undo(of=gone.id),
    ):
        append_correction(results / "review.jsonl", correction)
    run(small_experiment, results, workers=1, steps=("clones",))
    return results


def test_corrections_made_again_on_what_was_called_give_the_cells_of_the_run(corrected):
    model = load_clones(corrected / "clone_model.json")
    cells, outcomes = replay(called_cells(corrected), read_review(corrected / "review.jsonl"), model)
    pd.testing.assert_frame_equal(cells, read_table(corrected / "cells.parquet"), check_dtype=False)
    told = ["id", "status", "n_cells", "outcome"]
    assert (
        outcomes[told].to_numpy().tolist() == read_table(corrected / "review.csv")[told].to_numpy().tolist()
    )


def test_without_its_corrections_the_run_called_the_same(corrected, finished):
    before = read_table(finished / "cells.parquet").drop(columns=list(ADDED))
    pd.testing.assert_frame_equal(called_cells(corrected), before)
    pd.testing.assert_frame_equal(called_cells(finished), before)


def test_results_of_a_version_that_kept_nothing(corrected, finished, tmp_path):
    for results, name in ((finished, "plain"), (corrected, "by hand")):
        (tmp_path / name).mkdir()
        shutil.copy(results / "cells.parquet", tmp_path / name)
    pd.testing.assert_frame_equal(called_cells(tmp_path / "plain"), called_cells(finished))
    with pytest.raises(DataError, match=r"called before the corrections by hand: run 'rgbtrack clones'"):
        called_cells(tmp_path / "by hand")


def test_calls_of_other_cells_are_refused(finished, tmp_path):
    results = shutil.copytree(finished, tmp_path / "results")
    write_table(results / CALLED, read_table(results / CALLED).iloc[1:])
    with pytest.raises(DataError, match=r"is of other cells than cells\.parquet"):
        called_cells(results)


def test_a_step_that_lost_the_calls_is_done_again(small_experiment, finished, tmp_path):
    results = shutil.copytree(finished, tmp_path / "results")
    (results / CALLED).unlink()
    run(small_experiment, results, workers=1, steps=("clones",))
    assert (results / CALLED).is_file()


def test_what_is_remembered_changes_nothing(corrected):
    model = load_clones(corrected / "clone_model.json")
    cells, corrections = called_cells(corrected), read_review(corrected / "review.jsonl")
    memory = Memory()
    for n in (3, 7, 5, 7):
        again, outcomes = replay(cells, corrections[:n], model, memory)
        fresh, told = replay(cells, corrections[:n], model)
        pd.testing.assert_frame_equal(again, fresh)
        pd.testing.assert_frame_equal(outcomes, told)
    assert len(memory.calls) == 1
