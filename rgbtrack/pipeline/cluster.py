"""The same work over many images, on the workers of a Dask cluster that is already there."""

import itertools
import logging
import os
import queue
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rgbtrack.errors import ParamError, RgbtrackWarning
from rgbtrack.files.extras import need_extra
from rgbtrack.pipeline.worker import do_task, problems, tell

Task = TypeVar("Task")
Result = TypeVar("Result")

log = logging.getLogger("rgbtrack")
CONNECT_S = 10
PATIENCE_S = 600
"""How long no worker at all is waited for."""
AHEAD = 3
"""Tasks that a worker has at once: one is worked on, the others wait there."""
SHOWN = 5
"""Workers that are named in an error."""
LOOK_S = 1.0
"""How often it is looked which workers are there."""


@dataclass(frozen=True)
class Cluster:
    """A connection to a cluster.

    Attributes
    ----------
    client
        Dask's.
    address
        As the user gave it.
    files
        What every worker must see: absolute paths.
    fit
        Address of each worker met, and whether it can be used.
    """

    client: Any
    address: str
    files: tuple[Path, ...]
    fit: dict[str, bool] = field(default_factory=dict)


@contextmanager
def connect(address: str, results: Path, inputs: Sequence[Path] = ()) -> Iterator[Cluster]:
    """Connect to a scheduler whose workers can do this work, or say why they cannot.

    Parameters
    ----------
    address
        Of the scheduler, or its scheduler file.
    results
        Folder that the workers must see too.
    inputs
        Files that they must see too.

    Raises
    ------
    ParamError
        If the scheduler does not answer, no worker comes, or workers are unlike this process.
    """
    client = _client(address)
    results = results.absolute()
    probe = results / f".seen-by-workers-{uuid.uuid4().hex}"
    try:
        probe.touch()
        log.info("dashboard: %s", client.dashboard_link)
        cluster = Cluster(client, address, (probe, *(path.absolute() for path in inputs)))
        _meet(cluster)
        yield cluster
        for _ in os.walk(results):  # a network file system then forgets which files were not there before
            pass
    finally:
        probe.unlink(missing_ok=True)
        client.close(timeout=CONNECT_S)


def map_on_cluster(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    cluster: Cluster,
    lost: Callable[[Task], Result],
) -> Iterator[tuple[int, Result]]:
    """Yield (index, result) as tasks end, in any order; see `rgbtrack.pipeline.pool.map_tasks`.

    Tasks are bound to a worker, a few ahead, so that it never waits for the next. Those of a worker that died
    are done again, each with a worker to itself: the one that kills that too is given up, and no other.
    """
    fresh, suspects = deque(range(len(tasks))), deque[int]()
    running: dict[str, dict[Any, int]] = {}  # address of a worker: its tasks
    alone = set[str]()  # workers that have a suspect
    ended: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    present: set[str] = set()
    next_look = 0.0
    give_up = time.monotonic() + PATIENCE_S

    def send(index: int, address: str) -> None:
        running.setdefault(address, {})[_submit(cluster, work, tasks[index], address, ended)] = index

    try:
        while fresh or suspects or running:
            now = time.monotonic()
            if now >= next_look:
                present, next_look = _workers(cluster), now + LOOK_S
                if present:
                    give_up = now + PATIENCE_S
                elif now > give_up:
                    raise ParamError(_nobody(cluster.address))
            for address in running.keys() - present:
                gone = running.pop(address)
                cluster.client.cancel(list(gone))
                if address in alone:
                    (index,) = gone.values()
                    yield index, lost(tasks[index])
                else:
                    suspects.extend(gone.values())
                alone.discard(address)
            for address in present - running.keys():
                if suspects:
                    alone.add(address)
                    send(suspects.popleft(), address)
            for n, address in itertools.product(range(AHEAD), present - alone):
                if fresh and not suspects and len(running.get(address, ())) <= n:
                    send(fresh.popleft(), address)
            try:
                address, future = ended.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if future not in running.get(address, {}):
                continue  # given up before
            try:
                result = _result(future)
            except _WentWithWorkerError:
                present.discard(address)
                continue
            index = running[address].pop(future)
            if not running[address]:
                del running[address]
                alone.discard(address)
            yield index, result
    finally:
        if running:
            cluster.client.cancel([future for of_one in running.values() for future in of_one])


