"""Look through the results image by image."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_rgbtrack.layers import image_ids, image_layers
from rgbtrack.errors import DataError

if TYPE_CHECKING:
    import napari


def open_results(
    results: str | Path, image_id: str | None = None, viewer: "napari.Viewer | None" = None
) -> "napari.Viewer":
    """Open a results folder in napari, with a panel to go from image to image.

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
        If the folder holds no results, or no such image.
    """
    layers = image_layers(results, image_id)  # before a window opens, so that a mistake is told in the shell
    import napari

    viewer = viewer or napari.Viewer(title=f"rgbtrack: {Path(results).resolve().name}")
    _show(viewer, layers)
    viewer.window.add_dock_widget(image_chooser(viewer), name="rgbtrack", area="right")
    return viewer


def image_chooser(viewer: "napari.Viewer") -> Any:
    """Panel with the images of the results that are open, and what is known of the cell under the cursor."""
    from magicgui.widgets import ComboBox, Container, Label, PushButton

    opened = _opened(viewer)
    if opened is None:
        raise DataError("no results of rgbtrack are open: drop a results folder on napari first")
    results, current = opened
    ids = image_ids(Path(results))
    choice = ComboBox(label="image", choices=ids, value=current)
    back, forward = PushButton(text="previous"), PushButton(text="next")
    about = Label(value="Point at a cell")
    about.native.setWordWrap(True)

    def change(image_id: str) -> None:
        viewer.layers.clear()
        _show(viewer, image_layers(results, image_id))
        back.enabled, forward.enabled = image_id != ids[0], image_id != ids[-1]

    def step(by: int) -> None:
        choice.value = ids[min(max(ids.index(choice.value) + by, 0), len(ids) - 1)]

    def point(viewer: Any, _: Any) -> None:
        about.value = describe_cell(viewer)

    choice.changed.connect(change)
    back.changed.connect(lambda _: step(-1))
    forward.changed.connect(lambda _: step(1))
    back.enabled, forward.enabled = current != ids[0], current != ids[-1]
    viewer.mouse_move_callbacks.append(point)
    buttons = Container(widgets=[back, forward], layout="horizontal", labels=False)
    return Container(widgets=[choice, buttons, about], labels=False)


def describe_cell(viewer: Any) -> str:
    """Tell of the cell under the cursor: its clone and how sure that is, or why it has none."""
    if "cells" not in viewer.layers:
        return ""
    layer = viewer.layers["cells"]
    number = layer.get_value(viewer.cursor.position, world=True)
    row = layer.features[layer.features["index"] == (number or 0)]
    if not len(row):
        return "Point at a cell"
    cell = row.iloc[0]
    if "clone" not in row or row["clone"].isna().iloc[0]:
        reason = cell.get("unassigned_reason", "clones are not called yet")
        text = f"no clone: {reason}"
    else:
        text = f"clone {int(cell['clone'])}, probability {cell['clone_probability']:.2f}"
    return f"{text}\nSNR {cell['snr']:.0f}"


def _show(viewer: Any, layers: list[Any]) -> None:
    """Add layers, cells as outlines in the colours of their clones."""
    from napari.layers import Layer

    for data in layers:
        viewer.add_layer(Layer.create(*data))
    viewer.layers["cells"].contour = 2
    viewer.layers.selection.active = viewer.layers["cells"]
    viewer.scale_bar.visible = True
    if viewer.layers["cells"].ndim > 2:
        viewer.dims.set_point(0, 0)
    viewer.reset_view()


def _opened(viewer: Any) -> tuple[str, str] | None:
    """Results folder and image id of the layers that are open."""
    for layer in viewer.layers:
        told = layer.metadata.get("rgbtrack")
        if told:
            return told["results"], told["image_id"]
    return None
