"""The entry point: what is said of mistakes and interruptions, and the exit codes."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from rgbtrack.cli.program import INTERRUPTED, USER, app
from rgbtrack.cli.voice import Voice, current, options_first
from rgbtrack.errors import RgbtrackError, RgbtrackWarning


def main() -> None:
    """Run the command line; the entry point."""
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", RgbtrackWarning)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's end is as Ctrl-C
    code = _guarded(lambda: _exit_code(sys.argv[1:]))
    sys.exit(_guarded(lambda: current().finish(code)))


def _guarded(work: Callable[[], int]) -> int:
    """Exit code of some work, also where standard output is closed or full, or the user has had enough."""
    try:
        return work()
    except BrokenPipeError:
        _close_output()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        _close_output()
        where = f": {error.filename}" if error.filename else ""
        print(
            f"error: {error.strerror or error}{where}: mend it and give the same command again to go on",
            file=sys.stderr,
        )
        return USER


def _close_output() -> None:
    """Write nothing more to a standard output that takes nothing: Python would try once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit_code(arguments: list[str]) -> int:
    """Do what the arguments ask for."""
    current(Voice(machine="--json" in arguments and "--help" not in arguments))
    try:
        app(options_first(arguments), standalone_mode=True)
    except RgbtrackError as error:
        for line in str(error).splitlines():
            current().remark(f"error: {line}")
        return USER
    except SystemExit as leave:
        if leave.code == INTERRUPTED:
            current().remark("stopped: what is finished is kept; give the same command again to go on")
        if leave.code == 1:  # what the library of the command line makes of a pipe that was closed
            raise BrokenPipeError from leave
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except OSError:
        raise
    except Exception:
        traceback.print_exc()  # a defect of ours
        return 1
    return 0


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    if issubclass(category, RgbtrackWarning):
        current().remark(f"warning: {message}")
