"""Every notebook runs from top to bottom."""

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from rgbtrack import run

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_S = 600


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_readme_lists_every_notebook():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [path.name for path in NOTEBOOKS if f"](notebooks/{path.name})" not in text]


@contextmanager
def alone(folder):
    """Only one of several test processes at a time; a process that died is waited for in vain."""
    began = time.monotonic()
    while True:
        try:
            folder.mkdir()
            break
        except FileExistsError:
            assert time.monotonic() - began < LONGEST_S, f"{folder} was left by a process that died"
            time.sleep(0.2)
    try:
        yield
    finally:
        folder.rmdir()


@pytest.fixture(scope="session")
def sample_results(tmp_path_factory):
    """Results of the sample experiment, run once for all test processes."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    experiment = shared / "sample_data"
    with alone(shared / "sample_data.lock"):
        if not (experiment / "results" / "report.html").exists():
            shutil.copytree(ROOT / "sample_data", experiment, ignore=shutil.ignore_patterns("results"))
            run(experiment)
    return experiment / "results"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_notebook_runs(path, sample_results, tmp_path, monkeypatch):
    ignore = shutil.ignore_patterns("results")
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data", ignore=ignore)
    shutil.copytree(sample_results, tmp_path / "sample_data" / "results")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": os.fspath(tmp_path / "notebooks")}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    said = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert not said, f"it warns: {said}"
    assert all(not cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells), (
        "commit it without outputs"
    )
