"""Table of the clones: how large, how sure, where; chosen here, their cells are chosen everywhere."""

from typing import Any

import numpy as np
import pandas as pd
from qtpy.QtCore import QItemSelectionModel, QSortFilterProxyModel, Qt
from qtpy.QtGui import QColor, QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLineEdit, QTableView, QVBoxLayout, QWidget

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.parts import act_button, row, words

SORTED_BY = Qt.ItemDataRole.UserRole
DOUBTS = {
    "one_colour": "one marker only",
    "near_pair": "near another",
    "brightness_split_from": "differs by brightness only",
    "silenced_from": "may be a silenced part of another",
}
"""Flags of the clone table in a word or two."""
COLUMNS = {
    "clone": ("clone", "Number, colour, and the name that it was given"),
    "cells": ("cells", "In all images"),
    "in this image": ("here", "Cells in the image on the screen"),
    "probability": ("prob.", "Probability of its cells to be of it, on average"),
    "one founder": ("founder", "Probability that all of it descends from one founder"),
    "doubts": ("doubts", "What speaks against one clone of its own"),
}
"""What has room beside the image, with its title and what it means; all else is told when the mouse rests."""


def clone_rows(desk: Desk) -> pd.DataFrame:
    """One row per clone, with its size in all and in what the image on the screen belongs to."""
    cells, clones = desk.review.cells, desk.review.clones
    table = clones[["clone"]].copy()
    table["name"] = clones["clone_name"].fillna("").astype("str")
    table["cells"] = clones["n_cells"]
    shown = cells.iloc[desk.rows_of(desk.image_id)[:1]]
    within = {"image": "image_id", "subject": "subject", "timepoint": "timepoint"}
    for title, column in within.items():
        if column in cells.columns and len(shown):
            here = cells[column].eq(shown[column].iloc[0]).fillna(value=False)
            sizes = cells["clone"][here.to_numpy(bool)].value_counts()
            table[f"in this {title}"] = clones["clone"].map(sizes).fillna(0).astype("int64")
    table["probability"] = clones["mean_probability"].astype("float64")
    if "unique_probability" in clones.columns:
        table["one founder"] = clones["unique_probability"].astype("float64")
    flags = [name for name in DOUBTS if name in clones.columns]
    table["doubts"] = [
        ", ".join(DOUBTS[name] for name in flags if _holds(value[name]))
        for value in clones[flags].to_dict("records")
    ]
    return table


def _holds(value: Any) -> bool:
    """Whether a flag is set, or names another clone."""
    return bool(value == value and value is not None and value is not pd.NA and value is not False)


class CloneTable(QStandardItemModel):
    """The rows of `clone_rows`, with the colour of each clone before its number."""

    # Qt's own model: one in Python is asked thousands of times, and PySide loses a reference at each None

    def __init__(self) -> None:
        super().__init__()
        self.table = pd.DataFrame({"clone": []})

    def renew(self, table: pd.DataFrame) -> None:
        """Show other rows."""
        self.table = table.reset_index(drop=True)
        self.clear()
        seen = [name for name in COLUMNS if name in table.columns]
        for place, name in enumerate(seen):
            title, tip = COLUMNS[name]
            head = QStandardItem(title)
            head.setToolTip(tip)
            self.setHorizontalHeaderItem(place, head)
        for values in self.table.to_dict("records"):
            told = {name: _text(value) for name, value in values.items()}
            told["clone"] = f"{told['clone']} {told['name']}".strip()
            tip = "\n".join(f"{name}: {text}" for name, text in told.items() if text and name != "name")
            self.appendRow([_item(values[name], told[name], tip) for name in seen])

    def colour(self, colours: dict[int, Any]) -> None:
        """Show the clones in other colours."""
        for place, clone in enumerate(self.table["clone"]):
            rgb = colours.get(int(clone), (0.5, 0.5, 0.5))
            colour = QColor.fromRgbF(*(float(part) for part in rgb[:3]))
            self.item(place, 0).setData(colour, Qt.ItemDataRole.DecorationRole)


def _text(value: Any) -> str:
    """Value of the table as it is read."""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def _item(value: Any, text: str, tip: str) -> QStandardItem:
    """One cell of the table, with what it is sorted by."""
    item = QStandardItem(text)
    item.setEditable(False)
    item.setToolTip(tip)
    item.setData(value if isinstance(value, str) else float(value) if text else -1.0, SORTED_BY)
    if not isinstance(value, str):
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item


class ClonesPanel(QWidget):
    """The table, and what is done to clones."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.model = CloneTable()
        self.sorted = QSortFilterProxyModel()
        self.sorted.setSourceModel(self.model)
        self.sorted.setSortRole(SORTED_BY)
        self.view = QTableView()
        self.view.setObjectName("clones")
        self.view.setModel(self.sorted)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.verticalHeader().hide()
        self.view.setWordWrap(False)
        self.view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.view.horizontalHeader().setStretchLastSection(True)
        self.name = QLineEdit()
        self.name.setObjectName("name")
        self.name.setPlaceholderText("name of the clone")
        self.name.textChanged.connect(lambda text: desk.settings.update(name=text))
        layout = QVBoxLayout(self)
        layout.addWidget(words("Choose clones here, or double-click a cell; Ctrl-click for several."))
        layout.addWidget(self.view, 1)
        layout.addWidget(row(*(act_button(desk, name) for name in ("merge", "refit"))))
        layout.addWidget(row(self.name, act_button(desk, "rename")))
        self.view.selectionModel().selectionChanged.connect(self._chosen)
        self._follows = False
        for signal in (desk.changed, desk.shown):
            signal.connect(self.renew)
        desk.coloured.connect(self.colour)
        desk.selected.connect(self.follow)
        self.renew()

    def renew(self) -> None:
        """Show the clones as they are."""
        self._follows = True
        self.model.renew(clone_rows(self.desk))
        self._follows = False
        self.colour()
        self.follow()

    def colour(self) -> None:
        """Show the clones in the colour of their first cell."""
        first = self.desk.review.cells["clone"].drop_duplicates().dropna()
        rgb = self.desk.colouring.rgb
        self.model.colour({int(clone): rgb[int(place)] for place, clone in first.items()})  # type: ignore[call-overload]

    def follow(self) -> None:
        """Mark the clones that were chosen elsewhere."""
        self._follows = True
        chosen = self.view.selectionModel()
        chosen.clearSelection()
        numbers = self.model.table["clone"].tolist()
        for clone in self.desk.clones:
            if clone in numbers:
                index = self.sorted.mapFromSource(self.model.index(numbers.index(clone), 0))
                flags = QItemSelectionModel.SelectionFlag
                chosen.select(index, flags.Select | flags.Rows)
                self.view.scrollTo(index)
        self._follows = False

    def _chosen(self, *_: Any) -> None:
        if self._follows:
            return
        rows = {self.sorted.mapToSource(index).row() for index in self.view.selectionModel().selectedRows()}
        numbers = self.model.table["clone"].to_numpy(int)
        self.desk.choose_clones([int(numbers[place]) for place in sorted(rows)])
