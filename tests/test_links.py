"""Links cut and joined by hand: tracks and families follow, and what no cell can do is told."""

import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError
from rgbtrack.review import Undo, apply_links, apply_review, cut_link, join_cells
from rgbtrack.review.links import cells_before
from rgbtrack.tables import REVIEW, check_tracks

LINKED = ["track", "parent", "tree", "link_probability"]


def movie(image_id="a"):
    """Frames 0 to 4: cell 1 divides after frame 1 into cells 1 and 2, cell 3 is alone; cell 4 is in no track."""
    rows = [
        (0, 1, 1, None, None),
        (1, 1, 1, None, 0.9),
        *((frame, 1, 2, 1, 0.8) for frame in (2, 3, 4)),
        *((frame, 2, 3, 1, 0.7) for frame in (2, 3, 4)),
        *((frame, 3, 4, None, 0.6 if frame else None) for frame in range(5)),
        (2, 4, None, None, None),
    ]
    frame, cell, track, parent, probability = zip(*rows, strict=True)
    table = pd.DataFrame({"image_id": image_id, "frame": frame, "cell": cell})
    table = table.assign(z_um=0.0, y_um=30.0 * table["cell"], x_um=1.0 * table["frame"], area_um2=150.0)
    for name, values in (("track", track), ("parent", parent)):
        table[name] = pd.array(values, dtype="Int64")
    table["tree"] = pd.array([1] * 8 + [4] * 5 + [None], dtype="Int64")
    return table.assign(link_probability=np.array(probability, dtype=float))


def tracks(cells, *keys):
    """Track, parent and tree of cells that are named by frame and number; 0 for none."""
    named = cells.set_index(["frame", "cell"])[LINKED[:3]].fillna(0).astype(int)
    return [tuple(named.loc[key]) for key in keys]


def test_a_cut_begins_a_track_and_the_first_part_keeps_its_number():
    cells = movie()
    after, outcomes = apply_links(cells, [cut_link(cells, ("a", 3, 3))])
    assert tracks(after, (2, 3), (3, 3), (4, 3)) == [(4, 0, 4), (5, 0, 5), (5, 0, 5)]
    row = outcomes.iloc[0]
    assert row[["action", "status", "n_cells"]].tolist() == ["cut", "applied", 1]
    assert row["said"] == "cut the link from a:2:3 to a:3:3"
    assert row["outcome"] == "a:3:3 no longer follows a:2:3"
    probability = after.set_index(["frame", "cell"])["link_probability"]
    assert np.isnan(probability[3, 3])
    assert probability[4, 3] == 0.6
    unchanged = after["cell"] != 3
    pd.testing.assert_frame_equal(after[unchanged], cells[unchanged])
    check_tracks(after)


def test_a_daughter_that_is_cut_off_leaves_no_division():
    cells = movie()
    after, _ = apply_links(cells, [cut_link(cells, ("a", 2, 2))])
    assert tracks(after, (0, 1), (4, 1), (2, 2)) == [(1, 0, 1), (1, 0, 1), (3, 0, 3)]
    check_tracks(after)


def test_a_join_continues_a_track():
    cells = movie()
    cells, _ = apply_links(cells, [cut_link(cells, ("a", 3, 3))])
    after, outcomes = apply_links(cells, [join_cells(cells, ("a", 2, 3), ("a", 3, 3))])
    assert tracks(after, (0, 3), (4, 3)) == [(4, 0, 4), (4, 0, 4)]
    assert outcomes["outcome"].item() == "a:3:3 follows a:2:3"
    assert np.isnan(after.set_index(["frame", "cell"])["link_probability"][3, 3])


def test_a_cell_that_another_follows_becomes_a_mother():
    cells = movie()
    cells.loc[cells["track"] == 3, "parent"] = pd.NA
    cells, _ = apply_links(cells, [cut_link(cells, ("a", 1, 3))])
    join = join_cells(cells, ("a", 1, 3), ("a", 2, 2))
    assert join.said == "join a:2:2 to a:1:3 as a daughter"
    after, outcomes = apply_links(cells, [join])
    later = tracks(after, (1, 3), (2, 3), (2, 2))
    assert later[1][1] == later[2][1] == later[0][0]
    assert {track[2] for track in later} == {later[0][2]}
    assert outcomes["outcome"].item() == "a:2:2 follows a:1:3, which divides: its other daughter is a:2:3"
    check_tracks(after)


def test_a_cell_in_no_track_can_be_joined():
    cells = movie()
    cut = cut_link(cells, ("a", 3, 3))
    cells, _ = apply_links(cells, [cut])
    after, _ = apply_links(cells, [join_cells(cells, ("a", 2, 4), ("a", 3, 3))])
    first, second = tracks(after, (2, 4), (3, 3))
    assert first == second
    assert first[0] > 0
    check_tracks(after)


def test_corrections_are_made_one_after_the_other():
    cells = movie()
    first = cut_link(cells, ("a", 3, 1))
    second = cut_link(cells, ("a", 3, 2))
    between, _ = apply_links(cells, [first, second])
    swap = [
        join_cells(between, ("a", 2, 1), ("a", 3, 2)),
        join_cells(between, ("a", 2, 2), ("a", 3, 1)),
    ]
    after, outcomes = apply_links(cells, [first, second, *swap])
    assert outcomes["status"].eq("applied").all()
    assert tracks(after, (2, 1), (4, 2), (2, 2), (4, 1)) == [(2, 1, 1), (2, 1, 1), (3, 1, 1), (3, 1, 1)]


