"""Levels of an image that is painted where it is looked at."""

import numpy as np
import pytest

painted = pytest.importorskip("napari_rgbtrack.painted")


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 9, (3, 300, 200)).astype(np.uint32)


def test_colours_follow_the_groups(labels):
    made = painted.Painted(labels)
    whole = made.pyramid()[0]
    assert not np.asarray(whole).any()
    made.groups = np.arange(9, dtype=np.uint16) * 10
    assert np.array_equal(np.asarray(whole), labels * 10)
    assert np.array_equal(whole[1, 5:9, 3:8], labels[1, 5:9, 3:8] * 10)
    made.labels = labels[:, ::-1]
    assert np.array_equal(np.asarray(whole), labels[:, ::-1] * 10)


def test_levels_halve_down_to_a_small_one(labels):
    levels = painted.Painted(labels).pyramid()
    assert [level.shape for level in levels] == [(3, 300, 200), (3, 150, 100), (3, 75, 50), (3, 37, 25)]
    for level in levels:
        assert np.asarray(level).shape == level.shape
        assert np.asarray(level).dtype == level.dtype
        assert level.size == np.prod(level.shape)
