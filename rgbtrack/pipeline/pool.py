"""The same work over many images: in worker processes of one thread each, or on a cluster."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from rgbtrack.errors import ParamError
from rgbtrack.pipeline.cluster import Cluster, connect, map_on_cluster
from rgbtrack.pipeline.processes import Processes, available_workers
from rgbtrack.pipeline.worker import do_task
from rgbtrack.threads import limit_threads

Task = TypeVar("Task")
Result = TypeVar("Result")

Crew = Processes | Cluster
"""Who does the work."""


def crew_for(
    workers: int | None, scheduler: str | None, results: Path, inputs: Sequence[Path] = ()
) -> AbstractContextManager[Crew]:
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
    return Processes(workers or available_workers())


def map_tasks(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    crew: Crew,
    lost: Callable[[Task], Result],
) -> Iterator[tuple[int, Result]]:
    """Yield (index, result) as tasks end, in any order.

    Parameters
    ----------
    work
        Function of one task; importable, so that processes can be given it.
    crew
        Processes, where 1 works in this one; or a cluster. No more cores than processes are used: a single
        task is worked on in this process, in as many threads.
    lost
        Result for a task whose process died twice, most often for want of memory.
    """
    if isinstance(crew, Cluster):
        yield from map_on_cluster(work, tasks, crew, lost)
        return
    if crew.n <= 1 or len(tasks) <= 1:
        for index, task in enumerate(tasks):
            with limit_threads(crew.n):
                result = work(task)
            yield index, result
        return
    waiting = list(range(len(tasks)))
    alone = False
    while waiting:
        # after a death the rest goes one task a pool, so that only the guilty one is given up
        batch = waiting[:1] if alone else waiting
        done: set[int] = set()
        try:
            for index, result in _until_one_dies(work, tasks, batch, crew):
                done.add(index)
                yield index, result
        except BrokenProcessPool:
            if alone:
                done.add(batch[0])
                yield batch[0], lost(tasks[batch[0]])
            alone = True
        waiting = [index for index in waiting if index not in done]


def map_all(work: Callable[[Task], Result], tasks: Sequence[Task], crew: Crew) -> list[Result]:
    """Results of all tasks, in their order.

    Each is done in one thread, whoever does it, so that sums of floats are the same. What a process died at
    is done in this one.
    """
    here = partial(do_task, work)
    if isinstance(crew, Processes) and min(crew.n, len(tasks)) <= 1:
        return [here(task) for task in tasks]
    results = dict(map_tasks(work, tasks, crew, lost=here))
    return [results[i] for i in range(len(tasks))]


def _until_one_dies(
    work: Callable[[Task], Result], tasks: Sequence[Task], batch: Sequence[int], crew: Processes
) -> Iterator[tuple[int, Result]]:
    size = crew.begin(len(batch))
    try:
        queue = iter(batch)
        running = {crew.submit(work, tasks[index]): index for index in islice(queue, 2 * size)}
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                index = running.pop(future)
                yield index, future.result()
                following = next(queue, None)
                if following is not None:
                    running[crew.submit(work, tasks[following])] = following
    except BaseException:  # also where no more results are asked for
        crew.end()
        raise
