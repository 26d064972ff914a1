"""Names from data that become names of files."""

import re
from collections.abc import Iterable

from rgbtrack.errors import DataError

WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))}
LONGEST = 150


def name_problems(name: str) -> list[str]:
    """Say why a name cannot be a file name everywhere.

    >>> name_problems("con")
    ['is a name that Windows keeps for itself: give another']
    """
    why = []
    if re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]', name):
        why.append('holds a character that file names cannot have (/ \\ : * ? " < > |): give a plain name')
    elif name.startswith(".") or name.endswith((".", " ")):
        why.append("starts or ends with a dot: give a plain name")
    elif name.split(".")[0].casefold() in WINDOWS_DEVICES:
        why.append("is a name that Windows keeps for itself: give another")
    if len(name.encode()) > LONGEST:
        why.append(f"is longer than {LONGEST} bytes: give a shorter name in the column image_id")
    return why


def check_names(names: Iterable[str]) -> None:
    """Raise a `DataError` for image ids of a table or a note that would lead a file to another folder."""
    for name in names:
        for why in name_problems(name):
            raise DataError(f"image_id {name!r} {why}")
