"""Illumination: estimated from images, from files, divided out and drawn."""

import numpy as np
import pytest

from rgbtrack.correct import (
    NoiseModel,
    correct_stack,
    estimate_illumination,
    estimate_noise,
    even_out,
    flat_from_files,
)
from rgbtrack.correct.background import shrink_plane
from rgbtrack.correct.illumination import LEAST_IMAGES
from rgbtrack.correct.light import DEGREES, field, polynomials
from rgbtrack.errors import DataError
from rgbtrack.plot import plot_illumination
from rgbtrack.simulate import PRESETS, SimulateParams, simulate_scene
from rgbtrack.simulate.optics import illumination_of

WINDOW_PX = 123.0
EVEN = ((0.0, 0.0, 0.0),) * 3
LAMPS = ((0.2, 0.0, 0.0), (0.25, 0.2, -0.2), (0.3, 0.0, 0.2))


def images_of(preset: str, lamps: tuple, seed: int, n: int = 6, **changes) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, c, y, x) and true light (c, y, x), mean 1."""
    params = PRESETS[preset].model_copy(update={"lamps": lamps, **changes})
    images = np.stack([simulate_scene(params, seed=100 * seed + i).stack.pixels[0, :, 0] for i in range(n)])
    light = illumination_of(params)[:, 0]
    return images, light / light.mean(axis=(1, 2), keepdims=True)


def estimate(images: np.ndarray, **settings):
    return estimate_illumination(images, estimate_noise(images), window_px=WINDOW_PX, **settings)


def rms(light: np.ndarray) -> float:
    return float(np.sqrt((light**2).mean()))


@pytest.fixture(scope="module")
def confocal():
    return images_of("confocal", LAMPS, seed=71)


@pytest.fixture(scope="module")
def found(confocal):
    return [estimate(confocal[0][:, c]) for c in range(3)]


def test_polynomials_are_orthonormal_and_the_field_is_their_sum():
    phi = polynomials((80, 64)).reshape(len(DEGREES), -1)
    np.testing.assert_allclose(phi @ phi.T / phi.shape[1], np.eye(len(DEGREES)), atol=0.02)
    beta = np.linspace(-0.05, 0.05, len(DEGREES))
    np.testing.assert_allclose(field(beta, (80, 64)).ravel(), 1 + beta @ phi, rtol=1e-5)


def test_light_is_found_where_there_is_background(confocal, found):
    for one, light in zip(found, confocal[1], strict=True):
        assert one.evident
        assert one.flat.dtype == np.float32
        assert one.flat.mean() == pytest.approx(1, abs=1e-5)
        assert rms(one.flat - light) < 0.65 * rms(1 - light)  # images have gradients of their own
        assert rms(one.flat - light) < 2 * one.se
        assert "less light in the corners" in one.reason
        assert one.range == (one.flat.min(), one.flat.max())


def test_corrected_images_are_as_even_light_gives_them(confocal, found):
    images, light = confocal
    even = even_out(images[0], np.stack([one.flat for one in found]), 40.0)
    truth = even_out(images[0], light, 40.0)
    for c in range(3):
        lit = truth[c] > 20
        before, after = (rms(one[c][lit] / truth[c][lit] - 1) for one in (images[0] - 40.0, even))
        assert after < 0.65 * before


@pytest.mark.parametrize("preset", ["sparse", "confluent"])
def test_light_and_its_errors_through_haze(preset):
    images, light = images_of(preset, LAMPS, seed=72)
    found = [estimate(images[:, c]) for c in range(3)]
    off = [
        (one.pooled.corners - _corners(true)) / one.pooled.corners_se
        for one, true in zip(found, light, strict=True)
    ]
    assert np.abs(off).max() < 3
    assert found[2].evident
    for one, true in zip(found, light, strict=True):
        assert rms(one.flat - true) <= rms(1 - true)


def _corners(light: np.ndarray) -> float:
    middle = len(light) // 2
    return float(light[[0, 0, -1, -1], [0, -1, 0, -1]].mean() - light[middle, middle])


@pytest.mark.parametrize("preset", ["sparse", "dim_crowded", "confocal"])
@pytest.mark.parametrize("seed", [73, 74])
def test_even_light_is_left_alone(preset, seed):
    images, _ = images_of(preset, EVEN, seed=seed, n=5, size_px=384)
    for c in range(3):
        one = estimate(images[:, c])
        assert not one.evident
        assert np.all(one.flat == 1)
        assert one.reason


def test_few_images_tell_nothing(confocal):
    one = estimate(confocal[0][: LEAST_IMAGES - 1, 0])
    assert not one.evident
    assert np.all(one.flat == 1)
    assert "2 fields of view: it takes 3" in one.reason


def test_frames_of_one_field_count_once(confocal):
    images = confocal[0][:, 0]
    frames = np.repeat(images[:2], 3, axis=0)
    assert not estimate(frames, group=[0, 0, 0, 1, 1, 1]).evident
    twice = estimate(np.repeat(images, 2, axis=0), group=np.repeat(np.arange(6), 2))
    once = estimate(images)
    np.testing.assert_allclose(twice.pooled.beta, once.pooled.beta, atol=1e-3)
    assert twice.se == pytest.approx(once.se, rel=0.02)


def test_a_dark_level_that_is_given_is_used(confocal):
    images = confocal[0][:, 2]
    one, guessed = estimate(images, dark=40.0), estimate(images)
    assert (one.dark, one.dark_se) == (40.0, 0.0)
    assert abs(guessed.dark - 40) < 3 * guessed.dark_se
    assert one.se < guessed.se
    assert one.pooled.corners == pytest.approx(guessed.pooled.corners, abs=0.05)


def test_shrunken_copies_tell_the_same(confocal):
    images, whole = confocal[0][:, 2], estimate(confocal[0][:, 2])
    noise = estimate_noise(images)
    small = np.stack([shrink_plane(image, 2) for image in images])
    scaled = NoiseModel(noise.gain / 4, noise.intercept / 4, noise.floor / 4)
    half = estimate_illumination(small, scaled, window_px=WINDOW_PX / 2, dark=whole.dark)
    np.testing.assert_allclose(half.pooled.beta, whole.pooled.beta, atol=0.015)


def test_gain_and_order_of_images_do_not_matter(confocal):
    images = confocal[0][:, 1].astype(np.float32)
    noise = estimate_noise(images)
    one = estimate_illumination(images, noise, window_px=WINDOW_PX, dark=40.0)
    other = estimate_illumination(images[::-1], noise, window_px=WINDOW_PX, dark=40.0)
    np.testing.assert_allclose(other.flat, one.flat, atol=1e-4)
    louder = NoiseModel(4 * noise.gain, 16 * noise.intercept, 16 * noise.floor)
    loud = estimate_illumination(4 * images, louder, window_px=WINDOW_PX, dark=160.0)
    np.testing.assert_allclose(loud.flat, one.flat, atol=2e-3)


def test_tissue_in_the_middle_is_no_illumination():
    rng = np.random.default_rng(5)
    y, x = np.mgrid[-1:1:384j, -1:1:384j]
    images = []
    for _ in range(6):
        light = np.zeros(y.shape)
        for _ in range(70):
            at = rng.uniform(-0.45, 0.45, 2)
            light[(y - at[0]) ** 2 + (x - at[1]) ** 2 < 0.035**2] = 400 * rng.lognormal(0, 0.8)
        haze = np.abs(np.fft.ifft2(np.fft.fft2(light) * _gaussian(light.shape, 18)))
        images.append(100 + 2 * rng.poisson(8 + light + 0.08 * haze))
    one = estimate(np.stack(images))
    assert not one.evident
    assert abs(one.pooled.corners) < 3 * one.pooled.corners_se


def _gaussian(shape: tuple[int, ...], sigma: float) -> np.ndarray:
    fy, fx = np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), indexing="ij")
    return np.exp(-2 * np.pi**2 * sigma**2 * (fy**2 + fx**2))


def test_background_and_cells_that_disagree_are_not_believed():
    params = PRESETS["confocal"].model_copy(
        update={"vignetting": 0, "unmarked": 0, "brightness_sd": 0.1, "founders": ((1, 1, 1),), "n_clones": 1}
    )
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    light = 1 - 0.5 * (y**2 + x**2) / 2
    images = []
    for i in range(6):
        scene = simulate_scene(params, seed=90 + i)
        image = scene.stack.pixels[0, 0, 0].astype(float)
        # cells are shaded, the background is not
        images.append(np.where(scene.labels[0, 0] > 0, 90 + (image - 90) * light, image))
    one = estimate(np.stack(images), dark=40.0)
    assert one.cells.corners < -0.3
    assert abs(one.background.corners) < 0.15
    assert not one.evident
    assert "background and cells disagree" in one.reason
    assert np.all(one.flat == 1)


def test_images_without_light_tell_nothing():
    images = np.random.default_rng(1).normal(100, 2, (5, 128, 128)).round()
    one = estimate(images, dark=100.0)
    assert not one.evident
    assert np.all(one.flat == 1)


@pytest.mark.parametrize(
    ("images", "settings", "match"),
    [
        (np.ones((8, 8)), {}, r"images have shape \(8, 8\): give \(n, y, x\)"),
        (np.full((4, 16, 16), np.nan), {}, "images hold pixels that are NaN or infinite"),
        (np.ones((4, 16, 16)), {"group": [0, 1]}, r"group has shape \(2,\) for 4 images"),
    ],
)
def test_images_that_cannot_be_used(images, settings, match):
    with pytest.raises(DataError, match=match):
        estimate_illumination(images, NoiseModel(1.0, 0.0, 1.0), window_px=WINDOW_PX, **settings)


def test_a_flat_field_file_gives_the_light():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    light = 1 - 0.3 * (y**2 + x**2) / 2
    dark = 100 + 5 * (x > 0)
    flat = flat_from_files(rng.poisson(5000 * light) + dark, dark)
    assert flat.mean() == pytest.approx(1, abs=1e-6)
    noise_alone = rms(rng.poisson(5000 * light) / (5000 * light) - 1)
    assert rms(flat - light / light.mean()) < 0.5 * noise_alone
    # a clean one is kept as it is
    np.testing.assert_allclose(flat_from_files(light), light / light.mean(), rtol=1e-5)
    both = flat_from_files(np.stack([light, light**2]), np.zeros((200, 200)))
    np.testing.assert_allclose(both[1], light**2 / (light**2).mean(), rtol=1e-5)


def test_the_flat_field_is_what_correction_divides_by():
    params = SimulateParams(n_cells=0, debris=0, vignetting=0.3, gradient=0, background=50, size_px=128)
    stack = simulate_scene(params, seed=3).stack
    flat = flat_from_files(illumination_of(params))
    corrected = correct_stack(stack, flat_field=flat)
    np.testing.assert_allclose(corrected.variance[0, 0, 0] * flat**2, _raw_variance(stack), rtol=1e-4)
    level = even_out(stack.pixels[0, :, 0], flat, 100.0).mean(axis=(1, 2))
    np.testing.assert_allclose(
        level, 2 * 50 * np.array([1, 2, 3]) * illumination_of(params).mean(), rtol=0.02
    )


def _raw_variance(stack) -> np.ndarray:
    raw = stack.pixels[0, 0]
    return estimate_noise(raw).variance(raw.astype(np.float32))[0]


FULL = np.full((16, 16), 4000, np.uint16)
FULL[:4] = 4095


@pytest.mark.parametrize(
    ("flat", "dark", "match"),
    [
        (np.ones(4), None, r"flat field has shape \(4,\): give one plane"),
        (np.zeros((4, 4)), None, "flat field holds values from 0 to 0: illumination must be positive"),
        (np.full((4, 4), 90.0), np.full((4, 4), 100.0), "less the dark field holds values from -10 to -10"),
        (np.full((4, 4), np.nan), None, "NaN or infinite: export it without them"),
        (np.ones((4, 4)), np.ones((3, 3)), r"dark field has shape \(3, 3\), the flat field \(4, 4\)"),
        (FULL, None, "flat field is saturated: 25.0% of its pixels hold 4095"),
    ],
)
def test_flat_fields_that_cannot_be(flat, dark, match):
    with pytest.raises(DataError, match=match):
        flat_from_files(flat, dark)


@pytest.mark.parametrize(
    ("flat", "match"),
    [
        (np.ones((3, 4)), r"flat field has shape \(3, 4\), the image \(2, 4, 4\)"),
        (np.zeros((4, 4)), "values from 0 to 0: illumination must be positive"),
    ],
)
def test_fields_that_do_not_fit_an_image(flat, match):
    with pytest.raises(DataError, match=match):
        even_out(np.ones((2, 4, 4)), flat)


def test_lamps_shade_each_marker_and_defaults_stay():
    params = PRESETS["sparse"].model_copy(update={"lamps": ((0.2, 0.0, 0.0),) * 3})
    lit = simulate_scene(params, seed=4).stack.pixels
    np.testing.assert_array_equal(lit, simulate_scene("sparse", seed=4).stack.pixels)
    off = illumination_of(params.model_copy(update={"lamps": LAMPS}))
    assert off.shape == (3, 1, 512, 512)
    assert np.argmax(off[1, 0].mean(axis=1)) > 256 > np.argmax(off[1, 0].mean(axis=0))
    with pytest.raises(ValueError, match="give 3, none of which leaves a corner dark"):
        SimulateParams(lamps=((0.9, 0.5, 0.5),) * 3)


def test_the_figure_shows_what_was_found(found, confocal):
    few = estimate(confocal[0][:2, 0])
    figure = plot_illumination({"red": found[0], "green": found[1], "blue": few})
    titles = [axes.get_title(loc="left") for axes in figure.axes[:3]]
    assert titles[0].startswith("red\nevened out, ")
    assert titles[2] == "blue\nleft as it is"
    lines = [[line.get_label() for line in axes.get_lines()] for axes in figure.axes[3:]]
    assert "after correction" in lines[0]
    assert "after correction" not in lines[2]
    drawn = dict(zip(lines[0], figure.axes[3].get_lines(), strict=True))["estimate (before)"].get_ydata()
    assert drawn[0] - drawn[-1] == pytest.approx(-found[0].pooled.corners, abs=0.01)
    assert plot_illumination({}).axes
