"""Plans: published curves, planted truth, calibrated tests, and words that follow from the figures."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from rgbtrack import (
    PlanParams,
    RgbtrackWarning,
    clone_response,
    plan_experiment,
    response_heterogeneity,
)
from rgbtrack.plan import summary_tables
from rgbtrack.plan.collisions import (
    Palettes,
    chance_merged,
    draw_colours,
    draw_palettes,
    example_table,
    founder_table,
    kind_table,
    pairs_told_apart,
)
from rgbtrack.plan.power import power_tables, simulate_counts
from rgbtrack.plan.response import compare_arms, compare_cells, turn_animals
from rgbtrack.plot import plot_plan, save_figure

QUICK = {"founders": 8, "n_simulations": 50}


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def plan():
    """A plan of few simulations."""
    return plan_experiment(PlanParams(**QUICK))


# colours


@pytest.mark.parametrize(
    ("copies", "published"),
    [
        pytest.param(2, (0.953, 0.862, 0.713, 0.561), id="2 copies a vector"),
        pytest.param(8, (0.827, 0.494, 0.211, 0.067), id="8 copies a vector"),
    ],
)
def test_the_published_curve(copies, published):
    """Tetbow, eLife 2018, figure 1G: Poisson copies of equal expression, colours that sum to 1, Euclidean."""
    params = PlanParams(share_transduced=1 - np.exp(-copies), copy_sd=0, **QUICK)
    told = np.mean(
        [pairs_told_apart(draw_colours(params, 1000, rng(seed)), (0.1, 0.2, 0.3, 0.4)) for seed in range(8)],
        axis=0,
    )
    np.testing.assert_allclose(told, published, atol=0.02)


def test_the_plan_holds_the_published_curve():
    params = PlanParams(share_transduced=1 - np.exp(-2), copy_sd=0, founders=2, n_simulations=50)
    table = plan_experiment(params).pairs.set_index("distance")["told_apart"]
    np.testing.assert_allclose(table[[0.1, 0.2, 0.3, 0.4]], (0.953, 0.862, 0.713, 0.561), atol=0.02)


def test_founders_without_a_copy_are_no_pair():
    colours = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 2, 0]])
    np.testing.assert_allclose(pairs_told_apart(colours, [0.1, 1.5]), [2 / 3, 0])


def palette(groups, n_palettes=1):
    """Founders that are the same within a group, and unlike all others."""
    groups = np.asarray(groups)
    distance = np.where(groups[:, None] == groups[None], 0.0, 50.0)
    shape = (n_palettes, len(groups))
    distances = np.broadcast_to(distance, (*shape, len(groups)))
    return Palettes((1.0 + groups[None, :, None]) * np.ones((*shape, 3)), np.ones(shape), distances)


def test_look_alikes_are_counted():
    r"""Founders A A B C C C: three clones, one of them one founder; pairs A-A and C-C, C-C, C-C."""
    table = founder_table(palette([0, 0, 1, 2, 2, 2]), [3, 6], PlanParams(), rng())
    np.testing.assert_allclose(table["distinguishable"], [2, 3], atol=0.15)
    np.testing.assert_allclose(table["merged_pairs"], [1, 4], atol=0.3)
    np.testing.assert_allclose(table["founder_unique"], [1 / 3, 1 / 6], atol=0.05)
    np.testing.assert_allclose(table["clone_unique"], [1 / 2, 1 / 3], atol=0.05)


def test_an_example_names_whom_a_founder_looks_like():
    table = example_table(palette([0, 1, 0, 1, 2]), PlanParams(founders=5))
    assert table["looks_like"].tolist() == [pd.NA, pd.NA, 1, 2, pd.NA]
    assert table["share"].sum() == pytest.approx(1)


def test_expectation_is_what_chance_gives():
    """The number of clones agrees with founders that are merged one by one, by throwing dice."""
    params = PlanParams(founders=15)
    drawn = draw_palettes(params, 200, 15, rng(1))
    merged = chance_merged(drawn, 15, params)
    np.testing.assert_array_equal(merged, merged.transpose(0, 2, 1))
    alike = np.triu(rng(2).random(merged.shape) < merged)
    clones = (~alike.any(axis=1)).sum(axis=1)
    alone = ~(alike | alike.transpose(0, 2, 1)).any(axis=1)
    row = founder_table(drawn, [15], params, rng(3)).iloc[0]
    assert row["distinguishable"] == pytest.approx(clones.mean(), abs=0.25)
    assert row["founder_unique"] == pytest.approx(alone.mean(), abs=0.02)
    assert row["merged_pairs"] == pytest.approx(alike.sum() / 200, abs=0.5)
    low, high = np.quantile(clones, [0.05, 0.95])
    assert (row["distinguishable_low"], row["distinguishable_high"]) == pytest.approx((low, high), abs=1)


def expected_clones(**changed):
    params = PlanParams(**{"founders": 20, **changed})
    return founder_table(draw_palettes(params, 60, 20, rng()), [20], params, rng())["distinguishable"].item()


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"n_markers": 2}, {"n_markers": 4}),
        ({"share_transduced": 0.1}, {"share_transduced": 0.7}),
        ({"colour_sd": 0.3}, {"colour_sd": 0.05}),
        ({"snr": 3}, {"snr": 100}),
        ({"brightness_sd": 1.0}, {"brightness_sd": 0.1}),
        ({"cells": 20, "subjects": 2}, {"cells": 2000}),
    ],
    ids=lambda changed: ",".join(changed),
)
def test_what_helps_to_tell_founders_apart(worse, better):
    assert 1 <= expected_clones(**worse) < expected_clones(**better) <= 20


def test_founders_of_many_markers_are_unique_more_often(plan):
    kinds = plan.kinds
    assert kinds["markers_carried"].tolist() == [1, 2, 3]
    assert kinds["share"].sum() == pytest.approx(1)
    assert kinds["founder_unique"].is_monotonic_increasing
    p = 0.5  # of marked founders, with each vector
    marked = 1 - (1 - p) ** 3
    np.testing.assert_allclose(
        kinds["share"], [3 * p * (1 - p) ** 2 / marked, 3 * p**2 * (1 - p) / marked, p**3 / marked], atol=0.03
    )
    row = plan.founders.set_index("founders").loc[8]
    assert kinds["founder_unique"] @ kinds["share"] == pytest.approx(row["founder_unique"])


def test_kinds_that_never_occur_are_not_listed():
    params = PlanParams(share_transduced=0.01, founders=12)
    assert kind_table(draw_palettes(params, 5, 12, rng()), params)["markers_carried"].max() < 3


# animals


def counts(params=PlanParams(), n_clones=8, n_animals=8, n_experiments=400, seed=0):
    return simulate_counts(params, n_clones, n_animals, n_experiments, rng(seed))


def test_simulated_animals_are_as_planned():
    params = PlanParams(effect=4, responders=0.25, size_sd=0, concentration=100, cells=100_000)
    drawn = counts(params)
    share = drawn.control / params.cells
    assert drawn.control.shape == (400, 8, 8)
    assert (drawn.control.sum(axis=2) == params.cells).all()
    assert share.mean() == pytest.approx(1 / 8)
    assert share.std() == pytest.approx(np.sqrt(1 / 8 * 7 / 8 / 101), rel=0.05)
    assert (drawn.responds.sum(axis=1) == 2).all()
    assert sorted(drawn.treated) == [1, 2, 4, 16]
    rows = np.broadcast_to(drawn.responds[:, None], share.shape)
    odds = drawn.treated[4.0][rows].mean() / drawn.treated[4.0][~rows].mean()
    null = drawn.treated[1.0][rows].mean() / drawn.treated[1.0][~rows].mean()
    assert odds / null == pytest.approx(4, rel=0.03)


def test_only_the_largest_clones_are_tested():
    drawn = counts(PlanParams(clones=3), n_experiments=50)
    assert drawn.control.shape[2] == drawn.responds.shape[1] == 3
    assert drawn.control.mean(axis=(0, 1))[0] > 250 * 1.5


def test_turns_keep_length_and_the_first_is_the_arms():
    turns = turn_animals(3, 3, rng())
    np.testing.assert_allclose(turns[0], np.repeat([-1, 1], 3) / np.sqrt(6))
    np.testing.assert_allclose(turns.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(turns, axis=1), 1)
    assert turns.shape == (200, 6)


def test_clone_tests_are_moderated():
    """Clones that scatter alike share their scatter: as sure as if many animals had told it."""
    draw = rng()
    control, treated = (draw.poisson(400 * np.exp(draw.normal(0, 0.3, (200, 3, 20)))) for _ in range(2))
    p, _ = compare_arms(control, treated, turn_animals(3, 3, rng()))
    assert 0.035 < (p < 0.05).mean() < 0.065
    treated[..., 0] *= 3
    found, _ = compare_arms(control, treated, turn_animals(3, 3, rng()))
    logs = np.log(np.concatenate([control, treated], axis=1) + 0.5)
    ratios = logs - logs.mean(axis=2, keepdims=True)
    welch = stats.ttest_ind(ratios[:, 3:], ratios[:, :3], axis=1, equal_var=False).pvalue
    assert (found[:, 0] < 0.05).mean() > (welch[:, 0] < 0.05).mean() + 0.1


def test_as_sure_as_the_tests_of_a_run():
    """The plan tests as `clone_response` does: it finds about as many responses."""
    drawn = counts(PlanParams(concentration=100), n_animals=4, n_experiments=25)
    turns = turn_animals(4, 4, rng())
    clone_p, overall_p = compare_arms(drawn.control, drawn.treated[3.0], turns)
    found, any_ = [], []
    for k in range(25):
        both = np.concatenate([drawn.control[k], drawn.treated[3.0][k]])
        n, clones = both.shape
        sizes = pd.DataFrame(
            {
                "clone": np.tile(np.arange(clones), n),
                "subject": np.repeat(np.arange(n).astype(str), clones),
                "treatment": np.repeat(["a", "b"], n * clones // 2),
                "n_cells": both.ravel(),
            }
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            found.append(clone_response(sizes, control="a")["p_value"].fillna(1).to_numpy())
        any_.append(response_heterogeneity(sizes, control="a", rotations=299)["p_value"].iloc[0])
    responds = drawn.responds
    assert abs((np.array(found)[responds] < 0.05).mean() - (clone_p[responds] < 0.05).mean()) < 0.12
    assert abs((np.array(any_) < 0.05).mean() - (overall_p < 0.05).mean()) < 0.2


def test_cells_are_compared_by_chi_square():
    drawn = counts(n_animals=4, n_experiments=5)
    p = compare_cells(drawn.control, drawn.treated[1.0])
    for k in range(5):
        arms = np.array([drawn.control[k].sum(axis=0), drawn.treated[1.0][k].sum(axis=0)])
        assert p[k] == pytest.approx(stats.chi2_contingency(arms).pvalue, abs=1e-12)


def test_clones_without_a_cell_do_no_harm():
    empty = np.zeros((1, 3, 4), dtype=np.int64)
    clone_p, overall_p = compare_arms(empty, empty, turn_animals(3, 3, rng()))
    np.testing.assert_array_equal(clone_p, 1)
    np.testing.assert_array_equal(overall_p, 1)
    one = empty.copy()
    one[..., 0] = 50
    assert compare_cells(one, one).item() == 1


def test_a_change_of_one_clone_is_not_laid_on_the_others():
    """Clone 1 grows tenfold: the shares of all others fall, their odds among each other do not."""
    control = rng().poisson(500, (1, 6, 5))
    treated = rng(1).poisson(500, (1, 6, 5))
    treated[..., 0] *= 10
    clone_p, overall_p = compare_arms(control, treated, turn_animals(6, 6, rng()))
    assert clone_p[0, 0] < 1e-6
    assert clone_p[0, 1:].min() > 0.01
    assert overall_p.item() < 0.01


@pytest.fixture(scope="module")
def calibration():
    """Power and false positives of many experiments."""
    return power_tables(PlanParams(n_simulations=1000), 10, rng(5))


def test_false_positives_are_those_allowed(calibration):
    _, false = calibration
    assert false["subjects"].tolist() == [3, 4, 5, 6, 8, 10, 12, 16, 20]
    for name in ("overall", "any_clone"):
        assert (false[name] < 0.05 + 3 * false[f"{name}_se"]).all(), false
    assert (false.loc[false["subjects"] >= 6, "overall"] > 0.03).all()
    assert (false["cells"] > 0.9).all()


def test_power_grows_with_animals_and_effect(calibration):
    power, _ = calibration
    for name in ("power", "clones_found"):
        table = power.pivot_table(index="subjects", columns="effect", values=name)
        assert (table.diff().iloc[1:] > -0.03).all(axis=None), table
        assert (table.T.diff().iloc[1:] > -0.03).all(axis=None), table
    assert power["power"].iloc[-1] > 0.99
    assert power["false_discoveries"].max() < 0.09


def test_errors_are_those_of_chance():
    """Standard errors are the spread of repeated plans."""
    params = PlanParams(n_simulations=50)
    runs = [power_tables(params, 4, rng(seed))[0] for seed in range(8)]
    rows = [(run["subjects"] == 5) & (run["effect"] == 3) for run in runs]
    found = np.array([run.loc[row, "power"].item() for run, row in zip(runs, rows, strict=True)])
    assert runs[0].loc[rows[0], "power_se"].item() == pytest.approx(found.std(ddof=1), rel=0.8)


def test_three_animals_are_few_but_not_none():
    made = plan_experiment(
        PlanParams(subjects=3, founders=6, concentration=200, effect=4, n_simulations=50, seed=1)
    )
    of_three = made.power[made.power["subjects"] == 3]
    assert 0 < of_three["power"].max() <= made.power.loc[made.power["subjects"] == 8, "power"].max()
    assert any("learnt from all clones together" in line for line in made.advice)


# the plan


def test_same_seed_same_plan(plan):
    again = plan_experiment(PlanParams(**QUICK))
    for name, table in plan.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])
    assert plan.advice == again.advice


def test_the_plan_itself_is_in_every_table(plan):
    params = plan.params
    assert params.founders in plan.founders["founders"].tolist()
    assert plan.founders["founders"].max() == 2 * params.founders
    assert len(plan.example) == params.founders
    assert {2, 3, 4} == set(plan.options["n_markers"])
    assert params.share_transduced in plan.options["share_transduced"].tolist()
    assert params.subjects in plan.power["subjects"].tolist()
    for table in plan.tables.values():
        numbers = table.select_dtypes("number").drop(columns="looks_like", errors="ignore")
        assert numbers.notna().all(axis=None)


def test_advice_follows_the_figures(plan):
    row = plan.founders.set_index("founders").loc[8]
    text = " ".join(plan.advice)
    assert f"expect {row['distinguishable']:.0f} clones" in text
    assert f"one founder with a chance of {100 * row['clone_unique']:.0f} %" in text
    assert "12 % of the cells carry no vector" in text
    assert "compare animals, never cells" in text


def test_more_founders_than_colours_are_told():
    crowded = plan_experiment(PlanParams(founders=40, n_markers=2, n_simulations=50, clones=40))
    text = " ".join(crowded.advice)
    assert "plan with at most" in text
    assert "3 markers, with" in text
    assert "40 clones are to be tested, but only" in text


def test_clean_colours_need_no_change():
    clean = plan_experiment(
        PlanParams(founders=4, n_markers=5, share_transduced=0.7, n_simulations=50, effect=30)
    )
    text = " ".join(clean.advice)
    assert "still one founder with 10 or more founders" in text
    assert "near the best" in text


# what is shown


def test_the_figure_shows_the_plan(plan, tmp_path, drawn):
    figure = plot_plan(plan)
    example, founders, options, power = figure.axes
    alike = plan.example["looks_like"].notna().sum()
    assert sum("=" in text.get_text() for text in example.texts[:-1]) == alike
    row = plan.founders.set_index("founders").loc[8]
    assert f"8 founders: {row['distinguishable']:.0f} clones" in founders.get_title(loc="left")
    assert [text.get_text() for text in options.get_legend().get_texts()] == [
        "2 markers",
        "3 markers (plan)",
        "4 markers",
    ]
    assert "odds times 3 (plan)" in [text.get_text() for text in power.get_legend().get_texts()]
    with drawn():
        svg, _ = save_figure(figure, tmp_path, "plan")
    assert "animals per arm" in svg.read_text(encoding="utf-8")


def test_the_figure_of_many_founders_shows_the_largest():
    params = PlanParams(founders=70)
    drawn = draw_palettes(params, 2, 140, rng())
    table = founder_table(drawn, [35, 70, 140], params, rng())
    example = example_table(drawn, params)
    small = plan_experiment(PlanParams(founders=2, n_simulations=50))
    many = replace(small, params=params, founders=table, example=example)
    assert plot_plan(many).axes[0].get_title(loc="left").startswith("Example of 60 of 70 founders")


def test_summary_is_rounded(plan):
    clones, options, power = summary_tables(plan).values()
    assert clones["founders"].tolist()[-1] == 16
    assert 8 in clones["founders"].tolist()
    assert options["markers"].tolist() == [2, 3, 4]
    assert power["animals"].tolist() == [3, 4, 5, 6, 8, 10, 12, 16, 20]
    assert ((power.drop(columns="animals") >= 0) & (power.drop(columns="animals") <= 100)).all(axis=None)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"n_markers": 1}, "n_markers"),
        ({"n_markers": 8}, "n_markers"),
        ({"share_transduced": 1.0}, "share_transduced"),
        ({"founders": 1}, "founders"),
        ({"responders": 0.6}, "responders"),
        ({"effect": 1.0}, "effect is 1, which is none: give a number above or below"),
        ({"founders": 5, "clones": 6}, "clones is 6, founders 5: each clone needs a founder"),
        ({"animals": 3}, "animals"),
    ],
    ids=str,
)
def test_wrong_settings(changed, match):
    with pytest.raises(ValidationError, match=match):
        PlanParams(**changed)


def test_limits_of_many_founders_hold_what_is_expected():
    table = plan_experiment(PlanParams(founders=300, n_simulations=50)).founders
    low, high = table["distinguishable_low"], table["distinguishable_high"]
    assert table["distinguishable"].between(low - 0.01, high + 0.01).all()
