"""A run with its progress, a cancel, and what came of it: for every panel that starts one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_rgbtrack.background import Running, run_in_background
from napari_rgbtrack.parts import button, coloured, row, words

DOING = {
    "batches": "looking at what images share",
    "images": "images",
    "clones": "finding clones",
    "report": "writing the report",
}
"""What a run tells that it does, in words."""


class RunBar(QWidget):
    """Buttons to run, cancel and open the report.

    Parameters
    ----------
    title, tip
        Of the button that runs.
    what
        Experiment and results folder (None: beside it); raises RgbtrackError where there is none.
    done
        Called with the results folder after a run.
    told
        Called with words, and whether they are of trouble.
    """

    def __init__(
        self,
        title: str,
        tip: str,
        what: Callable[[], tuple[Path, Path | None]],
        done: Callable[[Path], Any],
        told: Callable[[str, bool], Any],
    ) -> None:
        super().__init__()
        self.what, self.done, self.told = what, done, told
        self.running: Running | None = None
        self.results: Path | None = None
        self.run = button(title, self.start, tip, "run")
        self.cancel = button("Cancel", self.stop, "The run can be taken up again later", "cancel")
        self.report = button("Open report", self.open_report, "In the browser", "report")
        self.bar, self.warned = QProgressBar(), words()
        self.bar.hide()
        self.cancel.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        line = row(self.run, self.cancel, self.report)
        self.buttons: Any = line.layout()
        layout.addWidget(line)
        layout.addWidget(self.bar)
        layout.addWidget(self.warned)

    def start(self) -> None:
        """Run in a process of its own."""
        from rgbtrack.errors import RgbtrackError

        try:
            experiment, out = self.what()
        except RgbtrackError as error:
            self.told(str(error), True)
            return
        self.warned.setText("")
        try:
            self.running = run_in_background(experiment, out, self._progress, self._done, self._failed)
        except OSError as error:
            self.told(f"the run cannot be started: {error.strerror or error}", True)
            return
        self._set_running(True)
        self.told("starting ...", False)
        self.destroyed.connect(self.running.cancel)

    def stop(self) -> None:
        """End the run; the next goes on from what was done."""
        if self.running is not None:
            self.running.cancel()
            self._set_running(False)
            self.told("cancelled: the next run goes on from what was done", False)

    def open_report(self) -> None:
        """Show the report in the browser."""
        import webbrowser

        path = None if self.results is None else self.results / "report.html"
        if path is not None and path.is_file():
            webbrowser.open(path.resolve().as_uri())
        else:
            self.told("there is no report yet: make it with the button beside", True)

    def _set_running(self, runs: bool) -> None:
        self.run.setEnabled(not runs)
        self.cancel.setEnabled(runs)
        self.bar.setVisible(runs)
        self.bar.setRange(0, 0)
        if not runs:
            self.running = None

    def _progress(self, what: str, n: int, total: int) -> None:
        self.bar.setRange(0, total if total > 1 else 0)  # of one thing nobody knows how far it is
        self.bar.setValue(n)
        doing = DOING.get(what, what)
        self.bar.setFormat(f"{doing}: {n} of {total}")
        self.told(f"{doing}: {n} of {total}" if total > 1 else f"{doing} ...", False)

    def _done(self, results: Path, failed: dict[str, str], warned: list[str]) -> None:
        self._set_running(False)
        self.results = results
        told = [f"{name} failed: {why}" for name, why in failed.items()] + warned
        self.warned.setText(coloured("\n".join(told), trouble=True))
        lines = [f"the report is made: {results / 'report.html'}"]
        if failed:
            lines.append(f"{len(failed)} image{'s' * (len(failed) > 1)} failed, see below")
        self.told("\n".join(lines), bool(failed))
        self.done(results)

    def _failed(self, error: str) -> None:
        self._set_running(False)
        self.told(error, True)
