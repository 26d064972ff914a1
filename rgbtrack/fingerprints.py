"""What names the content of files."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Literal


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
