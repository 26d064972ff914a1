"""Did the treatment do it? The chapter on responses."""

from typing import Any

import pandas as pd

from rgbtrack.plot.response import FOUND, response_forest, response_volcano
from rgbtrack.report.chapters import Chapter
from rgbtrack.report.pictures import embed
from rgbtrack.report.results import Results
from rgbtrack.report.sentences import at_site, evidence, factor
from rgbtrack.report.words import count

SURE = 0.05
LISTED = 10
FOREST = (
    "Change of each clone's share against the control. Dot: effect, in the clone's colour; line: 95 % "
    "interval over subjects, of this clone alone. Found are those with q < 0.1: sure enough although so many "
    "clones were looked at."
)
VOLCANO = (
    "The same clones: how much each changed, and how unlikely that is by chance. Numbers name those found."
)
CAUTIONS = (
    "Effects are relative to the majority of clones. Shares alone cannot tell whether these clones grew or "
    "all others shrank.",
    "A clone that is not found may respond all the same: the interval says how much it may have changed.",
    "The subject is the unit. Further images or cells of the same animals make an effect no surer; further "
    "animals do.",
)


def response_chapter(results: Results, colours: dict[int, Any]) -> Chapter | None:
    """Tell how clones respond to each treatment; None where the run has not asked."""
    title, question = "Response to treatment", "Did the treatment change which clones there are?"
    if "response" not in results.dynamics:
        why = results.not_told.get("response")
        return Chapter(title, question, not_told=why) if why else None
    response = results.dynamics["response"]
    heterogeneity = results.dynamics.get("heterogeneity", pd.DataFrame(columns=["treatment", "site"]))
    findings, pictures = [], []
    several = len(set(response["site"])) > 1
    for (site, treatment), part in response.groupby(["site", "treatment"], sort=False):
        where = at_site(site, response)
        both = heterogeneity[(heterogeneity["site"] == site) & (heterogeneity["treatment"] == treatment)]
        if len(both):
            findings.append(_any(both.iloc[0], part, where))
        findings += _each(part, where)
    for number, (site, part) in enumerate(response.groupby("site", sort=False), 1):
        end, of = (f"_{number}", f"Site: {site!s}. ") if several else ("", "")
        forest = embed(results, response_forest(part, colours), f"response_forest{end}", of + FOREST)
        volcano = embed(results, response_volcano(part, colours), f"response_volcano{end}", of + VOLCANO)
        pictures += [
            ("Effects of the treatment on each clone", forest),
            ("Effects against evidence", volcano),
        ]
    tables = [f"dynamics/{name}.csv" for name in ("response", "heterogeneity") if name in results.dynamics]
    cautions = [*results.remarks_on("response"), *CAUTIONS]
    return Chapter(title, question, findings, cautions, pictures, tables)


def _any(row: pd.Series, clones: pd.DataFrame, where: str) -> str:
    """Say whether clones respond differently at all."""
    behind = (
        f"{evidence(row['p_value'])}, {row['when']}, {count(int(row['n_clones']), 'clone')}, "
        f"{count(int(row['n_subjects']), 'subject')}"
    )
    if row["p_value"] < SURE:
        return f"Clones respond differently to {row['treatment']}{where} ({behind})."
    width = (clones["high"] - clones["low"]).median() / 2
    return (
        f"No sign that clones respond differently to {row['treatment']}{where} ({behind}). That is no "
        f"evidence of sameness: for half of the clones, a change by less than {factor(width)} would not be "
        "seen."
    )


def _each(clones: pd.DataFrame, where: str) -> list[str]:
    """Say of each clone that was found how much it changed."""
    tested = clones.dropna(subset=["q_value"])
    found = tested[tested["q_value"] < FOUND].sort_values("p_value", kind="stable")
    told = []
    for row in found.head(LISTED).to_dict("records"):
        way = "rose" if row["effect"] > 0 else "fell"
        doubt = (
            ""
            if row["models_agree"]
            else f"; the second model does not agree ({factor(row['second_effect'])}, "
            f"{evidence(row['second_p_value'])}): look at the single subjects"
        )
        change, low, high = (factor(row[name]) for name in ("effect", "low", "high"))
        told.append(
            f"Clone {row['clone']} {way} {change} under {row['treatment']}{where}, relative to most clones "
            f"(95 % interval {low} to {high}, {evidence(row['q_value'], 'q')}, "
            f"{count(int(row['n_subjects']), 'subject')}){doubt}."
        )
    if len(found) > LISTED:
        told.append(f"{len(found) - LISTED} further clones were found; all are in dynamics/response.csv.")
    left = len(clones) - len(tested)
    if left:
        told.append(
            f"{count(left, 'clone')} could not be tested under {clones['treatment'].iloc[0]}{where}: too few "
            "cells, or in one subject only."
        )
    return told
