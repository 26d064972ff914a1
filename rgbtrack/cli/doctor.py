"""What is installed and what works: for a look before a run, and for a report of a problem."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

import rgbtrack

if TYPE_CHECKING:
    from packaging.requirements import Requirement

EXTRAS = {
    "readers": "CZI, LIF and ND2",
    "napari": "review in napari",
    "export": "AnnData, SpatialData, GEFF and FCS",
    "tracks": "GEFF, and scores of tracks",
    "distributed": "runs on a Dask cluster",
    "cellpose": "segmentation by Cellpose",
    "stardist": "segmentation by StarDist",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its state is "ok", "missing" (an extra) or "broken"."""

    what: str
    state: str
    told: str


def examine() -> list[Finding]:
    """Look at the machine, the libraries and the extras, and try what a run needs."""
    found = [
        Finding("rgbtrack", "ok", f"{rgbtrack.__version__}, in {Path(rgbtrack.__file__).parent}"),
        Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()}, {sys.executable}"),
        Finding("processor cores", "ok", str(_cores())),
        _disk(),
    ]
    found += [_try(what, attempt) for what, attempt in TRIALS.items()]
    return [*found, _libraries("libraries", _wanted(None)), *map(_extra, EXTRAS)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _disk() -> Finding:
    free_gb = shutil.disk_usage(tempfile.gettempdir()).free / 1e9
    return Finding("room for temporary files", "ok" if free_gb > 1 else "broken", f"{free_gb:.0f} GB")


def _wanted(extra: str | None) -> "list[Requirement]":
    """What rgbtrack needs, or one of its extras does."""
    from packaging.requirements import Requirement

    try:
        listed = [Requirement(one) for one in requires("rgbtrack") or []]
    except PackageNotFoundError:  # run from a folder that was never installed
        return []
    return [
        one
        for one in listed
        if one.name != "rgbtrack"
        and (one.marker is None if extra is None else one.marker and one.marker.evaluate({"extra": extra}))
    ]


def _libraries(what: str, wanted: "list[Requirement]") -> Finding:
    """Whether libraries are there, in versions that will do."""
    there: list[str] = []
    wrong: list[str] = []
    for one in wanted:
        try:
            found = version(one.name)
        except PackageNotFoundError:
            wrong.append(f"{one.name} not installed")
            continue
        if one.specifier.contains(found, prereleases=True):
            there.append(f"{one.name} {found}")
        else:
            wrong.append(f"{one.name} {found} where {one.specifier} is needed")
    if wrong:
        return Finding(what, "broken", "; ".join(wrong))
    if not there:
        return Finding(what, "broken", "not known to this installation: install rgbtrack again")
    return Finding(what, "ok", ", ".join(there))


def _extra(extra: str) -> Finding:
    found = _libraries(f"extra {extra}", _wanted(extra))
    if found.state == "ok":
        return found
    told = f"for {EXTRAS[extra]}: pip install 'rgbtrack[{extra}]', in a checkout '.[{extra}]' ({found.told})"
    return Finding(found.what, "missing", told)


def _try(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", attempt())
    except Exception as error:  # whatever it is, it is what the doctor was asked for
        return Finding(what, "broken", f"{type(error).__name__}: {error}")


def _compiles() -> str:
    """Whether compiled code is made, and kept for the next time."""
    numba = import_module("numba")
    numpy = import_module("numpy")

    @numba.njit
    def total(values):  # type: ignore[no-untyped-def]
        result = 0.0
        for value in values:
            result += value
        return result

    if total(numpy.arange(4.0)) != 6.0:
        raise ArithmeticError("compiled code counts wrongly")
    cache = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(rgbtrack.__file__).parent)
    kept = os.access(cache, os.W_OK)
    return (
        f"works, kept in {cache}"
        if kept
        else f"works; {cache} is not writable: set NUMBA_CACHE_DIR, or each run waits for it"
    )


def _analyses() -> str:
    """Whether cells of a small simulated image are found and measured."""
    from rgbtrack import correct_stack, measure_signatures, segment_cells, simulate_scene
    from rgbtrack.simulate import PRESETS

    scene = simulate_scene(PRESETS["sample"].model_copy(update={"size_px": 128}), seed=0)
    stack = correct_stack(scene.stack)
    cells = measure_signatures(stack, segment_cells(stack))
    if not len(cells):
        raise ArithmeticError("no cell found where there are some")
    return f"{len(cells)} cells found in a simulated image of {int(scene.labels.max())}"


def _shares_work() -> str:
    """Whether other processes can be given work."""
    from rgbtrack.pipeline.pool import map_tasks
    from rgbtrack.pipeline.processes import Processes

    with Processes(2) as crew:
        answers = dict(map_tasks(abs, [-1, -2], crew, lambda _: 0))
    if answers != {0: 1, 1: 2}:
        raise ChildProcessError("they start and die")
    return "start and answer"


TRIALS: dict[str, Callable[[], str]] = {
    "compiled code": _compiles,
    "analysis": _analyses,
    "worker processes": _shares_work,
}
