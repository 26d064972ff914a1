"""Look through a folder of images and write experiment.toml and samples.csv to edit."""

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import (
    PICTURE_ENDINGS,
    TIFF_ENDINGS,
    file_stem,
    is_ome_zarr,
    read_stack,
    write_atomically,
    write_table,
)
from rgbtrack.pipeline.sheet import default_image_id
from rgbtrack.stack import Stack

COLOURS = {
    "red": ("mcherry", "tdtomato", "rfp", "dsred", "tritc", "cy3", "texas red", "texasred", "red"),
    "green": ("venus", "yfp", "egfp", "gfp", "fitc", "green"),
    "blue": ("cerulean", "cfp", "mturquoise", "turquoise", "bfp", "tagbfp", "blue"),
}
NUCLEI = ("dapi", "hoechst", "draq5", "h2b")
TREATMENTS = ("vehicle", "control", "ctrl", "untreated", "dmso", "saline", "pbs", "treated", "drug")
CONTROLS = TREATMENTS[:7]
SUBJECT = re.compile(r"(?:m|mouse|animal|subject|patient|rat|well)\d+", re.IGNORECASE)
DAY = re.compile(r"(?:d|day|t)(\d+(?:\.\d+)?)", re.IGNORECASE)
SITE = re.compile(r"(primary|tumou?r|lung|liver|brain|bone|spleen|colon|node)s?", re.IGNORECASE)


