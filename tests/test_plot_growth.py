import numpy as np
import pandas as pd
import pytest

from rgbtrack import growth_by_treatment
from rgbtrack.plot import clone_bands, growth_curves, growth_rates, subject_dots


def growing(subjects=3, times=(0, 7, 14), n_clones=4, totals=True):
    """Clone sizes of two treatments; the last clone vanishes after the first timepoint."""
    rows = []
    for treatment in ("drug", "vehicle"):
        for animal in range(subjects):
            for day in times:
                n = np.arange(1, n_clones + 1) * (10 + day + animal)
                n[-1] = 0 if day else n[-1]
                rows += [
                    {"clone": k + 1, "subject": f"{treatment}{animal}", "treatment": treatment}
                    | {"timepoint": float(day), "site": "primary", "n_cells": int(n[k])}
                    | {"fraction": n[k] / n.sum(), "scale": 100.0 if totals else np.nan}
                    for k in range(n_clones)
                ]
    sizes = pd.DataFrame(rows)
    return sizes.assign(absolute_cells=sizes["n_cells"] * sizes["scale"])


HUES = {clone: (0.2 * clone % 1, 0.5, 1 - 0.2 * clone % 1) for clone in range(1, 60)}


def test_bands_lie_flat_and_a_lost_clone_pinches_to_nothing():
    figure = clone_bands(growing(), HUES, first="vehicle")
    titles = [axes.get_title(loc="left") for axes in figure.axes[:6]]
    assert titles[0] == "vehicle0: vehicle"
    assert len(titles) == 6
    axes = figure.axes[0]
    bands = [patch.get_paths()[0].vertices for patch in axes.collections]
    assert len(bands) == 4
    last = bands[3]
    height = {x: np.ptp(last[last[:, 0] == x, 1]) for x in (0, 7, 14)}
    assert height[0] > 0.3
    assert height[7] == height[14] == 0
    # every band is there from the first timepoint to the last: none grows out of another
    assert all({0, 14} <= set(band[:, 0]) for band in bands)
    assert max(band[:, 1].max() for band in bands) == pytest.approx(1)


def test_bands_of_cells_of_treatments_and_of_barcodes():
    figure = clone_bands(growing(), HUES, value="absolute_cells", by="treatment", first="vehicle")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["vehicle (n = 3)", "drug (n = 3)"]
    top = max(patch.get_paths()[0].vertices[:, 1].max() for patch in figure.axes[0].collections)
    assert top == pytest.approx(100 * 6 * (10 + 14 + 1))
    barcodes = growing().assign(clone=lambda of: "ACGT" + of["clone"].astype(str))
    names = [text.get_text() for text in clone_bands(barcodes).legends[0].get_texts()]
    assert names == ["ACGT4", "ACGT3", "ACGT2", "ACGT1"]


def test_bands_of_many_subjects_show_some_of_each_treatment():
    figure = clone_bands(growing(subjects=9, n_clones=25), HUES, shown=5)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert sum(title.endswith("vehicle") for title in titles) == 6
    assert figure.get_suptitle() == "12 of 18 subjects"
    assert figure.legends[0].get_texts()[0].get_text() == "20 smaller"


def test_bands_of_one_timepoint_and_of_nothing():
    sizes = growing(times=(0,))
    assert clone_bands(sizes, HUES).axes[0].get_xlim() == (-0.5, 0.5)
    figure = clone_bands(sizes.assign(n_cells=0), HUES)
    assert "no cell was assigned" in figure.axes[0].texts[0].get_text()


def test_growth_curves_show_what_was_not_seen_at_the_limit():
    figure = growth_curves(growing(), HUES, first="vehicle")
    last = figure.axes[3]
    assert last.get_title(loc="left").strip() == "clone 4"
    assert last.get_yscale() == "log"
    unseen = [line for line in last.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert len(unseen) == 6
    y = unseen[0].get_ydata()
    assert y[0] == pytest.approx(3 / (6 * 17), rel=0.01)
    assert (
        growth_curves(growing(), value="absolute_cells").axes[0].get_ylabel() == "cells of the whole sample"
    )
    figure = growth_curves(growing(totals=False), HUES, value="absolute_cells")
    assert "no total is known" in figure.axes[0].texts[0].get_text()


def test_subject_dots_show_each_subject_and_medians():
    figure = subject_dots(growing(), HUES, first="vehicle")
    axes = figure.axes[3]
    points = [(line.get_marker(), len(line.get_xdata())) for line in axes.lines]
    assert points.count(("v", 3)) == 2
    assert len(axes.collections) == 2
    assert figure.legends[0].get_title().get_text() == "timepoint 14 d, bars are medians"
    at_start = subject_dots(growing(), HUES, timepoint=0)
    assert "not seen" not in [text.get_text() for text in at_start.legends[0].get_texts()]
    none = subject_dots(growing(), HUES, timepoint=3)
    assert "no cell was assigned" in none.axes[0].texts[0].get_text()


def test_growth_rates_mark_differences():
    growth = growth_by_treatment(growing(), control="vehicle")
    growth.loc[(growth["treatment"] == "drug") & (growth["clone"] == 1), "q_value"] = 0.01
    figure = growth_rates(growth, HUES, first="vehicle")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == [" *", "* q < .05"]
    assert figure.axes[0].get_xlabel() == "growth rate over the mean of the clones (1/d)"
    empty = growth_rates(growth.assign(rate_per_d=np.nan))
    assert "no clone has a growth rate" in empty.axes[0].texts[0].get_text()
