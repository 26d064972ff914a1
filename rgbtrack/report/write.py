"""The page itself: results in, report.html out."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from rgbtrack.files import write_atomically
from rgbtrack.plot.colours import clone_colours, hex_of, ink_on
from rgbtrack.plot.quality import LOW_SNR
from rgbtrack.plot.style import Save, save_figure
from rgbtrack.report.advice import advice_of
from rgbtrack.report.chapters import Chapter
from rgbtrack.report.corrections import correction_rows, correction_warnings
from rgbtrack.report.diversity import diversity_chapter
from rgbtrack.report.growth import growth_chapter
from rgbtrack.report.methods import methods_text
from rgbtrack.report.params import ReportParams
from rgbtrack.report.pictures import (
    closeups,
    correction_pictures,
    draw_figures,
    image_pictures,
    resolution_pictures,
    written,
)
from rgbtrack.report.responses import response_chapter
from rgbtrack.report.results import Results, read_results
from rgbtrack.report.review import audit_words, review_rows
from rgbtrack.report.sites import sites_chapter
from rgbtrack.report.time_lapse import time_lapse_chapter
from rgbtrack.report.words import count, doubts_of, headline, percent, share, trust_of, warnings_of

SITUATION = {"problem": "Problem", "caution": "Caution", "note": "Note"}


CHAPTERS = (growth_chapter, response_chapter, diversity_chapter, sites_chapter, time_lapse_chapter)
"""On clone dynamics, in the order in which they are read."""


def write_report(
    results: str | Path,
    params: ReportParams = ReportParams(),  # noqa: B008
    drawing: AbstractContextManager[Save] = nullcontext(save_figure),  # noqa: B008
) -> Path:
    """Write the figures and report.html of a results folder, from what the folder holds.

    Parameters
    ----------
    results
        A results folder: run.json, cells.parquet, clones.csv, clone_sizes.csv, labels and thumbnails.
    params
        What is shown.
    drawing
        Gives what writes figures, and has written them at its end.

    Returns
    -------
    report
        Path of report.html: one file, without script, that opens offline.

    Raises
    ------
    DataError
        If a table is missing, with the command that writes it.
    """
    found = read_results(Path(results))
    colours = clone_colours(found.clones, list(found.markers) or None) if len(found.clones) else {}
    with drawing as save:
        found = replace(found, save=save)
        figures, chapters = draw_figures(found, colours), _chapters(found, colours)
        pictures = image_pictures(found, colours, params)
    page = _template().render(
        title=params.title or found.run.get("name") or "rgbtrack",
        run=found.run,
        headline=headline(found),
        warnings=[*warnings_of(found), *correction_warnings(found)],
        situation=SITUATION,
        samples=_samples(found),
        channels=_channels(found),
        methods=methods_text(found),
        settings=_settings(found.run.get("configuration") or {}),
        gains=found.run.get("gains") or {},
        corrections=correction_rows(found),
        advice=advice_of(found),
        resolution=[
            f"{name}: {told['words']}".removeprefix(": ")
            for name, told in (found.run.get("resolution") or {}).items()
        ],
        resolution_pictures=resolution_pictures(found),
        correction_pictures=correction_pictures(found),
        reviewed=review_rows(found),
        audits=audit_words(found),
        markers=found.markers,
        control=found.control,
        palette=found.palette,
        figures=figures,
        chapters=chapters,
        clones=_clone_rows(found, colours, params.max_clones),
        low_snr=LOW_SNR,
        neighbours=str(found.run.get("neighbours") or ""),
        matches=str(found.run.get("matches") or ""),
        n_cells=len(found.cells),
        n_clones=len(found.clones),
        images=found.images.to_dict("records"),
        closeups=closeups(found),
        pictures=pictures,
        n_done=int((found.images["status"] != "failed").sum()),
        files=written(found.folder),
    )
    path = found.folder / "report.html"
    write_atomically(path, lambda temporary: temporary.write_text(page, encoding="utf-8", newline="\n"))
    return path


def _chapters(results: Results, colours: dict[int, Any]) -> list[Chapter]:
    """Chapters on clone dynamics, in the order in which they are read."""
    chapters = [make(results, colours) for make in CHAPTERS]
    return [chapter for chapter in chapters if chapter is not None]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rgbtrack.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": share, "percent": percent, "number": _number}
    environment.globals["count"] = count
    return environment.get_template("report.html")


def _clone_rows(results: Results, colours: dict[int, Any], most: int) -> list[dict[str, Any]]:
    """One row per clone, largest first, as the table shows it."""
    clones = results.clones.sort_values(["n_cells", "clone"], ascending=[False, True], kind="stable")
    rows = []
    for row in clones.head(most).to_dict("records"):
        colour = colours[int(row["clone"])]
        rows.append(
            {
                "clone": int(row["clone"]),
                "name": "" if pd.isna(row.get("clone_name")) else str(row["clone_name"]),
                "colour": hex_of(colour),
                "ink": ink_on(colour),
                "subject": "" if pd.isna(row.get("subject")) else str(row["subject"]),
                "n_cells": int(row["n_cells"]),
                "share": row["n_cells"] / max(results.n_assigned, 1),
                "means": [row.get(marker) for marker in results.markers],
                "founders": row.get("expected_founders"),
                "trust": trust_of(row),
                "flags": doubts_of(row),
            }
        )
    return rows


def _samples(results: Results) -> dict[str, list[str]]:
    """List what was compared: the distinct treatments, subjects, timepoints and sites."""
    sizes = results.sizes if len(results.sizes) else results.cells
    names = {"treatment": "treatments", "subject": "subjects", "timepoint": "timepoints (d)", "site": "sites"}
    return {
        words: [
            f"{value:g}" if isinstance(value, int | float) else str(value)
            for value in sorted(sizes[name].unique(), key=lambda value: (value != results.control, value))
        ]
        for name, words in names.items()
        if name in sizes.columns and len(sizes) and set(sizes[name]) != {"primary"}
    }


def _name(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _channels(results: Results) -> list[tuple[str, str]]:
    """Marker to channel, and the nucleus where there is one."""
    markers = results.setting("channels", "markers") or {}
    nucleus = results.setting("channels", "nucleus")
    rows = [(str(marker), _channel(channel)) for marker, channel in markers.items()]
    return [*rows, ("nucleus", _channel(nucleus))] if nucleus is not None else rows


def _channel(channel: Any) -> str:
    return f"channel {channel} (from 0)" if isinstance(channel, int) else str(channel)


def _settings(configuration: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (str(section), [(str(key), _plain(value)) for key, value in keys.items()])
        for section, keys in configuration.items()
        if isinstance(keys, dict) and keys
    ]


def _plain(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)


def _number(value: Any, digits: int = 0) -> str:
    # adding zero turns -0 into 0
    return "" if value is None or pd.isna(value) else f"{round(float(value), digits) + 0.0:,.{digits}f}"
