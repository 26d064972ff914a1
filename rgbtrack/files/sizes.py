"""What a header claims, held against what its file can hold, before anything is allocated."""

from pathlib import Path

from rgbtrack.errors import DataError

SLACK = 4096
"""Bytes by which a small file may claim more."""


def check_claim(path: Path, claimed: int, most: float) -> None:
    """Raise a `DataError` if a header claims more bytes than its file can hold.

    Parameters
    ----------
    path
        The file, or a folder of them.
    claimed
        Bytes of what is in it, once unpacked.
    most
        How many times smaller they can be packed: 1 for what is not.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    if claimed > size * most + SLACK:
        raise DataError(
            f"{path}: the header tells of {claimed:,} bytes, the file holds {size:,}: it is truncated or "
            "damaged"
        )
