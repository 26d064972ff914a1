"""The stamp of a finished run: whether nothing it rests on and nothing it wrote has changed, told at once.

It is asked before any library is loaded, which takes longer than to look.
"""

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rgbtrack.fingerprints import KnownBy, fingerprint

STAMP = Path(".parts") / "finished.json"
NOT_RESULTS = (STAMP.name, "run.lock", "run.who")


def states(paths: Iterable[Path], known_by: KnownBy) -> dict[str, str | None]:
    """What tells whether each file or folder is the same later; None for one that is not there."""
    return {str(path): _state(path, known_by) for path in sorted(paths)}


def make_stamp(
    results: Path,
    version: str,
    experiment: Path,
    known_by: KnownBy,
    inputs: dict[str, str | None],
    told: dict[str, Any],
) -> dict[str, Any]:
    """What a finished run rests on, what it wrote, and what it told: the content of `STAMP`, JSON.

    Parameters
    ----------
    results
        The results folder.
    version
        Of rgbtrack.
    experiment
        The file experiment.toml.
    known_by
        How files are known.
    inputs
        What told each file from another when it was read; see `states`.
    told
        What a further run tells that finds nothing to do.
    """
    return {
        "version": version,
        "experiment": str(experiment.absolute()),
        "known_by": known_by,
        "inputs": {str(Path(path).absolute()): state for path, state in inputs.items()},
        "results": dict(_written(results)),
        "told": told,
    }


def remove_stamp(results: Path) -> None:
    """Forget that a run was finished."""
    (results / STAMP).unlink(missing_ok=True)


def find_finished(experiment: Path, out: Path | None, version: str) -> tuple[Path, dict[str, Any]] | None:
    """Results folder of a finished run and what it told; None where something has changed since."""
    file = experiment / "experiment.toml" if experiment.is_dir() else experiment
    results = out if out is not None else file.parent / "results"
    try:
        stamp = json.loads((results / STAMP).read_text(encoding="utf-8"))
        same = stamp["version"] == version and stamp["experiment"] == str(file.absolute())
        if not same or not _as_written(results, stamp["results"]):
            return None
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            states = pool.map(lambda path: _state(Path(path), stamp["known_by"]), stamp["inputs"])
            if list(states) != list(stamp["inputs"].values()):
                return None
        return results, dict(stamp["told"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no stamp, or none of this version
        return None


def _state(path: Path, known_by: KnownBy) -> str | None:
    return fingerprint(path, known_by) if path.exists() else None


def _written(results: Path) -> Iterator[tuple[str, list[int]]]:
    """Files of a results folder, with size and time of change."""
    for folder, _, names in os.walk(results):
        for name in names:
            if name not in NOT_RESULTS:
                path = Path(folder) / name
                now = path.stat()
                yield path.relative_to(results).as_posix(), [now.st_size, now.st_mtime_ns]


def _as_written(results: Path, files: dict[str, list[int]]) -> bool:
    for name, (size, time) in files.items():
        now = (results / name).stat()
        if (now.st_size, now.st_mtime_ns) != (size, time):
            return False
    return True
