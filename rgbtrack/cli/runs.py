"""Commands that run an experiment, whole or stage by stage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rgbtrack import __version__
from rgbtrack.cli.program import PARTIAL, ExperimentArg, app
from rgbtrack.cli.voice import current
from rgbtrack.stamp import find_finished

if TYPE_CHECKING:
    from rgbtrack.pipeline.runs import Step

OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="results folder; default: results beside experiment.toml")
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", "-w", min=1, help="processes, of one core each; default: one per core"),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", help="Dask scheduler (address or file) whose workers do the images instead"),
]
TileOption = Annotated[
    int | None,
    typer.Option(
        "--tile-px",
        min=256,
        help="rows and columns of the tiles of images larger than memory; fewer need less memory",
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="do again what is up to date")]


@app.command(epilog="Example: rgbtrack run sample_data --workers 4 --log-file run.log")
def run(
    experiment: ExperimentArg,
    out: OutOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    tile_px: TileOption = None,
    overwrite: OverwriteOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="tell what would be done, and why; write nothing")
    ] = False,
) -> None:
    """Run an experiment from images to tables, figures and report; go on where a former run stopped."""
    finished = None if overwrite or dry_run else find_finished(experiment, out, __version__)
    if finished is not None:
        results, told = finished
        for text in told["warnings"]:
            current().remark(f"warning: {text}")
        _tell_outcome(results, told["counts"], {}, ("report",))
        return
    if dry_run:
        _tell_due(experiment, out)
        return
    _prepare(workers, scheduler)
    from rgbtrack.pipeline.runs import STEPS

    _run(experiment, out, workers, scheduler, tile_px, overwrite, STEPS)


def _tell_due(experiment: Path, out: Path | None) -> None:
    from rgbtrack.pipeline import find_due

    due = find_due(experiment, out)
    current().tell(due={one.what: list(one.why) for one in due})
    for one in due:
        current().tell(f"{one.what}: {', '.join(one.why)}")
    if not due:
        current().tell("everything is up to date: a run would do nothing")


def _step_command(*steps: "Step", text: str) -> Callable[..., None]:
    def command(
        experiment: ExperimentArg,
        out: OutOption = None,
        workers: WorkersOption = None,
        scheduler: SchedulerOption = None,
        tile_px: TileOption = None,
        overwrite: OverwriteOption = False,
    ) -> None:
        if steps != ("dynamics",):  # which shares out nothing
            _prepare(workers, scheduler)
        _run(experiment, out, workers, scheduler, tile_px, overwrite, steps)

    command.__doc__ = text
    return command


app.command("segment")(_step_command("segment", text="Find the cells of every image: labels/."))
app.command("measure")(
    _step_command("measure", text="Measure the colour of every cell, segmenting where that is not done.")
)
app.command("clones")(
    _step_command("clones", text="Call clones from the measured cells: cells.parquet and clones.csv.")
)
app.command("link")(
    _step_command(
        "clones",
        "link",
        text="Link cells over frames: tracks.geff, tracks.csv, and how cells move and divide.",
    )
)
app.command("dynamics")(
    _step_command("dynamics", text="Count clone sizes from the called cells: clone_sizes.csv.")
)
app.command("report")(_step_command("report", text="Write report.html and the figures from the tables."))


def _prepare(workers: int | None, scheduler: str | None) -> None:
    """Let workers import what they need while this process does."""
    from rgbtrack.pipeline.processes import available_workers, prepare

    if scheduler is None and (workers or available_workers()) > 1:
        prepare()


def _run(
    experiment: Path,
    out: Path | None,
    workers: int | None,
    scheduler: str | None,
    tile_px: int | None,
    overwrite: bool,
    steps: "tuple[Step, ...]",
) -> None:
    from rgbtrack.pipeline import run as run_experiment

    with _progress() as progress:
        outcome = run_experiment(
            experiment,
            out,
            workers=workers,
            scheduler=scheduler,
            tile_px=tile_px,
            overwrite=overwrite,
            steps=steps,
            progress=progress,
        )
    _tell_outcome(outcome.results, outcome.counts, outcome.failed, steps)


def _tell_outcome(
    results: Path, counts: dict[str, Any], failed: dict[str, str], steps: "tuple[Step, ...]"
) -> None:
    """Say what a run came to."""
    current().tell(results=results, counts=counts, failed=failed)
    summary = f"{counts['images']} images, {counts['cells']} cells"
    if "clones" in counts:
        summary += f", {counts['assigned']} assigned to {counts['clones']} clones"
    if "tracks" in counts:
        summary += f", {counts['tracks']} tracks"
    current().tell(f"{summary}: {results}")
    if steps[-1] == "link" and "tracks" not in counts:
        current().tell("no image has several frames: there is nothing to link")
    report = results / "report.html"
    if "report" in steps:
        current().tell(f"open {report}", report=report)
    if failed:
        for reason in failed.values():
            current().remark(f"failed: {reason}")
        current().remark(f"{len(failed)} of {counts['images']} images failed; the rest is complete")
        raise typer.Exit(PARTIAL)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Bars with time left on a terminal; nothing where stderr is a file."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal or current().quiet:
        yield lambda what, done, total: None
        return
    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        ids: dict[str, Any] = {}

        def say(what: str, done: int, total: int) -> None:
            if what not in ids:
                ids[what] = bars.add_task(what, total=total)
            bars.update(ids[what], completed=done)

        yield say
