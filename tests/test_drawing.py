"""Figures written in other processes."""

import os

import numpy as np
import pytest

from rgbtrack.pipeline.drawing import drawing
from rgbtrack.pipeline.processes import Processes
from rgbtrack.plot.style import log_scale, new_figure, percent, save_figure, style


def figures():
    """One of each thing that once could not be sent to another process, and cells as a cloud."""
    rng = np.random.default_rng(0)
    with style():
        shares, levels, cloud = (new_figure(3, 2) for _ in range(3))
        axes = shares.subplots()
        axes.plot([1, 30, 800], [0.1, 0.5, 0.9])
        percent(axes)
        log_scale(axes, "x", "{:,.0f}".format)
        axes = levels.subplots()
        axes.clabel(axes.contour(rng.random((5, 5))), fmt="%.0f%%")
        cloud.subplots().scatter(*rng.random((2, 500)), c=rng.random(500), label="cells")
    return {"shares": shares, "levels": levels, "cloud": cloud}


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_figures_are_the_same_bytes_from_other_processes(tmp_path, drawn):
    with drawn():
        for name, figure in figures().items():
            save_figure(figure, tmp_path / "here", name)
    for workers in (1, 2):
        with drawn(), Processes(workers) as crew, drawing(crew) as save:
            for name, figure in figures().items():
                save(figure, tmp_path / str(workers), name)
        assert files(tmp_path / str(workers)) == files(tmp_path / "here")
    assert len(files(tmp_path / "2")) == 6


def test_a_process_that_dies_costs_no_figure(tmp_path, drawn):
    with drawn(), Processes(2) as crew, drawing(crew) as save:
        crew.submit(os._exit, 1)
        for name, figure in figures().items():
            save(figure, tmp_path, name)
    assert len(files(tmp_path)) == 6


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "figures").write_text("a file")
    with Processes(2) as crew, pytest.raises(FileExistsError), drawing(crew) as save:
        save(figures()["cloud"], tmp_path / "figures", "cloud")


def test_a_fault_meanwhile_leaves_no_process(tmp_path, monkeypatch):
    ended = []
    monkeypatch.setattr(Processes, "end", lambda crew: ended.append(crew))
    crew = Processes(2)
    with pytest.raises(ZeroDivisionError), drawing(crew):
        raise ZeroDivisionError
    assert ended == [crew]
