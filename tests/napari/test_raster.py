"""Cells as pixels, without a window."""

import numpy as np
import pytest

from napari_rgbtrack.raster import inside, light_of, nearest, next_cell, paint_cells, rasterise

RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
NONE = rasterise(np.empty((0, 2), np.float32), (0, 1, 0, 1), (4, 4))


def laid(*places, shape=(40, 60)):
    """Places in pixels from the upper left corner."""
    x, y = np.array(places, np.float32).T
    return rasterise(np.column_stack([x, shape[0] - y]), (0, shape[1], 0, shape[0]), shape)


def colours(*rgb):
    return np.array(rgb, np.float32)


def test_a_cell_is_a_dot_where_it_lies():
    picture = paint_cells(laid((10.5, 5.5)), colours(RED))
    assert picture.shape == (40, 60, 4)
    rows, columns = np.nonzero(picture[..., 3])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 6, 9, 11)
    assert picture[5, 10].tolist() == [255, 0, 0, round(0.7 * 255)]


def test_overlapping_cells_are_seen_as_their_mean():
    picture = paint_cells(laid((10.5, 5.5), (10.5, 5.5), (10.5, 5.5)), colours(RED, RED, GREEN))
    assert picture[5, 10, :3] == pytest.approx([170, 85, 0], abs=1)
    assert picture[5, 10, 3] > 0.95 * 255


@pytest.mark.parametrize("dot_px", [3, 5, 7])
def test_cells_outside_and_without_a_place_are_left_out(dot_px):
    raster = laid((-1, 5), (70, 5), (5, -1), (5, 41), (np.nan, 5))
    assert not paint_cells(raster, colours(*[RED] * 5), dot_px=dot_px)[..., 3].any()
    assert not paint_cells(NONE, np.empty((0, 3), np.float32), dot_px=dot_px).any()


def test_selected_cells_lie_on_top_and_the_others_are_dimmed():
    raster = laid((10.5, 10.5), (10.5, 10.5), (40.5, 20.5))
    picture = paint_cells(raster, colours(RED, GREEN, RED), selection=np.array([True, False, False]))
    assert picture[10, 10].tolist() == [255, 0, 0, 255]
    assert picture[20, 40, 0] == pytest.approx(0.3 * 255, abs=1)
    along = picture[10, 11:, :3].tolist()
    # a white rim, then a black one: seen on any ground
    assert along.index([255, 255, 255]) < along.index([0, 0, 0])
    assert (picture[10, 6:10, 3] == 255).all()


@pytest.mark.parametrize("shown", [None, np.arange(500) % 3 > 0])
def test_a_picture_from_kept_sums_is_the_same(shown):
    rng = np.random.default_rng(3)
    raster, rgb = laid(*rng.uniform(0, 40, (500, 2))), colours(*rng.random((500, 3)))
    light = light_of(raster, rgb, np.ones(500, bool) if shown is None else shown)
    kept = light.copy()
    for selection in (None, rng.random(500) < 0.1, rng.random(500) < 0.9):
        one = paint_cells(raster, rgb, selection=selection, shown=shown)
        other = paint_cells(raster, rgb, selection=selection, shown=shown, light=light)
        assert np.array_equal(one, other)
    assert np.array_equal(light, kept)


def test_cells_that_are_not_shown_are_faint_and_never_bright():
    raster = laid((10.5, 10.5), (40.5, 20.5))
    shown, selection = np.array([True, False]), np.array([False, True])
    picture = paint_cells(raster, colours(RED, RED), shown=shown, selection=selection)
    assert picture[10, 10].tolist() == [255, 0, 0, round(0.7 * 255)]
    assert 0 < picture[20, 40, 3] < 40


def test_cells_within_an_outline():
    raster = laid((10, 10), (30, 10), (59, 39), (np.nan, 3))
    assert inside(raster, np.array([[5, 5], [35, 5], [35, 15], [5, 15]])).tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert inside(raster, np.array([[-99, -99], [20, -99], [20, 99], [-99, 99]])).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_the_nearest_cell():
    raster, among = laid((10, 10), (14, 10), (np.nan, 3)), np.ones(3, bool)
    assert nearest(raster, (13, 10), 6, among) == 1
    assert nearest(raster, (13, 10), 6, np.array([True, False, True])) == 0
    assert nearest(raster, (40, 30), 6, among) is None
    assert nearest(NONE, (1, 1), 6, among[:0]) is None


def test_the_next_cell_in_a_direction():
    raster, among = laid((30, 20), (40, 22), (50, 20), (30, 10), (22, 35), (99, 20)), np.ones(6, bool)
    assert next_cell(raster, 0, 1, 0, among) == 1
    assert next_cell(raster, 1, 1, 0, among) == 2
    assert next_cell(raster, 2, 1, 0, among) is None  # the last lies outside
    assert next_cell(raster, 0, 0, -1, among) == 3
    assert next_cell(raster, 0, 0, 1, among) == 4
    assert next_cell(raster, 0, -1, 0, among) is None
