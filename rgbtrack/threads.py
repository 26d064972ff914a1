"""Work over bands of rows, in threads."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_state = threading.local()


def n_threads() -> int:
    """Threads that may be used: numba's number, which is 1 in worker processes."""
    import numba

    return int(numba.get_num_threads())


@contextmanager
def limit_threads(n: int) -> Iterator[None]:
    """No more than n threads of numba, OpenCV and the libraries of linear algebra meanwhile."""
    import cv2
    import numba

    compiled, vision = numba.get_num_threads(), cv2.getNumThreads()
    numba.set_num_threads(min(n, compiled))
    cv2.setNumThreads(min(n, vision))
    try:
        with _libraries().limit(limits=n):
            yield
    finally:
        numba.set_num_threads(compiled)
        cv2.setNumThreads(vision)


@cache
def _libraries() -> Any:
    """Libraries with threads of their own; to find them takes longer than to set them."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def over_bands(work: Callable[[int, int], Any], n: int, bands: int | None = None) -> list[Any]:
    """Call ``work(start, stop)`` for bands of n rows and return what each gave, in order.

    Parameters
    ----------
    work
        Releases the interpreter's lock; writes to rows of its own only.
    n
        Rows.
    bands
        Number of bands; None: as many as there are threads, for work whose result does not depend on how
        the rows are cut. Sums of floats do: give a number.
    """
    threads = 1 if getattr(_state, "within", False) else n_threads()
    pieces = list(cuts(n, bands or threads))
    if threads == 1 or len(pieces) == 1:
        return [work(start, stop) for start, stop in pieces]
    done: list[Any] = [None] * len(pieces)
    left = iter(range(len(pieces)))

    def take() -> None:
        for i in left:  # each is given out once, to whichever thread asks
            done[i] = work(*pieces[i])

    # this thread works too, and is not woken for nothing
    others = [_pool(threads).submit(_alone, take) for _ in range(min(threads, len(pieces)) - 1)]
    try:
        _alone(take)
    finally:
        for _ in left:  # after an error, or Ctrl-C, nothing more is begun
            pass
        begun = [other for other in others if not other.cancel()]
        wait(begun)
    for other in begun:
        other.result()
    return done


def sum_bands(
    add: Callable[[int, int, Any], None], n: int, bands: int, shape: tuple[int, ...], kind: Any = float
) -> NDArray[Any]:
    """Table that a fixed number of bands of n rows add to, each to its own copy: ``add(start, stop, table)``.

    The bands are summed in order, so that sums do not depend on the number of threads.
    """

    def work(start: int, stop: int) -> NDArray[Any]:
        table = np.zeros(shape, kind)
        add(start, stop, table)
        return table

    tables = over_bands(work, n, bands)
    for table in tables[1:]:
        tables[0] += table
    return np.asarray(tables[0])


def _alone(work: Callable[[], None]) -> None:
    """Work in this thread alone, whatever that calls in turn."""
    _state.within = True
    try:
        work()
    finally:
        _state.within = False


def cuts(n: int, bands: int) -> Iterator[tuple[int, int]]:
    """Start and stop of each of some bands of n rows."""
    bands = max(1, min(bands, n))
    for i in range(bands):
        yield i * n // bands, (i + 1) * n // bands


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="rgbtrack")
