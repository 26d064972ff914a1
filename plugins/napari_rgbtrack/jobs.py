"""Work in a thread, one piece at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_rgbtrack.helper import StoppedError
from rgbtrack.errors import RgbtrackError

Work = Callable[[], Any]
Then = Callable[[Any], Any]


@dataclass(frozen=True)
class _Job:
    what: str
    work: Work
    then: Then
    newest: bool


class Jobs:
    """What a panel has to do that takes time.

    Parameters
    ----------
    busy
        Called with what goes on; "" for nothing.
    trouble
        Called with what was done, and what went wrong, in words.
    """

    def __init__(self, busy: Callable[[str], Any], trouble: Callable[[str, str], Any]) -> None:
        self._busy, self._trouble = busy, trouble
        self._waiting: list[_Job] = []
        self._job: _Job | None = None
        self._forgotten = False
        self._worker: Any = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on or waits."""
        return self._job is None and not self._waiting

    def submit(self, what: str, work: Work, then: Then) -> None:
        """Do work after what waits, then something with its result in the window's thread."""
        self._add(_Job(what, work, then, newest=False))

    def submit_newest(self, what: str, work: Work, then: Then) -> None:
        """As `submit`; older work of the name is dropped, or its result where it goes on."""
        self._waiting = [job for job in self._waiting if job.what != what]
        self._add(_Job(what, work, then, newest=True))

    def forget(self) -> None:
        """Drop what waits, and the result of what goes on."""
        self._waiting.clear()
        self._forgotten = True

    def close(self) -> None:
        """Tell nobody any more, as when the panel is closed."""
        self.forget()
        self._busy, self._trouble = (lambda _: None), (lambda _what, _words: None)

    def _add(self, job: _Job) -> None:
        self._waiting.append(job)
        if self._job is None:
            self._next()

    def _next(self) -> None:
        from napari.qt.threading import create_worker

        self._forgotten = False
        self._job = self._waiting.pop(0) if self._waiting else None
        self._busy(self._job.what if self._job else "")
        if self._job:
            self._worker = create_worker(_caught, self._job.work, _start_thread=False)
            self._worker.returned.connect(self._done)
            self._worker.start()

    def _done(self, came: tuple[Any, Exception | None]) -> None:
        try:
            self._tell(self._job, *came)
        finally:
            self._next()

    def _tell(self, job: _Job | None, result: Any, error: Exception | None) -> None:
        if job is None or self._forgotten or isinstance(error, StoppedError):
            return
        if job.newest and any(later.what == job.what for later in self._waiting):
            return
        if error is None:
            try:
                job.then(result)
            except RgbtrackError as told:
                error = told
        if error is not None:
            self._trouble(job.what, in_words(job.what, error))


def _caught(work: Work) -> tuple[Any, Exception | None]:
    """Result of work, and what it raised: napari would show that as a traceback."""
    try:
        return work(), None
    except Exception as error:
        return None, error


def in_words(what: str, error: BaseException) -> str:
    """Tell what went wrong, as a person can use it."""
    if isinstance(error, RgbtrackError):
        return str(error)
    if isinstance(error, OSError):
        return f"{what}: {error.strerror or error}: {error.filename or ''}".rstrip(": ")
    return f"{what}: a defect of rgbtrack, nothing was changed: {type(error).__name__}: {error}"
