"""Linking over frames: planted tracks, what must change nothing, odd and bad tables; clones of tracks."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment

from rgbtrack import (
    DataError,
    LinkParams,
    ParamError,
    RgbtrackWarning,
    link_cells,
    track_clones,
    track_signatures,
)
from rgbtrack.link.cuts import best_links, marginals, within
from rgbtrack.link.states import likeness
from rgbtrack.simulate import MovieParams, simulate_tracks
from rgbtrack.tables import TRACK_SIGNATURES

LINKS = ["track", "parent", "tree", "link_probability"]
MARKERS = ["red", "green", "blue"]
CLOSED = {"open_field": False, "death_rate": 0.0}


def edges(cells, prefix=""):
    """Links from cell to cell, to daughters too, and divisions, each named by frames and labels."""
    track, parent = f"{prefix}track", f"{prefix}parent"
    rows = cells[cells[track].notna()].sort_values([track, "frame"])
    key = list(zip(rows["frame"], rows["cell"], strict=True))
    number = rows[track].tolist()
    links = {(a, b) for a, b, s, t in zip(key[:-1], key[1:], number[:-1], number[1:], strict=True) if s == t}
    last = dict(zip(number, key, strict=True))
    first = dict(zip(number[::-1], key[::-1], strict=True))
    mothers = rows.groupby(track)[parent].first().dropna()
    births = {(last[mother], first[daughter]) for daughter, mother in mothers.items()}
    daughters = pd.Series([a for a, _ in births], dtype=object).value_counts()
    return links | births, {mother for mother, count in daughters.items() if count == 2}


def f1(found, true):
    return 2 * len(found & true) / max(len(found) + len(true), 1)


def scores(linked):
    found, true = edges(linked), edges(linked, "true_")
    return f1(found[0], true[0]), f1(found[1], true[1])


def movie(seed=0, **settings):
    return simulate_tracks(MovieParams(**settings), seed=seed)


def walkers(n_frames=10, n=12, seed=0, step=1.0):
    """Cells of three clones, far from each other, that never end."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(3)), -1).reshape(-1, 2)[:n]
    place = 40.0 * grid + np.cumsum(rng.normal(0, step, (n_frames, n, 2)), axis=0)
    frame, cell = np.repeat(np.arange(n_frames), n), np.tile(np.arange(n), n_frames)
    table = pd.DataFrame({"image_id": "a", "frame": frame, "cell": cell + 1})
    table[["y_um", "x_um"]] = place.reshape(-1, 2)
    for j, name in enumerate(MARKERS):
        table[name] = 50.0 + 900.0 * (cell % 3 == j) + rng.normal(0, 20, len(table))
        table[f"{name}_se"] = 20.0
    return table


