"""What came out, in plain words: the headline, and what to know before trusting it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from rgbtrack.plot.quality import FAINT_SNR, LOW_SNR
from rgbtrack.report.results import Results

SATURATED_PIXELS = 0.005
SATURATED_CELLS = 0.05
UNASSIGNED = 0.25
UNASSIGNED_IMAGE = 0.5
UNIQUE = 0.5
SURE = 0.8
SEVERAL = 1.5
GAIN = 0.25
NAMED = 8

FLAGS = {
    "one_colour": "one marker only: told from others of that marker by brightness at best",
    "near_pair": "another clone has nearly the same colour",
}


@dataclass(frozen=True)
class Warned:
    """One thing to know: how grave it is, what it is, what to do, and what it is about."""

    level: Literal["problem", "caution", "note"]
    text: str
    advice: str = ""
    items: Sequence[str] = ()


def headline(results: Results) -> str:
    """Say what the run came to, in one or two sentences."""
    images = results.images
    n, failed, cells = len(images), int((images["status"] == "failed").sum()), len(results.cells)
    text = f"{count(cells, 'cell')} in {count(n - failed, 'image')}"
    if cells:
        clones = count(len(results.clones), "clone")
        unassigned = 1 - results.n_assigned / cells
        text += f", in {clones}; {share(unassigned)} of the cells are unassigned"
    text += "."
    if failed:
        text += f" {count(failed, 'image')} of {n} could not be processed."
    return text


def warnings_of(results: Results) -> list[Warned]:
    """Everything that bears on trust, gravest first."""
    found = [
        *_of_run(results),
        *_of_images(results),
        *_of_cells(results),
        *_of_clones(results),
        *_of_design(results),
    ]
    order = ("problem", "caution", "note")
    return sorted(found, key=lambda warned: order.index(warned.level))


def _of_run(results: Results) -> Iterable[Warned]:
    for text in results.run.get("warnings") or []:
        yield Warned("caution", sentence(str(text)))
    gains = results.run.get("gains") or {}
    drifted = [
        f"{group}: {marker} × {gain:.2f}"
        for group, markers in gains.items()
        for marker, gain in markers.items()
        if gain and abs(np.log(gain)) > GAIN
    ]
    if drifted:
        yield Warned(
            "note",
            "Some images read over a quarter more or less of a marker than others; this was corrected for.",
            "If staining, laser power or exposure differed on purpose, note it as batch in the sample sheet.",
            drifted,
        )


def _of_images(results: Results) -> Iterable[Warned]:
    images = results.images
    failed = images[images["status"] == "failed"]
    if len(failed):
        yield Warned(
            "problem",
            f"{count(len(failed), 'image')} could not be processed and {'is' if len(failed) == 1 else 'are'} "
            f"missing from every table and figure.",
            "Mend or remove them, then run again: finished images are not done twice.",
            [f"{row['image_id']}: {row['error']}" for row in failed.to_dict("records")],
        )
    done = images[images["status"] != "failed"]
    empty = done[done["n_cells"] == 0]
    if len(empty):
        yield Warned(
            "caution",
            f"No cells were found in {count(len(empty), 'image')}.",
            "Look at the pictures below: an empty field is fine; otherwise check channels and diameter_um.",
            list(empty["image_id"]),
        )
    faint = done[done["snr"] < FAINT_SNR]
    if len(faint):
        yield Warned(
            "caution",
            f"Cells hardly stand out from the noise in {count(len(faint), 'image')} (median SNR below "
            f"{FAINT_SNR:g}): neither their outlines nor their colours are to be trusted.",
            "Look at the outlines under Segmentation. Longer exposure or more laser power would help most; "
            "else leave these images out.",
            [f"{row['image_id']}: SNR {row['snr']:.1f}" for row in faint.to_dict("records")],
        )
    dim = done[(done["snr"] < LOW_SNR) & (done["snr"] >= FAINT_SNR)]
    if len(dim):
        yield Warned(
            "caution",
            f"Cells barely stand out from the noise in {count(len(dim), 'image')} "
            f"(median SNR below {LOW_SNR:g}): their colours are uncertain.",
            "Longer exposure or more laser power would help most.",
            [f"{row['image_id']}: SNR {row['snr']:.1f}" for row in dim.to_dict("records")],
        )
    bright = done[
        (done["saturated"] > SATURATED_PIXELS) | (done.get("saturated_cells", np.nan) > SATURATED_CELLS)
    ]
    if len(bright):
        yield Warned(
            "caution",
            f"The detector was at its limit in {count(len(bright), 'image')}: "
            f"colours of the brightest cells are off.",
            "Shorter exposure or lower gain avoids it; such cells carry the flag saturated.",
            [
                f"{row['image_id']}: {share(row['saturated'])} of the {row['saturated_channel']} pixels"
                + (f", {share(row['saturated_cells'])} of the cells" if row["saturated_cells"] > 0 else "")
                for row in bright.to_dict("records")
            ],
        )
    grey = done[done["unassigned"] > UNASSIGNED_IMAGE]
    if len(grey):
        yield Warned(
            "caution",
            f"More than half of the cells have no clone in {count(len(grey), 'image')}.",
            "Their clone shares rest on the minority that could be told.",
            [
                f"{row['image_id']}: {share(row['unassigned'])} of {row['n_cells']:,}"
                for row in grey.to_dict("records")
            ],
        )
    said: dict[str, list[str]] = {}
    for row in done.to_dict("records"):
        for text in row["warnings"]:
            if text != "no cells were found":
                said.setdefault(str(text).removeprefix(f"{row['image_id']}: "), []).append(
                    str(row["image_id"])
                )
    for text, names in said.items():
        yield Warned("caution", f"{sentence(text)} ({count(len(names), 'image')})", "", names)


def _of_cells(results: Results) -> Iterable[Warned]:
    cells = results.cells
    if cells.empty:
        if (results.images["status"] != "failed").any():
            yield Warned(
                "problem",
                "No cell was found in any image.",
                "Check that [channels] names the markers' channels and that diameter_um fits; "
                "'rgbtrack info IMAGE' shows what was read.",
            )
        return
    if not len(results.clones):
        yield Warned(
            "problem",
            "No clone was found: no group of cells shares a colour.",
            "With few or dim cells that is the honest answer; else check SNR and bleed-through matrix.",
        )
    elif 1 - results.n_assigned / len(cells) > UNASSIGNED:
        reasons = cells["unassigned_reason"].value_counts()
        yield Warned(
            "caution",
            f"{share(1 - results.n_assigned / len(cells))} of all cells have no clone. "
            f"All shares are of the cells that have one.",
            "",
            [f"{reason}: {n:,} cells" for reason, n in reasons.items()],
        )


def _of_clones(results: Results) -> Iterable[Warned]:
    clones = results.clones
    if clones.empty or "unique_probability" not in clones.columns:
        return
    shared = clones[clones["unique_probability"] < UNIQUE]
    if len(shared):
        yield Warned(
            "caution",
            f"{count(len(shared), 'clone')} of {len(clones)} may each hold more than one founder: "
            f"by chance, several founders can carry the same colour.",
            "Write of these as a colour, not a clone: its growth may be that of any of its founders.",
            [f"clone {row['clone']}: {trust_of(row)}" for row in shared.to_dict("records")],
        )
    for flag, text in (
        ("one_colour", "with one marker only: told from each other by brightness at best"),
        (
            "near_pair",
            "whose colour is nearly that of another: some cells of each are called for the other",
        ),
    ):
        if flag in clones.columns and clones[flag].astype(bool).any():
            flagged = clones[clones[flag].astype(bool)]
            numbers = ", ".join(str(n) for n in flagged["clone"])
            yield Warned("note", f"{count(len(flagged), 'clone')} {text}.", "", [f"clone {numbers}"])


def _of_design(results: Results) -> Iterable[Warned]:
    sizes = results.sizes
    if sizes.empty:
        return
    subjects = sizes.groupby("treatment")["subject"].nunique()
    few = subjects[subjects < 3]
    if len(few):
        yield Warned(
            "caution" if len(subjects) > 1 else "note",
            "Fewer than three subjects in a treatment: differences between treatments cannot be told from "
            "differences between subjects.",
            "More cells of the same subject do not help; more subjects do.",
            [f"{name}: {count(int(n), 'subject')}" for name, n in few.items()],
        )
    counted = sizes.groupby(["subject", "treatment", "timepoint", "site"])["n_cells"].sum()
    if (counted == 0).any():
        without = count(int((counted == 0).sum()), "sample")
        yield Warned(
            "caution",
            f"No cell was assigned in {without}: there are no clone shares for what is named here.",
            "",
            [
                f"{subject}, {treatment}, day {time:g}, {site}"
                for subject, treatment, time, site in counted[counted == 0].index
            ],
        )


def trust_of(clone: Mapping[Any, Any]) -> str:
    """Whether a clone is one founder, in words."""
    unique, founders = clone.get("unique_probability"), clone.get("expected_founders")
    if unique is None:
        return ""
    if pd.isna(unique):
        return "changed by hand: not known"
    if unique >= SURE:
        return f"one founder, {percent(unique)}"
    if unique >= UNIQUE:
        return f"probably one founder, {percent(unique)}"
    if founders is not None and founders >= SEVERAL:
        return f"may be {max(round(founders), 2)} founders; one: {percent(unique)}"
    return f"cells of others among them; one founder: {percent(unique)}"


def doubts_of(clone: Mapping[Any, Any]) -> list[str]:
    """What speaks against a clone's being told from the others, in words."""
    found = []
    split, silenced, nearest = (
        clone_named(clone, column) for column in ("brightness_split_from", "silenced_from", "nearest_clone")
    )
    if clone.get("one_colour"):
        found.append(FLAGS["one_colour"])
    if split is not None:
        found.append(f"told from clone {split} by brightness only")
    if clone.get("near_pair"):
        found.append(FLAGS["near_pair"] + (f": clone {nearest}" if nearest is not None else ""))
    if silenced is not None:
        found.append(f"may be a part of clone {silenced} that lost a marker")
    return found


def clone_named(clone: Mapping[Any, Any], column: str) -> int | None:
    """Return the clone that a column names, None where it names none."""
    value = clone.get(column)
    return None if value is None or pd.isna(value) else int(value)


def count(n: int, what: str) -> str:
    """Return a number with its noun."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def share(value: float) -> str:
    """Return a share in percent, small ones with their decimals."""
    if pd.isna(value):
        return ""
    if 0 < value < 0.0005:
        return "< 0.1 %"
    return f"{100 * value:.1f} %" if value < 0.0995 and value > 0 else f"{100 * value:.0f} %"


def percent(value: float) -> str:
    """Return a probability in percent; nothing is quite certain."""
    if pd.isna(value):
        return ""
    return "> 99 %" if value > 0.99 else "< 1 %" if value < 0.01 else f"{100 * value:.0f} %"


def sentence(text: str) -> str:
    """Return a text that begins as a sentence does."""
    return text[:1].upper() + text[1:]
