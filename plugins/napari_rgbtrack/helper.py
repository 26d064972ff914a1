"""A process that does slow work for a window: neither its length nor a compiler can hold the window up."""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from rgbtrack.errors import RgbtrackError

Result = TypeVar("Result")

SCRIPT = "from napari_rgbtrack.helper import serve; serve()"


class StoppedError(RgbtrackError):
    """Work was stopped before it was done."""


class Helper:
    """A process of its own, started at its first work, that does one piece of work after the other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def do(self, work: Callable[..., Result], *given: Any) -> Result:
        """Have work done, and wait for it: to be called in a thread.

        Parameters
        ----------
        work
            A function that can be imported.
        given
            What it is given; as its result, it is pickled.

        Raises
        ------
        StoppedError
            If the process was stopped, or ended by itself.
        Exception
            Whatever the work raised.
        """
        with self._lock:
            process = self._started()
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - asked for
            try:
                pickle.dump((work, given), process.stdin)
                process.stdin.flush()
                result, error = pickle.load(process.stdout)  # noqa: S301 - our own process
            except (EOFError, OSError, pickle.UnpicklingError) as ended:
                _end(process)
                raise StoppedError("stopped before it was done") from ended
        if error is not None:
            raise error
        return result

    def start(self) -> None:
        """Start the process ahead of its first work."""
        self._started()

    def stop(self) -> None:
        """End the process and what it works on; the next work starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            if self._lock.acquire(blocking=False):  # else whoever waits for it sees its end
                _end(process)
                self._lock.release()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603 - our own script, no shell
                [sys.executable, "-W", "ignore", "-c", SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=os.name != "nt",  # Ctrl-C is the window's to answer
            )
        return self._process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()


def serve() -> None:
    """Do what is asked on standard input until it ends, as it does with the window."""
    import napari_rgbtrack.preview  # noqa: F401 - what takes long is there before it is asked for

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what work prints must not come between
    while True:
        try:
            work, given = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own window
        except EOFError:
            return
        try:
            answer: tuple[Any, Exception | None] = work(*given), None
        except Exception as error:
            answer = None, error
        with contextlib.suppress(BrokenPipeError):
            answers.write(_pickled(answer))
            answers.flush()


def _pickled(answer: tuple[Any, Exception | None]) -> bytes:
    try:
        told = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
        pickle.loads(told)  # noqa: S301 - errors of other libraries may not come back
    except Exception as trouble:
        error = answer[1] or trouble
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return told
