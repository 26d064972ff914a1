"""A z-stack as one plane: values, saturation, laziness, and how often the file is read."""

import dask.array as da
import numpy as np
import pytest

from rgbtrack import CorrectParams, DataError, ParamError, RgbtrackWarning, Stack, correct_stack
from rgbtrack.projection import Projection, detector_limit

METHODS = ("max", "mean")


def volume(dtype=np.uint16, shape=(2, 2, 5, 40, 30), seed=0):
    counts = np.random.default_rng(seed).poisson(60, shape).astype(dtype) + 100
    if dtype is np.uint16:
        counts[1, 0, 2, :3, :4] = 4095  # saturated in one plane, frame and channel only
        counts[1, 0, 4, 3, 4] = 4095
    return counts


def stack_of(counts, **keys):
    return Stack(
        counts, ("red", "green", "blue")[: counts.shape[1]], pixel_size_um=0.65, z_step_um=2.0, **keys
    )


CHUNKS = {
    "whole frames": (1, 2, 5, 40, 30),
    "planes": (1, 1, 1, 40, 30),
    "pieces of planes": (1, 1, 2, 16, 30),
    "one file a channel": (1, 1, 5, 40, 30),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_plane_of_all(method, dtype):
    counts = volume(dtype)
    made = stack_of(counts).project(method)
    assert made.pixels.shape == (2, 2, 1, 40, 30)
    assert made.pixels.dtype == (dtype if method == "max" else np.float32)
    expected = counts.max(2) if method == "max" else counts.mean(2, dtype=float)
    np.testing.assert_allclose(made.pixels[:, :, 0], expected, rtol=1e-6)
    assert (made.z_step_um, made.pixel_size_um) == (None, 0.65)
    assert made.projection == Projection(method, 5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_a_lazy_stack_stays_lazy_and_comes_to_the_same(method, chunks):
    counts = volume()
    lazy = stack_of(da.from_array(counts, chunks=chunks)).project(method)
    known = stack_of(counts).project(method)
    assert hasattr(lazy.pixels, "dask")
    for t in range(2):
        np.testing.assert_array_equal(lazy.frame(t).pixels, known.pixels[t : t + 1])
        np.testing.assert_array_equal(lazy.frame(t).saturated, known.saturated[t : t + 1])
    chosen = lazy.select({"green": "green"}).frame(1)
    np.testing.assert_array_equal(chosen.pixels, known.pixels[1:, 1:])


@pytest.mark.parametrize("method", METHODS)
def test_a_frame_is_read_once_and_alone(method):
    counts, read = volume(), []

    def load(block_info=None):
        (t0, t1), _, (z0, z1) = block_info[None]["array-location"][:3]
        read.append((t0, z0))
        return counts[t0:t1, :, z0:z1]

    pixels = da.map_blocks(
        load,
        chunks=((1, 1), (2,), (1,) * 5, (40,), (30,)),
        dtype=np.uint16,
        meta=np.empty((0,) * 5, np.uint16),
    )
    projected = stack_of(pixels).project(method)
    assert read == []
    projected.frame(1)
    assert read == [(1, z) for z in range(5)]


@pytest.mark.parametrize("method", METHODS)
def test_saturated_in_any_plane_is_saturated(method):
    counts = volume()
    made = stack_of(counts).project(method)
    expected = (counts == 4095).any(2)
    assert expected.sum() == 13
    np.testing.assert_array_equal(made.saturated[:, :, 0], expected)
    corrected = correct_stack(made.frame(1))
    np.testing.assert_array_equal(corrected.saturated[0, :, 0], expected[1])
    np.testing.assert_array_equal(
        corrected.saturated, correct_stack(stack_of(counts[1:])).saturated.any(2, keepdims=True)
    )


@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_number_is_still_refused(method):
    counts = volume(np.float32)
    counts[0, 0, 3, 5, 5] = np.nan
    with pytest.raises(DataError, match="1 of 4800 pixels are NaN"):
        correct_stack(stack_of(counts).project(method))


@pytest.mark.parametrize("method", ["none", *METHODS])
def test_a_plane_stays_as_it_is(method):
    stack = Stack(volume()[:, :, :1], ("red", "green"), pixel_size_um=0.65)
    assert stack.project(method) is stack


def test_none_leaves_a_volume():
    stack = stack_of(volume())
    assert stack.project("none") is stack


def test_projecting_twice_is_projecting_once():
    once = stack_of(volume()).project("max")
    assert once.project("mean") is once


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: stack_of(volume()).project("median"),
            ParamError,
            'projection is \'median\': give "none", "max"',
        ),
        (
            lambda: correct_stack(stack_of(volume())).project("max"),
            DataError,
            "the stack is corrected: call project before correct_stack",
        ),
    ],
)
def test_what_cannot_be_projected_is_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize(
    ("dtype", "top", "repeats", "limit"),
    [
        (np.uint16, 4095, 2, 4095),
        (np.uint16, 4095, 1, np.inf),
        (np.uint16, 4000, 25, 4000),
        (np.uint16, 4000, 24, np.inf),
        (np.uint8, 0, 99, np.inf),
        (np.float32, 4095, 99, np.inf),
    ],
)
def test_where_a_detector_is_full(dtype, top, repeats, limit):
    assert detector_limit(np.dtype(dtype), top, repeats) == limit


