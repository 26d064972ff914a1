from dataclasses import replace

import numpy as np
import pytest

from rgbtrack import DataError, Stack, correct_stack


def make(channels=("mCherry", "Venus"), **keys):
    return Stack(np.zeros((2, len(channels), 1, 4, 5)), channels, **keys)


def test_select_renames_and_orders():
    stack = make(("C", "V", "R"))
    stack.pixels[:, 2] = 7
    chosen = stack.select({"red": "r", "green": 1})
    assert chosen.channels == ("red", "green")
    assert chosen.pixels[:, 0].min() == 7
    assert chosen.pixels.shape == (2, 2, 1, 4, 5)


def test_frame_keeps_axes():
    assert make().frame(1).pixels.shape == (1, 2, 1, 4, 5)


def test_nucleus_is_no_marker():
    assert make(("red", "nucleus", "blue")).markers == ("red", "blue")


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Stack(np.zeros((4, 5)), ("a",)), r"2 axes.*give \(t, c, z, y, x\)"),
        (lambda: Stack(np.zeros((1, 3, 1, 4, 5)), ("a", "b")), "3 channels but 2 names"),
        (lambda: make(("a", "a")), "repeat"),
        (lambda: make(pixel_size_um=-1.0), "pixel_size_um is -1.0"),
        (lambda: make(z_step_um=float("nan")), "z_step_um is nan"),
        (lambda: make().select({"red": "Cerulean"}), "no channel named 'Cerulean', found 'mCherry', 'Venus'"),
        (lambda: make().select({"red": 2}), "channel 2 asked for, but there are 2"),
    ],
)
def test_bad_stack(build, match):
    with pytest.raises(DataError, match=match):
        build()


# ---- variance and saturation on demand


@pytest.fixture
def noisy():
    """A corrected stack of two frames, three channels, the last of them saturated, and its flat field."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(60, (2, 3, 1, 64, 80)).astype(np.uint16) + 100
    counts[:, 2, :, :9, :9] = 255
    counts[:, 2] = counts[:, 2].clip(0, 255)
    flat = np.broadcast_to(np.linspace(0.8, 1.2, 80), (64, 80))
    return counts, flat / flat.mean(), correct_stack(Stack(counts, ("a", "b", "c")), flat_field=flat)


def test_variance_on_demand_is_the_formula(noisy):
    counts, flat, stack = noisy
    d = stack.noise
    for c in range(3):
        formula = np.maximum(d.gain[c] * counts[:, c].astype(float) + d.intercept[c], d.floor[c]) / flat**2
        np.testing.assert_allclose(stack.variance[:, c], formula, rtol=1e-5)
        np.testing.assert_array_equal(d.sample(c, 0, 3), stack.variance[0, c, 0, ::3])
    np.testing.assert_array_equal(stack.saturated[:, 2], counts[:, 2] == 255)
    assert not stack.saturated[:, :2].any()


def test_frames_and_channels_take_their_noise_along(noisy):
    _, _, stack = noisy
    np.testing.assert_array_equal(stack.frame(1).variance, stack.variance[1:])
    turned = stack.select({"x": "c", "y": "a"})
    np.testing.assert_array_equal(turned.variance, stack.variance[:, [2, 0]])
    np.testing.assert_array_equal(turned.saturated, stack.saturated[:, [2, 0]])
    assert turned.noise.raw.dtype == np.uint16  # still on demand


def test_replaced_pixels_keep_the_variance_they_had(noisy):
    _, _, stack = noisy
    np.testing.assert_array_equal(replace(stack, pixels=3 * stack.pixels).variance, stack.variance)
    assert replace(stack, variance=None).noise is None
    assert Stack(stack.pixels, stack.channels).variance is None
