import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Ellipse

from rgbtrack import DataError, ParamError, clone_resolution, clone_sizes, describe_clones
from rgbtrack.plot import (
    brightness_histogram,
    cell_numbers,
    cell_sizes,
    clone_colours,
    clone_map,
    fraction_dots,
    hue_saturation,
    paint_clones,
    plot_background,
    plot_confusion,
    plot_drift,
    plot_gains,
    plot_reliability,
    plot_resolution,
    rejected_counts,
    save_figure,
    snr_histogram,
    snr_per_image,
    stacked_fractions,
    ternary,
)
from rgbtrack.plot.cloud import contour
from rgbtrack.plot.colours import UNASSIGNED, ink_on, row_colours
from rgbtrack.plot.style import log_scale, new_figure, say_share

RGB = ["red", "green", "blue"]


def clones_of(means, markers=RGB) -> pd.DataFrame:
    means = np.asarray(means, dtype=float)
    table = pd.DataFrame({"clone": np.arange(1, len(means) + 1), "n_cells": 10})
    return table.assign(**{marker: means[:, i] for i, marker in enumerate(markers)}, unique_probability=0.9)


def cells_of(clone, means, markers=RGB, **more) -> pd.DataFrame:
    """Cells with their clone's very colour; unassigned ones an even mix."""
    clone = pd.array(clone, dtype="Int64")
    means = np.asarray(means, dtype=float)
    x = np.array([means[k - 1] if not pd.isna(k) else np.full(len(markers), 50.0) for k in clone])
    x = x.reshape(-1, len(markers))
    table = pd.DataFrame({"image_id": "a", "frame": 0, "cell": np.arange(1, len(clone) + 1), "clone": clone})
    for i, marker in enumerate(markers):
        table[marker], table[f"{marker}_se"] = x[:, i], 1.0
        table[f"{marker}_fraction"] = x[:, i] / x.sum(axis=1)
    return table.assign(brightness=x.sum(axis=1), snr=20.0, **more)


PRIMARIES = [[90, 0, 0], [0, 50, 0], [0, 0, 200]]
EIGHT = pd.DataFrame(
    {
        "clone": pd.array([1, 1, 1, 2, 1, 2, None, 2], dtype="Int64"),
        "subject": ["m1"] * 4 + ["m2"] * 3 + ["m3"],
        "treatment": ["vehicle"] * 7 + ["drug"],
        "timepoint": [0] * 8,
    }
)
"""m1 holds clone 1 to 75 %, m2 to 50 %, m3 none of it."""


def bars(figure, panel=0):
    """Heights of the bars of a panel, bottom up."""
    return [patch.get_height() for patch in figure.axes[panel].patches]


def test_clones_look_like_their_markers():
    colours = clone_colours(clones_of(PRIMARIES))
    assert colours[1][0] == max(colours[1])
    assert colours[2] == (0, 1, 0)
    assert colours[3][2] == max(colours[3])


def test_dim_clones_of_one_marker_are_darker_yet_visible():
    colours = clone_colours(clones_of([[900, 0, 0], [90, 0, 0], [0, 500, 0]]))
    assert 0.45 < colours[2][0] < colours[1][0]


def test_a_clone_without_light_is_grey_and_negative_means_count_as_none():
    colours = clone_colours(clones_of([[100, 100, -5], [-1, 0, 0]]))
    assert colours[2] == UNASSIGNED
    assert colours[1][2] == 0


def test_colours_need_numbers_and_markers():
    with pytest.raises(DataError, match="lacks column clone"):
        clone_colours(pd.DataFrame({"red": [1.0]}))
    with pytest.raises(DataError, match="holds no marker means; found clone, n_cells"):
        clone_colours(pd.DataFrame({"clone": [1], "n_cells": [2]}))
    with pytest.raises(DataError, match="lacks the mean of marker far_red"):
        clone_colours(clones_of(PRIMARIES), ["red", "far_red"])


def test_row_colours_of_missing_and_unknown_clones_are_grey():
    paint = row_colours(pd.Series(pd.array([2, None, 7], dtype="Int64")), {2: (1.0, 0.0, 0.0)})
    np.testing.assert_allclose(paint, [(1, 0, 0), UNASSIGNED, UNASSIGNED])