# ---- noise


def camera(light, n_planes, *, gain=2.0, offset=100.0, read=1.5, seed=0):
    """Counts (1, 1, z, y, x) of planes that all show the same light."""
    rng = np.random.default_rng(seed)
    light = np.broadcast_to(light, (1, 1, n_planes, *light.shape))
    return (offset + gain * (rng.poisson(light) + rng.normal(0, read, light.shape))).round().astype(np.uint16)


def discs():
    y, x = np.mgrid[:256, :256]
    return 4 + 150 * np.exp(-((((y % 64 - 32) ** 2 + (x % 64 - 32) ** 2) / 200.0) ** 3))


def noise_ratio(method, params=CorrectParams(), n_planes=8):
    """Noise variance that is believed over the true one, in the dark and in the light."""
    light = discs()
    a, b = (stack_of(camera(light, n_planes, seed=seed)).project(method) for seed in (0, 1))
    difference = (a.pixels.astype(float) - b.pixels)[0, 0, 0]
    believed = correct_stack(a, params).variance[0, 0, 0]
    return [believed[part].mean() / (difference[part].var() / 2) for part in (light < 5, light > 120)]


@pytest.mark.parametrize(("method", "within"), [("mean", 0.2), ("max", 0.35)])
def test_noise_is_that_of_the_projected_image(method, within):
    assert noise_ratio(method) == pytest.approx([1, 1], abs=within)


@pytest.mark.parametrize(
    "given",
    [{"gain": 2.0}, {"gain": 2.0, "offset": 100.0, "read_noise": 1.5}],
    ids=["gain", "gain, offset and read noise"],
)
def test_settings_of_a_plane_are_turned_into_those_of_a_mean(given):
    assert noise_ratio("mean", CorrectParams(**given)) == pytest.approx([1, 1], abs=0.2)
    corrected = correct_stack(stack_of(camera(discs(), 8)).project("mean"), CorrectParams(**given))
    assert corrected.gain == pytest.approx([0.25])


def test_rounding_of_a_mean_is_finer():
    stack = stack_of(camera(discs(), 16))
    steps = {method: correct_stack(stack.project(method)).step for method in ("none", *METHODS)}
    assert steps == {"none": 1.0, "max": 1.0, "mean": 0.25}
    assert correct_stack(stack_of(volume(np.float32)).project("mean")).step == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gain": 2.0}, "gain and read_noise hold for one plane, not for the maximum of 8"),
        ({"background": False, "offset": 100.0}, "background of a maximum of 8 planes lies above"),
    ],
)
def test_settings_that_a_maximum_cannot_use_are_told(settings, message):
    projected = stack_of(camera(discs(), 8)).project("max")
    with pytest.warns(RgbtrackWarning, match=message):
        corrected = correct_stack(projected, CorrectParams(**settings))
    np.testing.assert_array_equal(corrected.variance, correct_stack(projected).variance)


def test_the_raised_background_of_a_maximum_is_taken_off():
    light = discs()
    corrected = correct_stack(stack_of(camera(light, 8)).project("max"))
    dark = corrected.pixels[0, 0, 0][light < 4.01]
    assert abs(dark.mean()) < 0.2 * dark.std()
