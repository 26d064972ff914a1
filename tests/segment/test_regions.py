import numpy as np
import pytest

from rgbtrack.segment import regions
from rgbtrack.segment.regions import ellipsoid, find_seams, highest, image_sums, region_sums, renumber


@pytest.fixture(params=[(1, 30, 40), (6, 14, 17)], ids=["plane", "volume"])
def scene(request):
    """Blocky labels and random images."""
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 5, [-(-n // 3) for n in request.param])
    labels = coarse.repeat(3, 0).repeat(3, 1).repeat(3, 2)[tuple(slice(n) for n in request.param)]
    images = rng.normal(size=(5, *request.param)).astype(np.float32)
    return np.ascontiguousarray(labels, np.int32), images


def test_sums_are_those_of_the_pixels(scene):
    labels, images = scene
    sums = region_sums(labels, 4, images[0], images[1:3], images[3:5])
    for k in range(1, 5):
        z, y, x = (axis.astype(float) for axis in np.nonzero(labels == k))
        places = [len(z), *map(np.sum, (z, y, x, z * z, y * y, x * x, z * y, z * x, y * x))]
        light = images[:, labels == k].astype(float).sum(1)
        np.testing.assert_allclose(sums[k], [*places, *light], rtol=1e-9, atol=1e-6)
        assert image_sums(labels, 4, images[1:2])[k, 0] == pytest.approx(light[1], rel=1e-9)
        assert highest(labels, 4, images[0])[k] == pytest.approx(images[0][labels == k].max())


def test_seams_are_the_pairs_of_neighbours(scene):
    labels, images = scene
    gradient, strength, distance = np.abs(images[:3])
    expected = {}
    for axis in range(3):
        one = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        other = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        a, b = labels[one], labels[other]
        for place in zip(*np.nonzero((a != b) & (a > 0) & (b > 0)), strict=True):
            pair = tuple(sorted((int(a[place]), int(b[place]))))
            values = (max(gradient[one][place], gradient[other][place]),)
            values += (min(strength[one][place], strength[other][place]),)
            values += (min(distance[one][place], distance[other][place]),)
            expected.setdefault(pair, []).append(values)
    seams = find_seams(labels, 4, gradient, strength, distance)
    found = list(zip(seams.first.tolist(), seams.second.tolist(), strict=True))
    assert sorted(expected) == found
    for k, pair in enumerate(found):
        values = np.array(expected[pair])
        np.testing.assert_allclose(seams.sums[k], [len(values), *values[:, :2].sum(0)], rtol=1e-5)
        assert seams.pass_height[k] == pytest.approx(values[:, 2].max())


@pytest.mark.parametrize("spacing", [1.0, 2.5])
def test_an_ellipsoid_fills_itself_at_any_spacing(spacing):
    z, y, x = np.mgrid[-12 : 12 : 1 / 1, -14:15, -14:15]
    inside = (z * spacing / 9) ** 2 + (y / 12) ** 2 + (x / 6) ** 2 < 1
    image = inside.astype(np.float32)
    sums = region_sums(inside.astype(np.int32), 1, image, image[None], image[None])
    fill, long, short = ellipsoid(sums, True, spacing)
    assert fill[1] == pytest.approx(1, abs=0.05)
    assert long[1] == pytest.approx(12, rel=0.06)
    assert short[1] == pytest.approx(6, rel=0.08)


def test_a_plane_of_a_disc():
    y, x = np.mgrid[-15:16, -15:16]
    disc = (y**2 + x**2 < 100)[None]
    image = disc.astype(np.float32)
    sums = region_sums(disc.astype(np.int32), 1, image, image[None], image[None])
    fill, long, short = ellipsoid(sums, False, 1.0)
    assert fill[1] == pytest.approx(1, abs=0.03)
    assert long[1] == pytest.approx(short[1], rel=0.01)


def test_a_label_without_pixels_has_no_sums():
    image = np.ones((1, 2, 2), np.float32)
    sums = region_sums(np.zeros((1, 2, 2), np.int32), 2, image, image[None], image[None])
    assert not sums.any()
    assert np.isfinite(ellipsoid(sums, False, 1.0)).all()
    assert not regions.outline_mean(np.zeros((1, 2, 2), np.int32), 2, image).any()


def test_renumber_counts_from_one():
    labels, n = renumber(np.array([[[0, 1, 2, 3, 3]]], np.int32), np.array([True, False, True, True]))
    assert n == 2
    assert labels.tolist() == [[[0, 0, 1, 2, 2]]]
