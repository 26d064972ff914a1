"""Speed of review: what a person waits for in the window, the plot of all cells, and colours of cells.

    python benchmarks/bench_review.py [--cells 250000] [--repeats 9] [--only window]

The window shows results of a small experiment, copied until there are so many cells in many images, and all
in one image; then a quarter of them in one image, which is no longer too large for colours of their own.

Starts a virtual screen (Xvfb). Medians of the repeats, in ms: of wall time, of this process's own, which
draws in several threads what a graphics card would, and of its first thread's own, in which the window waits.
On a machine that does other work the latter two are the measure. A step ends when its picture is on the
screen; "nothing changed, drawn again" is what drawing takes of it.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from rgbtrack.files import read_json, read_table, write_json, write_labels, write_table
from rgbtrack.simulate import PRESETS

MARKERS = ("red", "green", "blue")


def make_cells(n: int, n_clones: int = 40, seed: int = 0) -> pd.DataFrame:
    """Cells of clones of uneven size, with as many columns as a run writes."""
    rng = np.random.default_rng(seed)
    clone = 1 + np.minimum(rng.geometric(0.08, n) - 1, n_clones - 1)
    means = rng.exponential(500, (n_clones, 3)) * (rng.random((n_clones, 3)) < 0.7) + 20
    light = means[clone - 1] * rng.lognormal(0, 0.4, (n, 1)) * rng.lognormal(0, 0.1, (n, 3))
    light += rng.normal(0, 5, (n, 3))
    cells = pd.DataFrame(light, columns=list(MARKERS))
    share = np.clip(light, 0, None) / np.maximum(np.clip(light, 0, None).sum(axis=1, keepdims=True), 1e-9)
    for k, name in enumerate(MARKERS):
        cells[f"{name}_se"], cells[f"{name}_fraction"] = 5.0, share[:, k]
    further = {f"number_{k}": rng.random(n) for k in range(30)}
    called = pd.array(clone, "Int64")
    called[rng.random(n) < 0.05] = pd.NA
    return cells.assign(
        brightness=light.sum(axis=1),
        clone=called,
        clone_probability=rng.beta(8, 1, n),
        image_id=pd.Categorical.from_codes(rng.integers(0, 50, n), [f"image_{k}" for k in range(50)]),
        doublet=rng.random(n) < 0.02,
        **further,
    )


def colour_times(n: int, repeats: int = 9) -> None:
    """Print how long each way to colour the cells takes."""
    from napari_rgbtrack.colouring import colour_cells

    cells = make_cells(n)
    for by in ("clone", "clone (colour-blind safe)", "mean colour", "clone_probability", "doublet"):
        report(f"colours by {by}", lambda by=by: colour_cells(cells, by), repeats)


def plot_times(n: int, repeats: int = 9) -> None:
    """Print how long the plot takes to show cells, colours and selections, and to find cells in a lasso."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    from napari_rgbtrack.colouring import colour_cells
    from napari_rgbtrack.plot_canvas import COLUMNS, ColourPlot

    app = QApplication.instance() or QApplication([])
    cells = make_cells(n)
    rgb = colour_cells(cells, "clone").rgb
    plot = ColourPlot()
    plot.resize(460, 560)
    plot.set_cells(cells, rgb)
    plot.show()
    some = [np.random.default_rng(k).random(n) < 0.5 for k in range(2)]
    none, turn = np.zeros(n, bool), iter(range(10**9))

    def drawn(act: Callable[[], object]) -> Callable[[], None]:
        def step() -> None:
            act()
            app.processEvents()

        return step

    def lasso() -> None:
        canvas, mouse = plot.canvas, Qt.MouseButton.LeftButton
        turns = np.linspace(0, 2 * np.pi, 60)
        radius = 0.35 * min(canvas.width(), canvas.height())
        line = [
            canvas.rect().center() + QPoint(int(radius * np.cos(t)), int(radius * np.sin(t))) for t in turns
        ]
        QTest.mousePress(canvas, mouse, Qt.KeyboardModifier.NoModifier, line[0])
        for point in line[1:]:
            QTest.mouseMove(canvas, point)
        app.processEvents()
        chosen.clear()
        start.append(clocks())
        QTest.mouseRelease(canvas, mouse, Qt.KeyboardModifier.NoModifier, line[-1])
        app.processEvents()
        taken.append(since(start[-1]))

    def show_chosen(rows: np.ndarray, _: bool) -> None:
        mask = none.copy()
        mask[rows] = True
        chosen.append(int(mask.sum()))
        plot.set_selection(mask)

    chosen: list[int] = []
    start: list[tuple[float, ...]] = []
    taken: list[tuple[float, ...]] = []
    plot.selected.connect(show_chosen)
    for view in (0, 1):
        plot.view.setCurrentIndex(view)
        plot.view.activated.emit(view)
        name = "columns" if plot.view.currentText() == COLUMNS else "triangle"
        for _ in range(3):
            app.processEvents()
        report(f"{name}: set_cells", drawn(lambda: plot.set_cells(cells, rgb)), repeats)
        report(f"{name}: set_colours", drawn(lambda: plot.set_colours(rgb)), repeats)
        report(
            f"{name}: set_selection of half", drawn(lambda: plot.set_selection(some[next(turn) % 2])), repeats
        )
        report(f"{name}: set_shown, half", drawn(lambda: plot.set_shown(some[next(turn) % 2])), repeats)
        plot.set_shown(None)
        report(f"{name}: a zoom", drawn(lambda: plot.canvas._zoom_by(0.99)), repeats)
        plot.canvas.show_all()
        app.processEvents()
        taken.clear()
        for _ in range(repeats):
            lasso()
        tell(f"{name}: lasso of {chosen[-1]:,} to picture", taken)
    plot.close()


