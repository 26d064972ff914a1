"""Images on the workers of a Dask cluster: a real scheduler and real workers, some of which die."""

import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from rgbtrack import ParamError, RgbtrackWarning, run
from rgbtrack.files import read_json, read_table
from rgbtrack.pipeline import cluster, worker
from rgbtrack.pipeline.cluster import connect
from rgbtrack.pipeline.pool import map_tasks

pytest.importorskip("distributed", reason="the extra rgbtrack[distributed] is not installed")
pytestmark = pytest.mark.usefixtures("quick_runs")
ROOT = Path(__file__).parents[1]


def dask(*arguments):
    """A process of Dask's command line that finds this package and the work below."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def end(*processes):
    for process in processes:
        process.kill()
    for process in processes:
        process.wait(timeout=30)


@contextmanager
def a_worker(address, *arguments):
    """A worker that dies for good: without a nanny that starts it again."""
    process = dask("worker", address, "--no-nanny", "--no-dashboard", *arguments)
    try:
        yield process
    finally:
        end(process)


@pytest.fixture(scope="module")
def scheduler():
    """Address of a scheduler without workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    address = f"tcp://127.0.0.1:{port}"
    yield address
    end(process)


@pytest.fixture
def two(scheduler):
    """The two worker processes of the scheduler, of one thread each."""
    with a_worker(scheduler, "--nthreads", 1) as one, a_worker(scheduler, "--nthreads", 1) as other:
        wait_for_workers(scheduler, 2)
        yield one, other
    wait_for_workers(scheduler, 0)


def wait_for_workers(address, n):
    import distributed

    with distributed.Client(address, timeout=20, set_as_default=False) as client:
        until(lambda: len(client.nthreads()) == n)


def connect_and_leave(address, results):
    with connect(address, results):
        pass


def until(true, seconds=30):
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)


def note_and_wait(task):
    """Leave a note of each try, with the process that makes it; the first waits to be killed."""
    folder, name, slow = task
    tries = len(list(Path(folder).glob(f"{name}.*")))
    (Path(folder) / f"{name}.{tries}.{os.getpid()}").touch()
    if slow and not tries:
        time.sleep(60)
    return name


def die_if_asked(task):
    folder, name, deadly = task
    (Path(folder) / f"{name}.{os.getpid()}").touch()
    if deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return name


