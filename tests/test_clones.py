"""Clonal identity: planted truth, invariances, bad input."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from rgbtrack.clones import (
    CloneModel,
    ClonesParams,
    SubjectModels,
    assign_clones,
    describe_clones,
    fit_clones,
    learn_gains,
    load_clones,
    save_clones,
)
from rgbtrack.clones.gains import gain_groups, gains_seen
from rgbtrack.clones.junk import fit_junk
from rgbtrack.clones.mixture import Cells
from rgbtrack.clones.moves import Price
from rgbtrack.clones.ray import Spread, null_likelihood, ray_likelihood
from rgbtrack.clones.search import Climber, start
from rgbtrack.clones.signatures import noise_scale, read_signatures
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import CLONES

# far apart: three of one colour, three of two, one of all
COLOURS = np.array(
    [[1000, 0, 0], [0, 1000, 0], [0, 0, 1000], [800, 800, 0], [0, 900, 400], [700, 0, 1000], [600, 500, 700]],
    float,
)
NAMES = ["red", "green", "blue", "far", "deep", "teal", "pink"]


def as_table(x, se=10.0, **more):
    """Cells of the given colours and standard errors."""
    x = np.asarray(x, dtype=float)
    table = pd.DataFrame(x, columns=NAMES[: x.shape[1]])
    for name in table.columns.to_list():
        table[f"{name}_se"] = se
    return table.assign(**more)


def planted(n=600, colours=COLOURS, drift=0.0, n_images=1, unmarked=0.05, seed=0):
    """Cells with a known clone; 0 is an unmarked cell."""
    rng = np.random.default_rng(seed)
    k, d = colours.shape
    share = np.linspace(1, 3, k)
    truth = rng.choice(k, n, p=share / share.sum()) + 1
    truth[rng.random(n) < unmarked] = 0
    mean = np.vstack([np.zeros(d), colours])[truth]
    mean = mean * np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, 0.08, (n, d)))
    image = np.arange(n) % n_images
    mean *= np.exp(rng.normal(0, drift, (n_images, d)))[image]
    se = np.sqrt(mean / 5 + 100)
    table = as_table(mean + rng.normal(0, 1, (n, d)) * se, image_id=[f"im{q}" for q in image])
    for j, name in enumerate(NAMES[:d]):
        table[f"{name}_se"] = se[:, j]
    return table, truth


def agreement(result, truth):
    """ARI over marked cells, rejects as singletons."""
    called = result["clone"].fillna(0).to_numpy(dtype=int)
    called = np.where(called == 0, 1000 + np.arange(len(called)), called)
    return adjusted_rand_score(truth[truth > 0], called[truth > 0])


@pytest.fixture(scope="module")
def seven():
    """Seven clones well apart."""
    table, truth = planted()
    model = fit_clones(table)
    return table, truth, model, model.assign(table)


# ---- planted truth


def test_finds_planted_clones(seven):
    _, truth, model, result = seven
    assert model.n_clones == 7
    assert agreement(result, truth) > 0.97
    assert result["clone"].dtype == "Int64"
    assert result["unassigned_reason"].dtype == "string"
    assert set(result.loc[truth == 0, "unassigned_reason"]) == {"no marker above noise"}
    assert (result["clone"].isna() == result["unassigned_reason"].notna()).all()
    sizes = result["clone"].value_counts()
    assert sizes.sort_index().is_monotonic_decreasing
    assert model.spread_colour == pytest.approx(0.08, abs=0.02)
    assert model.spread_brightness == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("d", [2, 4, 7])
def test_any_number_of_markers(d):
    rng = np.random.default_rng(d)
    colours = rng.permutation(np.vstack([np.eye(d), np.ones((1, d))])) * 1000
    table, truth = planted(300, colours, seed=d)
    result = assign_clones(table, ClonesParams(starts=1))
    assert d + 1 <= result["clone"].max() <= d + 3
    assert agreement(result, truth) > 0.85  # clones of one colour may be cut by brightness: they are flagged


def test_gains_that_drift_are_fitted_with_the_clones():
    near = np.array(
        [[1000, 600, 300], [1000, 450, 300], [1000, 450, 420], [700, 600, 500], [400, 900, 300]], float
    )
    table, truth = planted(1500, near, drift=0.12, n_images=10, seed=3)
    with_gains = agreement(assign_clones(table, ClonesParams(starts=1)), truth)
    without = agreement(assign_clones(table, ClonesParams(gains="none", starts=1)), truth)
    assert with_gains > 0.85
    assert with_gains > without + 0.05


def test_gains_twenty_percent_off_cost_little_and_are_found():
    near = np.array(
        [[1000, 600, 300], [1000, 350, 300], [900, 450, 700], [700, 900, 500], [300, 900, 200]], float
    )
    steady, truth = planted(1050, near, n_images=7, seed=5)
    gain = np.exp(np.random.default_rng(5).choice([-0.2, 0.2], (7, 3)))
    image = steady["image_id"].str[2:].astype(int).to_numpy()
    drifted = steady.copy()
    for j, name in enumerate(NAMES[:3]):
        drifted[[name, f"{name}_se"]] *= gain[image, j][:, None]
    params = ClonesParams(starts=1)
    model = fit_clones(drifted, params)
    without = agreement(assign_clones(drifted, ClonesParams(gains="none", starts=1)), truth)
    found = agreement(model.assign(drifted), truth)
    assert found > agreement(assign_clones(steady, params), truth) - 0.02
    assert found > without + 0.1
    order = [model.markers.index(name) for name in NAMES[:3]]
    log_gain = np.array([model.gains[f"im{q}"] for q in range(7)])[:, order]
    centred = np.log(gain) - np.log(gain).mean(0)
    assert np.abs(log_gain - log_gain.mean(0) - centred).max() < 0.12


def test_fitting_gains_and_leaks_from_a_good_mixture_does_not_lose_it():
    """Images with clones of their own: both at once took the same difference off twice, and diverged."""
    rng = np.random.default_rng(2)
    colours = np.array(
        [
            [300, 0, 0],
            [0, 500, 0],
            [0, 0, 350],
            [200, 300, 130],
            [830, 200, 0],
            [150, 720, 950],
            [390, 1600, 0],
            [410, 330, 1150],
            [390, 480, 230],
            [90, 0, 1000],
        ],
        float,
    )
    image = np.arange(1000) % 5
    share = np.array([rng.dirichlet(np.full(10, 0.3)) for _ in range(5)])
    truth = np.array([rng.choice(10, p=share[q]) for q in image])
    mean = colours[truth] * np.exp(rng.normal(0, 0.4, (1000, 1)) + rng.normal(0, 0.1, (1000, 3)))
    se = np.sqrt(mean / 5 + 100)
    table = as_table(mean + rng.normal(0, 1, mean.shape) * se, image_id=[f"im{q}" for q in image])
    for j, name in enumerate(NAMES[:3]):
        table[f"{name}_se"] = se[:, j]
    signatures = read_signatures(table)
    unit = np.quantile(signatures.x, 0.95, axis=0)
    x, s = signatures.x / unit, signatures.s / unit[:, None] / unit
    junk, noise = fit_junk(x, s, 0), np.empty(len(x))
    null_likelihood(x, s, noise)
    cells = Cells(x, s, noise, junk.log_density(x), gain_groups(table, "image").index)
    params = ClonesParams()
    climber = Climber(cells, Price(params.strictness, 3, params.min_cells), params, np.random.default_rng(0))

    def objective(mixture):
        return climber.look(mixture).objective - mixture.detectors.cost(climber.drift)

    steady = climber.step(start(cells, 5, params, 0), 4, fit_spread=False, fit=())
    steady = climber.step(climber.shrink(steady, fit_spread=True, fit=()), 10, fit=())
    free = climber.step(steady, 24)
    assert objective(free) > objective(steady)
    assert free.detectors.gains.any()
    assert free.detectors.leaks.any()


def test_gains_are_blind_to_treatment_and_subject():
    table, _ = planted(300, COLOURS[:4], drift=0.1, n_images=4, seed=1)
    arms = table.assign(
        treatment=np.where(np.arange(300) % 2, "drug", "vehicle"), subject="m1", timepoint=0.0
    )
    rng = np.random.default_rng(0)
    mixed = arms.assign(treatment=rng.permutation(arms["treatment"]), subject=rng.integers(0, 9, 300))
    params = ClonesParams(starts=1)
    first, second = fit_clones(arms, params), fit_clones(mixed, params)
    assert first.to_json() == second.to_json()


def test_gains_do_not_swallow_a_clone_that_one_image_holds():
    table, truth = planted(600, COLOURS[:4], n_images=3, unmarked=0)
    table = table[~((truth == 2) & (table["image_id"] != "im0"))]
    model = fit_clones(table)
    assert model.n_clones == 4
    assert max(abs(gain).max() for gain in model.gains.values()) < 0.1


def test_a_clone_of_ninety_percent_beside_a_small_one():
    table, truth = planted(1000, COLOURS[[3, 4]], unmarked=0)
    keep = (truth == 1) | (np.cumsum(truth == 2) <= 5)
    called = assign_clones(table[keep])["clone"]
    assert (called == 1).mean() > 0.9
    small = called[truth[keep] == 2]
    assert len(small.unique()) == 1
    assert (called == small.iloc[0]).sum() == 5


def test_probabilities_are_calibrated():
    close = np.array([[1000, 600, 300], [1000, 480, 300], [850, 600, 380]], float)
    table, truth = planted(1500, close, unmarked=0, seed=2)
    model = fit_clones(table, ClonesParams(starts=1))
    assert 3 <= model.n_clones <= 4
    result = replace(model, main_share=None).assign(table)  # three founders tell little of their population
    numbers = range(1, model.n_clones + 1)
    names = {c: np.bincount(truth[result["clone"].eq(c).fillna(False)]).argmax() for c in numbers}
    right = result["clone"].map(names).to_numpy(dtype=float, na_value=0) == truth
    called = result["clone"].notna().to_numpy()
    assert right[called].mean() == pytest.approx(result["clone_probability"][called].mean(), abs=0.06)


def test_a_clone_that_may_be_two_founders_is_less_the_lineage_of_one(seven):
    _, _, model, result = seven
    assert model.main_share.min() > 0.9
    plain = replace(model, main_share=None).assign(result)
    assert result["clone"].equals(plain["clone"])
    ratio = (result["clone_probability"] / plain["clone_probability"]).groupby(result["clone"]).mean()
    np.testing.assert_allclose(ratio, model.main_share)
    rng = np.random.default_rng(0)
    crowd, _ = planted(1500, rng.lognormal(6.5, 0.25, (60, 3)), seed=1)
    assert fit_clones(crowd, ClonesParams(starts=1)).main_share.min() < 0.9


@pytest.mark.parametrize("method", ["gmm", "hdbscan", "threshold"])
def test_plain_methods_are_offered_beside(method):
    table, truth = planted(400)
    model = fit_clones(table, ClonesParams(method=method))
    result = model.assign(table)
    assert agreement(result, truth) > 0.6
    back = CloneModel.from_json(json.loads(json.dumps(model.to_json())))
    pd.testing.assert_frame_equal(back.assign(table), result)


# ---- invariances


def test_same_seed_same_clones(seven):
    table, _, _, result = seven
    pd.testing.assert_frame_equal(assign_clones(table), result)


def test_common_gain_changes_nothing(seven):
    table, _, _, result = seven
    columns = [name for marker in NAMES[:3] for name in (marker, f"{marker}_se")]
    scaled = table.assign(**{name: table[name] * 1e-3 for name in columns})
    assert assign_clones(scaled)["clone"].equals(result["clone"])


def test_order_of_channels_changes_nothing(seven):
    table, _, _, result = seven
    pd.testing.assert_frame_equal(assign_clones(table[table.columns[::-1]])[result.columns], result)


def test_rows_keep_order_and_index(seven):
    table, *_ = seven
    part = table.iloc[::-3]
    result = assign_clones(part, ClonesParams(starts=1))
    assert result.index.equals(part.index)
    pd.testing.assert_frame_equal(result[part.columns], part)


def test_model_comes_back_from_json(seven):
    table, _, model, result = seven
    back = CloneModel.from_json(json.loads(json.dumps(model.to_json())))
    pd.testing.assert_frame_equal(assign_clones(table, model=back), result)
    with pytest.raises(DataError, match=r"no clone model.*found colours"):
        CloneModel.from_json({"colours": []})


def test_clones_come_back_from_a_file(seven, tmp_path):
    table, _, model, result = seven
    save_clones(tmp_path / "clones.json", model)
    pd.testing.assert_frame_equal(load_clones(tmp_path / "clones.json").assign(table), result)
    table = table.assign(subject=np.where(np.arange(len(table)) % 2, "m1", "m2"))
    models = fit_clones(table, ClonesParams(palette="subject", starts=1))
    save_clones(tmp_path / "subjects.json", models)
    pd.testing.assert_frame_equal(load_clones(tmp_path / "subjects.json").assign(table), models.assign(table))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "not readable as JSON"),
        ("[]", "holds no clones: give clone_model.json"),
        ('{"format": "rgbtrack clones 1", "markers": []}', "no clone model"),
        ('{"format": "rgbtrack clones 1", "markers": 3, "subjects": 4}', "its clones are damaged"),
    ],
)
def test_files_that_hold_no_clones(tmp_path, text, match):
    (tmp_path / "clones.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=match):
        load_clones(tmp_path / "clones.json")
    with pytest.raises(DataError, match="no such file"):
        load_clones(tmp_path / "none.json")


def test_later_images_get_the_same_clones_whatever_their_gain():
    table, truth = planted(1400, n_images=4, seed=8)
    later = table["image_id"] == "im3"
    gain = pd.Series({"red": 1.25, "green": 0.85, "blue": 1.1})
    for name in gain.index:
        table.loc[later, [name, f"{name}_se"]] *= gain[name]
    model = fit_clones(table[~later], ClonesParams(starts=1))
    plain = agreement(assign_clones(table[later], model=model), truth[later])
    learnt = learn_gains(model, table[later])
    assert agreement(assign_clones(table[later], model=learnt), truth[later]) > max(0.97, plain)
    found = np.exp(learnt.gains["im3"]) / np.exp(np.mean([model.gains[f"im{q}"] for q in range(3)], axis=0))
    np.testing.assert_allclose(found, gain[list(model.markers)], rtol=0.06)
    assert learnt.gains["im0"] is model.gains["im0"]
    far = table[later].assign(red=3 * table["red"], red_se=3 * table["red_se"])
    with pytest.warns(RgbtrackWarning, match="gains of im3 are further .* raise gain_drift"):
        learn_gains(model, far)
    assert learn_gains(learnt, table[later]).gains == learnt.gains
    assert learn_gains(model, table[later].drop(columns="image_id")) is model


@pytest.mark.parametrize("method", ["gmm", "hdbscan", "threshold"])
@pytest.mark.parametrize("n", [1, 4, 12])
def test_plain_methods_of_few_cells_call_none_that_noise_explains(method, n):
    table, _ = planted(n, np.zeros((1, 3)))
    result = assign_clones(table, ClonesParams(method=method))
    strong = (table[NAMES[:3]].abs() > 3 * table["red_se"].iloc[0]).any(axis=1)
    assert not (result["clone"].notna() & ~strong).any()


def test_what_was_lacking_is_told(seven):
    table, *_ = seven
    bare = table[[c for c in table.columns if c != "image_id"]]
    told = assign_clones(bare, ClonesParams(starts=1)).attrs["without"]
    assert ["cov_" in one for one in told] == [True, False]
    assert "no column batch or image_id" in told[1]
    full = table.assign(cov_red_green=0.0, cov_green_blue=0.0, cov_red_blue=0.0)
    assert assign_clones(full, ClonesParams(starts=1)).attrs["without"] == []


# ---- palettes, gains, description


def test_palette_of_subjects():
    table, _ = planted(400, COLOURS[:4], seed=5)
    table["subject"] = np.where(np.arange(400) < 250, "m1", "m2")
    params = ClonesParams(palette="subject", starts=1)
    models = fit_clones(table, params)
    result = models.assign(table)
    assert isinstance(models, SubjectModels)
    assert models.n_clones == 8
    assert result.groupby("clone")["subject"].nunique().eq(1).all()
    assert result["clone"].value_counts().sort_index().is_monotonic_decreasing
    back = SubjectModels.from_json(json.loads(json.dumps(models.to_json())))
    pd.testing.assert_frame_equal(back.assign(table), result)
    clones = describe_clones(result, models)
    assert clones["clone"].to_list() == list(range(1, 9))
    assert clones["subject"].value_counts().to_dict() == {"m1": 4, "m2": 4}
    with pytest.raises(DataError, match="no clones were found for subject m3"):
        models.assign(table.assign(subject="m3"))
    with pytest.raises(DataError, match="no column subject"):
        fit_clones(table.drop(columns="subject"), params)
    with pytest.raises(DataError, match="no clone models of subjects"):
        SubjectModels.from_json({})


def test_gain_groups():
    table = pd.DataFrame({"image_id": ["b", "a", "b"], "batch": ["x", "x", "x"]})
    assert gain_groups(table, "auto").column == "image_id"
    assert gain_groups(table, "auto").index.tolist() == [1, 0, 1]
    assert gain_groups(table.assign(batch=[1, 2, None]), "auto").names == ("", "1.0", "2.0")
    assert gain_groups(table, "batch").column == ""
    assert gain_groups(table, "none").column == ""
    assert gain_groups(table[[]], "auto").column == ""


def test_gains_table(seven):
    assert seven[2].gains_table().empty
    table, _ = planted(300, drift=0.1, n_images=2)
    gains = fit_clones(table, ClonesParams(starts=1)).gains_table()
    assert list(gains["group"].unique()) == ["im0", "im1"]
    assert set(gains["marker"]) == {"red", "green", "blue"}
    assert gains["se"].between(0.001, 0.1).all()


def test_errors_of_gains_are_right():
    off = []
    for seed in range(4):
        steady, _ = planted(600, n_images=6, seed=seed)
        gain = np.exp(np.random.default_rng(seed).normal(0, 0.1, (6, 3)))
        gain /= np.exp(np.log(gain).mean(axis=0))
        image = steady["image_id"].str[2:].astype(int).to_numpy()
        for j, name in enumerate(NAMES[:3]):
            steady[[name, f"{name}_se"]] *= gain[image, j][:, None]
        found = fit_clones(steady, ClonesParams(starts=1)).gains_table()
        true = pd.DataFrame(gain, [f"im{q}" for q in range(6)], NAMES[:3])
        off.extend(
            (found["gain"] - [true.loc[g, m] for g, m in found[["group", "marker"]].to_numpy()]) / found["se"]
        )
    assert 0.6 < np.std(off) < 1.5


def test_gains_are_seen_before_and_after():
    table, _ = planted(900, n_images=3, seed=2)
    table.loc[table["image_id"] == "im1", ["red", "red_se"]] *= 1.3
    model = fit_clones(table, ClonesParams(starts=1, gain_drift=0.2))
    seen = gains_seen(model.assign(table), model).set_index(["group", "marker"])
    high = seen.loc[("im1", "red")]
    assert high["before"] / seen.loc[("im0", "red"), "before"] == pytest.approx(1.3, abs=0.1)
    assert high["after"] == pytest.approx(1, abs=0.08)
    assert gains_seen(model.assign(table).iloc[:0], model).empty
    by_subject = ClonesParams(starts=1, palette="subject")
    table["subject"] = np.where(np.arange(len(table)) % 2, "m1", "m2")
    models = fit_clones(table, by_subject)
    assert set(gains_seen(models.assign(table), models)["group"]) == set(models.gains_table()["group"])


def test_describe_clones(seven):
    _, _, model, result = seven
    clones = describe_clones(result, model)
    of_sheet = {
        "subject",
        "n_subjects",
        "n_timepoints",
        "n_sites",
        "clone_name",
    }  # need a sheet's columns, or a hand
    told = [c.name for c in CLONES.columns if c.name not in of_sheet]
    assert list(clones) == [name for c in told for name in (NAMES[:3] if c == "<marker>" else [c])]
    assert clones["n_cells"].sum() == result["clone"].notna().sum()
    assert clones["unique_probability"].between(0.8, 1).all()
    assert clones["one_colour"].sum() == 3
    assert not clones["near_pair"].any()
    pd.testing.assert_series_equal(describe_clones(result)["n_cells"], clones["n_cells"])
    with pytest.raises(DataError, match="no column clone"):
        describe_clones(result.drop(columns="clone"))


def test_near_clones_are_doubted():
    table, truth = planted(300, COLOURS[[3, 3, 2]] * [[1, 1, 1], [1.15, 1, 1], [1, 1, 1]], unmarked=0)
    clones = describe_clones(table.assign(clone=pd.array(truth, dtype="Int64")))
    assert clones["near_pair"].to_list() == [True, True, False]
    assert clones["unique_probability"][2] > 0.8
    assert (clones["unique_probability"][:2] < 0.2).all()


# ---- kernels against plain numpy


@pytest.mark.parametrize("d", [2, 3, 5])
def test_likelihood_is_the_integral_over_brightness(d):
    rng = np.random.default_rng(d)
    spread = Spread(0.1, 0.4)
    mu = np.abs(rng.normal(1, 0.5, (1, d)))
    root = rng.normal(0, 0.05, (d, d))
    s = (root @ root.T + 1e-3 * np.eye(d))[None]
    x = mu * 1.3 + rng.normal(0, 0.05, (1, d))
    out = [np.zeros((1, 1)) for _ in range(3)]
    pick = np.zeros((1, 1), dtype=np.int64)
    ray_likelihood(x, s, mu, pick, 0.4, spread.variance_factor, spread.mean_factor, 6, *out)
    h = np.linspace(-2, 2, 4001)
    density = np.exp(-0.5 * (h / 0.4) ** 2) / (0.4 * np.sqrt(2 * np.pi))
    for q, value in enumerate(h):
        cov = s[0] + np.diag(spread.variance_factor * (mu[0] * np.exp(value)) ** 2)
        r = x[0] - spread.mean_factor * np.exp(value) * mu[0]
        density[q] *= np.exp(-0.5 * r @ np.linalg.solve(cov, r)) / np.sqrt(np.linalg.det(2 * np.pi * cov))
    assert out[0][0, 0] == pytest.approx(np.log(density.sum() * (h[1] - h[0])), abs=0.1)
    assert out[1][0, 0] == pytest.approx(h[density.argmax()], abs=0.02)
    noise = np.empty(1)
    null_likelihood(x, s, noise)
    expected = -0.5 * x[0] @ np.linalg.solve(s[0], x[0]) - 0.5 * np.log(np.linalg.det(2 * np.pi * s[0]))
    assert noise[0] == pytest.approx(expected)


def test_noise_scale_finds_wrong_standard_errors():
    rng = np.random.default_rng(0)
    x = rng.normal([0, 0, 500], 20, (2000, 3))
    assert noise_scale(x, np.tile(np.eye(3) * 100, (2000, 1, 1))) == pytest.approx([2, 2, 1], rel=0.1)
    faint = rng.normal(20, 20, (4000, 3))
    assert noise_scale(faint, np.tile(np.eye(3) * 400, (4000, 1, 1))) == pytest.approx([1, 1, 1], rel=0.4)


def test_covariances_are_read_either_way():
    table = as_table([[1, 2], [3, 4]]).assign(cov_red_green=[5.0, 1e9])
    s = read_signatures(table).s
    assert s[0, 0, 1] == s[0, 1, 0] == 5
    assert np.linalg.eigvalsh(s).min() > 0


# ---- bad input


@pytest.mark.parametrize(
    "table",
    [
        as_table(np.zeros((0, 3))),
        as_table([[500, 20, 3]]),
        as_table([[500, 20, 3], [5, 800, 0]]),
        as_table(np.full((40, 3), np.nan)),
        as_table(np.zeros((40, 3))),
        as_table(np.zeros((40, 3)), se=0.0),
        as_table(np.full((40, 3), 7.0)),
        as_table(-np.ones((40, 3)) * 200),
        as_table(np.random.default_rng(0).normal(0, 10, (2000, 3))),
        as_table(np.random.default_rng(0).normal(0, 25, (500, 2))),
        as_table(np.random.default_rng(0).normal(6, 10, (500, 3))),
    ],
    ids=[
        "none",
        "one",
        "two",
        "nan",
        "zeros",
        "no_error",
        "constant",
        "negative",
        "noise",
        "noisier",
        "offset",
    ],
)
def test_no_clone_is_invented(table):
    model = fit_clones(table)
    result = model.assign(table)
    assert model.n_clones == 0
    assert result["clone"].isna().all()
    assert result["unassigned_reason"].notna().all()
    assert describe_clones(result, model).empty
    back = CloneModel.from_json(json.loads(json.dumps(model.to_json())))
    pd.testing.assert_frame_equal(back.assign(table), result)


def test_one_colour_only():
    rng = np.random.default_rng(0)
    x = np.column_stack([1000 * np.exp(rng.normal(0, 0.4, 400)), rng.normal(0, 10, (400, 2))])
    result = assign_clones(as_table(x))
    assert (result["clone"] == 1).all()
    assert describe_clones(result)["one_colour"].all()


@pytest.mark.parametrize("se", [5.0, 0.0])
def test_thousands_of_identical_cells(se):
    result = assign_clones(as_table(np.tile([500.0, 200, 100], (3000, 1)), se))
    assert (result["clone"] == 1).all()


def test_cells_that_cannot_be_used_are_told():
    table, _ = planted(200, COLOURS[:3], unmarked=0)
    table["doublet"] = False
    table.loc[0, "red"] = np.nan
    table.loc[1, "red_se"] = np.inf
    table.loc[2, "red_se"] = -1.0
    table.loc[3, "red_se"] = 0.0
    table.loc[4, "doublet"] = True
    result = assign_clones(table)
    assert result["unassigned_reason"][:3].eq("not measured").all()
    assert result["clone_probability"][:3].isna().all()
    assert result["clone"][3] > 0
    assert result["unassigned_reason"][4] == "doublet"
    assert result["clone"][5:].notna().all()


def test_cells_between_clones_are_told():
    table, _ = planted(300, COLOURS[:3], unmarked=0)
    strict = assign_clones(table, ClonesParams(min_probability=1.0, starts=1))
    reasons = strict["unassigned_reason"].dropna()
    assert reasons.str.startswith("ambiguous: best probability below 1").any()
    debris = pd.concat([table, as_table([[3e4, 3e4, 10], [10, 7e4, 5e4]])], ignore_index=True)
    assert assign_clones(debris)["unassigned_reason"].tail(2).eq("unlike any clone").all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame(), "clones need 2 to 7 markers.*found 0"),
        (pd.DataFrame({"red": [1.0], "red_se": [1.0]}), "found 1 \\(red\\)"),
        (as_table([[1, 2, 3]]).assign(green="a"), "column green should hold numbers, found 'a'"),
    ],
)
def test_tables_without_colours(table, message):
    with pytest.raises(DataError, match=message):
        assign_clones(table)


def test_model_needs_its_markers(seven):
    with pytest.raises(DataError, match="the table lacks blue, blue_se"):
        seven[2].assign(as_table([[1, 2]]))


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_clones_than_allowed(seven, most):
    table = seven[0]
    assert 1 <= fit_clones(table, ClonesParams(max_clones=most)).n_clones <= most


def test_bleed_through_that_drifts_from_image_to_image_is_fitted():
    """Gains that drift before unmixing leave a share of one marker in another, the same in all cells of an image."""
    table, truth = planted(n=1800, n_images=6)
    rng = np.random.default_rng(1)
    leaks = rng.normal(0, 0.02, (6, 3, 3)) * (1 - np.eye(3))
    names = ["red", "green", "blue"]
    image = table["image_id"].astype("category").cat.codes.to_numpy()
    x = table[names].to_numpy()
    table[names] = x + np.einsum("njk,nk->nj", leaks[image], np.maximum(x, 0))
    free = fit_clones(table)
    assert agreement(free.assign(table), truth) > 0.9
    fitted = np.stack([free.leaks[name] for name in sorted(free.leaks)])
    order = [free.markers.index(name) for name in names]
    fitted = fitted[:, order][:, :, order]
    off = ~np.eye(3, dtype=bool)
    centred = leaks - leaks.mean(0)
    assert np.corrcoef(fitted[:, off].ravel(), centred[:, off].ravel())[0, 1] > 0.8


def test_clones_of_one_colour_are_not_taken_for_junk():
    rng = np.random.default_rng(3)
    colours = np.array([[1000, 0, 0], [0, 1000, 0], [0, 2500, 0], [0, 0, 900], [0, 900, 1400]], float)
    truth = rng.integers(0, 5, 900)
    x = colours[truth] * np.exp(rng.normal(0, 0.35, (900, 1)) + rng.normal(0, 0.1, (900, 3)))
    # off markers are known better than stated, as where bleed-through was exact
    table = as_table(x + rng.normal(0, 5, x.shape), se=np.hypot(10, 0.02 * x.sum(1, keepdims=True)))
    called = fit_clones(table).assign(table)["clone"].notna()
    assert called.mean() > 0.95


# ---- what other programs, and hands, make of tables and models


@pytest.mark.parametrize("name", ["red_systematic", "cov_red_green"])
@pytest.mark.parametrize("value", [np.nan, None])
def test_unknown_systematic_errors_and_covariances_count_as_none(seven, name, value):
    table, _, model, result = seven
    told = model.assign(table.assign(**{name: pd.array([value] * len(table), dtype="Float64")}))
    pd.testing.assert_frame_equal(told[list(result)], result)


def test_one_absurd_value_costs_one_cell(seven):
    table, _, _, result = seven
    for name, value in [("red", 1e200), ("red_se", 1e200), ("red", 1e19), ("red_se", 1e19), ("red_se", 1e4)]:
        odd = assign_clones(table.assign(**{name: table[name].where(table.index != 3, value)}))
        assert pd.isna(odd["clone"][3])
        assert adjusted_rand_score(odd["clone"].fillna(0), result["clone"].fillna(0)) > 0.98
    assert read_signatures(table.assign(red_systematic=np.inf)).measured.sum() == 0
    with pytest.raises(DataError, match="too small to reckon with: multiply"):
        fit_clones(table[[*NAMES[:3], "red_se", "green_se", "blue_se"]] * 1e-150)


@pytest.mark.parametrize("sign", [1, -1])
def test_covariances_that_contradict_each_other_are_shrunk(seven, sign):
    table = seven[0]
    for a, b, way in [("red", "green", sign), ("green", "blue", sign), ("red", "blue", -1)]:
        table = table.assign(**{f"cov_{a}_{b}": way * 0.9 * table[f"{a}_se"] * table[f"{b}_se"]})
    s = read_signatures(table).s
    assert np.linalg.eigvalsh(s).min() > 0
    np.testing.assert_allclose(s[:, 0, 0], table["blue_se"] ** 2)
    assert assign_clones(table, ClonesParams(starts=1))["clone"].notna().mean() > 0.9


@pytest.mark.parametrize(
    "truths",
    [["False", "True"], pd.array([0, 1], dtype="Int64"), pd.array([None, True], dtype="boolean"), [0.0, 1.0]],
)
def test_doublets_are_read_as_files_write_them(truths):
    table = as_table(COLOURS[:2]).assign(doublet=truths)
    assert read_signatures(table).doublet.tolist() == [False, True]
    assert read_signatures(table.assign(doublet=pd.array([pd.NA, 1], dtype="Int64"))).doublet.tolist() == [
        False,
        True,
    ]


def test_tables_that_mislead_are_refused(seven):
    table, _, _, result = seven
    with pytest.raises(DataError, match="doublet should hold true or false, found 'yes'"):
        fit_clones(table.assign(doublet="yes"))
    with pytest.raises(DataError, match="column red more than once"):
        fit_clones(pd.concat([table, table[["red"]]], axis=1))
    with pytest.raises(DataError, match="marker clone has the name of a column of cells"):
        fit_clones(table.rename(columns={"red": "clone", "red_se": "clone_se"}))
    with pytest.raises(DataError, match="clone should hold numbers, found 'a'"):
        describe_clones(result.assign(clone="a"))
    with pytest.raises(DataError, match="which no image has; found 1, a"):
        describe_clones(result.assign(day=[1, "a"] * 300), None, ClonesParams(founders={"day": 7}))
    mixed = table.assign(image_id=[1, "1", None] * 200)
    assert assign_clones(mixed, ClonesParams(starts=1))["clone"].nunique() == 7


@pytest.mark.parametrize(
    ("part", "value", "match"),
    [
        ("colours", [], "colours should have the shape"),
        ("colours", [[float("nan")] * 3] * 7, "colours should hold finite numbers"),
        ("weights", [0.0] * 7, "weights should hold finite numbers above 0"),
        ("error_scale", [1.0], "error_scale should have the shape"),
        ("markers", "red", "markers should be a list of names"),
        ("markers", ["red", "red", "green"], "2 to 7 different names"),
        ("numbers", [1] * 7, "numbers should be different"),
        ("main_share", [1.0], "main_share should have the shape"),
        ("gain_column", "batch", "gain_column, gains, gains_se and leaks"),
        ("gain_column", None, "gain_column should be a name"),
        ("junk", None, "junk be there"),
        ("covariances", [[[0.0] * 3] * 3] * 7, "covariances should be positive definite"),
        ("spread_colour", 0, "spread_colour should lie above 0"),
        ("min_probability", 2, "should lie between 0 and 1"),
    ],
)
def test_models_edited_by_hand_are_refused(seven, tmp_path, part, value, match):
    saved = {"format": "rgbtrack clones 1", **seven[2].to_json(), part: value}
    (tmp_path / "clones.json").write_text(json.dumps(saved))
    with pytest.raises(DataError, match=f"clones.json: its clones are damaged: .*{match}"):
        load_clones(tmp_path / "clones.json")


def test_gains_edited_by_hand_are_refused():
    table, _ = planted(200, COLOURS[:3], n_images=2)
    saved = fit_clones(table, ClonesParams(starts=1)).to_json()
    for name, value in [("gains", [0.0]), ("gains", [99.0] * 3), ("gains_se", [0.0]), ("leaks", [[0.0]])]:
        with pytest.raises(DataError, match=name):
            CloneModel.from_json({**saved, name: {**saved[name], "im0": value}})
    subjects = {"markers": ["a", "b", "c"], "subjects": {"m1": saved}}
    with pytest.raises(DataError, match="subject m1 has other markers than a, b, c"):
        SubjectModels.from_json(subjects)


def test_places_too_far_to_reckon_with_are_none(seven):
    table, _, model, result = seven
    odd = model.assign(table.assign(y_um=1e200, x_um=np.arange(600.0)), spatial=True)
    assert odd["clone"].equals(result["clone"])
