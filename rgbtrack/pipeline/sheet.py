"""The sample sheet: one row per image, checked whole before anything is run."""

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from itertools import combinations
from os.path import commonprefix, exists, isdir, isfile
from pathlib import Path

import pandas as pd

from rgbtrack.errors import RgbtrackWarning
from rgbtrack.files import file_stem, is_ome_zarr, name_problems
from rgbtrack.tables import CELLS, CLONE_SIZES, CLONES, MARKER, SAMPLES

NUMBERS = tuple(column.name for column in SAMPLES.columns if column.kind == "float")
NEEDED = tuple(column.name for column in SAMPLES.columns if column.required and column.name != "image_id")
KNOWN = tuple(column.name for column in SAMPLES.columns)
OURS = frozenset(
    column.name
    for table in (CELLS, CLONES, CLONE_SIZES)
    for column in table.columns
    if MARKER not in column.name
) - frozenset(KNOWN) | {"track", "parent", "time_h", "image_ids"}
"""Column names that rgbtrack writes itself."""
ALIKE = 0.85
"""Of two names, from which one is probably a slip of the other."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sample sheet as read.

    Attributes
    ----------
    samples
        One row per image, text as text, numbers as numbers, defaults filled in.
    images
        Files of each row.
    labels
        Ready-made masks of each row.
    problems
        All that is wrong, one line each.
    tracks
        Tracks from elsewhere, of each row.
    """

    samples: pd.DataFrame
    images: tuple[tuple[Path, ...], ...]
    labels: tuple[Path | None, ...]
    problems: tuple[str, ...]
    tracks: tuple[Path | None, ...] = ()


def nearest(found: str, choices: Sequence[str]) -> str:
    """Return what to say of the nearest valid choice.

    >>> nearest("vehicel", ["vehicle", "drug"])
    "did you mean 'vehicle'?"
    """
    folded = {choice.casefold(): choice for choice in choices}
    close = get_close_matches(found.casefold(), list(folded), n=1, cutoff=0.5)
    if close:
        return f"did you mean {folded[close[0]]!r}?"
    return f"give one of {', '.join(map(repr, choices))}" if choices else ""


def marker_columns(markers: Sequence[str]) -> set[str]:
    """All columns that a set of markers makes."""
    ends = [column.name for column in (*CELLS.columns, *CLONES.columns) if column.name.count(MARKER) == 1]
    single = {name.replace(MARKER, marker) for name in ends for marker in markers}
    return single | {f"cov_{a}_{b}" for a in markers for b in markers}


def read_sheet(path: Path, markers: Sequence[str]) -> Sheet:
    """Read a sample sheet and find everything that is wrong with it.

    Comma, semicolon or tab separated; UTF-8, UTF-16 or Windows-1252. Rows are numbered as Excel numbers them.
    """
    none = pd.DataFrame(columns=list(KNOWN))
    if not isfile(path):
        what = "is a folder" if isdir(path) else "no such file"
        workbook = path.with_suffix(".xlsx")
        hint = f"; {workbook.name} is there: save it as CSV UTF-8" if isfile(workbook) else ""
        absent = f"{path}: {what}: [experiment] samples names the sample sheet, a CSV file{hint}"
        return Sheet(none, (), (), (absent,))
    text, problem = _decode(path)
    records, separator = _records(text)
    if not problem and not any(any(cell.strip() for cell in record) for record in records):
        problem = f"{path}: the sheet is empty: its first row names the columns {', '.join(NEEDED)}"
    if problem:
        return Sheet(none, (), (), (problem,))
    first = next(i for i, record in enumerate(records) if any(cell.strip() for cell in record))
    header, problems = _header(path.name, records[first], records[first + 1 :], markers)
    rows: list[dict[str, str]] = []
    numbers: list[int] = []
    for excel_row, record in enumerate(records[first + 1 :], first + 2):
        cells = [cell.strip() for cell in record]
        if not any(cells):
            continue
        if any(cells[len(header) :]):
            problems.append(
                f"{path.name}, row {excel_row}: {len(cells)} fields under {len(header)} columns: "
                f"put fields that hold {separator!r} in double quotes"
            )
        padded = cells + [""] * (len(header) - len(cells))
        rows.append({name: cell for name, cell in zip(header, padded, strict=False) if name})
        numbers.append(excel_row)
    if not rows:
        problems.append(f"{path.name}: the sheet has no rows: give one row per image")
    if problems and not set(NEEDED) <= set(header):
        return Sheet(none, (), (), tuple(problems))
    return _check_rows(path, rows, numbers, problems, decimal_comma=separator != ",")


