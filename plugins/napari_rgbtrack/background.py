"""A run in a process of its own, so that the window stays alive and a cancel is a cancel."""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rgbtrack.errors import RgbtrackError

SCRIPT = """
import json, sys, warnings

def say(kind, *told):
    print(json.dumps([kind, *told]), flush=True)

def main():
    from rgbtrack import run
    from rgbtrack.errors import RgbtrackError, RgbtrackWarning
    warnings.simplefilter("always", RgbtrackWarning)
    warnings.showwarning = lambda message, *_: say("warning", str(message))
    try:
        came = run(sys.argv[1], sys.argv[2] or None, progress=lambda *told: say("progress", *told))
    except RgbtrackError as error:
        say("error", str(error))
    else:
        say("done", str(came.results), came.failed)

if __name__ == "__main__":
    main()
"""
"""What the process does: every line that it prints is one thing told."""


class Running:
    """A run that goes on in a process; to be cancelled."""

    def __init__(self, experiment: str | Path, out: str | Path | None = None) -> None:
        self.trouble = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody empties would fill
        self.process = subprocess.Popen(  # noqa: S603 - our own script, no shell
            [sys.executable, "-W", "ignore", "-c", SCRIPT, str(experiment), "" if out is None else str(out)],
            stdout=subprocess.PIPE,
            stderr=self.trouble,
            text=True,
            start_new_session=os.name != "nt",  # a group of its own: its workers end with it
        )
        self.cancelled = False
        atexit.register(self.cancel)

    def told(self) -> Iterator[list[Any]]:
        """What it tells, one thing after the other: kind and more; ends when the run does.

        Raises
        ------
        RgbtrackError
            If the process ended without having told how the run did.
        """
        assert self.process.stdout is not None  # noqa: S101 - asked for
        last: list[Any] = []
        for line in self.process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                last = json.loads(line)
                yield last
        self.process.stdout.close()
        self.process.wait()
        atexit.unregister(self.cancel)
        with self.trouble:
            self.trouble.seek(0)
            lines = self.trouble.read().strip().splitlines()
        if not self.cancelled and (not last or last[0] not in ("done", "error")):
            told = lines[-1] if lines else "it told nothing"
            raise RgbtrackError(
                f"the run ended before it was done ({told}): run it again, it goes on from what was done"
            )

    def cancel(self) -> None:
        """End the run and its workers; a later one goes on from what was done."""
        self.cancelled = True
        if self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if os.name == "nt":
                self.process.terminate()
            else:
                os.killpg(self.process.pid, signal.SIGTERM)


def run_in_background(
    experiment: str | Path,
    out: str | Path | None,
    on_progress: Callable[[str, int, int], Any],
    on_done: Callable[[Path, dict[str, str], list[str]], Any],
    on_error: Callable[[str], Any],
) -> Running:
    """Run an experiment in a process of its own, told of in the window's thread.

    Parameters
    ----------
    experiment, out
        As for `rgbtrack.run`.
    on_progress
        Called with what is done, how much of it, and of how much.
    on_done
        Called with the results folder, why images failed, by image, and the warnings.
    on_error
        Called with what went wrong, in words.

    Returns
    -------
    running
        To be cancelled; nothing is called after that.
    """
    from napari.qt.threading import create_worker

    running = Running(experiment, out)
    warned: list[str] = []

    def listen() -> Iterator[list[Any]]:
        try:
            yield from running.told()
        except RgbtrackError as error:
            yield ["error", str(error)]

    def hear(told: list[Any]) -> None:
        if running.cancelled:
            return
        match told:
            case ["progress", what, n, total]:
                on_progress(what, n, total)
            case ["warning", text]:
                warned.append(text)
            case ["done", results, failed]:
                on_done(Path(results), failed, warned)
            case ["error", text]:
                on_error(text)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worker = create_worker(listen, _start_thread=False)
    worker.yielded.connect(hear)
    worker.start()
    return running
