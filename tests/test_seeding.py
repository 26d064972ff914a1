import numpy as np
import pandas as pd
import pytest

from rgbtrack import (
    DataError,
    LesionParams,
    ParamError,
    RgbtrackWarning,
    call_clonality,
    clone_sizes,
    compare_seeding,
    count_founders,
    find_lesions,
    site_enrichment,
    site_overlap,
)
from rgbtrack.dynamics import count_seeds
from rgbtrack.dynamics.overlap import morisita_horn
from rgbtrack.dynamics.seeding import colour_likelihood
from rgbtrack.simulate import simulate_lesions
from rgbtrack.tables import SEEDING, SEEDING_EFFECTS, SITE_CLONES, SITE_ENRICHMENT, SITE_OVERLAP


def sizes_of(subject="m1", treatment="vehicle", timepoint=28.0, **sites):
    """Cells of clones 1, 2, ... at each site."""
    parts = [
        pd.DataFrame({"clone": np.arange(1, len(n) + 1), "n_cells": n, "site": site})
        for site, n in sites.items()
    ]
    return pd.concat(parts).assign(subject=subject, treatment=treatment, timepoint=timepoint)


def called_lesions(n_colours, subject="m1", treatment="vehicle", power=1.0):
    table = pd.DataFrame({"n_colours": n_colours, "subject": subject, "treatment": treatment})
    table = table.assign(image_id=f"{subject}_lung", lesion=range(1, len(table) + 1), timepoint=28.0)
    clonality = np.where(table["n_colours"] > 1, "polyclonal", "monoclonal")
    return table.assign(site="lung", n_cells=30, power=power, clonality=clonality)


def seeding_of(vehicle, drug, **more):
    rows = [("vehicle", n) for n in vehicle] + [("drug", n) for n in drug]
    table = pd.DataFrame(rows, columns=["treatment", "n_lesions"])
    table["subject"] = [f"m{k}" for k in range(len(table))]
    given = {"timepoint": 28.0, "site": "lung", "n_images": pd.NA, **more}
    names = [column.name for column in SEEDING.columns]
    return table.assign(**given).reindex(columns=names).astype({"n_images": "Int64"})


def test_two_founders_of_one_colour_are_counted():
    shares = np.array([40, 30, 20, 10])
    same = np.square(shares / 100).sum()
    found = count_founders(called_lesions([1] * 6 + [2] * 4), sizes_of(primary=shares))
    SEEDING.check(found)
    row = found.iloc[0]
    assert row["polyclonal_share"] == pytest.approx(0.4)
    assert row["polyclonal_corrected"] == pytest.approx(0.4 / (1 - same))
    assert row["founders_low"] < row["founders"] < row["founders_high"]


def test_colours_follow_from_founders():
    """The law of the number of colours is that of drawing founders one by one."""
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.3, 0.2])
    n = rng.poisson(1.3, 40_000)
    drawn = [len(set(rng.choice(3, k, p=share))) for k in n[n > 0]]
    law = np.exp(colour_likelihood(np.array([1, 2, 3]), share, 1.3))
    assert law.sum() == pytest.approx(1)
    assert np.bincount(drawn, minlength=4)[1:] / len(drawn) == pytest.approx(law, abs=0.01)


def test_planted_founders_are_recovered():
    rows, truth = [], 1.5 / -np.expm1(-1.5)
    for seed in range(2):
        scene = simulate_lesions(
            n_clones=8, subjects=3, lesions=(25, 25), founders=(1.5, 1.5), median_cells=50, seed=seed
        )
        cells, lesions = find_lesions(scene.cells)
        told = call_clonality(cells, lesions[lesions["site"] == "lung"], confusion=scene.confusion).lesions
        rows.append(count_founders(told, clone_sizes(scene.cells), samples=scene.samples))
    found = pd.concat(rows)
    assert found["founders"].mean() == pytest.approx(truth, abs=0.2)
    assert ((found["founders_low"] <= truth) & (truth <= found["founders_high"])).mean() > 0.7


def test_small_lesions_do_not_count_as_monoclonal():
    lesions = pd.concat([called_lesions([2, 2]), called_lesions([1, 1, 1], power=0.2)])
    lesions["lesion"] = range(1, 6)
    row = count_founders(lesions, sizes_of(primary=[50, 50])).iloc[0]
    assert (row["n_lesions"], row["n_told"], row["polyclonal_share"]) == (5, 2, 1.0)