def _decode(path: Path) -> tuple[str, str | None]:
    """Text of a file in whatever encoding a spreadsheet wrote it, or what is wrong."""
    raw = path.read_bytes()
    if raw[:4] == b"PK\x03\x04" or raw[:4] == b"\xd0\xcf\x11\xe0":
        return "", f"{path}: an Excel workbook: save it as CSV (File > Save As > CSV UTF-8)"
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
        warnings.warn(
            f"{path.name} is not UTF-8: read as Windows-1252 (Latin-1); "
            f"check names with accents, or save as CSV UTF-8",
            RgbtrackWarning,
            stacklevel=5,
        )
    if "\0" in text:
        return "", f"{path}: not a text table: save the sheet as CSV UTF-8"
    return text, None


def _records(text: str) -> tuple[list[list[str]], str]:
    """Split text by the separator under which the header makes most sense."""
    lines = text.lstrip("\r\n").splitlines() or [""]
    told = re.fullmatch(r'"?sep=(.)"?', lines[0].strip())
    if told:
        text = "\n" + text.split("\n", 1)[-1]  # the line keeps its place: rows are counted
        lines = lines[1:] or [""]

    def sense(separator: str) -> int:
        header = next(csv.reader([lines[0]], delimiter=separator), [])
        return 100 * sum(_fold(cell) in KNOWN for cell in header) + len(header)

    separator = told.group(1) if told else max((",", ";", "\t"), key=sense)
    limit = csv.field_size_limit(1 << 30)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator)), separator
    finally:
        csv.field_size_limit(limit)


def _fold(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().casefold())


