"""The command line, over the public functions only.

Exit codes: 0 done; 1 a defect of rgbtrack; 2 the user can mend it; 3 done, but some images failed.
"""

import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rgbtrack import __version__
from rgbtrack.amend import amend
from rgbtrack.errors import ParamError, RgbtrackError, RgbtrackWarning
from rgbtrack.export.formats import FORMATS
from rgbtrack.stamp import find_finished
from rgbtrack.voice import Told, Voice, current, options_first, plain_records

if TYPE_CHECKING:
    from rgbtrack.pipeline.run import Step

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
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="results folder; default: results beside experiment.toml")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", "-w", min=1, help="processes for the images; default: one per core")
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


def main() -> None:
    """Run the command line; the entry point."""
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", RgbtrackWarning)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's end is as Ctrl-C
    code = _guarded(lambda: _exit_code(sys.argv[1:]))
    sys.exit(_guarded(lambda: current().finish(code)))


def _guarded(work: Callable[[], int]) -> int:
    """Exit code of some work, also where standard output is closed or full, or the user has had enough."""
    try:
        return work()
    except BrokenPipeError:
        _close_output()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        _close_output()
        where = f": {error.filename}" if error.filename else ""
        print(
            f"error: {error.strerror or error}{where}: mend it and give the same command again to go on",
            file=sys.stderr,
        )
        return USER


