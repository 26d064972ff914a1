"""From a results folder to layers, without a window."""

import shutil

import numpy as np
import pytest
import tifffile

from rgbtrack import DataError, RgbtrackWarning, run, simulate_experiment
from rgbtrack.files import read_json, read_labels, read_table, write_json
from rgbtrack.plot import clone_colours
from rgbtrack.simulate import PRESETS

layers = pytest.importorskip("napari_rgbtrack.layers")
reader = pytest.importorskip("napari_rgbtrack.reader")


@pytest.fixture
def results(finished, tmp_path):
    """A copy of the small experiment's results."""
    return shutil.copytree(finished, tmp_path / "results")


def by_name(made):
    return {settings["name"]: (data, settings, kind) for data, settings, kind in made}


def test_channels_and_cells_of_the_first_image(finished):
    made = by_name(layers.image_layers(finished))
    assert [(name, kind) for name, (_, _, kind) in made.items()] == [
        ("red", "image"),
        ("green", "image"),
        ("blue", "image"),
        ("cells", "labels"),
    ]
    for name, (data, settings, _) in made.items():
        assert data.shape == (160, 160)
        assert settings["scale"] == pytest.approx((0.65, 0.65))
        assert settings["units"] == ("um", "um")
        assert settings["axis_labels"] == ("y", "x")
        assert settings.get("colormap") == name or name == "cells"


def test_cells_wear_the_colour_of_their_clone_and_tell_of_it(finished):
    name = "isoproterenol_m3_d7"
    data, settings, _ = by_name(layers.image_layers(finished, name))["cells"]
    assert np.array_equal(data, read_labels(finished / "labels" / f"{name}.tif")[0, 0])
    cells = read_table(finished / "cells.parquet")
    cells = cells[cells["image_id"] == name]
    colours = clone_colours(read_table(finished / "clones.csv"))
    features = settings["features"].set_index("index")
    assert features["clone"].to_list() == cells["clone"].to_list()
    for cell, clone in zip(cells["cell"], cells["clone"], strict=True):
        expected = layers.UNASSIGNED if np.ma.is_masked(clone) or clone != clone else colours[int(clone)]
        assert settings["colormap"].get(int(cell), layers.UNASSIGNED)[:3] == pytest.approx(expected[:3])


def test_a_cell_has_one_number_over_all_frames(tmp_path):
    params = PRESETS["timelapse"].model_copy(update={"size_px": 128, "n_frames": 3, "n_clones": 3})
    simulate_experiment(tmp_path / "made", params, subjects=1, timepoints=(0,), seed=2)
    outcome = run(tmp_path / "made", workers=1, steps=("segment", "measure", "clones"))
    made = by_name(layers.image_layers(outcome.results))
    data, settings, _ = made["cells"]
    assert data.shape == made["red"][0].shape == (3, 128, 128)
    assert settings["scale"] == pytest.approx((0.5, 0.65, 0.65))
    assert settings["axis_labels"] == ("t", "y", "x")
    seen = [set(np.unique(frame)) - {0} for frame in data]
    assert not seen[0] & seen[1]
    cells = read_table(outcome.results / "cells.parquet")
    cells = cells[cells["image_id"] == cells["image_id"].iloc[0]]
    features = settings["features"].set_index("index")
    for t in range(3):
        here = features.loc[sorted(seen[t])]
        assert here["clone"].to_list() == cells.loc[cells["frame"] == t, "clone"].to_list()


def test_volumes_keep_their_depth(tmp_path):
    params = PRESETS["volume"].model_copy(update={"size_px": 96, "n_slices": 8, "n_clones": 2})
    simulate_experiment(tmp_path / "made", params, subjects=1, timepoints=(0,), seed=2)
    outcome = run(tmp_path / "made", workers=1, steps=("segment", "measure", "clones"))
    data, settings, _ = by_name(layers.image_layers(outcome.results))["cells"]
    assert data.shape == (8, 96, 96)
    assert settings["scale"] == pytest.approx((2.0, 0.65, 0.65))


def test_projected_volumes_are_shown_as_they_were_analysed(tmp_path):
    params = PRESETS["volume"].model_copy(update={"size_px": 96, "n_slices": 8, "n_clones": 2})
    simulate_experiment(tmp_path / "made", params, subjects=1, timepoints=(0,), seed=2)
    with (tmp_path / "made" / "experiment.toml").open("a") as file:
        file.write('[segment]\nprojection = "max"\n')
    outcome = run(tmp_path / "made", workers=1, steps=("segment", "measure", "clones"))
    made = by_name(layers.image_layers(outcome.results))
    assert list(made) == ["red", "green", "blue", "cells"]
    image = next((tmp_path / "made" / "images").glob("vehicle*"))
    np.testing.assert_array_equal(made["red"][0], tifffile.imread(image)[0].max(axis=0))
    assert made["cells"][0].shape == (96, 96)
    assert made["cells"][1]["scale"] == pytest.approx((0.65, 0.65))