class _WentWithWorkerError(Exception):
    """A task or its result is gone with the worker that had it."""


def _submit(
    cluster: Cluster,
    work: Callable[[Task], Result],
    task: Task,
    address: str,
    ended: "queue.SimpleQueue[tuple[str, Any]]",
) -> Any:
    future = cluster.client.submit(
        do_task,
        work,
        task,
        key=f"{work.__name__.strip('_')}-{uuid.uuid4().hex}",
        workers=[address],
        pure=False,
    )
    future.add_done_callback(lambda done: ended.put((address, done)))
    return future


def _result(future: Any) -> Any:
    client, scheduler = (
        need_extra("distributed.client", "distributed"),
        need_extra("distributed.scheduler", "distributed"),
    )
    try:
        return future.result(timeout=CONNECT_S)
    except (TimeoutError, client.CancelledError, scheduler.KilledWorker) as error:
        raise _WentWithWorkerError from error


def _client(address: str) -> Any:
    distributed = need_extra("distributed", "distributed")
    if not address:  # Dask would start a cluster of its own
        raise ParamError("no address of a Dask scheduler is given: give one such as tcp://node1:8786")
    file = Path(address)
    where = {"scheduler_file": address} if file.is_file() else {"address": address}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that differ: told in our words
            return distributed.Client(**where, timeout=CONNECT_S, set_as_default=False, name="rgbtrack")
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise ParamError(
            f"no Dask scheduler answers at {address!r} ({type(error).__name__}): start one with "
            f"'dask scheduler' and give the address that it shows, such as tcp://node1:8786"
        ) from error


def _meet(cluster: Cluster) -> None:
    """Wait for the first worker; refuse a cluster with workers that cannot do this work."""
    give_up = time.monotonic() + PATIENCE_S
    said = False
    while not cluster.client.nthreads():
        if not said:
            log.info(
                "%s has no workers yet: waiting up to %.0f minutes for one", cluster.address, PATIENCE_S / 60
            )
            said = True
        if time.monotonic() > give_up:
            raise ParamError(_nobody(cluster.address))
        time.sleep(LOOK_S)
    unfit = _look(cluster)
    if unfit:
        lines = [f"worker {address}: {'; '.join(against)}" for address, against in unfit.items()]
        rest = [f"and {len(lines) - SHOWN} more workers"] if len(lines) > SHOWN else []
        raise ParamError(*lines[:SHOWN], *rest)


def _nobody(address: str) -> str:
    return (
        f"no worker came to {address} in {PATIENCE_S / 60:.0f} minutes: start some with "
        f"'dask worker {address} --nthreads 1' and give the same command again to go on"
    )


def _workers(cluster: Cluster) -> set[str]:
    """Workers that can be used now; a newcomer that cannot is told of once and left out."""
    try:
        unfit = _look(cluster)
        present = cluster.client.nthreads()
    except OSError as error:
        raise ParamError(
            f"the scheduler at {cluster.address} answers no more ({error}): start it again and give the same "
            f"command again to go on"
        ) from error
    for address, against in unfit.items():
        text = f"worker {address} is not used: {'; '.join(against)}"
        warnings.warn(text, RgbtrackWarning, stacklevel=2)
    return {address for address in present if cluster.fit.get(address, False)}


def _look(cluster: Cluster) -> dict[str, list[str]]:
    """Ask the workers that are new; return what speaks against each that cannot be used."""
    threads = cluster.client.nthreads()
    new = [address for address in threads if address not in cluster.fit]
    if not new:
        return {}
    told = cluster.client.run(tell, [*map(str, cluster.files)], workers=new, on_error="return")
    mine = tell([])
    unfit = {}
    for address, answer in told.items():
        if isinstance(answer, OSError):
            continue  # gone while it was asked
        against = problems(answer, mine, threads[address])
        cluster.fit[address] = not against
        if against:
            unfit[address] = against
    return unfit
