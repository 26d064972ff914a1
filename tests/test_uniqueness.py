"""Uniqueness: distances, the founder population, doubts about clones, what an experiment can tell apart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rgbtrack.clones import (
    ClonesParams,
    assign_clones,
    clone_resolution,
    describe_clones,
    fit_clones,
    resolve_palettes,
)
from rgbtrack.clones.confusion import (
    Colours,
    colour_distances,
    foreign_share,
    merge_probability,
    pure_probability,
    separation,
)
from rgbtrack.clones.founders import (
    Population,
    draw_founders,
    founder_rows,
    founders_behind,
    size_evidence,
)
from rgbtrack.clones.ray import Spread
from rgbtrack.errors import DataError
from rgbtrack.simulate.params import CASES
from rgbtrack.tables import CLONE_DISTANCES

SPREAD = Spread(0.1, 0.4)
NAMES = ["red", "green", "blue"]


def cells_of(colours, n_each, seed=0, **more):
    """Cells of clones of the given colours, with the clone they are of."""
    rng = np.random.default_rng(seed)
    colours = np.asarray(colours, dtype=float)
    clone = np.repeat(np.arange(1, len(colours) + 1), n_each)
    n, d = len(clone), colours.shape[1]
    mean = colours[clone - 1] * np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, 0.1, (n, d)))
    se = np.sqrt(mean / 5 + 100)
    x = mean + rng.normal(0, 1, (n, d)) * se
    values = {name: x[:, j] for j, name in enumerate(NAMES[:d])}
    errors = {f"{name}_se": se[:, j] for j, name in enumerate(NAMES[:d])}
    return pd.DataFrame({**values, **errors, "clone": pd.array(clone, dtype="Int64")}).assign(**more)


def founders_of(k, seed=0, light=1000.0):
    """Colours of k founders: Poisson copies, lognormal expression."""
    rng = np.random.default_rng(seed)
    colours = np.zeros((k, 3))
    while (dark := ~colours.any(axis=1)).any():
        copies = rng.poisson(0.7, (dark.sum(), 3))
        colours[dark] = light * copies * rng.lognormal(0, 0.6, copies.shape)
    return colours


# ---- distances


def test_separation_is_brightness_over_its_spread_and_signal_over_noise():
    quiet = np.full(1, 1e-6)
    tenfold = separation(np.array([1000.0]), np.array([10000.0]), quiet, SPREAD)
    assert tenfold == pytest.approx(np.log(10) / np.hypot(0.1, 0.4), rel=0.01)
    dim = separation(np.array([0.0, 0.0]), np.array([3.0, 0.0]), np.full(2, 4.0), Spread(0.01, 0.01))
    assert dim == pytest.approx(1.5, rel=0.01)
    hue = separation(np.array([1000.0, 1000.0]), np.array([1100.0, 1000 / 1.1]), np.full(2, 1e-6), SPREAD)
    assert hue == pytest.approx(np.sqrt(2) * np.log(1.1) / 0.1, rel=0.02)


def test_colour_distances_do_not_depend_on_units_or_order():
    colours = Colours(founders_of(9), np.full((9, 3), 100.0))
    distance = colour_distances(colours, colours, SPREAD)
    assert distance == pytest.approx(distance.T)
    assert np.diag(distance) == pytest.approx(np.zeros(9))
    units = np.array([1e-3, 1.0, 50.0])
    scaled = Colours(colours.mean * units, colours.noise * units**2)
    assert colour_distances(scaled, scaled, SPREAD) == pytest.approx(distance)


def test_chances_fall_with_distance_and_share():
    chance = merge_probability(np.array([0, 1.64, 5, 1e9]))
    assert chance[1] == pytest.approx(0.5)
    assert (np.diff(chance) < 0).all()
    assert pure_probability(np.array([0.0, 0.1, 0.5])) == pytest.approx([1, 0.5, 0.05], abs=0.01)


def test_foreign_share_is_that_of_two_overlapping_normals():
    distance = np.array([[np.inf, 2.0], [2.0, np.inf]])
    assert foreign_share(distance, np.array([100, 100])) == pytest.approx([0.1587, 0.1587], abs=1e-4)
    large, small = foreign_share(distance, np.array([1000, 10]))
    rng = np.random.default_rng(0)
    at = np.concatenate([rng.normal(0, 1, 1_000_000), rng.normal(2, 1, 10_000)])
    to_small = at > 1 + np.log(100) / 2
    assert small == pytest.approx(to_small[:1_000_000].sum() / to_small.sum(), abs=0.02)
    assert large == pytest.approx((~to_small[1_000_000:]).sum() / (~to_small).sum(), abs=0.002)
    assert foreign_share(np.full((1, 1), np.inf), np.array([5])).tolist() == [0.0]


# ---- founders


def test_founder_rows():
    sheet = pd.DataFrame({"timepoint": [0.0, 0, 7, np.nan], "treatment": ["vehicle", "drug", "drug", None]})
    assert founder_rows(sheet, {}).all()
    assert founder_rows(sheet, {"timepoint": 0}).tolist() == [True, True, False, False]
    assert founder_rows(sheet, {"timepoint": 0, "treatment": "drug"}).tolist() == [False, True, False, False]
    with pytest.raises(DataError, match=r"column 'day', which is not there; found timepoint, treatment"):
        founder_rows(sheet, {"day": 0})
    with pytest.raises(DataError, match=r"timepoint = 3, which no image has; found 0, 7"):
        founder_rows(sheet, {"timepoint": 3})
    with pytest.raises(DataError, match=r"timepoint = 7, treatment = vehicle: .* no image has all"):
        founder_rows(sheet, {"timepoint": 7, "treatment": "vehicle"})
    with pytest.raises(DataError, match="which no image has; found drug, vehicle"):
        founder_rows(sheet, {"treatment": "control"})


def test_drawn_founders_are_like_the_called_ones():
    called = Colours(founders_of(200), np.full((200, 3), 100.0))
    drawn = draw_founders(called, seed=1)
    for j in range(3):
        carried, again = called.mean[:, j] > 20, drawn.mean[:, j] > 20
        assert again.mean() == pytest.approx(carried.mean(), abs=0.05)
        first, second = np.log(called.mean[carried, j]), np.log(drawn.mean[again, j])
        assert second.mean() == pytest.approx(first.mean(), abs=0.15)
        assert second.std() == pytest.approx(first.std(), abs=0.1)
    assert (drawn.mean > 20).any(axis=1).all()
    assert np.array_equal(drawn.mean, draw_founders(called, seed=1).mean)
    alone = draw_founders(Colours(np.array([[1000.0, 0, 0]]), np.full((1, 3), 100.0)))
    assert np.log(alone.mean[:, 0]).std() == pytest.approx(0.6, abs=0.05)


def test_population_of_even_colours_is_the_birthday_problem():
    none = Colours(np.empty((0, 3)), np.empty((0, 3)))
    fifty = Population(none, SPREAD, np.full(10, 1 / 50))
    assert fifty.n_colours == pytest.approx(50)
    rng = np.random.default_rng(0)
    counts = np.array([np.bincount(rng.integers(50, size=60), minlength=50) for _ in range(2000)])
    assert fifty.n_called(60) == pytest.approx((counts > 0).sum(axis=1).mean(), rel=0.01)
    assert fifty.n_founders(fifty.n_called(60)) == pytest.approx(60, rel=1e-3)
    assert fifty.alone(60) == pytest.approx((counts == 1).sum(axis=1).mean() / 60, rel=0.03)
    assert fifty.n_founders(50) == 400
    assert fifty.n_founders(1) == 1
    one, expected = founders_behind(np.full(1, 1 / 50), 60)
    assert one == pytest.approx((counts == 1).sum() / (counts > 0).sum(), rel=0.02)
    assert expected == pytest.approx(counts.sum() / (counts > 0).sum(), rel=0.02)


def test_number_of_founders_is_found_from_those_told_apart():
    """Founders are called together or apart with the chance that their distance gives, one after another."""
    rng = np.random.default_rng(4)
    found = []
    for seed in range(6):
        colours = Colours(founders_of(60, seed), np.full((60, 3), 100.0))
        merge = merge_probability(colour_distances(colours, colours, SPREAD)) > rng.random((60, 60))
        told = [i for i in range(60) if not any(merge[i, j] for j in range(i))]
        called = Colours(colours.mean[told], colours.noise[told])
        assert len(told) < 52
        found.append(Population.like(called, SPREAD).n_founders(len(told)))
    assert np.median(found) == pytest.approx(60, rel=0.2)


def test_large_clones_speak_for_two_founders():
    rng = np.random.default_rng(0)
    sizes = np.round(np.exp(rng.normal(4, 1, 400))).astype(np.int64) + 1
    evidence = size_evidence(sizes, 400)
    assert (np.diff(evidence[np.argsort(sizes)][::20]) >= 0).mean() > 0.9
    pairs = np.exp(rng.normal(4, 1, (400_000, 2)))
    both = (pairs.min(axis=1) > 0.1 * pairs.sum(axis=1)) & (np.abs(np.log(pairs.sum(axis=1) / 100)) < 0.1)
    single = np.abs(np.log(pairs[:, 0] / 100)) < 0.1
    near = evidence[np.abs(np.log(sizes / 100)) < 0.1].mean()
    assert near == pytest.approx(both.sum() / single.sum(), rel=0.15)
    outgrown = size_evidence(np.array([60] * 11 + [600]), 12)
    assert 1 < outgrown[-1] <= 2
    assert size_evidence(np.array([], dtype=np.int64), 1).size == 0


# ---- the clones table


def test_few_clones_far_apart_are_one_founder_each():
    clones = describe_clones(cells_of([[1000, 0, 0], [0, 1000, 0], [0, 300, 900]], [60, 50, 40]))
    assert (clones["unique_probability"] > 0.8).all()
    assert (clones["expected_founders"] < 1.25).all()
    assert clones["nearest_clone"].notna().all()
    assert not clones["near_pair"].any()
    lonely = describe_clones(cells_of([[1000, 0, 0]], [60]))
    assert lonely["unique_probability"].iloc[0] == pytest.approx(1)
    assert lonely["nearest_clone"].isna().all()
    assert lonely["nearest_distance"].isna().all()
    empty = describe_clones(
        cells_of([[1000, 0, 0]], [60]).assign(clone=pd.array([pd.NA] * 60, dtype="Int64"))
    )
    assert list(empty) == list(lonely)
    assert len(empty) == 0


def test_chance_of_one_founder_is_that_of_planted_founders():
    """Founders are put together or told apart as a caller does, without cells between two clones."""
    stated, right = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        colours = Colours(founders_of(50, seed), np.full((50, 3), 100.0))
        size = np.round(np.exp(rng.normal(3, 1, 50))).astype(int) + 3
        merge = merge_probability(colour_distances(colours, colours, SPREAD)) > rng.random((50, 50))
        lead = np.arange(50)
        for i in np.argsort(-size):
            larger = [j for j in np.flatnonzero(lead == np.arange(50)) if size[j] > size[i] and merge[i, j]]
            lead[i] = larger[0] if larger else i
        told = np.unique(lead)
        parts = [np.sort(size[lead == number]) for number in told]
        right += [len(part) == 1 or part[-2] <= 0.1 * part.sum() for part in parts]
        called = Colours(colours.mean[told], colours.noise[told])
        population = Population.like(called, SPREAD)
        n_founders = population.n_founders(len(told))
        evidence = size_evidence(np.array([part.sum() for part in parts]), n_founders)
        stated += founders_behind(population.drawn_in(called) * evidence, n_founders)[0].tolist()
    assert 0.5 < np.mean(right) < 0.95
    assert np.mean(stated) == pytest.approx(np.mean(right), abs=0.08)
    assert np.square(np.subtract(stated, right)).mean() < 0.9 * np.var(right)


def test_founder_sample_says_which_colours_founders_have():
    crowd = [[1000 * np.exp(0.3 * q), 1000 * np.exp(-0.3 * q), 500] for q in range(-4, 5)]
    cells = cells_of([*crowd, [0, 0, 900]], 40, timepoint=0.0)
    cells.loc[cells["clone"] == 10, "timepoint"] = 14.0
    every = describe_clones(cells)
    sample = describe_clones(cells, params=ClonesParams(founders={"timepoint": 0}))
    late = describe_clones(cells, params=ClonesParams(founders={"timepoint": 14}))
    assert sample["unique_probability"].iloc[9] > every["unique_probability"].iloc[9]
    assert late["unique_probability"].iloc[9] < every["unique_probability"].iloc[9]
    same = describe_clones(cells.assign(timepoint=0.0), params=ClonesParams(founders={"timepoint": 0}))
    pd.testing.assert_frame_equal(same, every)
    with pytest.raises(DataError, match="timepoint = 3, which no image has; found 0, 14"):
        describe_clones(cells, params=ClonesParams(founders={"timepoint": 3}))


def test_a_founder_sample_without_a_clone_leaves_the_called_ones():
    cells = cells_of(founders_of(6), 40, timepoint=1.0)
    none = cells.iloc[:20].assign(timepoint=0.0, clone=pd.array([pd.NA] * 20, dtype="Int64"))
    both = pd.concat([cells, none], ignore_index=True)
    pd.testing.assert_frame_equal(
        describe_clones(both, params=ClonesParams(founders={"timepoint": 0})), describe_clones(both)
    )


def test_clones_of_one_colour_are_told_by_brightness_only():
    colours = 1000 * np.array([*CASES["one_colour"].founders, (0.0, 1.0, 0.5), (0.0, 0.0, 1.0)])
    clones = describe_clones(cells_of(colours, 60))
    assert clones["one_colour"].to_list() == [True, True, True, False, True]
    assert clones["brightness_split_from"].fillna(0).to_list() == [2, 3, 2, 0, 0]
    assert clones["silenced_from"].isna().all()
    ray = describe_clones(cells_of([[300, 150, 60], [1500, 750, 300], [1500, 300, 750]], 60))
    assert ray["brightness_split_from"].fillna(0).to_list() == [2, 1, 0]


def test_near_pair_names_its_neighbour():
    clones = describe_clones(cells_of(1000 * np.array(CASES["near_pair"].founders), 60))
    assert clones["near_pair"].to_list() == [True, True, False]
    assert clones["nearest_clone"].to_list()[:2] == [2, 1]
    assert (clones["unique_probability"][:2] < 0.4).all()
    assert clones["nearest_distance"].iloc[2] > 3


def test_a_part_that_lost_a_marker_is_a_candidate_for_silencing():
    colours = 1000 * np.array(CASES["silenced_subclone"].founders)
    cells = cells_of([*colours, colours[0] * [0, 1, 1]], [150, 50, 50, 50, 60]).drop(columns="clone")
    called = assign_clones(cells, model=(model := fit_clones(cells, ClonesParams(starts=1))))
    clones = describe_clones(called, model).set_index("clone")
    parent, part = called["clone"].iloc[0], called["clone"].iloc[-1]
    assert clones.loc[part, "silenced_from"] == parent
    assert clones["silenced_from"].notna().sum() == 1


def test_chance_matches_are_no_silencing():
    crowded = founders_of(120, seed=3)
    flagged = describe_clones(cells_of(crowded, 30))["silenced_from"].notna()
    assert flagged.mean() < 0.05


# ---- what can be told apart


def test_resolution_of_few_clones():
    cells = cells_of([[1000, 0, 0], [0, 1000, 0], [0, 300, 900], [500, 0, 1500]], [60, 50, 40, 30])
    resolution = clone_resolution(cells)
    assert resolution.n_clones == 4
    assert 4 <= resolution.n_founders < 6
    assert resolution.n_colours > 8
    assert 1 <= resolution.n_founders_alone < resolution.n_colours
    assert not resolution.unresolvable
    assert resolution.verdict == ""
    assert f"about {resolution.n_colours:.0f} colours" in resolution.words
    assert list(resolution.distances) == [column.name for column in CLONE_DISTANCES.columns]
    CLONE_DISTANCES.check(resolution.distances)
    assert len(resolution.distances) == 6
    assert (resolution.distances["clone"] < resolution.distances["other"]).all()
    clones = describe_clones(cells).set_index("clone")
    nearest = resolution.distances.loc[resolution.distances["distance"].idxmin()]
    assert clones.loc[nearest["clone"], "nearest_clone"] == nearest["other"]
    assert clones.loc[nearest["clone"], "nearest_distance"] == pytest.approx(nearest["distance"])


def test_noise_and_missing_markers_leave_fewer_colours():
    bright = clone_resolution(cells_of(founders_of(12), 30)).n_colours
    dim = clone_resolution(cells_of(founders_of(12, light=40.0), 30)).n_colours
    assert dim < 0.8 * bright
    two = clone_resolution(cells_of(founders_of(12)[:, :2] + [[30, 0]], 30)).n_colours
    assert two < bright


def test_no_clone_no_colours():
    none = cells_of([[1000, 0, 0]], [20]).assign(clone=pd.array([pd.NA] * 20, dtype="Int64"))
    resolution = clone_resolution(none)
    assert resolution.n_clones == 0
    assert resolution.words == "No clone was called: there are no colours to tell apart."
    assert clone_resolution(cells_of([[900, 0, 0]], [20])).words.startswith("One clone was called")
    assert not resolution.unresolvable
    assert resolution.numbers()["n_colours"] is None
    assert len(resolution.distances) == 0


def test_resolution_of_subjects():
    cells = cells_of(founders_of(4, seed=2), 60)
    cells["subject"] = np.where(np.arange(len(cells)) % 2, "m1", "m2")
    params = ClonesParams(palette="subject", starts=1)
    models = fit_clones(cells, params)
    called = models.assign(cells)
    found = resolve_palettes(called, models, params)
    assert list(found) == ["m1", "m2"]
    assert sum(one.n_clones for one in found.values()) == models.n_clones
    numbers = [set(one.distances[["clone", "other"]].to_numpy().ravel()) for one in found.values()]
    assert not numbers[0] & numbers[1]
    assert list(resolve_palettes(called)) == [""]
    with pytest.raises(DataError, match=r"each subject's own.*model.subjects\[...\], of m1, m2"):
        clone_resolution(called, models)
    with pytest.raises(DataError, match="each subject's own"):
        clone_resolution(models)
    with pytest.raises(DataError, match="does not know the noise of its cells"):
        clone_resolution(replace(next(iter(models.subjects.values())), noise=None))


def planted(n_founders, n_cells, seed=0):
    """Cells of founders of uneven size, not called."""
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0, 1, n_founders)
    cells = cells_of(founders_of(n_founders, seed), rng.multinomial(n_cells, share / share.sum()), seed)
    return cells.drop(columns="clone")


@pytest.mark.parametrize(
    ("n_founders", "n_cells", "past"), [(15, 1200, False), (40, 2500, False), (300, 3000, True)]
)
def test_the_verdict_speaks_past_the_limit_only(n_founders, n_cells, past):
    cells = planted(n_founders, n_cells)
    model = fit_clones(cells, ClonesParams(starts=1))
    resolution = clone_resolution(model.assign(cells), model)
    assert resolution.unresolvable == past
    own = clone_resolution(model)  # of the model alone
    assert own.unresolvable == past
    assert own.n_clones == resolution.n_clones
    assert own.n_colours == pytest.approx(resolution.n_colours, rel=0.15)
    if past:
        assert resolution.n_founders > 1.4 * resolution.n_clones
        assert "Most clones cannot be resolved by colour" in resolution.verdict
        assert resolution.words.endswith(resolution.verdict)
    else:
        assert resolution.verdict == ""
