"""Widget of the menu: from a folder to its review."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_rgbtrack.jobs import in_words
from napari_rgbtrack.parts import bare, button, row, words
from napari_rgbtrack.state import Review, open_review


class StartPanel(QWidget):
    """Asks for a results folder, and opens its review in this window."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = bare(napari_viewer)
        self.told = words("Open the results of a run to look through its clones and put them right.")
        self.choose = button(
            "Open results ...", self.ask, "The folder that 'rgbtrack run' wrote", "open_results"
        )
        layout = QVBoxLayout(self)
        layout.addWidget(row(self.choose))
        layout.addWidget(self.told)
        layout.addStretch(1)
        results = _opened(self.viewer)
        if results is not None:
            self.open(results)

    def ask(self) -> None:
        """Ask for the folder."""
        folder = QFileDialog.getExistingDirectory(self, "Results of rgbtrack")
        if folder:
            self.open(Path(folder))

    def open(self, results: Path) -> None:
        """Open a results folder; what is wrong with it is told here."""
        self.choose.setEnabled(False)
        open_in(self.viewer, results, self.tell)

    def tell(self, text: str, trouble: bool) -> None:
        """Tell how it went."""
        self.choose.setEnabled(True)
        self.told.setText(text)


def open_in(viewer: Any, results: Path, told: Callable[[str, bool], Any]) -> None:
    """Read a results folder in a thread, and put its review into a viewer; how it went is told."""
    from napari.qt.threading import create_worker

    from napari_rgbtrack.review import review_panel

    before = review_panel(viewer)
    if before is not None and before.acts.run.running is not None:
        told("a run goes on in this window: wait for it, or cancel it under 'Done'", True)
        return

    def show(review: Review | str) -> None:
        from napari_rgbtrack.review import show_review

        if isinstance(review, str):
            told(review, True)
            return
        for layer in [one for one in viewer.layers if "rgbtrack" in one.metadata]:
            viewer.layers.remove(layer)
        show_review(viewer, review)
        told(f"{review.results} is open", False)

    worker = create_worker(_read, results, _start_thread=False)
    worker.returned.connect(show)
    worker.start()


def _opened(viewer: Any) -> Path | None:
    """Results folder of the layers that are open."""
    for layer in viewer.layers:
        told = layer.metadata.get("rgbtrack", {})
        if "results" in told:
            return Path(told["results"])
    return None


def _read(results: Path) -> Review | str:
    """A review, or in words why there is none."""
    try:
        return open_review(results)
    except Exception as error:
        return in_words("opening the results", error)
