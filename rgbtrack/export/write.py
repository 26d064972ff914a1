"""Write results for another program."""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from rgbtrack.errors import ParamError
from rgbtrack.export.formats import FORMATS
from rgbtrack.export.results import Results, read_results
from rgbtrack.pipeline.tracks import export_tracks


def export_results(results: str | Path, to: str, out: str | Path | None = None) -> list[Path]:
    """Write the results of a run for another program.

    Parameters
    ----------
    results
        A results folder.
    to
        One of `FORMATS`.
    out
        File or folder to write; default beside the tables in the results. A folder that holds something
        else is not written into.

    Returns
    -------
    written
        Files or folders.

    Raises
    ------
    ParamError
        If there is no such format.
    DataError
        If the folder is no results folder, lacks what is exported, or a library is not installed.
    """
    if to not in FORMATS:
        close = get_close_matches(to.casefold(), FORMATS, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ParamError(f"export to {to!r}: {hint}give one of {', '.join(FORMATS)}")
    target = (Path(out) if out is not None else Path(results) / FORMATS[to].default).absolute()
    if FORMATS[to].one_file and target.is_dir():
        raise ParamError(f"--out {target} is a folder: give the name of a file")
    if not FORMATS[to].module:
        return [export_tracks(results, to, target)]
    write: Callable[[Results, Path], list[Path]] = getattr(
        import_module(f"rgbtrack.export.{FORMATS[to].module}"), f"write_{to}"
    )
    return write(read_results(results), target)
