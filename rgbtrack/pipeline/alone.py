"""One run at a time in a results folder, and nothing left there of one that was killed."""

import datetime
import os
import platform
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import read_json, write_json
from rgbtrack.pipeline.task import PARTS

TORN = re.compile(r"\.\d+\.(?:new\.|old\.)?\w")
"""Names under which files are written before they are whole."""


@contextmanager
def alone_in(results: Path) -> Iterator[None]:
    """Hold a results folder, so that no other run writes there; what a killed run left unfinished goes.

    The system lets go of the lock when the process ends, however it ends.

    Raises
    ------
    ParamError
        If another run holds it.
    """
    lock, who = FileLock(results / PARTS / "run.lock"), results / PARTS / "run.who"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ParamError(
            f"another run works in {results}{_told(who)}: wait for it, or give another folder by --out"
        ) from None
    except NotImplementedError:
        warnings.warn(
            f"the file system of {results} knows no locks: see that no other run writes there",
            RgbtrackWarning,
            stacklevel=3,
        )
    try:
        _sweep(results)
        now = datetime.datetime.now().astimezone()
        write_json(
            who, {"process": os.getpid(), "machine": platform.node(), "since": f"{now:%Y-%m-%d %H:%M}"}
        )
        yield
    finally:
        who.unlink(missing_ok=True)
        lock.release()


def torn_files(results: Path) -> list[Path]:
    """Files and folders that a killed run began to write."""
    places = [results, *(path for path in results.iterdir() if path.is_dir())]
    places += [path for path in (results / PARTS).glob("*") if path.is_dir()]
    return sorted(path for place in places for path in place.iterdir() if TORN.match(path.name))


def _sweep(results: Path) -> None:
    import shutil

    for path in torn_files(results):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _told(who: Path) -> str:
    try:
        told = read_json(who)
        return f" (process {told['process']} on {told['machine']}, since {told['since']})"
    except (DataError, KeyError, TypeError):
        return ""
