from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rgbtrack import ClonesParams, DataError, fit_clones
from rgbtrack.clones import CloneModel, SubjectModels, rehearse_calls
from rgbtrack.clones.junk import fit_junk
from rgbtrack.clones.model import UNLIKE, UNMARKED

RGB = ("red", "green", "blue")
FAR = [[900.0, 100, 0], [0, 800, 200], [300, 0, 700]]


def planted(colours, n=1500, *, seed=0, gains=None, unmarked=0.1) -> tuple[pd.DataFrame, CloneModel]:
    """Cells of some clones, equally many, and the model that made them; images "a" and "b" if gains are."""
    rng = np.random.default_rng(seed)
    colours = np.asarray(colours, dtype=float)
    k, d = colours.shape
    truth = rng.integers(k, size=n)
    light = colours[truth] * np.exp(0.3 * rng.normal(size=(n, 1)) + 0.1 * rng.normal(size=(n, d)))
    light[rng.random(n) < unmarked] = 0
    image = rng.integers(2, size=n)
    steady = np.zeros(d)
    logs = {"a": steady, "b": steady if gains is None else np.log(gains)}
    light *= np.exp(np.stack(list(logs.values())))[image]
    se = np.sqrt(light / 20 + 100)
    x = light + se * rng.normal(size=(n, d))
    table = pd.DataFrame({"image_id": np.array(["a", "b"])[image], "frame": 0, "cell": np.arange(1, n + 1)})
    for j, name in enumerate(RGB[:d]):
        table[name], table[f"{name}_se"] = x[:, j], se[:, j]
    noise = np.zeros((n, d, d))
    noise[:, range(d), range(d)] = se**2
    return table, CloneModel(
        markers=RGB[:d],
        colours=colours,
        weights=np.full(k, (0.99 - unmarked) / k),
        spread_colour=0.1,
        spread_brightness=0.3,
        unmarked_weight=max(unmarked, 1e-3),
        junk_weight=0.01,
        gain_column="image_id",
        gains=logs,
        gains_se={"a": steady, "b": steady},
        leaks={"a": np.zeros((d, d)), "b": np.zeros((d, d))},
        error_scale=np.ones(d),
        min_probability=0.5,
        junk=fit_junk(x, noise, 0),
    )


def right(rehearsed: pd.DataFrame) -> np.ndarray:
    """Whether each call is for the cell's own clone, and the cell of its main founder."""
    same = (rehearsed["clone"] == rehearsed["true_clone"]).to_numpy(bool, na_value=False)
    return same & rehearsed["main_founder"].to_numpy(bool)


def test_drawn_cells_are_like_the_real_ones():
    table, model = planted(FAR)
    rehearsed = rehearse_calls(table, model, 12_000)
    assert len(rehearsed) == 12_000
    share = rehearsed["true_clone"].value_counts(normalize=True, dropna=False)
    assert share.loc[[1, 2, 3]].to_numpy() == pytest.approx(0.3, abs=0.03)
    reason = rehearsed["true_reason"].value_counts() / len(rehearsed)
    assert reason[UNMARKED] == pytest.approx(0.1, abs=0.02)
    assert reason[UNLIKE] < 0.03
    factor = np.exp((0.3**2 + 0.1**2) / 2)
    for number, colour in enumerate(FAR, start=1):
        own = rehearsed.loc[rehearsed["true_clone"] == number, list(RGB)]
        np.testing.assert_allclose(own.mean(), np.array(colour) * factor, atol=25)
        log = np.log(own.iloc[:, int(np.argmax(colour))])
        assert log.std() == pytest.approx(np.hypot(0.3, 0.1), abs=0.04)


def test_cells_of_clones_far_apart_come_back_and_unmarked_ones_stay_out():
    table, model = planted(FAR)
    rehearsed = rehearse_calls(table, model, 5000)
    marked = rehearsed["true_clone"].notna()
    assert right(rehearsed[marked]).mean() > 0.98
    unmarked = rehearsed["true_reason"] == UNMARKED
    assert (rehearsed.loc[unmarked, "unassigned_reason"] == UNMARKED).mean() > 0.95


def test_clones_of_nearly_one_colour_are_confused_and_probabilities_say_so():
    table, model = planted([[900.0, 300, 100], [900, 250, 100], [0, 100, 800]], unmarked=0.0)
    rehearsed = rehearse_calls(table, model.at_least(0.0), 20_000)
    pairs = pd.crosstab(rehearsed["true_clone"], rehearsed["clone"], normalize="index")
    assert 0.05 < pairs.loc[1, 2] < 0.5
    assert pairs.loc[3, 3] > 0.99
    called = rehearsed[rehearsed["clone"].isin([1, 2])]
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        bin_ = called[called["clone_probability"].between(low, high, inclusive="left")]
        assert len(bin_) > 500
        assert right(bin_).mean() == pytest.approx(bin_["clone_probability"].mean(), abs=0.05)


