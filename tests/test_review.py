"""Corrections by hand: what they mean outlives a refit and a new segmentation, and nothing is guessed."""

import io
import re
import shlex
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from rgbtrack import (
    ClonesParams,
    DataError,
    ParamError,
    RgbtrackWarning,
    append_correction,
    apply_review,
    assign_clones,
    clone_sizes,
    describe_clones,
    fit_clones,
    read_review,
    run,
    write_report,
)
from rgbtrack.evaluate import calibration_error
from rgbtrack.files import read_json, read_labels, read_table, write_json, write_labels, write_table
from rgbtrack.pipeline.review import keep_doubts
from rgbtrack.report.results import read_results
from rgbtrack.review import (
    Assign,
    Exclude,
    Undo,
    assign_cells,
    exclude_cells,
    merge_clones,
    rename_clone,
    split_clone,
)
from rgbtrack.review.file import CUT_OFF
from rgbtrack.review.places import ANCHORS, anchors_of, locate, places_of
from rgbtrack.tables import CELLS, CLONES, EXCLUDED, REVIEW, counted

COLOURS = np.array(
    [[900, 100, 100], [100, 900, 100], [100, 100, 900], [500, 500, 100], [500, 100, 500]], float
)
SIZES = (90, 60, 45, 25, 14)


