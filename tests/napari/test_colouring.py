"""Colours of the cells, without a window."""

import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from skimage.color import rgb2lab

from napari_rgbtrack.colouring import (
    CLONE,
    MEAN,
    MOST_WORDS,
    SAFE,
    Scale,
    colour_cells,
    colour_choices,
    legend_words,
    tiered,
)
from napari_rgbtrack.columns import column_words, is_skewed, number_columns, numbers_of
from rgbtrack import DataError
from rgbtrack.plot import clone_colours
from rgbtrack.plot.colours import HUES, UNASSIGNED


@pytest.fixture
def cells():
    return pd.DataFrame(
        {
            "cell": [1, 2, 3, 4],
            "red": [100.0, 0.0, 50.0, np.nan],
            "red_se": 1.0,
            "green": [0.0, 200.0, 100.0, np.nan],
            "green_se": 1.0,
            "clone": pd.array([1, 2, 2, pd.NA], "Int64"),
            "clone_probability": [0.0, 1.0, 0.5, np.nan],
            "doublet": pd.array([True, False, pd.NA, False], "boolean"),
            "subject": ["m10", "m2", "m2", None],
            "nothing": pd.array([pd.NA] * 4, "string"),
        }
    )


@pytest.fixture
def clones():
    return pd.DataFrame(
        {
            "clone": [1, 2],
            "n_cells": [1, 2],
            "red": [100.0, 25.0],
            "green": [0.0, 150.0],
            "clone_name": pd.array([pd.NA, "mid"], "string"),
        }
    )


def test_what_there_is_to_colour_by(cells):
    assert colour_choices(cells) == [
        CLONE,
        SAFE,
        MEAN,
        "clone_probability",
        "red",
        "red_se",
        "green",
        "green_se",
        "doublet",
        "subject",
    ]
    many = pd.DataFrame({"cell": [1] * 50, "note": [f"text {k}" for k in range(50)]})
    assert colour_choices(many) == []


def test_every_choice_colours_every_cell(cells):
    for by in colour_choices(cells):
        made = colour_cells(cells, by)
        assert made.rgb.shape == (4, 3)
        assert made.rgb.dtype == np.float32
        assert ((made.rgb >= 0) & (made.rgb <= 1)).all()


def test_clones_wear_the_colours_of_the_report(cells, clones):
    made = colour_cells(cells, CLONE, clones)
    paint = clone_colours(clones, ["red", "green"])
    np.testing.assert_allclose(made.rgb, [paint[1], paint[2], paint[2], UNASSIGNED], atol=1e-6)
    assert made.legend == (("1", paint[1], 1), ("2 mid", paint[2], 2), ("unassigned", UNASSIGNED, 1))


def test_without_a_clone_table_the_cells_mean_is_used(cells, clones):
    known = colour_cells(cells, CLONE, clones)
    np.testing.assert_allclose(colour_cells(cells, CLONE).rgb, known.rgb)


def test_a_clone_that_the_table_lacks_is_told_apart_from_none(cells, clones):
    made = colour_cells(cells, CLONE, clones.iloc[1:])
    assert [(entry.label, entry.n_cells) for entry in made.legend] == [
        ("2 mid", 2),
        ("unassigned", 1),
        ("not in the clone table", 1),
    ]


def test_clones_by_colour_alone_keep_the_colours_of_the_clones(cells, clones):
    made = colour_cells(cells.assign(colour_clone=cells["clone"]), "colour_clone", clones)
    np.testing.assert_array_equal(made.rgb, colour_cells(cells, CLONE, clones).rgb)


def test_clones_not_called_yet_are_grey(cells):
    for none in (pd.array([pd.NA] * 4, "Int64"), [None] * 4):
        made = colour_cells(cells.assign(clone=none), CLONE)
        assert [entry.label for entry in made.legend] == ["unassigned"]
        assert np.allclose(made.rgb, UNASSIGNED)


def test_a_legend_of_some_cells_counts_them_alone(cells, clones):
    some = colour_cells(cells, CLONE, clones).of(np.array([False, True, True, False]))
    assert [(entry.label, entry.n_cells) for entry in some.legend] == [("2 mid", 2)]
    assert some.rgb.shape == (2, 3)
    assert isinstance(colour_cells(cells, "red").of(np.array([1])).legend, Scale)


TO_LMS = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])


def seen(rgb, cone):
    """Colours in CIE Lab as those see them who lack a cone (Viénot, Brettel and Mollon 1999)."""
    rgb = np.asarray(rgb)
    long, middle, short = TO_LMS @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4).T
    if cone == "protan":
        long = 2.02344 * middle - 2.52581 * short
    if cone == "deutan":
        middle = 0.494207 * long + 1.24827 * short
    linear = np.clip(np.linalg.solve(TO_LMS, np.stack([long, middle, short])), 0, 1).T
    return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("cone", ["none", "protan", "deutan"])
def test_neighbours_in_size_differ_for_colour_blind_readers(cone):
    lab = seen(tiered(14), cone)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    beside = np.diagonal(apart, 1)
    assert beside.min() > 25
    assert (apart + 1e3 * np.eye(14)).min() > 8


