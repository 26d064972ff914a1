import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, DynamicsParams, RgbtrackWarning, clone_sizes
from rgbtrack.dynamics.totals import absolute_interval
from rgbtrack.dynamics.unfold import read_confusion, unfold
from rgbtrack.tables import CLONE_SIZES


def called(clones, subject="m1", treatment="vehicle", timepoint=0.0, **more):
    table = pd.DataFrame({"clone": pd.array(clones, dtype="Int64")})
    return table.assign(subject=subject, treatment=treatment, timepoint=timepoint, **more)


def sheet(subjects=("m1",), **more):
    rows = {"subject": list(subjects), "treatment": "vehicle", "timepoint": 0.0, **more}
    return pd.DataFrame(rows).assign(image_id=lambda of: [f"im{i}" for i in range(len(of))])


def rehearsed(rates, n=2000, clones=(1, 2)):
    """Calls of n cells of each clone: rates of being called for each clone, the rest unassigned."""
    rows = []
    for clone, rate in zip(clones, rates, strict=True):
        counts = [*np.round(n * np.array(rate)).astype(int)]
        for other, count in zip([*clones, None], [*counts, n - sum(counts)], strict=True):
            rows.append(
                pd.DataFrame({"true_clone": clone, "clone": pd.array([other] * count, dtype="Int64")})
            )
    return pd.concat(rows, ignore_index=True)


def test_unassigned_cells_are_counted_beside():
    sizes = clone_sizes(called([1, 1, 2, None]))
    assert sizes["n_assigned"].to_list() == [3, 3]
    assert sizes["n_sample_cells"].to_list() == [4, 4]


def test_cells_that_a_person_excluded_count_nowhere():
    cells = called([1, 1, None]).assign(unassigned_reason=[None, None, "excluded by hand: debris"])
    assert clone_sizes(cells)["n_sample_cells"].to_list() == [2]


def test_right_cells_add_up_probabilities_and_a_person_is_sure():
    sizes = clone_sizes(called([1, 1, 2]).assign(clone_probability=[0.5, 0.75, np.nan]))
    assert sizes["right_cells"].to_list() == pytest.approx([1.25, 1.0])
    assert clone_sizes(called([1, 1, 2]))["right_cells"].isna().all()


@pytest.mark.parametrize(
    ("measure", "expected"), [("cells", [2, 1]), ("area", [30, 5]), ("volume", [3000, 500])]
)
def test_amounts(measure, expected):
    cells = called([1, 1, 2]).assign(area_um2=[10.0, 20.0, 5.0], volume_um3=[1000.0, 2000.0, 500.0])
    sizes = clone_sizes(cells, DynamicsParams(measure=measure))
    assert sizes["amount"].to_list() == expected
    assert sizes["n_cells"].to_list() == [2, 1]


def test_a_cell_without_area_counts_as_the_mean():
    cells = called([1, 1, 1, 2]).assign(area_um2=[10.0, 20.0, np.nan, 5.0])
    assert clone_sizes(cells, DynamicsParams(measure="area"))["amount"].to_list() == [45, 5]


def test_amounts_need_their_column():
    with pytest.raises(DataError, match="lacks column volume_um3"):
        clone_sizes(called([1]), DynamicsParams(measure="volume"))


def test_columns_of_the_sheet_are_carried_where_they_are_of_samples():
    samples = sheet(["m1", "m1", "m2"], dose=[1, 1, 3], batch=["a", "b", "a"], pixel_size_um=0.3, note=np.nan)
    sizes = clone_sizes(pd.concat([called([1]), called([1], subject="m2")]), samples=samples)
    assert sizes.set_index("subject")["dose"].to_dict() == {"m1": 1, "m2": 3}
    assert not {"batch", "pixel_size_um", "image_id", "note"} & set(sizes.columns)


def test_a_total_makes_sizes_absolute():
    samples = sheet(["m1", "m1"], total_cells=[1000.0, np.nan])
    sizes = clone_sizes(called([1, 1, 2, None]), samples=samples)
    assert sizes["scale"].to_list() == [250, 250]
    assert sizes["absolute_cells"].to_list() == [500, 250]
    assert (sizes["absolute_low"] < sizes["absolute_cells"]).all()
    assert (sizes["absolute_cells"] < sizes["absolute_high"]).all()
    assert "total_cells" not in sizes.columns


@pytest.mark.parametrize("unit", ["volume_um3", "area_um2"])
def test_fields_of_a_sample_add_up(unit):
    samples = sheet(["m1", "m1"], **{f"sampled_{unit}": [10.0, 30.0], f"total_{unit}": [400.0, 400.0]})
    sizes = clone_sizes(called([1, 1, 2]), samples=samples)
    assert sizes["absolute_cells"].to_list() == [20, 10]


def test_without_totals_absolute_sizes_are_missing():
    assert clone_sizes(called([1]), samples=sheet())["absolute_cells"].isna().all()


