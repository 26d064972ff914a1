"""What the documentation says works: every example of its pages runs, its links lead somewhere, its contract is the code's."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rgbtrack
from rgbtrack import clone_sizes, link_cells, load_clones, simulate_sizes, simulate_tracks
from rgbtrack.clones import ClonesParams
from rgbtrack.files import read_table
from rgbtrack.simulate import MovieParams, simulate_lesions

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md"))}
ELSEWHERE = {"review": "test_review.py", "segmenters": "test_methods.py", "diversity": "see below"}
"""Pages whose examples other tests run."""


def examples(page):
    return re.findall(r"```python\n(.*?)```", PAGES[page], flags=re.DOTALL)


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):
    """A folder with ``results`` in it, which is where examples are run."""
    shutil.copytree(finished, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def movie():
    params = MovieParams(n_frames=6, n_cells=20)
    cells = simulate_tracks(params, seed=1).assign(image_id="a")
    return cells.drop(columns=["track", "parent", "tree"], errors="ignore")


def at_hand(page, movie):
    """What an example of a page takes to be there."""
    cells = read_table("results/cells.parquet")
    if page in ("link", "tracks"):
        sample = {"subject": "m1", "treatment": "vehicle", "timepoint": 0.0, "site": "primary"}
        tracked = movie.assign(
            **sample, time_h=movie["frame"] * 0.25, clone=movie["true_clone"], clone_probability=0.99
        )
        labels = np.zeros((6, 1, 64, 64), np.uint32)
        return {"cells": link_cells(tracked) if page == "tracks" else tracked, "labels": labels}
    if page == "lesions":
        scene = simulate_lesions(subjects=2, seed=1)
        sizes = clone_sizes(scene.cells, samples=scene.samples)
        return {"cells": scene.cells, "matrix": scene.confusion, "samples": scene.samples, "sizes": sizes}
    model = load_clones("results/clone_model.json")
    sheet = cells.drop_duplicates("image_id")[["image_id", "subject", "treatment", "timepoint", "site"]]
    if page == "bleed_through":
        cells = cells.assign(**{marker: cells[f"{marker}_raw"] for marker in ("red", "green", "blue")})
    if page == "growth":
        totals = sheet.assign(total_cells=1e6)
        return {"sizes": clone_sizes(cells, samples=totals)}
    return {
        "cells": cells,
        "clones": read_table("results/clones.csv"),
        "model": model,
        "params": ClonesParams(),
        "sheet": sheet,
        "sizes": read_table("results/clone_sizes.csv"),
    }


@pytest.mark.parametrize(
    "page", [name for name in PAGES if examples(name) and name not in (*ELSEWHERE, "tracks", "changelog")]
)
@pytest.mark.filterwarnings("ignore::rgbtrack.RgbtrackWarning")
def test_examples_run(page, folder, movie):
    names = at_hand(page, movie)
    for code in examples(page):
        exec(compile(code, f"{page}.md", "exec"), names)


@pytest.mark.filterwarnings("ignore::rgbtrack.RgbtrackWarning")
def test_examples_of_diversity_run(folder, movie):
    first, counts = examples("diversity")
    exec(compile(first, "diversity.md", "exec"), at_hand("diversity", movie))
    table = simulate_sizes(seed=1)
    table = table[table["subject"] == table["subject"].iloc[0]]
    wide = table.pivot_table(index="clone", columns="timepoint", values="n_cells").astype(int)
    wide.columns = [f"s{i}" for i in range(wide.shape[1])]
    wide.to_csv("barcodes.txt", sep="\t", index_label=False)
    sheet = pd.DataFrame({"SAMPLENAME": wide.columns, "organ": "lung", "weeks": range(wide.shape[1])})
    sheet.to_csv("metadata.txt", sep="\t", index=False)
    names = {}
    exec(compile(counts, "diversity.md", "exec"), names)
    assert names["sizes"]["n_cells"].sum() == wide.to_numpy().sum()


@pytest.mark.filterwarnings("ignore::rgbtrack.RgbtrackWarning")
def test_examples_of_tracks_run(folder, movie):
    names = at_hand("tracks", movie)
    measured, written = examples("tracks")
    exec(compile(measured, "tracks.md", "exec"), names)
    names["labels"] = labels_of(names["cells"])
    assert "write_geff" in written
    written = written.replace("corrected.geff", "tracks.geff")  # as if it came back
    before = names["cells"]
    exec(compile(written, "tracks.md", "exec"), names)
    assert len(names["cells"]) == len(before)


def labels_of(cells):
    """Masks of a movie: a pixel for each cell."""
    n = int(cells["cell"].max())
    labels = np.zeros((int(cells["frame"].max()) + 1, 1, 4, n + 1), np.uint32)
    labels[cells["frame"], 0, 1, cells["cell"]] = cells["cell"]
    return labels


def test_links_lead_somewhere():
    for page, text in PAGES.items():
        if "{include}" in text:
            continue
        for link in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
            generated = link.startswith("reference/")
            assert generated or (DOCS / link).exists(), f"{page}.md: {link}"


def test_every_page_is_in_the_contents():
    listed = set(re.findall(r"^([\w/]+)$", PAGES["index"], flags=re.MULTILINE))
    assert set(PAGES) - {"index"} <= listed


def test_the_reference_is_made_from_the_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import contract

    contract.write_reference(tmp_path)
    text = {page.stem: page.read_text(encoding="utf-8") for page in tmp_path.iterdir()}
    assert set(text) == {"tables", "settings", "commands", "api"}
    assert "| `diameter_um` | `not given` |" in text["settings"]
    assert "## Sample sheet" in text["tables"]
    assert "| *`scene`* | str |" in text["tables"]
    assert "## rgbtrack amend split" in text["commands"]
    assert "`--json`" in text["commands"]
    for name in rgbtrack.__all__:
        assert name.startswith("__") or f"## {name}\n" in text["api"]