def test_what_is_taken_back_is_not_made():
    cells = movie()
    cut = cut_link(cells, ("a", 3, 3))
    undo = Undo(of=cut.id)
    after, outcomes = apply_links(cells, [cut, undo])
    pd.testing.assert_frame_equal(after, cells)
    assert outcomes[["id", "status"]].to_numpy().tolist() == [[cut.id, "undone"]]
    assert list(outcomes.columns) == [column.name for column in REVIEW.columns]


def test_links_are_found_after_a_new_segmentation():
    cells = movie()
    cut = cut_link(cells, ("a", 3, 3))
    anew = cells.assign(cell=cells["cell"] + 10, x_um=cells["x_um"] + 2.0).sample(frac=1, random_state=0)
    after, outcomes = apply_links(anew, [cut])
    assert outcomes["status"].item() == "applied"
    assert list(after.index) == list(anew.index)
    assert tracks(after, (2, 13), (3, 13)) == [(4, 0, 4), (5, 0, 5)]


def test_what_holds_already_is_told():
    cells = movie()
    cut = cut_link(cells, ("a", 3, 3))
    between, _ = apply_links(cells, [cut])
    join = join_cells(between, ("a", 2, 3), ("a", 3, 3))
    assert apply_links(between, [cut])[1]["outcome"].item() == "a:3:3 does not follow a:2:3: it follows none"
    _, outcomes = apply_links(cells, [join])
    assert outcomes[["status", "outcome"]].to_numpy().tolist() == [["nothing", "a:3:3 follows a:2:3 already"]]


def test_what_no_cell_can_do_is_a_conflict():
    cells = movie()
    between, _ = apply_links(cells, [cut_link(cells, ("a", 3, 3))])
    two_mothers = join_cells(between, ("a", 2, 4), ("a", 3, 3))
    cut_off, _ = apply_links(cells, [cut_link(cells, ("a", 2, 3))])
    cut_off.loc[cut_off["track"].isin([2, 3]), "parent"] = pd.NA
    third = join_cells(cut_off, ("a", 1, 1), ("a", 2, 3))
    _, outcomes = apply_links(cells, [two_mothers])
    assert outcomes["status"].item() == "conflict"
    assert outcomes["outcome"].item() == "a:3:3 follows a:2:3 already, and no cell has two before it"
    _, outcomes = apply_links(cells, [cut_link(cells, ("a", 2, 3)), third])
    assert outcomes["status"].tolist() == ["applied", "conflict"]
    assert outcomes["outcome"].iloc[1].startswith("a:1:1 divides into a:2:1 and a:2:2 already")
    gone = third.model_copy(update={"later": third.later.model_copy(update={"image_id": "gone"})})
    swapped = third.model_copy(update={"id": "r00000001", "later": third.earlier, "earlier": third.later})
    _, outcomes = apply_links(pd.concat([cells, movie("b")], ignore_index=True), [gone, swapped])
    assert outcomes["status"].tolist() == ["conflict", "conflict"]
    assert outcomes["n_missing"].tolist() == [1, 0]
    assert "is not in an earlier frame" in outcomes["outcome"].iloc[1]


def test_images_that_are_not_concerned_stay_as_they_are():
    both = pd.concat([movie("b"), movie()], ignore_index=True)
    after, _ = apply_links(both, [cut_link(both, ("a", 3, 3))])
    pd.testing.assert_frame_equal(after[after["image_id"] == "b"], both[both["image_id"] == "b"])


def test_still_images_have_no_links():
    cells = movie().drop(columns=LINKED)
    cut = cut_link(movie(), ("a", 3, 3))
    after, outcomes = apply_links(cells, [cut])
    pd.testing.assert_frame_equal(after, cells)
    assert outcomes["status"].item() == "conflict"
    still = movie().assign(**{name: pd.array([pd.NA] * 14, dtype="Int64") for name in LINKED[:3]})
    assert apply_links(still, [cut])[1]["status"].item() == "nothing"
    assert (cells_before(still) < 0).all()


def test_calls_do_not_depend_on_links():
    cells = movie().assign(clone=1, clone_probability=0.9, unassigned_reason=None)
    cut = cut_link(cells, ("a", 3, 3))
    undo = Undo(of=cut.id)
    after, outcomes = apply_review(cells, [cut, undo])
    assert outcomes[["id", "status"]].to_numpy().tolist() == [[undo.id, "applied"]]
    assert after["corrected_by"].isna().all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda cells: cut_link(cells, ("a", 0, 1)), "a:0:1 follows no cell: there is no link to cut"),
        (lambda cells: cut_link(cells, ("a", 9, 1)), "no cell a:9:1"),
        (lambda cells: cut_link(cells.drop(columns="track"), ("a", 3, 3)), "there are no tracks"),
        (lambda cells: join_cells(cells, ("a", 0, 1), ("b", 1, 1)), "cells of two images, a and b"),
        (
            lambda cells: join_cells(cells, ("a", 3, 3), ("a", 2, 4)),
            "a:3:3 is not in an earlier frame than a:2:4",
        ),
        (
            lambda cells: join_cells(cells, ("a", 2, 3), ("a", 2, 4)),
            "a:2:3 is not in an earlier frame than a:2:4",
        ),
        (lambda cells: join_cells(cells, ("a", 1, 3), ("a", 2, 3)), "a:2:3 follows a:1:3 already"),
        (
            lambda cells: join_cells(cells, ("a", 1, 3), ("a", 2, 1)),
            "a:2:1 follows a:1:1 already, and no cell has two before it: cut a link first",
        ),
        (
            lambda cells: join_cells(cells, ("a", 1, 1), ("a", 2, 4)),
            "a:1:1 divides into a:2:1 and a:2:2 already, and no cell has three daughters: cut a link first",
        ),
    ],
)
def test_mistakes_are_told(make, said):
    with pytest.raises(DataError, match=said):
        make(movie())
