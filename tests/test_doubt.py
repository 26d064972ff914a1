"""Doubtful cells: those first whose wrong call would change the sizes of clones most."""

import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, ParamError
from rgbtrack.review import doubtful_cells
from rgbtrack.tables import DOUBTS

COLOURS = {1: (900, 100, 0), 2: (800, 200, 0), 3: (0, 0, 900)}


def called(*clones, subject="m1", cell=1):
    """Cells of one sample, of these clones (0 for none), sure of all of them."""
    n = len(clones)
    table = pd.DataFrame(
        {
            "image_id": f"{subject}_d0",
            "frame": 0,
            "cell": range(cell, cell + n),
            "subject": subject,
            "treatment": "vehicle",
            "timepoint": 0.0,
            "site": "primary",
            "clone": pd.array([clone or None for clone in clones], dtype="Int64"),
            "clone_probability": 1.0,
            "unassigned_reason": pd.array([None if c else "ambiguous: below 0.5" for c in clones], "string"),
        }
    )
    for m, marker in enumerate(("red", "green", "blue")):
        table[marker] = [float(COLOURS.get(clone, (850, 150, 0))[m]) for clone in clones]
        table[f"{marker}_se"] = 1.0
    return table


def doubted(table, **probabilities):
    """The table with other probabilities for some cells, by their number."""
    probability = table["cell"].map({int(k[1:]): p for k, p in probabilities.items()})
    return table.assign(clone_probability=probability.fillna(table["clone_probability"]))


def test_a_cell_of_a_small_clone_counts_more_than_one_of_a_large():
    cells = doubted(called(*[1] * 40, *[3] * 3), c5=0.6, c42=0.6)
    table = doubtful_cells(cells)
    assert table["cell"].tolist() == [42, 5]
    assert table["why"].tolist() == [
        "40 % that it is not of clone 3 (3 cells here), rather of clone 1 (40)",
        "40 % that it is not of clone 1 (40 cells here), rather of clone 3 (3)",
    ]


def test_influence_is_the_expected_change_of_log_shares():
    cells = doubted(called(*[1] * 10, *[2] * 5, *[3] * 5), c1=0.7)
    row = doubtful_cells(cells).iloc[0]
    assert (row["clone"], row["other_clone"]) == (1, 2)
    assert row["influence"] == pytest.approx(0.3 * (np.log(10.5 / 9.5) + np.log(6.5 / 5.5)))


def test_samples_are_counted_apart():
    few = called(*[1] * 4, *[2] * 4, subject="m2")
    cells = pd.concat([called(*[1] * 50, *[2] * 50), few], ignore_index=True)
    cells["clone_probability"] = np.where(cells["cell"] == 2, 0.6, 1.0)
    assert doubtful_cells(cells)["image_id"].tolist() == ["m2_d0", "m1_d0"]


def test_a_founder_that_shares_its_colour_leaves_no_doubt_of_cells():
    cells = called(*[1] * 10, *[2] * 10).assign(clone_probability=0.7)
    assert doubtful_cells(cells).empty


def test_a_cell_between_clones_counts_by_what_it_would_add():
    cells = doubted(called(*[1] * 30, *[3] * 3, 0), c34=0.45)
    cells.loc[33, ["red", "blue"]] = 300.0, 600.0
    row = doubtful_cells(cells).iloc[0]
    assert (row["cell"], row["other_clone"]) == (34, 3)
    assert pd.isna(row["clone"])
    assert row["influence"] == pytest.approx(0.45 * np.log(4.5 / 3.5))
    assert row["why"] == "45 % that it is of a clone, most likely clone 3 (3 cells here)"


def test_cells_that_are_debris_or_decided_on_are_in_no_doubt():
    cells = doubted(called(*[1] * 30, *[2] * 3, 0, 0), c1=np.nan, c34=0.45, c35=0.45)
    cells["unassigned_reason"] = cells["unassigned_reason"].replace({"ambiguous: below 0.5": "doublet"})
    assert doubtful_cells(cells).empty


def test_the_clone_by_colour_alone_is_the_other_where_neighbours_changed_the_call():
    cells = doubted(called(*[1] * 10, *[2] * 10, *[3] * 10), c1=0.6)
    cells["colour_clone"] = cells["clone"].mask(cells["cell"] == 1, 3)
    assert doubtful_cells(cells)["other_clone"].tolist() == [3]


def test_no_clone_of_another_subject_is_thought_of():
    cells = pd.concat(
        [called(*[1] * 5, *[3] * 5), called(*[2] * 5, subject="m2", cell=11)], ignore_index=True
    )
    table = doubtful_cells(doubted(cells, c1=0.6, c11=0.6))
    assert table.set_index("cell")["other_clone"].fillna(0).to_dict() == {1: 3, 11: 0}
    assert "rather" not in table.set_index("cell")["why"][11]


def test_rows_in_another_order_change_nothing():
    rng = np.random.default_rng(0)
    cells = called(*rng.choice([0, 1, 2, 3], 200)).assign(clone_probability=rng.choice([0.5, 0.7, 1], 200))
    table = doubtful_cells(cells, n=None)
    pd.testing.assert_frame_equal(table, doubtful_cells(cells.sample(frac=1, random_state=1), n=None))
    pd.testing.assert_frame_equal(table.head(7), doubtful_cells(cells, n=7))
    assert table["influence"].is_monotonic_decreasing
    assert list(table.columns) == [column.name for column in DOUBTS.columns]


def test_tables_without_markers_subjects_or_clones_are_borne():
    cells = doubted(called(*[1] * 5, *[2] * 5), c1=0.6)
    bare = cells[["image_id", "frame", "cell", "clone", "clone_probability", "unassigned_reason"]]
    assert doubtful_cells(bare)["cell"].tolist() == [1]
    assert doubtful_cells(called(0, 0, 0).assign(clone_probability=np.nan)).empty
    assert doubtful_cells(cells.iloc[:0]).empty


def test_mistakes_are_told():
    with pytest.raises(ParamError, match="n is 0: ask for 1 cell or more"):
        doubtful_cells(called(1), n=0)
    with pytest.raises(DataError, match="lacks columns clone_probability, unassigned_reason"):
        doubtful_cells(called(1)[["image_id", "frame", "cell", "clone"]])
