"""What was done: every correction of review.jsonl, what came of it, and the way on to a new report."""

from pathlib import Path

from qtpy.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QProgressBar, QVBoxLayout, QWidget

from napari_rgbtrack.background import Running, run_in_background
from napari_rgbtrack.desk import Desk
from napari_rgbtrack.parts import button, row, words
from napari_rgbtrack.state import history


class ActsPanel(QWidget):
    """The list of corrections, a note for the next, and the run that makes them."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.note = QLineEdit()
        self.note.setObjectName("note")
        self.note.setPlaceholderText("why: kept with each correction, until you change it")
        self.note.textChanged.connect(lambda text: desk.settings.update(note=text.strip() or None))
        self.list = QListWidget()
        self.list.setObjectName("corrections")
        self.list.setWordWrap(True)
        self.told, self.warned = words(), words()
        self.bar = QProgressBar()
        self.bar.hide()
        self.run = button(
            "Make corrections and renew the report",
            self.renew_report,
            "Runs the experiment: only what the corrections changed is done again",
            "run",
        )
        self.cancel = button("Cancel", self._cancel, "The run can be taken up again later", "cancel")
        self.cancel.setEnabled(False)
        self.report = button("Open report", self.open_report, "In the browser", "report")
        self._running: Running | None = None
        layout = QVBoxLayout(self)
        layout.addWidget(row("Note", self.note))
        layout.addWidget(self.list, 1)
        layout.addWidget(self.told)
        layout.addWidget(row(self.run, self.cancel, self.report))
        layout.addWidget(self.bar)
        layout.addWidget(self.warned)
        desk.changed.connect(self.renew)
        self.renew()

    def renew(self) -> None:
        """List the corrections, the last first."""
        review = self.desk.review
        done, _ = history(review.corrections)
        came = review.outcomes.set_index("id").to_dict("index") if len(review.outcomes) else {}
        self.list.clear()
        for correction in reversed(review.corrections):
            outcome = came.get(correction.id, {"status": "", "outcome": ""})
            mark = "●" if correction.id in done else "○"
            text = f"{mark} {correction.when[11:16]}  {correction.said or correction.action}"
            item = QListWidgetItem(f"{text} — {outcome['status']}" if outcome["status"] else text)
            item.setToolTip(f"{outcome['outcome']}\n{correction.note or ''}\n{correction.id}".strip())
            self.list.addItem(item)
        n = review.n_waiting
        self.told.setText(
            f"{n} act{'s' * (n > 1)} since the last run: kept in {review.file.name}, not yet in the report."
            if n
            else "The report holds every correction."
        )

    def renew_report(self) -> None:
        """Run the experiment in a process of its own, then read its results."""
        review = self.desk.review
        experiment = review.run.get("experiment", "")
        self.run.setEnabled(False)
        self.cancel.setEnabled(True)
        self.bar.show()
        self.bar.setRange(0, 0)
        self._running = run_in_background(
            experiment, review.results, self._progress, self._finished, self._failed
        )

    def open_report(self) -> None:
        """Show the report in the browser."""
        import webbrowser

        path = self.desk.review.results / "report.html"
        if path.is_file():
            webbrowser.open(path.resolve().as_uri())
        else:
            self.desk.told.emit(f"{path} is not there yet: make it with the button beside", True)

    def _progress(self, what: str, n: int, total: int) -> None:
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(n)
        self.bar.setFormat(f"{what}: {n} of {total}")

    def _stop(self) -> None:
        self._running = None
        self.run.setEnabled(True)
        self.cancel.setEnabled(False)
        self.bar.hide()

    def _cancel(self) -> None:
        if self._running is not None:
            self._running.cancel()
            self._stop()
            self.desk.told.emit("cancelled: the next run goes on from what was done", False)

    def _finished(self, results: Path, failed: dict[str, str], warned: list[str]) -> None:
        self._stop()
        words = [f"{name} failed: {why}" for name, why in failed.items()] + warned
        self.warned.setText("\n".join(words))
        self.desk.told.emit(f"the report is renewed: {results / 'report.html'}", bool(failed))
        self.desk.reload()

    def _failed(self, error: str) -> None:
        self._stop()
        self.desk.told.emit(error, True)