def test_ink_is_read_on_its_ground():
    assert [ink_on(c) for c in ((1, 1, 0), (0, 0, 0.6), (0, 1, 0))] == ["black", "white", "black"]


def test_stacked_bars_weigh_subjects_the_same_and_fill_the_whole():
    figure = stacked_fractions(clone_sizes(EIGHT), {1: (1, 0, 0), 2: (0, 1, 0)}, first="vehicle")
    assert [axes.get_title(loc="left").split()[0] for axes in figure.axes] == ["vehicle", "drug"]
    assert bars(figure) == pytest.approx([(0.75 + 0.5) / 2, (0.25 + 0.5) / 2, 0])
    assert bars(figure, 1) == pytest.approx([0, 1, 0])


def test_small_clones_are_pooled():
    figure = stacked_fractions(clone_sizes(EIGHT), {1: (1, 0, 0), 2: (0, 1, 0)}, first="vehicle", shown=1)
    assert sum(bars(figure)) == pytest.approx(1)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["2", "1 smaller"]


def test_no_clone_sizes_say_so():
    sizes = clone_sizes(EIGHT.assign(clone=pd.array([None] * 8, dtype="Int64")))
    for figure in (stacked_fractions(sizes, {}), fraction_dots(sizes, {})):
        assert figure.axes[0].texts[0].get_text() == "no cell was assigned to a clone"


def test_every_subject_has_its_dot():
    figure = fraction_dots(clone_sizes(EIGHT), {1: (1, 0, 0), 2: (0, 1, 0)}, first="vehicle")
    first = figure.axes[0]
    dots = [line.get_ydata()[0] for line in first.lines if line.get_marker() in "os"]
    assert sorted(dots)[:3] == pytest.approx([0, 0.5, 0.75])
    assert [label.get_text() for label in first.get_xticklabels()] == ["vehicle", "drug"]


def test_cell_numbers_add_the_clones_up():
    figure = cell_numbers(clone_sizes(EIGHT), first="vehicle")
    dots = sorted(line.get_ydata()[0] for line in figure.axes[0].lines if line.get_marker() in "os")
    assert dots == [1, 2, 4]


