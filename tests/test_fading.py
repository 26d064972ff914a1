"""Depth attenuation and bleaching: planted rates, honest errors, nothing where nothing fades."""

import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, ParamError, correct_stack, measure_signatures, simulate_scene
from rgbtrack.correct.faded_cells import MAX_CELLS, estimate_attenuation, estimate_bleaching
from rgbtrack.correct.fading import fade, given_attenuation, judge_rates, pool_fadings
from rgbtrack.plot import plot_fading
from rgbtrack.signature import unmix
from rgbtrack.signature.unfade import unfade_cells
from rgbtrack.simulate import PRESETS

NAMES = ["red", "green", "blue"]
MATRIX = pd.DataFrame([[1, 0.02, 0], [0.03, 1, 0.1], [0, 0.03, 1]], index=NAMES, columns=NAMES)
RATES = np.array([1 / 110, 1 / 80, 1 / 60])


def planted(rates, *, n=240, depth=50.0, frames=1, seed=0) -> pd.DataFrame:
    """Cells of ten patchy clones 30-fold apart in brightness, in a stack that fades; or in frames that bleach."""
    rng = np.random.default_rng(seed)
    colours = rng.lognormal(0, 0.9, (10, 3)) * (rng.random((10, 3)) < 0.6) * 800
    place = rng.uniform(0, 1, (n, 3)) * [depth if frames == 1 else 0.0, 200, 200]
    waves = rng.normal(0, 0.03, (10, 3))
    clone = (1.5 * np.sin(place @ waves.T + 6 * rng.random(10)) + rng.gumbel(size=(n, 10))).argmax(1)
    light = colours[clone] * np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, 0.1, (n, 3)))
    parts = []
    for t in range(frames):
        x = light * np.exp(-rates * t) if frames > 1 else light
        raw = x @ MATRIX.to_numpy().T
        if frames == 1:
            raw = raw * np.exp(-np.outer(place[:, 0], rates))
        variance = np.maximum(raw, 0) / 10 + 60
        raw = raw + rng.normal(size=raw.shape) * np.sqrt(variance)
        x, s = unmix(raw, variance, MATRIX.to_numpy())
        part = pd.DataFrame(
            np.column_stack([place, raw]), columns=["z_um", "y_um", "x_um", *(f"{m}_raw" for m in NAMES)]
        )
        for j, name in enumerate(NAMES):
            part[name], part[f"{name}_se"] = x[:, j], np.sqrt(s[:, j, j])
        here = rng.random(n) < 0.9  # cells enter and leave
        parts.append(part.assign(frame=t, clone=clone)[here])
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def faded():
    """A stack in which light fades as in tissue."""
    return planted(RATES)


# ---- planted truth


def test_rates_of_depth_are_found_and_their_errors_are_honest():
    found = [estimate_attenuation(planted(RATES, n=150, seed=seed)) for seed in range(12)]
    rates = np.array([one.estimate for one in found])
    assert rates.mean(0) == pytest.approx(RATES, abs=0.0025)
    contrast = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -1, 0], [0, 1, -1]])
    z = [
        contrast @ (one.estimate - RATES) / np.sqrt(np.diag(contrast @ one.covariance @ contrast.T))
        for one in found
    ]
    assert 0.7 < np.std(z) < 1.3
    difference = rates[:, 2] - rates[:, 0]
    assert difference.std() < 0.7 * rates.std(0).mean()  # colour is better known than brightness


def test_where_nothing_fades_nothing_is_undone():
    found = [estimate_attenuation(planted(np.zeros(3), n=120, seed=seed)) for seed in range(12)]
    assert sum(one.evident.any() for one in found) <= 1
    quiet = next(one for one in found if not one.evident.any())
    assert (quiet.rate == 0).all()
    assert np.isinf(quiet.length).all()
    assert "no fading beyond 3 standard errors" in quiet.reason


def test_a_stack_that_runs_towards_the_lens_has_negative_rates(faded):
    turned = faded.assign(z_um=50 - faded["z_um"])
    found, back = estimate_attenuation(faded), estimate_attenuation(turned)
    assert back.estimate == pytest.approx(-found.estimate, rel=1e-3, abs=1e-5)
    assert (back.length < 0).all()
    assert "towards the lens" in back.reason


def test_common_gain_units_and_order_change_nothing(faded):
    found = estimate_attenuation(faded)
    louder = faded.copy()
    for name in NAMES:
        louder[[f"{name}_raw", f"{name}_se"]] *= 7.0
    assert estimate_attenuation(louder).estimate == pytest.approx(found.estimate, rel=1e-4)
    shifted = estimate_attenuation(faded.assign(z_um=faded["z_um"] + 30))
    assert shifted.estimate == pytest.approx(found.estimate, rel=1e-3)
    other = faded[["z_um", "y_um", "x_um", *(f"{m}{e}" for m in NAMES[::-1] for e in ("", "_se", "_raw"))]]
    assert estimate_attenuation(other).estimate[::-1] == pytest.approx(found.estimate, rel=1e-3)