def steering(step, seed, n_frames=15, n=80, spacing=20.0, places=1.5, inner=0.0, ghosts=0.0, missed=0.0):
    """Cells that turn by and by and divide where they have got to, sisters side by side; of one size.

    What lies within ``inner`` of the walls is not seen; ``ghosts`` and ``missed`` are shares of the cells.
    """
    rng = np.random.default_rng(seed)
    side = spacing * n**0.5
    place, heading = rng.uniform(0, side, (n, 2)), rng.uniform(0, 2 * np.pi, n)
    colour = np.log(rng.dirichlet([0.7] * 3, 8) + 0.02)[rng.integers(0, 8, n)] + rng.normal(0, 0.3, (n, 1))
    name, parent, rows, known = np.arange(n), np.full(n, -1), [], n
    for frame in range(n_frames):
        if frame:
            heading = heading + rng.normal(0, 0.6, len(heading))
            walk = step * spacing * rng.gamma(8, 1 / 8, len(heading))
            place = place + walk[:, None] * np.column_stack([np.sin(heading), np.cos(heading)])
            heading = np.where(((place < 0) | (place > side)).any(axis=1), heading + np.pi, heading)
            place = side - np.abs(side - np.abs(place))
            chosen = np.flatnonzero(rng.random(len(name)) < 0.015)
            rest, both = np.setdiff1d(np.arange(len(name)), chosen), np.tile(chosen, 2)
            apart = rng.normal(0, places, (len(chosen), 2))
            place = np.concatenate([place[rest], place[both] + np.concatenate([apart, -apart])])
            heading = np.concatenate([heading[rest], rng.uniform(0, 2 * np.pi, len(both))])
            colour = np.concatenate([colour[rest], colour[both] + rng.normal(0, 0.08, (len(both), 3))])
            parent = np.concatenate([parent[rest], name[both]])
            name = np.concatenate([name[rest], known + np.arange(len(both))])
            known += len(both)
        seen = (np.minimum(place, side - place).min(axis=1) >= inner) & (rng.random(len(name)) >= missed)
        at = np.flatnonzero(seen)
        k = rng.poisson(ghosts * len(at))
        x = np.concatenate([colour[at], colour[rng.integers(0, len(name), k)] + rng.normal(0, 0.5, (k, 3))])
        x = 900 * np.exp(x + rng.normal(0, 0.08, x.shape))
        where = np.concatenate([place[at], rng.uniform(inner, side - inner, (k, 2))])
        part = pd.DataFrame({"image_id": "a", "frame": frame, "cell": 1 + np.arange(len(x))})
        part[["y_um", "x_um"]] = where + rng.normal(0, 0.2, where.shape)
        part[MARKERS] = x + rng.normal(0, 15, x.shape)
        part["area_um2"] = 150 * np.exp(rng.normal(0, 0.07, len(x)))
        part["true_track"] = np.append(name[at], np.full(k, np.nan))
        part["true_parent"] = np.append(parent[at], np.full(k, np.nan))
        rows.append(part.assign(**{f"{m}_se": 15.0 for m in MARKERS}))
    table = pd.concat(rows, ignore_index=True)
    mothers = set(table["true_track"].dropna())
    return table.assign(true_parent=table["true_parent"].where(table["true_parent"].isin(mothers)))


def one_track_each(linked):
    return (
        linked.groupby("cell")["track"].nunique().eq(1).all()
        and linked["track"].nunique() == linked["cell"].nunique()
    )


@pytest.fixture(scope="module")
def crowd():
    return movie(step=0.5, n_cells=60, n_frames=12, seed=5, missed=0.02, false_cells=0.02)


@pytest.fixture(scope="module")
def linked(crowd):
    return link_cells(crowd)


# ---- planted truth


@pytest.mark.parametrize(("step", "least"), [(0.25, (0.985, 0.85)), (0.5, (0.97, 0.75)), (0.9, (0.95, 0.75))])
def test_persistent_walkers_that_divide(step, least):
    found = scores(link_cells(movie(step=step, seed=11, **CLOSED)))
    assert found[0] >= least[0]
    assert found[1] >= least[1]


@pytest.mark.parametrize(("step", "least"), [(0.25, (0.985, 0.9)), (0.5, (0.96, 0.85)), (0.9, (0.93, 0.8))])
@pytest.mark.parametrize("size", [True, False])
def test_steering_cells_that_divide_in_place(step, least, size):
    cells = steering(step, seed=1)
    found = scores(link_cells(cells if size else cells.drop(columns="area_um2")))
    assert found[0] >= least[0]
    assert found[1] >= least[1]


@pytest.mark.parametrize(
    ("settings", "least"), [({}, (0.95, 0.7)), ({"missed": 0.05, "false_cells": 0.05}, (0.93, 0.55))]
)
def test_cells_that_step_as_far_as_they_are_apart_in_an_open_field(settings, least):
    found = [scores(link_cells(movie(step=0.9, seed=seed, **settings))) for seed in (31, 32)]
    links, divisions = np.mean(found, axis=0)
    assert links >= least[0]
    assert divisions >= least[1]


def test_divisions_by_place_alone():
    cells = steering(0.15, seed=2)
    blind = link_cells(cells, LinkParams(colour=False, size=False))
    assert scores(blind)[1] >= 0.6


def test_divisions_beside_cells_that_enter_and_what_is_no_cell():
    cells = steering(0.3, seed=2, n=140, inner=15.0, ghosts=0.04, missed=0.02)
    links, divisions = scores(link_cells(cells))
    assert links >= 0.95
    assert divisions >= 0.65


def test_of_a_long_movie_a_part_tells_the_first_scales(monkeypatch):
    cells = steering(0.4, seed=4, n_frames=24, n=40)
    monkeypatch.setattr("rgbtrack.link.link.MOST", 400)
    assert scores(link_cells(cells))[0] >= 0.96


