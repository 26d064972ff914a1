"""Commands on results: review, evaluate, export, flow."""

from pathlib import Path
from typing import Annotated

import typer

from rgbtrack.cli.prepare import channels_of
from rgbtrack.cli.program import ResultsArg, app
from rgbtrack.cli.voice import current, plain_records
from rgbtrack.errors import RgbtrackError
from rgbtrack.export.formats import FORMATS


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

    wanted = {marker: str(name) for marker, name in (channels_of(markers) or {}).items()}
    found, folder = call_flow(results, sheet, wanted, out)
    for image_id, of in found.gains.groupby("image_id", sort=False):
        first = of.iloc[0]
        n, called, strange = (first[name] for name in ("n_events", "n_called", "n_unlike"))
        current().tell(f"{image_id}: {n} events, {called} called, {strange} like no clone")
    current().tell(f"{folder}: events.parquet, clone_sizes.csv, gains.csv", gains=plain_records(found.gains))
