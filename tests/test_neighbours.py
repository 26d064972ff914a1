"""Evidence beyond colour: planted patches, migrants, light that spills over, tracks; invariances."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree
from scipy.special import logsumexp

from rgbtrack.clones import ClonesParams, assign_clones, fit_clones
from rgbtrack.clones.links import find_predecessors, hear_links, judge_links
from rgbtrack.clones.mixture import all_clones, likelihood
from rgbtrack.clones.neighbours import NO_PATCHES, Field, Patchiness, find_patchiness, hear_neighbours
from rgbtrack.clones.parts import parts_of, sample_of
from rgbtrack.clones.ray import Spread
from rgbtrack.clones.surroundings import hear_surroundings
from rgbtrack.errors import DataError
from rgbtrack.evaluate import calibration_error

SPACING = 14.0
CALLS = ["clone", "clone_probability", "unassigned_reason", "colour_clone", "colour_probability"]


def planted(side=40, n_clones=12, cells_per_patch=30, migrants=0.1, spill=0.0, seed=0):
    """Cells on a loose grid, in patches of one clone but for migrants; 0 cells a patch: mixed.

    Colours lie so near each other that a fifth of the cells cannot be told by colour. Returns the table,
    the true clone (0-based), and the probabilities and shares that whoever knows the colours has.
    """
    rng = np.random.default_rng(seed)
    n = side * side
    hue = np.linspace(0, 1, n_clones)
    colours = 400 * np.column_stack([hue, 1 - hue, np.full(n_clones, 0.5)])
    share = rng.dirichlet(np.full(n_clones, 5.0))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    place = SPACING * grid + rng.normal(0, 3, (n, 2))
    truth = rng.choice(n_clones, n, p=share)
    if cells_per_patch:
        seeds = rng.uniform(0, side * SPACING, (n // cells_per_patch, 2))
        patch = rng.choice(n_clones, len(seeds), p=share)[cKDTree(seeds).query(place)[1]]
        truth = np.where(rng.random(n) < migrants, truth, patch)
    x = colours[truth] * np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, 0.1, (n, 3)))
    distance, nearest = cKDTree(place).query(place, k=7)
    touching = (distance[:, 1:] < 20)[:, :, None]
    x += spill * (touching * x[nearest[:, 1:]]).sum(axis=1)
    se = np.sqrt(x / 5 + 100)
    x += rng.normal(0, 1, (n, 3)) * se
    names = ["red", "green", "blue"]
    table = pd.DataFrame(x, columns=names).assign(**{f"{m}_se": se[:, j] for j, m in enumerate(names)})
    table = table.assign(
        image_id="im0", frame=0, cell=np.arange(1, n + 1), y_um=place[:, 0], x_um=place[:, 1]
    )
    s = np.zeros((n, 3, 3))
    s[:, range(3), range(3)] = se**2
    loglik = likelihood(x, s, colours, all_clones(n_clones), Spread(0.1, 0.4), 3)[0] + np.log(share)
    parts = np.column_stack([loglik, np.full((n, 2), -40.0)])
    return table, truth, np.exp(parts - logsumexp(parts, axis=1)[:, None]), share


def field_of(table):
    return Field(
        np.arange(len(table)), np.column_stack([np.zeros(len(table)), table[["y_um", "x_um"]].to_numpy()])
    )


def sharpened(table, probability, share):
    field = field_of(table)
    patchiness = find_patchiness(probability, share, [field])
    return hear_neighbours(probability, share, field.places, patchiness), patchiness


def right(probability, truth):
    return probability[:, :-2].argmax(axis=1) == truth


# ---- planted truth


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_patches_sharpen_calls_and_stay_calibrated(seed):
    table, truth, colour, share = planted(seed=seed)
    both, patchiness = sharpened(table, colour, share)
    assert patchiness.strength > 0.5
    assert patchiness.likeness > 2
    assert right(both, truth).mean() > right(colour, truth).mean() + 0.1
    error = calibration_error(both[:, :-2].max(axis=1), right(both, truth))
    assert error < 0.05
    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("spill", [0.0, 0.02, 0.05])
def test_mixed_cells_hear_nothing_though_light_spills_over(seed, spill):
    """0.05 of each touching neighbour: a fourth of the light on a cell is not its own."""
    table, _, colour, share = planted(cells_per_patch=0, spill=spill, seed=seed)
    both, patchiness = sharpened(table, colour, share)
    assert patchiness.strength == 0
    assert both is colour


def test_light_that_spills_over_would_pass_for_patches(monkeypatch):
    """The trap that the test above is about is there: touching cells alone would tell of patches."""
    monkeypatch.setattr("rgbtrack.clones.neighbours.CLEAR", -np.inf)
    for seed in (1, 2):
        table, _, colour, share = planted(cells_per_patch=0, spill=0.05, seed=seed)
        assert sharpened(table, colour, share)[1].strength > 0.05


def test_strength_grows_with_patchiness():
    strength = [
        sharpened(table, colour, share)[1].strength
        for table, _, colour, share in [planted(migrants=m, seed=4) for m in (0.7, 0.4, 0.1)]
    ]
    assert 0 < strength[0] < strength[1] < strength[2]


def test_lone_migrant_of_clearly_other_colour_keeps_its_clone():
    n = 15 * 15
    grid = np.stack(np.meshgrid(np.arange(15), np.arange(15), indexing="ij"), -1).reshape(-1, 2) * SPACING
    places = np.column_stack([np.zeros(n), grid])
    share = np.array([0.9, 0.1])
    probability = np.tile([0.9999, 0.0001, 0, 0], (n, 1))
    lone, unsure = 112, 64
    probability[lone] = [0.0005, 0.9995, 0, 0]
    probability[unsure] = [0.5, 0.5, 0, 0]
    both = hear_neighbours(probability, share, places, Patchiness(30.0, 1.5 * SPACING, 2.0, 9.0))
    assert both[lone, 1] > 0.9
    assert both[unsure, 0] > 0.95


def test_sure_migrants_in_planted_patches_keep_their_clone():
    table, truth, colour, share = planted(side=60, n_clones=6, migrants=0.05, seed=5)
    both, _ = sharpened(table, colour, share)
    place = table[["y_um", "x_um"]].to_numpy()
    around = cKDTree(place).query_ball_point(place, 1.5 * SPACING)
    lone = np.array([(truth[near] == truth[i]).sum() == 1 for i, near in enumerate(around)])
    sure = lone & (colour[np.arange(len(truth)), truth] > 0.99)
    assert sure.sum() > 20
    assert right(both, truth)[sure].mean() > 0.9


def test_unmarked_neighbours_say_nothing():
    table, _, colour, share = planted(seed=6)
    field = field_of(table)
    patchiness = find_patchiness(colour, share, [field])
    blank = colour.copy()
    blank[1:] = 0
    blank[1:, -2] = 1
    heard = hear_neighbours(blank, share, field.places, patchiness)
    np.testing.assert_allclose(heard[0], blank[0], atol=1e-4)


# ---- tables


@pytest.fixture(scope="module")
def seen():
    table, truth, _, _ = planted(n_clones=6, seed=7)
    model = fit_clones(table, ClonesParams(starts=1))
    return table, truth, model, assign_clones(table, model=model)


def test_table_keeps_the_calls_by_colour(seen):
    table, _, model, result = seen
    alone = assign_clones(table, ClonesParams(spatial=False), model=model)
    plain = model.assign(table)
    pd.testing.assert_frame_equal(alone, plain)
    for sharp, colour in (("clone", "colour_clone"), ("clone_probability", "colour_probability")):
        pd.testing.assert_series_equal(alone[sharp], alone[colour], check_names=False)
        pd.testing.assert_series_equal(result[colour], alone[colour])
    assert (result["clone"].isna() == result["unassigned_reason"].notna()).all()
    changed = (result["clone"].fillna(0) != result["colour_clone"].fillna(0)).sum()
    assert changed > 0
    assert f"{changed:,} of 1,600 calls were changed by it" in result.attrs["neighbours"]
    assert result.attrs["neighbours"].startswith("neighbours share a clone")
    assert "neighbours" not in alone.attrs


def test_order_of_rows_changes_nothing(seen):
    table, _, model, result = seen
    other = table.sample(frac=1, random_state=0)
    again = assign_clones(other, model=model).loc[table.index]
    pd.testing.assert_frame_equal(again[CALLS], result[CALLS])


def test_images_hear_only_themselves(seen):
    table, _, model, _ = seen
    two = pd.concat([table, table.assign(image_id="im1", x_um=table["x_um"] + 3)], ignore_index=True)
    result = assign_clones(two, model=model)
    first, second = (
        result[result["image_id"] == name][CALLS].reset_index(drop=True) for name in ("im0", "im1")
    )
    pd.testing.assert_frame_equal(first, second)


def test_what_is_not_there_is_told(seen):
    table, _, model, _ = seen
    bare = table.drop(columns=["y_um", "x_um"])
    result = assign_clones(bare, model=model)
    assert result.attrs["neighbours"] == (
        "without coordinates (y_um, x_um) nothing is known of neighbours; calls rest on colour alone"
    )
    pd.testing.assert_frame_equal(result[CALLS], model.assign(bare)[CALLS])
    few = assign_clones(table.head(10), model=model)
    assert "too few cells" in few.attrs["neighbours"]


def test_missing_places_and_colours_are_left_out(seen):
    table, _, model, _ = seen
    holed = table.copy()
    holed.loc[:50, "y_um"] = np.nan
    holed.loc[100:110, "red"] = np.nan
    holed["doublet"] = np.arange(len(table)) == 200
    result = assign_clones(holed, model=model)
    assert (result["clone"].fillna(0) == result["colour_clone"].fillna(0))[:51].all()
    assert result.loc[100:110, "clone_probability"].isna().all()
    assert result.loc[200, "unassigned_reason"] == "doublet"
    assert result.loc[200, "clone_probability"] == result.loc[200, "colour_probability"]


def test_cells_in_one_place_and_tracks_without_links_are_no_evidence(seen):
    table, _, model, _ = seen
    heap = table.assign(y_um=0.0, x_um=0.0, track=pd.array([pd.NA] * len(table), dtype="Int64"), parent=pd.NA)
    result = assign_clones(heap, model=model)
    assert "too few cells" in result.attrs["neighbours"]
    assert "linked" not in result.attrs["neighbours"]
    pd.testing.assert_frame_equal(result[CALLS], model.assign(heap)[CALLS])


@pytest.mark.parametrize("column", ["x_um", "track"])
def test_words_where_numbers_should_be_are_an_error(seen, column):
    table, _, model, _ = seen
    words = table.assign(**{column: "left"})
    with pytest.raises(
        DataError, match=f"column {column} should hold numbers, found 'left'.*spatial to false"
    ):
        assign_clones(words, model=model)
    assign_clones(words, ClonesParams(spatial=False), model=model)


@pytest.mark.parametrize("seed", [0, 1])
def test_uneven_light_is_no_evidence_of_patches(seed):
    """A fifth more red on the right and a fifth less blue; cells are mixed."""
    table, *_ = planted(cells_per_patch=0, seed=seed)
    light = np.exp(0.2 * (table["x_um"] / table["x_um"].max() - 0.5))
    uneven = table.assign(red=table["red"] * light, blue=table["blue"] / light)
    result = assign_clones(uneven, ClonesParams(starts=1))
    assert "no evidence" in result.attrs["neighbours"]


def test_shuffled_places_change_nothing(seen):
    table, _, model, _ = seen
    rng = np.random.default_rng(0)
    mixed = table.assign(**{m: rng.permutation(table[m]) for m in ("x_um", "y_um")})
    result = assign_clones(mixed, model=model)
    assert "no evidence that neighbours share a clone" in result.attrs["neighbours"]
    pd.testing.assert_frame_equal(result[CALLS], model.assign(mixed)[CALLS])


def test_subjects_learn_on_their_own():
    tables = []
    for name, patch in (("a", 30), ("b", 0)):
        table, *_ = planted(side=25, n_clones=8, cells_per_patch=patch, seed=8)
        tables.append(table.assign(subject=name, image_id=name))
    both = pd.concat(tables, ignore_index=True)
    model = fit_clones(both, ClonesParams(palette="subject", starts=1))
    result = assign_clones(both, model=model)
    told = result.attrs["neighbours"]
    assert told.startswith("a: neighbours share a clone")
    assert "b: there is no evidence" in told
    same = (result["clone"].fillna(0) == result["colour_clone"].fillna(0)).to_numpy()
    assert same[625:].all()
    assert not same[:625].all()
    again = assign_clones(both.iloc[::-1], model=model).sort_index()
    pd.testing.assert_frame_equal(again[CALLS], result[CALLS])


# ---- time


def movie(n_tracks=60, n_frames=8, wrong=0.0, seed=0):
    """Tracks of two clones that one frame hardly tells apart; shot noise differs from frame to frame."""
    rng = np.random.default_rng(seed)
    clone = rng.integers(2, size=n_tracks)
    label = np.repeat(clone, n_frames)
    table = pd.DataFrame(
        {
            "image_id": "im0",
            "frame": np.tile(np.arange(n_frames), n_tracks),
            "track": np.repeat(np.arange(1, n_tracks + 1), n_frames),
        }
    )
    log_odds = (2 * label - 1) * 1.0 + rng.normal(0, np.sqrt(2), len(label))
    p = 1 / (1 + np.exp(-log_odds))
    return table, label, np.column_stack([1 - p, p, np.full((len(p), 2), 1e-9)])


def test_predecessors_follow_tracks_and_mothers():
    """
    track 1: frames 0 1 . 3; tracks 2 and 3 are her daughters, from frame 4; track 4 has an unknown mother

        0 - 1 - - 3 - 4 (2)
                    \\ 4 (3)
    """
    table = pd.DataFrame(
        {
            "image_id": ["a"] * 7 + ["b"],
            "frame": [3, 0, 1, 4, 4, 5, 2, 4],
            "track": [1, 1, 1, 2, 3, 2, 4, 2],
            "parent": [pd.NA, pd.NA, pd.NA, 1, 1, 1, 9, 1],
        }
    ).astype({"track": "Int64", "parent": "Int64"})
    previous, born = find_predecessors(table)
    assert previous.tolist() == [2, -1, 1, 0, 0, 3, -1, -1]
    assert np.flatnonzero(born).tolist() == [3, 4]


def test_frames_of_a_track_agree_and_do_not_overstate():
    table, label, probability = movie()
    share = np.array([0.5, 0.5, 1e-6, 1e-6])
    result = hear_surroundings(table, probability, share)
    heard = result.probability
    assert result.certainty > 0.5
    assert right(heard, label).mean() > right(probability, label).mean() + 0.1
    # averaged, not added up: never surer than one clean measurement (odds of e²) allows
    assert (heard[:, :2].max(axis=1) < 0.93).all()
    assert "linked cells share a clone with" in result.words(0, len(table))


def test_links_that_mean_nothing_are_not_heard():
    table, _, probability = movie(n_tracks=200)
    probability[:, 0] = np.random.default_rng(0).permutation(np.where(probability[:, 0] > 0.5, 0.99, 0.01))
    probability[:, 1] = 1 - probability[:, 0]
    result = hear_surroundings(table, probability, np.array([0.5, 0.5, 1e-6, 1e-6]))
    assert result.certainty < 0.1
    assert (right(result.probability, 0) == right(probability, 0)).all()


@pytest.mark.parametrize("sure", [0.999, 0.9])
def test_a_track_that_changes_cells_is_found_out(sure):
    table, label, probability = movie(n_tracks=40, n_frames=12)
    truth = np.where((table["frame"] >= 6) & (table["track"] == 1), 1 - label, label)
    probability[:] = 1e-9
    probability[np.arange(len(truth)), truth] = sure
    probability[np.arange(len(truth)), 1 - truth] = 1 - sure
    heard = hear_surroundings(table, probability, np.array([0.5, 0.5, 1e-6, 1e-6])).probability
    assert right(heard, truth).all()


def test_messages_are_exact():
    """A mother with two daughters, against the sum over all labels."""
    rng = np.random.default_rng(3)
    share = np.array([0.5, 0.3, 0.2])
    evidence = rng.uniform(0.1, 1, (4, 3))
    probability = evidence * share / (evidence * share).sum(axis=1, keepdims=True)
    previous, q = np.array([-1, 0, 1, 1]), 0.8
    joint = np.zeros((3, 3, 3, 3))
    for labels in np.ndindex(joint.shape):
        joint[labels] = share[labels[0]] * np.prod([evidence[i, c] for i, c in enumerate(labels)])
        for i in (1, 2, 3):
            joint[labels] *= (1 - q) * share[labels[i]] + q * (labels[i] == labels[previous[i]])
    joint /= joint.sum()
    exact = [joint.sum(axis=tuple(j for j in range(4) if j != i)) for i in range(4)]
    everyone = np.ones(4, dtype=bool)  # each a track of its own
    heard = hear_links(probability, share, previous, everyone, np.array([0.0, 1, 2, 2]), q)
    np.testing.assert_allclose(heard, exact, atol=1e-9)


def test_certainty_of_links_is_recovered():
    rng = np.random.default_rng(0)
    share = np.array([0.25] * 4)
    label = rng.choice(4, 4000)
    kept = rng.random(3999) < 0.7
    for i in range(1, 4000):
        label[i] = label[i - 1] if kept[i - 1] else label[i]
    certainty = judge_links(np.eye(4)[label], share, np.arange(-1, 3999))[0]
    assert certainty == pytest.approx(0.7, abs=0.03)
    assert judge_links(np.eye(4)[label], share, np.full(4000, -1))[0] == 0


def test_few_cells_and_one_clone_have_no_patches():
    table, _, colour, share = planted(seed=9)
    assert find_patchiness(colour[:, [0, -2, -1]], np.ones(1), [field_of(table)]) is NO_PATCHES
    assert find_patchiness(colour[:20], share, [field_of(table.head(20))]) is NO_PATCHES


@pytest.mark.parametrize("cells_per_patch", [30, 0])
def test_a_table_called_in_parts_is_called_as_a_whole(monkeypatch, cells_per_patch):
    images = [
        planted(side=14, cells_per_patch=cells_per_patch, seed=i)[0].assign(image_id=f"image {i}")
        for i in range(5)
    ]
    cells = pd.concat(images, ignore_index=True).sample(frac=1, random_state=0, ignore_index=True)
    model = fit_clones(cells)
    whole = model.assign(cells, spatial=True)
    monkeypatch.setattr("rgbtrack.clones.parts.PART_CELLS", 250)
    parts = parts_of(cells)
    assert len(parts) == 4
    assert sorted(np.concatenate(parts)) == list(range(len(cells)))
    assert all(
        set(cells.loc[a, "image_id"]).isdisjoint(cells.loc[b, "image_id"]) for a, b in combinations(parts, 2)
    )
    told = model.assign(cells, spatial=True)
    pd.testing.assert_frame_equal(told, whole)
    assert told.attrs["neighbours"] == whole.attrs["neighbours"]
    monkeypatch.setattr("rgbtrack.clones.parts.LEARNT_CELLS", 700)
    assert len(sample_of(parts)) < len(cells)
    fewer = model.assign(cells, spatial=True)
    assert (fewer["clone"].fillna(0) == whole["clone"].fillna(0)).mean() > 0.97