@pytest.mark.parametrize(
    ("case", "settings", "least"),
    [
        ("heavy tails", {"tails": 3.0}, 0.97),
        ("cells of different speed", {"speed_sd": 0.5}, 0.97),
        ("diffusion", {"persistence": 0.0}, 0.95),
        ("flicker", {"flicker_colour": 0.15, "flicker_brightness": 0.15}, 0.96),
        ("one clone", {"n_clones": 1}, 0.95),
        ("missed and false", {"missed": 0.03, "false_cells": 0.03}, 0.93),
        ("sisters far apart", {"apart": 1.5}, 0.97),
        ("volume", {"three_d": True}, 0.97),
        ("two markers", {"n_markers": 2}, 0.95),
    ],
)
def test_other_cells_than_those_assumed(case, settings, least):
    cells = movie(step=0.4, n_cells=80, n_frames=15, seed=3, **(CLOSED | settings))
    assert scores(link_cells(cells))[0] >= least, case


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("errors twice too large", lambda c: c.assign(**{f"{m}_se": 2 * c[f"{m}_se"] for m in MARKERS})),
        ("errors half as large", lambda c: c.assign(**{f"{m}_se": c[f"{m}_se"] / 2 for m in MARKERS})),
        ("no errors", lambda c: c.drop(columns=[f"{m}_se" for m in MARKERS])),
        ("no sizes", lambda c: c.drop(columns="area_um2")),
        (
            "arcsinh of intensities",
            lambda c: c.assign(**{m: np.arcsinh(c[m] / 50) for m in MARKERS}).drop(
                columns=[f"{m}_se" for m in MARKERS]
            ),
        ),
    ],
)
def test_errors_and_scales_of_markers_need_not_be_right(case, change):
    cells = movie(step=0.5, n_cells=80, n_frames=15, seed=4, **CLOSED)
    assert scores(link_cells(change(cells)))[0] >= 0.97, case


def test_colour_decides_where_place_cannot():
    cells = movie(step=0.9, n_cells=80, n_frames=12, seed=2, **CLOSED)
    blind = scores(link_cells(cells, LinkParams(colour=False, size=False)))[0]
    assert scores(link_cells(cells))[0] > blind + 0.3


def test_gaps_are_closed_up_to_the_most_allowed():
    cells = walkers()
    gone = cells[~((cells["cell"] == 5) & cells["frame"].isin([4, 5]))]
    assert one_track_each(link_cells(gone))
    assert link_cells(gone, LinkParams(max_gap=1)).query("cell == 5")["track"].nunique() == 2
    assert link_cells(gone, LinkParams(max_gap=0)).query("cell == 5")["track"].nunique() == 2


def test_a_division_gives_two_tracks_with_a_parent():
    cells = walkers(n_frames=12)
    sister = cells[(cells["cell"] == 7) & (cells["frame"] >= 6)].assign(cell=99)
    shift = np.where((cells["cell"] == 7) & (cells["frame"] >= 6), 4.0, 0.0)
    cells = pd.concat(
        [cells.assign(y_um=cells["y_um"] - shift), sister.assign(y_um=sister["y_um"] + 4.0)],
        ignore_index=True,
    )
    found = link_cells(cells)
    mother = found.loc[(found["cell"] == 7) & (found["frame"] < 6), "track"].unique()
    daughters = found[(found["cell"].isin([7, 99])) & (found["frame"] >= 6)]
    assert len(mother) == 1
    assert daughters.groupby("cell")["track"].nunique().tolist() == [1, 1]
    assert daughters["parent"].eq(mother[0]).all()
    assert daughters["tree"].eq(mother[0]).all()
    assert daughters["link_probability"].notna().all()
    assert found.loc[~found["track"].isin(daughters["track"]), "parent"].isna().all()
    alone = link_cells(cells, LinkParams(divisions=False))
    assert alone["parent"].isna().all()


def test_link_probabilities_are_calibrated():
    right, stated = [], []
    for seed in range(3):
        found = link_cells(movie(step=0.9, n_cells=100, n_frames=15, seed=20 + seed))
        true = edges(found, "true_")[0]
        links = edges(found)[0]
        before = {b: a for a, b in links}
        for key, p in zip(
            zip(found["frame"], found["cell"], strict=True), found["link_probability"], strict=True
        ):
            if np.isfinite(p):
                right.append((before[key], key) in true)
                stated.append(p)
    right, stated = np.array(right), np.array(stated)
    assert abs(right.mean() - stated.mean()) < 0.03
    doubtful = stated < 0.9
    assert doubtful.sum() > 50
    assert abs(right[doubtful].mean() - stated[doubtful].mean()) < 0.12


