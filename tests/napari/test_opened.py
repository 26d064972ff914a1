"""Experiments dropped on napari, sample data and the manifest, without a window."""

import shutil

import numpy as np
import pytest

from rgbtrack import DataError, ParamError, read_experiment

opened = pytest.importorskip("napari_rgbtrack.opened")
reader = pytest.importorskip("napari_rgbtrack.reader")
sample_data = pytest.importorskip("napari_rgbtrack.sample_data")


@pytest.mark.parametrize("part", ["", "experiment.toml"])
def test_an_experiment_or_its_folder_opens_the_first_image(small_experiment, part):
    read = reader.get_reader(str(small_experiment / part))
    made = read("")
    assert [(settings["name"], kind) for _, settings, kind in made] == [
        ("red", "image"),
        ("green", "image"),
        ("blue", "image"),
    ]
    for data, settings, _ in made:
        assert data.shape == (160, 160)
        told = settings["metadata"]["rgbtrack"]
        assert told["image_id"] == "vehicle_m1_d0"
        assert told["experiment"].endswith("experiment.toml")


def test_what_is_no_experiment_is_left_to_others(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "image.tif").write_bytes(b"")
    for path in (tmp_path, tmp_path / "pyproject.toml", tmp_path / "image.tif", tmp_path / "gone"):
        assert reader.get_reader(str(path)) is None


def test_an_experiment_with_mistakes_tells_them(small_experiment, tmp_path):
    folder = shutil.copytree(small_experiment, tmp_path / "made")
    (folder / "experiment.toml").write_text("[experiment]\n")
    with pytest.raises(ParamError, match=r"section \[channels\] is missing"):
        reader.get_reader(str(folder))("")
    (folder / "experiment.toml").write_text("[experiment\n")
    with pytest.raises(ParamError, match="not valid TOML"):
        reader.get_reader(str(folder))("")


def test_images_that_are_not_there_are_told(small_experiment, tmp_path):
    with pytest.raises(DataError, match=r"no image is named 'gone'; there are vehicle_m1_d0"):
        opened.experiment_layers(small_experiment, "gone")
    folder = shutil.copytree(small_experiment, tmp_path / "made")
    first = read_experiment(folder).images[0][0]
    first.write_bytes(b"torn")
    with pytest.raises(DataError, match=first.name):
        opened.experiment_layers(folder)


def test_the_simulated_field_knows_its_clones():
    made = sample_data.simulated_field()
    assert [settings["name"] for _, settings, _ in made] == ["red", "green", "blue", "true clones"]
    truth, settings, kind = made[-1]
    assert kind == "labels"
    assert truth.shape == made[0][0].shape
    assert settings["scale"] == made[0][1]["scale"]
    assert 5 <= len(np.unique(truth)) - 1 <= 12


def test_the_simulated_experiment_is_ready_to_be_set_up(monkeypatch, tmp_path):
    monkeypatch.setattr(sample_data.tempfile, "mkdtemp", lambda **_: str(tmp_path))
    made = sample_data.simulated_experiment()
    told = made[0][1]["metadata"]["rgbtrack"]
    experiment = read_experiment(told["experiment"])
    assert len(experiment.samples) == 8
    assert told["image_id"] in set(experiment.samples["image_id"])


def test_menus_and_sample_data_name_commands_that_are_there():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_distribution("rgbtrack")
    manifest.validate_imports()
    given = manifest.contributions
    assert [sample.key for sample in given.sample_data] == ["field", "experiment"]
    assert [widget.display_name for widget in given.widgets] == ["Review clones", "Set up and run"]
    commands = {command.id for command in given.commands}
    items = [item for menu in given.menus.values() for item in menu]
    assert {item.command for item in items} == {"rgbtrack.setup", "rgbtrack.review"} <= commands