def test_three_markers_span_a_triangle():
    clones = clones_of(PRIMARIES)
    figure = ternary(cells_of([1, 2, 3, None], PRIMARIES), clones)
    places = figure.axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(places[:3], [[0.5, np.sqrt(3) / 2], [0, 0], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(places[3], [0.5, np.sqrt(3) / 6])
    assert figure.axes[0].get_title(loc="left") == "4 cells; grey: 1 unassigned"


def test_two_markers_make_a_histogram():
    means = [[90, 10], [10, 90]]
    figure = ternary(cells_of([1, 1, 2, None], means, ["red", "green"]), clones_of(means, ["red", "green"]))
    assert figure.axes[0].get_xlabel() == "share of red in the cell's colour (the rest is green)"
    assert max(bars(figure)) == 2


def test_four_markers_are_shown_along_labelled_axes():
    markers = ["red", "green", "blue", "far_red"]
    means = np.eye(4) * 100 + 1
    figure = ternary(cells_of([1, 2, 3, 4], means, markers), clones_of(means, markers))
    assert "first principal axis of the 4 marker shares" in figure.axes[0].get_xlabel()


def test_one_cell_of_four_markers_is_drawn():
    markers = ["red", "green", "blue", "far_red"]
    assert ternary(cells_of([None], np.eye(4), markers)).axes[0].collections


def test_ternary_of_no_colour_says_so_and_of_one_marker_is_refused():
    cells = cells_of([1], PRIMARIES)
    figure = ternary(cells.assign(red_fraction=np.nan))
    assert figure.axes[0].texts[0].get_text() == "no cell has a measured colour"
    with pytest.raises(DataError, match="found 1 markers"):
        ternary(cells, markers=["red"])
    with pytest.raises(DataError, match="lacks column red_fraction"):
        ternary(cells.drop(columns="red_fraction"))


def test_many_cells_are_thinned_and_it_is_said(monkeypatch):
    monkeypatch.setattr("rgbtrack.plot.cloud.MAX_POINTS", 4)
    figure = ternary(cells_of([1, 2, 3] * 4, PRIMARIES))
    assert figure.axes[0].get_title(loc="left") == "one in 3 of 12 cells"
    assert len(figure.axes[0].collections[-1].get_offsets()) == 4


#  0 1 1 1    cell 1 is red, cell 2 is green,
#  0 1 2 2    cell 3 has no clone
#  3 3 2 2
LABELS = np.array([[0, 1, 1, 1], [0, 1, 2, 2], [3, 3, 2, 2]])
COLOURS = {1: (1.0, 0.0, 0.0), 2: (0.0, 1.0, 0.0)}


def test_cells_are_painted_as_their_clone_with_lines_between():
    picture = paint_clones(LABELS, cells_of([1, 2, None], PRIMARIES), COLOURS)
    assert picture.shape == (3, 4, 3)
    assert picture[0, 1].tolist() == [255, 0, 0]
    assert picture[2, 3].tolist() == [0, 255, 0]
    assert picture[2, 0].tolist() == [115, 115, 120]
    assert picture[0, 2].tolist() == [89, 0, 0]
    assert picture[0, 0].max() < 40


def test_stacks_are_seen_from_above_and_large_ones_shrunk():
    stack = np.zeros((2, 40, 20), dtype=int)
    stack[0, :20], stack[1] = 1, 2
    picture = paint_clones(stack, cells_of([1, 2], PRIMARIES), COLOURS, longest_px=10)
    assert picture.shape == (10, 5, 3)
    assert picture[0, 0].tolist() == [255, 0, 0]
    assert picture[-1, -1].tolist() == [0, 255, 0]
    with pytest.raises(DataError, match=r"labels have shape \(1, 1, 2, 2\)"):
        paint_clones(np.zeros((1, 1, 2, 2), int), cells_of([1], PRIMARIES), COLOURS)


def test_clone_map_has_a_legend_and_a_scale_bar():
    clones = clones_of(PRIMARIES[:2])
    figure = clone_map(LABELS, cells_of([1, 2, None], PRIMARIES), clones, pixel_size_um=10.0, title="m1")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["1 (1)", "2 (1)", "unassigned (1)"]
    assert [text.get_text() for text in axes.texts] == ["5 µm"]
    bare = clone_map(np.zeros((4, 4), int), cells_of([], PRIMARIES), clones)
    assert bare.axes[0].get_legend() is None


def test_quality_is_drawn_for_every_image_or_the_worst():
    cells = pd.DataFrame({"image_id": [f"i{k:03}" for k in range(70)], "snr": np.arange(70.0)})
    axes = snr_per_image(cells).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"i{k:03}" for k in range(60)]
    assert "60 images of 70" in axes.get_title(loc="left")
    assert len(snr_per_image(cells[:3]).axes[0].get_yticklabels()) == 3
    assert snr_per_image(cells[:0]).axes[0].texts[0].get_text() == "no cells"


def test_brightness_counts_cells_with_and_without_a_clone():
    axes = brightness_histogram(cells_of([1, 2, None], PRIMARIES)).axes[0]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["assigned to a clone (2)", "unassigned (1)"]
    dark = cells_of([1], PRIMARIES).assign(brightness=-1.0)
    assert "no cells" in brightness_histogram(dark).axes[0].texts[0].get_text()


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_sizes_are_diameters_with_the_gravest_flag_of_each_cell():
    area = np.pi / 4 * np.array([10, 10, 10, 12, 12, 100.0]) ** 2
    flags = {
        "doublet": [False, True, False, False, False, False],
        "touches_border": [False, True, True, False, False, False],
    }
    figure = cell_sizes(cells_of([None] * 6, PRIMARIES, area_um2=area, **flags))
    assert figure.axes[0].get_xlabel() == (
        "diameter of the cell as a disc of its area (µm; 1 over 33 µm in the last bar)"
    )
    assert legend(figure) == [
        "no flag (4)",
        "cut by the image's edge (1)",
        "two colours in one (doublet) (1)",
        "median 11.0 µm, all cells",
    ]
    assert sum(bars(figure)) == 6
    assert figure.axes[0].lines[0].get_xdata()[0] == pytest.approx(11)


def test_sizes_of_volumes_are_those_of_balls():
    cells = cells_of([None] * 3, PRIMARIES, volume_um3=np.pi / 6 * np.array([8, 8, np.nan]) ** 3)
    figure = cell_sizes(cells)
    assert legend(figure) == ["no flag (2)", "median 8.0 µm, all cells"]
    assert figure.axes[0].get_xlabel() == "diameter of the cell as a ball of its volume (µm)"
    both = cell_sizes(cells.assign(area_um2=[np.nan, np.nan, 50.0]))
    assert (
        both.axes[0].get_xlabel() == "diameter of the cell as a disc of its area or ball of its volume (µm)"
    )


def test_sizes_need_a_size():
    with pytest.raises(DataError, match="lacks area_um2 and volume_um3; found image_id"):
        cell_sizes(cells_of([1], PRIMARIES))
    empty = cells_of([], PRIMARIES, area_um2=[])
    assert cell_sizes(empty).axes[0].texts[0].get_text() == "no cells with a measured size"


def test_snr_is_counted_on_both_sides_of_the_line():
    cells = cells_of([None] * 6, PRIMARIES).assign(snr=[-2.0, 4.99, 5.0, 5.01, 300.0, np.nan])
    figure = snr_histogram(cells)
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "signal-to-noise ratio of the cell"
    assert legend(figure) == ["below 5, colour uncertain: 2 (40.0 %)", "5 and above: 3 (60.0 %)"]
    assert sum(bars(figure)) == 5
    right = [p.get_height() for p in axes.patches if p.get_x() >= 5 * (1 - 1e-9)]
    assert sum(right) == 3
    assert axes.lines[0].get_xdata()[0] == 5
    assert snr_histogram(cells[:0]).axes[0].texts[0].get_text() == "no cells with a measured SNR"


def test_rejected_objects_are_counted_by_reason_over_all_images():
    rejected = [{"debris": 1, "haze": 3}, {"haze": 6, "none": 0}, {}, None]
    figure = rejected_counts(pd.DataFrame({"n_cells": [980, 1010, 0, None], "rejected": rejected}))
    axes = figure.axes[0]
    assert [patch.get_width() for patch in axes.patches] == [9, 1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["haze", "debris"]
    assert [text.get_text() for text in axes.texts] == ["9 (0.4 % of all found)", "1 (< 0.1 % of all found)"]
    assert axes.get_title(loc="left") == "1,990 of 2,000 objects found were kept as cells (99.5 %)"
    assert axes.get_xlabel() == "objects set aside"


def test_nearly_all_kept_is_not_all():
    figure = rejected_counts(pd.DataFrame({"n_cells": [9999], "rejected": [{"haze": 1}]}))
    assert "(> 99.9 %)" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (pd.DataFrame(), "no images"),
        (pd.DataFrame({"n_cells": [0], "rejected": [{}]}), "no objects were found"),
        (
            pd.DataFrame({"n_cells": [7], "rejected": [{}]}),
            "nothing was set aside: all 7 objects found were kept as cells",
        ),
    ],
)
def test_nothing_rejected_is_said(images, text):
    assert rejected_counts(images).axes[0].texts[0].get_text() == text