# ---- what must change nothing


def same(first, second, tolerance=1e-6):
    pd.testing.assert_frame_equal(first[LINKS[:3]], second[LINKS[:3]])
    assert np.allclose(first["link_probability"], second["link_probability"], atol=tolerance, equal_nan=True)


def test_rows_and_their_order_are_kept(crowd, linked):
    pd.testing.assert_frame_equal(linked[crowd.columns], crowd)
    shuffled = crowd.sample(frac=1, random_state=1)
    same(linked, link_cells(shuffled).loc[crowd.index])


def test_gain_of_a_marker_and_order_of_markers_change_nothing(crowd, linked):
    louder = crowd.assign(green=crowd["green"] * 7.5, green_se=crowd["green_se"] * 7.5)
    same(linked, link_cells(louder))
    columns = [c for c in crowd.columns if c[:3] not in ("red", "gre", "blu")]
    other = crowd[[*columns, "blue", "blue_se", "red", "red_se", "green", "green_se"]]
    same(linked, link_cells(other))


def test_the_same_again_and_other_labels(crowd, linked):
    same(linked, link_cells(crowd))
    names = linked.groupby("frame")["cell"].transform(lambda cell: cell.max() + 1 - cell)
    renamed = link_cells(crowd.assign(cell=names))
    pairs = pd.DataFrame({"a": linked["track"], "b": renamed["track"]}).drop_duplicates()
    assert pairs["a"].is_unique
    assert pairs["b"].is_unique


def test_images_are_movies_of_their_own(crowd, linked):
    both = link_cells(pd.concat([crowd, crowd.assign(image_id="other")], ignore_index=True))
    for _, part in both.groupby("image_id"):
        same(linked, part.reset_index(drop=True))


def test_numbers_go_by_first_frame(linked):
    first = linked.groupby("track")["frame"].min()
    assert first.index.tolist() == list(range(1, len(first) + 1))
    assert first.is_monotonic_increasing
    born = linked.drop_duplicates("track").dropna(subset=["parent"])
    assert (first.loc[born["parent"]].to_numpy() < first.loc[born["track"]].to_numpy()).all()
    assert born.groupby("parent").size().eq(2).all()
    assert linked["link_probability"].dropna().between(0, 1).all()
    heads = linked.sort_values("frame").drop_duplicates("track")
    assert (heads["link_probability"].isna() == heads["parent"].isna()).all()


# ---- odd tables


def test_stage_drift_is_taken_off():
    cells = walkers()
    drift = 25.0 * cells["frame"]
    moved = cells.assign(x_um=cells["x_um"] + drift, drift_y_um=0.0, drift_x_um=drift)
    pd.testing.assert_series_equal(link_cells(cells)["track"], link_cells(moved)["track"])


def test_a_jump_of_the_stage_is_found():
    cells = movie(step=0.25, n_cells=80, n_frames=10, seed=6, **CLOSED)
    jumped = cells.assign(
        y_um=cells["y_um"] + 120.0 * (cells["frame"] >= 4), x_um=cells["x_um"] - 75.0 * (cells["frame"] >= 4)
    )
    with pytest.warns(RgbtrackWarning, match="the stage jumped by 14[0-3] um before frame 4"):
        found = link_cells(jumped)
    assert scores(found)[0] > 0.98


def test_drift_that_was_left_is_taken_off():
    cells = movie(step=0.25, n_cells=80, n_frames=12, seed=7, **CLOSED)
    shake = np.random.default_rng(0).normal(0, 6.0, 12)
    assert scores(link_cells(cells.assign(y_um=cells["y_um"] + shake[cells["frame"]])))[0] > 0.97


def test_missing_frames_and_uneven_times():
    cells = walkers(n_frames=14)
    fewer = cells[~cells["frame"].isin([3, 7, 8])]
    assert one_track_each(link_cells(fewer))
    hours = np.array([0.0, 0.5, 1.0, 1.5, 3.0, 3.5, 4.0, 5.0, 5.5, 6.0, 6.5, 7.0, 9.0, 9.5])
    assert one_track_each(link_cells(cells.assign(time_h=hours[cells["frame"]])))
    with pytest.raises(DataError, match=r"time_h does not increase from frame 1 \(2 h\) to frame 2 \(1 h\)"):
        link_cells(cells.assign(time_h=cells["frame"].replace({1: 2.0, 2: 1.0})))


