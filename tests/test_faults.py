"""Runs that are killed, interrupted, or left without room: what is there is whole, and the next goes on."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rgbtrack import run
from rgbtrack.pipeline import verify_results
from tests.test_pipeline import assert_same_tables

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are those of Unix")
QUICK = """
import sys
from rgbtrack import run
from rgbtrack.report import write
write.CHAPTERS, write.draw_figures = (), lambda *_: {}
from matplotlib.figure import Figure
from pathlib import Path
Figure.savefig = lambda figure, path, **settings: Path(path).write_text("<svg/>")
run(sys.argv[1], sys.argv[2], workers=2)
"""


def begin(experiment, results):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", QUICK, experiment, results],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def children_of(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(parts[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)
    return found


def n_done(results):
    return len(list((results / ".parts").glob("*.json")))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc")
def test_a_run_killed_at_any_moment_is_gone_on_with(small_experiment, finished, tmp_path):
    results, chance = tmp_path / "results", random.Random(7)
    for n in (1, 4, 7):  # killed as its first, fourth, seventh image is done, and a moment later
        process = begin(small_experiment, results)
        wait_for(lambda n=n, process=process: n_done(results) >= n or process.poll() is not None)
        time.sleep(chance.uniform(0, 0.3))
        workers = children_of(process.pid)
        process.kill()
        process.wait()
        wait_for(lambda workers=workers: not any(map(alive, workers)), 10)
    run(small_experiment, results)
    assert_same_tables(results, finished)
    assert verify_results(results).problems == ()
    assert verify_results(results).remarks == ()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc")
def test_an_interrupted_run_leaves_no_worker(small_experiment, tmp_path, how):
    results = tmp_path / "results"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "rgbtrack",
        "run",
        small_experiment,
        "-o",
        results,
        "-w",
        "2",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: n_done(results) >= 1 or process.poll() is not None)
    workers = children_of(process.pid)
    process.send_signal(how)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "give the same command again to go on" in err
    wait_for(lambda: not any(map(alive, workers)), 10)


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system")]
)
def test_a_full_disk_ends_the_run_and_it_can_go_on(
    rgbtrack, small_experiment, finished, tmp_path, monkeypatch, quick_runs, number, said
):
    results = tmp_path / "results"
    with monkeypatch.context() as patch:
        written = []

        def full(path, labels):
            if len(written) == 2:
                raise OSError(number, os.strerror(number))
            written.append(path)
            write(path, labels)

        from rgbtrack.pipeline import image

        write = image.write_labels
        patch.setattr(image, "write_labels", full)
        code, _, err = rgbtrack("run", small_experiment, "--out", results)
    assert code == 2
    assert err.splitlines()[-1] == (
        f"error: {said}: {results}: mend it and give the same command again to go on"
    )
    assert n_done(results) == 2
    run(small_experiment, results)
    assert_same_tables(results, finished)


def test_a_results_folder_that_vanishes_ends_the_run(rgbtrack, small_experiment, tmp_path, monkeypatch):
    results = tmp_path / "results"

    def gone(path, labels):
        shutil.rmtree(results)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    monkeypatch.setattr("rgbtrack.pipeline.image.write_labels", gone)
    code, _, err = rgbtrack("run", small_experiment, "--out", results)
    assert code == 2
    assert "No such file or directory" in err
    assert "give the same command again to go on" in err
