import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from rgbtrack import ClonesParams, DataError, clone_sizes, fit_clones, save_clones
from rgbtrack.files import write_labels, write_table
from rgbtrack.report import ReportParams, write_report
from rgbtrack.report.advice import advice_of
from rgbtrack.report.pictures import images_shown, ranked_images
from rgbtrack.report.results import read_results
from rgbtrack.report.words import count, doubts_of, percent, share, trust_of

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
                    (folder / "closeups").mkdir(exist_ok=True)
                    matplotlib.image.imsave(
                        folder / "closeups" / f"{image_id}.png", np.hstack([thumbnail, thumbnail])
                    )
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
    samples = samples.astype({"subject": "str", "treatment": "str", "timepoint": "float", "site": "str"})
    if not len(cells):
        cells = cells.assign(clone=pd.array([], "Int64"), timepoint=pd.Series(dtype="float"))
        cells = cells.assign(**{name: pd.Series(dtype="str") for name in ("subject", "treatment", "site")})
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
        "neighbours": "neighbours share a clone 42 % more often than by chance",
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
    table["area_um2"] = 100.0
    for i, marker in enumerate(markers):
        table[marker] = x[:, i]
        table[f"{marker}_se"] = np.sqrt(x[:, i]) + 4
        table[f"{marker}_fraction"] = x[:, i] / x.sum(axis=1)
    table["brightness"] = x.sum(axis=1)
    table["snr"] = table["brightness"] / 60
    table["saturated"] = table["doublet"] = table["small"] = False
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


@pytest.fixture(scope="session")
def reported(tmp_path_factory, drawn):
    """An experiment with a failed image, an empty one and HTML in its names."""
    folder = make_results(
        tmp_path_factory.mktemp("reported"),
        treatments=("vehicle", "<b>drug</b>"),
        timepoints=(0, 7),
        n_clones=7,
        empty=["bdrugb_1_7_primary"],
        failed={"m9": "m9.tif: not a TIFF: <script>alert(1)</script>"},
        name="<script>alert(0)</script> & co",
    )
    with drawn():
        return write_report(folder)


def test_report_is_one_file_without_script_or_links(reported):
    html = reported.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<b>drug" not in html
    assert "&lt;script&gt;alert(0)&lt;/script&gt; &amp; co" in html
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert not re.findall(r"https?://", html)
    assert "default-src 'none'" in html


def test_report_says_what_came_out_and_what_to_know(reported):
    words = text_of(reported)
    assert "704 cells in 12 images, in 7 clones;" in words
    assert "1 image of 13 could not be processed." in words
    assert "m9.tif: not a TIFF" in words
    assert "No cells were found in 1 image." in words
    assert "may each hold more than one founder" in words
    assert "one marker only" in words
    assert "vehicle_0_0_primary: red × 1.40" in words
    assert "No cell was assigned in 1 sample" in words
    assert "red = protein 0" in words
    assert "[segment]" in words
    for title in (
        "Clone sizes",
        "Clones",
        "Segmentation",
        "Images",
        "How to read this",
        "neighbours share a clone 42 % more often than by chance",
        "What was run",
        "Files",
    ):
        assert title in words


def test_report_writes_its_figures_and_leaves_nothing_half_written(reported):
    figures = reported.parent / "figures"
    names = [
        "stacked_fractions",
        "fraction_dots",
        "cell_numbers",
        "ternary",
        "hue_saturation",
        "snr_per_image",
    ]
    for name in (*names, "rejected_counts", "cell_sizes", "snr_histogram"):
        assert (figures / f"{name}.svg").stat().st_size
        assert (figures / f"{name}.png").stat().st_size
    assert (figures / "clone_map_vehicle_0_0_primary.png").is_file()
    assert not list(reported.parent.rglob(".*"))


def test_every_image_has_its_pictures_and_its_row(reported):
    html = reported.read_text(encoding="utf-8")
    assert html.count('class="pair"') == 12
    assert html.count('class="map"') == 12
    assert html.count("data:image/svg+xml") == 10


