"""Settings tried on a part of an image, and shown as layers, without a window."""

import shutil

import numpy as np
import pytest
import tifffile

from rgbtrack import DataError, ParamError
from rgbtrack.files import read_labels, read_table, write_labels

preview = pytest.importorskip("napari_rgbtrack.preview")
preview_layers = pytest.importorskip("napari_rgbtrack.preview_layers")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

NAME = "vehicle_m1_d0"


@pytest.fixture
def place(small_experiment, finished):
    return preview.Place(small_experiment / "experiment.toml", finished, NAME, 0, (80.0, 80.0))


@pytest.fixture
def fresh(small_experiment, tmp_path):
    """A place in an experiment that was not run yet, whose files may be changed."""
    folder = shutil.copytree(small_experiment, tmp_path / "made")
    return preview.Place(folder / "experiment.toml", folder / "results", NAME, 0, (80.0, 80.0))


def test_as_it_is_it_finds_what_the_run_found(place, finished):
    tried = preview.try_image(place, {})
    np.testing.assert_array_equal(tried.labels, read_labels(finished / "labels" / f"{NAME}.tif")[0])
    n = int(tried.labels.max())
    assert tried.words.startswith(f"{n} cells in 160 x 160 pixels, typical diameter ")
    assert "median SNR" in tried.words
    assert tried.corrected is None
    assert f"{len(tried.set_aside)} objects set aside:" in tried.words


def test_settings_are_tried_and_corrected_pixels_come_where_asked_for(place):
    strict = preview.try_image(place, {"segment": {"min_snr": 400.0}}, pixels=True)
    assert strict.labels.max() < preview.try_image(place, {}).labels.max()
    assert strict.corrected.shape == (3, 1, 160, 160)
    assert np.median(strict.corrected) < 30  # the camera's offset of 100 is gone


def test_mistakes_are_told_as_of_the_file(place):
    with pytest.raises(ParamError, match=r"\[segment\] diameter_um is -1: give more than 0"):
        preview.try_image(place, {"segment": {"diameter_um": -1}})
    with pytest.raises(ParamError, match=r"bleed_through: .*gone.csv"):
        preview.try_image(place, {"correct": {"bleed_through": "gone.csv"}})
    gone = preview.Place(place.experiment, place.results, "gone")
    with pytest.raises(DataError, match="gone is no longer in the sample sheet"):
        preview.try_image(gone, {})
    late = preview.Place(place.experiment, place.results, NAME, 3)
    with pytest.raises(DataError, match="has 1 frames: there is no frame 3"):
        preview.try_image(late, {})


def test_what_takes_all_images_is_left_to_the_run(fresh):
    words = preview.try_image(fresh, {"correct": {"bleed_through": "auto"}}).words
    assert (
        "left to the run, which sees all images: bleed-through, illumination, shifts between channels"
        in words
    )


def test_a_flat_field_is_cut_to_the_part(fresh, monkeypatch):
    monkeypatch.setattr(preview, "SIDE_PX", 64)
    flat = np.linspace(0.5, 1.5, 160)[:, None] * np.ones((160, 160))
    tifffile.imwrite(fresh.experiment.parent / "flat.tif", flat.astype(np.float32))
    plain = preview.try_image(fresh, {"correct": {"flat_field": "none"}}, pixels=True)
    evened = preview.try_image(fresh, {"correct": {"flat_field": "flat.tif"}}, pixels=True)
    assert plain.origin_px == (48, 48)
    assert plain.corrected.shape == evened.corrected.shape == (3, 1, 64, 64)
    assert evened.corrected[:, :, :8].max() > 1.1 * plain.corrected[:, :, :8].max()


def test_ready_made_masks_are_shown_as_they_are(fresh):
    folder = fresh.experiment.parent
    masks = np.zeros((1, 1, 160, 160), np.uint32)
    masks[0, 0, 20:40, 20:40] = 7
    write_labels(folder / "masks.tif", masks)
    sheet = read_table(folder / "samples.csv")
    sheet["labels"] = ["masks.tif" if NAME in str(image) else "" for image in sheet["image"]]
    sheet.to_csv(folder / "samples.csv", index=False)
    tried = preview.try_image(fresh, {})
    assert set(np.unique(tried.labels)) == {0, 7}
    assert tried.words.startswith("1 cells") or tried.words.startswith("1 cell ")


