"""Figures written in worker processes, while this one makes the next."""

from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from rgbtrack.pipeline.processes import Processes
from rgbtrack.plot.style import Save, save_figure


@contextmanager
def drawing(crew: Processes) -> Iterator[Save]:
    """Yield what writes figures, as `rgbtrack.plot.save_figure` does; all are there at the end."""
    if crew.n == 1:
        yield save_figure
        return
    begun: list[tuple[Future[object], tuple[Figure, Path, str]]] = []

    def save(figure: Figure, folder: Path, name: str) -> None:
        try:
            begun.append((crew.submit(save_figure, figure, folder, name), (figure, folder, name)))
        except BrokenProcessPool:
            save_figure(figure, folder, name)

    try:
        yield save
        for written, figure in begun:
            try:
                written.result()
            except BrokenProcessPool:  # most often for want of memory: one at a time may do
                save_figure(*figure)
    except BaseException:
        crew.end()
        raise
