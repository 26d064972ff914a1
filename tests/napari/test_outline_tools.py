"""Outlines fused and cut with the mouse, without a window."""

import numpy as np
import pytest

from rgbtrack import DataError

outlines = pytest.importorskip("napari_rgbtrack.outlines")


@pytest.fixture
def labels():
    """Two bars with a gap of 4 px, a third one far off; (z, y, x)."""
    made = np.zeros((1, 40, 80), np.uint16)
    made[0, 10:30, 5:20] = 1
    made[0, 10:30, 24:44] = 2
    made[0, 10:30, 70:78] = 3
    return made


def test_fused_cells_are_one_piece_under_the_number_of_the_largest(labels):
    after = outlines.fuse_cells(labels, [1, 2])
    assert set(np.unique(after)) == {0, 2, 3}
    assert (after[0, 12:28, 5:44] == 2).all()
    assert (labels == 1).any()  # a copy


def test_cells_that_do_not_touch_are_not_fused(labels):
    with pytest.raises(DataError, match="they lie more than 6 pixels apart"):
        outlines.fuse_cells(labels, [2, 3])


def test_a_gap_with_another_cell_in_it_is_not_filled(labels):
    labels[0, 10:30, 20:24] = 4
    with pytest.raises(DataError, match="do not touch"):
        outlines.fuse_cells(labels, [1, 2])


def test_a_line_across_a_cell_cuts_it(labels):
    after = outlines.cut_cells(labels, np.array([[5.0, 30.0], [35.0, 30.0]]))
    assert set(np.unique(after)) == {0, 1, 2, 3, 4}
    assert ((after > 0) == (labels > 0)).all()  # no pixel is lost
    assert (after == 2).sum() > (after == 4).sum()  # the larger part keeps the number


def test_a_line_across_two_cells_cuts_both(labels):
    after = outlines.cut_cells(labels, np.array([[20.0, 1.0], [20.0, 60.0]]))
    assert set(np.unique(after)) == {0, 1, 2, 3, 4, 5}


def test_a_volume_is_cut_through_all_planes(labels):
    volume = np.repeat(labels, 3, axis=0)
    after = outlines.cut_cells(volume, np.array([[5.0, 30.0], [35.0, 30.0]]), z=1)
    assert (after == 4).any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    "path",
    [[[5.0, 30.0], [20.0, 30.0]], [[2.0, 2.0], [2.0, 60.0]]],
    ids=["ends within", "beside"],
)
def test_a_line_that_cuts_nothing_is_told(labels, path):
    with pytest.raises(DataError, match="crosses no cell from side to side"):
        outlines.cut_cells(labels, np.array(path))


def test_pieces_painted_apart_are_cells_of_their_own(labels):
    painted = labels.copy()
    painted[0, 10:30, 20:22] = 1  # grows
    painted[0, 2:5, 60:66] = 1  # is apart
    outlines.part_new(painted, labels, 1)
    assert (painted[0, 10:30, 5:22] == 1).all()
    assert (painted[0, 2:5, 60:66] == 4).all()
    new = labels.copy()
    new[0, 0:4, 0:4] = new[0, 34:38, 0:4] = 5
    outlines.part_new(new, labels, 5)
    assert sorted(np.unique(new[0, :, 0:4]).tolist()) == [0, 5, 6]
