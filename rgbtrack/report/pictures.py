"""Pictures of the report: figures written and embedded, thumbnails beside their clone maps."""

import base64
import io
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import matplotlib.image
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgbtrack.clones import load_clones, rehearse_calls
from rgbtrack.files import write_atomically
from rgbtrack.plot import (
    brightness_histogram,
    cell_numbers,
    cell_sizes,
    fraction_dots,
    hue_saturation,
    paint_clones,
    plot_confusion,
    plot_reliability,
    rejected_counts,
    snr_histogram,
    snr_per_image,
    stacked_fractions,
    ternary,
)
from rgbtrack.report.params import ReportParams
from rgbtrack.report.results import Results

ALL_PICTURES = 60
"""Up to this many images all are shown."""
CONTOURS = (
    " Lines hold 68 % (solid) and 95 % (dashed) of the cells that a clone is expected to have; the spot with "
    "a white rim holds the clone's mean with 95 %."
)
CAPTIONS = {
    "stacked_fractions": "Mean share of each clone among the assigned cells. Every subject weighs the same "
    "(n subjects in each panel). Bars stand alone: colour-marked clones have no "
    "parents, so nothing is drawn between timepoints.",
    "fraction_dots": "Each dot is one subject, in the largest clones. Thin bars: 95 % interval from "
    "counting cells, which does not cover differences between subjects. Thick lines: "
    "mean of the subjects. Thin lines join the same subject.",
    "cell_numbers": "Assigned cells in each subject. Shares alone cannot show growth: when one clone "
    "gains, all others lose share. Numbers can, where the same area or volume was "
    "imaged each time.",
    "ternary": "Every cell by the mix of its markers, in the colour of its clone. Numbers mark "
    "where the mean of each of the largest clones lies, or stand beside it.",
    "hue_saturation": "The same cells by hue, the angle, and saturation, the distance from the middle, each "
    "marker on its own scale. Hue alone is not how clones were told apart: a dim cell's hue is mostly noise, "
    "and brightness and saturation say as much.",
    "confusion": "Each row is the clone that cells were drawn for, each column what they were "
    "called; a row adds up to 100 %. Clones that share cells stand side by side.",
    "reliability": "Of the calls made with a probability of 80 %, 80 % should be right: dots on "
    "the dashed line. Bars: 95 % interval. Right is a cell of its clone's main founder.",
    "snr_per_image": "How far the cells of each image stand out from the noise. Dot: median cell; "
    "thick bar: half of the cells; thin bar: 90 % of them.",
    "rejected_counts": "What was found and not counted as a cell, in all images. Debris is far smaller than "
    "a cell; haze fades out without an edge, as cells out of focus do; a gap is a patch between cells, "
    "darker than they are; what is not like a cell is so in size, shape and light together; no nucleus: an "
    "outline without a stained nucleus in it.",
    "cell_sizes": "A good segmentation has one hump, at the size that you know your cells to have. A second "
    "one at a fraction of it means that cells were cut up; a long tail to the right, that neighbours were "
    "joined. A cell with several flags counts once.",
    "snr_histogram": "How far the cells stand out from the noise: brightness in units of its own error. "
    "Left of the dashed line a colour is mostly noise.",
    "brightness_histogram": "How bright the cells are, with and without a clone. Dim cells often stay "
    "unassigned: their colour is uncertain.",
}
OF_ONE_SUBJECT = (
    "Share of each clone among the assigned cells of each subject. Clones are each subject's own: like "
    "colours in two subjects need not be one founder (clone_matches.csv)."
)
FADING_CAPTION = (
    "Each dot is a cell; the line is what was found. Medians before (open) and after the correction "
    "(filled): after it they should lie level."
)
RESOLUTION_CAPTION = (
    "Every clone against every other, those of like colour side by side; dark is near. A dark square is a "
    "group of clones whose cells are confused. Distances are in standard deviations of a cell (sd)."
)
CORRECTION_CAPTIONS = {
    "background": "The middle of one image, so bright that cells are white. Below, gaps between cells "
    "should be even, and read zero.",
    "illumination": "Above, the light of each channel; below, from the centre to the corners: what the empty "
    "background and the cells tell apart should agree.",
    "drift": "Left, how far the stage had moved in each frame. Right, the first and the last frame over each "
    "other: still cells should be white after the correction.",
    "gains": "Each row is a session: how its cells read beside cells of the same clones in all sessions, "
    "before (open) and after (filled). After it they should lie at 100 %.",
    "shift": "A part of one image, enlarged. Edges of cells that carry two markers should have no coloured "
    "rims after the correction.",
    "unmixing": "Cells by the marker that leaks and the detector it leaks into. Cells of that marker alone "
    "lie along the line before the correction (open) and along zero after it (filled).",
}


