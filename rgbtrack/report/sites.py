"""Which clones moved or seeded: the chapter on sites and lesions."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.plot.lesions import lesion_bars
from rgbtrack.plot.response import FOUND
from rgbtrack.plot.sites import seeding_alluvial, site_heatmap
from rgbtrack.report.chapters import Chapter
from rgbtrack.report.pictures import embed
from rgbtrack.report.results import Results
from rgbtrack.report.sentences import evidence, factor, number, span
from rgbtrack.report.words import count, share

SURE = 0.05
LISTED = 6
MOST = 0.5
"""Share of an image's cells from which one patch is the tissue, not a lesion."""
CAPTIONS = {
    "site_heatmap": "Share of each clone at each site of each subject, on a log scale. Marked: not seen "
    "there.",
    "seeding_alluvial": "From the primary site to the others: a ribbon joins the shares of one clone. It "
    "shows where a clone is, not the way it took.",
    "lesion_bars": "Clones of each lesion, and whether it is of one clone or of several beyond what "
    "misassignment of single cells gives.",
}
CAUTIONS = (
    "A clone that is not seen at a site may be there: with n cells, a share below 3 / n is easily missed "
    "(site_overlap.csv tells the limit).",
    "One colour is not one founder: two founders of one colour look monoclonal. Shares of polyclonal "
    "lesions are corrected for that where it says so, for lesions of two founders.",
    "Lesions are cells that lie close together in the image. Sections through one lesion count twice, "
    "lesions that touch count once.",
    "Cells of a lesion descend from few founders: more cells there mean growth as much as seeding.",
)
OUTCOMES = {
    "n_lesions": "lesions per subject",
    "polyclonal_share": "share of polyclonal lesions",
    "founders": "founders per lesion",
}


def sites_chapter(results: Results, colours: dict[int, Any]) -> Chapter | None:
    """Tell where clones are and what seeded the lesions; None where there is one site only."""
    title, question = "Sites and lesions", "Which clones moved or seeded, and are lesions of one clone?"
    tables, sizes = results.dynamics, results.sizes
    names = ("site_overlap", "site_clones", "site_enrichment", "lesions", "lesion_clones", "seeding")
    reasons = list(dict.fromkeys(results.not_told[name] for name in names if name in results.not_told))
    if not any(name in tables for name in names):
        return Chapter(title, question, not_told="; ".join(reasons)) if reasons else None
    findings = [
        *_overlaps(tables.get("site_overlap")),
        *_enriched(tables.get("site_enrichment")),
        *_lesions(tables.get("lesions"), tables.get("seeding"), results.cells["image_id"].value_counts()),
        *_effects(tables.get("seeding_effects"), results.control),
        *(f"Not told: {reason}." for reason in reasons),
    ]
    drawn: dict[str, Callable[[], Any]] = {
        "site_heatmap": lambda: site_heatmap(sizes, colours, control=results.control),
        "seeding_alluvial": lambda: seeding_alluvial(sizes, colours, control=results.control),
        "lesion_bars": lambda: lesion_bars(
            tables["lesion_clones"], tables["lesions"], colours, first=results.control
        ),
    }
    pictures = [
        (name.replace("_", " "), embed(results, draw(), name, CAPTIONS[name]))
        for name, draw in drawn.items()
        if name != "lesion_bars" or len(tables.get("lesion_clones", ()))
    ]
    files = [f"dynamics/{name}.csv" for name in (*names, "seeding_effects") if name in tables]
    cautions = [*dict.fromkeys(results.remarks_on(*names, "seeding_effects")), *CAUTIONS]
    return Chapter(title, question, findings, cautions, pictures, files)


def _overlaps(overlap: pd.DataFrame | None) -> Iterable[str]:
    """How alike the clones of two sites are, over subjects."""
    if overlap is None:
        return
    for (site, other), rows in overlap.groupby(["site", "other_site"], sort=False):
        told = rows.dropna(subset=["morisita_horn"])
        if told.empty:
            continue
        unlike = int((told["p_value"] < SURE).sum())
        yield (
            f"Between {site} and {other}, the shares of clones differ by more than counting explains in "
            f"{unlike} of {count(len(told), 'subject')} (median similarity "
            f"{number(told['morisita_horn'].median())}, by counting alone "
            f"{number(told['morisita_horn_expected'].median())}; a median of {told['n_shared'].median():g} "
            "clones seen at both)."
        )


