"""Look through a folder of images and write experiment.toml and samples.csv to edit."""

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import (
    IMAGE_ENDINGS,
    file_stem,
    find_doubts,
    is_ome_zarr,
    list_scenes,
    read_stack,
    write_atomically,
    write_table,
)
from rgbtrack.pipeline.sheet import KNOWN, NUMBER, NUMBERS, OURS, default_image_id
from rgbtrack.stack import Stack

COLOURS = {
    "red": ("mcherry", "tdtomato", "rfp", "dsred", "tritc", "cy3", "texas red", "texasred", "red"),
    "green": ("venus", "yfp", "egfp", "gfp", "fitc", "green"),
    "blue": ("cerulean", "cfp", "mturquoise", "turquoise", "bfp", "tagbfp", "blue"),
}
NUCLEI = ("dapi", "hoechst", "draq5", "h2b")
TREATMENTS = ("vehicle", "control", "ctrl", "untreated", "dmso", "saline", "pbs", "treated", "drug")
CONTROLS = TREATMENTS[:7]
FREE = ("subject", "treatment", "timepoint", "site", "batch")
"""Columns of the sheet that names may tell."""
SUBJECT = re.compile(r"(?:m|mouse|animal|subject|patient|rat|well)\d+", re.IGNORECASE)
DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d(?!\d)")
DAY = re.compile(r"(?:d|day|t)(\d+(?:\.\d+)?)", re.IGNORECASE)
SITE = re.compile(r"(primary|tumou?r|lung|liver|brain|bone|spleen|colon|node)s?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class _Image:
    """One image that was found: its files, its scene where they hold several, and how it was read."""

    files: tuple[Path, ...]
    scene: str
    stack: Stack

    def place(self, folder: Path) -> str:
        """Path in the folder, without endings, with the scene: what names are guessed from."""
        inside = self.files[0].relative_to(folder)
        name = default_image_id(self.files) if len(self.files) > 1 else file_stem(self.files[0])
        return "/".join(part for part in (*inside.parts[:-1], name, self.scene) if part)


def init_experiment(folder: str | Path, pattern: str | None = None) -> list[str]:
    """Write experiment.toml and samples.csv for a folder of images.

    Channels, subjects, treatments, timepoints and sites are guessed from names; what cannot be guessed stays
    blank in the sheet, and ``rgbtrack check`` asks for it.

    Parameters
    ----------
    folder
        Looked through with its subfolders; both files are written into it.
    pattern
        How names are made up, ``{treatment}/{subject}_d{timepoint}``: columns in braces, ``{}`` for what is
        none. It is held against the last parts of each path, without endings, as many as it has; a file that
        holds several images has their names as its last part. Without it, names are guessed from.

    Returns
    -------
    lines
        What was found, guessed, and not guessed.

    Raises
    ------
    ParamError
        If there is no such folder, no image in it, one of the files exists, or the pattern is none.
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
    if pattern is not None:
        name_parts(pattern)
    images, left_out = _open_all(_fields(_images(folder)))
    if not images:
        raise ParamError(f"{folder}: no image that can be read among its files", *left_out)
    first = images[0].stack
    rows = [_row(folder, image) | (_guessed(folder, image) if pattern is None else {}) for image in images]
    said = [f"{len(images)} images; the first has channels {', '.join(first.channels)}", *left_out]
    said += (
        _names_read(folder, images, rows)
        if pattern is None
        else _read_by_pattern(folder, images, rows, pattern)
    )
    said += _guess_batches(folder, images, rows)
    table = pd.DataFrame(rows, dtype="str").fillna("")
    if table["image_id"].duplicated().any():
        table["image_id"] = [re.sub(r"[/\s]+", "_", image.place(folder)) for image in images]
    markers, nucleus, guessed = _channels(first.channels)
    treatments = sorted(set(table["treatment"]) - {""})
    control = next((name for name in treatments if name.casefold() in CONTROLS), "")
    said += guessed
    others = [image for image in images if image.stack.channels != first.channels]
    if others:
        said.append(
            f"{len(others)} images have other channels, {others[0].stack.source} first: "
            f"{', '.join(others[0].stack.channels)}"
        )
    for column in ("subject", "treatment", "timepoint"):
        blank = int((table[column] == "").sum())
        if blank:
            first_blank = table.loc[table[column] == "", "image_id"].iloc[0]
            said.append(
                f"{column} not guessed for {blank} of {len(table)} images, {first_blank} first: fill it in "
                f"in {sheet.name}"
            )
    if not control:
        said.append(f"control not guessed: fill it in in {toml.name}")
    for column, what, lacking in (
        ("pixel_size_um", "pixel size", [image.stack.pixel_size_um is None for image in images]),
        ("z_step_um", "z step", [_n(image, 2) > 1 and image.stack.z_step_um is None for image in images]),
        (
            "frame_interval_h",
            "interval of frames",
            [_n(image, 0) > 1 and image.stack.frame_interval_h is None for image in images],
        ),
    ):
        if any(lacking):
            said.append(f"{what} not recorded in {sum(lacking)} images: fill in {column} in {sheet.name}")
            table[column] = ""
    doubts = {doubt: image.stack.source for image in reversed(images) for doubt in find_doubts(image.stack)}
    said += [f"look at {source}: {doubt}" for doubt, source in doubts.items()]
    text = _toml(folder.resolve().name, control, markers, nucleus, first)
    write_atomically(toml, lambda file: file.write_text(text, encoding="utf-8"))
    write_table(sheet, table)
    said.append(f"wrote {toml} and {sheet}: edit them, then rgbtrack check {folder}")
    return said


def _n(image: _Image, axis: int) -> int:
    return int(image.stack.pixels.shape[axis])


def _open_all(groups: Sequence[tuple[Path, ...]]) -> tuple[list[_Image], list[str]]:
    """Every image of every file, and why others are left out."""
    images: list[_Image] = []
    left_out: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        for group in groups:
            try:
                scenes = list_scenes(group[0])
                for scene in scenes if len(scenes) > 1 else [""]:
                    images.append(_Image(group, scene, read_stack(group, scene=scene or None)))
            except DataError as error:
                left_out.append(f"left out: {error}")
    return images, left_out


def name_parts(pattern: str, *, numbers: bool = True) -> re.Pattern[str]:
    """Regular expression of a pattern such as ``{treatment}/{subject}_d{timepoint}``.

    Parameters
    ----------
    pattern
        See `init_experiment`.
    numbers
        Whether columns of numbers take numbers only.

    Raises
    ------
    ParamError
        If a column is named twice, is one that is not read from names, or none is named.

    Examples
    --------
    >>> name_parts("{subject}_d{timepoint}_{}").fullmatch("m1_d7.5_f0").groupdict()
    {'subject': 'm1', 'timepoint': '7.5'}
    """
    columns = [name for name in re.findall(r"\{([^{}]*)\}", pattern) if name]
    if not columns:
        raise ParamError(
            f"--pattern {pattern!r} names no column: give one such as {{subject}}_d{{timepoint}}_{{}}"
        )
    for name in columns:
        if not name.isidentifier() or columns.count(name) > 1:
            raise ParamError(f"--pattern {pattern!r}: {name!r} should be the name of a column, once")
        if name in OURS or (name in KNOWN and name not in FREE):
            raise ParamError(
                f"--pattern {pattern!r}: {name!r} is not read from names: {', '.join(FREE)} are, and columns "
                "of your own"
            )
    pieces = re.split(r"\{([^{}]*)\}", pattern.strip("/"))
    made = ""
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            made += re.escape(piece)
        elif not piece:
            made += "[^/]*"
        else:
            made += f"(?P<{piece}>{NUMBER.pattern if piece in NUMBERS and numbers else '[^/]+?'})"
    return re.compile(made)


def _read_by_pattern(
    folder: Path, images: Sequence[_Image], rows: Sequence[dict[str, str]], pattern: str
) -> list[str]:
    """Fill rows from the names that a pattern fits, and tell those that it does not.

    Raises
    ------
    ParamError
        If it fits none.
    """
    parts, depth = name_parts(pattern), pattern.strip("/").count("/") + 1
    unlike: list[str] = []
    tails: list[str] = []
    for image, row in zip(images, rows, strict=True):
        places = [image.place(folder)]
        if image.scene:  # the pattern may leave the scene out
            places.append(places[0].removesuffix(f"/{image.scene}"))
        tails = ["/".join(place.split("/")[-depth:]) for place in places]
        found = next((match for tail in tails if (match := parts.fullmatch(tail))), None)
        row |= dict.fromkeys(("subject", "treatment", "timepoint"), "") | {"site": "primary"}
        if found:
            row |= found.groupdict()
        else:
            unlike.append(tails[0])
    if len(unlike) == len(images):
        loose = name_parts(pattern, numbers=False)
        hint = "look where they differ; endings such as .czi are left out"
        if any(loose.fullmatch(tail) for tail in tails):
            wrong = ", ".join(name for name in loose.groupindex if name in NUMBERS)
            hint = f"{wrong} should be a number: write what is before it, as day{{timepoint}}"
        raise ParamError(
            f"--pattern {pattern!r} fits none of {len(images)} images, {unlike[0]!r} first: {hint}"
        )
    first = next(
        row for row in rows if row["subject"] or row["treatment"] or row["timepoint"] or len(unlike) == 0
    )
    read = ", ".join(f"{name} {first[name]}" for name in parts.groupindex if first.get(name))
    told = [f"by the pattern, {first['image']} is {read}"]
    spare = [name for name in parts.groupindex if name not in KNOWN]
    if spare:
        near = {name: get_close_matches(name.casefold(), FREE, n=1, cutoff=0.6) for name in spare}
        named = [f"{name} (did you mean {found[0]}?)" if found else name for name, found in near.items()]
        told.append(f"columns of your own, carried along: {', '.join(named)}")
    if unlike:
        told.append(f"the pattern does not fit {len(unlike)} of {len(images)} images, {unlike[0]!r} first")
    return told


def _names_read(folder: Path, images: Sequence[_Image], rows: Sequence[dict[str, str]]) -> list[str]:
    """How the name that told most was read, as a pattern; by it others tell what could not be guessed."""
    most = max(range(len(rows)), key=lambda i: sum(rows[i][name] != "" for name in FREE[:3]))
    place = images[most].place(folder)
    shown = place
    site = next((token for token in re.split(r"[_\-\s/]+", place) if SITE.fullmatch(token)), "")
    for column in ("treatment", "subject", "timepoint", "site"):
        value = site if column == "site" else rows[most][column]
        marks = re.compile(rf"(?<![A-Za-z0-9])((?:d|day|t)?){re.escape(value)}(?![A-Za-z0-9])", re.IGNORECASE)
        if value:
            shown = marks.sub(rf"\g<1>{{{column}}}", shown, count=1)
    if shown == place:
        return [f"nothing guessed from names such as {place}: tell how they are made up with --pattern"]
    # what is no column may differ from image to image
    parts = name_parts(re.sub(r"(?<![A-Za-z0-9{])[A-Za-z]*\d[A-Za-z0-9]*(?![A-Za-z0-9}])", "{}", shown))
    for image, row in zip(images, rows, strict=True):
        found = parts.fullmatch(image.place(folder))
        if found:
            row |= {name: value for name, value in found.groupdict().items() if not row[name]}
    return [f"names are read as {shown}, for {place}; if that is wrong, tell it with --pattern"]


def _guess_batches(folder: Path, images: Sequence[_Image], rows: Sequence[dict[str, str]]) -> list[str]:
    """Fill the column batch with the dates in the names, where there are several and none was read."""
    dates = [DATE.search(image.place(folder)) for image in images]
    found = sorted({date.group() for date in dates if date})
    if not all(dates) or len(found) < 2 or any("batch" in row for row in rows):
        return []
    for row, date in zip(rows, dates, strict=True):
        row["batch"] = date.group() if date else ""
    return [f"batch guessed from dates in the names, {len(found)} imaging sessions: {', '.join(found[:4])}"]


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
        if (is_ome_zarr(file) or (file.suffix.lower() in IMAGE_ENDINGS and file.is_file())) and not (
            hidden or ours or mask
        ):
            found.append(file)
    if not found:
        raise ParamError(
            f"{folder}: no image in it or its subfolders (TIFF, OME-Zarr, CZI, LIF, ND2, PNG, JPEG): give a "
            "folder of images"
        )
    return found


def _fields(files: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Group files that are the channels of one field: names with another last ``_C0``, ``_C1`` ..."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        channel = re.fullmatch(r"(.+)[_\-. ](?:c|ch|channel)_?\d{1,2}", file_stem(file), re.IGNORECASE)
        groups.setdefault((file.parent, channel.group(1) if channel else f"{file.name}/"), []).append(file)
    return [tuple(group) for group in groups.values()]


def _row(folder: Path, image: _Image) -> dict[str, str]:
    """Where an image is."""
    row = {
        "image": ";".join(file.relative_to(folder).as_posix() for file in image.files),
        "image_id": default_image_id(image.files, image.scene),
    }
    return row | ({"scene": image.scene} if image.scene else {})


def _guessed(folder: Path, image: _Image) -> dict[str, str]:
    """What its names tell of an image."""
    tokens = re.split(r"[_\-\s/]+", image.place(folder))
    return {
        "subject": next((token for token in tokens if SUBJECT.fullmatch(token)), ""),
        "treatment": next((token for token in tokens if token.casefold() in TREATMENTS), ""),
        "timepoint": next((found.group(1) for token in tokens if (found := DAY.fullmatch(token))), ""),
        "site": _site(next((token.lower() for token in tokens if SITE.fullmatch(token)), "primary")),
    }


def _site(token: str) -> str:
    """Name of a site; the tumour itself is what the statistics call primary."""
    return "primary" if re.fullmatch(r"tumou?rs?", token) else token


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
# bleed_through = "bleed.csv"  # from single-colour controls ('rgbtrack controls'); without it from the cells

[segment]
# diameter_um = 13.0           # of a typical cell; without it, estimated from each image

[clones]
palette = "experiment"         # clones shared by all subjects; or "subject": each has its own
"""
