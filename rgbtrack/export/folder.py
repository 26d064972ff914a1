"""Folders that an export writes: known again by what it left in them; nothing else is ever replaced."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rgbtrack.files import write_folder_atomically

WRITTEN = ".rgbtrack_export.json"
"""Names the files that an export wrote into its folder."""


def write_export(out: Path, write: Callable[[Path], Any]) -> None:
    """Write a folder whole or not at all; one that is there is replaced if an export wrote all that is in it.

    Raises
    ------
    DataError
        If something else is there.
    """

    def write_and_tell(folder: Path) -> None:
        write(folder)
        (folder / WRITTEN).write_text(json.dumps(sorted(_files(folder))), encoding="utf-8")

    write_folder_atomically(out.absolute(), write_and_tell, _is_ours)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _is_ours(folder: Path) -> bool:
    try:
        told = json.loads((folder / WRITTEN).read_text(encoding="utf-8"))
        return _files(folder) <= {*told, WRITTEN}
    except (OSError, ValueError, TypeError):
        return False
