"""The plot of all cells by colour, bound to the desk: what is chosen there is chosen everywhere."""

import numpy as np

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.plot_canvas import ColourPlot


def plot_dock(desk: Desk) -> ColourPlot:
    """Plot of the desk's cells."""
    plot = ColourPlot()

    def renew() -> None:
        plot.set_cells(desk.review.cells, desk.colouring.rgb)
        plot.set_selection(desk.chosen)

    desk.changed.connect(renew)
    desk.coloured.connect(lambda: plot.set_colours(desk.colouring.rgb))
    desk.selected.connect(lambda: plot.set_selection(desk.chosen))
    plot.selected.connect(lambda rows, add: desk.choose(np.asarray(rows), add=bool(add)))
    renew()
    return plot