def test_cells_of_further_founders_count_as_wrong():
    table, model = planted(FAR, unmarked=0.0)
    shared = replace(model, main_share=np.array([1.0, 0.6, 1.0]))
    rehearsed = rehearse_calls(table, shared, 6000)
    main = rehearsed.groupby("true_clone")["main_founder"].mean()
    assert main[1] == main[3] == 1
    assert main[2] == pytest.approx(0.6, abs=0.04)
    of_two = rehearsed[rehearsed["clone"] == 2]
    assert right(of_two).mean() == pytest.approx(of_two["clone_probability"].mean(), abs=0.05)


def test_a_cell_is_read_by_the_detector_of_its_image():
    gain = 1.6
    table, model = planted(FAR, gains=[1.0, gain, 1.0], unmarked=0.0)
    greens = []
    for image in ("a", "b"):
        rehearsed = rehearse_calls(table[table["image_id"] == image], model, 4000)
        assert right(rehearsed).mean() > 0.95
        greens.append(rehearsed.loc[rehearsed["true_clone"] == 2, "green"].median())
    assert greens[1] / greens[0] == pytest.approx(gain, rel=0.06)


def test_doublets_and_cells_without_a_measure_are_not_drawn():
    table, model = planted(FAR, unmarked=0.0)
    table["doublet"] = (table["green"] > 250) | (table["blue"] > 120)
    table.loc[::2, "green"] = np.nan
    rehearsed = rehearse_calls(table, model, 300)
    assert len(rehearsed) == 300
    assert set(rehearsed["true_clone"].dropna()) == {1}
    assert (rehearsed["unassigned_reason"] != "doublet").fillna(value=True).all()
    nothing = rehearse_calls(table.assign(green=np.nan), model, 300)
    assert nothing.empty
    assert list(nothing.columns) == list(rehearsed.columns)


def test_the_same_seed_draws_the_same_cells_whatever_the_order_of_columns():
    table, model = planted(FAR, 400)
    first = rehearse_calls(table, model, 500, seed=3)
    pd.testing.assert_frame_equal(first, rehearse_calls(table[table.columns[::-1]], model, 500, seed=3))
    assert not first["red"].equals(rehearse_calls(table, model, 500, seed=4)["red"])


def test_each_subject_rehearses_its_own_clones():
    table, model = planted(FAR, 900, unmarked=0.0)
    other, _ = planted(FAR, 300, seed=1, unmarked=0.0)
    both = pd.concat([table.assign(subject="m1"), other.assign(subject="m2")], ignore_index=True)
    models = {"m1": model, "m2": replace(model, numbers=np.array([4, 5, 6]))}
    rehearsed = rehearse_calls(both, SubjectModels(RGB, models), 1200)
    assert dict(rehearsed["subject"].value_counts()) == {"m1": 900, "m2": 300}
    assert set(rehearsed.loc[rehearsed["subject"] == "m1", "true_clone"].dropna()) == {1, 2, 3}
    assert set(rehearsed.loc[rehearsed["subject"] == "m2", "clone"].dropna()) == {4, 5, 6}
    assert right(rehearsed).mean() > 0.95
    with pytest.raises(DataError, match="no column subject"):
        rehearse_calls(table, SubjectModels(RGB, models))


def test_plain_methods_are_rehearsed_too():
    table, _ = planted(FAR, 600)
    model = fit_clones(table, ClonesParams(method="gmm"))
    rehearsed = rehearse_calls(table, model, 2000)
    marked = rehearsed["true_clone"].notna()
    assert right(rehearsed[marked]).mean() > 0.9


def test_a_marker_that_is_not_there_is_named():
    table, model = planted(FAR, 50)
    with pytest.raises(DataError, match="the table lacks green_se"):
        rehearse_calls(table.drop(columns="green_se"), model)


def test_without_clones_nothing_is_called():
    table, model = planted(FAR, 200)
    none = replace(model, colours=np.empty((0, 3)), weights=np.empty(0))
    rehearsed = rehearse_calls(table, none, 100)
    assert len(rehearsed) == 100
    assert rehearsed[["true_clone", "clone"]].isna().all(axis=None)
    assert set(rehearsed["true_reason"]) == {UNMARKED, UNLIKE}
    assert not rehearsed["main_founder"].any()
