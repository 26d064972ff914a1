"""Runs in a process of their own."""

import os
import shutil
import signal
import time

import pytest

from rgbtrack import RgbtrackError
from rgbtrack.files import read_json, read_table, write_table

background = pytest.importorskip("napari_rgbtrack.background")


@pytest.fixture
def copy(small_experiment, finished, tmp_path):
    """An experiment that was run before, so that little is left to do."""
    folder = shutil.copytree(small_experiment, tmp_path / "made")
    shutil.copytree(finished, folder / "results")
    return folder


def is_gone(pid, most=20):
    end = time.monotonic() + most
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_run_tells_of_its_progress_warnings_and_failed_images(copy, no_figures):
    image = next((copy / "images").glob("vehicle_m1_d0*"))
    image.write_bytes(b"torn")
    write_table(copy / "samples.csv", read_table(copy / "samples.csv").iloc[:2])
    told = list(background.Running(copy / "experiment.toml").told())
    assert ["progress", "images", 2, 2] in told
    kind, results, failed = told[-1]
    assert (kind, results, list(failed)) == ("done", str(copy / "results"), ["vehicle_m1_d0"])
    assert read_json(copy / "results" / "run.json")["counts"]["failed"] == 1


def test_warnings_are_told(monkeypatch, copy):
    warn = "import rgbtrack, warnings\nfrom rgbtrack.errors import RgbtrackWarning\n"
    warn += "rgbtrack.run = lambda *_, **__: warnings.warn('look here', RgbtrackWarning)\n"
    monkeypatch.setattr(background, "SCRIPT", warn + background.SCRIPT)
    told = background.Running(copy).told()
    assert next(told) == ["warning", "look here"]
    with pytest.raises(RgbtrackError, match=r"ended before it was done .*AttributeError"):
        list(told)


def test_mistakes_are_told_in_words(copy):
    (copy / "experiment.toml").write_text("[experiment]\n")
    told = list(background.Running(copy).told())
    assert told[-1][0] == "error"
    assert "section [channels] is missing" in told[-1][1]


def test_a_cancel_ends_the_whole_group(copy):
    running = background.Running(copy, copy / "anew")
    told = running.told()
    assert next(told)[0] == "progress"
    running.cancel()
    list(told)
    assert is_gone(running.process.pid)
    running.cancel()


def test_a_process_that_dies_is_told(copy):
    running = background.Running(copy, copy / "anew")
    told = running.told()
    next(told)
    os.killpg(running.process.pid, signal.SIGKILL)
    with pytest.raises(RgbtrackError, match=r"the run ended before it was done .*: run it again"):
        list(told)
