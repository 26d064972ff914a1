"""Corrections made by hand, as the report shows them."""

from collections.abc import Hashable
from typing import Any

from rgbtrack.files import read_table
from rgbtrack.report.results import Results
from rgbtrack.tables import REVIEW

STATUS = {
    "applied": "made",
    "partly": "made in part",
    "nothing": "holds already",
    "conflict": "not made",
    "undone": "taken back",
}


def review_rows(results: Results) -> list[dict[Hashable, Any]]:
    """One row for each correction by hand: what it was, what came of it, and what it overrules."""
    path = results.folder / "review.csv"
    if not path.is_file():
        return []
    table = REVIEW.check(read_table(path))
    table = table.astype("object").where(table.notna(), "")
    return [
        row | {"status_words": STATUS.get(row["status"], row["status"])} for row in table.to_dict("records")
    ]
