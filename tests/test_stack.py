import numpy as np
import pytest

from rgbtrack import DataError, Stack


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