def test_the_safe_colours_go_by_size(cells, clones):
    made = colour_cells(cells, SAFE, clones)
    first, second = tiered(2)
    np.testing.assert_allclose(made.rgb, [second, first, first, UNASSIGNED], atol=1e-6)


def test_mean_colour_is_each_cells_own_mix(cells):
    made = colour_cells(cells, MEAN)
    assert made.legend == (("red", HUES["red"], None), ("green", HUES["green"], None))
    pure = made.rgb / made.rgb.max(axis=1, keepdims=True)
    np.testing.assert_allclose(pure[:2], [[1, 0, 0], [0, 1, 0]])
    assert pure[2, 0] > 0.5
    np.testing.assert_allclose(made.rgb[3], UNASSIGNED, atol=1e-6)


def test_probabilities_go_from_none_to_all(cells):
    made = colour_cells(cells, "clone_probability")
    assert made.legend == Scale(0.0, 1.0, "clone probability", "viridis", False)
    ends = mpl.colormaps["viridis"]([0.0, 1.0])[:, :3]
    np.testing.assert_allclose(made.rgb[[0, 1, 3]], [*ends, UNASSIGNED], atol=1e-6)


def test_one_outlier_leaves_the_scale_of_numbers():
    cells = pd.DataFrame({"area_um2": [*np.linspace(50, 100, 999), 1e6]})
    scale = colour_cells(cells, "area_um2").legend
    assert scale.high < 101
    assert scale.label == "area (µm²)"
    assert not scale.log
    bright = pd.DataFrame({"brightness": np.random.default_rng(0).lognormal(6, 1, 1000)})
    assert colour_cells(bright, "brightness").legend.log


@pytest.mark.parametrize("values", [[1.0, 1.0], [np.nan, 2.0], [np.nan, np.nan]])
def test_numbers_without_a_range_have_a_colour(values):
    made = colour_cells(pd.DataFrame({"snr": values}), "snr")
    assert np.isfinite(made.rgb).all()
    assert made.legend.high > made.legend.low


def test_flags_and_words(cells):
    assert [(e.label, e.n_cells) for e in colour_cells(cells, "doublet").legend] == [
        ("no", 2),
        ("yes", 1),
        ("missing", 1),
    ]
    as_objects = cells.assign(doublet=[True, False, None, False])
    assert colour_cells(as_objects, "doublet").legend == colour_cells(cells, "doublet").legend
    words = colour_cells(cells, "subject")
    assert [(e.label, e.n_cells) for e in words.legend] == [("m2", 2), ("m10", 1), ("missing", 1)]
    np.testing.assert_array_equal(words.rgb[1], words.rgb[2])
    categories = cells.assign(subject=cells["subject"].astype("category"))
    assert colour_cells(categories, "subject").legend == words.legend


def test_an_empty_table_has_colours_of_no_cell(cells):
    for by in colour_choices(cells):
        assert colour_cells(cells.iloc[:0], by).rgb.shape == (0, 3)


def test_what_cannot_be_coloured_is_told(cells):
    with pytest.raises(DataError, match=r"cannot be coloured by 'gone'; choose of clone,"):
        colour_cells(cells, "gone")
    with pytest.raises(DataError, match="no colour of their own"):
        colour_cells(cells[["cell", "clone"]], MEAN)
    with pytest.raises(DataError, match=r"no column 'clone'"):
        colour_cells(cells[["cell"]], CLONE)
    with pytest.raises(DataError, match=r"column clone should hold numbers, found 'a'"):
        colour_cells(cells.assign(clone=list("abab")), CLONE)
    many = pd.DataFrame({"note": [f"text {k}" for k in range(50)]})
    with pytest.raises(DataError, match=f"50 different words, and colours tell {MOST_WORDS} apart"):
        colour_cells(many, "note")


def test_numbers_and_their_words(cells):
    assert number_columns(cells) == ["red", "red_se", "green", "green_se", "clone", "clone_probability"]
    assert column_words("red_se", cells) == "red se (counts)"
    assert column_words("timepoint", cells) == "timepoint (d)"
    assert column_words("snr", cells) == "SNR"
    with pytest.raises(DataError, match="no column 'gone'; there are cell, red"):
        numbers_of(cells, "gone")
    assert np.isnan(numbers_of(cells, "nothing")).all()


def test_only_positive_and_lopsided_numbers_are_skewed():
    rng = np.random.default_rng(0)
    assert is_skewed(rng.lognormal(5, 1, 1000))
    assert not is_skewed(rng.normal(100, 5, 1000))
    assert not is_skewed(rng.lognormal(5, 1, 1000) - 200)
    assert not is_skewed(np.array([np.nan, 1.0]))


def test_what_the_colours_mean_is_told_in_words(cells, clones):
    told = legend_words(colour_cells(cells, "clone_probability"))
    assert told.startswith("clone probability: 0 <span")
    assert told.endswith("missing")
    names = legend_words(colour_cells(cells, CLONE, clones))
    assert re.sub("<[^>]+>", "", names) == "\u2588 1 1, \u2588 2 mid 2, \u2588 unassigned 1"
