import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rgbtrack import DataError, DynamicsParams, RgbtrackWarning, clone_sizes
from rgbtrack.dynamics import binomial_interval
from rgbtrack.tables import CLONE_SIZES


def called(clones, subject="m1", treatment="vehicle", timepoint=0, **more):
    table = pd.DataFrame({"clone": pd.array(clones, dtype="Int64")})
    return table.assign(subject=subject, treatment=treatment, timepoint=timepoint, **more)


def test_zeros_are_counted_and_unassigned_cells_are_not():
    cells = pd.concat([called([1, 1, 2, None]), called([3, 3], subject="m2", treatment="drug")])
    sizes = clone_sizes(cells)
    CLONE_SIZES.check(sizes)
    assert len(sizes) == 3 * 2
    n = sizes.set_index(["clone", "subject"])["n_cells"]
    assert n[n.index.get_level_values("subject") == "m1"].to_list() == [2, 1, 0]
    assert sizes.groupby("subject")["fraction"].sum().to_list() == pytest.approx([1, 1])
    assert sizes.loc[sizes["subject"] == "m1", "fraction"].to_list() == pytest.approx([2 / 3, 1 / 3, 0])


def test_fields_of_one_sample_are_counted_together():
    cells = pd.concat([called([1, 2], image_id="a", frame=0), called([1, 1], image_id="b", frame=0)])
    sizes = clone_sizes(cells)
    assert sizes["n_cells"].to_list() == [3, 1]


def test_sites_are_samples_of_their_own():
    cells = pd.concat([called([1, 2], site="primary"), called([2], site="liver")])
    sizes = clone_sizes(cells).set_index(["site", "clone"])["n_cells"]
    assert (sizes["primary", 1], sizes["liver", 1], sizes["liver", 2]) == (1, 0, 1)


def test_a_sample_without_cells_counts_zero_and_has_no_fraction():
    samples = pd.concat([called([1]), called([1], timepoint=7)])[["subject", "treatment", "timepoint"]]
    sizes = clone_sizes(called([1, 1]), samples=samples)
    late = sizes[sizes["timepoint"] == 7]
    assert late["n_cells"].to_list() == [0]
    assert late[["fraction", "fraction_low", "fraction_high"]].isna().all(axis=None)


def test_no_cells_at_all():
    sizes = clone_sizes(called([]))
    assert sizes.empty
    assert list(sizes.columns) == [column.name for column in CLONE_SIZES.columns]


@pytest.mark.parametrize(("which", "expected"), [("first", {1: 2}), ("last", {2: 3})])
def test_a_time_series_counts_one_frame(which, expected):
    cells = called([1, 1, 2, 2, 2], image_id="a").assign(frame=[0, 0, 1, 1, 1])
    with pytest.warns(RgbtrackWarning, match="1 images are time series"):
        sizes = clone_sizes(cells, DynamicsParams(frame=which))
    assert sizes.set_index("clone")["n_cells"].to_dict() == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300), st.integers(1, 300))
def test_an_interval_holds_the_fraction(count, more):
    total = count + more
    low, high = binomial_interval(np.array([count]), np.array([total]))
    assert 0 <= low[0] <= count / total <= high[0] <= 1


def test_intervals_cover_as_stated():
    rng = np.random.default_rng(0)
    for share in (0.05, 0.3):
        counts = rng.binomial(80, share, 4000)
        low, high = binomial_interval(counts, np.full(4000, 80))
        assert 0.92 < np.mean((low <= share) & (share <= high)) < 0.98


def test_missing_columns_are_named():
    with pytest.raises(DataError, match="lacks columns treatment, timepoint"):
        clone_sizes(called([1])[["clone", "subject"]])


def test_blank_samples_are_refused():
    with pytest.raises(DataError, match="1 rows have no treatment"):
        clone_sizes(called([1, 1]).assign(treatment=["vehicle", None]))
