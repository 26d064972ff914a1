"""What the command line says: to people, to machines, and to a file."""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from rgbtrack.errors import ParamError

FLAGS = ("--json", "--quiet", "-q")
VALUED = ("--log-file",)


@dataclass
class Voice:
    """Where words go.

    Attributes
    ----------
    quiet
        Whether nothing is said but warnings and errors.
    machine
        Whether standard output is one JSON object at the end, instead of text.
    log
        A file that is told everything, with the time.
    """

    quiet: bool = False
    machine: bool = False
    log: TextIO | None = None
    _said: list[str] = field(default_factory=list)
    _remarks: list[str] = field(default_factory=list)
    _told: dict[str, Any] = field(default_factory=dict)

    def tell(self, text: str | None = None, **told: Any) -> None:
        """Say a line on standard output; `told` is the same for machines."""
        self._told |= told
        if text is None:
            return
        self._said.append(text)
        self.write_log(text)
        if not (self.quiet or self.machine):
            print(text)

    def remark(self, text: str) -> None:
        """Say a warning or an error, on standard error."""
        self._remarks.append(text)
        self.write_log(text)
        print(text, file=sys.stderr, flush=True)

    def open_log(self, path: Path) -> None:
        """Have everything said from now on written at the end of a file."""
        self.log = path.open("a", encoding="utf-8", errors="backslashreplace")

    def finish(self, exit_code: int) -> int:
        """Say everything at once to a machine, close the log, and return the exit code."""
        if self.machine:
            whole = {"exit_code": exit_code, **self._told, "said": self._said, "remarks": self._remarks}
            print(json.dumps(whole, default=_plain, allow_nan=False))
        sys.stdout.flush()
        if self.log is not None:
            self.log.close()
        return exit_code

    def write_log(self, text: str) -> None:
        """Write a line to the log alone."""
        if self.log is not None:
            self.log.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}\n")
            self.log.flush()


class Told(logging.Handler):
    """What parts of the program report while they work, as remarks that are no warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it on standard error."""
        text = record.getMessage()
        current().write_log(text)
        print(text, file=sys.stderr, flush=True)


_voices = [Voice()]


def current(voice: Voice | None = None) -> Voice:
    """The voice of this command; a new one where it is given."""
    if voice is not None:
        _voices[0] = voice
    return _voices[0]


def options_first(arguments: Sequence[str]) -> list[str]:
    """Arguments with the options of the whole program before those of the command, wherever they stood.

    >>> options_first(["run", "here", "--json", "--workers", "2", "--", "-q"])
    ['--json', 'run', 'here', '--workers', '2', '--', '-q']
    """
    first: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            rest += [word, *waiting]
            break
        if word in FLAGS or word.partition("=")[0] in VALUED:
            if word in VALUED and (not waiting or waiting[0].startswith("-")):
                raise ParamError(f"{word} needs the path of a file")
            first += [word, waiting.pop(0)] if word in VALUED else [word]
        else:
            rest.append(word)
    return first + rest


def plain_records(table: Any) -> list[dict[str, Any]]:
    """Rows of a table as JSON has them: blanks are null."""
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    return [dict(row) for row in rows]


def _plain(value: Any) -> Any:
    """What JSON does not know, as what it does."""
    return value.item() if hasattr(value, "item") else str(value)
