"""How many clones share a tumour, and how fast they change: the chapter on diversity."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.dynamics import CAUTION
from rgbtrack.plot.diversity import plot_diversity
from rgbtrack.plot.ranks import plot_ranks
from rgbtrack.plot.spectrum import plot_spectrum
from rgbtrack.plot.turnover import plot_turnover
from rgbtrack.report.chapters import Chapter
from rgbtrack.report.pictures import embed
from rgbtrack.report.results import Results
from rgbtrack.report.sentences import at_site, evidence, number, span
from rgbtrack.report.words import count

SURE = 0.05
ORDER = 1
"""Of the Hill number that sentences tell: it weighs a clone by its cells."""
CAPTIONS = {
    "diversity": "Diversity of each subject (thin) and mean over subjects (thick, with its interval over "
    "subjects), all at the same coverage: the number of clones, of common ones, and of dominant ones.",
    "ranks": "Clones of each sample from the largest to the smallest. A steep line: few clones hold most "
    "cells.",
    "size_distribution": "Share of clones larger than a multiple of the mean clone, beside neutral growth "
    "from single cells (dashed).",
    "turnover": "How alike the clones of a subject are at one timepoint and the next: 1 is the same. Beside "
    "it, what counting alone would give.",
}
CAUTIONS = (
    "Diversity counts colours. Founders of one colour count as one clone, so that it is a lower bound.",
    "The number of clones (order 0) hangs on the rarest ones, and one misassigned cell makes a clone; "
    "orders 1 and 2 hardly change.",
    CAUTION,
)


def diversity_chapter(results: Results, colours: dict[int, Any]) -> Chapter | None:
    """Tell how diverse samples are and how fast they change; None where the run has not asked."""
    del colours  # no figure here shows single clones
    title, question = "Diversity and turnover", "How many clones hold the cells, and how fast do they change?"
    tables = results.dynamics
    if "diversity" not in tables:
        why = results.not_told.get("diversity")
        return Chapter(title, question, not_told=why) if why else None
    findings = [
        *_levels(tables.get("diversity_by_treatment"), results.control),
        *_shapes(tables.get("size_departure")),
        *_changes(tables.get("turnover"), tables.get("turnover_by_treatment"), results.control),
    ]
    first = results.control
    drawn: dict[str, Callable[[], Any]] = {
        "diversity": lambda: plot_diversity(tables["diversity"], first=first),
        "turnover": lambda: plot_turnover(tables["turnover"], tables.get("subject_similarity"), first=first),
        "ranks": lambda: plot_ranks(tables["rank_abundance"], first=first),
        "size_distribution": lambda: plot_spectrum(tables["size_distribution"], first=first),
    }
    needed = {"ranks": "rank_abundance"}
    pictures = [
        (name.replace("_", " "), embed(results, draw(), name, CAPTIONS[name]))
        for name, draw in drawn.items()
        if len(tables.get(needed.get(name, name), ()))
    ]
    files = (
        "diversity",
        "turnover",
        "rank_abundance",
        "size_distribution",
        "size_departure",
        "subject_similarity",
    )
    named = [f"dynamics/{name}.csv" for name in tables if name.startswith(files)]
    remarks = results.remarks_on("diversity", "turnover", "size_departure", "size_distribution")
    return Chapter(title, question, findings, [*dict.fromkeys(remarks), *CAUTIONS], pictures, named)


def _levels(means: pd.DataFrame | None, control: str | None) -> Iterable[str]:
    """Diversity at the last timepoint, and how treatments differ."""
    if means is None or means["mean"].isna().all():
        return
    for site, rows in means[means["q"] == ORDER].dropna(subset=["mean"]).groupby("site", sort=False):
        where = at_site(site, means)
        last = rows[rows["timepoint"] == rows["timepoint"].max()]
        for row in last.sort_values("treatment", key=lambda names: names != control).to_dict("records"):
            behind = _over_subjects(row["low"], row["high"], row["n_subjects"])
            text = (
                f"On day {row['timepoint']:g}{where}, the cells under {row['treatment']} are as diverse as "
                f"{number(row['mean'])} clones of one size (order 1; {behind})"
            )
            if pd.notna(row["fold"]) and pd.notna(row["p_value"]):
                text += (
                    f", {number(row['fold'])} times that of {control} (95 % interval "
                    f"{span(row['fold_low'], row['fold_high'])}, {evidence(row['p_value'])})"
                )
            yield f"{text}."


def _shapes(departure: pd.DataFrame | None) -> Iterable[str]:
    """Whether sizes are as unequal as those of neutral growth."""
    if departure is None or departure.empty:
        return
    last = departure[departure["timepoint"] == departure["timepoint"].max()].dropna(subset=["p_value"])
    for row in last.to_dict("records"):
        where = at_site(row["site"], departure)
        if row["p_value"] >= SURE:
            said = "are not told apart from those of neutral growth from single cells"
        else:
            said = f"are {row['shape']} than those of neutral growth from single cells"
        yield (
            f"On day {row['timepoint']:g}{where}, clone sizes under "
            f"{row['treatment']} {said} ({evidence(row['p_value'])}, "
            f"{count(int(row['n_subjects']), 'subject')}): no proof of either."
        )


def _changes(turnover: pd.DataFrame | None, means: pd.DataFrame | None, control: str | None) -> Iterable[str]:
    """Whether clones of a subject change by more than counting, and whether treatments differ in that."""
    if turnover is None or turnover.empty:
        return
    tested = turnover.dropna(subset=["p_value"])
    for (site, start, end), rows in tested.groupby(["site", "timepoint", "next_timepoint"]):
        changed = int((rows["p_value"] < SURE).sum())
        alike = number(float(np.mean(rows["morisita_horn"])))
        chance = number(float(np.mean(rows["morisita_horn_by_chance"])))
        yield (
            f"From day {start:g} to day {end:g}{at_site(site, turnover)} the clones of {changed} of "
            f"{count(len(rows), 'subject')} changed by more than counting explains (p < {SURE:g} each; mean "
            f"Morisita-Horn similarity {alike}, by counting alone {chance})."
        )
    if means is None:
        return
    compared = means[(means["measure"] == "morisita_horn")].dropna(subset=["p_value"])
    for row in compared[compared["p_value"] < SURE].to_dict("records"):
        way, where = "less" if row["difference"] > 0 else "more", at_site(row["site"], means)
        ends = span(row["difference_low"], row["difference_high"])
        yield (
            f"Clones changed {way} under {row['treatment']} than under {control} from day "
            f"{row['timepoint']:g} to day {row['next_timepoint']:g}{where} (difference "
            f"of similarity {number(row['difference'])}, 95 % interval {ends}, {evidence(row['p_value'])})."
        )
    if len(compared) and not (compared["p_value"] < SURE).any():
        yield (
            f"No difference of turnover between a treatment and {control} was found (smallest "
            f"{evidence(compared['p_value'].min())}): no evidence of sameness."
        )


def _over_subjects(low: float, high: float, n: float) -> str:
    subjects = count(int(n), "subject")
    return subjects if pd.isna(low) else f"95 % interval {span(low, high)} over {subjects}"
