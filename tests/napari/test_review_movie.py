"""Review of a time series: the slider, tracks in clone colours, links cut and joined."""

import time
import warnings

import numpy as np
import pytest

from rgbtrack import read_review, run, simulate_experiment
from rgbtrack.plot import clone_colours
from rgbtrack.simulate import PRESETS

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def desk(screen, tmp_path_factory):
    """A window with a movie of three frames."""
    import napari

    from napari_rgbtrack.review import review_panel, show_review
    from napari_rgbtrack.state import open_review

    folder = tmp_path_factory.mktemp("movie") / "made"
    params = PRESETS["timelapse"].model_copy(update={"size_px": 128, "n_frames": 3, "n_clones": 3})
    simulate_experiment(folder, params, subjects=1, timepoints=(0,), seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = run(folder, workers=1, steps=("segment", "measure", "clones", "link")).results
    viewer = napari.Viewer()
    desk = show_review(viewer, open_review(results))
    rest(desk)
    yield desk
    review_panel(viewer).detach()
    viewer.close()


def rest(desk):
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + 60
    QApplication.processEvents()
    while not desk.is_idle and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)
    QApplication.processEvents()


def followed(desk):
    """Row of a cell of frame 1 that follows one of frame 0, and the row of that."""
    cells = desk.review.cells
    own = cells[(cells["image_id"] == desk.image_id) & cells["track"].notna()]
    tracks = own.pivot_table(index="track", columns="frame", values="cell", aggfunc="size").dropna()
    track = own[own["track"] == tracks.index[0]]
    return tuple(int(track.index[track["frame"] == t][0]) for t in (1, 0))


def test_each_frame_has_its_own_colours(desk):
    cells = next(layer for layer in desk.viewer.layers if layer.name == "cells")
    assert cells.data.shape == (3, 128, 128)
    for frame in (0, 2, 1):
        desk.viewer.dims.set_current_step(0, frame)
        rest(desk)
        assert desk.frame == frame
        rows = desk.rows_of(desk.image_id, frame)
        shown = cells.colormap.map(desk.numbers_of(rows).astype(np.uint16))
        assert shown[:, :3] == pytest.approx(desk.colouring.rgb[rows])


def test_tracks_are_a_layer(desk):
    tracks = next(layer for layer in desk.viewer.layers if layer.name == "tracks")
    own = desk.review.cells[desk.review.cells["image_id"] == desk.image_id]
    assert len(tracks.data) == own["track"].notna().sum()
    assert tracks.color_by == "clone"
    by_clone = clone_colours(desk.review.clones[["clone", "n_cells", "red", "green", "blue"]])
    numbers = tracks.features["clone"].to_numpy(int)
    wanted = np.array([by_clone.get(number, (0.6, 0.6, 0.6)) for number in numbers])
    np.testing.assert_allclose(tracks.track_colors[:, :3], wanted, atol=1e-5)


def test_a_link_is_cut_joined_again_and_undone(desk):
    later, earlier = followed(desk)
    then = desk.review.cells["track"].copy()
    desk.choose([later])
    desk.act("cut")
    rest(desk)
    cells = desk.review.cells
    assert cells["track"].iloc[later] != cells["track"].iloc[earlier]
    desk.choose([later, earlier])
    desk.act("join")
    rest(desk)
    cells = desk.review.cells
    assert cells["track"].iloc[later] == cells["track"].iloc[earlier]
    assert [one.action for one in read_review(desk.review.file)] == ["cut", "join"]
    assert next(layer for layer in desk.viewer.layers if layer.name == "tracks").color_by == "clone"
    desk.undo()
    rest(desk)
    desk.undo()
    rest(desk)
    assert desk.review.cells["track"].equals(then)


def test_what_cannot_be_joined_is_told(desk):
    told = []
    desk.told.connect(lambda text, trouble: told.append(text))
    desk.choose(desk.rows_of(desk.image_id, 0)[:2])
    desk.act("join")
    rest(desk)
    assert "choose two of different frames" in told[-1]
    desk.act("cut")
    rest(desk)
    assert "2 cells are chosen: choose one" in told[-1]


def test_a_cell_of_another_frame_is_gone_to(desk):
    row = int(desk.rows_of(desk.image_id, 2)[0])
    desk.go_to(row)
    rest(desk)
    assert desk.frame == 2
    assert np.flatnonzero(desk.chosen).tolist() == [row]
