"""Corrections and audits made by hand, as the report shows them."""

from collections.abc import Hashable
from typing import Any

from rgbtrack.files import read_table
from rgbtrack.report.results import Results
from rgbtrack.tables import AUDITS, REVIEW

STATUS = {
    "applied": "made",
    "partly": "made in part",
    "nothing": "holds already",
    "conflict": "not made",
    "undone": "taken back",
}
LOOKED_AT = (
    "The model's figure is higher where founders share a colour: a look at a cell tells its colour, not its "
    "founder."
)


def review_rows(results: Results) -> list[dict[Hashable, Any]]:
    """One row for each correction by hand: what it was, what came of it, and what it overrules.

    Verdicts are told as an audit.
    """
    path = results.folder / "review.csv"
    if not path.is_file():
        return []
    table = REVIEW.check(read_table(path))
    table = table[table["action"] != "verdict"]
    table = table.astype("object").where(table.notna(), "")
    return [
        row | {"status_words": STATUS.get(row["status"], row["status"])} for row in table.to_dict("records")
    ]


def audit_words(results: Results) -> list[str]:
    """What each audit came to, by its name where there are several."""
    path = results.folder / "audit.csv"
    if not path.is_file():
        return []
    table = AUDITS.check(read_table(path))
    named = len(table) > 1
    told = [
        f"{audit}: {words}" if named else str(words)
        for audit, words in zip(table["audit"], table["words"], strict=True)
    ]
    return [*told, LOOKED_AT] if table["expected_error"].notna().any() else told
