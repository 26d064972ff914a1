import numpy as np
import pandas as pd
import pytest

from rgbtrack import (
    ParamError,
    SimulateParams,
    read_experiment,
    read_stack,
    simulate_experiment,
    simulate_scene,
)
from rgbtrack.files import read_labels, read_table
from rgbtrack.simulate import CASES, PRESETS, simulate_founders


@pytest.mark.parametrize("name", [*PRESETS, *CASES])
def test_every_preset_and_case_gives_an_image_and_its_truth(name):
    params = (PRESETS | CASES)[name]
    params = params.model_copy(update={"size_px": min(params.size_px, 160)})
    scene = simulate_scene(params, seed=1)
    shape = scene.stack.pixels.shape
    assert shape == (params.n_frames, 3, params.n_slices, params.size_px, params.size_px)
    assert scene.labels.shape == (shape[0], *shape[2:])
    for frame, labels in enumerate(scene.labels):
        cells = scene.cells.loc[scene.cells["frame"] == frame, "cell"]
        assert sorted(cells) == sorted(set(np.unique(labels)) - {0})


def test_the_seed_alone_decides():
    first, second, other = (simulate_scene("sample", seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(first.stack.pixels, second.stack.pixels)
    pd.testing.assert_frame_equal(first.cells, second.cells)
    assert not np.array_equal(first.stack.pixels, other.stack.pixels)


@pytest.mark.parametrize("packing", [0.2, 0.5, 0.9])
def test_cells_cover_what_is_asked_for(packing):
    scene = simulate_scene(SimulateParams(packing=packing, size_px=320), seed=2)
    assert (scene.labels > 0).mean() == pytest.approx(packing, abs=0.04)


def test_founders_carry_vectors_by_chance():
    rng = np.random.default_rng(0)
    founders = simulate_founders(SimulateParams(n_clones=4000, share_marked=0.5), rng)
    carried = founders[["mCherry", "Venus", "Cerulean"]].to_numpy() > 0
    # of all founders half carry each vector; an eighth carries none and is drawn again
    assert carried.mean() == pytest.approx(0.5 / (1 - 1 / 8), abs=0.02)
    assert (carried.sum(1) == 1).mean() == pytest.approx(3 / 7, abs=0.03)
    assert founders["share"].sum() == pytest.approx(1)


def test_photons_noise_and_offset_are_as_declared():
    params = SimulateParams(n_cells=0, debris=0, vignetting=0, gradient=0, background=20.0, read_noise=1.5)
    pixels = simulate_scene(params, seed=0).stack.pixels[0, 0, 0].astype(float)
    assert pixels.mean() == pytest.approx(100 + 2 * 20, abs=0.3)
    assert pixels.var() == pytest.approx(4 * (20 + 1.5**2), rel=0.03)


def test_bleed_through_shows_in_the_other_detector():
    params = SimulateParams(founders=((0, 0, 1),), unmarked=0, background=0, n_cells=1, debris=0)
    scene = simulate_scene(params, seed=0)
    light = (scene.stack.pixels[0, :, 0].astype(float) - 100)[:, scene.labels[0, 0] > 0].sum(1)
    assert light[1] / light[2] == pytest.approx(scene.bleed_through.loc["Venus", "Cerulean"], rel=0.03)


def test_each_marker_bleaches_at_its_own_rate_and_takes_its_leak_along():
    params = SimulateParams(
        founders=((1, 0, 1),),
        unmarked=0,
        background=0,
        debris=0,
        n_cells=1,
        n_frames=3,
        step_um=0,
        marker_bleaching=(0.0, 0.0, 0.4),
        size_px=64,
    )
    scene = simulate_scene(params, seed=0)
    inside = scene.labels[0, 0] > 0
    light = (scene.stack.pixels[:, :, 0].astype(float) - 100)[:, :, inside].sum(2)  # (t, c)
    assert light[:, 2] / light[:, 0] == pytest.approx(
        np.array([1, 0.6, 0.36]) * light[0, 2] / light[0, 0], rel=0.03
    )
    leak = scene.bleed_through.loc["Venus", "Cerulean"]
    rest = light[:, 1] - leak * light[:, 2]  # what the other marker leaks does not bleach
    assert rest / light[:, 0] == pytest.approx(np.full(3, rest[0] / light[0, 0]), abs=0.01)
    unset = simulate_scene(params.model_copy(update={"marker_bleaching": (0.0, 0.0, 0.0)}), seed=0)
    same = simulate_scene(params.model_copy(update={"marker_bleaching": None}), seed=0)
    assert np.array_equal(unset.stack.pixels, same.stack.pixels)


def test_a_detector_saturates():
    pixels = simulate_scene("saturated_clone", seed=0).stack.pixels
    assert pixels.max() == 2**12 - 1


def test_an_experiment_can_be_read_back(tmp_path):
    small = PRESETS["sample"].model_copy(update={"size_px": 96})
    path = simulate_experiment(tmp_path / "made", small, subjects=2, timepoints=(0, 5), seed=1)
    experiment = read_experiment(path)
    assert len(experiment.samples) == 2 * 2 * 2
    assert experiment.control == "vehicle"
    stack = read_stack(experiment.images[0])
    assert stack.channels == ("mCherry", "Venus", "Cerulean")
    assert stack.pixel_size_um == pytest.approx(0.65)
    truth = read_table(tmp_path / "made" / "truth" / "cells.csv")
    labels = read_labels(tmp_path / "made" / "truth" / "labels" / f"{experiment.samples['image_id'][0]}.tif")
    here = truth["image_id"] == experiment.samples["image_id"][0]
    assert sorted(truth.loc[here, "cell"]) == sorted(set(np.unique(labels)) - {0})


def test_treatment_raises_the_clones_that_respond(tmp_path):
    small = PRESETS["sample"].model_copy(update={"size_px": 200, "n_clones": 6})
    options = {"subjects": 3, "timepoints": (0, 10), "effect": 20.0, "concentration": 1e4, "growth_sd": 0.0}
    simulate_experiment(tmp_path / "made", small, seed=3, **options)
    sizes = read_table(tmp_path / "made" / "truth" / "clone_sizes.csv")
    founders = read_table(tmp_path / "made" / "truth" / "founders.csv")
    responding = founders.loc[founders["responds"], "clone"]
    late = sizes[(sizes["timepoint"] == 10) & sizes["clone"].isin(responding)]
    share = late.groupby(["treatment", "subject"])["true_share"].sum().groupby("treatment").mean()
    assert share["isoproterenol"] > 1.3 * share["vehicle"]


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(ParamError, match=r"no preset is named 'sprase'.*sparse"):
        simulate_scene("sprase")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"markers": ("GFP",)}, "2 to 7 different names"),
        ({"founders": ((1.0, 0.0),)}, "founders must give 3 values"),
        ({"gains": (1.0,)}, "give 3, one per marker"),
        ({"marker_bleaching": (0.1, 0.1)}, "marker_bleaching is .* give 3 shares"),
        ({"marker_bleaching": (0.1, 0.1, 1.0)}, "from 0 to below 1"),
        ({"shares": (0.5, 0.5)}, "2 numbers for 12 clones"),
    ],
)
def test_settings_that_disagree_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SimulateParams(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subjects": 0}, "subjects is 0"),
        ({"timepoints": (0, 0)}, "give different days"),
        ({"effect": 0.0}, "effect is 0"),
    ],
)
def test_numbers_that_make_no_experiment_are_refused(tmp_path, settings, message):
    with pytest.raises(ParamError, match=message):
        simulate_experiment(tmp_path / "made", **settings)
    assert not (tmp_path / "made").exists()


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ParamError, match="is not empty"):
        simulate_experiment(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