def test_cells_are_shown_where_the_image_is_gone(results):
    told = read_json(results / "run.json")
    told["images"]["vehicle_m1_d0"]["paths"] = ["/nowhere/image.tif"]
    write_json(results / "run.json", told)
    with pytest.warns(RgbtrackWarning, match=r"the image itself cannot be shown.*nowhere"):
        made = layers.image_layers(results)
    assert [settings["name"] for _, settings, _ in made] == ["thumbnail", "cells"]
    data, settings, _ = made[0]
    assert np.multiply(data.shape[:2], settings["scale"]) == pytest.approx((160 * 0.65, 160 * 0.65))
    (results / "thumbnails" / "vehicle_m1_d0.png").unlink()
    with pytest.warns(RgbtrackWarning, match="cannot be shown"):
        assert [settings["name"] for _, settings, _ in layers.image_layers(results)] == ["cells"]


def replace_image(results, pixels, markers):
    """Let the first image be another, with these markers."""
    path = results / "other.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "CYX"})
    told = read_json(results / "run.json")
    told["images"]["vehicle_m1_d0"]["paths"] = [str(path)]
    told["configuration"]["channels"] = {"markers": markers, "nucleus": None}
    write_json(results / "run.json", told)


@pytest.mark.parametrize(
    ("markers", "hues"),
    [
        (("red", "green"), ["red", "green"]),
        (("green", "red"), ["green", "red"]),
        (("blue", "green", "far"), ["blue", "green", "red"]),
        (tuple("abcdefg"), ["red", "green", "blue", "yellow", "magenta", "cyan", "gray"]),
    ],
)
def test_markers_have_colours_of_their_own_as_the_clones_do(results, markers, hues):
    pixels = np.random.default_rng(0).poisson(100, (len(markers), 160, 160)).astype(np.uint16)
    replace_image(results, pixels, {name: c for c, name in enumerate(markers)})
    made = layers.image_layers(results)[:-1]
    assert [settings["name"] for _, settings, _ in made] == list(markers)
    colours = [settings["colormap"] for _, settings, _ in made]
    assert colours == hues


@pytest.mark.parametrize("part", [0.25, 1.0])
def test_pixels_without_a_value_leave_the_contrast_alone(results, part):
    pixels = np.random.default_rng(0).normal(100, 5, (3, 160, 160)).astype(np.float32)
    pixels[:, : int(160 * part)] = np.nan
    replace_image(results, pixels, {"red": 0, "green": 1, "blue": 2})
    for _, settings, _ in layers.image_layers(results)[:-1]:
        low, high = settings["contrast_limits"]
        assert np.isfinite([low, high]).all()
        assert low < high


def test_the_folder_around_results_is_answered_with_the_results(results):
    around = results.rename(results.parent / "made").parent
    (around / "made").rename(around / "results")
    with pytest.raises(DataError, match=f"give the folder that a run wrote, {around / 'results'}"):
        layers.image_layers(around)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no results of rgbtrack"):
        layers.image_layers(tmp_path)
    assert reader.get_reader(str(tmp_path)) is None
    assert reader.get_reader([str(tmp_path)]) is None


def test_a_run_json_of_something_else_is_refused(results):
    write_json(results / "run.json", {"epochs": 3})
    assert reader.get_reader(str(results)) is None
    (results / "run.json").write_text('{"images": ')
    with pytest.raises(DataError, match="not readable as JSON"):
        layers.image_layers(results)


def test_an_unknown_image_names_those_there_are(finished):
    with pytest.raises(DataError, match=r"no processed image is named 'gone'.*vehicle_m1_d0"):
        layers.image_layers(finished, "gone")


def test_results_without_an_image_say_so(results):
    told = read_json(results / "run.json")
    for record in told["images"].values():
        record["status"] = "failed"
    write_json(results / "run.json", told)
    with pytest.raises(DataError, match="no image was processed"):
        layers.image_layers(results)


@pytest.mark.parametrize("part", ["", "run.json"])
def test_the_reader_takes_the_folder_or_its_run_json(finished, part):
    read = reader.get_reader(str(finished / part))
    assert len(read(str(finished))) == 4


def test_the_manifest_is_valid_and_every_command_is_there():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_distribution("rgbtrack")
    manifest.validate_imports()
    assert manifest.contributions.readers[0].accepts_directories
