"""Clones of different subjects: which are one founder, and how sure that is."""

from math import comb

import numpy as np
import pandas as pd
import pytest

from rgbtrack.clones import (
    ClonesParams,
    assign_clones,
    describe_clones,
    fit_clones,
    match_subjects,
    matches_in_words,
    matching,
)
from rgbtrack.clones.matching import _one_to_one, even_shares
from rgbtrack.errors import DataError
from rgbtrack.tables import CLONE_MATCHES

NAMES = ["red", "green", "blue"]
POOL = np.array(
    [[900, 0, 0], [0, 1200, 0], [0, 0, 700], [500, 900, 0], [0, 300, 1500], [1600, 0, 500], [700, 700, 700]],
    float,
)


def cells_of(subject, colours, first=1, n_each=60, gain=(1.0, 1.0, 1.0), seed=0):
    """Called cells of one subject, clones numbered from ``first``, read with a gain of its own."""
    rng = np.random.default_rng([seed, *subject.encode()])
    colours = np.asarray(colours, dtype=float)
    d = colours.shape[1]
    clone = np.repeat(np.arange(len(colours)), n_each)
    n = len(clone)
    mean = (
        colours[clone] * np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, 0.1, (n, d))) * np.array(gain)[:d]
    )
    se = np.sqrt(mean / 20 + 150)
    x = mean + rng.normal(0, 1, (n, d)) * se
    values = {name: x[:, j] for j, name in enumerate(NAMES[:d])}
    errors = {f"{name}_se": se[:, j] for j, name in enumerate(NAMES[:d])}
    head = {"image_id": f"im_{subject}", "subject": subject, "clone": pd.array(clone + first, dtype="Int64")}
    return pd.DataFrame({**head, **values, **errors})


def two(first, second, **more):
    """Clones 1, 2 ... of m1 and 101, 102 ... of m2."""
    return pd.concat([cells_of("m1", first), cells_of("m2", second, first=101, **more)], ignore_index=True)


def best(matches):
    """The likeliest partner of each clone of m1."""
    own = matches[matches["subject"] == "m1"].drop_duplicates("clone")
    return own.set_index("clone")


def other_founders(k, seed):
    """Colours of founders that have nothing to do with the pool."""
    rng = np.random.default_rng(seed)
    colours = np.zeros((k, 3))
    while (dark := ~colours.any(axis=1)).any():
        copies = rng.poisson(0.7, (dark.sum(), 3))
        colours[dark] = 1000 * copies * rng.lognormal(0, 0.6, copies.shape)
    return colours


# ---- named cases


def test_shared_founders_are_matched_whatever_their_order():
    found = best(match_subjects(two(POOL, POOL[::-1])))
    assert found["other_clone"].tolist() == [107, 106, 105, 104, 103, 102, 101]
    assert (found["match_probability"] > 0.9).all()
    assert (found["alone_probability"] < 0.1).all()


def test_independent_founders_are_left_alone():
    stated = [
        best(match_subjects(two(other_founders(12, 2 * seed), other_founders(12, 2 * seed + 1))))
        for seed in range(4)
    ]
    alone = pd.concat(stated)["alone_probability"]
    assert alone.mean() > 0.85
    assert (alone > 0.5).mean() > 0.9


def test_a_part_of_the_founders_is_shared():
    strangers = np.array([[0, 2500, 1200], [250, 0, 0], [2600, 2600, 0]], float)
    found = best(match_subjects(two(POOL, np.concatenate([POOL[:4], strangers]))))
    assert found.loc[:4, "other_clone"].tolist() == [101, 102, 103, 104]
    assert (found.loc[:4, "match_probability"] > 0.7).all()
    assert (found.loc[5:, "alone_probability"] > 0.7).all()


def test_a_gain_that_all_clones_of_a_pair_share_is_allowed_for():
    gain = (1.25, 0.8, 1.2)
    found = best(match_subjects(two(POOL, POOL, gain=gain)))
    assert found["other_clone"].tolist() == list(range(101, 108))
    assert (found["match_probability"] > 0.8).all()
    # where nothing drifts, brighter cells are other founders: less is matched
    strict = best(match_subjects(two(POOL, POOL, gain=gain), params=ClonesParams(gains="none")))
    assert strict["match_probability"].mean() < found["match_probability"].mean() - 0.2


def test_images_of_one_batch_share_their_gains():
    table = two(POOL[:1], POOL[:1] * 1.2).assign(image_id="one")
    apart = table.assign(image_id=table["subject"])
    together = match_subjects(table)["distance"].max()
    assert together > match_subjects(apart)["distance"].max()


def test_one_clone_each():
    same, other = (best(match_subjects(two(POOL[-1:], colours))).iloc[0] for colours in (POOL[-1:], POOL[:1]))
    assert same["match_probability"] > 0.7
    assert pd.isna(other["other_clone"])
    assert other["alone_probability"] > 0.95
    assert same["match_probability"] + same["alone_probability"] == pytest.approx(1)


