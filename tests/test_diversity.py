import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import comb
from scipy.stats import binom, entropy, hypergeom, ttest_ind, ttest_rel

from rgbtrack import DataError, DiversityParams, ParamError, RgbtrackWarning, clone_diversity, clone_turnover
from rgbtrack.dynamics import (
    CAUTION,
    diversity_by_treatment,
    rank_abundance,
    size_departure,
    size_spectrum,
    subject_similarity,
    turnover_by_treatment,
)
from rgbtrack.dynamics.coverage import abundances, drawn_entropy, missed, sample_coverage
from rgbtrack.dynamics.hill import hill_numbers, spread_of_sums, suggested_composition, sums_over_clones
from rgbtrack.dynamics.turnover import by_chance, similarities
from rgbtrack.plot import plot_diversity, plot_ranks, plot_spectrum, plot_turnover
from rgbtrack.tables import (
    DIVERSITY,
    RANK_ABUNDANCE,
    SIZE_DEPARTURE,
    SIZE_SPECTRUM,
    SUBJECT_SIMILARITY,
    TURNOVER,
)

SPIDERS = np.array([46, 22, 17, 15, 15, 9, 8, 6, 6, 4, *[2] * 4, *[1] * 12])
"""Spiders under girdled trees, the example of Chao et al. (2014)."""


def sample(counts, subject="m1", treatment="vehicle", timepoint=0, **more):
    table = pd.DataFrame({"clone": np.arange(1, len(counts) + 1), "n_cells": counts})
    return table.assign(subject=subject, treatment=treatment, timepoint=timepoint, **more)


def study(arms=("vehicle", "drug"), subjects=4, times=(0, 7), clones=12, cells=400, seed=0, scatter=60.0):
    """Subjects that share clones and differ by a Dirichlet scatter; no treatment does anything."""
    rng = np.random.default_rng(seed)
    shared = rng.dirichlet(np.ones(clones))
    tables = []
    for arm in arms:
        for k in range(subjects):
            own = rng.dirichlet(scatter * shared + 0.02)
            for time in times:
                tables.append(sample(rng.multinomial(cells, own), f"{arm[0]}{k}", arm, time, site="primary"))
    return pd.concat(tables, ignore_index=True)


# --- Hill numbers -------------------------------------------------------------------------------------------


def test_published_estimates():
    found = hill_numbers(abundances(SPIDERS))
    assert found["observed"].value == pytest.approx([26, 12.060, 7.840], abs=0.001)
    assert found["estimated"].value == pytest.approx([43.893, 13.826, 8.175], abs=0.001)  # iNEXT's example
    assert sample_coverage(168, 12, 4) == pytest.approx(0.9289, abs=1e-4)


def test_rarefaction_is_the_mean_over_all_ways_to_draw():
    x, n = np.array([1, 2, 5, 12, 40]), 60
    for m in (2, 17, 59):
        k = np.arange(m + 1)
        chance = np.array([hypergeom.pmf(k, n, xi, m) for xi in x])
        share = k / m
        term = -share * np.log(np.where(share > 0, share, 1))
        assert drawn_entropy(x, n, m) == pytest.approx(chance @ term, rel=1e-6)
        assert missed(x, n, m) == pytest.approx(comb(n - x, m) / comb(n, m))


def test_expansion_of_large_clones_meets_the_sum():
    n, m, x = 40_000, 10_000, 130  # 32.5 expected: expanded
    k = np.arange(1, 131)
    exact = hypergeom.pmf(k, n, x, m) @ (-k / m * np.log(k / m))
    assert drawn_entropy(np.array([x]), n, m)[0] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("target", [0.6, 0.85, 0.95])
def test_standardised_meets_its_coverage_and_order(target):
    found = hill_numbers(abundances(SPIDERS), target)
    value = found["standardised"].value
    assert value[0] >= value[1] >= value[2]
    at = sample_coverage(168, 12, 4)
    compare = found["observed"].value
    assert (value < compare).all() if target < at else (value > compare).all()
    assert (found["standardised"].low < value).all()
    assert (value < found["standardised"].high).all()


def test_at_its_own_coverage_a_sample_is_as_observed():
    for near in (-1e-7, 0, 1e-7):
        found = hill_numbers(abundances(SPIDERS), sample_coverage(168, 12, 4) + near)
        assert found["standardised"].value == pytest.approx(found["observed"].value, rel=1e-4)