def many_images(small: Path, folder: Path, n_cells: int) -> Path:
    """Results of a small experiment, copied as other images of it until there are so many cells."""
    shutil.copytree(small, folder)
    shutil.rmtree(folder / ".parts" / "called")
    cells, told = read_table(small / "cells.parquet"), read_json(small / "run.json")
    copies = -(-n_cells // len(cells))
    tables, images = [], {}
    for k in range(copies):
        tables.append(cells.assign(image_id=cells["image_id"].astype("str") + f"_{k}"))
        for name, record in told["images"].items():
            images[f"{name}_{k}"] = record
            (folder / "labels" / f"{name}_{k}.tif").hardlink_to(small / "labels" / f"{name}.tif")
    write_table(folder / "cells.parquet", pd.concat(tables, ignore_index=True))
    write_json(folder / "run.json", told | {"images": images})
    return folder


def one_image(small: Path, folder: Path, n_cells: int, pitch: int = 16) -> Path:
    """The same with all cells in one image: discs on a grid."""
    shutil.copytree(small, folder)
    shutil.rmtree(folder / ".parts" / "called")
    cells, told = read_table(small / "cells.parquet"), read_json(small / "run.json")
    side = int(np.ceil(np.sqrt(n_cells)))
    y, x = np.mgrid[:pitch, :pitch] - pitch / 2 + 0.5
    disc = np.hypot(y, x) < 0.4 * pitch
    numbers = np.arange(1, side**2 + 1, dtype=np.uint32).reshape(side, side)
    labels = np.kron(numbers, np.ones((pitch, pitch), np.uint32)) * np.tile(disc, (side, side))
    name = next(iter(told["images"]))
    rows = cells.iloc[np.arange(side**2) % len(cells)].reset_index(drop=True)
    place = (np.indices((side, side)).reshape(2, -1) + 0.5) * pitch
    um = told["images"][name]["pixel_size_um"]
    rows = rows.assign(image_id=name, cell=np.arange(1, side**2 + 1), y_um=place[0] * um, x_um=place[1] * um)
    write_table(folder / "cells.parquet", rows)
    write_labels(folder / "labels" / f"{name}.tif", labels[None, None])
    record = told["images"][name] | {"paths": []}  # the picture is not what is timed
    write_json(folder / "run.json", told | {"images": {name: record}})
    return folder


def window_times(n: int, repeats: int = 9) -> None:
    """Print how long the review window takes to open, to show what is chosen, and to make a correction."""
    from rgbtrack import run, simulate_experiment

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = Path(folder) / "small"
        params = PRESETS["sample"].model_copy(update={"size_px": 256})
        simulate_experiment(small, params, subjects=2, timepoints=(0, 7), seed=1)
        run(small, small / "results")
        for make, name, cells in (
            (many_images, "many images", n),
            (one_image, "one image", n),
            (one_image, "a quarter", n // 4),
        ):
            results = make(small / "results", Path(folder) / name, cells)
            window_steps(results, name, repeats)


def window_steps(results: Path, name: str, repeats: int) -> None:
    """Print the times of one results folder in a window."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_rgbtrack.review import review_panel, show_review
    from napari_rgbtrack.state import open_review

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1300, 850)
    start = clocks()
    review = open_review(results)
    desk = show_review(viewer, review)
    stops: list[tuple[float, ...]] = []

    def settle() -> None:
        stops.clear()
        while True:
            is_idle, before = desk.is_idle, clocks()
            QApplication.processEvents()
            stops.append(since(before))
            if is_idle:
                break
            time.sleep(0.001)

    settle()
    tell(f"{name}: from folder to window", [since(start)])
    cells, turn = len(review.cells), iter(range(10**9))
    some = [np.flatnonzero(np.random.default_rng(k).random(cells) < 0.5) for k in range(2)]

    def drawn(act: Callable[[], object]) -> Callable[[], None]:
        def step() -> None:
            act()
            QApplication.processEvents()

        return step

    shown = desk.rows_of(desk.image_id)
    canvas = viewer.window._qt_viewer.canvas
    steps = {
        "nothing changed, drawn again": lambda: (
            canvas._scene_canvas.update(),
            review_panel(viewer).plot.canvas.update(),
        ),
        "a cell chosen, to picture": lambda: desk.choose([shown[next(turn) % len(shown)]]),
        "half of the cells chosen, to picture": lambda: desk.choose(some[next(turn) % 2]),
        "a clone chosen, to picture": lambda: desk.choose_clones([1 + next(turn) % 2]),
        "other colours, to picture": lambda: desk.colour_by(("snr", "clone_probability")[next(turn) % 2]),
    }
    for what, act in steps.items():
        report(f"{name}: {what}", drawn(act), repeats)
    desk.choose([int(shown[0])])
    acts = {"a cell unassigned": "unassign", "undone": "", "two clones merged": "merge"}
    for what, act in acts.items():
        desk.clones = [1, 2] if act == "merge" else []
        start = clocks()
        if act:
            desk.act(act)
        else:
            desk.undo()
        settle()
        tell(f"{name}: {what} (in a thread)", [since(start)])
        tell(f"{name}: ... the longest stop of the window", [max(stops, key=lambda stop: stop[-1])])
    review_panel(viewer).detach()
    viewer.close()


def report(name: str, act: Callable[[], object], repeats: int) -> None:
    """Print the median time of a step."""
    act()
    times = []
    for _ in range(repeats):
        start = clocks()
        act()
        times.append(since(start))
    tell(name, times)


def clocks() -> tuple[float, ...]:
    """The time by the clock, and the processor time of this process and of this thread, in s."""
    return time.perf_counter(), time.process_time(), time.thread_time()


def since(start: tuple[float, ...]) -> tuple[float, ...]:
    """What went by since `clocks`."""
    return tuple(now - then for now, then in zip(clocks(), start, strict=True))


def tell(name: str, times: list[tuple[float, ...]]) -> None:
    """Print one line."""
    numbers = (1e3 * median(part) for part in zip(*times, strict=True))
    print(f"{name:50}", *(f"{number:7.1f}" for number in numbers), flush=True)


@contextmanager
def virtual_screen() -> Iterator[None]:
    """Run on an X screen that nobody sees."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        display = told.readline().strip()
    os.environ.update(DISPLAY=f":{display}", QT_QPA_PLATFORM="xcb", LIBGL_ALWAYS_SOFTWARE="1")
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Print one line per step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=250_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", choices=("colours", "plot", "window"))
    options = parser.parse_args()
    print(f"{options.cells:,} cells{'':36} wall ms  own ms  thread ms")
    if options.only in (None, "colours"):
        colour_times(options.cells, options.repeats)
    with virtual_screen():
        if options.only in (None, "plot"):
            plot_times(options.cells, options.repeats)
        if options.only in (None, "window"):
            window_times(options.cells, options.repeats)


if __name__ == "__main__":
    main()
