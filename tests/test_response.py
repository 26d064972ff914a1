import warnings

import numpy as np
import pandas as pd
import pytest

from rgbtrack import (
    DataError,
    ParamError,
    ResponseParams,
    RgbtrackWarning,
    clone_response,
    response_heterogeneity,
)
from rgbtrack.dynamics.count_model import model_counts
from rgbtrack.dynamics.design import make_design
from rgbtrack.dynamics.log_ratios import fit_log_ratios
from rgbtrack.dynamics.moderate import prior_of
from rgbtrack.dynamics.reference import majority
from rgbtrack.tables import CLONE_RESPONSE, HETEROGENEITY


def planted(
    effects,
    arms=("vehicle", "drug"),
    subjects=5,
    sd=0.25,
    cells=1000,
    seed=0,
    timepoints=(14.0,),
    **more,
):
    """Clone sizes of animals that scatter; effects: log2 fold of each clone in each further arm."""
    rng = np.random.default_rng(seed)
    effects = np.atleast_2d(effects)
    k = effects.shape[1]
    share = np.random.default_rng(99).lognormal(0, 0.7, k)
    rows = []
    for number, arm in enumerate(arms):
        for s in range(subjects):
            own = np.log(share) + rng.normal(0, sd, k)
            for day in timepoints:
                change = effects[number - 1] * np.log(2) if number else np.zeros(k)
                mean = np.exp(own + change * day / max(timepoints))
                n = rng.multinomial(cells, mean / mean.sum())
                rows += [
                    {
                        "clone": c + 1,
                        "subject": f"{arm}{s}",
                        "treatment": arm,
                        "timepoint": day,
                        "n_cells": n[c],
                    }
                    for c in range(k)
                ]
    return pd.DataFrame(rows).assign(site="primary", **more)


ONE_UP = [2.0, *[0.0] * 9]
NONE = [0.0] * 10


def test_one_clone_that_responds_is_found_and_the_others_are_not():
    found = clone_response(planted(ONE_UP), control="vehicle")
    CLONE_RESPONSE.check(found)
    assert list(found.columns) == [column.name for column in CLONE_RESPONSE.columns]
    first, others = found.iloc[0], found.iloc[1:]
    assert first["q_value"] < 0.01
    assert first["low"] < 2.0 < first["high"]
    assert (others["q_value"] > 0.1).all()
    assert set(found["n_subjects"]) == {10}
    assert set(found["when"]) == {"day 14"}
    assert found["models_agree"].all()


def test_a_gain_of_four_clones_is_no_loss_of_the_other_six():
    effects = [2.5] * 4 + [0.0] * 6
    found = clone_response(planted(effects, seed=3), control="vehicle")
    assert (found["effect"].iloc[:4] > 1.5).all()
    assert (found["q_value"].iloc[:4] < 0.05).all()
    assert (found["q_value"].iloc[4:] > 0.05).all()
    assert found["effect"].iloc[4:].abs().max() < 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_errors_are_as_often_as_they_say(seed):
    p, covered, null, second = [], [], [], []
    for table in range(25):
        effects = np.where(np.arange(12) < 3, 1.2, 0.0) * (table % 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)  # that models disagree, now and then
            found = clone_response(planted(effects, seed=1000 * seed + table, sd=0.5), control="vehicle")
        p.append(found["p_value"].to_numpy())
        second.append(found["second_p_value"].to_numpy())
        null.append(effects == 0)
        covered.append((found["low"] <= effects) & (found["high"] >= effects))
    null = np.concatenate(null)
    assert 0.01 <= (np.concatenate(p)[null] < 0.05).mean() <= 0.09
    assert 0.01 <= (np.concatenate(second)[null] < 0.05).mean() <= 0.10
    assert 0.90 <= np.concatenate(covered).mean() <= 0.99