def test_spread_is_that_of_repeated_samples():
    one = abundances(SPIDERS)
    composition = suggested_composition(one)
    n, m = int(one.n), 60
    spread = spread_of_sums(composition, n, m)
    share = np.repeat(composition.expected, composition.clones.astype(int)) / n
    rng = np.random.default_rng(0)
    drawn = [rng.multinomial(n, share / share.sum()) for _ in range(4000)]
    sums = np.array([sums_over_clones(x[x > 0], n, m).sum(axis=0) for x in drawn[:1500]])
    assert np.sqrt(np.diag(spread)) == pytest.approx(sums.std(axis=0), rel=0.12)


@pytest.mark.parametrize(("clones", "cells"), [(15, 100), (15, 1000), (50, 300)])
def test_intervals_cover_what_was_planted(clones, cells):
    """At a coverage of 80 %: Hill numbers of so many cells that the true composition needs for it."""
    share = np.exp(np.random.default_rng(clones).normal(size=clones))
    share /= share.sum()
    truth = _at_coverage(share, 0.8)
    rng = np.random.default_rng(11)
    hit = np.zeros(3)
    for _ in range(250):
        found = hill_numbers(abundances(rng.multinomial(cells, share)), 0.8)["standardised"]
        hit += (found.low <= truth) & (truth <= found.high)
    assert (hit / 250 > 0.90).all()
    assert (hit / 250 < 0.995).all()


def _at_coverage(share, target):
    """Expected Hill numbers of a composition, between the two sizes around the coverage."""
    cover = [1 - (share * (1 - share) ** m).sum() for m in range(1, 400)]
    m = int(np.searchsorted(cover, target))
    ends = []
    for size in (m, m + 1):
        k = np.arange(1, size + 1)
        chance = np.array([binom.pmf(k, size, p) for p in share])
        h = (chance @ (-k / size * np.log(k / size))).sum()
        ends.append([(1 - (1 - share) ** size).sum(), np.exp(h), size / (1 + (size - 1) * (share**2).sum())])
    part = (target - cover[m - 1]) / (cover[m] - cover[m - 1])
    return (1 - part) * np.array(ends[0]) + part * np.array(ends[1])


def test_one_row_per_sample_and_order_at_one_coverage():
    sizes = pd.concat(
        [sample(SPIDERS), sample([60, 30, 9, 1], subject="m2"), sample([500, 3, 2], subject="m3")]
    )
    table = clone_diversity(sizes)
    assert len(table) == 9
    DIVERSITY.check(table)
    assert len(set(table["common_coverage"])) == 1
    doubled = sample_coverage(168, 12, 4, more=168)
    assert table["common_coverage"].iloc[0] == pytest.approx(doubled)  # the least that all reach
    assert table.set_index(["subject", "q"])["depth"]["m1", 0] == "extrapolated"
    assert table.set_index(["subject", "q"])["depth"]["m3", 0] == "rarefied"


def test_depth_does_not_change_what_is_standardised():
    rng = np.random.default_rng(3)
    share = rng.dirichlet(np.full(200, 0.3))
    few, many = rng.multinomial(400, share), rng.multinomial(40_000, share)
    table = clone_diversity(pd.concat([sample(few), sample(many, subject="m2")])).set_index(["subject", "q"])
    assert table["observed"]["m2", 0] > 1.4 * table["observed"]["m1", 0]
    for q in (0, 1, 2):
        assert table["standardised_low"]["m1", q] < table["standardised"]["m2", q]
        assert table["standardised"]["m2", q] < table["standardised_high"]["m1", q]


def test_clones_of_equal_size_count_as_many_in_every_order():
    table = clone_diversity(sample([50] * 7))
    assert table["observed"].to_list() == pytest.approx([7, 7, 7])


def test_labels_zeros_and_sites_do_not_matter():
    plain = clone_diversity(sample([9, 0, 4, 30]))
    named = sample([9, 4, 30], site="primary").assign(clone=["ACG", "TTT", "GAT"])
    pd.testing.assert_frame_equal(plain, clone_diversity(named))