def test_a_subject_without_clones_has_no_partner_to_offer():
    table = two(POOL[:2], POOL[:1])
    table.loc[table["subject"] == "m2", "clone"] = pd.NA
    matches = match_subjects(table)
    CLONE_MATCHES.check(matches)
    assert matches["clone"].tolist() == [1, 2]
    assert matches["other_clone"].isna().all()
    assert (matches["alone_probability"] == 1).all()
    assert matches["match_probability"].isna().all()


def test_nothing_to_match():
    empty = match_subjects(two(POOL, POOL).assign(clone=pd.array([pd.NA] * 840, dtype="Int64")))
    one = match_subjects(cells_of("m1", POOL))
    for matches in (empty, one):
        CLONE_MATCHES.check(matches)
        assert not len(matches)


def test_two_markers():
    colours = np.array([[900, 0], [0, 1200], [300, 900], [2000, 400]], float)
    found = best(match_subjects(two(colours, colours[::-1])))
    assert found["other_clone"].tolist() == [104, 103, 102, 101]
    assert (found["match_probability"] > 0.7).all()


def test_a_near_pair_is_in_doubt_and_each_clone_has_one_partner():
    near = np.concatenate([POOL, POOL[-1:] * [1.03, 0.98, 1.0]])
    matches = match_subjects(two(near, near))
    found = best(matches)
    assert (found.loc[:6, "match_probability"] > 0.9).all()
    doubt = matches[(matches["clone"] == 7) & (matches["match_probability"] > 0.05)]
    assert set(doubt["other_clone"]) == {107, 108}
    assert doubt["match_probability"].max() < 0.95
    total = matches.groupby("clone")["match_probability"].sum()
    assert (total <= 1 + 1e-6).all()
    # one to one: the lone clone of m2 cannot be both
    lone = match_subjects(two(near, POOL))
    assert lone.loc[lone["other_clone"] == 107, "match_probability"].sum() <= 1 + 1e-6


def test_clones_that_the_model_calls_and_a_founder_that_may_be_two():
    table = two(POOL[:4], POOL[:4], n_each=80).drop(columns="clone")
    params = ClonesParams(palette="subject", starts=1)
    model = fit_clones(table, params)
    cells = assign_clones(table, model=model)
    matches = match_subjects(cells, model, params)
    likely = matches[matches["match_probability"] > 0.5]
    assert len(likely) == 8
    true = np.repeat(np.tile(np.arange(4), 2), [60] * 4 + [80] * 4)
    founder = cells.assign(true=true).dropna(subset=["clone"]).groupby("clone")["true"].median()
    assert (founder[likely["clone"]].to_numpy() == founder[likely["other_clone"]].to_numpy()).all()
    share = dict(
        zip(
            np.concatenate([m.clone_numbers for m in model.subjects.values()]),
            np.concatenate([m.main_share for m in model.subjects.values()]),
            strict=True,
        )
    )
    most = likely["clone"].map(share).to_numpy(float) * likely["other_clone"].map(share).to_numpy(float)
    assert (likely["match_probability"].to_numpy() <= most + 1e-9).all()


def test_words():
    assert matches_in_words(match_subjects(cells_of("m1", POOL))) == ""
    shared = matches_in_words(match_subjects(two(POOL, POOL)))
    assert "7 such pairs" in shared
    assert "hardly" not in shared
    apart = matches_in_words(match_subjects(two(other_founders(12, 0), other_founders(12, 1))))
    assert "hardly share founders: if they got cells that were marked separately" in apart


# ---- clones that all subjects share


def test_a_clone_that_subjects_share_is_one_founder_or_two_of_one_colour():
    table = two(POOL, POOL)
    table["clone"] = (table["clone"] - 1) % 100 + 1
    matches = match_subjects(table)
    CLONE_MATCHES.check(matches)
    itself = matches[matches["clone"] == matches["other_clone"]]
    assert len(itself) == 14
    assert (itself["match_probability"] > 0.9).all()
    # two founders that were taken for one clone
    other = two(POOL, np.concatenate([POOL[:-1], [[600, 700, 900]]]))
    other["clone"] = (other["clone"] - 1) % 100 + 1
    told = match_subjects(other).drop_duplicates(["subject", "clone"]).set_index(["subject", "clone"])
    assert told.loc[("m1", 7), "alone_probability"] > 0.5
    assert told.loc[("m1", 1), "match_probability"] > 0.9


def test_strays_are_no_clone():
    table = two(POOL[:3], POOL[:2])
    stray = cells_of("m2", POOL[2:3], first=103, n_each=2)
    pd.testing.assert_frame_equal(match_subjects(pd.concat([table, stray])), match_subjects(table))


