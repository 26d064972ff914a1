"""The same work over many images: in worker processes of one thread each, or on a cluster."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from rgbtrack.errors import ParamError
from rgbtrack.pipeline.cluster import Cluster, connect, map_on_cluster
from rgbtrack.pipeline.worker import do_task
from rgbtrack.threads import limit_threads

Task = TypeVar("Task")
Result = TypeVar("Result")

NEEDED = ["rgbtrack.pipeline.image", "rgbtrack.pipeline.batches"]
"""Modules whose functions are the work."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def available_workers() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def crew_for(
    workers: int | None, scheduler: str | None, results: Path, inputs: Sequence[Path] = ()
) -> AbstractContextManager[int | Cluster]:
    """Who does the work: so many processes here (default: one per core), or the workers of a scheduler.

    Raises
    ------
    ParamError
        If both are asked for, there are no workers, or the cluster cannot do this work.
    """
    if workers is not None and scheduler is not None:
        raise ParamError(
            f"workers ({workers}) and scheduler ({scheduler}) are both given: workers are processes on this "
            f"machine, those of a cluster are started beside its scheduler; give one of the two"
        )
    if workers is not None and workers < 1:
        raise ParamError(f"workers is {workers}: give 1 or more")
    if scheduler is not None:
        return connect(scheduler, results, inputs)
    return nullcontext(workers or available_workers())


def map_tasks(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    crew: int | Cluster,
    lost: Callable[[Task], Result],
) -> Iterator[tuple[int, Result]]:
    """Yield (index, result) as tasks end, in any order.

    Parameters
    ----------
    work
        Function of one task; importable, so that processes can be given it.
    crew
        Number of processes, where 1 works in this one; or a cluster. No more cores than this are used: a
        single task is worked on in this process, in as many threads.
    lost
        Result for a task whose process died twice, most often for want of memory.
    """
    if isinstance(crew, Cluster):
        yield from map_on_cluster(work, tasks, crew, lost)
        return
    if crew <= 1 or len(tasks) <= 1:
        for index, task in enumerate(tasks):
            with limit_threads(crew):
                result = work(task)
            yield index, result
        return
    waiting = list(range(len(tasks)))
    alone = False
    while waiting:
        # after a death the rest goes one task a pool, so that only the guilty one is given up
        batch, size = (waiting[:1], 1) if alone else (waiting, min(crew, len(waiting)))
        done: set[int] = set()
        try:
            for index, result in _one_pool(work, tasks, batch, size):
                done.add(index)
                yield index, result
        except BrokenProcessPool:
            if alone:
                done.add(batch[0])
                yield batch[0], lost(tasks[batch[0]])
            alone = True
        waiting = [index for index in waiting if index not in done]


def _one_pool(
    work: Callable[[Task], Result], tasks: Sequence[Task], batch: Sequence[int], size: int
) -> Iterator[tuple[int, Result]]:
    context = _processes()
    ours, theirs = context.Pipe()
    one_thread = dict.fromkeys(THREAD_VARIABLES, "1")
    pool = ProcessPoolExecutor(size, context, _begin, (theirs, os.getcwd(), os.environ | one_thread))
    former = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(one_thread)  # read by libraries as a child imports them
    try:
        queue = iter(batch)
        running: dict[Future[Result], int] = {}
        with _main_kept_out():  # all processes start with the first task
            for index in queue:
                running[pool.submit(do_task, work, tasks[index])] = index
                if len(running) >= 2 * size:
                    break
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                index = running.pop(future)
                yield index, future.result()
                following = next(queue, None)
                if following is not None:
                    running[pool.submit(do_task, work, tasks[following])] = following
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        pool.shutdown(wait=False, cancel_futures=True)
        ours.close()  # whatever is still worked on is wanted no more
        theirs.close()


def _processes() -> Any:
    """How processes start: on Linux as copies of one that has imported what they need, elsewhere afresh."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(NEEDED)
    return context


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
