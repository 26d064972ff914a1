"""One look for all figures, and the same bytes for the same figure."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogLocator, NullFormatter

from rgbtrack.errors import ParamError

Save = Callable[[Figure, Path, str], object]
"""What writes a figure to a folder under a name, as `save_figure` does."""

INK = "#22252b"
FAINT = "#d9dce1"
DARK = "#14161a"
"""Behind clone colours, as behind the cells themselves: yellow does not show on white."""
RASTER_DPI = 150

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "figure.dpi": 100.0,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "rgbtrack",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house style, whatever the user's matplotlibrc says, and leave theirs as it was."""
    with mpl.rc_context():
        mpl.rcParams.update(mpl.rcParamsDefault)
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches, laid out by constraints, outside pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Write a figure as ``name.svg`` (editable text) and ``name.png``.

    The same figure gives the same bytes: no date, no version, no random ids.

    Parameters
    ----------
    figure
        Any matplotlib figure.
    folder
        Made if it is not there.
    name
        Name of the files, without ending.

    Returns
    -------
    svg, png
        The files written.

    Raises
    ------
    ParamError
        If the name is not a plain file name.
    """
    if not re.fullmatch(r"[\w.+ -]+", name) or name.startswith("."):
        raise ParamError(f"figure name is {name!r}: give letters, digits, spaces, and . _ + -")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    with style():
        layout = figure.get_layout_engine()
        if layout is not None:  # laid out once, for both
            figure.dpi = RASTER_DPI
            layout.execute(figure)
        figure.set_layout_engine(None)  # of any engine, even "none", matplotlib draws each file twice
        figure.savefig(svg, format="svg", dpi=RASTER_DPI, metadata={"Date": None, "Creator": "rgbtrack"})
        figure.savefig(png, format="png", dpi=RASTER_DPI, metadata={"Software": "rgbtrack"})
        figure.set_layout_engine(layout)
    return svg, png


def say_nothing_to_draw(text: str) -> Figure:
    """Make a figure that says why it is empty."""
    figure = new_figure(6.0, 1.2)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    return figure


def wrap(text: object, width: int = 28) -> str:
    """Shorten a name that would not fit beside an axis."""
    name = " ".join(str(text).split())
    return name if len(name) <= width else name[: width - 1] + "…"


def say_share(value: float) -> str:
    """Say a share in percent."""
    return f"{100 * value:.3g}%"


def percent(axes: Any, axis: str = "y") -> None:
    """Show the shares on an axis in percent."""
    getattr(axes, f"{axis}axis").set_major_formatter(_Said(say_share))


def log_scale(axes: Any, axis: str = "y", say: Callable[[float], str] = "{:g}".format) -> None:
    """Make an axis logarithmic, its ticks in plain words however few decades are shown."""
    getattr(axes, f"set_{axis}scale")("log")
    ticks = getattr(axes, f"{axis}axis")
    ticks.set_major_locator(_Steps())
    ticks.set_major_formatter(_Said(say))
    ticks.set_minor_formatter(NullFormatter())


class _Said(Formatter):
    """Ticks as a function says them; a function on the spot could not be sent to another process."""

    def __init__(self, say: Callable[[float], str]) -> None:
        self.say = say

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self.say(x)


class _Steps(LogLocator):
    """Ticks at 1, 2 and 5; at 1 alone where more than two decades are shown."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        self.set_params(subs=(1, 2, 5) if vmax < 80 * vmin else (1,))
        return super().tick_values(vmin, vmax)