@pytest.mark.parametrize(
    ("counts", "observed"),
    [([50], [1, 1, 1]), ([1], [1, 1, 1]), ([0, 0], [np.nan] * 3), ([1, 1], [2, 2, 2]), ([1] * 30, [30] * 3)],
    ids=["one clone", "one cell", "all zeros", "two cells", "every clone once"],
)
def test_degenerate_samples(counts, observed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        table = clone_diversity(sample(counts))
    assert table["observed"].to_list() == pytest.approx(observed, nan_ok=True)
    assert table["n_cells"].to_list() == [sum(counts)] * 3
    if sum(counts) < 2:
        assert table["coverage"].isna().all()


def test_no_samples():
    assert clone_diversity(sample([])).empty
    assert clone_turnover(sample([])).empty
    assert rank_abundance(sample([])).empty
    assert size_spectrum(sample([])).empty
    assert size_departure(sample([])).empty
    assert subject_similarity(sample([])).empty


def test_small_samples_are_left_out_aloud():
    sizes = pd.concat([sample([300, 200]), sample([3, 2], subject="m2")])
    with pytest.warns(RgbtrackWarning, match="1 samples hold fewer than 20 cells .* subject m2"):
        table = clone_diversity(sizes)
    assert table.set_index("subject").loc["m2", "standardised"].isna().all()
    assert table["common_coverage"].iloc[0] == 1


def test_a_coverage_out_of_reach_is_said():
    with pytest.warns(RgbtrackWarning, match=r"1 do not reach a coverage of 0\.999"):
        table = clone_diversity(sample(SPIDERS), DiversityParams(coverage=0.999))
    assert table["standardised"].isna().all()


def test_taken_out_singletons_are_suspected():
    with pytest.warns(RgbtrackWarning, match="counted twice and none counted once"):
        clone_diversity(sample([100, 50, 2, 2, 2, 2, 2]))


def test_fractions_have_no_counting_interval():
    with pytest.warns(RgbtrackWarning, match=r"n_cells holds fractions, such as 0\.25"):
        table = clone_diversity(sample([0.25, 0.25, 0.5]))
    assert table["observed"].to_list() == pytest.approx([3, np.exp(entropy([1, 1, 2])), 1 / 0.375])
    assert table[["coverage", "observed_low", "standardised", "estimated"]].isna().all(axis=None)


def test_expected_cells_drop_false_clones():
    sizes = sample([100, 60, 1, 1]).assign(expected_cells=[100.6, 60.9, 0.3, 0.2])
    table = clone_diversity(sizes, DiversityParams(counts="expected_cells"))
    assert table["n_clones"].to_list() == [2, 2, 2]
    assert table["n_cells"].to_list() == [162] * 3


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (sample([1, 2]).drop(columns="n_cells"), "lacks column n_cells"),
        (sample([1, 2]).drop(columns="clone"), "lacks column clone"),
        (sample([1, -2]), "1 rows have a negative n_cells, the least is -2"),
        (sample([1, np.nan]), "1 rows have no n_cells"),
        (sample([1, 2], subject=None), "no subject"),
        (pd.concat([sample([1, 2]), sample([1, 2])]), "2 rows repeat a clone of a sample"),
    ],
)
def test_bad_tables(table, message):
    with pytest.raises(DataError, match=message):
        clone_diversity(table)


# --- treatments ---------------------------------------------------------------------------------------------


def test_means_and_differences_are_t_tests_on_logs():
    diversity = clone_diversity(study())
    table = (
        diversity_by_treatment(diversity, control="vehicle")
        .set_index(["treatment", "timepoint", "q"])
        .sort_index()
    )
    logs = np.log(diversity.set_index(["treatment", "timepoint", "q"])["standardised"]).sort_index()
    drug, vehicle = logs["drug", 7, 1], logs["vehicle", 7, 1]
    row = table.loc["drug", 7, 1]
    assert row["mean"] == pytest.approx(np.exp(drug.mean()))
    assert row["fold"] == pytest.approx(np.exp(drug.mean() - vehicle.mean()))
    test = ttest_ind(drug, vehicle, equal_var=False)
    assert row["p_value"] == pytest.approx(test.pvalue)
    low, high = test.confidence_interval()
    assert (row["fold_low"], row["fold_high"]) == pytest.approx((np.exp(low), np.exp(high)))
    assert table.loc["vehicle", "p_value"].isna().all()
    assert (table["q_value"].dropna() >= table["p_value"].dropna()).all()


