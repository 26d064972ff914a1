import numpy as np
import pytest

from rgbtrack import Stack, correct_stack
from rgbtrack.segment.working import enlarge, thin_out, working_image


@pytest.mark.parametrize("shape", [(1, 30, 41), (3, 17, 20)], ids=["plane", "volume"])
@pytest.mark.parametrize("shrink", [1, 2, 3, 5])
def test_enlarged_labels_are_their_own_thinning(shape, shrink):
    small_shape = (shape[0], *(-(-n // shrink) for n in shape[1:]))
    blocks = np.random.default_rng(0).integers(0, 4, [-(-n // 4) for n in small_shape])
    small = (
        blocks.repeat(4, 0).repeat(4, 1).repeat(4, 2)[tuple(slice(n) for n in small_shape)].astype(np.int32)
    )
    full = enlarge(small, shrink, shape)
    assert full.shape == shape
    back = thin_out(full.astype(np.uint32), shrink, small_shape)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    np.testing.assert_array_equal(back[inner], small[inner])


def test_an_enlarged_corner_is_rounded():
    small = np.zeros((1, 4, 4), np.int32)
    small[0, 1:3, 1:3] = 1
    full = enlarge(small, 8, (1, 32, 32))[0]
    assert full[16, 16] == 1
    assert full[8, 8] == 0
    np.testing.assert_array_equal(full, full[::-1])
    np.testing.assert_array_equal(full, full.T)
    assert full.sum() == pytest.approx(256, rel=0.15)


def test_cells_are_brought_to_one_width(sparse):
    diameter = 14 / 0.65
    working = working_image(sparse.stack, 0, [0, 1, 2], diameter)
    assert working.shrink == 2
    assert working.diameter == pytest.approx(diameter / 2)
    height, width = sparse.stack.pixels.shape[-2:]
    assert working.strength.shape == (1, -(-height // 2), -(-width // 2))


def test_noise_alone_has_the_units_of_noise():
    rng = np.random.default_rng(1)
    counts = 100 + 2 * (rng.poisson(20, (1, 2, 1, 256, 256)) + rng.normal(0, 1.5, (1, 2, 1, 256, 256)))
    stack = correct_stack(Stack(counts.round().astype(np.uint16), ("red", "green")))
    working = working_image(stack, 0, [0, 1], 21.0)
    assert 0.5 < working.units.std() < 1.5
    assert abs(working.units.mean()) < 0.3


def test_units_grow_with_light(sparse):
    working = working_image(sparse.stack, 0, [0], 21.0)
    light, units = working.light[0].ravel(), working.units[0].ravel()
    bright, dim = light > np.quantile(light, 0.99), light < np.quantile(light, 0.5)
    assert units[bright].min() > units[dim].max()