def test_cells_are_no_replicates():
    """A hundred times the cells of five animals is still five animals."""
    sizes = planted(NONE, cells=5000, sd=0.6, seed=2)
    few = clone_response(sizes, control="vehicle")["p_value"]
    many = clone_response(sizes.assign(n_cells=sizes["n_cells"] * 100), control="vehicle")["p_value"]
    np.testing.assert_allclose(many, few, rtol=0.1)


def test_heterogeneity_is_seen_where_single_clones_are_not():
    weak = np.where(np.arange(15) % 2, 0.9, 0.0)
    sizes = planted(weak, sd=0.35, subjects=4, seed=5)
    any_ = response_heterogeneity(sizes, control="vehicle")
    HETEROGENEITY.check(any_)
    assert any_["p_value"].iloc[0] < 0.05
    assert any_["n_clones"].iloc[0] == 15


def test_heterogeneity_is_right_without_a_response():
    p = [
        response_heterogeneity(planted(NONE, sd=0.5, subjects=3, seed=s), control="vehicle", rotations=299)[
            "p_value"
        ].iloc[0]
        for s in range(60)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.12
    assert np.mean(np.array(p) < 0.5) > 0.3


def test_a_response_that_all_clones_share_is_none():
    """Shares cannot tell that everything grew: neither test claims it."""
    sizes = planted(NONE, seed=8)
    grown = sizes.assign(n_cells=sizes["n_cells"] * np.where(sizes["treatment"] == "drug", 10, 1))
    assert clone_response(grown, control="vehicle")["effect"].abs().max() < 1.0


@pytest.mark.parametrize("which", ["rows", "names", "arms", "scale"])
def test_what_must_not_matter(which):
    sizes = planted(ONE_UP, seed=4)
    before = clone_response(sizes, control="vehicle")
    if which == "rows":
        after = clone_response(sizes.sample(frac=1, random_state=0), control="vehicle")
    elif which == "names":
        names = sizes["clone"].map(lambda c: f"barcode {c:02}")
        after = clone_response(sizes.assign(clone=names), control="vehicle")
    elif which == "scale":
        after = clone_response(
            sizes.assign(n_cells=0, area=sizes["n_cells"] * 1.0), control="vehicle", size="area"
        )
    else:
        after = clone_response(sizes, control="drug")
        after["effect"] *= -1
    np.testing.assert_allclose(after["effect"], before["effect"], atol=1e-9)
    np.testing.assert_allclose(after["p_value"], before["p_value"], atol=1e-9)


def test_any_number_of_arms():
    found = clone_response(
        planted([ONE_UP, NONE], arms=("vehicle", "drug", "other")), control="vehicle"
    ).set_index(["treatment", "clone"])
    assert found.loc[("drug", 1), "q_value"] < 0.01
    assert found.loc["other", "q_value"].min() > 0.05
    assert set(found["n_subjects"]) == {10}


def test_a_factorial_design_tells_inhibitor_from_agonist():
    """The agonist makes clone 1 grow, unless the inhibitor is there."""
    plain = planted([ONE_UP], subjects=4, inhibitor="none", seed=1)
    blocked = planted([NONE], subjects=4, inhibitor="propranolol", seed=2)
    blocked["subject"] += "p"
    found = clone_response(
        pd.concat([plain, blocked]), control={"treatment": "vehicle", "inhibitor": "none"}
    ).set_index(["treatment", "clone"])
    names = ["drug", "inhibitor propranolol", "drug : inhibitor propranolol"]
    assert list(found.index.get_level_values(0).unique()) == names
    assert [found.loc[name, "n_subjects"].iloc[0] for name in names] == [8, 8, 16]
    assert found.loc[("drug", 1), "low"] > 1
    assert found.loc[("drug : inhibitor propranolol", 1), "high"] < -0.5
    assert found.loc["inhibitor propranolol", "q_value"].min() > 0.01


def test_before_and_after_an_event_within_a_subject():
    """Animals differ tenfold in a clone; each is compared with itself."""
    sizes = planted(ONE_UP, sd=1.2, timepoints=(0.0, 14.0), cells=3000, seed=6)
    found = clone_response(sizes, control="vehicle", event_time=7).iloc[0]
    assert found["q_value"] < 0.01
    assert found["low"] < 2 < found["high"]
    assert found["when"] == "after day 7, against that day and before"
    assert clone_response(sizes, control="vehicle").iloc[0]["q_value"] > 0.05
    by_column = clone_response(sizes.assign(biopsy_d=7.0), control="vehicle", event_time="biopsy_d").iloc[0]
    assert by_column["effect"] == pytest.approx(found["effect"])


def test_an_event_in_one_arm_only():
    sizes = planted([ONE_UP], sd=0.8, timepoints=(0.0, 14.0), cells=3000, seed=9)
    drug = sizes[sizes["treatment"] == "drug"]
    found = clone_response(drug, event_time=3).set_index("clone")
    assert found.loc[1, "q_value"] < 0.01
    assert set(found["treatment"]) == {"drug"}
    assert set(found["n_subjects"]) == {5}


def test_subjects_in_both_arms_are_compared_with_themselves():
    sizes = planted(NONE, sd=1.5, subjects=5, seed=1)
    wells = sizes[sizes["treatment"] == "vehicle"]
    treated = wells.assign(
        treatment="drug", n_cells=np.where(wells["clone"] == 2, wells["n_cells"] * 3, wells["n_cells"])
    )
    found = clone_response(pd.concat([wells, treated]), control="vehicle").set_index("clone")
    assert found.loc[2, "effect"] == pytest.approx(np.log2(3), abs=0.1)
    assert found.loc[2, "q_value"] < 0.001
    assert set(found["n_subjects"]) == {5}


def test_subjects_of_one_arm_beside_some_of_both():
    sizes = planted(NONE, sd=0.5, subjects=4, seed=1)
    both = sizes[sizes["subject"].isin(["vehicle0", "vehicle1", "vehicle2"])].assign(treatment="drug")
    mixed = pd.concat([sizes[sizes["treatment"] == "vehicle"], both])
    with pytest.warns(RgbtrackWarning, match="those in one arm are left out: vehicle3"):
        found = clone_response(mixed, control="vehicle")
    assert set(found["n_subjects"]) == {3}
    one = pd.concat([sizes, sizes[sizes["subject"] == "vehicle0"].assign(treatment="drug")])
    with pytest.raises(
        DataError, match=r"subject vehicle0 is in several arms.*name different animals differently"
    ):
        clone_response(one, control="vehicle")


def test_timepoints_of_a_subject_are_no_replicates():
    once = planted(NONE, sd=0.6, timepoints=(14.0,), seed=3)
    often = pd.concat([once.assign(timepoint=float(day)) for day in range(1, 8)])
    first, mean = (
        clone_response(once, control="vehicle"),
        clone_response(often, control="vehicle", timepoint="mean"),
    )
    # the counts add up, the animals do not
    np.testing.assert_allclose(mean["effect"], first["effect"], atol=0.1)
    assert (mean["p_value"] / first["p_value"]).median() > 0.5
    assert set(mean["n_subjects"]) == {10}


def test_the_last_day_that_arms_share_is_compared():
    sizes = planted(NONE, timepoints=(0.0, 7.0, 14.0))
    lost = sizes[~((sizes["treatment"] == "drug") & (sizes["timepoint"] == 14))]
    with pytest.warns(RgbtrackWarning, match="day 7 is compared, not day 14"):
        found = clone_response(lost, control="vehicle")
    assert set(found["when"]) == {"day 7"}
    assert set(clone_response(sizes, control="vehicle", timepoint=0.0)["when"]) == {"day 0"}
    with pytest.raises(DataError, match=r"no sample was taken on day 3, found days 0, 7, 14"):
        clone_response(sizes, control="vehicle", timepoint=3.0)


def test_sites_are_compared_one_by_one():
    sizes = pd.concat([planted(ONE_UP), planted(NONE, seed=7).assign(site="lung")])
    found = clone_response(sizes, control="vehicle").set_index(["site", "clone"])
    assert found.loc[("primary", 1), "q_value"] < 0.01
    assert found.loc["lung", "q_value"].min() > 0.05
    lone = sizes[(sizes["site"] == "primary") | (sizes["treatment"] == "drug")]
    with pytest.warns(RgbtrackWarning, match="site lung is not compared: no sample of the control"):
        assert set(clone_response(lone, control="vehicle")["site"]) == {"primary"}


def test_clones_that_cannot_be_tested_are_kept_and_say_why():
    sizes = planted(ONE_UP)
    extra = sizes[sizes["clone"] == 1]
    nowhere = extra.assign(clone=11, n_cells=0)
    once = extra.assign(clone=12, n_cells=np.where(extra["subject"] == "drug0", 40, 0))
    rare = extra.assign(clone=13, n_cells=np.where(extra["subject"].isin(["drug0", "vehicle0"]), 1, 0))
    found = clone_response(pd.concat([sizes, nowhere, once, rare]), control="vehicle").set_index("clone")
    assert found.loc[[11, 12, 13], "note"].to_list() == [
        "not seen in these samples",
        "seen in one subject only",
        "fewer than 5 cells in all",
    ]
    assert found.loc[[11, 12, 13], ["effect", "p_value", "q_value"]].isna().all(axis=None)
    assert found.loc[[11, 12, 13], "models_agree"].isna().all()
    assert found.loc[1, "q_value"] < 0.01


def test_a_clone_that_vanishes_in_all_treated_animals():
    sizes = planted(NONE)
    gone = sizes.assign(
        n_cells=np.where((sizes["clone"] == 3) & (sizes["treatment"] == "drug"), 0, sizes["n_cells"])
    )
    found = clone_response(gone, control="vehicle").set_index("clone")
    assert found.loc[3, "q_value"] < 0.001
    assert found.loc[3, "effect"] < -4
    assert np.isfinite(found.loc[3, ["low", "high"]].to_numpy(float)).all()


def test_two_clones_are_each_others_mirror():
    found = clone_response(planted([1.5, 0.0]), control="vehicle")
    assert found["effect"].iloc[0] == pytest.approx(-found["effect"].iloc[1], abs=1e-6)


def test_empty_samples_are_left_out_in_words():
    sizes = planted(ONE_UP)
    empty = sizes.assign(n_cells=np.where(sizes["subject"] == "drug2", 0, sizes["n_cells"]))
    with pytest.warns(
        RgbtrackWarning, match=r"samples without any cell of a clone are left out: drug2 at day 14"
    ):
        assert set(clone_response(empty, control="vehicle")["n_subjects"]) == {9}


def test_models_that_disagree_are_told():
    """Three treated animals in which a clone trebled, one that lost it: a mean of logs is undone by the one."""
    sizes = planted(NONE, subjects=4, cells=3000, seed=3, sd=0.15)
    treated = (sizes["clone"] == 5) & (sizes["treatment"] == "drug")
    lost = treated & (sizes["subject"] == "drug1")
    n = sizes["n_cells"].mask(treated, sizes["n_cells"] * 3).mask(lost, 0)
    with pytest.warns(
        RgbtrackWarning, match=r"two models disagree on 1 of 10 tests: clone 5 .drug.; look at"
    ):
        found = clone_response(sizes.assign(n_cells=n), control="vehicle").set_index("clone")
    assert not found.loc[5, "models_agree"]
    assert found.loc[5, "second_p_value"] < 0.05 < found.loc[5, "p_value"]


def change(**columns):
    return lambda sizes: sizes.assign(**columns)


@pytest.mark.parametrize(
    ("made", "settings", "message"),
    [
        (lambda s: s.drop(columns="n_cells"), {}, "sizes are not in column n_cells, found clone"),
        (lambda s: s.drop(columns="subject"), {}, "lacks column subject"),
        (change(n_cells=-1), {}, "100 rows have no valid n_cells .the first is -1"),
        (change(subject=None), {}, "some rows have no subject: fill them in"),
        (lambda s: pd.concat([s, s.iloc[:3]]), {}, "3 rows repeat a clone of a sample, the first is clone 1"),
        (
            lambda s: s,
            {"control": "saline"},
            "control treatment 'saline' is not in the table, found drug, vehicle",
        ),
        (
            lambda s: s,
            {"control": None},
            "control is not given: name the reference treatment, one of drug, vehicle",
        ),
        (
            lambda s: s,
            {"control": {"treatment": "vehicle", "diet": "x"}},
            "control names diet, found columns clone",
        ),
        (
            lambda s: s,
            {"control": {"site": "primary"}},
            "control names site: name the reference treatment too",
        ),
        (change(n_cells=0), {}, "no sample holds any cell of a clone"),
        (lambda s: s[s["treatment"] == "vehicle"], {}, r"only one arm is left \(vehicle\)"),
        (lambda s: s[s["clone"] == 1], {}, "1 of 1 clones have enough cells"),
        (lambda s: s[s["subject"].isin(["drug0", "vehicle0"])], {}, "one subject an arm"),
        (
            lambda s: s.assign(clone=s["subject"]).drop_duplicates("clone"),
            {},
            "every clone is in one subject only",
        ),
        (lambda s: s, {"event_time": "surgery"}, "event_time is not in column surgery"),
        (lambda s: s, {"event_time": 3}, "no subject has samples both before and after the event"),
        (lambda s: s.iloc[:0], {}, "control treatment 'vehicle' is not in the table"),
    ],
)
def test_refused_in_words(made, settings, message):
    with pytest.raises(DataError, match=message):
        clone_response(made(planted(ONE_UP)), **{"control": "vehicle", **settings})


def test_settings_that_are_none():
    with pytest.raises(ParamError, match=r"level is 2: .*less than 1\nrotation is 5: Extra inputs"):
        clone_response(planted(ONE_UP), control="vehicle", level=2, rotation=5)


def test_settings_come_from_params_too():
    sizes = planted(ONE_UP)
    narrow = clone_response(sizes, ResponseParams(control="vehicle", level=0.5))
    wide = clone_response(sizes, ResponseParams(control="vehicle"), level=0.99)
    assert (wide["high"] - wide["low"] > narrow["high"] - narrow["low"]).all()


def test_one_subject_in_one_of_two_arms_borrows_the_other_arm():
    sizes = planted(NONE, sd=0.4)
    found = clone_response(
        sizes[(sizes["treatment"] == "vehicle") | (sizes["subject"] == "drug0")], control="vehicle"
    )
    assert set(found["n_subjects"]) == {6}
    assert found["p_value"].notna().all()


def test_effects_that_subjects_cannot_part_are_named():
    plain = planted([ONE_UP], subjects=3, diet="chow", seed=1)
    other = planted([NONE], subjects=3, diet="fat", seed=2).query("treatment == 'drug'")
    other = other.assign(subject=other["subject"] + "f")
    control = {"treatment": "vehicle", "diet": "chow"}
    with pytest.warns(RgbtrackWarning, match=r"not told, for want of subjects.*drug : diet fat"):
        found = clone_response(pd.concat([plain, other]), control=control)
    assert set(found["treatment"]) == {"drug", "diet fat"}


def test_moderation_finds_the_prior_that_variances_come_from():
    rng = np.random.default_rng(0)
    true = 2.0 * 10 / rng.chisquare(10, 3000)
    prior, middle = prior_of(true * rng.chisquare(6, 3000) / 6, np.full(3000, 6.0))
    assert prior == pytest.approx(10, rel=0.2)
    assert middle == pytest.approx(2.0, rel=0.05)
    assert prior_of(rng.chisquare(6, 3000) / 6, np.full(3000, 6.0))[0] > 100


def test_the_majority_is_where_most_clones_are():
    rng = np.random.default_rng(1)
    error = np.full(15, 0.04)
    found = np.array(
        [majority(np.r_[rng.normal(0.3, 0.2, 11), rng.normal(2, 0.2, 4)], error) for _ in range(200)]
    )
    assert found[:, 0].mean() == pytest.approx(0.3, abs=0.02)
    assert np.mean(((found[:, 0] - 0.3) ** 2) / found[:, 1]) < 1.3


def test_design_of_two_arms():
    units = pd.DataFrame({"subject": list("abcd"), "treatment": ["v", "v", "d", "d"], "after": False})
    design = make_design(units, {"treatment": "v"})
    np.testing.assert_array_equal(design.matrix, [[1, 0], [1, 0], [1, 1], [1, 1]])
    assert design.effects == {"d": 1}
    assert design.freedom == 2


def test_models_agree_with_statsmodels_where_scatter_is_known():
    """Equal sizes and no moderation: a plain t test of log ratios."""
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    counts = rng.poisson(5000 * np.exp(rng.normal(0, 0.3, (12, 6)))).astype(float)
    design = np.column_stack([np.ones(12), np.repeat([0.0, 1.0], 6)])
    fit = fit_log_ratios(counts, counts.sum(axis=1), design)
    change, _ = fit.effect(1)
    logs = np.log((counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 0.5))
    plain = np.array([sm.OLS(column, design).fit().params[1] for column in logs.T])
    np.testing.assert_allclose(change - change.mean(), plain - plain.mean(), atol=0.05)
    second = model_counts(counts, counts.sum(axis=1), design, 1)
    glm = np.array(
        [
            sm.GLM(
                column,
                design,
                family=sm.families.NegativeBinomial(alpha=0.1),
                offset=np.log(counts.sum(axis=1)),
            )
            .fit()
            .params[1]
            for column in counts.T
        ]
    )
    np.testing.assert_allclose(second.effect - second.effect.mean(), glm - glm.mean(), atol=0.02)


DAYS = (0.0, 7.0, 14.0)


def test_an_event_after_the_last_sample_is_no_comparison():
    sizes = planted(NONE, timepoints=DAYS)
    with pytest.raises(DataError, match=r"no sample was taken after the event \(event_time = 99"):
        clone_response(sizes, control="vehicle", event_time=99)


def test_days_of_events_are_one_for_each_subject_and_numbers():
    sizes = planted(NONE, timepoints=DAYS)
    written = clone_response(sizes.assign(event="7"), control="vehicle", event_time="event")
    assert set(written["when"]) == {"after the event (column event), against that day and before"}
    given = clone_response(sizes, control="vehicle", event_time=7)
    assert written.drop(columns="when").equals(given.drop(columns="when"))
    with pytest.raises(DataError, match="several days in subject drug0"):
        clone_response(sizes, control="vehicle", event_time="timepoint")
    with pytest.raises(DataError, match="column event should hold days, found 'day 7'"):
        clone_response(sizes.assign(event="day 7"), control="vehicle", event_time="event")


@pytest.mark.parametrize("column", ["site", "subject", "timepoint", "clone", "after"])
def test_what_names_a_sample_is_no_factor(column):
    sizes = planted(NONE).assign(after="n")
    with pytest.raises(DataError, match=f"control names {column}, which is no condition"):
        clone_response(sizes, control={"treatment": "vehicle", column: "n"})


def test_a_setting_is_named_once_as_it_is_written():
    with pytest.raises(ParamError, match=r"(?m)^control is \('a',\): should be"):
        clone_response(planted(NONE), control=("a",))
