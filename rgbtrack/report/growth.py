"""Which clones grew: the chapter on growth."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.plot.growth import growth_curves, growth_rates
from rgbtrack.plot.response import FOUND
from rgbtrack.report.chapters import Chapter
from rgbtrack.report.pictures import Picture, embed
from rgbtrack.report.results import Results
from rgbtrack.report.sentences import at_site, evidence, number, span
from rgbtrack.report.words import count

LISTED = 6
CURVES = (
    "Share of the largest clones over time, on a log scale: a straight line is growth at one rate. Thin: "
    "subjects; thick: mean of each treatment, zeros included. Open marks, not joined: no cell of the clone "
    "was seen; the mark lies at the limit of detection."
)
RATES = "Growth rate of each clone by treatment, relative to the mean clone, with its interval over subjects."
CAUTIONS = {
    "relative": (
        "Rates are relative to the mean clone of the sample: a clone of rate 0 grows as the others do. How "
        "fast cells multiply is told only where the sample sheet gives total_cells, or the sampled and the "
        "total volume."
    ),
    "absolute": "Absolute rates rest on the totals of the sample sheet, whose error is not in the intervals.",
}


def growth_chapter(results: Results, colours: dict[int, Any]) -> Chapter | None:
    """Tell how fast clones grew; None where the run has not asked."""
    title, question = "Growth", "Which clones grew faster than the others, and did the treatment change that?"
    tables = results.dynamics
    if "growth_by_treatment" not in tables and "growth" not in tables:
        why = results.not_told.get("growth_by_treatment") or results.not_told.get("growth")
        return Chapter(title, question, not_told=why) if why else None
    means = tables.get("growth_by_treatment")
    findings = [] if means is None else [*_grown(means), *_differences(means, results.control)]
    findings += _lost(tables.get("clone_times"))
    pictures: list[tuple[str, Picture]] = []
    sizes = results.sizes
    sites = list(dict.fromkeys(sizes["site"]))
    for k, site in enumerate(sites, 1):
        end, of = ("", "") if len(sites) == 1 else (f"_{k}", f"Site: {site}. ")
        of_site = sizes[sizes["site"] == site]
        if len(set(of_site["timepoint"])) > 1:
            curves = growth_curves(of_site, colours, first=results.control)
            pictures.append(
                ("Clone sizes over time", embed(results, curves, f"growth_curves{end}", of + CURVES))
            )
        if means is not None and (means["site"] == site).any():
            rates = growth_rates(means[means["site"] == site], colours, first=results.control)
            pictures.append(("Growth rates", embed(results, rates, f"growth_rates{end}", of + RATES)))
    kinds = list(dict.fromkeys((tables["growth"] if means is None else means)["kind"]))
    named = [f"dynamics/{n}.csv" for n in ("growth", "growth_by_treatment", "clone_times") if n in tables]
    remarks = results.remarks_on("growth", "growth_by_treatment", "clone_times")
    cautions = [*dict.fromkeys(remarks), *(CAUTIONS[kind] for kind in kinds)]
    return Chapter(title, question, findings, cautions, pictures, named)


def _grown(means: pd.DataFrame) -> Iterable[str]:
    """Clones whose rate is surely not that of the others, fastest first."""
    for (site, treatment), rows in means.groupby(["site", "treatment"], sort=False):
        where = at_site(site, means)
        told = rows[(rows["rate_low_per_d"] > 0) | (rows["rate_high_per_d"] < 0)]
        told = told.reindex(told["rate_per_d"].abs().sort_values(ascending=False, kind="stable").index)
        kind = rows["kind"].iloc[0]
        than = " than the mean clone" if kind == "relative" else ""
        for row in told.head(LISTED).to_dict("records"):
            rate = row["rate_per_d"]
            way = ("faster" if rate > 0 else "more slowly") if than else ""
            verb = "grew" if rate > 0 or than else "shrank"
            yield (
                f"Under {treatment}{where}, clone {row['clone']} {verb} {way}{than} by {number(abs(rate))} "
                f"per day (95 % interval {span(row['rate_low_per_d'], row['rate_high_per_d'])}, "
                f"{count(int(row['n_subjects']), 'subject')}): a factor of 2 in "
                f"{number(np.log(2) / abs(rate))} days."
            ).replace("  ", " ")
        if len(told):
            yield (
                "These are the clones whose own 95 % interval leaves out the rate of the mean clone, of "
                f"{len(rows)} looked at: one in twenty would by chance."
            )
        if len(told) > LISTED:
            yield f"So did {len(told) - LISTED} further clones; all are in dynamics/growth_by_treatment.csv."
        if told.empty:
            yield f"Under {treatment}{where}, no clone surely grew at another rate than the others."


def _differences(means: pd.DataFrame, control: str | None) -> Iterable[str]:
    """Clones that grew otherwise than under the control."""
    tested = means.dropna(subset=["q_value"])
    for treatment, rows in tested.groupby("treatment", sort=False):
        found = rows[rows["q_value"] < FOUND].sort_values("p_value", kind="stable")
        for row in found.head(LISTED).to_dict("records"):
            way = "faster" if row["difference_per_d"] > 0 else "more slowly"
            yield (
                f"Clone {row['clone']} grew {way} under {treatment} than under {control}, by "
                f"{number(abs(row['difference_per_d']))} per day (95 % interval "
                f"{span(row['difference_low_per_d'], row['difference_high_per_d'])}, "
                f"{evidence(row['q_value'], 'q')}, {count(int(row['n_subjects']), 'treated subject')})."
            )
        if found.empty:
            yield (
                f"No clone was found to grow at another rate under {treatment} than under {control} (all q "
                f">= {FOUND:g})."
            )


def _lost(times: pd.DataFrame | None) -> Iterable[str]:
    """How many clones vanished or took over."""
    if times is None or times.empty:
        return
    seen = times.dropna(subset=["first_seen_d"])
    lost, dominant = seen["lost_d"].notna().sum(), seen["dominant_d"].notna().sum()
    if lost:
        yield (
            f"{lost} of {len(seen)} times that a clone was seen in a subject, it was not seen again later: "
            "it fell below the limit of detection, or died out (dynamics/clone_times.csv tells when, and "
            "the limit)."
        )
    if dominant:
        named = ", ".join(
            f"clone {row.clone} in {row.subject}"
            for row in seen.dropna(subset=["dominant_d"]).head(5).itertuples()
        )
        others = " and others" if dominant > 5 else ""
        yield f"More than half of the cells came to be of one clone {dominant} times: {named}{others}."
