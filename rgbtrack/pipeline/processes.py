"""Worker processes of this machine, of one thread each.

This module is imported before all that is slow to import, so that others import it meanwhile.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, TypeVar

from rgbtrack.pipeline.worker import do_task

Result = TypeVar("Result")

NEEDED = ["rgbtrack.pipeline.image", "rgbtrack.pipeline.batches", "rgbtrack.plot.style"]
"""Modules whose functions are the work."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def available_workers() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes:
    """A number of processes, which start with the first work and are kept for more until the end.

    Parameters
    ----------
    n
        How many; 1 is this process alone.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._pool: ProcessPoolExecutor | None = None
        self._size = 0
        self._lifeline: tuple[Connection, Connection] | None = None

    def begin(self, size: int) -> int:
        """Be as many processes as so many tasks ask for, of at most n; return how many."""
        size = min(size, self.n)
        if self._pool is None or self._size < size:
            self.end()
            context = _context()
            _, theirs = self._lifeline = context.Pipe()
            surroundings = theirs, os.getcwd(), os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
            self._pool, self._size = ProcessPoolExecutor(size, context, _begin, surroundings), size
        return size

    def submit(self, work: Callable[..., Result], *arguments: Any) -> "Future[Result]":
        """Have some work done in one of the processes.

        Raises
        ------
        BrokenProcessPool
            If one of them has died; `end` makes them begin anew.
        """
        if self._pool is None:
            self.begin(self.n)
        assert self._pool is not None  # noqa: S101 - it has begun
        with _in_one_thread(), _main_kept_out():  # processes start with the first tasks
            return self._pool.submit(do_task, work, *arguments)

    def end(self) -> None:
        """End the processes, whatever they do; more work starts them anew."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        for one in self._lifeline or ():
            one.close()  # whatever is still worked on is wanted no more
        self._pool = self._lifeline = None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


ALONE = Processes(1)
"""This process, which starts no other."""


def prepare() -> None:
    """Let what workers need be imported beside this process, which goes on; they start sooner then."""
    if sys.platform == "linux":
        from multiprocessing import forkserver

        _context()
        with _in_one_thread(), _main_kept_out():
            forkserver.ensure_running()


def _context() -> Any:
    """How processes start: on Linux as copies of one that has imported what they need, elsewhere afresh."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(NEEDED)
    return context


@contextmanager
def _in_one_thread() -> Iterator[None]:
    """Processes that start meanwhile have libraries of one thread, which read it as they are imported."""
    former = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _main_kept_out() -> Iterator[None]:
    """Processes that start meanwhile do not import the caller's script again.

    Work is done by functions of this package; a script that calls `rgbtrack.run` without
    ``if __name__ == "__main__"`` would run itself once more in each process.
    """
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


def _begin(lifeline: Connection, folder: str, environment: dict[str, str]) -> None:
    """Ready a process: folder and environment of its parent, and an end with it, however that ends."""
    import signal

    os.chdir(folder)
    os.environ.update(environment)  # what it was copied from may have started before they were set
    multiprocessing.set_start_method("spawn", force=True)  # else numba makes a semaphore that nobody removes
    # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def follow() -> None:
        with suppress(EOFError, OSError):
            lifeline.recv()  # nothing is ever sent: it ends when the other end is closed
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
