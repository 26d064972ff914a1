import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from rgbtrack import DynamicsParams, ResponseParams, clone_sizes
from rgbtrack.dynamics import wide_table
from rgbtrack.errors import DataError
from rgbtrack.pipeline.dynamics import DYNAMICS, Given, make_tables
from rgbtrack.report.diversity import diversity_chapter
from rgbtrack.report.growth import growth_chapter
from rgbtrack.report.methods import methods_text
from rgbtrack.report.responses import response_chapter
from rgbtrack.report.results import Results
from rgbtrack.report.sites import sites_chapter
from rgbtrack.simulate.lesions import simulate_lesions
from rgbtrack.tables import CLONE_SIZES

CONTROL = DynamicsParams(response=ResponseParams(control="vehicle"))


def planted(effect=2.0, subjects=5, days=(0.0, 14.0), seed=0):
    """Clone sizes of two arms in which clone 1 grows by 2^effect under the drug."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm in ("vehicle", "drug"):
        for s in range(subjects):
            own = rng.normal(0, 0.25, 8)
            for day in days:
                change = effect * np.log(2) * (np.arange(8) == 0) * (arm == "drug") * day / 14
                n = rng.multinomial(2000, np.exp(own + change) / np.exp(own + change).sum())
                rows += [(k + 1, f"{arm[0]}{s}", arm, day, "primary", n[k], n[k] / 2000) for k in range(8)]
    names = ["clone", "subject", "treatment", "timepoint", "site", "n_cells", "fraction"]
    sizes = pd.DataFrame(rows, columns=names)
    return sizes.assign(fraction_low=sizes["fraction"], fraction_high=sizes["fraction"])


def results_of(folder, sizes, cells=None, samples=None):
    """What a run would leave of these sizes."""
    cells = pd.DataFrame({"clone": pd.array([1], "Int64")}) if cells is None else cells
    clones = pd.DataFrame({"clone": sorted(sizes["clone"].unique())})
    given = Given(sizes, cells, clones, samples, None, CONTROL, "vehicle")
    made, not_told, remarks = make_tables(given)
    run = {
        "version": "9.9",
        "seed": 3,
        "configuration": {
            "experiment": {"control": "vehicle"},
            "channels": {"markers": {"red": "mCherry", "green": "Venus"}},
            "clones": {"min_probability": 0.5, "method": "ray", "palette": "experiment"},
        },
        "corrections": [{"correction": "gain", "applied": True}, {"correction": "shift", "applied": False}],
        "not_told": not_told,
        "remarks": remarks,
    }
    images = pd.DataFrame({"image_id": ["a", "b"]})
    return Results(folder, run, cells, clones, sizes, ("red", "green"), images, made)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return results_of(tmp_path_factory.mktemp("told"), planted())


def test_a_response_is_told_with_effect_interval_and_subjects(told):
    chapter = response_chapter(told, {})
    assert chapter.findings[0].startswith("Clones respond differently to drug (p ")
    sentence = next(text for text in chapter.findings if text.startswith("Clone 1 "))
    assert re.fullmatch(
        r"Clone 1 rose ×[3-5]\.\d under drug, relative to most clones \(95 % interval ×\d\.\d to ×\d\.\d, "
        r"q < 0\.001, 10 subjects\)\.",
        sentence,
    )
    assert [alt for alt, _ in chapter.pictures] == [
        "Effects of the treatment on each clone",
        "Effects against evidence",
    ]
    assert chapter.tables == ["dynamics/response.csv", "dynamics/heterogeneity.csv"]
    assert any("majority" in caution for caution in chapter.cautions)


def test_no_response_is_no_evidence_of_sameness(tmp_path):
    chapter = response_chapter(results_of(tmp_path, planted(effect=0.0, seed=3)), {})
    assert re.match(
        r"No sign that clones respond differently to drug .*no evidence of sameness", chapter.findings[0]
    )
    assert not any(text.startswith("Clone ") for text in chapter.findings)


def test_a_clone_that_grew_is_told_by_rate_and_doubling(told):
    chapter = growth_chapter(told, {})
    assert any(
        re.match(r"Under drug, clone 1 grew faster than the mean clone by 0\.\d+ per day .* days\.", text)
        for text in chapter.findings
    )
    assert any(
        text.startswith("Clone 1 grew faster under drug than under vehicle") for text in chapter.findings
    )
    assert "relative to the mean clone" in chapter.cautions[0]


def test_diversity_and_turnover_are_told(told):
    chapter = diversity_chapter(told, {})
    text = " ".join(chapter.findings)
    assert "On day 14, the cells under vehicle are as diverse as" in text
    assert re.search(r"From day 0 to day 14 the clones of \d+ of 10 subjects changed", text)
    assert any("Shape alone proves nothing" in caution for caution in chapter.cautions)
    assert len(chapter.pictures) == 4


def test_one_site_has_no_chapter_on_sites(told):
    assert sites_chapter(told, {}) is None


def test_sites_lesions_and_seeding_are_told(tmp_path):
    scene = simulate_lesions(lesions=(8.0, 14.0), founders=(0.4, 1.2), seed=3)
    sizes = clone_sizes(scene.cells, samples=scene.samples)
    chapter = sites_chapter(results_of(tmp_path, sizes, scene.cells, scene.samples), {})
    text = " ".join(chapter.findings)
    assert "Between primary and lung, the shares of clones differ" in text
    assert re.search(r"At lung, \d+ lesions: \d+ monoclonal, \d+ polyclonal, \d+ with too few cells", text)
    assert "lesions per subject under isoproterenol against vehicle: ×" in text
    assert len(chapter.pictures) == 3


def test_a_field_within_a_tissue_is_no_lesion(tmp_path):
    scene = simulate_lesions(lesions=(3.0, 3.0), seed=1)
    sizes = clone_sizes(scene.cells, samples=scene.samples)
    results = results_of(tmp_path, sizes, scene.cells, scene.samples)
    lesions = results.dynamics["lesions"]
    one = (
        lesions.sort_values("n_cells").groupby("image_id").tail(1).assign(n_cells=10_000, touches_border=True)
    )
    filled = dataclasses.replace(results, dynamics={**results.dynamics, "lesions": one})
    text = " ".join(sites_chapter(filled, {}).findings)
    assert "they lie within a tissue, not around lesions" in text
    assert "was seeded by" not in text


def test_what_cannot_be_told_says_why(tmp_path):
    one = results_of(tmp_path, planted(subjects=1, days=(14.0,)))
    assert "one subject an arm" in response_chapter(one, {}).not_told
    assert "two timepoints" in growth_chapter(one, {}).not_told
    assert set(one.run["not_told"]) >= {"response", "heterogeneity", "growth", "prism_growth"}


def test_a_run_that_did_not_ask_has_no_chapters(told, tmp_path):
    empty = Results(tmp_path, {"not_told": {}}, told.cells, told.clones, told.sizes, (), told.images, {})
    makers = (response_chapter, growth_chapter, diversity_chapter, sites_chapter)
    assert [make(empty, {}) for make in makers] == [None] * 4


def test_methods_say_what_was_done(told):
    text = " ".join(methods_text(told))
    for part in (
        "mCherry (red), Venus (green)",
        "rgbtrack 9.9",
        "Corrected were: gain.",
        "probability of at least 0.5",
    ):
        assert part in text
    assert "Responses to treatment (day 14)" in text
    assert "shift" not in text


def test_all_tables_of_dynamics_have_names_of_files():
    assert all(re.fullmatch(r"[a-z_]+", name) for name in DYNAMICS)
    assert all(not recipe.needs or recipe.needs in DYNAMICS for recipe in DYNAMICS.values())


def test_a_wide_table_has_arms_side_by_side():
    sizes = planted(subjects=2)
    CLONE_SIZES.check(sizes)
    wide = wide_table(sizes, "n_cells", ["clone", "timepoint"], control="vehicle")
    assert list(wide.columns) == ["clone", "timepoint", "vehicle: v0", "vehicle: v1", "drug: d0", "drug: d1"]
    assert len(wide) == 8 * 2
    first = sizes[(sizes["clone"] == 1) & (sizes["timepoint"] == 0)].set_index("subject")["n_cells"]
    assert wide.iloc[0]["drug: d1"] == first["d1"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda s: s.drop(columns="subject"), "the table lacks subject; found clone"),
        (lambda s: pd.concat([s, s]), "two rows have clone 1, timepoint 0.0, treatment vehicle, subject v0"),
    ],
)
def test_a_wide_table_needs_one_number_a_place(made, message):
    with pytest.raises(DataError, match=message):
        wide_table(made(planted(subjects=2)), "n_cells", ["clone", "timepoint"])


def test_what_is_to_be_known_of_a_table_stands_in_its_chapter(tmp_path):
    sizes = planted()
    lost = sizes[~((sizes["treatment"] == "drug") & (sizes["timepoint"] == 14))]
    chapter = response_chapter(results_of(tmp_path, lost), {})
    assert chapter.cautions[0].startswith("day 0 is compared, not day 14")


def test_a_control_that_some_table_lacks_stops_no_other(tmp_path):
    sizes = planted()
    early = sizes[(sizes["treatment"] == "drug") | (sizes["timepoint"] == 0)]
    results = results_of(tmp_path, early)
    assert "control is 'vehicle': give one of drug" in results.not_told["turnover_by_treatment"]
    assert "diversity_by_treatment" in results.dynamics