def test_subjects_without_metastases_count_as_zero():
    sizes = pd.concat([sizes_of(primary=[9, 9]), sizes_of("m2", primary=[9, 9])])
    with pytest.warns(RgbtrackWarning, match=r"1 subjects \(m2\) have nothing at a site"):
        found = count_founders(called_lesions([1, 2]), sizes)
    assert found.set_index("subject")["n_lesions"].to_dict() == {"m1": 2, "m2": 0}
    samples = pd.concat([sizes_of(s, primary=[1], lung=[1]) for s in ("m1", "m2", "m3")])
    with pytest.warns(RgbtrackWarning, match="1 subjects have no cells at the site 'primary'"):
        found = count_founders(called_lesions([1, 2]), sizes, samples=samples)
    assert found["n_lesions"].tolist() == [2, 0, 0]
    assert found["n_images"].tolist() == [1, 1, 1]
    assert found.loc[1:, ["polyclonal_share", "founders"]].isna().all(axis=None)


def test_no_source_is_refused():
    with pytest.raises(DataError, match="no subject has cells at the site 'primary'; found lung"):
        count_founders(called_lesions([1]), sizes_of(lung=[5, 5]))
    with pytest.raises(DataError, match="at the site 'primary' and at another; found sites lung"):
        site_enrichment(sizes_of(lung=[5, 5]))
    with pytest.raises(DataError, match="overlap needs two sites with cells, found lung"):
        site_overlap(sizes_of(lung=[5, 5]))


def test_one_colour_at_the_source_tells_no_founders():
    row = count_founders(called_lesions([1, 1]), sizes_of(primary=[50, 0])).iloc[0]
    assert np.isnan(row["founders"])
    assert np.isnan(row["polyclonal_corrected"])
    assert row["same_colour"] == 1


def test_arms_are_compared_by_subject():
    effects = compare_seeding(seeding_of([4, 6, 5, 5], [10, 12, 8, 10]), control="vehicle")
    SEEDING_EFFECTS.check(effects)
    row = effects.set_index("outcome").loc["n_lesions"]
    assert row["effect"] == pytest.approx(1.0)
    assert row["low"] < 1 < row["high"]
    assert row["p_value"] < 0.05
    assert row["p_permutation"] == pytest.approx(2 / 70)
    assert np.isnan(effects.set_index("outcome").loc["founders", "p_value"])


def test_images_looked_at_are_allowed_for():
    twice = seeding_of([5, 6, 5], [10, 12, 10], n_images=[1, 1, 1, 2, 2, 2])
    assert compare_seeding(twice, control="vehicle")["effect"].iloc[0] == pytest.approx(0)


@pytest.mark.parametrize(("drug", "effect"), [([0, 0, 0], 0.0), ([3, 4, 5], 4.64)])
def test_an_arm_without_lesions(drug, effect):
    row = compare_seeding(seeding_of([0, 0, 0], drug), control="vehicle").iloc[0]
    assert row["effect"] == pytest.approx(effect, abs=0.01)
    assert np.isnan(row["low"])
    assert row["p_value"] == row["p_permutation"]


def test_one_subject_an_arm_has_no_p_value():
    row = compare_seeding(seeding_of([3], [9]), control="vehicle").iloc[0]
    assert (row["mean"], row["control_mean"]) == (9, 3)
    assert np.isnan(row["p_value"])


def test_arms_that_make_no_comparison_are_refused():
    with pytest.raises(
        ParamError, match="no subject had the control treatment 'saline'; found drug, vehicle"
    ):
        compare_seeding(seeding_of([1, 2], [1, 2]), control="saline")
    with pytest.raises(DataError, match="1 subjects are in two arms, as 'm0'"):
        compare_seeding(
            seeding_of([1, 2], [1, 2]).assign(subject=["m0", "m1", "m0", "m2"]), control="vehicle"
        )
    with pytest.raises(ParamError, match="no subject had the control treatment 'saline'"):
        site_enrichment(sizes_of(primary=[9, 9], lung=[9, 9]), control="saline")


def test_arms_keep_their_level():
    rng = np.random.default_rng(0)
    n = rng.poisson(8 * rng.lognormal(0, 0.5, (150, 10)))
    many = [seeding_of(row[:5], row[5:], site=f"s{k}") for k, row in enumerate(n)]
    effects = compare_seeding(pd.concat(many), control="vehicle")
    p = effects.loc[effects["outcome"] == "n_lesions", "p_value"]
    assert 0.01 <= (p <= 0.05).mean() <= 0.1


