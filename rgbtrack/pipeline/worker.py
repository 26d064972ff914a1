"""What runs on a worker of a cluster, and whether that worker can do the work."""

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import rgbtrack
from rgbtrack.threads import limit_threads

Result = TypeVar("Result")

MATTER = ("numpy", "scipy", "pandas", "numba", "opencv-python-headless", "scikit-image", "scikit-learn")
"""Packages whose version the results, or what travels, may depend on."""


class Told(TypedDict):
    """What a worker tells of itself: versions by name, and the files that it does not see."""

    versions: dict[str, str]
    unseen: list[str]


def do_task(work: Callable[..., Result], *arguments: Any) -> Result:
    """Do some work in one thread, as the processes of one machine do."""
    with limit_threads(1):
        return work(*arguments)


def tell(files: list[str]) -> Told:
    """Tell the versions here, and which of some files are not seen from here."""
    versions = {"rgbtrack": rgbtrack.__version__, "python": ".".join(platform.python_version_tuple()[:2])}
    return Told(
        versions=versions | {name: _version(name) for name in MATTER},
        unseen=[file for file in files if not Path(file).exists()],
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def problems(told: Any, mine: Told, threads: int) -> list[str]:
    """What speaks against a worker.

    Parameters
    ----------
    told
        What it told, or the exception that it raised instead.
    mine
        What this process tells.
    threads
        Tasks that it does at once.
    """
    if isinstance(told, ModuleNotFoundError):
        return [f"{told.name or told} is not installed there: start it from the environment of this process"]
    if isinstance(told, BaseException):
        return [
            f"it cannot be asked ({type(told).__name__}: {told}): start it from the environment used here"
        ]
    differ = [
        f"{name} {told['versions'].get(name, 'missing')} (here {own})"
        for name, own in mine["versions"].items()
        if told["versions"].get(name, "missing") != own
    ]
    found = []
    if differ:
        found.append(f"it has {', '.join(differ)}: start it from the environment of this process")
    if threads != 1:
        found.append(
            f"it has {threads} threads: start workers with '--nthreads 1', as many as cores are to be used"
        )
    if told["unseen"]:
        found.append(
            f"it does not see {', '.join(told['unseen'])}: images and results must be on a file system that "
            f"all workers share, under the same path"
        )
    return found
