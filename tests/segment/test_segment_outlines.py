import numpy as np
import pytest
from scipy import ndimage as ndi

from rgbtrack.segment.outlines import make_whole, trim
from rgbtrack.segment.regions import image_sums


def plane(*rows):
    return np.array([[[int(v) for v in row] for row in rows]], np.int32)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            plane("11000", "11010", "00000"), plane("11000", "11000", "00000"), id="smaller piece goes"
        ),
        pytest.param(
            plane("00000", "01110", "01010", "01110", "00000"),
            plane("00000", "01110", "01110", "01110", "00000"),
            id="hole is filled",
        ),
        pytest.param(plane("111", "101", "101"), plane("111", "101", "101"), id="bay at the border stays"),
        pytest.param(
            plane("0000", "1122", "1002", "1122"),
            plane("0000", "1122", "1002", "1122"),
            id="gap of two cells",
        ),
        pytest.param(
            plane("00000", "01110", "01211", "01110", "00000"),
            plane("00000", "01110", "01211", "01110", "00000"),
            id="cell within a cell stays",
        ),
    ],
)
def test_make_whole(before, after):
    np.testing.assert_array_equal(make_whole(before, int(before.max())), after)


@pytest.mark.parametrize("shape", [(1, 60, 70), (8, 30, 32)], ids=["plane", "volume"])
def test_holes_are_those_that_scipy_fills(shape):
    blobs = ndi.gaussian_filter(np.random.default_rng(1).normal(size=shape), [n > 1 for n in shape]) < 0.25
    pieces = ndi.label(blobs)[0]
    mask = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    # the faces of a volume do not open a hole: it may go on beyond them
    closed = np.pad(mask, ((int(shape[0] > 1),) * 2, (0, 0), (0, 0)), mode="constant", constant_values=True)
    background = ndi.label(~closed)[0]
    sides = (background[:, 0], background[:, -1], background[:, :, 0], background[:, :, -1])
    outside = np.unique(np.concatenate([side.ravel() for side in sides]))
    filled = closed | ~np.isin(background, outside)
    expected = filled[1:-1] if shape[0] > 1 else filled
    found = make_whole(mask.astype(np.int32), 1)
    assert (expected & ~mask).any()
    np.testing.assert_array_equal(found > 0, expected)


def test_a_cavity_of_a_volume_is_filled():
    ball = np.zeros((7, 9, 9), np.int32)
    ball[1:6, 1:8, 1:8] = 1
    ball[3, 4, 4] = 0
    assert make_whole(ball, 1)[3, 4, 4] == 1


def test_a_dim_cell_beside_a_bright_one_keeps_its_own_level():
    labels = np.zeros((1, 20, 40), np.int32)
    labels[0, 2:18, 2:19], labels[0, 2:18, 20:38] = 1, 2
    light = np.zeros((1, 1, 20, 40), np.float32)
    light[0, 0, 5:15, 5:19], light[0, 0, 5:15, 20:35] = 10, 1000
    trimmed = trim(labels, image_sums(labels, 2, light), light, 0.4)
    np.testing.assert_array_equal(np.bincount(trimmed.ravel()), [800 - 140 - 150, 140, 150])
    np.testing.assert_array_equal(labels[0, 2:18, 2:19], 1)  # the given labels are left as they were