def test_bleaching_of_each_marker_is_found_without_tracks():
    rates = -np.log1p(-np.array([0.02, 0.08, 0.0]))
    found = [estimate_bleaching(planted(rates, n=60, frames=8, seed=seed)) for seed in range(4)]
    assert np.mean([one.estimate for one in found], axis=0) == pytest.approx(rates, abs=0.005)
    for one in found:
        assert (np.abs(one.estimate - rates) < 3.5 * one.se).all()
        assert one.evident[1]
        assert one.unit == "frame"
    still = estimate_bleaching(planted(np.zeros(3), n=60, frames=8, seed=9))
    assert not still.evident.any()


def test_many_cells_are_drawn_whole_track_by_track():
    table = planted(np.array([0.0, 0.08, 0.0]), n=260, frames=4)
    found = estimate_bleaching(table)
    assert MAX_CELLS - 10 < found.n_cells <= MAX_CELLS
    assert found.estimate[1] == pytest.approx(0.08, abs=0.03)


def test_images_are_pooled_by_their_precision():
    parts = [estimate_attenuation(planted(RATES, n=80, seed=seed)) for seed in range(20, 26)]
    pooled = pool_fadings(parts)
    assert (pooled.se < min(part.se.min() for part in parts)).all()
    assert pooled.estimate == pytest.approx(RATES, abs=0.005)
    assert pooled.evident.all()
    assert pooled.n_cells == sum(part.n_cells for part in parts)
    empty = estimate_attenuation(planted(RATES, n=10))
    assert pool_fadings([*parts, empty]).estimate == pytest.approx(pooled.estimate)
    assert np.isnan(pool_fadings([empty]).estimate).all()


def test_images_that_disagree_widen_the_error():
    same = [estimate_attenuation(planted(RATES, seed=seed)) for seed in range(2)]
    apart = [same[0], estimate_attenuation(planted(4 * RATES, seed=1))]
    assert (pool_fadings(apart).se > 2 * pool_fadings(same).se).all()


def test_a_channel_without_light_is_left_alone(faded):
    dark = faded.assign(green_raw=0.1, green_se=5.0)
    found = estimate_attenuation(dark)
    assert np.isnan(found.estimate[1])
    assert list(found.evident) == [True, False, True]
    assert found.estimate[2] - found.estimate[0] == pytest.approx(RATES[2] - RATES[0], abs=0.004)
    pooled = pool_fadings([found, estimate_attenuation(faded)])
    assert np.isfinite(pooled.estimate).all()
    assert np.isnan(pool_fadings([found, found]).estimate[1])


def test_colours_that_fade_apart_are_undone_though_the_common_rate_is_not_known():
    """Differences known to .001, what all share to .02: the sum of both is in every single rate."""
    covariance = 0.02**2 * np.ones((3, 3)) + 0.001**2 * np.eye(3)
    found = judge_rates(tuple(NAMES), "um", np.array([-0.003, 0.003, 0.009]), covariance, 100, 50.0)
    assert "how much all fade together is not known" in found.reason
    assert found.rate == pytest.approx([0, 0.006, 0.012], abs=1e-4)
    assert list(found.evident) == [False, True, True]
    known = judge_rates(tuple(NAMES), "um", np.array([0.017, 0.023, 0.029]), covariance / 100, 100, 50.0)
    assert known.rate == pytest.approx(known.estimate, rel=0.01)
    assert "light left over the depth of the stack: red 43 %" in known.reason


# ---- undoing it


def test_unfading_a_table_is_what_brighter_detectors_would_have_given(faded):
    light = fade(faded["z_um"], RATES).T
    raw = faded[[f"{m}_raw" for m in NAMES]].to_numpy()
    variance = np.maximum(raw, 0) / 10 + 60
    want, s = unmix(raw / light, variance / light**2, MATRIX.to_numpy())
    x, s0 = unmix(raw, variance, MATRIX.to_numpy())
    table = faded.assign(**dict(zip(NAMES, x.T, strict=True)))
    for i, a in enumerate(NAMES):
        table[f"{a}_se"] = np.sqrt(s0[:, i, i])
        for j, b in enumerate(NAMES[:i]):
            table[f"cov_{b}_{a}"] = s0[:, i, j]
    result = unfade_cells(table, light, MATRIX)
    assert result[NAMES].to_numpy() == pytest.approx(want)
    assert result["blue_se"].to_numpy() == pytest.approx(np.sqrt(s[:, 2, 2]))
    assert result["cov_red_green"].to_numpy() == pytest.approx(s[:, 0, 1])
    assert table["red"].to_numpy() == pytest.approx(x[:, 0])  # the table given is left alone


def test_markers_that_bleached_are_divided(faded):
    light = np.full((len(faded), 3), [1.0, 0.5, 0.25])
    result = unfade_cells(faded, light)
    assert result[NAMES].to_numpy() == pytest.approx(faded[NAMES].to_numpy() / light)
    assert result["blue_se"].to_numpy() == pytest.approx(faded["blue_se"].to_numpy() * 4)


