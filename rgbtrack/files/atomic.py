"""Files that are whole or not there, and what names their content."""

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from rgbtrack.errors import DataError


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


def sha256(path: str | Path) -> str:
    """Checksum of a file, or of all files of a folder and their names."""
    path = Path(path)
    if not path.is_dir():
        now = path.stat()
        return _sha256_of(path, now.st_size, now.st_mtime_ns)
    whole = hashlib.sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{part.relative_to(path).as_posix()}\0{sha256(part)}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, size: int, mtime_ns: int) -> str:
    """Checksum of a file in this state: those of many scenes are read once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


KnownBy = Literal["content", "size_and_time"]
"""How a file is known to be the same as before."""


def fingerprint(path: str | Path, by: KnownBy = "content") -> str:
    """What tells whether a file or folder is the same as before: checksum, or size and time of change."""
    if by == "content":
        return sha256(path)
    path = Path(path)
    there = [file.stat() for file in (path.rglob("*") if path.is_dir() else [path])]
    latest = max((one.st_mtime_ns for one in there), default=0)
    return f"{sum(one.st_size for one in there)} bytes of {latest}"


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
