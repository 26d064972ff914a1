import numpy as np
import pandas as pd
import pytest

from napari_rgbtrack.tracks import tracks_layer, tracks_table
from rgbtrack import DataError
from rgbtrack.files import match_tracks
from rgbtrack.tables import check_tracks

CELLS = pd.DataFrame(
    [
        (0, 1, 1, None),
        (1, 1, 1, None),
        (2, 1, 2, 1),
        (2, 2, 3, 1),
        (3, 1, 2, 1),
        (3, 2, 3, 1),
        (0, 2, 7, None),
    ],
    columns=["frame", "cell", "track", "parent"],
).assign(image_id="a", y_um=lambda t: 10.0 * t["cell"], x_um=lambda t: 2.0 * t["frame"])
CELLS = CELLS.assign(
    parent=CELLS["parent"].astype("Int64"),
    clone=pd.array([1, 1, 1, 1, 1, 1, None], dtype="Int64"),
    link_probability=[np.nan, 0.9, 0.8, 0.8, 0.9, 0.9, np.nan],
    area_um2=20.0,
)
PIXEL = 0.5


def same(table):
    tracked = check_tracks(table).set_index(["frame", "cell"])[["track", "parent", "tree"]].sort_index()
    mine = check_tracks(CELLS).set_index(["frame", "cell"])[["track", "parent", "tree"]].sort_index()
    return tracked.fillna(0).astype(int).equals(mine.fillna(0).astype(int))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_napari_takes_the_layer_and_gives_it_back(dimensions):
    components = pytest.importorskip("napari.components")
    layers = pytest.importorskip("napari.layers")
    cells = CELLS.assign(z_um=3.0 * CELLS["cell"]) if dimensions == 3 else CELLS
    data, settings, kind = tracks_layer(cells, pixel_size_um=PIXEL, z_step_um=1.5)
    assert kind == "tracks"
    viewer = components.ViewerModel()
    viewer.add_layer(layers.Layer.create(data, settings, kind))
    layer = viewer.layers["tracks"]
    assert layer.data.shape == (7, 4 if dimensions == 2 else 5)
    assert layer.graph == {2: [1], 3: [1]}
    assert layer.color_by == "clone"
    back = tracks_table(
        layer.data, layer.graph, layer.features, image_id="a", pixel_size_um=PIXEL, z_step_um=1.5
    )
    assert same(match_tracks(back, cells.drop(columns=["track", "parent"])))
    by_place = tracks_table(layer.data, layer.graph, image_id="a", pixel_size_um=PIXEL, z_step_um=1.5)
    assert "cell" not in by_place
    assert same(match_tracks(by_place, cells.drop(columns=["track", "parent"])))


def test_pixels_and_frames_are_counted_as_in_the_image():
    data, _, _ = tracks_layer(CELLS, pixel_size_um=PIXEL)
    np.testing.assert_allclose(data[1], [1, 1, 20, 4])


def test_probabilities_come_back():
    data, settings, _ = tracks_layer(CELLS)
    back = tracks_table(data, settings["graph"], settings["features"], image_id="a")
    assert back["link_probability"].isna().sum() == 2


def test_no_tracks_are_an_empty_layer():
    data, settings, _ = tracks_layer(CELLS[:0])
    assert data.shape == (0, 4)
    assert settings["graph"] == {}


def test_what_is_no_tracks_layer_is_refused():
    data, _, _ = tracks_layer(CELLS)
    with pytest.raises(DataError, match="data have shape"):
        tracks_table(data[:, :3], image_id="a")
    with pytest.raises(DataError, match="track 2 has 2 mothers"):
        tracks_table(data, {2: [1, 7]}, image_id="a")
    with pytest.raises(DataError, match="not whole numbers"):
        tracks_table(data + 0.5, image_id="a")
    with pytest.raises(DataError, match="begin before their parent ends"):
        tracks_table(data, {7: [1]}, image_id="a")
    with pytest.raises(DataError, match="cells are of 2 images"):
        tracks_layer(pd.concat([CELLS, CELLS.assign(image_id="b")]))
