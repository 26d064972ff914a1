import numpy as np
import pandas as pd
import pytest

from rgbtrack import (
    DataError,
    GrowthParams,
    ParamError,
    RgbtrackWarning,
    clone_growth,
    clone_times,
    growth_by_treatment,
)
from rgbtrack.dynamics.moderate import fit_moderated, squeeze
from rgbtrack.tables import CLONE_TIMES, GROWTH, GROWTH_BY_TREATMENT


def planted(rates, subjects=4, times=(0, 7, 14), n=20_000, animal_sd=0.0, once=False, seed=0):
    """Sizes of clones that grow at the given rates, {treatment: (k,)}; totals known."""
    rng = np.random.default_rng(seed)
    rows = []
    for treatment, rate in rates.items():
        k = len(rate)
        for animal in range(subjects):
            own = np.asarray(rate) + rng.normal(0, animal_sd, k)
            for day in [times[animal % len(times)]] if once else times:
                size = 100 * np.exp(own * day)
                cells = rng.multinomial(n, size / size.sum())
                row = {"subject": f"{treatment}{animal}", "treatment": treatment, "timepoint": float(day)}
                sizes = {"clone": np.arange(k) + 1, "n_cells": cells, "scale": size.sum() / n}
                rows.append(pd.DataFrame(sizes).assign(**row, site="primary"))
    return pd.concat(rows, ignore_index=True)


RATES = np.array([0.0, 0.1, 0.2, 0.1])


def test_relative_rates_are_over_the_mean():
    growth = clone_growth(planted({"vehicle": RATES}))
    GROWTH.check(growth, need=[column.name for column in GROWTH.columns if column.name != "clone"])
    rate = growth.groupby("clone")["rate_per_d"].mean()
    assert rate.to_list() == pytest.approx(RATES - RATES.mean(), abs=0.005)


def test_absolute_rates_need_totals():
    sizes = planted({"vehicle": RATES})
    growth = clone_growth(sizes, GrowthParams(kind="absolute"))
    assert growth.groupby("clone")["rate_per_d"].mean().to_list() == pytest.approx(RATES, abs=0.005)
    with pytest.raises(DataError, match="add the column total_cells"):
        clone_growth(sizes.drop(columns="scale"), GrowthParams(kind="absolute"))


def test_samples_without_totals_are_left_out():
    sizes = planted({"vehicle": RATES})
    sizes.loc[(sizes["subject"] == "vehicle0") & (sizes["timepoint"] > 0), "scale"] = np.nan
    with pytest.warns(RgbtrackWarning, match="2 of 12 samples have no total"):
        growth = clone_growth(sizes, GrowthParams(kind="absolute"))
    assert "vehicle0" not in set(growth["subject"])


def test_a_clone_never_seen_has_no_rate_and_zeros_are_finite():
    sizes = planted({"vehicle": RATES}, n=400)
    sizes.loc[sizes["clone"] == 1, "n_cells"] = 0
    sizes.loc[(sizes["clone"] == 2) & (sizes["timepoint"] > 0), "n_cells"] = 0
    growth = clone_growth(sizes).set_index("clone")
    assert growth.loc[1, "rate_per_d"].isna().all()
    assert np.isfinite(growth.loc[2, "rate_per_d"]).all()
    assert (growth.loc[2, "rate_high_per_d"] < 0).all()
    assert growth.loc[2, "n_empty"].to_list() == [2] * 4


def test_a_table_from_elsewhere_may_lack_zeros_sites_and_fractions():
    sizes = planted({"vehicle": RATES}).assign(clone=lambda of: "bc" + of["clone"].astype(str))
    sizes = sizes[~((sizes["clone"] == "bc1") & (sizes["timepoint"] == 14))].drop(columns=["site", "scale"])
    growth = clone_growth(sizes)
    assert growth.loc[growth["clone"] == "bc1", "n_empty"].to_list() == [1] * 4
    assert set(growth["site"]) == {"primary"}


def test_areas_and_unfolded_cells_can_grow():
    sizes = planted({"vehicle": RATES})
    doubled = sizes.assign(
        amount=sizes["n_cells"] * np.exp(0.05 * sizes["timepoint"] * (sizes["clone"] == 1))
    )
    rate = clone_growth(doubled, GrowthParams(size="amount")).groupby("clone")["rate_per_d"].mean()
    plain = clone_growth(sizes).groupby("clone")["rate_per_d"].mean()
    assert (rate - plain).to_list() == pytest.approx([0.0375, -0.0125, -0.0125, -0.0125], abs=1e-3)
    n = sizes["n_cells"]
    sure = sizes.assign(expected_cells=n, expected_low=n, expected_high=n)
    unsure = sizes.assign(expected_cells=n, expected_low=0.5 * n, expected_high=1.5 * n)
    narrow, wide = [clone_growth(of, GrowthParams(size="expected_cells")) for of in (sure, unsure)]
    assert (wide["rate_se_per_d"] > 3 * narrow["rate_se_per_d"]).all()


