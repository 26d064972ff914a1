import json
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, clone_sizes
from rgbtrack.files import write_labels, write_table
from rgbtrack.report import ReportParams, write_report

SIDE = 96
GRID = 8
"""Cells a row: each image is GRID x GRID squares, each square a cell."""


def make_results(
    folder: Path,
    *,
    markers: Sequence[str] = ("red", "green", "blue"),
    treatments: Sequence[str] = ("vehicle", "drug"),
    subjects: int = 3,
    timepoints: Sequence[float] = (0, 7, 14),
    sites: Sequence[str] = ("primary",),
    n_clones: int = 6,
    empty: Sequence[str] = (),
    failed: dict[str, str] | None = None,
    name: str = "CRC stress response",
    seed: int = 0,
) -> Path:
    """A small results folder, as a run would leave it: image <treatment>_<subject>_<day>_<site>."""
    rng = np.random.default_rng(seed)
    colours = rng.gamma(0.6, 1000.0, (max(n_clones, 1), len(markers))) + 20
    ids = np.arange(1, GRID * GRID + 1)
    labels = np.kron(ids.reshape(GRID, GRID), np.ones((SIDE // GRID, SIDE // GRID), dtype=int))
    labels[:: SIDE // GRID] = 0
    tables, sheet, images = [], [], {}
    for k, treatment in enumerate(treatments):
        for s in range(subjects):
            base = rng.dirichlet(np.full(max(n_clones, 1), 1.5))
            for day in timepoints:
                for site in sites:
                    image_id = f"{treatment}_{s}_{day:g}_{site}"
                    image_id = re.sub(r"[^\w.-]", "", image_id)
                    sample = {
                        "image_id": image_id,
                        "subject": f"{treatment[:1]}{s + 1}",
                        "treatment": treatment,
                        "timepoint": float(day),
                        "site": site,
                    }
                    sheet.append(sample)
                    images[image_id] = _record(markers)
                    write_labels(
                        folder / "labels" / f"{image_id}.tif", labels[None, None] * (image_id not in empty)
                    )
                    growth = base * np.exp(0.08 * day * k * (np.arange(len(base)) == 1))
                    clone = rng.choice(len(base), ids.size, p=growth / growth.sum()) + 1
                    x = colours[clone - 1] * rng.lognormal(0, 0.3, (ids.size, 1))
                    x = np.clip(x * rng.lognormal(0, 0.1, x.shape), 1, None)
                    thumbnail = _thumbnail(labels, x)
                    (folder / "thumbnails").mkdir(parents=True, exist_ok=True)
                    matplotlib.image.imsave(folder / "thumbnails" / f"{image_id}.png", thumbnail)
                    if image_id in empty:
                        continue
                    tables.append(_cells(rng, sample, ids, x, clone if n_clones else None, markers))
                    images[image_id]["n_cells"] = len(ids)
    for image_id, error in (failed or {}).items():
        images[image_id] = {**_record(markers), "status": "failed", "error": error, "saturated_fraction": {}}
    cells = (
        pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame({"image_id": [], "frame": [], "cell": []})
    )
    samples = pd.DataFrame(sheet, columns=["image_id", "subject", "treatment", "timepoint", "site"])
    if not len(cells):
        cells = cells.assign(**{name: [] for name in ("clone", *samples.columns[1:])})
    write_table(folder / "cells.parquet", cells)
    sizes = clone_sizes(cells, samples=samples)
    write_table(folder / "clone_sizes.csv", sizes)
    counts = cells["clone"].value_counts()
    write_table(
        folder / "clones.csv",
        pd.DataFrame(
            {
                "clone": np.arange(1, n_clones + 1),
                "n_cells": [int(counts.get(k, 0)) for k in range(1, n_clones + 1)],
                **{m: colours[:n_clones, i] for i, m in enumerate(markers)},
                "unique_probability": np.linspace(0.97, 0.3, n_clones),
                "expected_founders": np.linspace(1.02, 2.2, n_clones),
                "one_colour": np.arange(n_clones) == 2,
                "near_pair": np.arange(n_clones) >= max(4, n_clones - 2),
            }
        ),
    )
    run = {
        "version": "0.1.0",
        "name": name,
        "experiment": "experiment.toml",
        "configuration": {
            "experiment": {
                "name": name,
                "samples": "samples.csv",
                "control": treatments[0] if treatments else "vehicle",
            },
            "channels": {"markers": {m: f"protein {i}" for i, m in enumerate(markers)}, "nucleus": None},
            "segment": {"diameter_um": 13.0},
            "clones": {"palette": "experiment", "seed": 0},
        },
        "seed": 0,
        "started": "2026-11-23T12:00:00+00:00",
        "finished": "2026-11-23T12:01:00+00:00",
        "images": images,
        "counts": {"images": len(images), "failed": len(failed or {}), "cells": len(cells)},
        "gains": {
            image_id: {m: 1.0 + 0.4 * (i == 0 == k) for k, m in enumerate(markers)}
            for i, image_id in enumerate(images)
        },
        "warnings": [],
    }
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return folder


def _record(markers):
    return {
        "status": "done",
        "error": None,
        "n_cells": 0,
        "n_frames": 1,
        "shape": [1, len(markers), 1, SIDE, SIDE],
        "pixel_size_um": 0.65,
        "diameter_um": 13.0,
        "rejected": {"too small": 3},
        "saturated_fraction": dict.fromkeys(markers, 0.0002),
        "background": dict.fromkeys(markers, 4.0),
        "warnings": [],
    }


def _cells(rng, sample, ids, x, clone, markers):
    n = len(ids)
    reason = rng.choice([None, "doublet", "unlike any clone"], n, p=[0.85, 0.05, 0.1])
    if clone is None:
        reason[:] = "unlike any clone"
        clone = np.ones(n)
    table = pd.DataFrame(
        {"image_id": sample["image_id"], "frame": 0, "cell": ids, "z_um": 0.0, "y_um": 1.0, "x_um": 1.0}
    )
    for i, marker in enumerate(markers):
        table[marker] = x[:, i]
        table[f"{marker}_se"] = np.sqrt(x[:, i]) + 4
        table[f"{marker}_fraction"] = x[:, i] / x.sum(axis=1)
    table["brightness"] = x.sum(axis=1)
    table["snr"] = table["brightness"] / 60
    table["saturated"] = False
    table["clone"] = pd.array(np.where(pd.isna(reason), clone, np.nan), dtype="Float64").astype("Int64")
    table["clone_probability"] = 0.9
    table["unassigned_reason"] = pd.array(reason, dtype="string")
    return table.assign(**{key: value for key, value in sample.items() if key != "image_id"})


def _thumbnail(labels, x):
    shares = np.sqrt(x / x.max())
    rgb = np.zeros((len(x) + 1, 3))
    rgb[1:, : min(3, x.shape[1])] = shares[:, :3]
    return (255 * rgb[labels]).astype(np.uint8)


def text_of(page: Path) -> str:
    """Words of a page, without its pictures and tags."""
    html = re.sub(r"<style>.*?</style>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())
