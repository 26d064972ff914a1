"""The review window: image, colours, clones and corrections of a results folder, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.state import Review, open_review
from rgbtrack.errors import DataError

if TYPE_CHECKING:
    import napari

PANEL, PLOT = "rgbtrack review", "rgbtrack colours"


def open_results(
    results: str | Path, image_id: str | None = None, viewer: "napari.Viewer | None" = None
) -> "napari.Viewer":
    """Open a results folder in napari, ready to be looked through and put right.

    Parameters
    ----------
    results
        A results folder.
    image_id
        The image to begin with; the first by default.
    viewer
        Where to open it; a new window by default.

    Raises
    ------
    DataError
        If the folder holds no results, no such image, or tables that do not belong together.
    """
    review = open_review(results)  # before a window opens, so that a mistake is told in the shell
    _check_image(review, image_id)
    import napari

    viewer = viewer or napari.Viewer(title=f"rgbtrack: {Path(results).resolve().name}")
    show_review(viewer, review, image_id)
    return viewer


def show_review(viewer: "napari.Viewer", review: Review, image_id: str | None = None) -> Desk:
    """Put a review into a viewer: its panels, and its first image."""
    from napari_rgbtrack.colour_plot_dock import plot_dock
    from napari_rgbtrack.panel import ReviewPanel

    for name in (PANEL, PLOT):
        if name in viewer.window.dock_widgets:
            before = viewer.window.dock_widgets[name]
            if isinstance(before, ReviewPanel):
                before.detach()
            viewer.window.remove_dock_widget(before)
    desk = Desk(viewer, review)
    panel = ReviewPanel(desk)
    viewer.window.add_dock_widget(panel, name=PANEL, area="right")
    viewer.window.add_dock_widget(plot_dock(desk), name=PLOT, area="right")
    desk.open_image(image_id or review.image_ids[0])
    return desk


def _check_image(review: Review, image_id: str | None) -> None:
    if image_id is not None and image_id not in review.image_ids:
        raise DataError(
            f"{review.results}: no processed image is named {image_id!r}; there are "
            f"{', '.join(review.image_ids[:20])}"
        )