def test_one_timepoint_is_refused():
    with pytest.raises(DataError, match="growth needs two timepoints with cells: all are of timepoint 0"):
        clone_growth(planted({"vehicle": RATES}, times=(0,)))


def test_subjects_seen_once_have_no_growth_of_their_own_but_treatments_have():
    sizes = planted({"vehicle": RATES}, subjects=9, once=True)
    with pytest.raises(DataError, match="no subject was seen at two timepoints"):
        clone_growth(sizes)
    by = growth_by_treatment(sizes)
    assert set(by["design"]) == {"across subjects"}
    assert by["rate_per_d"].to_list() == pytest.approx(RATES - RATES.mean(), abs=0.01)


def test_treatments_are_compared():
    faster = RATES + np.array([0, 0, 0, 0.2])
    sizes = planted({"vehicle": RATES, "drug": faster}, animal_sd=0.02)
    by = growth_by_treatment(sizes, control="vehicle")
    GROWTH_BY_TREATMENT.check(by, need=["treatment", "site", "rate_per_d"])
    drug = by[by["treatment"] == "drug"].set_index("clone")
    assert drug.loc[4, "q_value"] < 0.01
    assert drug.loc[4, "difference_per_d"] == pytest.approx(0.15, abs=0.05)
    assert drug.loc[4, "difference_low_per_d"] < drug.loc[4, "difference_high_per_d"]
    assert by.loc[by["treatment"] == "vehicle", "p_value"].isna().all()
    assert (by["n_subjects"] == 4).all()


def test_intervals_and_null_differences_hold():
    rng = np.random.default_rng(5)
    held, null = [], []
    for seed in range(8):
        rate = rng.normal(0.1, 0.05, 10)
        sizes = planted({"vehicle": rate, "drug": rate}, animal_sd=0.03, n=1000, seed=seed)
        by = growth_by_treatment(sizes, GrowthParams(kind="absolute"), control="vehicle")
        true = np.tile(rate, 2)
        held.append((by["rate_low_per_d"] <= true) & (true <= by["rate_high_per_d"]))
        null.append(by["p_value"].dropna() < 0.05)
    assert 0.9 < np.mean(held) < 0.99
    assert np.mean(null) < 0.1


def test_one_subject_is_refused():
    with pytest.raises(DataError, match="no treatment has two subjects"):
        growth_by_treatment(planted({"vehicle": RATES, "drug": RATES}, subjects=1))


def test_an_arm_of_one_subject_is_compared_with_none():
    sizes = planted({"vehicle": RATES, "drug": RATES})
    sizes = sizes[(sizes["treatment"] == "vehicle") | (sizes["subject"] == "drug0")]
    with pytest.warns(RgbtrackWarning, match="treatment drug has one subject"):
        by = growth_by_treatment(sizes, control="vehicle").set_index("treatment")
    assert by.loc["drug", ["rate_low_per_d", "p_value"]].isna().all(axis=None)
    assert by.loc["vehicle", "rate_low_per_d"].notna().all()


def test_subjects_seen_once_among_others_are_left_out():
    sizes = planted({"vehicle": RATES})
    sizes = sizes[(sizes["subject"] != "vehicle3") | (sizes["timepoint"] == 0)]
    with pytest.warns(RgbtrackWarning, match="1 of 4 subjects at site primary were seen once"):
        by = growth_by_treatment(sizes)
    assert (by["n_subjects"] == 3).all()


def test_subjects_in_two_treatments_are_told():
    sizes = planted({"a": RATES, "b": RATES}, animal_sd=0.02)
    sizes["subject"] = sizes["subject"].str[1:]
    with pytest.warns(RgbtrackWarning, match="4 subjects are in several treatments, the first is 0"):
        growth_by_treatment(sizes, control="a")


def test_a_site_seen_once_is_told():
    sizes = planted({"vehicle": RATES})
    sizes = pd.concat([sizes, sizes[sizes["timepoint"] == 14].assign(site="liver")])
    with pytest.warns(RgbtrackWarning, match="site liver was seen at one timepoint"):
        assert set(growth_by_treatment(sizes)["site"]) == {"primary"}