def test_rejected_objects_need_their_columns():
    with pytest.raises(DataError, match="lacks column rejected; found n_cells"):
        rejected_counts(pd.DataFrame({"n_cells": [1]}))


def test_a_figure_gives_the_same_bytes_twice(tmp_path, drawn):
    clones, cells = clones_of(PRIMARIES), cells_of([1, 2, 3, None], PRIMARIES)
    for name in ("one", "two"):
        with drawn():
            save_figure(ternary(cells, clones), tmp_path / name, "colours")
    for ending in ("svg", "png"):
        one, two = ((tmp_path / name / f"colours.{ending}").read_bytes() for name in ("one", "two"))
        assert one == two
        assert b"2026" not in one


def test_a_figure_stays_in_its_folder(tmp_path):
    figure = snr_per_image(cells_of([1], PRIMARIES))
    for name in ("../out", "", ".hidden"):
        with pytest.raises(ParamError, match="figure name is"):
            save_figure(figure, tmp_path, name)


def test_users_style_is_left_as_it_was():
    with mpl.rc_context({"font.size": 33.0, "svg.hashsalt": "theirs"}):
        figure = snr_per_image(cells_of([1], PRIMARIES))
        assert mpl.rcParams["font.size"] == 33.0
        assert mpl.rcParams["svg.hashsalt"] == "theirs"
    assert figure.axes[0].xaxis.label.get_size() == 9