@pytest.mark.parametrize("frames", [1, 2])
def test_few_frames(frames):
    found = link_cells(walkers(n_frames=frames))
    assert one_track_each(found)
    assert found["link_probability"].notna().sum() == (frames - 1) * 12


def test_one_cell_and_no_cell():
    assert link_cells(walkers(n=1))["track"].eq(1).all()
    alone = link_cells(walkers(n_frames=1, n=1))
    assert alone["track"].tolist() == [1]
    empty = link_cells(walkers().iloc[:0])
    assert set(LINKS) <= set(empty.columns)
    assert str(empty["track"].dtype) == "Int64"


def test_cells_without_a_place_are_in_no_track():
    cells = walkers()
    cells.loc[cells["cell"].eq(3) & cells["frame"].eq(4), "y_um"] = np.nan
    with pytest.warns(RgbtrackWarning, match="1 cells have no place or no image_id and are in no track"):
        found = link_cells(cells)
    assert found["track"].isna().sum() == 1
    assert one_track_each(found[found["track"].notna()])
    with pytest.warns(RgbtrackWarning, match="120 cells have no place"):
        assert link_cells(walkers().assign(x_um=np.nan))["track"].isna().all()


def test_colours_that_are_missing_alike_or_dark():
    cells = walkers()
    some = np.random.default_rng(0).random(len(cells)) < 0.2
    assert one_track_each(link_cells(cells.assign(green=cells["green"].mask(some))))
    assert one_track_each(link_cells(cells.assign(green=np.nan)))
    assert one_track_each(link_cells(cells.assign(red_se=np.nan)))
    assert one_track_each(link_cells(cells.assign(red=500.0, green=500.0, blue=500.0)))
    rng = np.random.default_rng(1)
    assert one_track_each(link_cells(cells.assign(**{m: rng.normal(0, 20, len(cells)) for m in MARKERS})))
    assert one_track_each(link_cells(cells.assign(red=0.0, green=0.0, blue=0.0)))
    assert one_track_each(link_cells(cells[["image_id", "frame", "cell", "y_um", "x_um"]]))


def test_cells_that_do_not_move():
    cells = walkers(step=0.0)
    assert one_track_each(link_cells(cells))


def test_cells_in_one_place():
    found = link_cells(walkers().assign(y_um=0.0, x_um=0.0))
    assert found["track"].notna().all()
    assert not found.duplicated(["frame", "track"]).any()


def test_markers_by_name():
    cells = walkers().rename(columns={"red": "mCherry", "red_se": "mCherry_sd"})
    assert one_track_each(link_cells(cells, LinkParams(markers=("mCherry", "green"))))
    with pytest.raises(ParamError, match="markers to link by: no column tomato; found image_id"):
        link_cells(cells, LinkParams(markers=("tomato",)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.drop(columns="y_um"), "cells table lacks column y_um"),
        (
            lambda c: pd.concat([c, c.iloc[:2]]),
            "2 rows repeat a key, the first is image_id=a, frame=0, cell=1",
        ),
        (lambda c: c.assign(x_um="left"), "column x_um should hold numbers, found 'left'"),
        (lambda c: c.assign(red="bright"), "column red should hold numbers, found 'bright'"),
        (lambda c: c.assign(frame=c["frame"] + 0.5), "column frame should hold whole numbers, found 0.5"),
        (
            lambda c: c.assign(frame=c["frame"].astype(float).replace(0.0, np.nan)),
            "found nan: number the frames",
        ),
    ],
)
def test_tables_that_cannot_be_linked(change, told):
    with pytest.raises(DataError, match=told):
        link_cells(change(walkers()))


def test_linking_anew_is_told():
    with pytest.warns(RgbtrackWarning, match="linked anew: the track column is replaced"):
        link_cells(link_cells(walkers(n_frames=2)))


# ---- assignment