def test_a_simulated_stack_is_evened_out():
    params = PRESETS["volume"].model_copy(update={"attenuation_um": 25.0, "size_px": 256})
    scene = simulate_scene(params, seed=5)
    names = dict(zip(NAMES, params.markers, strict=True))
    matrix = scene.bleed_through.set_axis(NAMES).set_axis(NAMES, axis=1)
    cells = measure_signatures(correct_stack(scene.stack.select(names), bleed_through=matrix), scene.labels)
    found = estimate_attenuation(cells)
    true = 1 / (25.0 * np.array([2, 1.5, 1]))
    assert found.evident.all()
    assert (np.abs(found.estimate - true) < 3.5 * found.se).all()
    assert found.estimate[2] - found.estimate[0] == pytest.approx(true[2] - true[0], rel=0.4)
    after = unfade_cells(cells, fade(cells["z_um"], found.rate).T, matrix)
    again = estimate_attenuation(after.assign(**{f"{m}_raw": after[m] for m in NAMES}))
    assert np.abs(again.estimate).max() < 0.4 * true.min()


# ---- tables that cannot tell


def test_tables_that_cannot_tell_say_why(faded):
    assert "fewer than three depths" in estimate_attenuation(faded.assign(z_um=0.0)).reason
    assert "are needed" in estimate_attenuation(faded.head(20)).reason
    assert "fewer than three depths" in estimate_attenuation(faded.head(0)).reason
    alone = estimate_attenuation(faded.assign(saturated=True))
    assert alone.n_cells == 0
    noise = faded.assign(**{f"{m}_se": 1e6 for m in NAMES})
    assert "0 cells above noise" in estimate_attenuation(noise).reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="green_raw"), "lacks column green_raw"),
        (lambda table: table.drop(columns=[f"{m}_se" for m in NAMES]), "no marker with a standard error"),
        (lambda table: table.assign(image_id=["a", "b"] * (len(table) // 2)), "holds 2 images"),
    ],
)
def test_tables_that_are_wrong_are_refused(faded, change, message):
    table = faded.iloc[: len(faded) // 2 * 2]
    with pytest.raises(DataError, match=message):
        estimate_attenuation(change(table))


@pytest.mark.parametrize("length", [0.0, -60.0, np.nan])
def test_given_lengths_must_be_positive(length):
    with pytest.raises(ParamError, match="must be positive, found blue"):
        given_attenuation({"red": 110.0, "blue": length})


def test_given_lengths_are_taken():
    given = given_attenuation({"red": 100.0, "blue": np.inf})
    assert list(given.evident) == [True, False]
    assert fade([0, 100], given.rate) == pytest.approx(np.array([[1, np.exp(-1)], [1, 1]]))


def test_only_like_is_pooled_with_like(faded):
    depth = estimate_attenuation(faded)
    with pytest.raises(DataError, match="differ in channels or unit"):
        pool_fadings([depth, given_attenuation({"red": 100.0})])
    with pytest.raises(DataError, match="no image to pool"):
        pool_fadings([])


def test_light_must_fit_the_table(faded):
    with pytest.raises(DataError, match="give one number for each"):
        unfade_cells(faded, np.ones((3, 3)))
    with pytest.raises(DataError, match="must be positive"):
        unfade_cells(faded, np.zeros((len(faded), 3)))


# ---- figure


def test_figure_shows_the_numbers_and_draws_through_the_medians(faded):
    found = estimate_attenuation(faded)
    figure = plot_fading(faded, found)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split("\n")[0] for title in titles] == NAMES
    assert f"{found.length[2]:.0f} ± " in titles[2]
    before, after, fitted, _ = figure.axes[2].lines
    assert np.ptp(np.log(after.get_ydata())) < np.ptp(np.log(before.get_ydata()))
    assert fitted.get_ydata()[-1] / fitted.get_ydata()[0] == pytest.approx(
        np.exp(-found.rate[2] * np.ptp(fitted.get_xdata()))
    )


def test_figure_of_nothing_to_correct_says_so(faded):
    flat = estimate_attenuation(faded.assign(z_um=0.0))
    figure = plot_fading(faded, flat)
    assert all("left as it is" in axes.get_title(loc="left") for axes in figure.axes)
    empty = plot_fading(faded.head(0), flat)
    assert "no cells" in empty.axes[0].texts[0].get_text()
    with pytest.raises(DataError, match="lacks column z_um"):
        plot_fading(faded.drop(columns="z_um"), flat)


def test_figure_of_frames_tells_the_share_lost_and_an_empty_channel():
    table = planted(np.array([0.02, 0.1, 0.0]), n=60, frames=6)
    figure = plot_fading(table.assign(blue_se=1e9), estimate_bleaching(table))
    assert "% lost a frame" in figure.axes[1].get_title(loc="left")
    assert figure.axes[2].texts[0].get_text() == "no cells above noise"