def _enriched(enrichment: pd.DataFrame | None) -> Iterable[str]:
    """Clones that are surely over- or under-represented at a site."""
    if enrichment is None:
        return
    for (site, against), rows in enrichment.groupby(["site", "against"], sort=False):
        found = rows[rows["q_value"] < FOUND].sort_values("p_value", kind="stable")
        for row in found.head(LISTED).to_dict("records"):
            yield (
                f"At {site}, the share of clone {row['clone']} under {row['treatment']} is "
                f"{factor(row['effect'])} that of the {against}, relative to the mean clone (95 % interval "
                f"{factor(row['low'])} to {factor(row['high'])}, {evidence(row['q_value'], 'q')}, "
                f"{count(int(row['n_subjects']), 'subject')})."
            )
        if found.empty and rows["q_value"].notna().any():
            than = "at the source" if against == "primary" else f"under {against}"
            yield f"At {site}, no clone was found to be more or less frequent than {than} (q >= {FOUND:g})."


def _lesions(lesions: pd.DataFrame | None, seeding: pd.DataFrame | None, n_cells: pd.Series) -> Iterable[str]:
    """How many lesions are of several clones, and by how many founders."""
    if lesions is None:
        return
    for site, rows in lesions.groupby("site", sort=False):
        if _fields(rows, n_cells):
            yield (
                f"At {site}, most images are filled by one patch of cells that their edges cut: they lie "
                "within a tissue, not around lesions. Lesions and their founders are not told there."
            )
            continue
        calls = rows["clonality"].value_counts()
        yield (
            f"At {site}, {count(len(rows), 'lesion')}: {calls.get('monoclonal', 0)} monoclonal, "
            f"{calls.get('polyclonal', 0)} polyclonal, {calls.get('undecided', 0)} with too few cells to "
            "tell."
        )
        of_site = None if seeding is None else seeding[(seeding["site"] == site)].dropna(subset=["founders"])
        if of_site is None or of_site.empty:
            continue
        for treatment, subjects in of_site.groupby("treatment", sort=False):
            told = int(subjects["n_told"].sum())
            yield (
                f"Under {treatment}, a lesion at {site} was seeded by {number(subjects['founders'].mean())} "
                f"founders (mean of {count(len(subjects), 'subject')}, from {count(told, 'lesion')} large "
                "enough to tell); corrected for founders of one colour, "
                f"{share(subjects['polyclonal_corrected'].mean())} of lesions are polyclonal. Intervals of "
                "each subject are in seeding.csv."
            )


def _fields(lesions: pd.DataFrame, n_cells: pd.Series) -> bool:
    """Whether most images hold one patch of cells that fills them, and no lesions."""
    largest = lesions.sort_values("n_cells").groupby("image_id").tail(1)
    filled = largest["n_cells"] >= MOST * largest["image_id"].map(n_cells)
    cut = largest["touches_border"].eq(True).fillna(value=False)
    return float((filled & cut).mean()) > 0.5


def _effects(effects: pd.DataFrame | None, control: str | None) -> Iterable[str]:
    """Whether the treatment changed seeding."""
    if effects is None:
        return
    told = effects[np.isfinite(effects[["low", "high", "p_value"]].to_numpy(float)).all(axis=1)]
    for row in told.to_dict("records"):
        ratio = row["outcome"] == "n_lesions"
        change = factor(row["effect"]) if ratio else f"{row['effect']:+.2f}"
        ends = f"{factor(row['low'])} to {factor(row['high'])}" if ratio else span(row["low"], row["high"])
        yield (
            f"At {row['site']} on day {row['timepoint']:g}, {OUTCOMES.get(row['outcome'], row['outcome'])} "
            f"under {row['treatment']} against {control}: {change} (95 % interval {ends}, "
            f"{evidence(row['p_value'])}, {int(row['n_subjects'])} and "
            f"{count(int(row['n_control']), 'subject')})."
        )
