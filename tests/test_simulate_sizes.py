"""Planted tables of clone sizes."""

import numpy as np
import pandas as pd
import pytest

from rgbtrack import ParamError, clone_response, simulate_sizes
from rgbtrack.tables import CLONE_SIZES

PLANTED = {"vehicle": {}, "drug": {2: 1.2, 5: -1.2}}


def test_table_is_one_of_clone_sizes():
    sizes = simulate_sizes(PLANTED, timepoints=(0, 7), subjects=3, clones=6)
    CLONE_SIZES.check(sizes)
    assert len(sizes) == 2 * 3 * 2 * 6
    assert sizes["subject"].nunique() == 6
    assert sizes.groupby("subject")["treatment"].nunique().eq(1).all()
    assert np.allclose(sizes.groupby(["subject", "timepoint"])["fraction"].sum(), 1)
    assert (
        (sizes["fraction_low"] <= sizes["fraction"]) & (sizes["fraction"] <= sizes["fraction_high"])
    ).all()


def test_same_seed_same_table():
    pd.testing.assert_frame_equal(simulate_sizes(PLANTED, seed=4), simulate_sizes(PLANTED, seed=4))
    assert not simulate_sizes(PLANTED, seed=4)["n_cells"].equals(simulate_sizes(PLANTED, seed=5)["n_cells"])


def test_planted_fold_is_there():
    sizes = simulate_sizes(PLANTED, subjects=200, clones=6, scatter=0.1, cells=5000)
    share = sizes.pivot_table(index="clone", columns="treatment", values="fraction")
    log2 = np.log2(share["drug"] / share["vehicle"])
    unchanged = log2[[1, 3, 4, 6]]
    assert np.ptp(unchanged) < 0.1
    assert log2[2] - unchanged.mean() == pytest.approx(1.2, abs=0.05)
    assert log2[5] - unchanged.mean() == pytest.approx(-1.2, abs=0.05)


def test_scatter_is_between_subjects_and_drift_within():
    sizes = simulate_sizes(
        {"vehicle": {}}, subjects=300, timepoints=(0, 7), scatter=0.5, drift=0.2, cells=1e6
    )
    first, last = (np.log(sizes.loc[sizes["timepoint"] == day, "n_cells"].to_numpy()) for day in (0, 7))
    first, last = first.reshape(300, -1), last.reshape(300, -1)
    # of two clones, so that the total cancels: sqrt(2) times the sd of one
    assert np.diff(first, axis=1).std(axis=0).mean() == pytest.approx(2**0.5 * np.hypot(0.5, 0.2), rel=0.05)
    assert np.diff(last - first, axis=1).std(axis=0).mean() == pytest.approx(2 * 0.2, rel=0.05)


def test_effects_begin_after_the_event():
    sizes = simulate_sizes(PLANTED, timepoints=(0, 7, 14), event_time=7)
    hit = sizes[(sizes["treatment"] == "drug") & (sizes["clone"] == 2)].groupby("timepoint")["true_effect"]
    assert hit.first().to_dict() == {0: 0.0, 7: 0.0, 14: 1.2}


def test_factors_make_columns():
    arms = {("vehicle", "none"): {}, ("drug", "none"): {1: 1.5}, ("vehicle", "ICI"): {}, ("drug", "ICI"): {}}
    sizes = simulate_sizes(arms, factors=("treatment", "inhibitor"), clones=8)
    assert sizes.groupby(["treatment", "inhibitor"])["subject"].nunique().eq(5).all()
    control = {"treatment": "vehicle", "inhibitor": "none"}
    response = clone_response(sizes, control=control).set_index(["treatment", "clone"])
    assert response["effect"]["drug", 1] > 0.8
    assert response["effect"]["drug : inhibitor ICI", 1] < -0.8


def test_empty_sample_has_no_fraction():
    sizes = simulate_sizes(cells=0.3, subjects=6, clones=3)
    empty = sizes.groupby("subject")["n_cells"].transform("sum") == 0
    assert empty.any()
    assert sizes["fraction"].isna().equals(empty)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"effects": {}}, "effects name no arm"),
        ({"effects": {"drug": {99: 1.0}}}, "effect on clone 99: clones are 1 to 15"),
        ({"effects": {("drug", "none"): {}}}, "arm drug / none names 2 factors, there are 1"),
        ({"factors": ("inhibitor",)}, "the first is treatment"),
        ({"subjects": 0}, "subjects is 0: give 1 or more"),
        ({"clones": 1}, "clones is 1: give 2 or more"),
        ({"timepoints": (7, 7)}, r"timepoints are \[7, 7\]: give different days"),
        ({"scatter": -0.1}, "give numbers from 0 on"),
        ({"cells": 0}, "cells is 0: give a positive number"),
    ],
)
def test_refused(settings, said):
    with pytest.raises(ParamError, match=said):
        simulate_sizes(**settings)
