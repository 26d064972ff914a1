import importlib
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from matplotlib.figure import Figure

from rgbtrack import CorrectParams, Stack, cli, correct_stack, run, simulate_experiment, simulate_scene
from rgbtrack.simulate import PRESETS, Scene

MARKERS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}


@dataclass(frozen=True)
class Corrected:
    """A simulated scene and its corrected stack."""

    scene: Scene
    stack: Stack


def correct_scene(scene: Scene, params: CorrectParams = CorrectParams()) -> Corrected:
    """Name the scene's channels as markers and correct them, bleed-through attached."""
    order = list(MARKERS.values())
    names = list(MARKERS)
    matrix = scene.bleed_through.loc[order, order].set_axis(names).set_axis(names, axis=1)
    return Corrected(scene, correct_stack(scene.stack.select(MARKERS), params, bleed_through=matrix))


@pytest.fixture(scope="session")
def corrected():
    """Make a corrected scene from a preset's name or settings: ``corrected("sparse", seed=3)``."""
    known = {}

    def make(preset, *, seed: int = 0) -> Corrected:
        key = (str(preset), seed)
        if key not in known:
            known[key] = correct_scene(simulate_scene(preset, seed=seed))
        return known[key]

    return make


@pytest.fixture(scope="session")
def sparse(corrected) -> Corrected:
    """A sparse, bright field of RGB-marked cells."""
    return corrected("sparse", seed=3)


@pytest.fixture
def rgbtrack(monkeypatch, capfd):
    """Call the command line in this process: exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["rgbtrack", *map(str, arguments)])
        try:
            with warnings.catch_warnings():
                cli.main()
            code = 0
        except SystemExit as leave:
            code = leave.code or 0
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


@pytest.fixture(scope="session", autouse=True)
def drawn():
    """Context in which figures are drawn: ``with drawn(): ...``; elsewhere they are written, but empty.

    To draw them takes most of the time of a run.
    """
    draw = Figure.savefig

    @contextmanager
    def drawing():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Figure, "savefig", draw)
            yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _save_nothing)
        yield drawing


def _save_nothing(figure, path, **settings):
    Path(path).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")


@pytest.fixture(scope="session", autouse=True)
def one_worker():
    """Runs that ask for no number of workers have one: to start another takes longer than small images."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("pool", "processes"):
            module = importlib.import_module(f"rgbtrack.pipeline.{name}")
            patch.setattr(module, "available_workers", lambda: 1)
        yield


@pytest.fixture
def quick_runs(monkeypatch):
    """Reports without pictures of clones and chapters on dynamics, for tests that ask for neither."""
    monkeypatch.setattr("rgbtrack.report.write.CHAPTERS", ())
    monkeypatch.setattr("rgbtrack.report.write.draw_figures", lambda *_: {})


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, worker_id):
    """A folder that is made once for all processes of the tests: ``shared_folder(name, make)``."""
    own = tmp_path_factory.getbasetemp()
    root = (own if worker_id == "master" else own.parent) / "shared"
    root.mkdir(exist_ok=True)

    def get(name, make):
        folder = root / name
        with FileLock(root / f"{name}.lock"):
            if not (root / f"{name}.made").exists():
                make(folder)
                (root / f"{name}.made").touch()
        return folder

    return get


@pytest.fixture(scope="session")
def small_experiment(shared_folder):
    """A simulated experiment of eight small images, to be copied before it is changed."""
    params = PRESETS["sample"].model_copy(update={"size_px": 160, "n_clones": 4, "packing": 0.35})
    return shared_folder(
        "small", lambda folder: simulate_experiment(folder, params, subjects=2, timepoints=(0, 7), seed=1)
    )


@pytest.fixture(scope="session")
def finished(small_experiment, shared_folder):
    """Results of the small experiment, to be copied before they are changed."""
    return shared_folder("finished", lambda results: run(small_experiment, results, workers=1))
