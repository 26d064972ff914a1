import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, call_clonality, clone_sizes, find_lesions
from rgbtrack.plot import lesion_bars, lesion_map, seeding_alluvial, site_heatmap
from rgbtrack.simulate import simulate_lesions

COLOURS = {n: (0.1 * (n % 10), 0.5, 1 - 0.1 * (n % 10)) for n in range(1, 61)}


@pytest.fixture(scope="module")
def planted():
    scene = simulate_lesions(n_clones=6, subjects=2, lesions=(5, 9), seed=4)
    cells, lesions = find_lesions(scene.cells)
    called = call_clonality(cells, lesions[lesions["site"] == "lung"], confusion=scene.confusion)
    return cells, called, clone_sizes(scene.cells, samples=scene.samples)


def words(figure):
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return [*texts, *[axes.get_title(loc="left") for axes in figure.axes]]


def test_map_writes_the_calls(planted):
    cells, called, _ = planted
    image = called.lesions["image_id"].iloc[0]
    own = called.lesions[called.lesions["image_id"] == image]
    figure = lesion_map(cells[cells["image_id"] == image], called.lesions, COLOURS, title="lung")
    sign = {"monoclonal": "M", "polyclonal": "P", "undecided": "?"}
    wanted = {f"{row.lesion} {sign[row.clonality]}" for row in own.itertuples()}
    assert wanted <= set(words(figure))
    assert len(figure.axes[0].patches) == len(own)
    bare = lesion_map(cells[cells["image_id"] == image], called.lesions[["image_id", "lesion"]], COLOURS)
    assert str(own["lesion"].iloc[0]) in words(bare)


def test_map_of_nothing_and_of_two_images(planted):
    cells, called, _ = planted
    assert (
        "no cell has a position" in lesion_map(cells[:0], called.lesions, COLOURS).axes[0].texts[0].get_text()
    )
    with pytest.raises(DataError, match="cells are of"):
        lesion_map(cells, called.lesions, COLOURS)
    with pytest.raises(DataError, match="no column lesion"):
        lesion_map(cells[:1].drop(columns="lesion"), called.lesions, COLOURS)


def test_map_in_three_dimensions_without_areas(planted):
    cells, called, _ = planted
    image = called.lesions["image_id"].iloc[0]
    own = cells[cells["image_id"] == image].drop(columns="area_um2")
    assert lesion_map(own, called.lesions, COLOURS).axes
    assert lesion_map(own.assign(volume_um3=1500.0), called.lesions, COLOURS).axes


def test_bars_add_up_and_say_the_calls(planted):
    _, called, _ = planted
    figure = lesion_bars(called.clones, called.lesions, COLOURS, first="vehicle")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0].startswith("vehicle: ")
    tops = {}
    for bar in figure.axes[0].containers[0]:
        tops[round(bar.get_x(), 3)] = bar.get_y() + bar.get_height()
    assert list(tops.values()) == pytest.approx([1] * len(tops))
    assert "5 largest shown" in lesion_bars(called.clones, called.lesions, COLOURS, by="site", shown=5).axes[
        0
    ].get_title(loc="left")
    assert "no lesion has a cell" in words(lesion_bars(called.clones[:0], called.lesions, COLOURS))[0]


def test_heat_map_marks_zeros_and_empty_samples(planted):
    *_, sizes = planted
    sizes = sizes.assign(
        n_cells=sizes["n_cells"].mask((sizes["subject"] == "m1") & (sizes["site"] == "lung"), 0)
    )
    figure = site_heatmap(sizes, COLOURS, control="vehicle", shown=5)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts[:3]] == ["primary", "blood", "lung"]
    assert [tick.get_text() for tick in axes.get_xticklabels()][:4] == ["m1", "m2", "m3", "m4"]
    assert len(axes.patches) == 1  # hatched
    assert "1 smaller clones not shown" in figure.get_suptitle()
    assert "no cell was assigned" in words(site_heatmap(sizes.assign(n_cells=0), COLOURS))[0]


def test_alluvial_ribbons_have_the_widths_of_the_shares():
    parts = {"primary": [60, 40, 0], "blood": [5, 5, 0], "lung": [0, 30, 10]}
    sizes = pd.concat(
        [pd.DataFrame({"clone": [1, 2, 3], "n_cells": n, "site": site}) for site, n in parts.items()]
    )
    sizes = sizes.assign(subject="m1", treatment="vehicle", timepoint=0.0)
    axes = seeding_alluvial(sizes, COLOURS).axes[0]
    ribbons = [
        patch for patch in axes.patches if hasattr(patch, "get_path") and len(patch.get_path().vertices) == 9
    ]
    widths = []
    for ribbon in ribbons:
        y = ribbon.get_path().vertices[:, 1]
        widths.append((round(y[0] - y[7], 6), round(y[3] - y[4], 6)))
    assert sorted(widths) == [(0.4, 0.5), (0.5, 0.75), (0.6, 0.5)]
    assert {"primary", "blood", "lung", "100 cells", "10 cells", "40 cells"} <= set(words(axes.figure))


def test_alluvial_pools_small_clones_and_skips_empty_sites():
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame(
            {"clone": np.arange(1, 61), "n_cells": rng.multinomial(500, np.full(60, 1 / 60)), "site": site}
        )
        for site in ("primary", "lung")
    ]
    parts.append(pd.DataFrame({"clone": np.arange(1, 61), "n_cells": 0, "site": "blood"}))
    one = pd.concat(parts).assign(subject="m1", treatment="vehicle", timepoint=0.0)
    other = one.assign(subject="m2", treatment="drug")
    other.loc[other["site"] == "lung", "n_cells"] = 0
    figure = seeding_alluvial(
        pd.concat([one, other]), COLOURS, control="vehicle", order=["primary", "blood", "lung"]
    )
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[-1] == "others (48)"
    assert words(figure).count("no cells") == 3
    means = seeding_alluvial(pd.concat([one, other]), COLOURS, by="treatment", control="vehicle", panels=1)
    assert means.axes[0].get_title(loc="left") == "vehicle  (n = 1)"
    assert means.get_suptitle() == "1 of 2 shown"
    assert "no cell was assigned" in words(seeding_alluvial(one.assign(n_cells=0), COLOURS))[0]
