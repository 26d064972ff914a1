"""Steps of a run that are done again only when what they rest on has changed."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import read_json, sha256, write_json
from rgbtrack.pipeline.image import changes, keys_of
from rgbtrack.pipeline.task import PARTS


def done(records: Mapping[str, dict[str, Any]]) -> list[str]:
    """Names of the images that did not fail."""
    return [name for name, record in records.items() if record["status"] == "done"]


@dataclass(frozen=True)
class Step:
    """A stage after the images, done again only when what it rests on has changed.

    Attributes
    ----------
    name
        Of the stage.
    rests_on
        Everything that its outcome depends on, by what a person calls it.
    written
        Its files, of a results folder.
    """

    name: str
    rests_on: Mapping[str, Any]
    written: Callable[[Path], list[Path]]

    @property
    def keys(self) -> dict[str, str]:
        """Short name of each thing that it rests on."""
        return keys_of(self.rests_on)


def why_due(results: Path, step: Step) -> list[str]:
    """Why a step is to be done: what it rests on that changed; empty where its files are up to date."""
    note = _note(results, step)
    if not note.exists():
        return ["not done yet"]
    try:
        old = read_json(note)
    except DataError:
        return ["what was done is not known"]
    changed = changes(old.get("rests_on", {}), step.keys)
    if not changed and old["written"] != _written(results, step):
        return ["its files were changed, or are gone"]
    return changed


@contextmanager
def doing(results: Path, step: Step, overwrite: bool) -> Iterator[dict[str, Any] | None]:
    """Yield None where the step's files are up to date, else a dict to tell into.

    The step's own note vouches for its files: it goes first and comes back last.
    """
    if not overwrite and not why_due(results, step):
        yield None
        return
    note = _note(results, step)
    note.unlink(missing_ok=True)
    told: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RgbtrackWarning)
        yield told
    told["warnings"] = [str(item.message) for item in caught if issubclass(item.category, RgbtrackWarning)]
    write_json(note, {"rests_on": step.keys, "written": _written(results, step), "told": told})


def _written(results: Path, step: Step) -> dict[str, str | None]:
    files = step.written(results)
    return {path.relative_to(results).as_posix(): n for path, n in zip(files, checksums(files), strict=True)}


def _note(results: Path, step: Step) -> Path:
    return results / PARTS / f"{step.name}.step"


def checksums(paths: list[Path]) -> list[str | None]:
    """Checksum of each file, None where it is not there."""
    return [sha256(path) if path.exists() else None for path in paths]
