"""Draw docs/images/overview.png from the results of the sample experiment.

python docs/overview.py sample_data/results
"""

import sys
from pathlib import Path

import cv2
import pandas as pd
from matplotlib.figure import Figure

from rgbtrack.files import read_labels
from rgbtrack.plot import clone_colours, paint_clones, stacked_fractions, ternary


def picture(figure: Figure) -> object:
    """Pixels of a figure."""
    figure.set_dpi(150)
    figure.canvas.draw()
    return figure.canvas.buffer_rgba()


def main(results: Path, image_id: str = "isoproterenol_m3_d14") -> None:
    """Draw and write the picture."""
    cells = pd.read_parquet(results / "cells.parquet")
    clones = pd.read_csv(results / "clones.csv")
    sizes = pd.read_csv(results / "clone_sizes.csv")
    colours = clone_colours(clones)
    here = cells[cells["image_id"] == image_id]
    labels = read_labels(results / "labels" / f"{image_id}.tif")
    panels = {
        "image": cv2.imread(str(results / "thumbnails" / f"{image_id}.png"))[..., ::-1],
        "cells, in the colours of their clones": paint_clones(labels[0], here, colours),
        "all cells by colour": picture(ternary(cells, clones)),
        "clone sizes": picture(stacked_fractions(sizes, colours, first="vehicle")),
    }
    figure = Figure(figsize=(13, 3.3), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=[1, 1, 1.15, 1.6])
    for axis, (title, image) in zip(axes, panels.items(), strict=True):
        axis.imshow(image, interpolation="antialiased")
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    figure.savefig(
        Path(__file__).parent / "images" / "overview.png",
        dpi=110,
        bbox_inches="tight",
        metadata={"Software": "rgbtrack"},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
