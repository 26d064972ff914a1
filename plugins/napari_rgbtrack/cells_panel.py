"""The chosen cells: why each got its clone, and what is done to them."""

from typing import Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.parts import act_button, row, words
from napari_rgbtrack.why import explain_cell

REASONS = ("debris", "out of focus", "two cells in one outline", "autofluorescent", "outside of the tissue")
NO_TARGET = "choose a clone"


class CellsPanel(QWidget):
    """What is chosen, in words, and the acts on it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.about = words()
        self.target = QComboBox()
        self.target.setObjectName("target")
        self.target.currentIndexChanged.connect(self._aim)
        self.reason = QComboBox()
        self.reason.setObjectName("reason")
        self.reason.setEditable(True)
        self.reason.addItems(REASONS)
        self.reason.setCurrentIndex(-1)  # nothing is excluded for a reason that nobody chose
        line = self.reason.lineEdit()
        assert line is not None  # noqa: S101 - it is editable
        line.setPlaceholderText("choose or type why")
        self.reason.currentTextChanged.connect(lambda text: desk.settings.update(reason=text))
        desk.settings["reason"] = self.reason.currentText()
        layout = QVBoxLayout(self)
        layout.addWidget(
            words("Click a cell in the image or the plot; Shift-click for more; lasso or brush for many.")
        )
        layout.addWidget(self.about)
        layout.addWidget(row(act_button(desk, "assign"), "to", self.target, act_button(desk, "unassign")))
        layout.addWidget(row(act_button(desk, "exclude"), "because of", self.reason))
        layout.addWidget(row(act_button(desk, "split"), "as a clone of their own"))
        layout.addStretch(1)
        desk.selected.connect(self.tell)
        desk.changed.connect(self.renew)
        self.renew()

    def renew(self) -> None:
        """Offer the clones there are."""
        clones, kept = self.desk.review.clones, self.desk.settings["target"]
        self.target.blockSignals(True)
        self.target.clear()
        self.target.addItem(NO_TARGET, None)
        for clone, name in zip(clones["clone"], clones["clone_name"].fillna(""), strict=True):
            self.target.addItem(f"clone {clone} {name}".strip(), int(clone))
        self.target.setCurrentIndex(max(0, self.target.findData(kept)) if kept is not None else 0)
        self.target.blockSignals(False)
        self._aim()
        self.tell()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Tell of what was chosen while another tab was seen."""
        super().showEvent(event)
        self.tell()

    def tell(self) -> None:
        """Tell of the cell chosen, or of how many there are; not while nobody sees it."""
        if not self.isVisible():
            return
        review, rows = self.desk.review, np.flatnonzero(self.desk.chosen)
        if len(rows) == 0:
            self.about.setText("No cell is chosen.")
        elif len(rows) == 1:
            self.about.setText(explain_cell(review.cells, int(rows[0]), review.model))
        else:
            some = review.cells[["image_id", "clone"]].iloc[rows]
            sizes = some["clone"].value_counts().head(5)
            told = [f"{n:,} of clone {clone}" for clone, n in sizes.items()]
            rest = len(rows) - int(some["clone"].notna().sum())
            told += [f"{rest:,} of none"] if rest else []
            images = some["image_id"].nunique()
            self.about.setText(
                f"{len(rows):,} cells are chosen in {images} image{'s' * (images > 1)}: {', '.join(told)}"
            )

    def _aim(self) -> None:
        self.desk.settings["target"] = self.target.currentData()