def test_clones_are_tried_on_the_cells_of_the_last_run(place, finished):
    tried = preview.try_clones(place, {})
    cells = read_table(finished / "cells.parquet")
    assert f"in {len(cells):,} cells of the last run" in tried.words
    assert "largest: " in tried.words
    own = cells[(cells["image_id"] == NAME) & cells["clone"].notna()]
    assert len(set(tried.clones) & set(own["cell"])) > 0.9 * len(own)
    few = preview.try_clones(place, {"clones": {"max_clones": 1}})
    assert few.words.startswith("1 clone")
    assert len(set(few.clones.values())) == 1


def test_many_cells_are_thinned_but_those_in_view(place, monkeypatch):
    whole = preview.try_clones(place, {})
    monkeypatch.setattr(preview, "MOST_CELLS", 100)
    thin = preview.try_clones(place, {})
    assert "one in " in thin.words
    assert len(thin.clones) > 0.8 * len(whole.clones)


def test_before_a_run_clones_are_tried_on_the_cells_in_view(fresh):
    tried = preview.try_clones(fresh, {"clones": {"palette": "subject"}})
    assert "cells in view; a run has more to go by" in tried.words
    assert set(tried.clones) <= set(range(1, int(tried.labels.max()) + 1))
    with pytest.raises(DataError, match="no cells were found to try clones on"):
        preview.try_clones(fresh, {"segment": {"min_snr": 1e6}})


@pytest.fixture
def viewer(small_experiment):
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_rgbtrack.opened import experiment_layers

    made = ViewerModel()
    for data in experiment_layers(small_experiment):
        made.add_layer(Layer.create(*data))
    return made


def test_outlines_lie_on_the_image_and_are_renewed_in_place(viewer):
    labels = np.zeros((1, 40, 40), np.uint32)
    labels[0, 5:10, 5:10] = 1
    aside = preview_layers.NOTHING.copy()
    aside.loc[0] = [0.0, 3.0, 4.0, "debris"]
    channels = list(viewer.layers)
    tried = preview.Tried(labels, (100, 20), "", set_aside=aside)
    preview_layers.show_layers(viewer, preview_layers.tried_layers(tried, channels))
    cells, crosses = viewer.layers["cells tried"], viewer.layers["set aside"]
    np.testing.assert_allclose(cells.translate, [65.0, 13.0])
    np.testing.assert_allclose(cells.scale, channels[0].scale)
    assert (cells.contour, cells.editable) == (1, False)
    assert crosses.features["reason"].tolist() == ["debris"]
    crosses.visible = False
    coloured = preview.Tried(labels[:, :30], (0, 0), "", clones={1: (1.0, 0.0, 0.0)})
    preview_layers.show_layers(viewer, preview_layers.tried_layers(coloured, channels))
    assert viewer.layers["cells tried"] is cells
    assert (cells.contour, cells.data.shape) == (0, (30, 40))
    np.testing.assert_allclose(cells.get_color(1), [1, 0, 0, 1])
    np.testing.assert_allclose(cells.translate, 0)
    assert not crosses.visible
    assert len(crosses.data) == 0


def test_another_image_takes_the_place_of_the_channels_alone(viewer, small_experiment):
    from napari_rgbtrack.opened import experiment_layers

    mine = viewer.add_points([[1, 1]], name="mine")
    red = viewer.layers["red"]
    labels = np.ones((1, 40, 40), np.uint32)
    tried = preview.Tried(labels, (0, 0), "")
    preview_layers.show_layers(viewer, preview_layers.tried_layers(tried, list(viewer.layers)[:3]))
    red.visible = False
    other = experiment_layers(small_experiment, "isoproterenol_m3_d7")
    preview_layers.show_channels(viewer, other)
    assert viewer.layers["red"] is red
    assert not red.visible
    assert red.metadata["rgbtrack"]["image_id"] == "isoproterenol_m3_d7"
    np.testing.assert_array_equal(red.data, other[0][0])
    assert not viewer.layers["cells tried"].data.any()
    assert mine in viewer.layers