def test_changes_since_a_baseline():
    diversity = clone_diversity(study())
    table = diversity_by_treatment(diversity, control="vehicle", baseline=0).set_index(
        ["treatment", "timepoint", "q"]
    )
    wide = diversity[diversity["q"] == 2].pivot_table("standardised", ["treatment", "subject"], "timepoint")
    change = np.log(wide[7] / wide[0])
    expected = ttest_ind(change["drug"], change["vehicle"], equal_var=False)
    assert table.loc[("drug", 7, 2), "p_value"] == pytest.approx(expected.pvalue)
    assert np.isnan(table.loc[("drug", 0, 2), "p_value"])


def test_subjects_of_both_arms_are_paired():
    sizes = study()
    sizes["subject"] = sizes["subject"].str[1:]
    diversity = clone_diversity(sizes)
    table = (
        diversity_by_treatment(diversity, control="vehicle")
        .set_index(["treatment", "timepoint", "q"])
        .sort_index()
    )
    logs = np.log(diversity.set_index(["treatment", "timepoint", "q"])["standardised"]).sort_index()
    assert table.loc[("drug", 7, 1), "test"] == "paired t"
    expected = ttest_rel(logs["drug", 7, 1], logs["vehicle", 7, 1]).pvalue
    assert table.loc[("drug", 7, 1), "p_value"] == pytest.approx(expected)
    with pytest.warns(RgbtrackWarning, match="3 subjects had both treatments: .* and 1 others are not"):
        diversity_by_treatment(
            diversity[(diversity["subject"] != "0") | (diversity["treatment"] == "drug")], control="vehicle"
        )


def test_one_subject_has_a_mean_and_no_interval():
    diversity = clone_diversity(study(subjects=1))
    table = diversity_by_treatment(diversity, control="vehicle")
    assert table["mean"].notna().all()
    assert table[["low", "high", "p_value"]].isna().all(axis=None)
    assert table.loc[table["treatment"] == "drug", "fold"].notna().all()


def test_no_scatter_no_test():
    sizes = pd.concat([sample([50, 50], f"{arm}{k}", arm) for arm in ("a", "b") for k in range(3)])
    table = diversity_by_treatment(clone_diversity(sizes), control="a")
    assert table.loc[table["treatment"] == "b", "fold"].to_list() == [1, 1, 1]
    assert table["p_value"].isna().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measure": "true"}, "measure is 'true': give one of standardised"),
        ({"control": "salt"}, "control is 'salt': give one of drug, vehicle"),
        ({"control": "vehicle", "baseline": 3}, "baseline is 3: .* give one of 0, 7"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ParamError, match=message):
        diversity_by_treatment(clone_diversity(study()), **settings)


def test_subjects_without_a_baseline_are_named():
    diversity = clone_diversity(study())
    late = diversity[(diversity["subject"] != "d0") | (diversity["timepoint"] > 0)]
    with pytest.warns(RgbtrackWarning, match="1 subjects have no value at the baseline 0"):
        diversity_by_treatment(late, control="vehicle", baseline=0)


def test_false_differences_are_as_rare_as_stated():
    p_values = []
    for seed in range(30):
        table = diversity_by_treatment(clone_diversity(study(seed=seed, times=(0,))), control="vehicle")
        p_values.append(table.loc[table["treatment"] == "drug", "p_value"].to_numpy())
    assert (np.array(p_values)[:, 1:] < 0.05).mean() < 0.12


# --- turnover -----------------------------------------------------------------------------------------------


def test_similarities_by_their_formulas():
    rng = np.random.default_rng(0)
    x, y = rng.poisson(5, 40), rng.poisson(5, 40)
    p, q = x / x.sum(), y / y.sum()
    horn, shared, shannon = similarities(x, y)
    assert horn == pytest.approx(2 * p @ q / (p @ p + q @ q))
    assert shared == pytest.approx(1 - np.abs(p - q).sum() / 2)
    half = (p + q) / 2
    assert shannon == pytest.approx(1 - (entropy(p, half, base=2) + entropy(q, half, base=2)) / 2)


def test_chance_is_that_of_dealing_cells_out():
    rng = np.random.default_rng(2)
    total = rng.poisson(np.exp(rng.normal(1, 1.5, 60))) + 1
    n = int(total.sum() * 0.3)
    drawn = rng.multivariate_hypergeometric(total, n, size=4000, method="count")
    x, y = drawn[0].astype(float), (total - drawn[0]).astype(float)
    chance = by_chance(x, y)
    seen = np.array([similarities(a, total - a) for a in drawn])
    assert list(chance.similarity.values()) == pytest.approx(seen.mean(axis=0), abs=0.004)
    assert chance.gained[0] == pytest.approx((drawn == 0).sum(axis=1).mean(), rel=0.03)
    assert chance.gained[1] == pytest.approx((drawn == 0).sum(axis=1).var(), rel=0.1)
    assert chance.lost[0] == pytest.approx((drawn == total).sum(axis=1).mean(), abs=0.1)