def _header(
    name: str, record: Sequence[str], rest: Sequence[Sequence[str]], markers: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Column names, known ones in their usual spelling, and what is wrong with them."""
    problems = []
    header = [_fold(cell) if _fold(cell) in KNOWN else cell.strip() for cell in record]
    for i, column in enumerate(header):
        if not column and any(len(row) > i and row[i].strip() for row in rest):
            problems.append(f"{name}, row 1: column {i + 1} has no name: name it or empty it")
    named = [column for column in header if column]
    missing = [column for column in NEEDED if column not in named]
    spare = [column for column in named if column not in KNOWN]
    for column in missing:
        close = get_close_matches(column, [_fold(c) for c in spare], n=1, cutoff=0.6)
        hint = f"is {next(c for c in spare if _fold(c) == close[0])!r} meant?" if close else "add it"
        problems.append(f"{name}: no column {column!r}, found {', '.join(map(repr, named))}: {hint}")
    for column in dict.fromkeys(named):
        if named.count(column) > 1:
            problems.append(f"{name}: column {column!r} is there {named.count(column)} times: keep one")
    taken = OURS | marker_columns(markers)
    for column in dict.fromkeys(spare):
        if column in taken:
            problems.append(f"{name}: column {column!r} is one that rgbtrack writes itself: rename it")
    return header, problems


def _check_rows(
    path: Path, rows: list[dict[str, str]], numbers: list[int], problems: list[str], *, decimal_comma: bool
) -> Sheet:
    """Convert and check every field of every row."""
    images, labels, tracks = [], [], []
    values: dict[str, list[float | None]] = {name: [] for name in NUMBERS if any(name in row for row in rows)}
    for row, number in zip(rows, numbers, strict=True):
        at = f"{path.name}, row {number}"
        problems += [f"{at}: {name} is blank" for name in NEEDED if not row.get(name)]
        files = [_place(path, part) for part in row.get("image", "").split(";") if part.strip()]
        problems += [f"{at}: image {_missing(file)}" for file in files if not _is_image(file)]
        images.append(tuple(files))
        mask = _place(path, row["labels"]) if row.get("labels") else None
        if mask is not None and not _is_image(mask):
            problems.append(f"{at}: labels {_missing(mask)}")
        labels.append(mask)
        linked = _place(path, row["tracks"]) if row.get("tracks") else None
        if linked is not None and not exists(linked):
            problems.append(f"{at}: tracks {_missing(linked)}")
        tracks.append(linked)
        for name in values:
            value, problem = _number(name, row.get(name, ""), decimal_comma)
            values[name].append(value)
            if problem:
                problems.append(f"{at}: {problem}")
        row["image_id"] = row.get("image_id") or default_image_id(files, row.get("scene", ""))
        if row["image_id"]:
            problems += [
                f"{at}: image_id {row['image_id']!r} {why}" for why in name_problems(row["image_id"])
            ]
        row["site"] = row.get("site") or "primary"
        if "batch" in row and not row["batch"]:
            problems.append(f"{at}: batch is blank: name one for every image, or leave the column out")
    problems += _repeats(path.name, [row["image_id"] for row in rows], numbers)
    _warn_of_near_names(path.name, rows)
    _warn_of_mixed_subjects(path.name, rows)
    samples = pd.DataFrame(
        {name: [row.get(name, "") for row in rows] for name in (rows[0] if rows else KNOWN)}, dtype="str"
    )
    for name, column in values.items():
        samples[name] = (
            pd.array(column, dtype="float64") if None not in column else pd.Series(column, dtype="float64")
        )
    return Sheet(samples, tuple(images), tuple(labels), tuple(problems), tuple(tracks))


def _place(sheet: Path, text: str) -> Path:
    """Absolute path of a file named in the sheet."""
    place = sheet.parent / text.strip()
    if not exists(place) and "\\" in text:
        place = sheet.parent / text.strip().replace("\\", "/")
    return place.absolute()


def _is_image(path: Path) -> bool:
    """Whether a path may be an image: a file, or a folder that is an OME-Zarr."""
    return isfile(path) or is_ome_zarr(path)


def _missing(file: Path) -> str:
    if isdir(file):
        return f"{file.name} is a folder and no OME-Zarr: name the image file"
    if not isdir(file.parent):
        return f"{file}: there is no folder {file.parent}: paths are relative to the sheet"
    there = sorted(p.name for p in file.parent.iterdir() if p.is_file())
    close = get_close_matches(file.name, there, n=1, cutoff=0.5)
    return f"{file.name}: no such file in {file.parent}" + (f": did you mean {close[0]!r}?" if close else "")


def _number(name: str, text: str, decimal_comma: bool) -> tuple[float | None, str | None]:
    if not text:
        return None, None
    plain = text.replace(",", ".") if decimal_comma else text
    if not NUMBER.fullmatch(plain):
        inside = NUMBER.search(plain)
        hint = (
            f"give {inside.group()}?"
            if inside and text.count(",") == 0
            else "use a point for decimals, no unit"
        )
        return None, f"{name} {text!r} is not a number: {hint}"
    value = float(plain)
    if name != "timepoint" and (value < 0 or (value == 0 and name != "total_cells")):
        return None, f"{name} is {text}: give a positive number, or leave it blank"
    return value, None


def default_image_id(files: Sequence[Path], scene: str = "") -> str:
    """Name an image after its file, or after what the names of its files share, and its scene.

    >>> default_image_id([Path("m1_C0.tif"), Path("m1_C1.tif")])
    'm1'
    >>> default_image_id([Path("plate.lif")], "day 3/lung")
    'plate_day-3-lung'
    """
    if scene:
        return f"{default_image_id(files)}_{re.sub('[^A-Za-z0-9.]+', '-', scene).strip('-.')}"
    stems = [file_stem(file) for file in files]
    if len(stems) < 2:
        return "".join(stems)
    shared = commonprefix(stems)  # noqa: RUF071 - character by character is meant
    if not shared or shared in stems:
        return shared or stems[0]
    whole = re.match(r"(.*)[_\-. ]", shared)
    return (whole.group(1).rstrip("_-. ") if whole else "") or shared


def _repeats(name: str, ids: Sequence[str], numbers: Sequence[int]) -> list[str]:
    seen: dict[str, int] = {}
    problems = []
    for image_id, number in zip(ids, numbers, strict=True):
        first = seen.setdefault(image_id.casefold(), number)
        if image_id and first != number:
            problems.append(
                f"{name}, row {number}: image_id {image_id!r} is that of row {first} too "
                f"(capitals do not count): "
                f"give each image its own in the column image_id"
            )
    return problems


def _warn_of_near_names(name: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Warn of treatments and sites that are written nearly alike: a slip of the keyboard makes an arm."""
    for column in ("treatment", "site"):
        counts = Counter(row.get(column, "") for row in rows if row.get(column))
        for first, other in combinations(sorted(counts), 2):
            if nearly_alike(first, other):
                warnings.warn(
                    f"{name}: {column} {first!r} ({counts[first]} images) and {other!r} ({counts[other]} "
                    "images) are taken for two: if they are one, write them alike",
                    RgbtrackWarning,
                    stacklevel=5,
                )


def nearly_alike(first: str, other: str) -> bool:
    """Whether two names are probably one, written by two people or with a slip.

    >>> nearly_alike("Ctrl", "ctrl "), nearly_alike("Iso", "Isoo"), nearly_alike("inhibitor A", "inhibitor B")
    (True, True, False)
    """
    one, two = (re.sub(r"[\s_\-]+", "", text.casefold()) for text in (first, other))
    if one == two:
        return True
    words = set(re.split(r"[\s_\-]+", first.casefold())) ^ set(re.split(r"[\s_\-]+", other.casefold()))
    numbered = any(len(word) == 1 for word in words) or re.search(r"\d", one + two) is not None
    slip = SequenceMatcher(None, one, two).ratio() > ALIKE and abs(len(one) - len(two)) <= 1
    return slip and not numbered


def _warn_of_mixed_subjects(name: str, rows: Sequence[Mapping[str, str]]) -> None:
    treatments: dict[str, set[str]] = {}
    for row in rows:
        treatments.setdefault(row.get("subject", ""), set()).add(row.get("treatment", ""))
    mixed = [subject for subject, found in treatments.items() if subject and len(found - {""}) > 1]
    if mixed:
        warnings.warn(
            f"{name}: subject {', '.join(map(repr, mixed))} is in several treatments: "
            f"if these are different animals, name them apart",
            RgbtrackWarning,
            stacklevel=5,
        )