def test_clones_tell_where_they_are_seen_and_whether_two_cells_are_of_one_founder():
    table = two(POOL, POOL[:3])
    table["clone"] = (table["clone"] - 1) % 100 + 1
    table["timepoint"] = np.arange(len(table)) % 2
    clones = describe_clones(table)
    assert clones["n_subjects"].tolist() == [2, 2, 2, 1, 1, 1, 1]
    assert clones["n_timepoints"].tolist() == [2] * 7
    assert "n_sites" not in clones
    assert clones["same_founder_probability"].between(0, 1).all()
    near = describe_clones(cells_of("m1", np.concatenate([POOL, POOL[-1:] * 1.3])))
    lonely = near["same_founder_probability"].iloc[:6].mean()
    assert near["same_founder_probability"].iloc[-1] < lonely - 0.1


# ---- invariances


@pytest.fixture(scope="module")
def three():
    """Three subjects that share a part of their founders."""
    return pd.concat(
        [
            cells_of("m1", POOL[:5]),
            cells_of("m2", POOL[2:], first=101, gain=(1.1, 0.9, 1.0)),
            cells_of("m3", POOL[[0, 3, 6]], first=201),
        ],
        ignore_index=True,
    )


def test_order_of_rows_columns_and_channels_changes_nothing(three):
    matches = match_subjects(three)
    shuffled = three.sample(frac=1, random_state=0)[list(three.columns[::-1])]
    pd.testing.assert_frame_equal(match_subjects(shuffled), matches, rtol=1e-6)
    swapped = three.rename(columns={"red": "zred", "red_se": "zred_se"})
    again = match_subjects(swapped)
    # founders are drawn anew, so that densities differ a little
    both = matches.merge(again, on=["clone", "other_subject", "other_clone"])
    assert len(both) >= len(best(matches))
    assert np.abs(both["match_probability_x"] - both["match_probability_y"]).max() < 0.05


def test_order_and_names_of_subjects_change_nothing(three):
    matches = match_subjects(three)
    names = {"m1": "z", "m2": "b", "m3": "a"}
    again = match_subjects(three.assign(subject=three["subject"].map(names)))
    former = matches.assign(other_subject=matches["other_subject"].map(names))
    both = former.merge(again, on=["clone", "other_subject", "other_clone"])
    assert len(both) == len(matches) == len(again)
    assert both["match_probability_x"].isna().equals(both["match_probability_y"].isna())
    np.testing.assert_allclose(both["match_probability_x"], both["match_probability_y"], atol=0.05)


def test_both_directions_agree(three):
    matches = match_subjects(three)
    back = matches.rename(
        columns={
            "subject": "other_subject",
            "other_subject": "subject",
            "clone": "other_clone",
            "other_clone": "clone",
        }
    )
    both = matches.merge(back, on=["subject", "clone", "other_subject", "other_clone"])
    np.testing.assert_allclose(both["match_probability_x"], both["match_probability_y"])
    pd.testing.assert_frame_equal(match_subjects(three), matches)


def test_treatment_and_time_are_not_looked_at(three):
    told = match_subjects(three.assign(treatment="drug", timepoint=np.arange(len(three)) % 3))
    pd.testing.assert_frame_equal(told, match_subjects(three))


# ---- the sum over matchings


def all_matchings(k, m):
    """Every one-to-one matching of k with m, as lists of pairs."""
    if not k:
        return [[]]
    rest = all_matchings(k - 1, m)
    return rest + [[*found, (k - 1, b)] for found in rest for b in range(m) if b not in {b for _, b in found}]


@pytest.mark.parametrize(("k", "m"), [(4, 5), (5, 3), (1, 1)])
def test_drawn_matchings_are_as_probable_as_counted_ones(k, m, monkeypatch):
    monkeypatch.setattr(matching, "_SWEEPS", 40_000)
    log_odds = np.random.default_rng(0).normal(0, 3, (k, m))
    log_odds[0] = log_odds[-1]  # two alike
    same, posterior = _one_to_one(log_odds, even_shares(), 0)
    exact, total = np.zeros((k, m)), 0.0
    matchings = all_matchings(k, m)
    # a share drawn evenly from 21 steps, then each clone of the fewer with this chance
    steps, most = np.linspace(0, 1, 21), min(k, m)
    ways = np.bincount([len(one) for one in matchings])
    size = np.array([np.mean(comb(most, n) * steps**n * (1 - steps) ** (most - n)) for n in range(most + 1)])
    for one in matchings:
        weight = size[len(one)] / ways[len(one)] * np.exp(sum(log_odds[a, b] for a, b in one))
        total += weight
        for a, b in one:
            exact[a, b] += weight
    np.testing.assert_allclose(same, exact / total, atol=0.01)
    assert posterior.sum() == pytest.approx(1)


# ---- errors


def test_what_the_table_must_hold():
    table = two(POOL, POOL)
    with pytest.raises(DataError, match="no column clone"):
        match_subjects(table.drop(columns="clone"))
    with pytest.raises(DataError, match="no column subject"):
        match_subjects(table.drop(columns="subject"))
