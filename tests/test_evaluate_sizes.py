"""Clone sizes found beside those planted."""

import pytest

from rgbtrack import DataError
from rgbtrack.evaluate import compare_sizes, name_clones
from rgbtrack.files import read_table


def test_sizes_are_beside_those_of_the_planted_clone(finished, small_experiment):
    truth = small_experiment / "truth"
    sizes = compare_sizes(finished, truth)
    assert len(sizes) == len(read_table(finished / "clone_sizes.csv"))
    names = name_clones(finished, truth)
    assert sizes["true_clone"].dropna().astype(int).isin(names.values()).all()
    known = sizes.dropna(subset=["true_clone"])
    planted = read_table(truth / "clone_sizes.csv").set_index(["clone", "subject", "timepoint"])
    first = known.iloc[0]
    told = planted.loc[(int(first["true_clone"]), first["subject"], first["timepoint"])]
    assert first["true_cells"] == told["n_cells"]
    assert first["true_share"] == told["true_share"]
    assert (known["fraction"] - known["true_fraction"]).abs().median() < 0.05
    assert known["true_fraction"].between(0, 1).all()


def test_truth_of_another_experiment_is_refused(finished, tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "cells.csv").write_text("image_id,frame,cell,clone\n", encoding="utf-8")
    (tmp_path / "clone_sizes.csv").write_text(
        "clone,subject,treatment,timepoint,site,true_share,n_cells\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match="no image has labels in both"):
        compare_sizes(finished, tmp_path)
