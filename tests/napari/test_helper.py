"""Work done in a process of its own."""

import operator
import os
import threading
import time

import pytest

from rgbtrack import ParamError
from rgbtrack.pipeline import check_section

helper = pytest.importorskip("napari_rgbtrack.helper")


@pytest.fixture(scope="module")
def hand():
    made = helper.Helper()
    made.start()
    yield made
    made.stop()


def test_results_and_errors_come_back(hand):
    assert hand.do(operator.add, 2, 3) == 5
    assert hand.do(os.getpid) != os.getpid()
    assert hand.do(print, "not in between") is None
    with pytest.raises(ParamError, match="diameter_um is -1: give more than 0") as error:
        hand.do(check_section, "segment", {"diameter_um": -1})
    assert len(error.value.problems) == 1
    assert hand.do(operator.add, 1, 1) == 2


def test_what_cannot_come_back_is_told(hand):
    with pytest.raises(RuntimeError, match="pickle"):
        hand.do(eval, "lambda: 1")


def test_a_stop_ends_the_work_and_the_next_begins_anew(hand):
    threading.Timer(0.3, hand.stop).start()
    start = time.monotonic()
    with pytest.raises(helper.StoppedError, match="stopped before it was done"):
        hand.do(time.sleep, 60)
    assert time.monotonic() - start < 30
    assert hand.do(operator.add, 2, 2) == 4
