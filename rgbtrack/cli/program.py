"""The program itself, its options, and what several commands take."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from rgbtrack import __version__
from rgbtrack.cli.amend import amend
from rgbtrack.cli.voice import Told, Voice, current

USER, PARTIAL, INTERRUPTED = 2, 3, 130

app = typer.Typer(
    name="rgbtrack",
    help="RGB clonal tracking: from multicolour microscopy to clone sizes, with uncertainty.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(amend)

ExperimentArg = Annotated[
    Path, typer.Argument(help="experiment.toml, or the folder that holds it", show_default=False)
]

ResultsArg = Annotated[Path, typer.Argument(help="a results folder", show_default=False)]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="show the version and leave", is_eager=True)
    ] = False,
    machine: Annotated[
        bool,
        typer.Option("--json", help="one JSON object on standard output; after any command, too"),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="nothing but warnings and errors; after any command, too")
    ] = False,
    log_file: Annotated[
        Path | None, typer.Option(help="write everything that is said at the end of a file, with the time")
    ] = None,
) -> None:
    voice = current(Voice(quiet=quiet, machine=machine))
    if log_file is not None:
        voice.open_log(log_file)
        voice.write_log(f"rgbtrack {' '.join(sys.argv[1:])}")
    logging.basicConfig(format="%(message)s", handlers=[Told()], force=True)
    logging.getLogger("rgbtrack").setLevel(logging.WARNING if quiet or machine else logging.INFO)
    if version:
        voice.tell(__version__, version=__version__)
        raise typer.Exit