def test_overlap_of_alike_and_of_separate_sites():
    sizes = sizes_of(primary=[300, 200, 100, 0], lung=[30, 20, 10, 0], liver=[0, 0, 0, 60])
    clones = pd.DataFrame({"clone": [1, 2, 3, 4], "expected_founders": [1.0, 1.1, 4.0, 1.0]})
    found = site_overlap(sizes, clones=clones)
    SITE_OVERLAP.check(found)
    of = found.set_index(["site", "other_site"])
    alike, apart = of.loc[("primary", "lung")], of.loc[("primary", "liver")]
    assert alike["morisita_horn"] == pytest.approx(1)
    assert alike["p_value"] > 0.5
    assert (alike["n_shared"], alike["n_shared_unique"]) == (3, 2)
    assert (apart["n_shared"], apart["jaccard"], apart["morisita_horn"]) == (0, 0, 0)
    assert apart["p_value"] < 0.01
    assert apart["detectable_share"] == pytest.approx(1 - 0.05 ** (1 / 60))


def test_clones_that_few_cells_miss_are_expected():
    sizes = sizes_of(primary=[900, *[10] * 10], lung=[50, *[0] * 10])
    row = site_overlap(sizes).iloc[0]
    assert row["n_absent"] == 10
    assert 4 < row["n_absent_expected"] < 8
    assert row["jaccard_low"] < 0.3


def test_overlap_reference_keeps_its_level():
    rng = np.random.default_rng(1)
    share = rng.dirichlet(np.ones(15))
    sizes = [
        sizes_of(f"m{k}", primary=rng.multinomial(300, share), lung=rng.multinomial(50, share))
        for k in range(100)
    ]
    p = site_overlap(pd.concat(sizes), LesionParams(null_draws=100))["p_value"]
    assert 0.01 <= (p <= 0.05).mean() <= 0.1


def test_morisita_horn_by_hand():
    assert morisita_horn(np.array([1, 1, 0]), np.array([0, 1, 1])) == pytest.approx(0.5)


def test_enrichment_of_one_clone():
    rng = np.random.default_rng(2)
    parts = []
    for k in range(8):
        arm = "vehicle" if k < 4 else "drug"
        source = rng.dirichlet(50 * np.full(6, 1 / 6))
        site = source * rng.lognormal(0, 0.2, 6) * ([4.0] + [1.0] * 5 if arm == "drug" else 1.0)
        n = rng.multinomial(500, source), rng.multinomial(300, site / site.sum())
        parts.append(sizes_of(f"m{k}", arm, primary=n[0], lung=n[1]))
    found = site_enrichment(pd.concat(parts), control="vehicle")
    SITE_CLONES.check(found.subjects)
    SITE_ENRICHMENT.check(found.arms)
    between = found.arms[found.arms["against"] == "vehicle"].set_index("clone")
    assert between.loc[1, "q_value"] < 0.05
    assert between.loc[1, "effect"] == pytest.approx(2 * 5 / 6, abs=0.6)
    assert (between.loc[2:, "q_value"] > 0.05).all()
    own = found.subjects[found.subjects["treatment"] == "vehicle"]
    assert (own["low"] <= own["log2_ratio"]).all()


def test_counting_alone_enriches_nothing():
    rng = np.random.default_rng(3)
    share = rng.dirichlet(np.ones(10))
    parts = [
        sizes_of(f"m{k}", primary=rng.multinomial(300, share), lung=rng.multinomial(80, share))
        for k in range(40)
    ]
    found = site_enrichment(pd.concat(parts), clones=pd.DataFrame({"clone": [1], "expected_founders": [2.0]}))
    p = found.subjects["p_value"]
    assert 0.02 <= (p <= 0.05).mean() <= 0.08
    inside = (found.subjects["low"] <= 0) & (found.subjects["high"] >= 0)
    assert inside.mean() > 0.92
    assert found.subjects.loc[found.subjects["clone"] == 1, "expected_founders"].eq(2).all()


def test_one_subject_has_no_arm_statistics():
    found = site_enrichment(sizes_of(primary=[50, 50], lung=[30, 10]), control="vehicle")
    assert found.arms["p_value"].isna().all()
    assert found.subjects["p_value"].notna().all()


def test_lesions_are_counted_by_clone():
    lesions = called_lesions([1, 2])
    clones = pd.DataFrame(
        {"lesion": [1, 2, 2, 2], "clone": [1, 1, 2, 3], "present": [True, True, True, False]}
    )
    seeds = count_seeds(clones.assign(image_id="m1_lung"), lesions, sizes_of(primary=[50, 30, 20]))
    n = seeds.set_index(["site", "clone"])["n_cells"]
    assert n["lung"].to_dict() == {1: 2, 2: 1, 3: 0}
    assert n["primary"].to_dict() == {1: 50, 2: 30, 3: 20}
    assert len(site_enrichment(seeds).subjects) == 3
