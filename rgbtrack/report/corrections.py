"""What was corrected, in words and numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rgbtrack.report.results import Results
from rgbtrack.report.words import Warned

_CORNERS = "the corners of the field get less than {left:.0%} of the light of its centre"
LARGE = {
    "chromatic shift": (2.0, "channels lie more than {limit:g} px beside each other"),
    "illumination": (0.5, _CORNERS),
    "falloff": (0.5, _CORNERS),
    "bleed-through": (0.4, "over {limit:.0%} of a marker's light shows in another's detector"),
    "stage drift": (50.0, "the stage drifted by more than {limit:g} um"),
}
"""Beyond this a correction is so large that its cause should be looked for, and how to say so."""
UNSURE = {"bleed-through": 0.05}
"""Standard errors beyond which a correction that was made is a guess."""
MEANING = {
    "chromatic shift": "Channels that lie beside each other are moved back: a cell is in one place in all.",
    "illumination": "Uneven light, seen in the images of a batch, is divided out of each pixel.",
    "falloff": "What is then left of the light's fall to the corners, seen in the cells, is restored.",
    "background": "Light that is there without a cell is taken off each pixel.",
    "attenuation": "Light that fades with depth, each colour at its own rate, is restored.",
    "bleed-through": "Light of one marker that shows in the detector of another is taken off.",
    "bleaching": "Light that bleaches from frame to frame is restored.",
    "stage drift": "How far the stage moved between frames; colours do not depend on it.",
    "gain": "Detectors that read more or less in one session than in others are aligned with the clones.",
}


def correction_rows(results: Results) -> list[dict[str, Any]]:
    """One row for each correction and channel: what was found, whether it was applied, and why."""
    rows = []
    for found in results.run.get("corrections") or []:
        value, se = found.get("value"), found.get("se")
        rows.append(
            {
                "correction": found["correction"],
                "meaning": MEANING.get(found["correction"], ""),
                "where": found.get("where") or "all images",
                "channel": found.get("channel") or "",
                "value": _value(value, se, found.get("unit") or ""),
                "applied": bool(found.get("applied")),
                "reason": found.get("reason") or "",
            }
        )
    return rows


def correction_warnings(results: Results) -> Iterator[Warned]:
    """Corrections that are large, or rest on little."""
    found = [one for one in results.run.get("corrections") or [] if one.get("applied")]
    for name, (limit, text) in LARGE.items():
        large = [one for one in found if one["correction"] == name and abs(one.get("value") or 0) > limit]
        if large:
            yield Warned(
                "caution",
                f"A large correction: {text.format(limit=limit, left=np.exp(-limit))}.",
                "Colours are corrected for it, but look for the cause: optics, filters or settings.",
                [_named(one) for one in large],
            )
    for name, limit in UNSURE.items():
        unsure = [one for one in found if one["correction"] == name and (one.get("se") or 0) > limit]
        if unsure:
            yield Warned(
                "caution",
                f"An uncertain correction: {name} is known to {limit:g} at best.",
                "Single-colour controls tell it better: rgbtrack controls.",
                [_named(one) for one in unsure],
            )


def _named(found: dict[str, Any]) -> str:
    return " ".join(str(found[key]) for key in ("where", "channel") if found.get(key))


def _value(value: float | None, se: float | None, unit: str) -> str:
    if value is None or not np.isfinite(value):
        return "not known"
    if unit == "ln, centre to corner":
        spread = "" if se is None else f" ± {100 * np.exp(-value) * se:.0f}"
        return f"{100 * np.exp(-value):.0f}{spread} % of the light left in the corners"
    if unit in ("1/um", "1/frame"):
        over, what = (10, "10 um") if unit == "1/um" else (1, "frame")
        spread = "" if se is None else f" ± {100 * se * over:.2g}"
        return (
            f"{100 * value * over:.2g}{spread} % a {what}"
            if over == 1
            else f"{100 * value * over:.2g}{spread} % in {what}"
        )
    spread = "" if se is None or not np.isfinite(se) else f" ± {se:.2g}"
    return f"{value:.3g}{spread} {unit}".strip()
