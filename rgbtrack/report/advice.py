"""Which clones to trust, and what to do with the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rgbtrack.report.results import Results
from rgbtrack.report.words import SURE, UNIQUE, clone_named, percent, share

LISTED = 30
ADVICE = {
    "Trust": f"one founder with a probability of {percent(SURE)} or more, and no other clone of nearly the "
    f"same colour.",
    "Trust with care": f"probably one founder, yet less surely than {percent(SURE)}. Let no conclusion hang "
    f"on one of these alone.",
    "Perhaps a part of another clone": "its colour but for one marker, which these cells may have lost.",
    "Add up with its neighbour": "some cells of each are called for the other. The sum of their sizes is "
    "surer than either; that does not make them one founder.",
    "Changed by hand": "merged or split by a person, who knows more than colour tells.",
    "Call it a colour, not a clone": f"a single founder is less likely than {percent(UNIQUE)}. It grows as "
    f"all of its founders together.",
}
"""What to do with a clone, and why; a clone that is in doubt for several reasons gets the gravest."""


def advice_of(results: Results) -> list[tuple[str, str]]:
    """Say of each clone, once, what to do with it: headings of `ADVICE`, and sentences with the clones."""
    clones = results.clones
    if clones.empty or "unique_probability" not in clones.columns:
        return []
    groups: dict[str, list[Mapping[Any, Any]]] = {title: [] for title in ADVICE}
    for row in clones.sort_values("clone").to_dict("records"):
        groups[_heading(row)].append(row)
    told = []
    for title, rows in groups.items():
        if rows:
            held = share(sum(row["n_cells"] for row in rows) / max(results.n_assigned, 1))
            names = list(dict.fromkeys(_name(title, row) for row in rows))
            told.append((title, f"{_listed(names)}, with {held} of the assigned cells: {ADVICE[title]}"))
    return told


def _heading(clone: Mapping[Any, Any]) -> str:
    """Return the heading of `ADVICE` that a clone goes under."""
    unique = clone["unique_probability"]
    if pd.isna(unique):
        return "Changed by hand"
    if clone.get("near_pair") or clone_named(clone, "brightness_split_from") is not None:
        return "Add up with its neighbour"
    if unique < UNIQUE:
        return "Call it a colour, not a clone"
    if clone_named(clone, "silenced_from") is not None:
        return "Perhaps a part of another clone"
    return "Trust" if unique >= SURE else "Trust with care"


def _name(title: str, clone: Mapping[Any, Any]) -> str:
    """Return the number of a clone, and that of the other it is confused with or a part of."""
    number = int(clone["clone"])
    if title == "Perhaps a part of another clone":
        return f"{number} (of {clone_named(clone, 'silenced_from')})"
    if title == "Add up with its neighbour":
        split, nearest = clone_named(clone, "brightness_split_from"), clone_named(clone, "nearest_clone")
        other = nearest if split is None else split
        return str(number) if other is None else f"{min(number, other)} with {max(number, other)}"
    return str(number)


def _listed(names: Sequence[str]) -> str:
    text = f"clone{'' if len(names) == 1 else 's'} {', '.join(names[:LISTED])}"
    return text if len(names) <= LISTED else f"{text} and {len(names) - LISTED} more"
