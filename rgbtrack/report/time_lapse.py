"""How did the cells move, and how often did they divide? The chapter on time series."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pandas as pd

from rgbtrack.files import read_table
from rgbtrack.link import poisson_interval
from rgbtrack.plot import (
    plot_by_subject,
    plot_flower,
    plot_lineages,
    plot_msd,
    plot_rates,
    plot_trajectories,
)
from rgbtrack.plot.response import FOUND
from rgbtrack.report.chapters import Chapter
from rgbtrack.report.pictures import Picture, embed
from rgbtrack.report.results import Results
from rgbtrack.report.sentences import evidence
from rgbtrack.report.words import count

LISTED = 8
MOVIES = 4
"""Time series whose tracks are drawn."""
SURE = 0.05
FIRST = "speed_corrected_um_h"
"""The measure that is always told of."""
WORDS = {
    "speed_corrected_um_h": ("speed", "µm/h"),
    "straightness": ("straightness", ""),
    "persistence_h": ("persistence", "h"),
    "division_rate_per_h": ("rate of division", "per cell and hour"),
    "loss_rate_per_h": ("rate of loss", "per cell and hour"),
    "motility_um2_h": ("motility coefficient", "µm²/h"),
    "exit_rate_per_h": ("rate of leaving the image", "per cell and hour"),
}
"""Measures that findings tell of, in words and units."""
TABLES = (
    *("motility", "motility_by_clone", "motility_by_subject", "motility_by_treatment"),
    *("msd", "msd_by_treatment"),
)
CAPTIONS = {
    "trajectories": "Tracks over the first frame, each in its clone's colour. Lines that jump from one "
    "cell to another, or cells without a line, are mistakes of linking or segmentation.",
    "flower": "All tracks from one origin, stage drift taken off. An even bunch is a random walk; a lean "
    "is a common direction.",
    "lineages": "Families along time. A fork is a division; a cross a cell that was lost: it died, or was "
    "not found.",
    "speed": "Speed of the cells of each subject: root mean square of their steps, less what the error of a "
    "place adds.",
    "msd": "How far cells get in a given time. Steep as the upper line: straight ahead; as the lower: at "
    "random.",
    "division_rates": "Divisions of each clone for each hour that a cell was watched. Intervals say what "
    "counting leaves unsure, and no more: they do not cover differences between subjects.",
}
CAUTIONS = (
    "Divisions are the hardest to find: a daughter that is outlined late, debris, or a cell that comes back "
    "passes for one. Look at the families below, and count by eye before a rate is published.",
    "How many links are expected to be wrong is the linker's own reckoning, if every cell is outlined "
    "rightly; mistakes of outlines come on top.",
    "A cell that disappears inside the image died, or was not found or not linked: tracks cannot tell which.",
    "The subject is the unit. Further cells of the same subjects make a difference between treatments no "
    "surer; further subjects do.",
    "Fast cells leave the image first: long tracks are of slow cells.",
    "A measured path gets shorter as frames lie further apart: compare only movies of one frame interval.",
)


def time_lapse_chapter(results: Results, colours: dict[int, Any]) -> Chapter | None:
    """Tell how cells move and divide; None where no image is a time series."""
    if "track" not in results.cells or not results.cells["track"].notna().any():
        return None
    cells = results.cells[results.cells["track"].notna()].reset_index(drop=True)
    found = results.dynamics
    findings = [f"{results.run['links']}."] if results.run.get("links") else []
    findings += _compared(found.get("motility_by_treatment", pd.DataFrame()))
    findings += _divisions(found.get("motility_by_clone", pd.DataFrame()))
    why = [results.not_told[name] for name in ("time", "tracks", *TABLES) if name in results.not_told]
    findings += [f"Not told: {text}." for text in dict.fromkeys(why)]
    tables = [f"dynamics/{name}.csv" for name in TABLES if name in found]
    if (results.folder / "tracks.csv").is_file():
        tables.insert(0, "tracks.csv")
    return Chapter(
        "Time-lapse",
        "How did the cells move, and how often did they divide?",
        findings,
        CAUTIONS,
        [*_tracks(results, cells, colours), *_measures(results, colours)],
        tables,
    )


def _compared(table: pd.DataFrame) -> list[str]:
    """Say how treatments differ: speed first, then what else differs, and what was looked at in vain."""
    if table.empty:
        return []
    told: list[str] = []
    table = table[table["measure"].isin(list(WORDS))]
    where = _places(table)
    of_all = table[table["clone"].isna() & (table["n_subjects"] > 0) & (table["n_control"] > 0)]
    when = [name for name in ("timepoint", "site", "treatment") if name in table]
    for _, rows in of_all.groupby(when, sort=False):
        apart = (rows["measure"] == FIRST) | (rows["p"] < SURE)
        told += [_difference(row, where(row)) for row in rows[apart].to_dict("records")]
        rest = rows[~apart & rows["p"].notna()]
        if len(rest):
            told.append(_in_vain(rest, where(rest.iloc[0].to_dict())))
    of_clones = table[table["clone"].notna() & (table["q"] < FOUND)].sort_values("p", kind="stable")
    told += [_difference(row, where(row)) for row in of_clones.head(LISTED).to_dict("records")]
    if len(of_clones) > LISTED:
        told.append(
            f"{len(of_clones) - LISTED} further differences of single clones were found; all are in "
            "dynamics/motility_by_treatment.csv."
        )
    return told


def _places(table: pd.DataFrame) -> Any:
    """Words for when and where, as far as there are several."""
    several = {name: name in table and len(set(table[name])) > 1 for name in ("timepoint", "site")}

    def where(row: dict[Any, Any]) -> str:
        day = f" on day {row['timepoint']:g}" if several["timepoint"] else ""
        return day + (f" at site {row['site']}" if several["site"] else "")

    return where


def _difference(row: dict[Any, Any], where: str) -> str:
    """Say of one measure what it was under a treatment and under its control."""
    name, unit = WORDS[row["measure"]]
    who = "all cells" if pd.isna(row["clone"]) else f"clone {int(row['clone'])}"
    unit = f" {unit}" if unit else ""
    told = (
        f"{name.capitalize()} of {who}{where}: {_number(row['mean'])}{unit} under {row['treatment']}, "
        f"{_number(row['control_mean'])}{unit} under {row['control']}"
    )
    subjects = _subjects(row)
    if not np.isfinite(row["p"]):
        return f"{told} ({subjects}: a test needs two or more in each arm)."
    proof = (
        f"difference {_number(row['difference'])}{unit}, 95 % interval {_number(row['difference_low'])} to "
        f"{_number(row['difference_high'])}, {evidence(row['p'])}, {subjects}"
    )
    if pd.notna(row["clone"]):
        return f"{told} ({proof}, {evidence(row['q'], 'q')} over the clones)."
    if row["p"] >= SURE:
        return f"{told}: no sure difference, and no evidence of sameness ({proof})."
    return f"{told} ({proof})."


def _in_vain(rows: pd.DataFrame, where: str) -> str:
    """Say what was looked at without a difference being found."""
    first = rows.iloc[0].to_dict()
    measures = ", ".join(
        f"{WORDS[row['measure']][0]} ({_number(row['mean'])} and {_number(row['control_mean'])}"
        f"{' ' * bool(WORDS[row['measure']][1])}{WORDS[row['measure']][1]}, {evidence(row['p'])})"
        for row in rows.to_dict("records")
    )
    return (
        f"No sure difference between {first['treatment']} and {first['control']}{where} in {measures}; "
        f"{_subjects(first)}. That is no evidence of sameness."
    )


def _subjects(row: dict[Any, Any]) -> str:
    return f"{int(row['n_subjects'])} and {count(int(row['n_control']), 'subject')}"


def _divisions(table: pd.DataFrame) -> list[str]:
    """Say how often cells of each treatment divide, and which clones stand out from the rest."""
    if table.empty:
        return []
    told = []
    for treatment, part in table.groupby("treatment", sort=False):
        n, hours = int(part["n_divisions"].sum()), float(part["observed_h"].sum())
        if not hours:
            continue
        low, high = map(float, poisson_interval(n, hours))
        doubling = (
            f"; without deaths their number would double every {np.log(2) * hours / n:,.3g} h" if n else ""
        )
        told.append(
            f"Under {treatment} {count(n, 'division')} were found in {hours:,.0f} cell hours: "
            f"{_number(n / hours)} per cell and hour (95 % interval {_number(low)} to {_number(high)}, of "
            f"counting alone){doubling}."
        )
        known = part[part["clone"].notna()]
        rate = n / hours
        apart = known[(known["division_rate_low"] > rate) | (known["division_rate_high"] < rate)]
        rows = apart.head(LISTED).to_dict("records")
        told += [_stands_out(row, rate, f"under {treatment}, {len(known)} clones looked at") for row in rows]
    return told


def _stands_out(row: dict[Any, Any], rate: float, where: str) -> str:
    """Say of a clone that it divides at another rate than all cells."""
    more = "more" if row["division_rate_low"] > rate else "less"
    low, high = _number(row["division_rate_low"]), _number(row["division_rate_high"])
    n, hours = count(int(row["n_divisions"]), "time"), f"{row['observed_h']:,.0f}"
    return (
        f"Clone {int(row['clone'])} divided {more} often than that: {n} in {hours} cell hours (95 % interval "
        f"{low} to {high} per hour, of counting alone; {where})."
    )


def _tracks(results: Results, cells: pd.DataFrame, colours: dict[int, Any]) -> list[tuple[str, Picture]]:
    """Trajectories of a few movies, bunches of all, and the families of the first movie."""
    pictures = []
    movies = _movies_shown(cells, results.control)
    for number, image_id in enumerate(movies, 1):
        movie = cells[cells["image_id"] == image_id]
        picture, pixel = _first_frame(results, image_id)
        name = "trajectories" if len(movies) == 1 else f"trajectories_{number}"
        figure = plot_trajectories(movie, colours, picture, pixel_size_um=pixel, title=_title(movie))
        pictures.append(
            ("Tracks over the first frame", embed(results, figure, name, CAPTIONS["trajectories"]))
        )
    figure = plot_flower(cells, colours, first=results.control)
    pictures.append(("All tracks from one origin", embed(results, figure, "flower", CAPTIONS["flower"])))
    path = results.folder / "tracks.csv"
    if path.is_file():
        tracks = read_table(path)
        figure = plot_lineages(tracks[tracks["image_id"].isin(movies[:1])], colours, title=movies[0])
        pictures.append(("Families of cells", embed(results, figure, "lineages", CAPTIONS["lineages"])))
    return pictures


def _movies_shown(cells: pd.DataFrame, control: str | None) -> list[str]:
    """Movies that are drawn: the first of each treatment in turn, the control before the others."""
    movies = cells.drop_duplicates("image_id")
    treatment = (
        movies["treatment"].astype("str") if "treatment" in movies else pd.Series("", index=movies.index)
    )
    ranked = movies.assign(turn=movies.groupby(treatment).cumcount(), other=treatment != control)
    return [
        str(name) for name in ranked.sort_values(["turn", "other"], kind="stable")["image_id"].head(MOVIES)
    ]


def _title(movie: pd.DataFrame) -> str:
    n, divided = movie["track"].nunique(), movie.dropna(subset=["parent"])["parent"].nunique()
    return f"{movie['image_id'].iloc[0]}: {count(n, 'track')}, {count(divided, 'division')}"


def _first_frame(results: Results, image_id: str) -> tuple[Any, float]:
    """Thumbnail of a movie, if there is one, and the size of its pixels in the unit of places."""
    record = results.run["images"].get(image_id) or {}
    pixel, shape = record.get("pixel_size_um") or 1.0, record.get("shape")
    path = results.folder / "thumbnails" / f"{image_id}.png"
    picture = cv2.imread(str(path)) if path.is_file() else None
    if picture is None or not shape:
        return None, pixel
    return np.asarray(picture)[:, :, ::-1], pixel * shape[-1] / picture.shape[1]


def _measures(results: Results, colours: dict[int, Any]) -> list[tuple[str, Picture]]:
    """Speed by subject, mean squared displacement and rates of division, for each timepoint and site."""
    pictures, found, control = [], results.dynamics, results.control
    plots: dict[str, tuple[str, Callable[[pd.DataFrame], Any]]] = {
        "speed": (
            "motility_by_subject",
            lambda part: plot_by_subject(part, "speed_corrected_um_h", first=control),
        ),
        "msd": ("msd_by_treatment", lambda part: plot_msd(part, first=control)),
    }
    for name, (table, draw) in plots.items():
        if table not in found or found[table].empty:
            continue
        groups = list(found[table].groupby(["timepoint", "site"], sort=True))
        for number, ((day, site), part) in enumerate(groups, 1):
            several = len(groups) > 1
            caption = f"Day {day:g}, {site}. {CAPTIONS[name]}" if several else CAPTIONS[name]
            picture = embed(results, draw(part), f"{name}_{number}" if several else name, caption)
            pictures.append((caption.split(".")[0], picture))
    rates = found.get("motility_by_clone", pd.DataFrame(columns=["clone"])).dropna(subset="clone")
    rates = rates.astype({"clone": "Int64"})
    if len(rates):
        figure = plot_rates(rates, colours, "division", first=control)
        pictures.append(
            ("Rates of division", embed(results, figure, "division_rates", CAPTIONS["division_rates"]))
        )
    return pictures


def _number(value: float) -> str:
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