@pytest.mark.parametrize("top", [4, 9, 4000])
def test_log_axes_have_plain_numbers(top):
    cells = pd.DataFrame({"image_id": "a", "frame": 0, "cell": range(90), "snr": np.linspace(3, top, 90)})
    for figure in (snr_histogram(cells), snr_per_image(cells)):
        figure.canvas.draw()
        labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels(which="both")]
        assert any(labels)
        assert all(text.replace(".", "").isdigit() for text in labels if text)


def test_background_is_drawn_around_its_level():
    rng = np.random.default_rng(0)
    before = (100 + rng.normal(0, 5, (40, 40))).astype(np.float32)
    figure = plot_background({"red": (before, before - 100)}, {"red": 5.0}, "Background of im1")
    shown = [axes.images[0] for axes in figure.axes if axes.images]
    assert [image.get_clim() for image in shown] == [pytest.approx((80, 160)), pytest.approx((-20, 60))]
    assert "no channels" in plot_background({}, {}, "").axes[0].texts[0].get_text()


def test_the_way_of_the_stage_is_drawn():
    path = np.column_stack([np.arange(4.0), -2 * np.arange(4.0)])
    figure = plot_drift(path, [np.zeros((9, 9, 3), np.uint8)] * 2, "im1: the stage ends 7 um off")
    ways = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(ways["down"], path[:, 0])
    np.testing.assert_allclose(ways["right"], path[:, 1])