def _close_output() -> None:
    """Write nothing more to a standard output that takes nothing: Python would try once more at its end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit_code(arguments: list[str]) -> int:
    """Do what the arguments ask for."""
    current(Voice(machine="--json" in arguments and "--help" not in arguments))
    try:
        app(options_first(arguments), standalone_mode=True)
    except RgbtrackError as error:
        for line in str(error).splitlines():
            current().remark(f"error: {line}")
        return USER
    except SystemExit as leave:
        if leave.code == INTERRUPTED:
            current().remark("stopped: what is finished is kept; give the same command again to go on")
        if leave.code == 1:  # what the library of the command line makes of a pipe that was closed
            raise BrokenPipeError from leave
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except Exception as error:
        if isinstance(error, OSError):
            raise
        traceback.print_exc()  # a defect of ours
        return 1
    return 0


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    if issubclass(category, RgbtrackWarning):
        current().remark(f"warning: {message}")


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
        voice.log_only(f"rgbtrack {' '.join(sys.argv[1:])}")
    logging.basicConfig(format="%(message)s", handlers=[Told()], force=True)
    logging.getLogger("rgbtrack").setLevel(logging.WARNING if quiet or machine else logging.INFO)
    if version:
        import rgbtrack

        voice.tell(rgbtrack.__version__, version=rgbtrack.__version__)
        raise typer.Exit


@app.command(epilog="Example: rgbtrack init images --pattern '{treatment}/{subject}_d{timepoint}'")
def init(
    folder: Annotated[Path, typer.Argument(help="a folder of images", show_default=False)],
    pattern: Annotated[
        str | None,
        typer.Option(
            help="how names are made up, as '{treatment}/{subject}_d{timepoint}'; {} for what is no column"
        ),
    ] = None,
) -> None:
    """Look through a folder of images and write experiment.toml and samples.csv to edit."""
    from rgbtrack.pipeline import init_experiment

    for line in init_experiment(folder, pattern):
        current().tell(line)
    current().tell(experiment=folder / "experiment.toml", samples=folder / "samples.csv")


@app.command(epilog="Example: rgbtrack check sample_data")
def check(
    experiment: Annotated[
        Path,
        typer.Argument(
            help="experiment.toml, or the folder that holds it; or a results folder", show_default=False
        ),
    ],
) -> None:
    """Tell everything that would stop a run, at once, in seconds; or whether a results folder is whole."""
    from rgbtrack.pipeline import check_experiment, is_results, read_experiment

    if is_results(experiment):
        _check_results(experiment)
        return
    read = read_experiment(experiment)
    found = check_experiment(read)
    current().tell(
        images=len(read.samples), doubts=found.doubts, errors=list(found.fatal), failing_images=found.images
    )
    for doubt, image_ids in found.doubts.items():
        shown = image_ids[0] if len(image_ids) == 1 else f"{len(image_ids)} images, {image_ids[0]} first"
        current().remark(f"warning: {shown}: {doubt}")
    for problem in found.fatal:
        current().remark(f"error: {problem}")
    for image_id, problem in found.images.items():
        current().remark(f"image {image_id}: {problem}")
    if found.fatal or found.images:
        raise typer.Exit(USER)
    current().tell(f"{read.name}: {len(read.samples)} images, nothing wrong: rgbtrack run {experiment}")


def _check_results(results: Path) -> None:
    from rgbtrack.pipeline import verify_results

    found = verify_results(results)
    current().tell(counts=found.counts, errors=list(found.problems), notes=list(found.remarks))
    for remark in found.remarks:
        current().remark(f"note: {remark}")
    for problem in found.problems:
        current().remark(f"error: {problem}")
    if found.problems:
        raise typer.Exit(USER)
    counts = found.counts
    became = ""
    if "assigned" in counts:
        lost = {"assigned": counts["assigned"], **counts["unassigned"]}
        became = ": " + ", ".join(f"{n} {what}" for what, n in lost.items())
    current().tell(f"{results}: every file is as the run wrote it; {counts['cells']} cells add up{became}")


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
    from rgbtrack.pipeline.run import STEPS

    if dry_run:
        _tell_due(experiment, out)
        return
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


@app.command(epilog="Example: rgbtrack info plate.lif --scene lung")
def info(
    images: Annotated[
        list[Path], typer.Argument(help="an image; several, for one file per channel", show_default=False)
    ],
    scene: Annotated[
        str | None, typer.Option(help="which image of a file that holds several: name or number")
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="what the axes longer than one are, if not as shown: tyx, czyx")
    ] = None,
) -> None:
    """Show scenes, axes, channels, pixel size and type of an image, as read, and what of it is doubtful."""
    from rgbtrack.files import find_doubts, list_scenes, read_stack
    from rgbtrack.stack import DetectorSettings

    scenes = list_scenes(images[0])
    if len(scenes) > 1 and scene is None:
        current().tell(f"{images[0]}: {len(scenes)} images; --scene NAME tells more of one", scenes=scenes)
        for index, name in enumerate(scenes):
            current().tell(f"  scene {index:<9} {name}")
        return
    stack = read_stack(images, scene=scene, axes=axes)
    t, c, z, y, x = stack.pixels.shape
    calibration = {
        "pixel size": (stack.pixel_size_um, "um"),
        "z step": (stack.z_step_um, "um"),
        "frame interval": (stack.frame_interval_h, "h"),
    }
    doubts = find_doubts(stack)
    current().tell(
        f"{stack.source}",
        source=stack.source,
        axes=dict(zip("tczyx", stack.pixels.shape, strict=True)),
        type=str(stack.pixels.dtype),
        channels=stack.channels,
        pixel_size_um=stack.pixel_size_um,
        z_step_um=stack.z_step_um,
        frame_interval_h=stack.frame_interval_h,
        doubts=doubts,
    )
    current().tell(f"  axes            t {t}, c {c}, z {z}, y {y}, x {x}")
    current().tell(f"  type            {stack.pixels.dtype}")
    for index, name in enumerate(stack.channels):
        known = stack.detectors[index] if stack.detectors else DetectorSettings()
        told = [
            f"{what} {value:g}"
            for what, value in (("gain", known.gain), ("offset", known.offset))
            if value is not None
        ]
        current().tell(
            f"  channel {index}       {name}" + (f" (detector: {', '.join(told)})" if told else "")
        )
    for name, (value, unit) in calibration.items():
        current().tell(f"  {name:15} {'not recorded' if value is None else f'{value:g} {unit}'}")
    for doubt in doubts:
        current().remark(f"warning: {doubt}")


@app.command(epilog="Example: rgbtrack controls controls.csv --experiment sample_data")
def controls(
    sheet: Annotated[
        Path, typer.Argument(help="CSV with columns image and protein, one row per image", show_default=False)
    ],
    experiment: Annotated[
        Path | None, typer.Option("--experiment", "-e", help="experiment.toml, for channels and settings")
    ] = None,
    markers: Annotated[
        list[str] | None,
        typer.Option("--markers", "-m", help="marker=channel, once for each marker, instead of --experiment"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="CSV to write; default: bleed_through.csv beside the sheet"),
    ] = None,
) -> None:
    """Make the bleed-through matrix from images of single-colour controls."""
    from rgbtrack.pipeline import make_bleed_through

    found, path = make_bleed_through(sheet, out, experiment=experiment, markers=_channels(markers))
    for line in found.reason.split("; "):
        current().tell(line)
    told = f'{path}: [correct] bleed_through = "{path.name}"; look at {path.with_suffix(".png")}'
    current().tell(told, bleed_through=path)


def _channels(pairs: list[str] | None) -> dict[str, str | int] | None:
    """Marker to channel from ``marker=channel`` words."""
    if not pairs:
        return None
    words = [pair.partition("=") for pair in pairs]
    if any(not marker or not channel for marker, _, channel in words):
        raise ParamError(f"--markers is {' '.join(pairs)}: give marker=channel, as red=mCherry")
    return {marker: int(channel) if channel.isdigit() else channel for marker, _, channel in words}


@app.command(epilog="Example: rgbtrack flow results blood.csv --markers red=PE-CF594-A")
def flow(
    results: ResultsArg,
    sheet: Annotated[
        Path,
        typer.Argument(
            help="CSV with columns file, subject, treatment, timepoint and site, one row per FCS file",
            show_default=False,
        ),
    ],
    markers: Annotated[
        list[str] | None,
        typer.Option(
            "--markers",
            "-m",
            help="marker=parameter, once for each marker whose parameter has another name than its channel",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder for the tables; default: flow in the results")
    ] = None,
) -> None:
    """Call events of flow cytometry (FCS) with the clones of a run, and count them like its cells."""
    from rgbtrack.pipeline.flow import call_flow

    wanted = {marker: str(name) for marker, name in (_channels(markers) or {}).items()}
    found, folder = call_flow(results, sheet, wanted, out)
    for image_id, of in found.gains.groupby("image_id", sort=False):
        first = of.iloc[0]
        n, called, strange = (first[name] for name in ("n_events", "n_called", "n_unlike"))
        current().tell(f"{image_id}: {n} events, {called} called, {strange} like no clone")
    current().tell(f"{folder}: events.parquet, clone_sizes.csv, gains.csv", gains=plain_records(found.gains))


@app.command(
    add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def plan(context: typer.Context) -> None:
    """Tell how many founders, markers and animals an experiment needs."""
    # its options are the fields of PlanParams, which no other command should wait for
    inner = typer.Typer(add_completion=False)
    inner.command(help=plan.__doc__)(_with_options(_plan))
    typer.main.get_command(inner).main(context.args, prog_name="rgbtrack plan")


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each setting of a plan, and the folder to write."""
    from inspect import Parameter, Signature

    from rgbtrack.plan import PlanParams

    def called(out: Path | None, **settings: Any) -> None:
        command(out, settings)

    kinds: dict[str, Any] = {
        name: Annotated[field.annotation, typer.Option(_flag(name), help=field.description)]
        for name, field in PlanParams.model_fields.items()
    }
    kinds["out"] = Annotated[
        Path | None, typer.Option("--out", "-o", help="folder for the tables (CSV) and the figure")
    ]
    defaults = {name: field.default for name, field in PlanParams.model_fields.items()} | {"out": None}
    called.__annotations__ = kinds
    called.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind)
            for name, kind in kinds.items()
        ]
    )
    return called