@dataclass(frozen=True)
class Picture:
    """A figure that is embedded: its SVG, beside which lies a PNG, and its text."""

    svg: Path
    caption: str

    @property
    def uri(self) -> str:
        """The figure as a part of the page itself."""
        return data_uri(self.svg.read_bytes(), "svg+xml")

    @property
    def files(self) -> str:
        """The files it was written to, as the page names them."""
        return f"figures/{self.svg.name}, figures/{self.svg.stem}.png"


def correction_pictures(results: Results) -> list[Picture]:
    """Figures that the run drew of its corrections, before and after."""
    found = sorted((results.folder / "figures").glob("correction_*.svg"))
    return [Picture(path, CORRECTION_CAPTIONS.get(path.stem.split("_")[1], FADING_CAPTION)) for path in found]


def resolution_pictures(results: Results) -> list[Picture]:
    """Figures that the run drew of how far clones lie apart, one a palette."""
    found = sorted((results.folder / "figures").glob("resolution*.svg"))
    return [
        Picture(
            path,
            f"{path.stem.removeprefix('resolution').strip('_')}: {RESOLUTION_CAPTION}".removeprefix(": "),
        )
        for path in found
    ]


def embed(results: Results, figure: Figure, name: str, caption: str) -> Picture:
    """Write a figure to the folder of figures, and embed it."""
    folder = results.folder / "figures"
    results.save(figure, folder, name)
    return Picture(folder / f"{name}.svg", caption)


def draw_figures(results: Results, colours: dict[int, Any]) -> dict[str, list[Picture]]:
    """Draw, write and embed every figure that the results can fill."""
    figures: dict[str, list[Picture]] = {}

    def keep(kind: str, figure: Any, name: str = "", more: str = "") -> None:
        figures.setdefault(kind, []).append(embed(results, figure, name or kind, CAPTIONS[kind] + more))

    sizes, control = _own_clones(results), results.control
    if len(sizes) and len(results.clones):
        by = "subject" if results.palette == "subject" else "treatment"
        keep("stacked_fractions", stacked_fractions(sizes, colours, by=by, first=control))
        if by == "subject":
            figures["stacked_fractions"] = [
                replace(picture, caption=OF_ONE_SUBJECT) for picture in figures["stacked_fractions"]
            ]
        sites = sorted(sizes["site"].unique(), key=lambda name: name != "primary")
        for k, site in enumerate(sites):
            name = "fraction_dots" if len(sites) == 1 else f"fraction_dots_{k + 1}"
            keep("fraction_dots", fraction_dots(sizes[sizes["site"] == site], colours, first=control), name)
            if len(sites) > 1:
                last = figures["fraction_dots"][-1]
                figures["fraction_dots"][-1] = replace(last, caption=f"Site: {site}. {last.caption}")
        keep("cell_numbers", cell_numbers(sizes, first=control))
    if any(results.images.get("rejected", [])):
        keep("rejected_counts", rejected_counts(results.images))
    if len(results.cells):
        if {"area_um2", "volume_um3"} & set(results.cells.columns):
            keep("cell_sizes", cell_sizes(results.cells))
        keep("snr_histogram", snr_histogram(results.cells))
        if len(results.markers) > 1:
            _keep_colours(results, keep)
        keep("snr_per_image", snr_per_image(results.cells))
        keep("brightness_histogram", brightness_histogram(results.cells))
    return figures