def test_gains_are_drawn_before_and_after():
    rows = [("s1", m, 1.2, 1.0, 0.02) for m in ("red", "green")] + [("s2", "red", 0.8, 1.01, 0.02)]
    figure = plot_gains(pd.DataFrame(rows, columns=["group", "marker", "before", "after", "se"]))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["red", "green"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["s1", "s2"]
    many = pd.DataFrame(
        [(f"s{k}", "red", 1.0, 1.0, 0.1) for k in range(60)],
        columns=["group", "marker", "before", "after", "se"],
    )
    assert not plot_gains(many).axes[0].get_yticklabels()
    assert "no gains" in plot_gains(many.iloc[:0]).axes[0].texts[0].get_text()


@pytest.mark.parametrize("k", [2, 8, 80])
def test_resolution_shows_neighbours_side_by_side(k):
    means = 500.0 * np.random.default_rng(0).gamma(1.0, 1.0, (k, 3))
    means[-1] = means[0] * 1.02
    cells = cells_of(np.repeat(np.arange(1, k + 1), 6), means)
    cells = cells.assign(**{f"{name}_se": 10.0 for name in RGB})
    figure = plot_resolution(clone_resolution(cells), describe_clones(cells))
    image = figure.axes[0].images[0].get_array()
    assert image.shape == (k, k)
    assert image.mask.diagonal().all()
    names = [int(label.get_text()) for label in figure.axes[0].get_yticklabels()]
    assert sorted(names) == (list(range(1, k + 1)) if k <= 60 else [])
    if names:
        assert abs(names.index(1) - names.index(k)) == 1
    counts = [bar.get_width() for bar in figure.axes[1].patches]
    assert sum(counts) == k
    assert counts[0] >= 2
    assert f"{k} clones were called" in figure.get_suptitle()


def test_resolution_of_one_clone_says_so():
    cells = cells_of([1] * 5, [[100, 0, 0]]).assign(**{f"{name}_se": 10.0 for name in RGB})
    assert "fewer than two clones" in plot_resolution(clone_resolution(cells)).axes[0].texts[0].get_text()


def rehearsed_of(true, called, probability=1.0, *, means=None, main=True) -> pd.DataFrame:
    """Rehearsed calls; 0 is no clone, which is unmarked where true and unassigned where called."""
    true, called = np.asarray(true), np.asarray(called)
    marked = pd.Series(true, dtype="Int64").where(true > 0)
    table = pd.DataFrame({"true_clone": marked, "true_reason": "no marker above noise", "main_founder": main})
    table["true_reason"] = table["true_reason"].where(true == 0)
    if means is not None:
        rng = np.random.default_rng(0)
        light = np.asarray(means, dtype=float)[true - 1]
        table[RGB] = light + rng.normal(0, 0.1, light.shape) * light.max(axis=1, keepdims=True)
    table["clone"] = pd.Series(called, dtype="Int64").where(called > 0)
    return table.assign(clone_probability=probability)


def contours_of(figure) -> list[Ellipse]:
    return [p for p in figure.axes[0].patches if type(p) is Ellipse and not p.get_fill()]


@pytest.mark.parametrize("seed", [2, 4])
def test_cells_on_a_line_have_a_contour(seed):
    along = np.random.default_rng(seed).normal(0, 1, 200)
    places = np.outer(along, [0.5e4, 1e4 * np.sqrt(0.75)])
    _, covariance, radii = contour(places)
    held = np.quantile(abs(along - np.median(along)), [0.68, 0.95])
    np.testing.assert_allclose(np.sqrt(np.trace(covariance)) * radii, 1e4 * held, rtol=1e-6)


def test_a_contour_holds_its_share_of_the_cells():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(4000, 2)) @ np.array([[3.0, 1.0], [0.0, 0.5]]) + [2, -1]
    places[:40] += 500
    centre, covariance, radii = contour(places)
    np.testing.assert_allclose(centre, [2, -1], atol=0.2)
    off = places - centre
    radius = np.sqrt((off @ np.linalg.inv(covariance) * off).sum(axis=1))
    assert (radius < radii[0]).mean() == pytest.approx(0.68, abs=0.01)
    assert (radius < radii[1]).mean() == pytest.approx(0.95, abs=0.01)
    assert np.sqrt(covariance[0, 0]) < 6


@pytest.mark.parametrize("draw", [ternary, hue_saturation])
def test_rehearsed_cells_give_contours_and_a_spot_for_the_mean(draw):
    means = [[60, 40, 30], [30, 80, 50]]
    clones = clones_of(means).assign(n_cells=[400, 25])
    cells = cells_of([1] * 8 + [2, None], means)
    assert not contours_of(draw(cells, clones))
    figure = draw(cells, clones, rehearsed=rehearsed_of([1] * 900 + [2] * 600 + [0], [1] * 1501, means=means))
    ellipses = [p for p in figure.axes[0].patches if type(p) is Ellipse]
    assert len(ellipses) == 6
    inner, outer, spot, _, _, wide = ellipses
    assert inner.width < outer.width
    # 400 and 25 cells: the mean of the second is four times as unsure
    assert outer.width / spot.width == pytest.approx(20, rel=1e-6)
    assert wide.width / spot.width == pytest.approx(4, rel=0.4)
    few = draw(cells, clones, rehearsed=rehearsed_of([1] * 100 + [2] * 5, [1] * 105, means=means))
    assert len(contours_of(few)) == 2


def test_hue_and_saturation_are_angle_and_radius_of_markers_on_their_own_scale():
    means = [[900, 0, 0], [0, 50, 0], [0, 0, 200], [900, 50, 200]]
    figure = hue_saturation(cells_of([1, 2, 3, 4, None] * 20, means), clones_of(means))
    dots = figure.axes[0].collections[-1].get_offsets()
    third = np.sqrt(3) / 2
    np.testing.assert_allclose(dots[:4], [[0, 1], [-third, -0.5], [third, -0.5], [0, 0]], atol=1e-9)
    assert figure.axes[0].get_title(loc="left") == "100 cells; grey: 20 unassigned"
    assert "no cell has a measured colour" in hue_saturation(cells_of([], means)).axes[0].texts[0].get_text()


