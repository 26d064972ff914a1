import numba
import numpy as np
import pytest

from rgbtrack.segment.edges import find_edges

STRONG = 50.0


def edges_of(units, spacing=1.0, least=0.1):
    strength = np.full(units.shape[1:], STRONG, np.float32)
    return find_edges(units.astype(np.float32), strength, spacing, least)


def test_even_light_has_no_edge():
    gradient, crest = edges_of(np.full((3, 1, 12, 14), 7.0))
    assert not gradient.any()
    assert not crest.any()


def test_a_change_of_colour_at_even_strength_is_an_edge():
    units = np.zeros((2, 1, 20, 30))
    units[0, ..., :15], units[1, ..., 15:] = 10, 10
    gradient, crest = edges_of(units)
    assert set(np.nonzero(crest)[2]) <= {14, 15}
    assert crest[0, :, 14:16].any(1).all()
    np.testing.assert_allclose(gradient[0, :, 14:16].max(1), np.sqrt(50), rtol=1e-5)
    assert not edges_of(units, least=8)[1].any()


@pytest.mark.parametrize("shape", [(3, 1, 25, 31), (3, 7, 12, 13)], ids=["plane", "volume"])
def test_the_gradient_is_the_root_of_the_largest_eigenvalue(shape):
    rng = np.random.default_rng(3)
    base = rng.normal(size=shape[1:])
    units = np.stack([base, 0.7 * base, 0.2 * base + 1e-3 * rng.normal(size=shape[1:])])
    gradient, _ = edges_of(units, 1.5)
    spacing = (1.5, 1, 1)
    slopes = np.zeros((3, *shape))
    for axis in range(3):
        padded = np.pad(units, [(0, 0)] + [(int(a == axis),) * 2 for a in range(3)], mode="edge")
        ahead = [slice(None)] * 4
        behind = [slice(None)] * 4
        ahead[axis + 1], behind[axis + 1] = slice(2, None), slice(None, -2)
        slopes[axis] = (padded[tuple(ahead)] - padded[tuple(behind)]) / 2 / spacing[axis]
    tensor = np.einsum("aczyx,bczyx->zyxab", slopes, slopes)
    expected = np.sqrt(np.maximum(np.linalg.eigvalsh(tensor)[..., -1], 0))
    np.testing.assert_allclose(gradient, expected, rtol=2e-2, atol=1e-3)


def test_noise_has_no_edge():
    units = np.random.default_rng(4).normal(size=(1, 1, 10, 10)).astype(np.float32)
    gradient, _ = find_edges(units, np.zeros((1, 10, 10), np.float32), 1.0, 0.1)
    assert not gradient.any()


def test_threads_change_nothing():
    units = np.random.default_rng(5).normal(size=(3, 1, 64, 64))
    many = edges_of(units)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        one = edges_of(units)
    finally:
        numba.set_num_threads(threads)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)