def _flag(setting: str) -> str:
    """Name of a setting of a plan on the command line."""
    return "--share" if setting == "share_transduced" else f"--{setting.removeprefix('n_').replace('_', '-')}"


def _mistake(problem: Any) -> str:
    """What pydantic found, in terms of the command line."""
    if not problem["loc"]:
        return str(problem["ctx"]["error"])
    said = problem["msg"].removeprefix("Input ")
    return f"{_flag(str(problem['loc'][0]))} is {problem['input']}: {said}"


def _plan(out: Path | None, settings: dict[str, Any]) -> None:
    from pydantic import ValidationError

    from rgbtrack.plan import PlanParams, plan_experiment, summary_tables

    try:
        params = PlanParams(**settings)
    except ValidationError as error:
        raise ParamError(*map(_mistake, error.errors())) from error
    planned = plan_experiment(params)
    if out is not None:
        from rgbtrack.files import write_table
        from rgbtrack.plot import plot_plan, save_figure

        for name, table in planned.tables.items():
            write_table(out / f"plan_{name}.csv", table)
        save_figure(plot_plan(planned), out, "plan")
    tables = {name: plain_records(table) for name, table in planned.tables.items()}
    current().tell(advice=list(planned.advice), tables=tables)
    for line in planned.advice:
        current().tell(f"- {line}")
    for title, table in summary_tables(planned).items():
        current().tell(f"\n{title}\n{table.to_string(index=False)}")
    if out is not None:
        current().tell(f"\nlook at {out / 'plan.png'}; its tables are beside it")


