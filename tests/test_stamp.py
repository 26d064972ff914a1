"""A finished run is known again at once, and nothing that changed is overlooked."""

import importlib
import os
import shutil
import subprocess
import sys
import time

import pytest

import rgbtrack
from rgbtrack import run, simulate_experiment
from rgbtrack.simulate import PRESETS
from rgbtrack.stamp import STAMP, find_finished

VERSION = rgbtrack.__version__


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stamp") / "experiment"
    params = PRESETS["sample"].model_copy(update={"size_px": 128, "n_clones": 3})
    simulate_experiment(folder, params, subjects=1, timepoints=(0, 7), seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rgbtrack.report.write.CHAPTERS", ())
        run(folder, workers=1)
    return folder


@pytest.fixture
def finished_experiment(made, tmp_path):
    """A copy with the times of its files, whose stamp is of its own place."""
    folder = shutil.copytree(made, tmp_path / "experiment")
    stamp = folder / "results" / STAMP
    stamp.write_text(stamp.read_text().replace(str(made), str(folder)))
    return folder


def test_a_finished_run_is_known(finished_experiment):
    results, told = find_finished(finished_experiment, None, VERSION)
    assert results == finished_experiment / "results"
    assert told["counts"]["images"] == 4
    assert find_finished(finished_experiment / "experiment.toml", results, VERSION) == (results, told)


def touch(path):
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))


def change_byte(path):
    """Another byte, with the time of change that it had."""
    content, known = bytearray(path.read_bytes()), path.stat()
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: change_byte(next((folder / "images").iterdir())),
        lambda folder: next((folder / "images").iterdir()).unlink(),
        lambda folder: change_byte(folder / "experiment.toml"),
        lambda folder: change_byte(folder / "samples.csv"),
        lambda folder: change_byte(folder / "bleed.csv"),
        lambda folder: (folder / "results" / "review.jsonl").write_text("{}\n"),
        lambda folder: (folder / "results" / "report.html").unlink(),
        lambda folder: touch(folder / "results" / "cells.parquet"),
        lambda folder: touch(next((folder / "results" / "labels").iterdir())),
        lambda folder: (folder / "results" / STAMP).write_text("{"),
        lambda folder: (folder / "results" / STAMP).write_text("[1]"),
        lambda folder: (folder / "results" / STAMP).unlink(),
    ],
)
def test_whatever_changed_is_seen(finished_experiment, change):
    change(finished_experiment)
    assert find_finished(finished_experiment, None, VERSION) is None


def test_another_version_or_folder_is_another_run(finished_experiment, tmp_path):
    assert find_finished(finished_experiment, None, "0.0.1") is None
    assert find_finished(finished_experiment, tmp_path / "other", VERSION) is None
    assert find_finished(tmp_path / "none", None, VERSION) is None


def test_what_is_added_to_the_results_does_not_matter(finished_experiment):
    (finished_experiment / "results" / "notes.txt").write_text("mine")
    assert find_finished(finished_experiment, None, VERSION)


def test_an_image_that_changes_during_a_run_is_seen(finished_experiment, monkeypatch):
    image = next((finished_experiment / "images").iterdir())
    module = importlib.import_module("rgbtrack.pipeline.runs")
    report = module._write_report

    def meanwhile(*given):
        report(*given)
        change_byte(image)

    monkeypatch.setattr(module, "_write_report", meanwhile)
    monkeypatch.setattr("rgbtrack.report.write.CHAPTERS", ())
    run(finished_experiment, workers=1)
    rgbtrack.fingerprints._sha256_of.cache_clear()  # the next command is another process
    assert find_finished(finished_experiment, None, VERSION) is None


def test_a_stage_alone_takes_the_stamp_away(finished_experiment):
    run(finished_experiment, workers=1, steps=("segment",))
    assert not (finished_experiment / "results" / STAMP).exists()


def test_the_command_says_the_same_and_loads_no_library(finished_experiment):
    command = [sys.executable, "-X", "importtime", "-m", "rgbtrack", "run", str(finished_experiment)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    first, second = done.stdout.splitlines()
    assert first.startswith("4 images, ")
    assert second == f"open {finished_experiment / 'results' / 'report.html'}"
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "import time" in line}
    assert not {"numpy", "pandas", "matplotlib", "rgbtrack.pipeline"} & loaded
    assert seconds < 60
