"""The review window: image, colours, clones and corrections of a results folder, side by side."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.state import Review, open_review
from rgbtrack.errors import DataError

if TYPE_CHECKING:
    import napari

    from napari_rgbtrack.panel import ReviewPanel

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

    before = review_panel(viewer)
    if before is not None:
        before.detach()
        for widget in (before, before.plot):
            with suppress(LookupError):  # one that was closed
                viewer.window.remove_dock_widget(widget)
    desk = Desk(viewer, review)
    panel = ReviewPanel(desk, plot_dock(desk))
    viewer.window.add_dock_widget(panel, name=PANEL, area="right")
    viewer.window.add_dock_widget(panel.plot, name=PLOT, area="right")
    desk.open_image(image_id or review.image_ids[0])
    if review.remarks:
        desk.told.emit("; ".join(review.remarks), True)
    return desk


def review_panel(viewer: "napari.Viewer") -> "ReviewPanel | None":
    """Panel of the review that is open in a viewer; None for none. Not all versions of napari tell."""
    from qtpy.QtWidgets import QApplication

    from napari_rgbtrack.panel import ReviewPanel

    panels = [widget for widget in QApplication.allWidgets() if isinstance(widget, ReviewPanel)]
    return next((panel for panel in panels if panel.is_open and panel.desk.viewer is viewer), None)


def _check_image(review: Review, image_id: str | None) -> None:
    if image_id is not None and image_id not in review.image_ids:
        raise DataError(
            f"{review.results}: no processed image is named {image_id!r}; there are "
            f"{', '.join(review.image_ids[:20])}"
        )