def test_a_sample_without_total_is_told():
    cells = pd.concat([called([1, 1]), called([1], subject="m2")])
    samples = sheet(["m1", "m2"], total_cells=[100.0, np.nan])
    with pytest.warns(
        RgbtrackWarning, match="1 of 2 samples have no total, the first is m2, vehicle, 0, prim"
    ):
        sizes = clone_sizes(cells, samples=samples)
    assert sizes["absolute_cells"].isna().to_list() == [False, True]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"total_cells": [2.0]}, "total_cells is less than the cells counted .found 2."),
        ({"total_cells": ["many"]}, "column total_cells should hold numbers from 0 on"),
        ({"total_cells": [-5.0]}, "column total_cells should hold numbers from 0 on"),
        (
            {"sampled_volume_um3": [10.0], "total_volume_um3": [5.0]},
            "total_volume_um3 is less than what was imaged",
        ),
    ],
)
def test_totals_that_cannot_be(more, match):
    with pytest.raises(DataError, match=match):
        clone_sizes(called([1, 1, 2]), samples=sheet(**more))


def test_two_totals_of_one_sample():
    with pytest.raises(
        DataError, match="total_cells of sample m1, vehicle, 0, primary is 50 and 60: give one"
    ):
        clone_sizes(called([1]), samples=sheet(["m1", "m1"], total_cells=[50.0, 60.0]))


def test_absolute_intervals_cover_as_stated_and_close_where_all_was_counted():
    rng = np.random.default_rng(1)
    for whole, scale in ((4000, 10.0), (60, 2.0)):
        n = rng.hypergeometric(whole, 1_000_000, round((whole + 1_000_000) / scale), 3000)
        low, high = absolute_interval(n, np.full(3000, scale), 0.95)
        assert 0.92 < np.mean((low <= whole) & (whole <= high)) < 0.98
    low, high = absolute_interval(np.array([7]), np.array([1.0]), 0.95)
    assert (low[0], high[0]) == (7, 7)


def test_sure_calls_are_left_alone():
    cells = called([1] * 30 + [2] * 10 + [None] * 3)
    sizes = clone_sizes(cells, rehearsed=rehearsed([(1, 0), (0, 1)]))
    assert sizes["expected_cells"].to_list() == pytest.approx([30, 10], abs=1)


def test_unfolding_gives_back_what_was_called_for_others():
    rng = np.random.default_rng(0)
    rates = np.array([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.0, 0.0, 1.0]])
    true = np.array([[300, 100, 20], [100, 300, 20], [390, 10, 20]])
    n = np.array([sum(rng.multinomial(m, rate) for m, rate in zip(of, rates, strict=True)) for of in true])
    confusion = read_confusion(rehearsed(rates[:2, :2]), np.array([1, 2]))
    expected, low, high = unfold(n, confusion, 0.95)
    assert np.abs(expected - true[:, :2]).sum() < np.abs(n[:, :2] - true[:, :2]).sum()
    assert ((low <= true[:, :2]) & (true[:, :2] <= high)).all()
    again = unfold(n, confusion, 0.95)
    np.testing.assert_array_equal(expected, again[0])


def test_a_clone_that_is_called_for_another_has_no_expected_size():
    cells = called([1] * 30 + [2] * 10)
    sizes = clone_sizes(cells, rehearsed=rehearsed([(0.95, 0.05), (0.6, 0.4)])).set_index("clone")
    assert pd.isna(sizes.loc[2, "expected_cells"])
    assert sizes.loc[1, ["expected_low", "expected_cells", "expected_high"]].is_monotonic_increasing


def test_each_subject_may_have_a_rehearsal_of_its_own():
    cells = pd.concat([called([1] * 40 + [2] * 20), called([3] * 30, subject="m2")])
    told = rehearsed([(0.9, 0.1), (0.1, 0.9)]).assign(subject="m1")
    sizes = clone_sizes(cells, rehearsed=told).set_index(["subject", "clone"])["expected_cells"]
    assert sizes["m1"].notna().to_list() == [True, True, False]
    assert sizes["m2"].isna().all()


def test_a_sample_of_no_cells_is_expected_to_hold_none():
    sizes = clone_sizes(
        called([1, 1, 2]), samples=sheet(["m1", "m2"]), rehearsed=rehearsed([(0.9, 0.1), (0.1, 0.9)])
    )
    empty = sizes[sizes["subject"] == "m2"]
    assert empty["expected_cells"].to_list() == [0, 0]
    assert empty["fraction"].isna().all()


def test_no_cells_have_all_columns():
    sizes = clone_sizes(called([]), rehearsed=rehearsed([(1, 0), (0, 1)]))
    assert list(sizes.columns) == [column.name for column in CLONE_SIZES.columns]


def test_rehearsals_that_cannot_be_used():
    with pytest.raises(DataError, match="rehearsed cells lack true_clone"):
        clone_sizes(called([1]), rehearsed=called([1]))
    with pytest.raises(DataError, match="none of the 4000 rehearsed cells is of one of the 1 called clones"):
        clone_sizes(called([9]), rehearsed=rehearsed([(1, 0), (0, 1)]))
