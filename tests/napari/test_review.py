"""The window itself, on a virtual screen."""

import shutil

import numpy as np
import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def viewer(screen, finished):
    from napari_rgbtrack import open_results

    opened = open_results(finished)
    opened.window._qt_window.resize(1200, 800)
    yield opened
    opened.close()


def chooser(viewer):
    return viewer.window.dock_widgets["rgbtrack"]


def test_the_picture_shows_cells_in_their_clones_colours(viewer, settle):
    settle()
    for name in ("red", "green", "blue"):
        viewer.layers[name].visible = False
    cells = viewer.layers["cells"]
    cells.contour, cells.opacity = 0, 1.0
    settle()
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    shown = {tuple(colour) for colour in np.unique(picture.reshape(-1, 3), axis=0)}
    painted = {
        tuple(np.round(255 * np.array(rgb[:3])).astype(int))
        for k, rgb in cells.colormap.color_dict.items()
        if k
    }
    near = [
        any(max(abs(int(a) - int(b)) for a, b in zip(p, s, strict=True)) <= 2 for s in shown) for p in painted
    ]
    assert np.mean(near) > 0.7
    assert (picture.max(axis=2) > 60).mean() > 0.05


def test_stepping_through_the_images(viewer, finished):
    from napari_rgbtrack.layers import image_ids

    ids = image_ids(finished)
    panel = chooser(viewer)
    choice, buttons = panel[0], panel[1]
    assert choice.value == ids[0]
    assert not buttons[0].enabled
    buttons[1].changed.emit(True)
    assert choice.value == ids[1]
    assert viewer.layers["cells"].metadata["rgbtrack"]["image_id"] == ids[1]
    assert [layer.name for layer in viewer.layers] == ["red", "green", "blue", "cells"]
    choice.value = ids[-1]
    assert not buttons[1].enabled


def test_stepping_keeps_the_users_layers_and_what_is_hidden(viewer, finished):
    viewer.add_points([[1, 1]], name="mine")
    viewer.layers["red"].visible = False
    chooser(viewer)[1][1].changed.emit(True)
    assert [layer.name for layer in viewer.layers] == ["mine", "red", "green", "blue", "cells"]
    assert [layer.visible for layer in viewer.layers] == [True, False, True, True, True]


def test_an_image_that_cannot_be_opened_is_told_in_the_panel(screen, finished, tmp_path):
    from napari_rgbtrack import open_results
    from napari_rgbtrack.layers import image_ids

    results = shutil.copytree(finished, tmp_path / "results")
    second = image_ids(results)[1]
    (results / "labels" / f"{second}.tif").unlink()
    viewer = open_results(results)
    panel = chooser(viewer)
    panel[0].value = second
    assert list(viewer.layers) == []
    assert f"{second}.tif: no such file" in panel[2].value
    panel[1][0].changed.emit(True)
    assert [layer.name for layer in viewer.layers] == ["red", "green", "blue", "cells"]
    viewer.close()


def test_the_cell_under_the_cursor_is_described(viewer):
    from napari_rgbtrack.review import describe_cell

    cells = viewer.layers["cells"]
    row = cells.features[cells.features["clone"].notna()].iloc[0]
    inside = np.argwhere(cells.data == row["index"])
    viewer.cursor.position = tuple(inside[len(inside) // 2] * cells.scale)
    assert f"clone {int(row['clone'])}, probability" in describe_cell(viewer)
    cells.features.loc[cells.features["index"] == row["index"], "clone_probability"] = np.nan
    assert f"clone {int(row['clone'])}, decided by hand" in describe_cell(viewer)
    viewer.cursor.position = tuple(np.argwhere(cells.data == 0)[0] * cells.scale)
    assert describe_cell(viewer) == "Point at a cell"


def test_a_folder_can_be_dropped_on_napari(screen, finished):
    import napari

    viewer = napari.Viewer(show=False)
    viewer.open(finished, plugin="rgbtrack")
    assert [layer.name for layer in viewer.layers] == ["red", "green", "blue", "cells"]
    viewer.close()


def test_the_panel_needs_results(screen):
    import napari

    from napari_rgbtrack.review import image_chooser
    from rgbtrack import DataError

    viewer = napari.Viewer(show=False)
    with pytest.raises(DataError, match="no results of rgbtrack are open"):
        image_chooser(viewer)
    viewer.close()
