import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rgbtrack import (
    CorrectParams,
    DataError,
    RgbtrackWarning,
    SegmentParams,
    Stack,
    correct_stack,
    find_cells,
    simulate_scene,
)
from rgbtrack.correct import estimate_background, estimate_noise
from rgbtrack.grids import shrink_rows, spread_rows
from rgbtrack.stack import DetectorSettings


def camera(photons, gain=2.0, offset=100.0, read=1.5, seed=0):
    """Counts of a camera, shape as photons."""
    rng = np.random.default_rng(seed)
    return (offset + gain * (rng.poisson(photons) + rng.normal(0, read, photons.shape))).round().clip(0)


def blobs(shape=(320, 320), n=40, peak=150, background=5.0, seed=0):
    """Photons of smooth discs on an even background."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    photons = np.full(shape, float(background))
    for cy, cx in rng.uniform(0, min(shape), (n, 2)):
        photons += rng.uniform(0.2, 1) * peak * np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / 81.0) ** 3))
    return photons


def stack_of(counts, **keys):
    return Stack(
        np.asarray(counts)[None, :, None], tuple("abcdefg"[: len(counts)]), pixel_size_um=0.65, **keys
    )


@pytest.mark.parametrize(("gain", "read"), [(2.0, 1.5), (0.5, 3.0), (10.0, 1.0)])
def test_noise_model_is_found_from_the_image(gain, read):
    photons = blobs()
    found = estimate_noise(camera(photons, gain, read=read).astype(np.float32)[None])
    for level in (5, 50, 150):
        truth = gain**2 * (level + read**2)
        assert found.variance(np.float32(100 + gain * level)) == pytest.approx(truth, rel=0.3)


@given(slope=st.floats(-0.3, 0.3))
@settings(max_examples=8, deadline=None)
def test_background_with_a_gradient_is_found(slope):
    tilt = 1 + slope * np.linspace(-0.5, 0.5, 320)
    background = np.broadcast_to(5.0 * tilt, (320, 320))
    counts = camera(blobs(background=0) + background).astype(np.float32)
    found = estimate_background(counts, estimate_noise(counts[None]), window_px=120)
    assert np.abs(found - (100 + 2 * background)).mean() < 0.6  # counts; noise of a pixel is 5.4


def test_corrected_pixels_are_free_of_background_and_know_their_noise():
    photons = blobs()
    corrected = correct_stack(stack_of([camera(photons), camera(photons, seed=1)]))
    empty = photons < 5.01
    assert abs(corrected.pixels[0, 0, 0][empty].mean()) < 0.5
    z = corrected.pixels[0, 0, 0] - 2 * (photons - 5)
    assert 0.85 < (z / np.sqrt(corrected.variance[0, 0, 0])).std() < 1.15


def test_settings_override_the_estimate():
    params = CorrectParams(gain=2, offset=100, read_noise=1.5)
    corrected = correct_stack(stack_of([camera(blobs())]), params)
    assert corrected.gain[0] == 2
    np.testing.assert_allclose(
        corrected.variance[0, 0, 0], np.maximum(4 * 2.25 + 2 * (camera(blobs()) - 100), 9), rtol=1e-5
    )


def test_offset_alone_without_background():
    corrected = correct_stack(stack_of([camera(blobs())]), CorrectParams(background=False, offset=100))
    np.testing.assert_allclose(corrected.pixels[0, 0, 0], camera(blobs()) - 100)


def test_flat_field_evens_out_illumination():
    photons = blobs(background=0)
    flat = np.broadcast_to(np.linspace(0.7, 1.3, 320), (320, 320))
    corrected = correct_stack(stack_of([camera(photons * flat + 5)]), flat_field=flat)
    bright = photons > 40
    left, right = bright & (np.arange(320) < 100), bright & (np.arange(320) > 220)
    ratio = [(corrected.pixels[0, 0, 0][m] / (2 * photons[m])).mean() for m in (left, right)]
    assert ratio[0] == pytest.approx(ratio[1], rel=0.03)


def test_the_pattern_of_a_dark_field_is_taken_off():
    photons = blobs()
    pattern = 40 * (np.arange(320) % 7 == 0) * np.ones((320, 1))
    without = correct_stack(stack_of([camera(photons)]))
    with_pattern = correct_stack(stack_of([camera(photons) + pattern]), dark_field=pattern + 100)
    np.testing.assert_allclose(with_pattern.pixels, without.pixels, atol=3)


def test_what_faded_is_restored_with_its_noise():
    light = blobs(peak=2000, background=0)
    fade = np.array([1.0, 0.6, 0.3]).reshape(1, 1, 3)
    counts = np.stack([camera(light * f + 5, seed=i) for i, f in enumerate(fade[0, 0])])[None, None]
    stack = Stack(counts, ("a",), pixel_size_um=0.65)
    corrected = correct_stack(stack, CorrectParams(gain=2, offset=100, read_noise=1.5), fade=fade)
    bright = light > 300
    for plane, variance in zip(corrected.pixels[0, 0], corrected.variance[0, 0], strict=True):
        rest = plane - 2 * light
        assert abs(rest[bright].mean()) < 0.03 * 2 * light[bright].mean()
        assert (rest / np.sqrt(variance))[bright].std() == pytest.approx(1, abs=0.1)
    noise = corrected.noise
    np.testing.assert_allclose(noise.frame(0).select([0]).variance(), corrected.variance)
    np.testing.assert_allclose(noise.sample(0, 2, 1), corrected.variance[0, 0, 2])


def test_cells_are_found_alike_whether_fading_is_undone_or_not():
    scene = simulate_scene("depth_gradient", seed=3)
    stack = scene.stack.select({"red": 0, "green": 1, "blue": 2})
    z = np.arange(stack.pixels.shape[2]) * stack.z_step_um
    fade = np.exp(-z / np.array([[20.0], [30.0], [40.0]]))[None][:, ::-1]
    params = SegmentParams(diameter_um=14)
    n = [len(find_cells(correct_stack(stack, fade=f), params).cells) for f in (None, fade)]
    assert n[1] == pytest.approx(n[0], rel=0.1)


def test_saturation_is_seen():
    counts = np.minimum(camera(blobs(peak=3000)), 4095).astype(np.uint16)
    corrected = correct_stack(stack_of([counts]))
    np.testing.assert_array_equal(corrected.saturated[0, 0, 0], counts == 4095)


@pytest.mark.parametrize("shape", [(4, 4), (1, 2), (1, 50), (3, 7)])
def test_tiny_images_pass(shape):
    corrected = correct_stack(stack_of([np.random.default_rng(0).integers(0, 99, shape, np.uint16)]))
    assert np.isfinite(corrected.pixels).all()
    assert (corrected.variance > 0).all()


@pytest.mark.parametrize("value", [0, 65535])
def test_constant_image_warns(value):
    with pytest.warns(RgbtrackWarning, match=f"every pixel of channel 'a' is {value}"):
        corrected = correct_stack(stack_of([np.full((32, 32), value, np.uint16)]))
    assert np.abs(corrected.pixels).max() < 0.01


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: correct_stack(stack_of([np.full((8, 8), np.nan)])), "64 of 64 pixels are NaN"),
        (lambda: correct_stack(stack_of([np.zeros((0, 8))])), "no pixels"),
        (
            lambda: correct_stack(stack_of([camera(blobs())]), flat_field=np.ones((3, 3))),
            r"flat field has shape \(3, 3\)",
        ),
        (
            lambda: correct_stack(stack_of([camera(blobs())]), flat_field=np.zeros((320, 320))),
            "must be positive",
        ),
        (
            lambda: correct_stack(stack_of([camera(blobs())]), dark_field=np.ones((3, 3))),
            r"dark field has shape \(3, 3\)",
        ),
        (
            lambda: correct_stack(stack_of([camera(blobs())]), dark_field=np.full((320, 320), np.nan)),
            "dark field holds pixels that are NaN",
        ),
        (lambda: correct_stack(stack_of([camera(blobs())]), fade=np.ones((1, 2, 1))), "fade has shape"),
        (lambda: correct_stack(stack_of([camera(blobs())]), fade=np.zeros((1, 1, 1))), "positive share"),
        (
            lambda: correct_stack(stack_of([camera(blobs())]), shift_px=np.zeros((2, 3))),
            r"shift_px has shape \(2, 3\)",
        ),
    ],
)
def test_bad_input(build, match):
    with pytest.raises(DataError, match=match):
        build()


def test_correction_does_not_depend_on_the_number_of_threads():
    counts = np.stack([camera(blobs(seed=i), seed=i) for i in range(3)]).astype(np.uint16)
    numba.set_num_threads(1)
    one = correct_stack(stack_of(counts))
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    many = correct_stack(stack_of(counts))
    np.testing.assert_array_equal(one.pixels, many.pixels)
    np.testing.assert_array_equal(one.variance, many.variance)


def test_correction_is_raw_less_background_over_the_flat_field():
    counts = camera(blobs()).astype(np.uint16)
    flat = np.broadcast_to(np.linspace(0.7, 1.3, 320), (320, 320)).astype(np.float32)
    background = estimate_background(counts, estimate_noise(counts[None]), window_px=80 / 0.65)
    corrected = correct_stack(stack_of([counts]), flat_field=flat)
    np.testing.assert_allclose(
        corrected.pixels[0, 0, 0], (counts - background) / (flat / flat.mean()), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (24, 33)])
def test_a_slope_survives_the_way_to_blocks_and_back(factor, shape):
    image = np.add.outer(2.0 * np.arange(shape[0]), 3.0 * np.arange(shape[1])).astype(np.float32)
    small = np.empty([-(-n // factor) for n in shape], np.float32)
    shrink_rows(image, factor, 0, len(small), small)
    assert small[0, 0] == pytest.approx(image[:factor, :factor].mean())
    assert small[-1, -1] == pytest.approx(
        image[(len(small) - 1) * factor :, (small.shape[1] - 1) * factor :].mean()
    )
    back = np.empty(shape, np.float32)
    spread_rows(small, factor, 0, len(back), 0, back)
    whole = tuple(slice(factor // 2, max(n // factor * factor - factor, 0)) for n in shape)
    np.testing.assert_allclose(back[whole], image[whole], atol=1e-3)


@pytest.mark.parametrize("kind", [">u2", ">f4", "<f8", "i4", "u8", "f2"])
def test_the_type_of_the_pixels_changes_nothing(kind):
    counts = camera(blobs((64, 64), 5))[None].repeat(2, 0)
    expected = correct_stack(stack_of(counts.astype(np.float32))).pixels
    np.testing.assert_allclose(correct_stack(stack_of(counts.astype(kind))).pixels, expected, atol=2)


def test_complex_pixels_are_refused():
    with pytest.raises(DataError, match=r"pixels are complex64: an image of real numbers"):
        correct_stack(stack_of(np.ones((2, 8, 8), np.complex64)))


@pytest.mark.parametrize(
    ("recorded", "believed"),
    [
        pytest.param(DetectorSettings(2.0, 100.0), DetectorSettings(2.0, 100.0), id="true"),
        pytest.param(DetectorSettings(2.4, None), DetectorSettings(2.4, None), id="gain only"),
        pytest.param(DetectorSettings(700.0, 100.0), DetectorSettings(None, 100.0), id="a voltage"),
        pytest.param(DetectorSettings(2.0, 4000.0), DetectorSettings(2.0, None), id="offset above the image"),
        pytest.param(DetectorSettings(), None, id="nothing"),
    ],
)
def test_what_a_file_records_of_its_detector_is_believed_where_the_image_agrees(recorded, believed):
    photons = np.repeat([5.0, 50.0, 400.0], 100)[:, None] * np.ones(300)
    stack = Stack(camera(photons)[None, None, None], ("red",), detectors=(recorded,))
    corrected = correct_stack(stack)
    assert corrected.detectors == (() if believed is None else (believed,))
    if believed is not None and believed.gain is not None:
        assert corrected.gain[0] == believed.gain
    else:
        assert corrected.gain[0] == pytest.approx(2, rel=0.2)
    # settings come first
    assert correct_stack(stack, CorrectParams(gain=3)).gain[0] == 3