def _keep_colours(results: Results, keep: Callable[..., None]) -> None:
    """Cells in colour space and, where the fitted clones are kept, calls rehearsed with them."""
    path = results.folder / "clone_model.json"
    rehearsed = rehearse_calls(results.cells, load_clones(path)) if path.is_file() else None
    draw = [ternary, hue_saturation] if len(results.markers) == 3 else [ternary]
    more = CONTOURS if rehearsed is not None and len(results.markers) > 2 else ""
    for paint in draw:
        figure = paint(results.cells, results.clones, results.markers, rehearsed=rehearsed)
        keep(paint.__name__, figure, more=more)
    if rehearsed is not None and len(results.clones):
        keep("confusion", plot_confusion(rehearsed, results.clones))
        keep("reliability", plot_reliability(rehearsed))


def image_pictures(results: Results, colours: dict[int, Any], params: ReportParams) -> list[dict[str, Any]]:
    """Thumbnail and clone map of each image that is shown, as data URIs; maps are written to figures too."""
    pictures = []
    for image_id in images_shown(results.images, params.max_images):
        thumbnail = results.folder / "thumbnails" / f"{image_id}.png"
        longest_px = 2 * params.picture_px
        labels = results.labels_of(image_id, longest_px)
        painted = None
        if labels is not None:
            picture = paint_clones(labels, results.cells_of(image_id), colours, longest_px=longest_px)
            painted = png_bytes(picture)
            write_atomically(
                results.folder / "figures" / f"clone_map_{image_id}.png",
                partial(_write_bytes, content=painted),
            )
        pictures.append(
            {
                "image_id": image_id,
                "thumbnail": _thumbnail_uri(thumbnail, params.picture_px) if thumbnail.is_file() else None,
                "map": data_uri(painted, "png") if painted else None,
            }
        )
    return pictures


