"""Steps of a run that are done again only when what they rest on has changed."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rgbtrack.errors import RgbtrackWarning
from rgbtrack.files import read_json, sha256, write_json
from rgbtrack.pipeline.image import PARTS


def done(records: Mapping[str, dict[str, Any]]) -> list[str]:
    """Names of the images that did not fail."""
    return [name for name, record in records.items() if record["status"] == "done"]


@contextmanager
def step(
    results: Path, name: str, key: str, written: Callable[[Path], list[Path]], overwrite: bool
) -> Iterator[dict[str, Any] | None]:
    """Yield None where the step's files are those of a former run of that key, else a dict to tell into.

    The step's own note vouches for its files: it goes first and comes back last.
    """
    note = results / PARTS / f"{name}.step"
    if not overwrite and note.exists():
        old = read_json(note)
        if old["key"] == key and old["written"] == checksums(written(results)):
            yield None
            return
    note.unlink(missing_ok=True)
    told: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RgbtrackWarning)
        yield told
    told["warnings"] = [str(item.message) for item in caught if issubclass(item.category, RgbtrackWarning)]
    write_json(note, {"key": key, "written": checksums(written(results)), "told": told})


def checksums(paths: list[Path]) -> list[str | None]:
    """Checksum of each file, None where it is not there."""
    return [sha256(path) if path.exists() else None for path in paths]