def test_assignment_is_the_best_and_marginals_are_those_of_all_assignments():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, (3, 3))
    source, sink = (index.ravel() for index in np.indices((3, 3)))
    total, weight, best = np.zeros(9), 0.0, (-1.0, set())
    for code in range(4**3):
        choice = [code // 4**k % 4 for k in range(3)]
        used = [c for c in choice if c < 3]
        if len(set(used)) < len(used):
            continue
        value = sum(odds[i, c] for i, c in enumerate(choice) if c < 3)
        weight += np.exp(value)
        for i, c in enumerate(choice):
            if c < 3:
                total[3 * i + c] += np.exp(value)
        best = max(best, (value, {(i, c) for i, c in enumerate(choice) if c < 3}), key=lambda x: x[0])
    linked = best_links(3, 3, source, sink, odds.ravel())
    assert set(zip(source[linked].tolist(), sink[linked].tolist(), strict=True)) == best[1]
    assert np.abs(marginals(3, 3, source, sink, odds.ravel(), 50) - total / weight).max() < 0.1


def test_of_any_edges_the_assignment_is_worth_the_most():
    rng = np.random.default_rng(1)
    for case in range(200):
        n, m = rng.integers(1, 60 if case > 190 else 9, 2)
        odds = rng.normal(0, 3, (n, m)) if case % 2 else rng.integers(-2, 4, (n, m)).astype(float)
        odds[rng.random((n, m)) < 0.3] = -1.0
        source, sink = (index.ravel() for index in np.indices((n, m)))
        linked = best_links(n, m, source, sink, odds.ravel())
        i, j = source[linked], sink[linked]
        assert len(set(i)) == len(i)
        assert len(set(j)) == len(j)
        worth = np.maximum(odds, 0)
        assert odds[i, j].sum() == pytest.approx(worth[linear_sum_assignment(-worth)].sum())


@pytest.mark.parametrize("dims", [2, 3])
def test_the_nearest_of_the_next_frame(dims):
    rng = np.random.default_rng(2)
    start = np.array([0, 30, 30, 75, 100])
    frame = np.repeat(np.arange(4), np.diff(start))
    place = rng.uniform(0, 10, (100, dims))
    place = place[np.lexsort((place[:, -1], frame))]
    reach = np.array([3.0, 3.0, 6.0])
    some, others = within(place, start, place, start[1:], reach, 100, 7)
    begin, target = within(place, start, place, start[1:], reach, 12, 1)
    for i in range(100):
        away = np.linalg.norm(place - place[i], axis=1)
        away[frame != frame[i] + 1] = np.inf
        near = np.argsort(away)[: min(12, (away <= (6.0 if frame[i] == 2 else 3.0)).sum())]
        assert set(target[begin[i] : begin[i + 1]]) == set(near)
        all_ = np.flatnonzero(away <= (6.0 if frame[i] == 2 else 3.0)) if i % 7 == 0 else []
        assert others[some[i] : some[i + 1]].tolist() == list(all_)


def test_likeness_is_a_sum_of_normal_densities():
    x = np.random.default_rng(3).normal(0, 2, (200, 3)).astype(np.float32)
    q = ((x[:, None] - x[:50]) ** 2).sum(axis=2)
    assert np.allclose(
        likeness(np.ascontiguousarray(x.T), x[:50]), np.exp(-q / 2).sum(axis=1), rtol=0.05, atol=1e-3
    )


# ---- truth of movies


def test_a_mother_long_out_of_sight_is_none():
    for seed in range(3):
        cells = movie(step=0.9, n_cells=60, seed=seed, missed=0.1)
        seen = cells.groupby("true_track").agg(
            first=("frame", "min"),
            last=("frame", "max"),
            mother=("true_parent", "first"),
            tree=("true_tree", "first"),
        )
        born = seen.dropna()
        waited = born["first"].to_numpy() - seen["last"].loc[born["mother"]].to_numpy()
        assert len(born) > 5
        assert waited.min() >= 1
        assert waited.max() <= 4
        assert (born["tree"].to_numpy() == seen["tree"].loc[born["mother"]].to_numpy()).all()
        assert (
            cells.groupby("true_track")["frame"].apply(lambda frame: frame.sort_values().diff().max()).max()
            <= 4
        )


# ---- clones of tracks


def test_track_signatures_average_noise_but_not_what_is_systematic():
    rng = np.random.default_rng(0)
    n = 50
    cells = pd.DataFrame({"image_id": "a", "frame": np.arange(n), "track": 1, "tree": 1})
    cells["parent"] = pd.array([pd.NA] * n, dtype="Int64")
    se = np.where(np.arange(n) % 2, 10.0, 40.0)
    cells = cells.assign(red=300 + rng.normal(0, se), red_se=se, red_systematic=12.0)
    one = TRACK_SIGNATURES.check(track_signatures(cells)).iloc[0]
    assert one["red"] == pytest.approx(300, abs=3 * one["red_se"])
    assert one["red_se"] == pytest.approx((25 / 10**2 + 25 / 40**2) ** -0.5, rel=0.35)
    assert one["red_systematic"] == pytest.approx(12.0)
    assert (one["n_frames"], one["first_frame"], one["last_frame"]) == (n, 0, n - 1)
    flicker = track_signatures(cells.assign(red=cells["red"] * np.exp(rng.normal(0, 0.3, n)))).iloc[0]
    assert flicker["red_se"] > 3 * one["red_se"]


def test_track_signatures_of_every_track(linked):
    table = track_signatures(linked)
    assert len(table) == linked["track"].nunique()
    assert table["n_frames"].sum() == len(linked)
    with pytest.raises(DataError, match="no marker with a <marker>_se beside it"):
        track_signatures(linked.drop(columns=[f"{m}_se" for m in MARKERS]))


def called(clones, tracks, probability=0.9, parents=None):
    n = len(clones)
    return pd.DataFrame(
        {
            "image_id": "a",
            "frame": np.arange(n),
            "track": pd.array(tracks, dtype="Int64"),
            "parent": pd.array(parents if parents is not None else [pd.NA] * n, dtype="Int64"),
            "link_probability": 0.99,
            "colour_clone": pd.array(clones, dtype="Int64"),
            "colour_probability": probability,
        }
    )


def test_a_dim_cell_takes_the_clone_of_its_track():
    result = track_clones(called([1, 1, 2, pd.NA, 1, 2], [1, 1, 1, 1, 1, 2]))
    assert result["track_clone"].tolist() == [1, 1, 1, 1, 1, 2]
    assert result["clone_disagrees"].tolist() == [False, False, True, pd.NA, False, False]
    assert result["colour_clone"].tolist() == [1, 1, 2, pd.NA, 1, 2]


def test_families_share_a_clone_unless_evidence_is_strong():
    parents = [pd.NA] * 4 + [1] * 2
    weak = track_clones(called([1, 1, 1, 1, 2, 2], [1] * 4 + [2] * 2, [0.95] * 4 + [0.6] * 2, parents))
    assert weak["track_clone"].eq(1).all()
    strong = track_clones(called([1, 1, 1, 1, 2, 2], [1] * 4 + [2] * 2, 0.9999, parents))
    assert strong["track_clone"].tolist() == [1] * 4 + [2] * 2


def test_rows_of_one_name_get_their_own_track_clone():
    table = called([1, 1, 2, 2], [1, 1, 2, 2])
    twice = track_clones(table.set_axis([0, 0, 1, 1]))["track_clone"]
    assert twice.to_list() == [1, 1, 2, 2]


def test_tracks_without_a_call_or_a_number():
    result = track_clones(called([1, 2, pd.NA, 1], [1, 2, 3, pd.NA]))
    assert result["track_clone"].tolist() == [1, 2, pd.NA, pd.NA]
    assert result["track_clone_probability"].isna().tolist() == [False, False, True, True]
    none = track_clones(called([pd.NA] * 3, [1, 1, 2]))
    assert none["track_clone"].isna().all()
    with pytest.raises(DataError, match="lacks column link_probability"):
        track_clones(called([1], [1]).drop(columns="link_probability"))


def test_tracks_sharpen_calls():
    rng = np.random.default_rng(0)
    cells = movie(step=0.25, n_cells=60, n_frames=12, seed=9, **CLOSED)
    wrong = rng.random(len(cells)) < 0.25
    other = (cells["true_clone"].to_numpy(int) + rng.integers(1, 12, len(cells)) - 1) % 12 + 1
    call = np.where(wrong, other, cells["true_clone"].to_numpy(int))
    cells = cells.assign(clone=pd.array(call, dtype="Int64"), clone_probability=0.75)
    result = track_clones(link_cells(cells))
    assert (result["track_clone"] == result["true_clone"]).mean() > 0.97