@app.command(epilog="Example: rgbtrack review sample_data/results")
def review(results: ResultsArg) -> None:
    r"""Open a results folder in napari (needs the extra rgbtrack\[napari])."""
    try:
        import napari

        from napari_rgbtrack import open_results
    except ImportError as error:
        raise RgbtrackError(
            f"napari is not installed ({error}): in the checkout, pip install '.[napari]'"
        ) from error
    open_results(results)
    napari.run()


@app.command(epilog="Example: rgbtrack simulate trial --subjects 3 --seed 1")
def simulate(
    folder: Annotated[Path, typer.Argument(help="folder to make", show_default=False)],
    preset: Annotated[str, typer.Option(help="kind of images")] = "sample",
    subjects: Annotated[int, typer.Option(min=1, help="subjects per treatment")] = 2,
    seed: Annotated[int, typer.Option(help="same seed, same experiment")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="write into a folder that is not empty")
    ] = False,
) -> None:
    """Make an experiment with known truth, to try rgbtrack on and to plan with."""
    from rgbtrack.simulate import simulate_experiment

    simulate_experiment(folder, preset=preset, subjects=subjects, seed=seed, overwrite=overwrite)
    current().tell(f"{folder}: rgbtrack run {folder / 'experiment.toml'}", folder=folder)


@app.command(epilog="Example: rgbtrack evaluate sample_data/results sample_data/truth")
def evaluate(
    results: ResultsArg,
    truth: Annotated[Path, typer.Argument(help="folder with truth masks and cells.csv", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="also write the scores to this CSV")] = None,
) -> None:
    """Score results against known truth: detection, clones, sizes, calibration."""
    from rgbtrack.evaluate import evaluate_results
    from rgbtrack.files import write_table

    scores = evaluate_results(results, truth)
    shown = scores.to_string(index=False, float_format=lambda value: f"{value:.3f}")
    current().tell(shown, scores=plain_records(scores))
    if out is not None:
        write_table(out, scores)


@app.command(epilog="Example: rgbtrack export sample_data/results --to qupath")
def export(
    results: ResultsArg,
    to: Annotated[
        str,
        typer.Option("--to", help="; ".join(f"{name}: {one.what}" for name, one in FORMATS.items())),
    ] = "csv",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="file or folder to write; default: named after the format, in the results",
        ),
    ] = None,
) -> None:
    """Write results for other programs: tables, single cells, outlines, labels, tracks."""
    from rgbtrack.export.write import export_results

    written = export_results(results, to, out)
    current().tell(written=written)
    for path in written:
        current().tell(str(path))


@app.command(epilog="Example: rgbtrack doctor --json")
def doctor() -> None:
    """Tell what is installed and what works; quote it when you report a problem."""
    from rgbtrack.doctor import examine

    found = examine()
    current().tell(found=[vars(one) for one in found])
    for one in found:
        current().tell(f"{one.state:8} {one.what}: {one.told}")
    broken = [one.what for one in found if one.state == "broken"]
    if broken:
        current().remark(f"error: {', '.join(broken)}: runs will fail until that is mended")
        raise typer.Exit(USER)
    current().tell("what a run needs is here and works")
