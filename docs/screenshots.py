"""Pictures of the windows for the documentation, from the sample experiment and its results.

python docs/screenshots.py sample_data/experiment.toml sample_data/results docs/images

Needs a screen: on a machine without one, put `xvfb-run -s "-screen 0 1400x900x24"` before it.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from napari_rgbtrack.review import review_panel, show_review
from napari_rgbtrack.state import open_review

COLOURS = 256


def picture_review(results: Path, folder: Path) -> None:
    """Open the results, choose something in each tab, and save what is seen."""
    viewer = new_window()
    desk = show_review(viewer, open_review(results))
    panel = review_panel(viewer)
    wait(lambda: desk.is_idle, 1.5)
    desk.choose_clones([2])
    wait(lambda: desk.is_idle, 0.5)
    save(viewer, folder / "review_clones.png")
    row = desk.rows_of(desk.image_id)[
        np.argmax(~desk.review.cells["touches_border"].iloc[desk.rows_of(desk.image_id)])
    ]
    desk.choose([row])
    panel.tabs.setCurrentIndex(1)
    wait(lambda: desk.is_idle, 0.5)
    save(viewer, folder / "review_cell.png")
    panel.detach()
    viewer.close()


def picture_setup(experiment: Path, folder: Path) -> None:
    """Open the experiment, let its settings be tried, change one, and save what is seen."""
    viewer = new_window()
    _, panel = viewer.window.add_plugin_dock_widget("rgbtrack", "Set up and run")
    panel.open(experiment)
    wait(lambda: panel.jobs.is_idle and not panel._pause.isActive(), 2)
    panel.forms["segment"].fields["min_snr"].setText("8")
    wait(lambda: panel.jobs.is_idle and not panel._pause.isActive(), 2)
    save(viewer, folder / "set_up.png")
    panel.run.stop()
    viewer.close()


def new_window() -> Any:
    """Open napari at the size of the pictures."""
    import napari

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1340, 840)
    return viewer


def wait(is_idle: Callable[[], bool], seconds: float) -> None:
    """Let the window draw for some time, and until nothing goes on."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end or not is_idle():
        QApplication.processEvents()
        time.sleep(0.01)


def save(viewer: Any, path: Path) -> None:
    """Save the window, in few colours: a picture of a page is small."""
    viewer.window._qt_window.grab().save(str(path))
    picture = Image.open(path).convert("RGB")
    # the other ways give small areas, as the colours of clones in the table, the colour of a larger one
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


if __name__ == "__main__":
    picture_setup(Path(sys.argv[1]), Path(sys.argv[3]))
    picture_review(Path(sys.argv[2]), Path(sys.argv[3]))
