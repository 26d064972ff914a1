"""Where cells lie on a plot, without a window."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from napari_rgbtrack.colour_plot import (
    HUE,
    colour_plot,
    column_plot,
    filling,
    on_dark,
    plot_columns,
    set_limits,
    usual_columns,
    zoomed,
)
from rgbtrack import DataError
from rgbtrack.plot.hue import hue_degrees


def table(markers, n=200, seed=0):
    light = np.random.default_rng(seed).lognormal(5, 1, (n, len(markers)))
    cells = pd.DataFrame(light, columns=list(markers))
    for k, name in enumerate(markers):
        cells[f"{name}_se"] = 1.0
        cells[f"{name}_fraction"] = light[:, k] / light.sum(axis=1)
    return cells.assign(brightness=light.sum(axis=1), clone_probability=np.linspace(0, 1, n))


def drawn(plot):
    with on_dark():
        figure = Figure()
        axes = figure.add_subplot()
        plot.draw(axes)
        set_limits(axes, plot, plot.limits)
        figure.canvas.draw()
    return axes


def test_three_markers_lie_in_the_triangle():
    cells = table(["red", "green", "blue"])
    cells.loc[0, ["red_fraction", "green_fraction", "blue_fraction"]] = [1.0, 0.0, 0.0]
    cells.loc[1, "red_fraction"] = np.nan
    plot = colour_plot(cells)
    assert plot.equal
    assert plot.places[0] == pytest.approx([0.5, np.sqrt(3) / 2])
    assert np.isnan(plot.places[1]).all()
    assert plot.n_placed == 199
    assert "100 % green" in [text.get_text() for text in drawn(plot).texts]


def test_two_markers_lie_by_share_and_brightness():
    axes = drawn(colour_plot(table(["red", "green"])))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("red fraction", "brightness (counts)")


@pytest.mark.parametrize("n_markers", [4, 7])
def test_more_markers_lie_along_their_principal_axes(n_markers):
    markers = [f"m{k}" for k in range(n_markers)]
    plot = colour_plot(table(markers))
    axes = drawn(plot)
    assert f"first principal axis of the {n_markers} marker shares" in axes.get_xlabel()
    left, right, bottom, top = plot.limits
    x, y = plot.places.T
    assert left < x.min() < x.max() < right
    assert bottom < y.min() < y.max() < top
    assert {text.get_text() for text in axes.texts} == set(markers)


def test_columns_have_names_units_and_fitting_scales():
    cells = table(["red", "green", "blue"])
    plot = column_plot(cells, HUE, "brightness")
    assert plot.log == (False, True)
    axes = drawn(plot)
    assert axes.get_xlabel() == "hue (°; red 0, green 120, blue 240)"
    assert axes.get_ylabel() == "brightness (counts)"
    assert axes.get_yscale() == "log"
    ticks = [text.get_text() for text in axes.get_yticklabels()]
    assert "1,000" in ticks
    assert not any("$" in tick for tick in ticks)
    assert plot.places[:, 1] == pytest.approx(np.log10(cells["brightness"]))


def test_what_a_logarithm_lacks_is_left_out():
    cells = table(["red", "green", "blue"], 2000)
    cells.loc[0, "brightness"] = -3.0
    plot = column_plot(cells, "clone_probability", "brightness")
    assert plot.n_placed == 1999
    assert np.isnan(plot.places[0]).all()


def test_the_hue_is_an_angle_from_the_first_marker():
    light = np.array([[9.0, 0, 0], [0, 5, 0], [0, 0, 7], [9, 5, 0], [0, 0, 0], [np.nan, 1, 1]])
    hue = hue_degrees(light)
    assert hue[:4] == pytest.approx([0, 120, 240, 60], abs=1)
    assert np.isnan(hue[4:]).all()
    assert np.isnan(hue_degrees(light[5:])).all()


def test_the_axes_to_begin_with():
    columns = plot_columns(table(["red", "green", "blue"]))
    assert columns[:2] == [HUE, "red"]
    assert usual_columns(columns) == (HUE, "brightness")
    assert usual_columns(plot_columns(table(["red", "green"]))) == ("clone_probability", "brightness")
    assert usual_columns(["area_um2", "snr"]) == ("area_um2", "snr")
    assert usual_columns(["brightness"]) is None
    assert usual_columns(["snr"]) is None


@pytest.mark.parametrize("rows", [slice(0, 0), slice(0, 1)])
def test_no_cell_or_one_can_be_drawn(rows):
    for markers in (["red", "green"], ["red", "green", "blue"], list("abcd")):
        plot = colour_plot(table(markers).iloc[rows])
        assert len(plot.places) == plot.n_placed
        drawn(plot)


def test_what_cannot_be_plotted_is_told():
    with pytest.raises(DataError, match="shares of colours need 2 or more markers, the cells have 1"):
        colour_plot(table(["red"]))
    with pytest.raises(DataError, match="lacks column green_fraction"):
        colour_plot(table(["red", "green", "blue"]).drop(columns="green_fraction"))
    with pytest.raises(DataError, match="no column 'gone'"):
        column_plot(table(["red"]), "gone", "red")


def test_zooming_keeps_the_point_under_the_mouse():
    assert zoomed((0, 10, 0, 20), 0.5, 0.5, 0.5) == (2.5, 7.5, 5, 15)
    left, right, bottom, top = zoomed((0, 10, 0, 20), 0.2, 1.0, 0.5)
    assert (left + 0.2 * (right - left), top) == pytest.approx((2, 20))
    assert bottom == pytest.approx(10)


def test_a_unit_is_as_long_up_as_to_the_right():
    left, right, bottom, top = filling((0, 1, 0, 1), (100, 300))
    assert (bottom, top) == (0, 1)
    assert (left, right) == pytest.approx((-1, 2))