def test_clones_of_one_subject_have_no_mean():
    sizes = planted({"vehicle": RATES})
    sizes["clone"] = sizes["clone"].astype(str) + sizes["subject"]
    with pytest.raises(DataError, match="no clone was seen often enough in two subjects"):
        growth_by_treatment(sizes)
    assert len(clone_growth(sizes)) == 16


def test_wrong_control():
    with pytest.raises(DataError, match="control 'pbs' is not a treatment of these sizes; found 'vehicle'"):
        growth_by_treatment(planted({"vehicle": RATES}), control="pbs")


def test_one_clone_has_no_relative_growth():
    with pytest.raises(DataError, match="no sample holds two clones"):
        clone_growth(planted({"vehicle": RATES[:1]}))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda of: of.assign(n_cells=0), "no cell is assigned to a clone in any sample"),
        (lambda of: pd.concat([of, of.iloc[:1]]), "1 rows repeat a clone of a sample, the first is clone=1"),
        (lambda of: of.assign(n_cells=-1), "n_cells holds -1"),
        (lambda of: of.assign(subject=None), "subject is blank"),
        (lambda of: of.drop(columns="clone"), "lacks column clone"),
        (lambda of: of.drop(columns="timepoint"), "lacks column timepoint"),
    ],
)
def test_bad_tables(change, match):
    sizes = planted({"vehicle": RATES}, n=100)
    for function in (clone_growth, growth_by_treatment, clone_times):
        with pytest.raises(DataError, match=match):
            function(change(sizes))


def test_scatter_is_shared_as_far_as_clones_agree():
    rng = np.random.default_rng(0)
    alike = rng.chisquare(4, 200) / 4
    variance, freedom = squeeze(alike, np.full(200, 4.0))
    assert np.ptp(variance) < 0.3
    assert freedom.min() > 20
    differ = alike * np.exp(rng.normal(0, 2, 200))
    variance, freedom = squeeze(differ, np.full(200, 4.0))
    assert np.corrcoef(np.log(variance), np.log(differ))[0, 1] > 0.95
    assert freedom.max() < 6


def test_models_without_scatter_rest_on_counting():
    fit = fit_moderated(np.ones((4, 5)), np.full((4, 5), 0.01), np.ones((4, 1)))
    assert fit.between == 0
    assert fit.coefficient.ravel().tolist() == pytest.approx([1] * 5)


def test_missing_subjects_of_one_arm_harm_no_other():
    value = np.random.default_rng(0).normal(size=(6, 4))
    value[:3, 0] = np.nan
    fit = fit_moderated(value, np.full((6, 4), 0.1), np.repeat(np.eye(2), 3, axis=0))
    assert np.isnan(fit.coefficient[0]).tolist() == [True, False]
    assert np.isfinite(fit.contrast(np.array([0.0, 1.0]), 0.95)[2]).all()


def series(shares, total=1000):
    """Sizes of one subject over time, shares (timepoints, clones)."""
    rows = []
    for day, of in zip(range(0, 7 * len(shares), 7), shares, strict=True):
        n = np.round(total * np.array(of)).astype(int)
        rows.append(pd.DataFrame({"clone": np.arange(len(of)) + 1, "n_cells": n, "timepoint": float(day)}))
    return pd.concat(rows, ignore_index=True).assign(subject="m1", treatment="vehicle")


def test_times_of_loss_and_dominance():
    times = clone_times(series([(0.2, 0.5, 0.3), (0.5, 0.5, 0), (0.9, 0.1, 0)]))
    assert list(times.columns) == [column.name for column in CLONE_TIMES.columns]
    first, second, third = times.to_dict("records")
    assert (first["dominant_low_d"], first["dominant_d"], first["dominant_high_d"]) == (0, 7, 7)
    assert np.isnan(first["lost_d"])
    assert second["dominant_d"] == 0
    assert np.isnan(second["dominant_low_d"])
    assert np.isnan(third["dominant_d"])
    assert (third["last_seen_d"], third["lost_d"]) == (0, 7)
    assert third["detection_limit"] == pytest.approx(3 / 2000, rel=0.01)


def test_a_clone_that_comes_back_was_not_lost_and_empty_samples_tell_nothing():
    sizes = series([(0.5, 0.5), (1, 0), (0.9, 0.1), (0, 0)])
    times = clone_times(sizes).set_index("clone")
    assert np.isnan(times.loc[2, "lost_d"])
    assert times.loc[2, "last_seen_d"] == 14


def test_another_share():
    sizes = series([(0.1, 0.9), (0.9, 0.1)])
    assert clone_times(sizes, dominance=0.1).loc[0, "dominant_d"] == 0
    with pytest.raises(ParamError, match="dominance is 1: give a share between 0 and 1"):
        clone_times(sizes, dominance=1)