def init_experiment(folder: str | Path) -> list[str]:
    """Write experiment.toml and samples.csv for a folder of images.

    Channels, subjects, treatments, timepoints and sites are guessed from names; what cannot be guessed stays
    blank in the sheet, and ``rgbtrack check`` asks for it.

    Parameters
    ----------
    folder
        Looked through with its subfolders; both files are written into it.

    Returns
    -------
    lines
        What was found, guessed, and not guessed.

    Raises
    ------
    ParamError
        If there is no such folder, no image in it, or one of the files exists.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ParamError(
            f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}: give a folder of images"
        )
    toml, sheet = folder / "experiment.toml", folder / "samples.csv"
    there = [f"{file} exists: move it away to start anew" for file in (toml, sheet) if file.exists()]
    if there:
        raise ParamError(*there)
    files = _images(folder)
    said: list[str] = []
    stack = None
    images: list[tuple[Path, ...]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        for group in _fields(files):
            try:
                opened = read_stack(group)
            except DataError as error:
                said.append(f"left out: {error}")
                continue
            images.append(group)
            stack = stack or opened
    if stack is None:
        raise ParamError(f"{folder}: no image that can be read among its files", *said)
    rows = [_row(folder, group) for group in images]
    table = pd.DataFrame(rows, dtype="str")
    if table["image_id"].duplicated().any():
        table["image_id"] = [_long_id(folder, group) for group in images]
    markers, nucleus, guessed = _channels(stack.channels)
    treatments = sorted(set(table["treatment"]) - {""})
    control = next((name for name in treatments if name.casefold() in CONTROLS), "")
    said.insert(0, f"{len(images)} images; the first has channels {', '.join(stack.channels)}")
    said += guessed
    for column in ("subject", "treatment", "timepoint"):
        blank = int((table[column] == "").sum())
        if blank:
            said.append(
                f"{column} not guessed for {blank} of {len(table)} images: fill it in in {sheet.name}"
            )
    if not control:
        said.append(f"control not guessed: fill it in in {toml.name}")
    if stack.pixel_size_um is None:
        said.append(f"pixel size not recorded: add a column pixel_size_um to {sheet.name}")
        table["pixel_size_um"] = ""
    text = _toml(folder.resolve().name, control, markers, nucleus, stack)
    write_atomically(toml, lambda file: file.write_text(text, encoding="utf-8"))
    write_table(sheet, table)
    said.append(f"wrote {toml} and {sheet}: edit them, then rgbtrack check {folder}")
    return said


def _below(folder: Path) -> Iterator[Path]:
    """Files and OME-Zarr below a folder; what is in an OME-Zarr is of one image."""
    for path in folder.iterdir():
        if path.is_dir() and not is_ome_zarr(path):
            yield from _below(path)
        else:
            yield path


def _images(folder: Path) -> list[Path]:
    """Image files below a folder, without results, masks and hidden files."""
    found = []
    for file in sorted(_below(folder)):
        inside = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        ours = any(
            (folder.joinpath(*inside.parts[:i]) / "run.json").exists() for i in range(1, len(inside.parts))
        )
        mask = re.search(r"labels?$|masks?$", file_stem(file), re.IGNORECASE)
        if (
            is_ome_zarr(file) or (file.suffix.lower() in (*TIFF_ENDINGS, *PICTURE_ENDINGS) and file.is_file())
        ) and not (hidden or ours or mask):
            found.append(file)
    if not found:
        raise ParamError(
            f"{folder}: no TIFF, OME-Zarr, PNG or JPEG in it or its subfolders: give a folder of images"
        )
    return found


def _fields(files: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Group files that are the channels of one field: names with another last ``_C0``, ``_C1`` ..."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        channel = re.fullmatch(r"(.+)[_\-. ](?:c|ch|channel)_?\d{1,2}", file_stem(file), re.IGNORECASE)
        groups.setdefault((file.parent, channel.group(1) if channel else f"{file.name}/"), []).append(file)
    return [tuple(group) for group in groups.values()]


def _row(folder: Path, group: Sequence[Path]) -> dict[str, str]:
    """Guess one row of the sheet from names of files and folders."""
    inside = group[0].relative_to(folder)
    tokens = re.split(r"[_\-\s]+", "_".join([*inside.parts[:-1], default_image_id(group)]))
    day = next((found.group(1) for token in tokens if (found := DAY.fullmatch(token))), "")
    return {
        "image": ";".join(file.relative_to(folder).as_posix() for file in group),
        "image_id": default_image_id(group),
        "subject": next((token for token in tokens if SUBJECT.fullmatch(token)), ""),
        "treatment": next((token for token in tokens if token.casefold() in TREATMENTS), ""),
        "timepoint": day,
        "site": next((token.lower() for token in tokens if SITE.fullmatch(token)), "primary"),
    }


def _long_id(folder: Path, group: Sequence[Path]) -> str:
    """Image id with the folders in it, for files of one name in several folders."""
    inside = group[0].relative_to(folder)
    return "_".join([*inside.parts[:-1], default_image_id(group)])


def _channels(names: Sequence[str]) -> tuple[dict[str, str | int], str | int | None, list[str]]:
    """Markers and nucleus from channel names; by index where names say nothing."""
    markers: dict[str, str | int] = {}
    nucleus: str | int | None = None
    for name in names:
        folded = name.casefold()
        if nucleus is None and any(stain in folded for stain in NUCLEI):
            nucleus = name
            continue
        colour = next((c for c, known in COLOURS.items() if any(word in folded for word in known)), None)
        if colour and colour not in markers:
            markers[colour] = name
    if len(markers) >= 2:
        ordered = {colour: markers[colour] for colour in COLOURS if colour in markers}
        told = ", ".join(f"{colour} = {name}" for colour, name in ordered.items())
        return ordered, nucleus, [f"channels guessed: {told}" + (f"; nucleus = {nucleus}" if nucleus else "")]
    free = [i for i, name in enumerate(names) if name != nucleus][:7]
    colours = [*COLOURS, "fourth", "fifth", "sixth", "seventh"]
    by_index: dict[str, str | int] = {colours[i]: index for i, index in enumerate(free)}
    return by_index, nucleus, ["channels not guessed from their names, taken in order: look at [channels]"]


def _toml(
    name: str, control: str, markers: dict[str, str | int], nucleus: str | int | None, stack: Stack
) -> str:
    def quoted(value: str | int | None) -> str:
        # a JSON string is a TOML string
        return json.dumps(value, ensure_ascii=False)

    pairs = ", ".join(f"{marker} = {quoted(channel)}" for marker, channel in markers.items())
    stain = f"nucleus = {quoted(nucleus)}" if nucleus is not None else '# nucleus = "DAPI"'
    found = ", ".join(
        f"{i} {json.dumps(channel, ensure_ascii=False)}" for i, channel in enumerate(stack.channels)
    )
    return f"""[experiment]
name = {quoted(name)}
samples = "samples.csv"        # the sample sheet, one row per image
control = {quoted(control)}            # the reference treatment, as in the sheet

[channels]
# channels of the first image: {found}
markers = {{ {pairs} }}   # name or 0-based index; 2 to 7
{stain}

[correct]
# bleed_through = "bleed.csv"  # rows detectors, columns proteins

[segment]
# diameter_um = 13.0           # of a typical cell; without it, estimated from each image

[clones]
palette = "experiment"         # clones shared by all subjects; or "subject": each has its own
"""
