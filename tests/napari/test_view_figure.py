"""The view as a figure: its scale bar, its legend, and what is written of it."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from napari_rgbtrack.colouring import colour_cells
from napari_rgbtrack.view_figure import (
    WIDTH,
    export_view,
    numbers_in_view,
    save_view,
    um_per_pixel,
    view_figure,
    view_title,
)
from rgbtrack import DataError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def drawing(drawn):
    with drawn():
        yield


@pytest.fixture
def picture():
    return np.full((300, 500, 4), 30, np.uint8)


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def within(drawn):
    """The picture itself in a figure without a legend, and how many dots an inch has."""
    dpi = drawn.shape[1] / (WIDTH + 0.2)
    inner = slice(int(0.11 * dpi), int((WIDTH + 0.09) * dpi))
    return drawn[int(0.36 * dpi) : -int(0.11 * dpi), inner, :3], dpi


def bar_px(picture):
    """Length of the scale bar: the longest run of white in a row."""
    white = (picture > 0.98).all(axis=2)
    edges = np.diff(np.pad(white, ((0, 0), (1, 1))).astype(int), axis=1)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    return (ends[:, 1] - starts[:, 1]).max()


@pytest.mark.parametrize(
    ("um_per_px", "length", "said"), [(1.0, 100, "100 µm"), (0.325, 62, "20 µm"), (7.1, 70, "500 µm")]
)
def test_the_scale_bar_has_a_round_length(picture, um_per_px, length, said, tmp_path):
    figure = view_figure(picture, um_per_px)
    assert said in words(figure)
    drawn, dpi = within(imread(save_view(figure, tmp_path / "view.png")))
    assert dpi >= 200
    assert bar_px(drawn) * 500 / (WIDTH * dpi) == pytest.approx(length, abs=1)


def test_without_a_pixel_size_words_stand_for_the_scale_bar(picture):
    assert "No scale bar: the size of the image's pixels is not known." in words(view_figure(picture, None))


def test_the_legend_counts_the_clones_the_largest_first(picture):
    cells = pd.DataFrame({"clone": pd.array([1, 2, 2, 2, pd.NA], "Int64"), "red": 1.0, "red_se": 1.0})
    figure = view_figure(picture, 1.0, colour_cells(cells, "clone"), title="m1, day 7")
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["2 (3)", "1 (1)", "unassigned (1)"]
    assert legend.get_title().get_text() == "clone\n(cells in view)"
    assert "m1, day 7" in words(figure)


def test_a_long_legend_says_how_many_it_leaves_out(picture):
    cells = pd.DataFrame({"clone": np.arange(1, 101), "red": 1.0, "red_se": 1.0})
    legend = view_figure(picture, 1.0, colour_cells(cells, "clone")).axes[0].get_legend()
    said = [text.get_text() for text in legend.get_texts()]
    assert len(said) < 25
    assert said[-1] == f"and {101 - len(said)} more ({101 - len(said)})"


@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_numbers_have_a_colour_bar_with_a_unit(picture, spread):
    values = np.random.default_rng(0).lognormal(6, spread, 100)
    values[:3] = np.nan
    figure = view_figure(picture, 1.0, colour_cells(pd.DataFrame({"brightness": values}), "brightness"))
    figure.canvas.draw()
    assert "brightness (counts)" in words(figure)
    assert "100 cells in view\n3 grey: missing" in words(figure)
    assert not [text for text in words(figure) if "$" in text]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_ending_says_what_is_written(picture, ending, tmp_path):
    first, second = (
        save_view(view_figure(picture, 1.0, title="m1"), tmp_path / f"{name}.{ending}").read_bytes()
        for name in "ab"
    )
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    if ending == "svg":
        assert "m1" in "".join(ET.fromstring(first).itertext())


def test_what_cannot_be_saved_is_told(picture, tmp_path):
    figure = view_figure(picture, 1.0)
    with pytest.raises(DataError, match=r"view\.doc: give a name that ends in \.png, \.svg or \.pdf"):
        save_view(figure, tmp_path / "view.doc")
    with pytest.raises(DataError, match=r"the view cannot be saved as .*: No such file or directory"):
        save_view(figure, tmp_path / "gone" / "view.png")
    with pytest.raises(DataError, match=r"picture has shape \(4, 4\): give red, green and blue"):
        view_figure(np.zeros((4, 4), np.uint8), 1.0)


@pytest.fixture
def square(screen):
    """A window with a square of 100 µm, and its parts as cells."""
    import napari

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(900, 700)
    image = np.zeros((2, 400, 400), np.uint8)
    image[:, 100:300, 100:300] = 200
    labels = np.zeros((2, 400, 400), np.int32)
    labels[0, 100:300, 100:200], labels[0, 100:300, 200:300], labels[1, 0:9, 0:9] = 1, 2, 3
    settings = {"scale": (0.5, 0.5, 0.5), "units": ("hour", "um", "um"), "axis_labels": ("t", "y", "x")}
    told = {"rgbtrack": {"results": "results", "image_id": "m1_d7"}}
    viewer.add_image(image, contrast_limits=(0, 255), metadata=told, **settings)
    cells = viewer.add_labels(labels, opacity=0, features={"index": [1, 2, 3]}, **settings)
    viewer.dims.set_point(0, 0)
    yield viewer, cells
    viewer.close()


def test_the_scale_bar_fits_a_square_of_100_um(square, settle, tmp_path):
    viewer, _ = square
    viewer.camera.zoom = 2.3
    settle(0.2)
    drawn, _ = within(imread(export_view(viewer, tmp_path / "view.png")))
    side = ((abs(drawn - 200 / 255) < 0.02).all(axis=2).sum(axis=0) > 50).sum()
    assert side / (2 * 100 * 2.3) == pytest.approx(round(side / (2 * 100 * 2.3)), abs=0.02)
    said = export_view(viewer, tmp_path / "view.svg").read_text()
    (length_um,) = re.findall(r"(\d+) µm", said)
    assert bar_px(drawn) == pytest.approx(side * int(length_um) / 100, abs=3)
    assert viewer.camera.zoom == pytest.approx(2.3)


def test_only_cells_in_view_are_counted_and_the_title_tells_where(square, settle, tmp_path):
    viewer, cells = square
    table = pd.DataFrame({"clone": [1, 2, 3], "red": 1.0, "red_se": 1.0})
    settle(0.2)

    path = export_view(viewer, tmp_path / "view.svg", colour_cells(table, "clone"), labels=cells)
    said = "".join(ET.fromstring(path.read_text()).itertext())
    for words in ("m1_d7, frame 0 (0 h)", "1 (1)", "2 (1)"):
        assert words in said
    assert "3 (1)" not in said
    viewer.camera.zoom, viewer.camera.center = 30, (0, 100, 70)
    settle(0.2)
    assert numbers_in_view(viewer, cells).tolist() == [1]
    viewer.dims.set_point(0, 0.5)
    settle(0.2)
    assert view_title(viewer, "mouse 1") == "mouse 1, frame 1 (0.5 h)"
    assert not len(numbers_in_view(viewer, cells))


def test_layers_in_pixels_have_no_scale_bar(square, settle, tmp_path):
    viewer, _ = square
    viewer.add_points([[1, 1]], name="mine")
    assert um_per_pixel(viewer) == pytest.approx(0.5 / viewer.camera.zoom)
    for layer in viewer.layers:
        layer.units = ("pixel",) * layer.ndim
    settle(0.2)
    assert "No scale bar" in export_view(viewer, tmp_path / "view.svg").read_text()
    assert not viewer.scale_bar.visible
