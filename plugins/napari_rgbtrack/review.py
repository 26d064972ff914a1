"""Look through the results image by image."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from napari_rgbtrack.layers import image_ids, image_layers
from rgbtrack.errors import DataError, RgbtrackError

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
        shown = {layer.name: layer.visible for layer in _ours(viewer)}
        try:
            layers = image_layers(results, image_id)
            about.value = "Point at a cell"
        except (RgbtrackError, OSError) as error:
            layers, about.value = [], str(error)
        for layer in _ours(viewer):  # the user's own stay
            viewer.layers.remove(layer)
        _show(viewer, layers, shown)
        back.enabled, forward.enabled = image_id != ids[0], image_id != ids[-1]

    def step(by: int) -> None:
        choice.value = ids[min(max(ids.index(choice.value) + by, 0), len(ids) - 1)]

    def point(viewer: Any, _: Any) -> None:
        if _cells(viewer) is not None:
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
    layer = _cells(viewer)
    if layer is None:
        return ""
    number = layer.get_value(viewer.cursor.position, world=True)
    row = layer.features[layer.features["index"] == (number or 0)]
    if not len(row):
        return "Point at a cell"
    cell = row.iloc[0]
    if "clone" not in row or row["clone"].isna().iloc[0]:
        reason = cell.get("unassigned_reason", "clones are not called yet")
        text = f"no clone: {reason}"
    else:
        sure = cell["clone_probability"]
        sure = "decided by hand" if pd.isna(sure) else f"probability {sure:.2f}"
        text = f"clone {int(cell['clone'])}, {sure}"
    return f"{text}\nSNR {cell['snr']:.0f}"


def _show(viewer: Any, layers: list[Any], shown: dict[str, bool] | None = None) -> None:
    """Add layers, cells as outlines in the colours of their clones; what was hidden stays so."""
    from napari.layers import Layer

    for data in layers:
        layer = viewer.add_layer(Layer.create(*data))
        layer.visible = (shown or {}).get(layer.name, layer.visible)
    cells = _cells(viewer)
    if cells is None:
        return
    cells.contour = 2
    viewer.layers.selection.active = cells
    viewer.scale_bar.visible = True
    if cells.ndim > 2:
        viewer.dims.set_point(0, 0)
    viewer.reset_view()


def _ours(viewer: Any) -> list[Any]:
    """Layers that show results, not those that the user added."""
    return [layer for layer in viewer.layers if "rgbtrack" in layer.metadata]


def _cells(viewer: Any) -> Any:
    """Layer of the cells of the results that are open, or None."""
    return next((layer for layer in _ours(viewer) if "index" in getattr(layer, "features", ())), None)


def _opened(viewer: Any) -> tuple[str, str] | None:
    """Results folder and image id of the layers that are open."""
    for layer in _ours(viewer):
        told = layer.metadata["rgbtrack"]
        return told["results"], told["image_id"]
    return None