@pytest.mark.parametrize(("clones", "cells"), [(3, 100), (15, 400), (400, 500)])
def test_turnover_p_values_without_turnover(clones, cells):
    rng = np.random.default_rng(clones)
    share = rng.dirichlet(np.full(clones, 0.7))
    tables = []
    for k in range(200):
        tables += [sample(rng.multinomial(cells, share), f"m{k}", timepoint=time) for time in (0, 7)]
    turnover = clone_turnover(pd.concat(tables, ignore_index=True))
    assert 0.01 < (turnover["p_value"] < 0.05).mean() < 0.09
    assert (turnover["gained_p_value"] < 0.05).mean() < 0.09
    assert (turnover["lost_p_value"] < 0.05).mean() < 0.09


def test_true_turnover_is_more_than_chance():
    before, after = [100] * 10 + [0] * 10, [0] * 5 + [100] * 10 + [0] * 5
    row = clone_turnover(pd.concat([sample(before), sample(after, timepoint=7)])).iloc[0]
    TURNOVER.check(row.to_frame().T.infer_objects())
    assert (row["n_kept"], row["n_gained"], row["n_lost"]) == (5, 5, 5)
    assert row["gained_by_chance"] < 1e-3
    assert row[["gained_p_value", "lost_p_value", "p_value"]].max() < 1e-6
    assert row["shared_fraction"] == pytest.approx(0.5)


def test_empty_samples_are_passed_over_and_fractions_have_no_chance():
    steps = pd.concat([sample([5, 5]), sample([0, 0], timepoint=3), sample([5, 5], timepoint=7)])
    row = clone_turnover(steps)
    assert row[["timepoint", "next_timepoint"]].to_numpy().tolist() == [[0, 7]]
    with pytest.warns(RgbtrackWarning, match="holds fractions"):
        row = clone_turnover(steps.assign(n_cells=steps["n_cells"] / 3)).iloc[0]
    assert row["morisita_horn"] == pytest.approx(1)
    assert np.isnan(row["p_value"])


def test_a_subject_that_changes_treatment_is_followed():
    steps = pd.concat([sample([5, 5]), sample([2, 8], treatment="drug", timepoint=7)])
    assert clone_turnover(steps)["treatment"].to_list() == ["drug"]
    both = pd.concat([sample([5, 5]), sample([5, 5], timepoint=7), steps.iloc[2:]])
    with pytest.warns(RgbtrackWarning, match="two treatments at one timepoint"):
        assert clone_turnover(both)["treatment"].to_list() == ["vehicle"]


def test_turnover_by_treatment_and_between_subjects():
    sizes = study(times=(0, 7, 14))
    turnover = clone_turnover(sizes)
    table = turnover_by_treatment(turnover, control="vehicle")
    assert len(table) == 2 * 2 * 3
    one = table[(table["treatment"] == "drug") & (table["timepoint"] == 7)].set_index("measure")
    own = turnover[(turnover["treatment"] == "drug") & (turnover["timepoint"] == 7)]["jensen_shannon"]
    assert one.loc["jensen_shannon", "mean"] == pytest.approx(own.mean())
    pairs = SUBJECT_SIMILARITY.check(subject_similarity(sizes))
    assert len(pairs) == 3 * 8 * 7 / 2
    assert pairs["morisita_horn"].mean() < turnover["morisita_horn"].mean()


# --- ranks and sizes ----------------------------------------------------------------------------------------


def test_ranks():
    table = rank_abundance(pd.concat([sample([5, 0, 15]), sample([4, 4, 2], subject="m2")]))
    RANK_ABUNDANCE.check(table)
    assert table["clone"].to_list() == [3, 1, 1, 2, 3]
    assert table["rank"].to_list() == [1, 2, 1, 2, 3]
    assert table["cumulative"].to_list() == pytest.approx([0.75, 1, 0.4, 0.8, 1])


def birth_and_death(rng, clones, birth, death, time):
    """Sizes of clones from single cells, by Kendall's exact law."""
    a, b = birth - death, np.exp((birth - death) * time)
    alive = a * b / (birth * b - death) if a else 1 / (1 + birth * time)
    grown = 1 - birth * (b - 1) / (birth * b - death) if a else 1 / (1 + birth * time)
    return np.where(rng.random(clones) < alive, rng.geometric(grown, clones), 0)


