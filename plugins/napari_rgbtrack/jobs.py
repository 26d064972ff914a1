"""Work in a thread, one piece at a time; of what waits, the newest of each kind."""

from collections.abc import Callable
from typing import Any

from napari_rgbtrack.desk import caught, in_words
from napari_rgbtrack.helper import StoppedError
from rgbtrack.errors import RgbtrackError


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
        self._waiting: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {}
        self._then: Callable[[Any], Any] | None = None
        self._doing = ""
        self._worker: Any = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on or waits."""
        return not self._doing and not self._waiting

    def submit(self, what: str, work: Callable[[], Any], then: Callable[[Any], Any]) -> None:
        """Do work, then something with its result in the window's thread; older of its kind is dropped."""
        self._waiting[what] = (work, then)
        if not self._doing:
            self._next()

    def forget(self) -> None:
        """Drop what waits, and the result of what goes on."""
        self._waiting.clear()
        self._then = None

    def close(self) -> None:
        """Tell nobody any more, as when the panel is closed."""
        self.forget()
        self._busy, self._trouble = (lambda _: None), (lambda _what, _words: None)

    def _next(self) -> None:
        from napari.qt.threading import create_worker

        if not self._waiting:
            self._doing = ""
            self._busy("")
            return
        self._doing = next(iter(self._waiting))
        work, self._then = self._waiting.pop(self._doing)
        self._busy(self._doing)
        self._worker = create_worker(caught, work, _start_thread=False)
        self._worker.returned.connect(self._done)
        self._worker.start()

    def _done(self, came: tuple[Any, Exception | None]) -> None:
        result, error = came
        then, what = self._then, self._doing
        overtaken = what in self._waiting
        self._next()
        if then is None or overtaken or isinstance(error, StoppedError):
            return
        if error is None:
            try:
                then(result)
            except RgbtrackError as told:
                error = told
        if error is not None:
            self._trouble(what, in_words(what, error))