def test_same_results_give_the_same_bytes(tmp_path, drawn):
    folder = make_results(tmp_path, treatments=("vehicle",), subjects=1, timepoints=(0,), n_clones=3)
    content = []
    for _ in range(2):
        with drawn():
            page = write_report(folder)
        files = [page, *sorted((folder / "figures").iterdir())]
        content.append([path.read_bytes() for path in files])
    assert content[0] == content[1]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"treatments": ("vehicle",), "subjects": 1}, "Fewer than three subjects"),
        ({"markers": ("red", "green")}, "All cells in the space of their marker shares"),
        ({"markers": ("red", "green", "blue", "far_red", "yellow")}, "far_red (counts)"),
        ({"n_clones": 0}, "No clone was found"),
        ({"treatments": ()}, "0 cells in 0 images."),
        ({"treatments": (), "failed": {"m1": "m1.tif: empty file"}}, "1 image of 1 could not be processed."),
        ({"empty": ["vehicle_0_0_primary", "drug_0_0_primary"]}, "No cell was found in any image."),
        ({"sites": ("primary", "liver")}, "Site: liver."),
        ({"treatments": [f"dose {k}" for k in range(9)]}, "dose 8: 1 subject"),
    ],
    ids=str,
)
def test_odd_results_give_a_sensible_report(tmp_path, case, expected):
    page = write_report(make_results(tmp_path, **{"subjects": 1, "timepoints": (0,), "n_clones": 3, **case}))
    html = page.read_text(encoding="utf-8")
    assert expected in text_of(page) or f'alt="{expected}' in html
    assert "nan" not in text_of(page).lower().split()


def test_a_palette_by_subject_is_shown_by_subject(tmp_path):
    make_results(tmp_path, subjects=2, timepoints=(0,), n_clones=3)
    run = json.loads((tmp_path / "run.json").read_text())
    run["configuration"]["clones"]["palette"] = "subject"
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert "over time, by subject" in text_of(write_report(tmp_path))


def test_many_clones_are_cut_with_a_pointer_to_the_table(tmp_path):
    make_results(tmp_path, treatments=("vehicle",), subjects=1, timepoints=(0,), n_clones=9)
    page = write_report(tmp_path, ReportParams(max_clones=4, title="Mine"))
    assert "The 4 largest of 9 clones; all are in clones.csv." in text_of(page)
    assert "<h1>Mine</h1>" in page.read_text(encoding="utf-8")


def test_many_images_show_the_first_and_the_worst():
    images = pd.DataFrame(
        {"image_id": [f"i{k:03}" for k in range(100)], "status": "done", "unassigned": 0.1, "snr": 20.0}
    )
    images.loc[90, "unassigned"] = 0.9
    images.loc[95, ["unassigned", "snr"]] = np.nan
    images.loc[3, "status"] = "failed"
    shown = images_shown(images, 6)
    assert len(shown) == 6
    assert {"i000", "i001", "i090", "i095"} <= set(shown)
    assert "i003" not in shown
    assert len(images_shown(images[:60], 6)) == 59


def test_missing_pictures_are_said_not_fatal(tmp_path):
    make_results(tmp_path, treatments=("vehicle",), subjects=1, timepoints=(0,), n_clones=2)
    for path in [*(tmp_path / "labels").iterdir(), *(tmp_path / "thumbnails").iterdir()]:
        path.unlink()
    words = text_of(write_report(tmp_path))
    assert "no thumbnail" in words
    assert "no labels" in words