def planted(seed=0):
    """Cells of five clones on a jittered grid in three images, and six cells without a clone."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(len(SIZES) + 1), (*SIZES, 6))
    n = len(true)
    rng.shuffle(true)
    per_image = n // 3
    place = np.arange(n) % per_image
    light = np.vstack([COLOURS, [300, 300, 300]])[true] * rng.lognormal(0, 0.3, (n, 1))
    x = light * rng.normal(1, 0.08, (n, 3))
    table = pd.DataFrame(
        {
            "image_id": [f"image_{k // per_image}" for k in range(n)],
            "frame": 0,
            "cell": place + 1,
            "z_um": 0.0,
            "y_um": 20.0 * (place // 10) + rng.uniform(-2, 2, n),
            "x_um": 20.0 * (place % 10) + rng.uniform(-2, 2, n),
            "area_um2": np.pi * 7.0**2,
            "subject": [f"m{k // per_image}" for k in range(n)],
            "treatment": "vehicle",
            "timepoint": 0,
        }
    )
    for m, marker in enumerate(("red", "green", "blue")):
        table[marker] = x[:, m]
        table[f"{marker}_se"] = 10.0
    called = true < len(SIZES)
    table["clone"] = pd.array(np.where(called, true + 1, 1), dtype="Int64")
    table.loc[~called, "clone"] = pd.NA
    table["clone_probability"] = np.where(called, rng.uniform(0.8, 1, n), 0.4)
    table["unassigned_reason"] = pd.array(np.where(called, None, "ambiguous"), dtype="string")
    return table


def renumbered(cells, seed):
    """Cells of a later fit: the same clones under other numbers."""
    order = np.random.default_rng(seed).permutation(len(SIZES)) + 1
    other = cells.copy()
    other["clone"] = (
        cells["clone"].map(lambda n: pd.NA if pd.isna(n) else int(order[int(n) - 1])).astype("Int64")
    )
    return other


def segmented_anew(cells, seed, moved_um=2.0):
    """Cells of a later segmentation: other labels, other order, centroids a little elsewhere."""
    rng = np.random.default_rng(seed)
    other = cells.copy()
    for _, rows in other.groupby("image_id").groups.items():
        other.loc[rows, "cell"] = rng.permutation(len(rows)) + 1
    angle = rng.uniform(0, 2 * np.pi, len(cells))
    other["y_um"] += moved_um * np.sin(angle)
    other["x_um"] += moved_um * np.cos(angle)
    return other


def keys_of(cells, rows):
    return [
        tuple(row) for row in cells.iloc[list(rows)][["image_id", "frame", "cell"]].itertuples(index=False)
    ]


def members(cells, clone, n=None):
    return np.flatnonzero(cells["clone"].eq(clone).fillna(value=False).to_numpy(bool))[:n]


def partition(cells):
    """Which cells go together, whatever their clone is numbered; with the names and the reasons."""
    together = {frozenset(rows) for rows in cells.reset_index(drop=True).groupby("clone").groups.values()}
    names = {
        frozenset(members(cells, c)): cells["clone_name"].iloc[members(cells, c)[0]]
        for c in cells["clone"].dropna().unique()
    }
    names = {rows: name for rows, name in names.items() if pd.notna(name)}
    return (
        together,
        names,
        cells["unassigned_reason"].fillna("").tolist(),
        cells["corrected_by"].fillna("").tolist(),
    )


def one_of_each(cells):
    """A merge, a split, a colour split, an assignment, an exclusion and two names, each of the table as it was."""
    none = np.flatnonzero(cells["clone"].isna())
    return [
        merge_clones(cells, [4, 5], note="one colour, two exposures"),
        split_clone(cells, 2, [keys_of(cells, members(cells, 2, 8))]),
        assign_cells(cells, keys_of(cells, none[:2]), 3),
        assign_cells(cells, keys_of(cells, members(cells, 1, 3)), None),
        exclude_cells(cells, keys_of(cells, [none[3], members(cells, 3)[5]]), "debris", who="AB"),
        rename_clone(cells, 5, "pale"),
        rename_clone(cells, 1, "big red"),
    ]


# ---------------------------------------------------------------- what each does


def test_merge_joins_under_the_smallest_number():
    cells = planted()
    corrected, outcomes = apply_review(cells, [merge_clones(cells, [5, 4])])
    assert members(corrected, 4).tolist() == sorted([*members(cells, 4), *members(cells, 5)])
    assert sorted(corrected["clone"].dropna().unique()) == [1, 2, 3, 4]
    assert outcomes.loc[0, ["status", "n_cells"]].tolist() == ["applied", SIZES[3] + SIZES[4]]
    assert outcomes["outcome"].iloc[0] == "clone 5 (14 cells) joined to clone 4 (25 cells)"
    assert np.flatnonzero(corrected["corrected_by"].notna()).tolist() == members(corrected, 4).tolist()
    pd.testing.assert_series_equal(corrected["clone_probability"], cells["clone_probability"])


def test_no_other_clone_changes_its_number():
    cells = planted()
    corrected, _ = apply_review(cells, [merge_clones(cells, [2, 3])])
    # the merged clone is now the largest: its number, and those of all others, stay
    assert len(members(corrected, 2)) > len(members(corrected, 1))
    for clone in (1, 4, 5):
        assert members(corrected, clone).tolist() == members(cells, clone).tolist()


def test_split_makes_the_named_cells_a_clone():
    cells = planted()
    rows = members(cells, 1, 7)
    corrected, outcomes = apply_review(cells, [split_clone(cells, 1, [keys_of(cells, rows)])])
    assert members(corrected, 6).tolist() == rows.tolist()
    assert len(members(corrected, 1)) == SIZES[0] - 7
    assert corrected["clone_probability"].iloc[rows].isna().all()
    assert outcomes["outcome"].iloc[0] == "clone 1 split: new clone 6 (7 cells)"


def test_split_by_colour_tells_planted_clones_apart():
    cells = planted()
    both = cells.copy()
    both["clone"] = cells["clone"].replace(5, 4)
    seeds = [keys_of(cells, members(cells, clone, 2)) for clone in (4, 5)]
    corrected, outcomes = apply_review(both, [split_clone(both, 4, seeds, by_colour=True)])
    # four clear seeds give 39 cells back to the clones that were planted
    assert members(corrected, 4).tolist() == members(cells, 4).tolist()
    assert members(corrected, 5).tolist() == members(cells, 5).tolist()
    assert outcomes.loc[0, ["status", "n_cells"]].tolist() == ["applied", SIZES[3] + SIZES[4]]
    assert corrected.loc[corrected["clone"].isin([4, 5]), "clone_probability"].isna().all()


def test_assign_and_exclude():
    cells = planted()
    here, gone, none = members(cells, 2, 2), members(cells, 3, 2), members(cells, 1, 1)
    corrected, outcomes = apply_review(
        cells,
        [
            assign_cells(cells, keys_of(cells, here), 3),
            exclude_cells(cells, keys_of(cells, gone), "debris"),
            assign_cells(cells, keys_of(cells, none), None),
        ],
    )
    assert (corrected["clone"].iloc[here] == 3).all()
    assert (corrected["unassigned_reason"].iloc[gone] == "excluded by hand: debris").all()
    assert (corrected["unassigned_reason"].iloc[none] == "unassigned by hand").all()
    assert corrected["clone_probability"].iloc[[*here, *gone, *none]].isna().all()
    assert (outcomes["status"] == "applied").all()
    assert len(counted(corrected)) == len(cells) - 2
    sizes = clone_sizes(corrected)
    assert sizes["n_cells"].sum() == corrected["clone"].notna().sum() == sum(SIZES) - 3


def test_a_name_stays_with_its_clone():
    cells = planted()
    corrections = [rename_clone(cells, 5, "pale"), merge_clones(cells, [5, 4]), rename_clone(cells, 1, "old")]
    corrected, _ = apply_review(cells, [*corrections, rename_clone(cells, 1, "new")])
    names = corrected.groupby("clone")["clone_name"].first()
    assert names.dropna().to_dict() == {1: "new", 4: "pale"}
    _, outcomes = apply_review(cells, [rename_clone(cells, 4, "mine"), *corrections])
    assert "the name 'pale' is kept, 'mine' dropped" in outcomes["outcome"].iloc[2]


def test_undo_takes_back_and_can_be_undone():
    cells = planted()
    merge = merge_clones(cells, [4, 5])
    back = Undo(of=merge.id)
    again = Undo(of=back.id)
    plain, _ = apply_review(cells, [])
    taken, outcomes = apply_review(cells, [merge, back])
    pd.testing.assert_frame_equal(taken, plain)
    assert outcomes["status"].tolist() == ["undone", "applied"]
    restored, outcomes = apply_review(cells, [merge, back, again])
    pd.testing.assert_frame_equal(restored, apply_review(cells, [merge])[0])
    assert outcomes["status"].tolist() == ["applied", "undone", "applied"]


def test_tables_keep_their_columns_and_order():
    cells = planted()
    corrected, outcomes = apply_review(cells, one_of_each(cells))
    assert corrected.columns.tolist() == [*cells.columns, "corrected_by", "clone_name"]
    changed = ["clone", "clone_probability", "unassigned_reason"]
    pd.testing.assert_frame_equal(corrected[cells.columns].drop(columns=changed), cells.drop(columns=changed))
    assert corrected["clone"].isna().equals(corrected["unassigned_reason"].notna())
    assert outcomes.columns.tolist() == [column.name for column in REVIEW.columns]
    assert {"corrected_by", "clone_name"} <= {column.name for column in CELLS.columns}
    same, _ = apply_review(cells, [])
    pd.testing.assert_frame_equal(same[cells.columns], cells)
    assert same["corrected_by"].isna().all()


def test_the_input_is_left_alone():
    cells = planted()
    before = cells.copy(deep=True)
    apply_review(cells, one_of_each(cells))
    pd.testing.assert_frame_equal(cells, before)


# ---------------------------------------------------------------- a later fit, a later segmentation


@pytest.mark.parametrize("seed", range(5))
def test_a_refit_with_other_numbers_changes_nothing_of_the_meaning(seed):
    cells = planted()
    corrections = one_of_each(cells)
    first, told = apply_review(cells, corrections)
    later, told_later = apply_review(renumbered(cells, seed), corrections)
    assert partition(later) == partition(first)
    assert told_later["status"].tolist() == told["status"].tolist() == ["applied"] * len(corrections)


@pytest.mark.parametrize("seed", range(3))
def test_a_new_segmentation_changes_nothing_of_the_meaning(seed):
    cells = planted()
    corrections = one_of_each(cells)
    first, _ = apply_review(cells, corrections)
    later, told = apply_review(segmented_anew(renumbered(cells, seed), seed), corrections)
    assert partition(later) == partition(first)
    assert (told["status"] == "applied").all()


@pytest.mark.parametrize("seed", range(12))
def test_any_corrections_mean_the_same_after_a_refit_and_a_new_segmentation(seed):
    cells = planted()
    rng = np.random.default_rng(seed)
    corrections = []
    for _ in range(rng.integers(1, 9)):
        seen, _ = apply_review(cells, corrections)  # what the person looks at
        corrections.append(any_correction(rng, seen, corrections))
    first, told = apply_review(cells, corrections)
    later, told_later = apply_review(segmented_anew(renumbered(cells, seed), seed), corrections)
    assert partition(later) == partition(first)
    same = ["id", "status", "n_cells", "n_missing", "overrules"]
    pd.testing.assert_frame_equal(told_later[same], told[same])
    assert first["clone"].isna().equals(first["unassigned_reason"].notna())
    # one at a time comes to the same as all at once
    at_once = [correction for correction in corrections if correction.action != "undo"]
    step = cells
    for correction in at_once:
        step, _ = apply_review(step, [correction])
    assert partition(step) == partition(apply_review(cells, at_once)[0])
    # all taken back is the fit again
    undone = [Undo(of=correction.id) for correction in corrections[::-1]]
    plain, _ = apply_review(cells, [])
    pd.testing.assert_frame_equal(apply_review(cells, [*corrections, *undone])[0], plain)
    if not any(correction.action == "undo" for correction in corrections):
        # what a person sees can be told: nothing is a conflict
        assert not told["status"].isin(["conflict", "partly"]).any()


def any_correction(rng, seen, corrections):
    """One correction that makes sense to whoever sees this table."""
    sizes = seen["clone"].value_counts()
    clones = sorted(int(clone) for clone in sizes.index)
    large = [number for number in clones if sizes[number] > 4]
    some = keys_of(seen, rng.choice(len(seen), rng.integers(1, 6), replace=False))
    clone = int(rng.choice(clones))
    action = rng.choice(["merge", "cells", "colour", "assign", "none", "exclude", "rename", "undo"])
    if action == "merge" and len(clones) > 2:
        return merge_clones(seen, [int(c) for c in rng.choice(clones, rng.integers(2, 4), replace=False)])
    if action in ("cells", "colour") and large:
        number = int(rng.choice(large))
        rows = rng.permutation(members(seen, number))[:4]
        groups = [keys_of(seen, rows[:2]), keys_of(seen, rows[2:])]
        return split_clone(seen, number, groups, by_colour=bool(action == "colour"))
    if action == "assign":
        return assign_cells(seen, some, clone)
    if action == "exclude":
        return exclude_cells(seen, some, str(rng.choice(["debris", "dust"])))
    if action == "rename":
        return rename_clone(seen, clone, str(rng.choice(["a", "b", "c"])))
    if action == "undo" and corrections:
        return Undo(of=corrections[rng.integers(len(corrections))].id)
    return assign_cells(seen, some, None)


def test_rows_in_another_order_change_nothing():
    cells = planted()
    corrections = one_of_each(cells)
    first, _ = apply_review(cells, corrections)
    shuffled = cells.sample(frac=1, random_state=0)
    later, _ = apply_review(shuffled, corrections)
    pd.testing.assert_frame_equal(later.sort_index(), first)


def test_a_refit_that_loses_some_anchors_is_borne():
    cells = planted()
    correction = rename_clone(cells, 1, "big red")
    anchors = [locate(cells, [place])[place] for place in correction.clone]
    assert len(anchors) == ANCHORS
    later = cells.copy()
    later.loc[anchors[:8], "clone"] = 2  # 17 of 25 stay: more than two thirds
    assert apply_review(later, [correction])[1]["status"].iloc[0] == "applied"
    later.loc[anchors[8], "clone"] = 2  # 16 of 25: fewer
    _, told = apply_review(later, [correction])
    assert told["status"].iloc[0] == "conflict"
    assert "no longer agree: 16 in clone 1, 9 in clone 2" in told["outcome"].iloc[0]


def test_the_nearest_cell_is_found_not_the_one_of_that_number():
    cells = planted()
    place = places_of(cells, np.array([5]))[0]
    later = segmented_anew(cells, 0)
    row = locate(later, [place])[place]
    assert row == 5
    assert later["cell"].iloc[row] != place.cell


def test_a_cell_that_is_gone_is_not_replaced_by_its_neighbour():
    cells = planted()
    keys = keys_of(cells, members(cells, 1, 3))
    correction = exclude_cells(cells, keys, "debris")
    later = cells.drop(index=members(cells, 1, 1)).reset_index(drop=True)
    corrected, told = apply_review(later, [correction])
    assert told.loc[0, ["status", "n_cells", "n_missing"]].tolist() == ["partly", 2, 1]
    assert "1 cell not found" in told["outcome"].iloc[0]
    assert corrected["corrected_by"].notna().sum() == 2


def test_volumes_are_found_in_three_dimensions():
    cells = planted().rename(columns={"area_um2": "volume_um3"})
    cells["volume_um3"] = 4 / 3 * np.pi * 7.0**3
    below = cells.iloc[[0]].assign(cell=500, z_um=30.0)
    cells = pd.concat([cells, below], ignore_index=True)
    place = places_of(cells, np.array([len(cells) - 1]))[0]
    assert place.radius_um == pytest.approx(7, rel=1e-3)
    assert locate(cells, [place]) == {place: len(cells) - 1}


def test_a_cell_of_another_frame_is_another_cell():
    cells = pd.concat([planted().assign(frame=t) for t in (0, 1)], ignore_index=True)
    n = len(cells) // 2
    corrected, _ = apply_review(cells, [exclude_cells(cells, keys_of(cells, [n + 4]), "debris")])
    assert np.flatnonzero(corrected["corrected_by"].notna()).tolist() == [n + 4]


# ---------------------------------------------------------------- conflicts


def outcome(cells, *corrections, **settings):
    _, told = apply_review(cells, corrections, **settings)
    return told.iloc[-1]


def test_merging_what_a_refit_merged_is_told():
    cells = planted()
    later = cells.assign(clone=cells["clone"].replace(5, 4))
    told = outcome(later, merge_clones(cells, [4, 5]))
    assert told[["status", "n_cells"]].tolist() == ["nothing", 0]
    assert "one clone already, 4" in told["outcome"]


def test_a_merge_of_three_with_one_unclear_merges_two():
    cells = planted()
    later = cells.copy()
    later.loc[members(cells, 3), "clone"] = np.resize([1, 3], SIZES[2])
    told = outcome(later, merge_clones(cells, [3, 4, 5]))
    assert told["status"] == "partly"
    assert told["outcome"].startswith(
        "clone 5 (14 cells) joined to clone 4 (25 cells); the cells that stand for a clone no longer agree"
    )


def test_splitting_what_a_refit_split_is_told():
    cells = planted()
    rows = members(cells, 1, 30)
    later = cells.copy()
    later.loc[rows, "clone"] = 6
    for by_colour in (False, True):
        groups = [keys_of(cells, rows), *([keys_of(cells, members(cells, 1)[40:60])] if by_colour else [])]
        told = outcome(later, split_clone(cells, 1, groups, by_colour=by_colour))
        assert told["status"] == "nothing"
        assert "apart already, in clones 1, 6" in told["outcome"]


def test_a_split_of_a_clone_that_lies_in_two_is_a_conflict():
    cells = planted()
    later = cells.copy()
    later.loc[members(cells, 1), "clone"] = np.resize([1, 6], SIZES[0])
    told = outcome(later, split_clone(cells, 1, [keys_of(cells, members(cells, 1, 9))]))
    assert told["status"] == "conflict"
    assert "no longer agree" in told["outcome"]
    told = outcome(
        later,
        split_clone(
            cells, 1, [keys_of(cells, members(cells, 1)[a : a + 8]) for a in (0, 20)], by_colour=True
        ),
    )
    assert told["status"] == "conflict"


def test_a_split_leaves_cells_that_are_elsewhere_now():
    cells = planted()
    rows = members(cells, 1, 9)
    later = cells.copy()
    later.loc[rows[:2], "clone"] = 2
    told = outcome(later, split_clone(cells, 1, [keys_of(cells, rows)]))
    assert told[["status", "n_cells"]].tolist() == ["partly", 7]
    assert "2 cells left where they are" in told["outcome"]


def test_the_later_of_two_that_contradict_holds_and_both_are_told():
    cells = planted()
    keys = keys_of(cells, members(cells, 1, 3))
    first, second = assign_cells(cells, keys, 2), assign_cells(cells, keys[:2], 3)
    corrected, told = apply_review(cells, [first, second])
    assert corrected["clone"].iloc[members(cells, 1, 3)].tolist() == [3, 3, 2]
    assert told["overrules"].fillna("").tolist() == ["", first.id]
    assert told["outcome"].iloc[0] == f"3 cells: clone 2; overruled by {second.id} for 2 cells"
    assert told["outcome"].iloc[1] == f"2 cells: clone 3; overrules {first.id} for 2 cells"


def test_excluded_then_assigned_counts_again_and_is_told():
    cells = planted()
    keys = keys_of(cells, members(cells, 1, 1))
    gone, back = exclude_cells(cells, keys, "debris"), assign_cells(cells, keys, None)
    corrected, told = apply_review(cells, [gone, back])
    assert corrected["unassigned_reason"].iloc[members(cells, 1, 1)[0]] == "unassigned by hand"
    assert told["overrules"].iloc[1] == gone.id
    assert len(counted(corrected)) == len(cells)


def test_the_same_twice_is_nothing_to_do():
    cells = planted()
    keys = keys_of(cells, members(cells, 1, 3))
    for make in (
        lambda: assign_cells(cells, keys, 2),
        lambda: assign_cells(cells, keys, None),
        lambda: exclude_cells(cells, keys, "debris"),
        lambda: rename_clone(cells, 1, "big"),
        lambda: merge_clones(cells, [1, 2]),
    ):
        told = outcome(cells, make(), make())
        assert told[["status", "n_cells"]].tolist() == ["nothing", 0], told["outcome"]
        assert pd.isna(told["overrules"])


def test_clones_and_cells_that_are_gone_are_conflicts():
    cells = planted()
    rest = cells[cells["image_id"] != "image_0"].reset_index(drop=True)
    only = np.intersect1d(members(cells, 1), np.flatnonzero(cells["image_id"] == "image_0"))
    told = outcome(rest, exclude_cells(cells, keys_of(cells, only[:2]), "debris"))
    assert told[["status", "n_missing"]].tolist() == ["conflict", 2]
    assert "none of its cells was found" in told["outcome"]
    told = outcome(rest, split_clone(cells, 1, [keys_of(cells, only)]))
    assert told["status"] == "conflict"
    empty = cells.iloc[:0]
    _, told = apply_review(empty, one_of_each(cells))
    assert (told["status"] == "conflict").all()
    assert "none of the 25 cells that stand for a clone were found" in told["outcome"].iloc[0]


def test_subjects_that_share_no_clones_are_kept_apart():
    cells = planted()
    cells["clone"] = pd.array(cells["image_id"].str[-1].astype(int) + 1, dtype="Int64")
    cells["unassigned_reason"] = pd.array([pd.NA] * len(cells), dtype="string")
    merge = merge_clones(cells, [1, 2])
    assert outcome(cells, merge)["status"] == "applied"
    told = outcome(cells, merge, within="subject")
    assert told["status"] == "conflict"
    assert "different subjects" in told["outcome"]
    keys = keys_of(cells, [*members(cells, 1, 2)])
    told = outcome(cells, assign_cells(cells, keys, 2), within="subject")
    assert told[["status", "n_cells"]].tolist() == ["partly", 0] or told["status"] == "conflict"
    assert "of another subject than clone 2" in told["outcome"]


def test_undoing_what_is_not_there_is_a_conflict():
    cells = planted()
    told = outcome(cells, Undo(of="r00000000"))
    assert told["status"] == "conflict"
    assert "no earlier correction is named r00000000" in told["outcome"]


# ---------------------------------------------------------------- making them


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda c: merge_clones(c, [3, 3]), ParamError, "merge names clone 3, 3: give two or more"),
        (lambda c: merge_clones(c, [1, 9]), DataError, "no clone 9; it has 1, 2, 3, 4, 5"),
        (lambda c: rename_clone(c, 1, " "), ParamError, "rename of clone 1 without a name"),
        (lambda c: rename_clone(c, 8, "x"), DataError, "no clone 8"),
        (lambda c: exclude_cells(c, [], "debris"), ParamError, "no cell is named"),
        (lambda c: exclude_cells(c, [("image_0", 0, 1)], ""), ParamError, "exclude without a reason"),
        (lambda c: exclude_cells(c, [("image_0", 0, 999)], "x"), DataError, "no cell image_0:0:999"),
        (lambda c: assign_cells(c, [("image_0", 0, 1)], 7), DataError, "no clone 7"),
        (lambda c: assign_cells(c, [], None), ParamError, "no cell is named"),
        (lambda c: split_clone(c, 1, []), ParamError, "give the cells of each part"),
        (
            lambda c: split_clone(c, 1, [keys_of(c, members(c, 1, 2))], by_colour=True),
            ParamError,
            "the cells of two or more parts",
        ),
        (lambda c: split_clone(c, 1, [keys_of(c, members(c, 1))]), ParamError, "these are all of its cells"),
        (lambda c: split_clone(c, 1, [keys_of(c, members(c, 2, 1))]), DataError, "is of clone 2"),
        (
            lambda c: split_clone(c, 1, [keys_of(c, np.flatnonzero(c["clone"].isna())[:1])]),
            DataError,
            "is of no clone",
        ),
        (
            lambda c: split_clone(c, 1, [keys_of(c, members(c, 1, 2)), keys_of(c, members(c, 1, 1))]),
            DataError,
            "a cell is named twice",
        ),
        (
            lambda c: merge_clones(c.drop(columns="area_um2"), [1, 2]),
            DataError,
            "cells without area_um2 and volume_um3",
        ),
        (lambda c: merge_clones(c.drop(columns="clone"), [1, 2]), DataError, "lacks column clone"),
    ],
)
def test_mistakes_are_told(make, error, said):
    with pytest.raises(error, match=said):
        make(planted())


def test_anchors_are_sure_and_typical():
    cells = planted()
    cells.loc[members(cells, 1)[0], ["red", "green"]] = [100.0, 900.0]  # odd
    cells.loc[members(cells, 1)[1], "clone_probability"] = 0.5  # unsure
    named = {place.cell for place in anchors_of(cells, 1) if place.image_id == "image_0"}
    first = cells.iloc[members(cells, 1)[:2]]
    assert not named & set(first.loc[first["image_id"] == "image_0", "cell"])
    assert len(anchors_of(cells, 1)) == ANCHORS
    assert len(anchors_of(cells, 5)) == SIZES[4]


def test_uncalled_tables_are_refused():
    with pytest.raises(DataError, match="lacks columns clone, clone_probability, unassigned_reason"):
        apply_review(planted().drop(columns=["clone", "clone_probability", "unassigned_reason"]), [])


# ---------------------------------------------------------------- the file


def test_what_is_written_is_read(tmp_path):
    cells = planted()
    corrections = one_of_each(cells)
    for correction in corrections:
        append_correction(tmp_path / "review.jsonl", correction)
    append_correction(tmp_path / "review.jsonl", Undo(of=corrections[0].id, note="no: größer"))
    read = read_review(tmp_path / "review.jsonl")
    assert read[:-1] == tuple(corrections)
    assert read[-1].note == "no: größer"
    assert read_review(tmp_path / "none.jsonl") == ()


def test_a_line_cut_off_anywhere_is_left_out_and_survived(tmp_path):
    cells = planted()
    path = tmp_path / "review.jsonl"
    first = rename_clone(cells, 5, "pale")
    last = Undo(of=first.id, note="größer")
    third = rename_clone(cells, 4, "third")
    append_correction(path, first)
    start = path.stat().st_size
    append_correction(path, last)
    whole = path.read_bytes()
    for size in range(start, len(whole) + 1):
        path.write_bytes(whole[:size])
        if size in (start, len(whole) - 1, len(whole)):
            # all of the line or nothing of it: only its newline may be missing
            expected = (first,) if size == start else (first, last)
            assert read_review(path) == expected
        else:
            expected = (first,)
            with pytest.warns(RgbtrackWarning, match=r"line 2, the last, was cut off"):
                assert read_review(path) == expected
        append_correction(path, third)
        assert path.read_bytes().startswith(whole[:size])  # only ever added to
        assert read_review(path) == (*expected, third)  # and no warning any more


def test_a_mark_that_was_itself_cut_off_is_survived(tmp_path):
    cells = planted()
    path = tmp_path / "review.jsonl"
    third = rename_clone(cells, 4, "third")
    torn = b'{"id":"r12345678","wh' + CUT_OFF + b"\n"
    for size in range(1, len(torn) + 1):
        path.write_bytes(torn[:size])
        append_correction(path, third)
        assert read_review(path) == (third,)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "line 2: not JSON"),
        ('{"action": "explode"}', "line 2: action is none of merge, split"),
        ("{}", "line 2: action is none of merge"),
        ('{"action": "undo"}', "line 2: of: Field required"),
        ('{"action": "undo", "of": "r1", "colour": 3}', "line 2: colour: Extra inputs are not permitted"),
        ("[1, 2]", "line 2: "),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, said):
    cells = planted()
    path = tmp_path / "review.jsonl"
    append_correction(path, rename_clone(cells, 5, "pale"))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=said):
        read_review(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match=said):
        append_correction(path, rename_clone(cells, 4, "third"))
    assert path.read_bytes() == before


def test_a_repeated_line_and_an_unknown_undo_are_refused(tmp_path):
    path = tmp_path / "review.jsonl"
    correction = rename_clone(planted(), 5, "pale")
    append_correction(path, correction)
    with pytest.raises(DataError, match=f"holds correction {correction.id} already"):
        append_correction(path, correction)
    with pytest.raises(DataError, match="no correction r00000000 that could be undone"):
        append_correction(path, Undo(of="r00000000"))
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(DataError, match=f"line 2: repeats the id {correction.id} of line 1"):
        read_review(path)


def test_blank_lines_and_windows_ends_are_read(tmp_path):
    path = tmp_path / "review.jsonl"
    correction = rename_clone(planted(), 5, "pale")
    append_correction(path, correction)
    path.write_bytes(b"\r\n\n" + path.read_bytes().replace(b"\n", b"\r\n") + b"\n")
    assert read_review(path) == (correction,)


def test_corrections_hold_what_they_must():
    with pytest.raises(ValidationError, match="cells"):
        Exclude(cells=(), reason="debris")
    with pytest.raises(ValidationError, match="clone"):
        Assign(cells=places_of(planted(), np.array([0])))


# ---------------------------------------------------------------- with a fitted model


@pytest.fixture(scope="module")
def table():
    """Uncalled cells of five clones, of which the last two are near each other."""
    rng = np.random.default_rng(0)
    colours = np.array([[900, 60, 60], [60, 900, 60], [60, 60, 900], [600, 600, 60], [450, 740, 60]], float)
    true = np.repeat(np.arange(5), (120, 90, 70, 110, 110))
    n = len(true)
    x = colours[true] * rng.lognormal(0, 0.3, (n, 1)) * rng.normal(1, 0.08, (n, 3)) + rng.normal(
        0, 25, (n, 3)
    )
    table = pd.DataFrame({"image_id": "a", "frame": 0, "cell": np.arange(n) + 1, "z_um": 0.0, "true": true})
    table[["y_um", "x_um"]] = np.column_stack(np.divmod(rng.permutation(n), 25)) * 20.0
    table["area_um2"] = 150.0
    for m, marker in enumerate(("red", "green", "blue")):
        table[marker], table[f"{marker}_se"] = x[:, m], 25.0
    return table


def test_a_merge_calls_the_cells_between(table):
    params = ClonesParams(gains="none", min_probability=0.95)
    model = fit_clones(table, params)
    cells = assign_clones(table, params, model=model)
    pair = cells[cells["true"] >= 3].groupby("clone")["true"].count().nlargest(2).index.tolist()
    between = cells["clone"].isna() & (cells["true"] >= 3)
    assert between.sum() > 20
    merge = merge_clones(cells, pair)
    corrected, told = apply_review(cells, [merge], assign=model.assign)
    assert (corrected.loc[between, "clone"] == min(pair)).mean() > 0.9
    # of any of the two: surer than of one, and as sure as the model is of both together
    theirs = corrected["clone"].eq(min(pair)).fillna(value=False).astype(bool)
    assert (
        corrected.loc[theirs, "clone_probability"] >= cells.loc[theirs, "clone_probability"] - 1e-12
    ).all()
    of_both = model.probabilities(table)[:, np.flatnonzero(np.isin(model.clone_numbers, pair))].sum(axis=1)
    share = model.main_share[[number - 1 for number in pair]].max()
    np.testing.assert_allclose(corrected.loc[theirs, "clone_probability"], share * of_both[theirs])
    assert "that lay between them called too" in told["outcome"].iloc[0]
    others = cells["true"] < 3
    assert corrected.loc[others, "clone"].equals(cells.loc[others, "clone"])
    # without the model they stay as they were; those that a person decided on stay so in any case
    alone, _ = apply_review(cells, [merge])
    assert alone.loc[between, "clone"].isna().all()
    keys = keys_of(cells, np.flatnonzero(between)[:3])
    kept, _ = apply_review(cells, [exclude_cells(cells, keys, "debris"), merge], assign=model.assign)
    assert kept["clone"].iloc[np.flatnonzero(between)[:3]].isna().all()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fit_from_another_seed_keeps_the_meaning(table, seed):
    cells = assign_clones(table, ClonesParams(gains="none"))
    clones = [int(cells.loc[cells["true"] == k, "clone"].mode()[0]) for k in range(5)]
    corrections = [
        merge_clones(cells, clones[3:]),
        rename_clone(cells, clones[0], "red"),
        assign_cells(cells, keys_of(cells, np.flatnonzero(cells["true"] == 1)[:4]), clones[2]),
        rename_clone(cells, clones[3], "yellow"),
    ]
    params = ClonesParams(gains="none", seed=seed, starts=1, max_fit_cells=300)
    later, told = apply_review(assign_clones(table, params), corrections)
    assert (told["status"] == "applied").all(), told["outcome"].tolist()
    names = later.groupby("true")["clone_name"].agg(lambda names: names.mode().tolist())
    assert names[[0, 3, 4]].tolist() == [["red"], ["yellow"], ["yellow"]]
    moved = later.iloc[np.flatnonzero(cells["true"] == 1)[:4]]
    assert (moved["clone"] == later.loc[later["true"] == 2, "clone"].mode()[0]).all()


def test_each_subject_keeps_clones_of_its_own(table):
    both = pd.concat(
        [table.assign(subject="m1"), table.assign(subject="m2", image_id="b")], ignore_index=True
    )
    params = ClonesParams(gains="none", palette="subject", starts=1)
    model = fit_clones(both, params)
    cells = assign_clones(both, params, model=model)
    of = cells.groupby("subject")["clone"].agg(lambda clones: sorted(clones.dropna().unique()))
    settings = {"within": "subject", "assign": model.assign}
    corrected, told = apply_review(
        cells,
        [merge_clones(cells, of["m2"][:2]), merge_clones(cells, [of["m1"][0], of["m2"][2]])],
        **settings,
    )
    assert told["status"].tolist() == ["applied", "conflict"]
    assert not describe_clones(corrected, model)["clone"].duplicated().any()


def test_clones_are_described_as_corrected():
    cells = planted()
    corrected, _ = apply_review(cells, one_of_each(cells))
    clones = CLONES.check(describe_clones(corrected))
    assert clones.set_index("clone")["n_cells"].to_dict() == corrected["clone"].value_counts().to_dict()


def test_calls_by_hand_do_not_spoil_the_calibration():
    assert calibration_error([0.5, np.nan, 0.5], [1.0, 1.0, 0.0], n_bins=1) == 0
    assert np.isnan(calibration_error([np.nan], [1.0]))


# ---------------------------------------------------------------- in a run


@pytest.fixture
def experiment(small_experiment, finished, tmp_path):
    """Three images of the small experiment, with results in which all eight were fitted."""
    folder = shutil.copytree(small_experiment, tmp_path / "experiment")
    results = shutil.copytree(finished, folder / "results")
    sheet = (folder / "samples.csv").read_text().splitlines(keepends=True)[:4]
    (folder / "samples.csv").write_text("".join(sheet))
    cells = read_table(results / "cells.parquet")
    mine = [any(name in line for line in sheet) for name in cells["image_id"]]
    write_table(results / "cells.parquet", cells[mine].reset_index(drop=True))
    description = read_json(results / "run.json") | {"experiment": str(folder / "experiment.toml")}
    write_json(results / "run.json", description)
    return folder


def named(cells, rows):
    return [f"{image_id}:{cell}" for image_id, _, cell in keys_of(cells, rows)]


def test_from_the_shell_through_a_run_and_a_refit(rgbtrack, experiment):
    results = experiment / "results"
    before = read_table(results / "cells.parquet")
    rows = {clone: members(before, clone) for clone in (1, 2, 3, 4)}

    def amend(*arguments):
        code, out, err = rgbtrack("amend", results, *arguments)
        assert code == 0, err
        return out.split(":")[0]

    code, out, _ = rgbtrack("amend", results, "merge", 3, 4, "--note", "one colour", "--who", "AB")
    assert code == 0
    assert f"merge clone 3 ({len(rows[3])} cells) and clone 4 ({len(rows[4])} cells)" in out
    assert f"the next run makes it: rgbtrack run {experiment / 'experiment.toml'}\n" in out
    debris = amend("exclude", *named(before, rows[1][:2]), "--reason", "debris")
    amend("rename", 2, "big one")
    amend("assign", 1, *named(before, rows[2][:3]))
    second = amend("assign", "none", *named(before, rows[2][2:3]))
    taken_back = amend("split", 2, *named(before, rows[2][5:9]))
    amend("undo", taken_back)
    assert "waits for the next run" in rgbtrack("amend", results, "list")[1]
    corrections = (results / "review.jsonl").read_bytes()

    for step in ("clones", "dynamics", "report"):
        code, _, err = rgbtrack(step, experiment, "-w", 1)
        assert code == 0
    assert (
        f"1 of 7 corrections by hand contradicts an earlier one, and holds (review.csv tells of all): {second}"
        in err
    )
    check_tables(results, before, rows)
    code, out, _ = rgbtrack("amend", results, "list")
    assert [": undone: " in line for line in out.splitlines()] == [False] * 5 + [True, False]
    assert out.count(": applied: ") == 6
    told = read_json(results / "run.json")
    assert told["review"]["corrections"] == 7
    assert (told["review"]["applied"], told["review"]["undone"]) == (6, 1)
    assert told["counts"]["unassigned"]["excluded by hand: debris"] == 2
    report = (results / "report.html").read_text()
    for text in (
        "Corrections by hand",
        debris,
        "one colour",
        "big one",
        "taken back",
        "contradicts an earlier one",
    ):
        assert text in report
    assert len(read_results(results).cells) == len(before) - 2

    files = [path for path in results.iterdir() if path.is_file() and path.name != "run.json"]
    stamps = {path: path.stat().st_mtime_ns for path in files}
    assert rgbtrack("run", experiment, "-w", 1)[0] == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}

    toml = experiment / "experiment.toml"
    toml.write_text(toml.read_text() + "\n[clones]\nseed = 5\n")
    assert rgbtrack("run", experiment, "-w", 1)[0] == 0
    assert (results / "review.jsonl").read_bytes() == corrections
    check_tables(results, before, rows)

    (results / "review.jsonl").unlink()
    assert rgbtrack("clones", experiment, "-w", 1)[0] == 0
    assert not (results / "review.csv").exists()
    assert read_table(results / "cells.parquet")["corrected_by"].isna().all()


def check_tables(results, before, rows):
    """Hold the tables against what was decided on the clones and cells as they were."""
    cells, clones = read_table(results / "cells.parquet"), read_table(results / "clones.csv")
    pd.testing.assert_frame_equal(cells[["image_id", "frame", "cell"]], before[["image_id", "frame", "cell"]])
    one, two, three = (cells["clone"].iloc[rows[k][4:]].mode()[0] for k in (1, 2, 3))
    assert (cells["clone"].iloc[[*rows[3], *rows[4]]] == three).mean() > 0.97
    assert (cells["unassigned_reason"].iloc[rows[1][:2]] == "excluded by hand: debris").all()
    assert cells["clone"].iloc[rows[2][:2]].tolist() == [one, one]
    assert cells["unassigned_reason"].iloc[rows[2][2]] == "unassigned by hand"
    assert cells["clone_probability"].iloc[[*rows[1][:2], *rows[2][:3]]].isna().all()
    assert cells["clone"].iloc[rows[2][5:9]].isin([two]).all()
    assert clones.set_index("clone")["clone_name"].dropna().to_dict() == {two: "big one"}
    assert cells["clone"].isna().equals(cells["unassigned_reason"].notna())
    assert clones["n_cells"].sum() == cells["clone"].notna().sum()


def test_all_done_again_with_a_new_segmentation(experiment):
    results = experiment / "results"
    before = read_table(results / "cells.parquet")
    rows = members(before, 1)[:5]
    append_correction(results / "review.jsonl", exclude_cells(before, keys_of(before, rows), "debris"))
    append_correction(results / "review.jsonl", rename_clone(before, 2, "second"))
    toml = experiment / "experiment.toml"
    toml.write_text(toml.read_text() + "\n[segment]\ncontrast = 0.6\nmin_snr = 12.0\n")
    corrections = (results / "review.jsonl").read_bytes()
    run(experiment, results, workers=1, overwrite=True)
    assert (results / "review.jsonl").read_bytes() == corrections
    cells = read_table(results / "cells.parquet")
    assert len(cells) != len(before)
    gone = cells[cells["unassigned_reason"] == "excluded by hand: debris"]
    assert len(gone) == 5
    apart = [
        np.hypot(
            *(gone[gone["image_id"] == row["image_id"]][["y_um", "x_um"]] - [row["y_um"], row["x_um"]])
            .to_numpy()
            .T
        ).min()
        for _, row in before.iloc[rows].iterrows()
    ]
    assert max(apart) < 3
    assert (read_table(results / "review.csv")["status"] == "applied").all()


def test_a_review_alone_makes_a_folder_ours(small_experiment, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "review.jsonl").touch()
    run(small_experiment, tmp_path / "results", workers=1, steps=("segment",))


def test_a_cut_off_line_is_warned_of_by_the_run(experiment):
    results = experiment / "results"
    (results / "review.jsonl").write_bytes(b'{"id": "r1')
    with pytest.warns(RgbtrackWarning, match="line 1, the last, was cut off"):
        run(experiment, results, workers=1, steps=("clones",))


def test_a_bad_line_stops_the_run_and_is_named(rgbtrack, experiment):
    (experiment / "results" / "review.jsonl").write_text("merge 3 and 4\n")
    code, _, err = rgbtrack("clones", experiment)
    assert code == 2
    assert "review.jsonl, line 1: not JSON: mend the line or delete it" in err


def test_conflicts_are_warned_of(experiment):
    results = experiment / "results"
    cells = read_table(results / "cells.parquet")
    merge = merge_clones(cells, [3, 4])
    gone = tuple(place.model_copy(update={"image_id": "gone"}) for place in merge.clones[0])
    append_correction(results / "review.jsonl", merge.model_copy(update={"clones": (gone, merge.clones[1])}))
    with pytest.warns(RgbtrackWarning, match=r"1 of 1 corrections by hand could not be made .*: none of the"):
        run(experiment, results, workers=1, steps=("clones",))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("merge", 1), "give two or more clones"),
        (("merge", 1, 99), "no clone 99"),
        (("rename", 99, "x"), "no clone 99"),
        (("assign", "red", "vehicle_m1_d0:1"), "clone is 'red': give its number, or none"),
        (("assign", 1, "vehicle_m1_d0"), "vehicle_m1_d0: no cell is named so: give IMAGE:CELL"),
        (("assign", 1, "gone:1"), "gone:1: no cell is named so"),
        (("exclude", "vehicle_m1_d0:9999", "-r", "debris"), "no cell vehicle_m1_d0:0:9999"),
        (("undo", "r"), "correction r names none of them: there are none"),
    ],
)
def test_mistakes_in_the_shell_exit_2_and_write_nothing(rgbtrack, finished, arguments, said):
    code, _, err = rgbtrack("amend", finished, *arguments)
    assert code == 2
    assert said in err
    assert not (finished / "review.jsonl").exists()


def test_cells_of_time_series_are_named_with_their_frame(rgbtrack, finished, tmp_path):
    cells = read_table(finished / "cells.parquet")
    (tmp_path / "run.json").write_text("{}")
    write_table(tmp_path / "cells.parquet", pd.concat([cells, cells.assign(frame=1)], ignore_index=True))
    code, _, err = rgbtrack("amend", tmp_path, "assign", 1, "vehicle_m1_d0:1")
    assert code == 2
    assert "name the cell as vehicle_m1_d0:FRAME:1" in err
    assert rgbtrack("amend", tmp_path, "assign", 1, "vehicle_m1_d0:1:1")[0] == 0
    assert read_review(tmp_path / "review.jsonl")[0].cells[0].frame == 1
    assert rgbtrack("amend", tmp_path / "none", "list")[0] == 2


def test_what_the_documentation_says_works(rgbtrack, finished, tmp_path, monkeypatch):
    text = (Path(__file__).parents[1] / "docs" / "review.md").read_text(encoding="utf-8")
    results = shutil.copytree(finished, tmp_path / "results")
    commands = re.findall(r"^ {4}rgbtrack (amend RESULTS .+)$", text, flags=re.MULTILINE)
    assert len(commands) == 9
    monkeypatch.chdir(tmp_path)
    labels = read_labels(results / "labels" / "vehicle_m1_d0.tif")
    write_labels(Path("corrected.tif"), np.where(labels == 9, 0, labels))
    for command in commands:
        words = shlex.split(command, comments=True)
        code, _, err = rgbtrack(*[results if word == "RESULTS" else word for word in words])
        assert code == 0, (command, err)
    written = read_review(results / "review.jsonl")
    assert [correction.image_id for correction in written if correction.action == "redraw"] == [
        "vehicle_m1_d0"
    ]
    in_table = [correction for correction in written if correction.action != "redraw"]
    _, told = apply_review(read_table(results / "cells.parquet"), in_table)
    assert told["status"].eq("applied").all(), told["outcome"].tolist()
    (results / "review.jsonl").unlink()
    with redirect_stdout(io.StringIO()) as said:
        for code in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
            exec(compile(code, "review.md", "exec"), {})
    assert "applied" in said.getvalue()
    assert "Of 20 cells drawn at random and looked at, 0 were of another clone" in said.getvalue()
    assert len(read_review(results / "review.jsonl")) == 2


def test_a_table_of_outcomes_that_is_not_one_is_refused(finished, tmp_path):
    results = shutil.copytree(finished, tmp_path / "results")
    (results / "review.csv").write_text("id,action\nr12345678,merge\n")
    with pytest.raises(DataError, match="corrections by hand table lacks columns said, status"):
        write_report(results)


# ---------------------------------------------------------------- odd tables and files


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_cells_without_a_place_are_passed_over(value):
    cells = planted()
    rows = members(cells, 3)[:2]
    gone = exclude_cells(cells, keys_of(cells, rows), "debris")
    odd = cells.copy()
    odd.loc[rows[0], "y_um"] = value
    odd["cell"] = odd["cell"].astype("Int64")
    corrected, outcomes = apply_review(odd, [gone])
    assert outcomes[["status", "n_cells", "n_missing"]].to_numpy().tolist() == [["partly", 1, 1]]
    assert corrected["unassigned_reason"].str.startswith(EXCLUDED).sum() == 1
    assert apply_review(odd.assign(y_um=value), [gone])[1]["status"].item() == "conflict"


def test_a_place_that_is_nowhere_is_a_conflict():
    cells = planted()
    gone = exclude_cells(cells, [("image_0", 0, 1)], "debris")
    far = gone.model_copy(update={"cells": (gone.cells[0].model_copy(update={"y_um": 1e300}),)})
    assert apply_review(cells, [far])[1]["status"].item() == "conflict"


def test_tables_that_cannot_be_corrected_are_refused():
    cells = planted()
    for number in (1.5, np.inf, -1):
        with pytest.raises(DataError, match="clone should hold whole numbers"):
            apply_review(cells.assign(clone=number), [])
    with pytest.raises(DataError, match="lacks column subject"):
        apply_review(cells.drop(columns="subject"), [], within="subject")


def test_a_byte_order_mark_is_read_and_a_line_without_id_is_not(tmp_path):
    path = tmp_path / "review.jsonl"
    correction = rename_clone(planted(), 5, "pale")
    line = correction.model_dump_json().encode()
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\n")
    assert read_review(path) == (correction,)
    path.write_bytes(line.replace(f'"id":"{correction.id}",'.encode(), b""))
    with pytest.raises(DataError, match="line 1: id is missing"):
        read_review(path)


def test_a_folder_is_no_review(tmp_path):
    correction = rename_clone(planted(), 5, "pale")
    with pytest.raises(DataError, match="not readable"):
        read_review(tmp_path)
    with pytest.raises(DataError, match="cannot be written"):
        append_correction(tmp_path / "none" / "review.jsonl", correction)


def test_doubts_are_those_of_the_clones_as_found():
    fitted = pd.Series(pd.array([1] * 20 + [2] * 10 + [3] * 10 + [None], dtype="Int64"))
    merged = fitted.replace({3: 2})
    merged.iloc[0] = 2
    names = ("unique_probability", "expected_founders", "same_founder_probability")
    found = pd.DataFrame({"clone": [1, 2, 3], "n_cells": [20, 10, 10], **dict.fromkeys(names, 0.5)})
    after = pd.DataFrame({"clone": [1, 2], "n_cells": [19, 21], **dict.fromkeys(names, 0.9)})
    told = keep_doubts(after, found, merged, fitted)
    for name in names:
        assert told[name].iloc[0] == 0.5
        assert np.isnan(told[name].iloc[1])