def closeups(results: Results) -> list[dict[str, Any]]:
    """Worst, median and best image, with the row of each and its part at 1:1 where that was written."""
    shown = []
    ranked = ranked_images(results.images)
    for rank, row in ranked:
        path = results.folder / "closeups" / f"{row['image_id']}.png"
        picture = cv2.imread(str(path)) if path.is_file() else None
        found: dict[str, Any] = {"rank": rank, "row": row, "uri": None, "wide": "", "times": 1}
        found["why"] = _why_ranked(rank, row, [other for _, other in ranked])
        if picture is not None:
            height, width = picture.shape[:2]
            # outlines one pixel thin need their colour in every pixel
            quality = [
                *(cv2.IMWRITE_JPEG_QUALITY, 92),
                *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
            ]
            jpeg = cv2.imencode(".jpg", picture, quality)[1]
            found |= {"uri": data_uri(bytes(jpeg), "jpeg"), "width": width, "height": height}
            # small images were enlarged by a whole number
            times = max(1, width // 2 // row["shape"][-1]) if row["shape"] else 1
            found["times"] = times
            pixel_um = row["pixel_size_um"]
            if pixel_um and np.isfinite(pixel_um):
                found["wide"] = f"about {width / 2 / times * pixel_um:.0f} µm"
        shown.append(found)
    return shown


def ranked_images(images: pd.DataFrame) -> list[tuple[str, dict[Hashable, Any]]]:
    """Worst, median and best image, by the share of the cells that is in doubt; no cells is worst.

    Of two images in the same state the one with the lower median SNR is worse. One or two images come once.
    """
    done = images[images["status"] != "failed"]
    if done.empty:
        return []
    state = pd.DataFrame(
        {
            "doubt": done["doubt"].where(done["n_cells"] > 0, 2.0),
            "snr": -done["snr"].astype(float).fillna(0.0),
        }
    )
    order = state.sort_values(["doubt", "snr"], ascending=False, kind="stable").index
    rows = done.loc[order].to_dict("records")
    if len(rows) == 1:
        return [("The only image", rows[0])]
    middle = [("Median", rows[len(rows) // 2])] if len(rows) > 2 else []
    return [("Worst", rows[0]), *middle, ("Best", rows[-1])]


def _why_ranked(rank: str, row: dict[Hashable, Any], shown: list[dict[Hashable, Any]]) -> str:
    """Why an image is the worst or the best, in words."""
    if rank not in ("Worst", "Best") or not row["n_cells"]:
        return ""
    if len({other["doubt"] for other in shown if other["n_cells"]}) == 1:
        return f"the {'lowest' if rank == 'Worst' else 'highest'} median SNR, as many in doubt as elsewhere"
    return f"the {'largest' if rank == 'Worst' else 'smallest'} share of cells in doubt"


def images_shown(images: pd.DataFrame, most: int) -> list[str]:
    """Which images are shown: all up to 60, of more the first and those in the worst state."""
    done = images[images["status"] != "failed"]
    if len(done) <= ALL_PICTURES:
        return list(done["image_id"])
    # an image without cells comes first, then many unassigned cells, then a low SNR
    trouble = done["unassigned"].astype(float).fillna(2.0) - 1e-3 * np.log1p(
        done["snr"].astype(float).fillna(0.0)
    )
    worst = set(done.loc[trouble.sort_values(ascending=False, kind="stable").index[: most // 2], "image_id"])
    rest = [name for name in done["image_id"] if name not in worst][: most - len(worst)]
    chosen = worst | set(rest)
    return [name for name in done["image_id"] if name in chosen]


def data_uri(content: bytes, kind: str) -> str:
    """Return a picture as a part of the page itself."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def png_bytes(picture: NDArray[np.uint8]) -> bytes:
    """Return an RGB picture as PNG: the same picture gives the same bytes."""
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, picture, format="png", metadata={"Software": "rgbtrack"})
    return buffer.getvalue()


def _thumbnail_uri(path: Path, longest: int) -> str:
    """Embed a thumbnail as JPEG: noise makes its PNG ten times as large."""
    content = path.read_bytes()
    picture = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return data_uri(content, "png")
    shrink = min(1.0, longest / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return data_uri(bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]), "jpeg")


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def written(folder: Path) -> list[tuple[str, str]]:
    """Files of a results folder, and what each is for."""
    meanings = {
        "cells.parquet": "one row per cell: place, colour with its error, flags, clone",
        "clones.csv": "one row per clone: size, mean colour, chance to be one founder",
        "clone_distances.csv": "every two clones: how far apart, and the chance to be called as one",
        "clone_matches.csv": "clones of two subjects: the chance that they are of one founder",
        "clone_sizes.csv": "clone by sample: cells and share, zeros included (for Prism and Excel)",
        "tracks.csv": "one row per track of the time series: how long, how far, how fast, how it ended",
        "tracks.geff": "tracks as a graph (GEFF), for napari-geff and other tools that read it",
        "dynamics": "how clones change, respond, move and divide: one table a question; prism_*.csv: arms "
        "side by side, a column per subject",
        "bleed_through.csv": "the bleed-through matrix used",
        "labels": "one label image per image: opens in Fiji, QuPath and napari",
        "thumbnails": "small pictures of the images",
        "closeups": "where the cells of each image are densest: plain, and with outlines",
        "figures": "every figure of this page as SVG (editable) and PNG, and the clone maps",
        "review.jsonl": "corrections made by hand: made again by every later run, keep it",
        "review.csv": "what came of each correction made by hand",
        "audit.csv": "one row per audit: cells drawn at random and looked at, and the share of wrong calls",
        "run.json": "version, settings, checksums of the inputs, what failed and why",
    }
    return [(name, text) for name, text in meanings.items() if (folder / name).exists()]


def _own_clones(results: Results) -> pd.DataFrame:
    """Clone sizes; where each subject has its own clones, without the other subjects' rows."""
    sizes = results.sizes
    if results.palette != "subject" or sizes.empty:
        return sizes
    owned = sizes.groupby(["clone", "subject"])["n_cells"].transform("sum") > 0
    return sizes[owned]