def test_missing_tables_are_named_with_the_command_to_run(tmp_path):
    with pytest.raises(
        DataError, match=r"lacks run.json, cells.parquet, clones.csv, clone_sizes.csv.*'rgbtrack run'"
    ):
        write_report(tmp_path)
    make_results(tmp_path, treatments=("vehicle",), subjects=1, timepoints=(0,), n_clones=2)
    (tmp_path / "clone_sizes.csv").unlink()
    with pytest.raises(DataError, match=r"lacks clone_sizes.csv.*run 'rgbtrack dynamics'"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    make_sizes = tmp_path / "clone_sizes.csv"
    make_sizes.write_text(
        "clone,subject,treatment,timepoint,site,n_cells,fraction,fraction_low,fraction_high\n"
    )
    with pytest.raises(DataError, match="does not tell of any run"):
        write_report(tmp_path)


def test_low_quality_is_put_into_words(tmp_path):
    make_results(tmp_path, subjects=3, timepoints=(0,), n_clones=3)
    run = json.loads((tmp_path / "run.json").read_text())
    first, second = list(run["images"])[:2]
    run["images"][first]["saturated_fraction"]["red"] = 0.04
    run["images"][second]["warnings"] = ["no pixel size: taken as 1 um"]
    run["warnings"] = ["the palette was fitted on half of the cells"]
    (tmp_path / "run.json").write_text(json.dumps(run))
    cells = pd.read_parquet(tmp_path / "cells.parquet")
    here = cells["image_id"] == first
    cells.loc[here, "snr"] = 2.0
    cells.loc[cells["image_id"] == second, "clone"] = pd.NA
    write_table(tmp_path / "cells.parquet", cells)
    words = text_of(write_report(tmp_path))
    assert (
        f"trusted. Look at the outlines under Segmentation. Longer exposure or more laser power would help most; else leave these images out. {first}: SNR 2.0"
        in words
    )
    assert f"{first}: 4.0 % of the red pixels" in words
    assert "No pixel size: taken as 1 um (1 image)" in words
    assert "The palette was fitted on half of the cells" in words
    assert f"{second}: 100 % of 64" in words


def test_settings_are_read_without_loading_figures():
    code = (
        "import sys, rgbtrack.report as r; r.ReportParams(); "
        "print(*({'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_numbers_in_words():
    assert [share(x) for x in (0, 0.0001, 0.031, 0.42, 1, np.nan)] == [
        "0 %",
        "< 0.1 %",
        "3.1 %",
        "42 %",
        "100 %",
        "",
    ]
    assert [percent(x) for x in (0.001, 0.5, 0.999)] == ["< 1 %", "50 %", "> 99 %"]
    assert [count(n, "image") for n in (0, 1, 1200)] == ["0 images", "1 image", "1,200 images"]


def test_worst_median_and_best_image_are_shown_at_one_to_one(reported):
    html = reported.read_text(encoding="utf-8")
    closeups = re.findall(r'<figure class="closeup">.*?</figure>', html, flags=re.DOTALL)
    assert [re.search(r"<b>(\w+):", closeup)[1] for closeup in closeups] == ["Worst", "Median", "Best"]
    for closeup in closeups:
        jpeg = re.search(r'src="data:image/jpeg;base64,([^"]*)" width="192" height="96"', closeup)[1]
        assert cv2.imdecode(np.frombuffer(base64.b64decode(jpeg), np.uint8), 1).shape == (96, 192, 3)
        assert "Shown at 1:1; each half is about 62 µm wide." in closeup
    assert "<b>Worst: bdrugb_1_7_primary</b>. No cells were found." in closeups[0]
    assert not any("m9.tif" in closeup for closeup in closeups)


def test_images_rank_by_what_is_in_doubt_each_object_once(tmp_path):
    make_results(tmp_path, treatments=("a",), subjects=1, timepoints=(0, 1, 2, 3, 4), n_clones=2)
    names = [f"a_0_{day}_primary" for day in range(5)]
    run = json.loads((tmp_path / "run.json").read_text())
    run["images"][names[2]]["rejected"] = {"haze: <i>no edge</i>": 16, "debris: too small": 99}
    (tmp_path / "run.json").write_text(json.dumps(run))
    cells = pd.read_parquet(tmp_path / "cells.parquet").assign(snr=20.0, merged=False, cell_probability=0.95)
    cells.loc[(cells["image_id"] == names[1]) & (cells["cell"] <= 8), ["doublet", "small"]] = True
    cells.loc[(cells["image_id"] == names[1]) & (cells["cell"] > 60), "snr"] = 4.9
    cells.loc[(cells["image_id"] == names[3]) & (cells["cell"] <= 16), "merged"] = True
    cells.loc[(cells["image_id"] == names[3]) & (cells["cell"] == 16), "cell_probability"] = 0.6
    cells.loc[cells["image_id"] == names[4], "snr"] = 19.0
    write_table(tmp_path / "cells.parquet", cells)
    images = read_results(tmp_path).images
    assert images["doubt"].tolist() == [0, 12 / 64, 0, 16 / 64, 0]
    assert [(rank, row["image_id"]) for rank, row in ranked_images(images)] == [
        ("Worst", names[3]),
        ("Median", names[4]),
        ("Best", names[2]),
    ]
    words = text_of(write_report(tmp_path))
    assert (
        "the largest share of cells in doubt. 16 of 64 cells in doubt (25 %): 16 joined from parts that may be "
        "two cells (merged), 1 barely taken for a cell (probability below 0.8); median SNR 20.0."
    ) in words
    assert "Set aside in the whole image: 16 haze: &lt;i&gt;no edge&lt;/i&gt;; 99 debris" in words
    assert "<i>no edge" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    two = ranked_images(images[:2])
    assert [(rank, row["image_id"]) for rank, row in two] == [("Worst", names[1]), ("Best", names[0])]
    assert two[0][1]["doubts"] == {
        "with SNR below 5": 4,
        "with two colours (doublet)": 8,
        "with few pixels (small)": 8,
    }
    assert [rank for rank, _ in ranked_images(images[:1])] == ["The only image"]
    assert ranked_images(images.assign(status="failed")) == []


def test_results_without_closeups_or_anything_set_aside_say_so(tmp_path):
    make_results(tmp_path, treatments=("vehicle",), subjects=1, timepoints=(0,), n_clones=2)
    shutil.rmtree(tmp_path / "closeups")
    run = json.loads((tmp_path / "run.json").read_text())
    run["images"]["vehicle_0_0_primary"]["rejected"] = {}
    (tmp_path / "run.json").write_text(json.dumps(run))
    words = text_of(write_report(tmp_path))
    assert "no close-up" in words
    assert "The only image: vehicle_0_0_primary" in words
    assert "Nothing was set aside" in words
    assert "closeups" not in words


def test_which_clones_to_trust_is_said_in_words(tmp_path):
    clone = {"unique_probability": 0.97, "expected_founders": 1.0}
    assert trust_of(clone) == "one founder, 97 %"
    assert trust_of(clone | {"unique_probability": 0.6}) == "probably one founder, 60 %"
    several = clone | {"unique_probability": 0.2, "expected_founders": 2.9}
    assert trust_of(several) == "may be 3 founders; one: 20 %"
    assert trust_of(several | {"expected_founders": 1.1}) == "cells of others among them; one founder: 20 %"
    assert trust_of({"clone": 1}) == ""
    assert trust_of(clone | {"unique_probability": np.nan}) == "changed by hand: not known"
    assert doubts_of(clone) == []
    flags = {"near_pair": True, "nearest_clone": 4.0, "brightness_split_from": 4.0, "silenced_from": np.nan}
    assert doubts_of(clone | flags) == [
        "told from clone 4 by brightness only",
        "another clone has nearly the same colour: clone 4",
    ]
    assert doubts_of(clone | {"silenced_from": 2.0}) == ["may be a part of clone 2 that lost a marker"]
    make_results(tmp_path)
    run = json.loads((tmp_path / "run.json").read_text())
    run["resolution"] = {"m1": {"words": "Tells 30 colours apart."}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    words = text_of(write_report(tmp_path))
    assert "one founder, 97 %" in words
    assert "m1: Tells 30 colours apart." in words


def test_every_clone_is_given_its_advice_once(tmp_path):
    make_results(tmp_path, treatments=("vehicle",), subjects=1, timepoints=(0,), n_clones=7)
    results = read_results(tmp_path)
    clones = results.clones.assign(
        n_cells=[16, 16, 8, 8, 8, 4, 4],
        unique_probability=[0.95, 0.6, 0.9, 0.9, 0.3, 0.4, 0.85],
        near_pair=[False, False, True, False, False, False, False],
        nearest_clone=[2, 1, 4, 3, 1, 1, 1],
        brightness_split_from=pd.array([None, None, None, 3, None, None, None], "Int64"),
        silenced_from=pd.array([None, None, None, None, None, None, 1], "Int64"),
    )
    results = replace(results, cells=results.cells.assign(clone=1))
    told = dict(advice_of(replace(results, clones=clones)))
    assert told["Trust"].startswith("clone 1, with 25 % of the assigned cells: one founder")
    assert told["Trust with care"].startswith("clone 2, with 25 %")
    assert told["Perhaps a part of another clone"].startswith("clone 7 (of 1), with 6.2 %")
    assert told["Add up with its neighbour"].startswith("clone 3 with 4, with 25 %")
    assert told["Call it a colour, not a clone"].startswith("clones 5, 6, with 19 %")
    many = pd.DataFrame({"clone": range(1, 41), "n_cells": 1, "unique_probability": 0.9})
    assert "29, 30 and 10 more" in dict(advice_of(replace(results, clones=many)))["Trust"]
    assert advice_of(replace(results, clones=clones.drop(columns="unique_probability"))) == []


def test_calls_are_rehearsed_where_the_fitted_clones_are_kept(tmp_path):
    make_results(tmp_path, subjects=2, timepoints=(0,), n_clones=3)
    without = text_of(write_report(tmp_path))
    assert "Which clones to trust" in without
    assert "Which clones are taken for which" not in without
    assert "Lines hold 68 %" not in without
    model = fit_clones(read_results(tmp_path).cells, ClonesParams(starts=1))
    save_clones(tmp_path / "clone_model.json", model)
    words = text_of(write_report(tmp_path))
    for text in ("Which clones are taken for which", "Whether the stated probabilities are right"):
        assert text in words
    assert words.count("Lines hold 68 %") == 2
    assert words.count("A rehearsal: cells were drawn") == 1
    for name in ("confusion", "reliability", "hue_saturation"):
        assert (tmp_path / "figures" / f"{name}.svg").stat().st_size
