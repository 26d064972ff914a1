"""The command amend: corrections by hand, from the shell."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rgbtrack.cli.voice import current
from rgbtrack.errors import DataError, ParamError

if TYPE_CHECKING:
    import pandas as pd

    from rgbtrack.review import Correction

amend = typer.Typer(
    name="amend",
    help="Correct clones, tracks and outlines by hand: each correction is kept in RESULTS/review.jsonl and "
    "made by every later run. Numbers are those of the last run.",
    no_args_is_help=True,
)

Clone = Annotated[int, typer.Argument(min=1, help="number of a clone", show_default=False)]
Cells = Annotated[
    list[str],
    typer.Argument(help="cells, as IMAGE:CELL, in time series IMAGE:FRAME:CELL", show_default=False),
]
Note = Annotated[str | None, typer.Option("--note", "-n", help="why, in your words")]
Who = Annotated[str | None, typer.Option("--who", help="who says so")]


@amend.callback()
def _results(
    context: typer.Context,
    results: Annotated[Path, typer.Argument(help="a results folder", show_default=False)],
) -> None:
    context.obj = results
    if not (results / "run.json").is_file():
        raise ParamError(f"{results} holds no results of rgbtrack: give the folder that a run wrote")


@amend.command()
def merge(
    context: typer.Context,
    clones: Annotated[list[int], typer.Argument(help="numbers of two or more clones", show_default=False)],
    note: Note = None,
    who: Who = None,
) -> None:
    """Make clones one."""
    from rgbtrack.review import merge_clones

    _add(context, merge_clones(_cells(context), clones, who=who, note=note))


@amend.command()
def split(
    context: typer.Context,
    clone: Clone,
    cells: Cells,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            help="a cell of the other part, once for each: every cell of the clone then goes to the part "
            "whose mean colour it fits better",
        ),
    ] = None,
    note: Note = None,
    who: Who = None,
) -> None:
    """Make cells of a clone a clone of their own; with --against, all that have their colour."""
    from rgbtrack.review import split_clone

    table = _cells(context)
    groups = [[_key(table, cell) for cell in group] for group in (cells, against) if group]
    _add(context, split_clone(table, clone, groups, by_colour=bool(against), who=who, note=note))


@amend.command()
def assign(
    context: typer.Context,
    clone: Annotated[str, typer.Argument(help="number of a clone, or none", show_default=False)],
    cells: Cells,
    note: Note = None,
    who: Who = None,
) -> None:
    """Give cells to a clone, or to none."""
    from rgbtrack.review import assign_cells

    if clone != "none" and not clone.isdigit():
        raise ParamError(f"clone is {clone!r}: give its number, or none")
    table, number = _cells(context), None if clone == "none" else int(clone)
    keys = [_key(table, cell) for cell in cells]
    _add(context, assign_cells(table, keys, number, who=who, note=note))


@amend.command()
def exclude(
    context: typer.Context,
    cells: Cells,
    reason: Annotated[str, typer.Option("--reason", "-r", help="why they do not count", show_default=False)],
    note: Note = None,
    who: Who = None,
) -> None:
    """Leave cells out of every count."""
    from rgbtrack.review import exclude_cells

    table = _cells(context)
    keys = [_key(table, cell) for cell in cells]
    _add(context, exclude_cells(table, keys, reason, who=who, note=note))


@amend.command()
def rename(
    context: typer.Context,
    clone: Clone,
    name: Annotated[str, typer.Argument(help="its name", show_default=False)],
    note: Note = None,
    who: Who = None,
) -> None:
    """Give a clone a name, shown beside its number."""
    from rgbtrack.review import rename_clone

    _add(context, rename_clone(_cells(context), clone, name, who=who, note=note))


@amend.command()
def redraw(
    context: typer.Context,
    image: Annotated[str, typer.Argument(help="image_id of the image", show_default=False)],
    labels: Annotated[
        Path, typer.Argument(help="its labels, corrected in Fiji, QuPath or napari", show_default=False)
    ],
    note: Note = None,
    who: Who = None,
) -> None:
    """Take outlines that were corrected elsewhere for those of an image: one correction for each frame."""
    from rgbtrack.files import labels_file, read_labels
    from rgbtrack.review import number_as_before, redraw_cells

    before_file, table = labels_file(Path(context.obj) / "labels", image), _cells(context)
    if not before_file.is_file():
        known = sorted(set(table["image_id"].astype("str")))
        raise ParamError(
            f"{image}: the results hold no labels of it: give an image_id of cells.parquet "
            f"({', '.join(known[:5])}{' ...' if len(known) > 5 else ''})"
        )
    before = read_labels(before_file)
    after = read_labels(labels, before.shape)
    now = [number_as_before(was, drawn) for was, drawn in zip(before, after, strict=True)]
    other = [t for t, frame in enumerate(now) if (frame != before[t]).any()]
    if not other:
        raise DataError(f"{labels}: the outlines are those of {before_file}: nothing was changed")
    _add(
        context,
        *(redraw_cells(table, before[t], now[t], image_id=image, frame=t, who=who, note=note) for t in other),
    )


@amend.command()
def cut(
    context: typer.Context,
    cell: Annotated[str, typer.Argument(help="the later cell, as IMAGE:FRAME:CELL", show_default=False)],
    note: Note = None,
    who: Who = None,
) -> None:
    """Cut the link of a cell to the one before it, or to its mother."""
    from rgbtrack.review import cut_link

    table = _cells(context)
    _add(context, cut_link(table, _key(table, cell), who=who, note=note))


@amend.command()
def join(
    context: typer.Context,
    earlier: Annotated[str, typer.Argument(help="the earlier cell, as IMAGE:FRAME:CELL", show_default=False)],
    later: Annotated[str, typer.Argument(help="the later cell, as IMAGE:FRAME:CELL", show_default=False)],
    note: Note = None,
    who: Who = None,
) -> None:
    """Let a cell follow an earlier one; as a daughter, where another follows that already."""
    from rgbtrack.review import join_cells

    table = _cells(context)
    _add(context, join_cells(table, _key(table, earlier), _key(table, later), who=who, note=note))


@amend.command()
def undo(
    context: typer.Context,
    correction: Annotated[str, typer.Argument(help="its id, or how the id begins", show_default=False)],
    note: Note = None,
    who: Who = None,
) -> None:
    """Take a correction back; an undo can be undone too."""
    from rgbtrack.review import Undo, read_review

    known = read_review(_file(context))
    meant = [earlier.id for earlier in known if earlier.id.startswith(correction)]
    if len(meant) != 1:
        which = f"begins {len(meant)} of them" if meant else "names none of them"
        raise ParamError(
            f"correction {correction} {which}: there are {', '.join(k.id for k in known) or 'none'}"
        )
    said = f"undo {next(earlier.said or earlier.id for earlier in known if earlier.id == meant[0])}"
    _add(context, Undo(of=meant[0], said=said, who=who, note=note))


@amend.command("list")
def list_corrections(context: typer.Context) -> None:
    """Show every correction, and what came of it in the last run."""
    from rgbtrack.files import read_table
    from rgbtrack.review import read_review

    told = context.obj / "review.csv"
    came = read_table(told).set_index("id").to_dict("index") if told.is_file() else {}
    corrections = read_review(_file(context))
    for correction in corrections:
        row = came.get(correction.id, {"status": "waits for the next run", "outcome": ""})
        words = f"{row['status']}: {row['outcome']}" if row["outcome"] else row["status"]
        why = f" ({correction.note})" if correction.note else ""
        current().tell(
            f"{correction.id}  {correction.when[:16]}  {correction.said or correction.action}{why}: {words}"
        )
    if not corrections:
        current().tell(f"{_file(context)}: no corrections")


def _file(context: typer.Context) -> Path:
    return Path(context.obj) / "review.jsonl"


def _cells(context: typer.Context) -> "pd.DataFrame":
    from rgbtrack.files import read_table

    return read_table(Path(context.obj) / "cells.parquet")


def _add(context: typer.Context, *corrections: "Correction") -> None:
    """Write corrections, and tell what the next run will do."""
    from rgbtrack.files import read_json
    from rgbtrack.review import append_correction

    for correction in corrections:
        append_correction(_file(context), correction)
        current().tell(f"{correction.id}: {correction.said}")
    experiment = Path(read_json(Path(context.obj) / "run.json").get("experiment", "EXPERIMENT"))
    results = Path(context.obj).resolve()
    out = "" if results == experiment.parent / "results" else f" --out {shlex.quote(str(results))}"
    them = "it" if len(corrections) == 1 else "them"
    command = f"rgbtrack run {shlex.quote(str(experiment))}{out}"
    current().tell(f"kept in {_file(context)}; the next run makes {them}: {command}")


def _key(cells: "pd.DataFrame", text: str) -> tuple[str, int, int]:
    """Image, frame and cell of IMAGE:CELL or IMAGE:FRAME:CELL."""
    known = set(cells["image_id"].astype("str"))
    image, _, cell = text.rpartition(":")
    if image in known and cell.isdigit():
        if cells.loc[cells["image_id"].astype("str") == image, "frame"].max() > 0:
            raise DataError(f"{text}: {image} is a time series: name the cell as {image}:FRAME:{cell}")
        return image, 0, int(cell)
    series, _, frame = image.rpartition(":")
    if series in known and frame.isdigit() and cell.isdigit():
        return series, int(frame), int(cell)
    raise DataError(
        f"{text}: no cell is named so: give IMAGE:CELL or IMAGE:FRAME:CELL, the image as in cells.parquet "
        f"({', '.join(sorted(known)[:5])}{' ...' if len(known) > 5 else ''})"
    )
