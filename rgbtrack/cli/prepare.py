"""Commands before a run: init, check, info, controls."""

from pathlib import Path
from typing import Annotated

import typer

from rgbtrack.cli.program import USER, app
from rgbtrack.cli.voice import current
from rgbtrack.errors import ParamError


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

    found, path = make_bleed_through(sheet, out, experiment=experiment, markers=channels_of(markers))
    for line in found.reason.split("; "):
        current().tell(line)
    told = f'{path}: [correct] bleed_through = "{path.name}"; look at {path.with_suffix(".png")}'
    current().tell(told, bleed_through=path)


def channels_of(pairs: list[str] | None) -> dict[str, str | int] | None:
    """Marker to channel from ``marker=channel`` words."""
    if not pairs:
        return None
    words = [pair.partition("=") for pair in pairs]
    if any(not marker or not channel for marker, _, channel in words):
        raise ParamError(f"--markers is {' '.join(pairs)}: give marker=channel, as red=mCherry")
    return {marker: int(channel) if channel.isdigit() else channel for marker, _, channel in words}
