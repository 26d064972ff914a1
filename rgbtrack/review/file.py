"""review.jsonl: one correction a line, only ever added to."""

import codecs
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.review.corrections import ACTIONS, CORRECTION, Correction, Undo

BINARY = getattr(os, "O_BINARY", 0)
CUT_OFF = b" #cut off"
"""What ends a line that was cut off while it was written, so that the next one stands on its own."""


def read_review(path: str | Path) -> tuple[Correction, ...]:
    """Read the corrections made by hand, in the order in which they were made.

    Parameters
    ----------
    path
        ``review.jsonl`` of a results folder; no file holds no corrections.

    Returns
    -------
    corrections
        One for each whole line.

    Raises
    ------
    DataError
        If a line is no correction, or repeats the id of an earlier one: its number, and why.

    Warns
    -----
    RgbtrackWarning
        If the last line was cut off while it was written, as by a program that was stopped: it is left out.
    """
    path = Path(path)
    found: dict[str, tuple[int, Correction]] = {}
    for number, line, whole in _lines(path):
        try:
            correction = CORRECTION.validate_json(line)
        except ValidationError as error:
            if not whole and error.errors()[0]["type"] == "json_invalid":
                warnings.warn(
                    f"{path.name}: line {number}, the last, was cut off while it was written: it is left "
                    f"out; give that correction again",
                    RgbtrackWarning,
                    stacklevel=2,
                )
                break
            raise DataError(f"{path}, line {number}: {_first(error)}: mend the line or delete it") from error
        if "id" not in correction.model_fields_set:
            raise DataError(
                f"{path}, line {number}: id is missing, without which it cannot be undone: give it one, as r "
                f"and eight digits, or delete the line"
            )
        if correction.id in found:
            raise DataError(
                f"{path}, line {number}: repeats the id {correction.id} of line {found[correction.id][0]}: "
                f"delete one of them"
            )
        found[correction.id] = number, correction
    return tuple(correction for _, correction in found.values())


def append_correction(path: str | Path, correction: Correction) -> None:
    """Add a correction to a file, on disk before this returns.

    Parameters
    ----------
    path
        ``review.jsonl`` of a results folder; made where it is not there.
    correction
        What was decided.

    Raises
    ------
    DataError
        If the file holds a line that is no correction, this very correction, or not the one that is to be
        undone.

    Notes
    -----
    Nothing of the file is ever changed. A last line that was cut off while it was written gets an end that
    marks it as such, and the reader passes it over.
    """
    path = Path(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        known = {earlier.id for earlier in read_review(path)}
    if correction.id in known:
        raise DataError(
            f"{path} holds correction {correction.id} already: each line is a correction of its own"
        )
    if isinstance(correction, Undo) and correction.of not in known:
        raise DataError(
            f"{path} holds no correction {correction.of} that could be undone; it holds "
            f"{', '.join(known) or 'none'}"
        )
    line = correction.model_dump_json().encode() + b"\n"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | BINARY, 0o666)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}): give a folder that is there"
        ) from error
    try:
        rest = memoryview(_end_of_last_line(path) + line)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Number, text and wholeness of each line that says something; whole lines end in a newline."""
    for number, line in enumerate(_content(path).splitlines(keepends=True), 1):
        if line.strip() and not line.rstrip().endswith(CUT_OFF):
            yield number, line, line.endswith(b"\n")


def _content(path: Path) -> bytes:
    """What the file holds, nothing where it is not there, without the byte order mark of some editors."""
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise DataError(f"{path}: not readable ({error.strerror}): give the path of review.jsonl") from error


def _end_of_last_line(path: Path) -> bytes:
    """What a new line must begin with to stand on its own."""
    content = _content(path)
    if not content or content.endswith(b"\n"):
        return b""
    try:
        CORRECTION.validate_json(content.splitlines()[-1])
    except ValidationError:
        return CUT_OFF + b"\n"
    return b"\n"


def _first(error: ValidationError) -> str:
    """First fault of a line, in words."""
    fault = error.errors()[0]
    if fault["type"] == "json_invalid":
        return "not JSON"
    if fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"action is none of {', '.join(ACTIONS)}"
    # the first step names the kind of correction
    where = ".".join(str(step) for step in fault["loc"][1:])
    return f"{where}: {fault['msg']}" if where else fault["msg"]
