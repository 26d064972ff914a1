"""Files that are whole or not there, and what names their content."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rgbtrack.errors import DataError
from rgbtrack.fingerprints import fingerprint


def write_atomically(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all: beside its place, to disk, then moved there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def has_changed(path: str | Path, was: str) -> bool:
    """Whether a file is not the one of a fingerprint."""
    return fingerprint(path, "size_and_time" if " bytes of " in was else "content") != was


def write_folder_atomically(
    path: str | Path, write: Callable[[Path], Any], ours: Callable[[Path], bool]
) -> None:
    """Write a folder whole or not at all: beside its place, then moved there.

    Parameters
    ----------
    path
        The folder; one that is there is replaced.
    write
        Makes the folder whose path it is given, and fills it.
    ours
        Whether a folder that is there holds what is written, and nothing else that would be lost.

    Raises
    ------
    DataError
        If something else is there.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and (ours(path) or not any(path.iterdir()))):
        raise DataError(f"{path} is there and holds something else: give a folder of another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    new, old = (path.with_name(f".{os.getpid()}.{what}.{path.name}") for what in ("new", "old"))
    try:
        write(new)
        if path.exists():
            path.replace(old)
        new.replace(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