@pytest.mark.parametrize(("birth", "death"), [(1.0, 1.0), (1.0, 0.4)], ids=["homeostasis", "growth"])
@pytest.mark.parametrize("seen", [1.0, 0.3])
def test_neutral_clones_are_not_told_apart(birth, death, seen):
    rng = np.random.default_rng(4)
    p_values = []
    for _ in range(40):
        tables = [
            sample(rng.binomial(birth_and_death(rng, 60, birth, death, 6.0), seen), f"m{k}") for k in range(3)
        ]
        p_values.append(size_departure(pd.concat(tables))["p_value"].iloc[0])
    assert (np.array(p_values) < 0.05).mean() < 0.14


@pytest.mark.parametrize(
    ("draw", "shape"),
    [(lambda rng: rng.lognormal(5, 1.6, 60), "broader"), (lambda rng: rng.gamma(5, 40, 60), "narrower")],
)
def test_departures_have_a_direction_and_a_caution(draw, shape):
    rng = np.random.default_rng(0)
    sizes = pd.concat([sample(np.ceil(draw(rng)), f"m{k}") for k in range(3)])
    table = size_departure(sizes)
    SIZE_DEPARTURE.check(table)
    assert table["shape"].to_list() == [shape]
    assert table["p_value"].iloc[0] < 1e-3
    assert table.attrs["caution"] == CAUTION


def test_spectrum_of_neutral_clones_is_the_reference():
    rng = np.random.default_rng(1)
    sizes = pd.concat([sample(rng.geometric(0.02, 4000), f"m{k}") for k in range(3)])
    table = SIZE_SPECTRUM.check(size_spectrum(sizes))
    assert (table["share_larger"] - table["neutral"]).abs().max() < 0.02
    assert (table["neutral"] - np.exp(-table["scaled_size"])).abs().max() < 0.02
    assert table["share_larger"].is_monotonic_decreasing


def test_spectra_of_little():
    table = size_departure(sample([1, 1, 1]))
    assert table["p_value"].isna().all()
    assert table["n_subjects"].to_list() == [0]
    assert size_spectrum(sample([0, 0])).empty
    with pytest.warns(RgbtrackWarning, match="holds fractions"):
        table = size_spectrum(sample([0.5, 1.5]))
    assert table["neutral"].to_numpy() == pytest.approx(np.exp(-table["scaled_size"]))
    assert table["share_low"].isna().all()


# --- figures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes",
    [study(), study(subjects=1, times=(0,)), study(times=tuple(range(6)), subjects=2, clones=60)],
    ids=["usual", "one subject", "many times"],
)
def test_figures_are_drawn(sizes):
    spectrum, turnover = size_spectrum(sizes), clone_turnover(sizes)
    figures = [
        plot_diversity(clone_diversity(sizes), first="vehicle"),
        plot_ranks(rank_abundance(sizes), first="vehicle"),
        plot_spectrum(spectrum, first="vehicle"),
        plot_turnover(turnover, subject_similarity(sizes), first="vehicle"),
    ]
    for figure in figures:
        figure.draw_without_rendering()
    assert "Shape alone proves nothing" in figures[2].get_supxlabel().replace("\n", " ")


def test_lines_are_the_table():
    diversity = clone_diversity(study())
    figure = plot_diversity(diversity, first="vehicle", measure="observed")
    means = diversity_by_treatment(diversity, measure="observed")
    drawn = [line.get_ydata() for line in figure.axes[1].lines if line.get_linewidth() == 2]
    for line, treatment in zip(drawn, ["vehicle", "drug"], strict=True):
        own = means[(means["treatment"] == treatment) & (means["q"] == 1)]["mean"]
        assert line == pytest.approx(own.to_numpy())


def test_figures_say_why_they_are_empty():
    nothing = sample([0, 0])
    for figure in (
        plot_diversity(clone_diversity(nothing)),
        plot_ranks(rank_abundance(nothing)),
        plot_spectrum(size_spectrum(nothing)),
        plot_turnover(clone_turnover(nothing)),
    ):
        assert figure.axes[0].texts[0].get_text().startswith("no ")
    with pytest.raises(ParamError, match="measure is 'horn'"):
        plot_turnover(clone_turnover(study()), measure="horn")