@pytest.mark.parametrize("markers", [["red", "green"], ["red", "green", "blue", "far_red"]])
def test_hue_is_of_three_markers(markers):
    cells = cells_of([1], np.eye(len(markers)), markers)
    with pytest.raises(DataError, match=rf"three markers, found {len(markers)} \(red, green.*with ternary"):
        hue_saturation(cells)


def test_clones_that_are_taken_for_each_other_are_neighbours():
    true = np.repeat([1, 2, 3, 4, 5, 0], 100)
    called = true.copy()
    called[:30] = 4
    called[300:310] = 0
    figure = plot_confusion(rehearsed_of(true, called), clones_of(np.eye(5, 3) + 1))
    axes = figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert rows[-1] == "no marker, n = 100"
    assert columns == [*rows[:-1], "unassigned"]
    assert abs(rows.index("1") - rows.index("4")) == 1
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[rows.index("1"), columns.index("4")] == pytest.approx(0.3)
    assert shares[rows.index("4"), -1] == pytest.approx(0.1)
    assert shares[-1, -1] == 1
    assert "93.9 % of the rehearsed calls" in figure.get_suptitle()


def test_of_many_clones_the_confused_ones_are_shown():
    true = np.repeat(np.arange(1, 151), 50)
    called = true.copy()
    called[true == 150] = 149
    called[np.flatnonzero(true == 7)[:2]] = 90
    figure = plot_confusion(rehearsed_of(true, called))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == 40
    assert {"149", "150", "7", "90"} <= set(names)
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()][-2:] == ["other clones", "unassigned"]
    assert "40 most confused of 150" in figure.get_suptitle()
    assert "110 not shown" in figure.get_suptitle()


def test_confusion_of_one_clone_and_of_none():
    assert plot_confusion(rehearsed_of([1, 1], [1, 0])).axes[0].images[0].get_array().tolist() == [[0.5, 0.5]]
    assert "no cell of a clone" in plot_confusion(rehearsed_of([0], [0])).axes[0].texts[0].get_text()


@pytest.mark.parametrize(("right", "error"), [(0.8, 0.0), (0.6, 20.0)])
def test_reliability_tells_the_calibration_error(right, error):
    n = 1000
    called = np.where(np.arange(n) < right * n, 1, 2)
    rehearsed = rehearsed_of([*[1] * n, 1], [*called, 0], 0.8)
    figure = plot_reliability(rehearsed)
    assert f"Calibration error: {error:.1f} percentage points" in figure.axes[0].get_title(loc="left")
    interval, dot = figure.axes[0].lines[1:3]
    assert dot.get_ydata()[0] == pytest.approx(right)
    low, high = interval.get_ydata()
    assert low < right < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(right * (1 - right) / n), rel=0.02)
    assert "1,000 rehearsed calls" in figure.axes[1].get_title(loc="left")


def test_a_call_is_right_only_for_the_main_founder():
    half = rehearsed_of([1] * 100, [1] * 100, 0.5, main=np.arange(100) < 50)
    assert "error: 0.0" in plot_reliability(half).axes[0].get_title(loc="left")
    assert "no rehearsed cell" in plot_reliability(rehearsed_of([1], [0])).axes[0].texts[0].get_text()


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(0.05, 0.45, ["5%", "10%", "20%"]), (0.0001, 0.9, ["0.01%", "0.1%", "1%", "10%"])],
    ids=["less than a decade", "many decades"],
)
def test_shares_on_a_log_axis_are_percents(low, high, shown):
    figure = new_figure(3, 3)
    axes = figure.add_subplot()
    axes.plot([0, 1], [low, high])
    log_scale(axes, say=say_share)
    axes.set_ylim(low, high)
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    ticks = [(tick.get_loc(), tick.label1.get_text()) for tick in axes.yaxis.get_major_ticks()]
    assert [text for at, text in ticks if low <= at * 1.0001 and at <= high] == shown
    assert {tick.label1.get_text() for tick in axes.yaxis.get_minor_ticks()} == {""}