def test_a_run_on_a_cluster_gives_the_same_tables(
    scheduler, two, small_experiment, finished, tmp_path, caplog, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where the workers are not
    with caplog.at_level("INFO", "rgbtrack"):
        outcome = run(small_experiment, "out", scheduler=scheduler)
    assert not outcome.failed
    assert "dashboard: http://127.0.0.1" in caplog.text
    for name in ("cells.parquet", "clones.csv", "clone_sizes.csv"):
        pd.testing.assert_frame_equal(read_table(Path("out") / name), read_table(finished / name))
    for path in (finished / "labels").iterdir():
        assert path.read_bytes() == (Path("out") / "labels" / path.name).read_bytes()
    assert not list(Path("out").glob(".seen*"))
    told = read_json(Path("out") / "run.json")
    run(small_experiment, "out", workers=1)
    assert read_json(Path("out") / "run.json")["images"] == told["images"]


def test_a_killed_worker_loses_only_its_task(scheduler, two, tmp_path):
    tasks = [(str(tmp_path), f"task{i}", i == 1) for i in range(8)]
    done = {}
    with connect(scheduler, tmp_path) as crew:
        for index, result in map_tasks(note_and_wait, tasks, crew, lambda task: "lost"):
            done[index] = result
            if len(done) == 5:  # two wait behind the slow one
                until(lambda: list(tmp_path.glob("task1.0.*")))
                (note,) = tmp_path.glob("task1.0.*")
                os.kill(int(note.suffix[1:]), signal.SIGKILL)
    assert done == {i: f"task{i}" for i in range(8)}
    tries = [len(list(tmp_path.glob(f"task{i}.*"))) for i in range(8)]
    assert tries == [1, 2, 1, 1, 1, 1, 1, 1]  # what waited behind it was not begun


def test_a_task_that_kills_its_workers_is_given_up_and_the_others_complete(scheduler, two, tmp_path):
    tasks = [(str(tmp_path), f"task{i}", i == 0) for i in range(6)]
    with a_worker(scheduler, "--nthreads", 1):
        wait_for_workers(scheduler, 3)
        with connect(scheduler, tmp_path) as crew:
            done = dict(map_tasks(die_if_asked, tasks, crew, lambda task: f"lost {task[1]}"))
    assert done == {0: "lost task0"} | {i: f"task{i}" for i in range(1, 6)}
    assert [len(list(tmp_path.glob(f"task{i}.*"))) for i in range(6)] == [2, 1, 1, 1, 1, 1]


def test_a_fault_of_the_work_is_raised(scheduler, two, tmp_path):
    with connect(scheduler, tmp_path) as crew, pytest.raises(TypeError, match="bad operand"):
        dict(map_tasks(abs, ["text"], crew, str))


def test_workers_that_cannot_do_the_work_are_refused_by_name(scheduler, two, tmp_path, monkeypatch):
    with (
        pytest.raises(ParamError, match=r"worker tcp://127\.0\.0\.1:\d+: it does not see /not/there: images"),
        connect(scheduler, tmp_path, [Path("/not/there")]),
    ):
        pass
    monkeypatch.setattr(worker.rgbtrack, "__version__", "9.9")
    with pytest.raises(ParamError, match=r"it has rgbtrack [\d.]+ \(here 9\.9\): start it from") as refused:
        connect_and_leave(scheduler, tmp_path)
    assert len(refused.value.problems) == 2
    assert not list(tmp_path.iterdir())


def test_workers_of_several_threads_are_refused_and_newcomers_left_out(scheduler, two, tmp_path):
    with connect(scheduler, tmp_path) as crew, a_worker(scheduler, "--nthreads", 2) as unfit:
        wait_for_workers(scheduler, 3)
        with pytest.warns(
            RgbtrackWarning, match=r"is not used: it has 2 threads: start workers with '--nthreads 1'"
        ):
            done = dict(map_tasks(abs, range(-20, 0), crew, str))
        assert done == {i: 20 - i for i in range(20)}
        with pytest.raises(ParamError, match="it has 2 threads"), connect(scheduler, tmp_path):
            pass
        assert unfit.poll() is None


def test_a_scheduler_without_workers_is_waited_for_a_while(scheduler, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "rgbtrack")
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.5)
    with pytest.raises(ParamError, match=r"no worker came to .*: start some with 'dask worker"):
        connect_and_leave(scheduler, tmp_path)
    assert "has no workers yet: waiting" in caplog.text


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_an_address_where_nothing_answers(address, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with (
        warnings.catch_warnings(),
        pytest.raises(ParamError, match=r"no Dask scheduler answers at .* 'dask scheduler'"),
    ):
        connect_and_leave(address, tmp_path)


def test_no_address(tmp_path):
    with pytest.raises(ParamError, match="no address of a Dask scheduler is given: give one such as tcp"):
        connect_and_leave("", tmp_path)


def test_processes_here_and_a_scheduler_exclude_each_other(rgbtrack, small_experiment, tmp_path):
    code, _, err = rgbtrack(
        "run", small_experiment, "-o", tmp_path / "out", "-w", 2, "--scheduler", "tcp://a:1"
    )
    assert code == 2
    assert "workers (2) and scheduler (tcp://a:1) are both given" in err


def test_without_the_extra_it_is_named(rgbtrack, small_experiment, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = rgbtrack("run", small_experiment, "-o", tmp_path / "out", "--scheduler", "tcp://a:1")
    assert code == 2
    assert "distributed is not installed: pip install 'rgbtrack[distributed]'" in err


def test_a_worker_elsewhere_says_what_it_lacks():
    mine = worker.tell([])
    assert worker.problems(mine, mine, 1) == []
    assert worker.problems(ModuleNotFoundError(name="rgbtrack"), mine, 1)[0].startswith(
        "rgbtrack is not installed"
    )
    assert "cannot be asked (ValueError: odd)" in worker.problems(ValueError("odd"), mine, 1)[0]


def test_nothing_of_dask_is_imported_before_it_is_asked_for():
    code = "import sys, rgbtrack.pipeline.runs; assert 'distributed' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
