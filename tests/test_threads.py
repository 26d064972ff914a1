import threading
import time

import numba
import pytest

from rgbtrack.threads import over_bands


@pytest.fixture(params=[1, 2], autouse=True, ids=["one thread", "two threads"])
def threads(request):
    before = numba.get_num_threads()
    numba.set_num_threads(min(request.param, before))
    yield
    numba.set_num_threads(before)


def test_bands_cover_all_rows_in_order():
    assert over_bands(lambda a, b: (a, b), 10, 5) == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]


def test_work_within_work_stays_in_its_thread():
    def inner(start, stop):
        return threading.get_ident()

    for outer, *nested in over_bands(lambda a, b: (threading.get_ident(), *over_bands(inner, 4, 4)), 6, 6):
        assert set(nested) == {outer}


@pytest.mark.parametrize("bad", [0, 3, 4])
def test_what_goes_wrong_in_any_band_is_raised(bad):
    def work(start, stop):
        time.sleep(0.005)
        if start == bad:
            raise ValueError(f"band {bad}")

    with pytest.raises(ValueError, match=f"band {bad}"):
        over_bands(work, 5, 5)
    assert over_bands(lambda a, b: a, 5, 5) == [0, 1, 2, 3, 4]


def test_threads_of_others_may_ask_at_the_same_time():
    found = []

    def ask():
        found.extend(over_bands(lambda a, b: a, 8, 4) == [0, 2, 4, 6] for _ in range(100))

    askers = [threading.Thread(target=ask) for _ in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert found == [True] * 500
