import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rgbtrack import DataError, RgbtrackWarning
from rgbtrack.files import (
    match_tracks,
    read_ctc,
    read_geff,
    read_tracks,
    write_ctc,
    write_folder_atomically,
    write_geff,
    write_table,
    write_trackmate,
)
from rgbtrack.files.extras import need_extra
from rgbtrack.tables import check_tracks, track_links, tracks_of_links

ROWS = [  # (frame, track, parent, y, x): 1 divides into 2 and 3, 3 skips frame 3; 4 alone; 5 one cell
    *[(t, 1, None, 8, 6 + 2 * t) for t in range(2)],
    *[(t, 2, 1, 8, 6 + 4 * t) for t in range(2, 5)],
    *[(t, 3, 1, 18, 4 + 4 * t) for t in (2, 4)],
    *[(t, 4, None, 32, 30 - 2 * t) for t in range(5)],
    (1, 5, None, 32, 8),
]
"""
    frame  0  1  2  3  4
    1      o--o
    2         +--o--o--o
    3         +--o-----o     found again after a gap
    4      o--o--o--o--o
    5         o
"""


def movie(image_id="a", dimensions=2, rows=ROWS):
    """Cells with tracks, and their masks, 0.5 um a pixel; cells are numbered anew in each frame."""
    table = pd.DataFrame(rows, columns=["frame", "track", "parent", "y", "x"])
    table = table.sort_values(["frame", "y", "x"], ignore_index=True)
    table["cell"] = table.groupby("frame").cumcount() + 1
    depth = 1 if dimensions == 2 else 6
    table["z"] = 0 if dimensions == 2 else 1 + table["track"] % 4
    labels = np.zeros((5, depth, 40, 40), np.uint32)
    for row in table.itertuples():
        z = slice(None) if depth == 1 else slice(row.z - 1, row.z + 2)
        labels[row.frame, z, row.y - 2 : row.y + 3, row.x - 2 : row.x + 3] = row.cell
    cells = table[["frame", "cell", "track", "parent"]].assign(image_id=image_id, frame_interval_h=0.5)
    for axis in "zyx":
        cells[f"{axis}_um"] = table[axis] * 0.5
    size = {"area_um2": 25 * 0.25} if depth == 1 else {"volume_um3": 75 * 0.125}
    first = ~cells.duplicated("track") & cells["parent"].isna()
    return cells.assign(
        **size,
        parent=cells["parent"].astype("Int64"),
        clone=pd.array([1 if k < 4 else None for k in cells["track"]], dtype="Int64"),
        link_probability=np.where(first, np.nan, 0.9),
        touches_border=False,
    ), labels


def same_links(a, b):
    """Whether two tables of tracks link the same cells, whatever the numbers of the tracks."""

    def links(table):
        tracked = check_tracks(table)
        source, target = track_links(tracked)
        names = list(
            tracked[["image_id", "frame", "cell"]].astype({"cell": int}).itertuples(index=False, name=None)
        )
        return {(names[i], names[j]) for i, j in zip(source, target, strict=True)}, set(names)

    return links(a) == links(b)


def both():
    one, _ = movie("a")
    two, _ = movie("b")
    return pd.concat([one, two.assign(track=two["track"] + 10, parent=two["parent"] + 10)], ignore_index=True)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_geff_keeps_divisions_gaps_numbers_and_probabilities(tmp_path, dimensions):
    cells, _ = movie(dimensions=dimensions)
    write_geff(tmp_path / "tracks.geff", cells)
    back = read_tracks(tmp_path / "tracks.geff")
    assert same_links(back, cells)
    merged = cells.merge(back, on=["image_id", "frame", "cell"], suffixes=("", "_back"))
    assert (merged["track"] == merged["track_back"]).all()
    assert merged["parent"].fillna(0).eq(merged["parent_back"].fillna(0)).all()
    for name in ("y_um", "x_um", "link_probability") + (("z_um",) if dimensions == 3 else ()):
        np.testing.assert_allclose(merged[name], merged[f"{name}_back"])


def test_geff_holds_several_movies_and_passes_every_check_of_its_library(tmp_path):
    import geff
    from geff.validate.data import ValidationConfig

    write_geff(tmp_path / "t.geff", both())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        geff.validate_structure(str(tmp_path / "t.geff"))
        config = ValidationConfig(graph=True, lineage=True, tracklet=True)
        graph, metadata = geff.read(
            str(tmp_path / "t.geff"), structure_validation=True, data_validation=config
        )
    assert (len(graph.nodes), len(graph.edges)) == (26, 20)
    assert [(axis.name, axis.unit) for axis in metadata.axes] == [
        ("t", "frame"),
        ("y", "micrometer"),
        ("x", "micrometer"),
    ]
    assert (metadata.axes[0].scale, metadata.axes[0].scaled_unit) == (0.5, "hour")
    node = graph.nodes[0]
    assert (node["image_id"], node["clone"], node["track"], node["area_um2"]) == ("a", 1, 1, 6.25)
    assert same_links(read_geff(tmp_path / "t.geff"), both())


def test_geff_of_nothing_and_of_one_cell(tmp_path):
    cells, _ = movie()
    for name, part in (("none", cells[:0]), ("one", cells[cells["track"] == 5])):
        write_geff(tmp_path / f"{name}.geff", part)
        assert len(read_geff(tmp_path / f"{name}.geff")) == len(part)


def test_geff_edited_elsewhere_gives_new_tracks(tmp_path):
    import networkx as nx

    geff = pytest.importorskip("geff")
    cells, _ = movie()
    write_geff(tmp_path / "t.geff", cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph, metadata = geff.read(str(tmp_path / "t.geff"))
        mother = next(n for n, degree in graph.out_degree if degree == 2)
        graph.remove_edge(mother, min(graph.successors(mother)))
        geff.write(nx.DiGraph(graph), str(tmp_path / "new.geff"), metadata=metadata)
    back = read_geff(tmp_path / "new.geff")
    assert check_tracks(back)["parent"].isna().all()
    assert back["track"].nunique() == 4  # mother and the daughter that is left are one
    assert set(back["track"]) == {1, 2, 4, 5}


def test_what_is_no_geff_is_refused(tmp_path):
    geff = pytest.importorskip("geff")
    with pytest.raises(DataError, match="is no GEFF"):
        read_geff(tmp_path)
    cells, _ = movie()
    write_geff(tmp_path / "t.geff", cells)
    (tmp_path / "t.geff" / "edges" / "ids" / ".zarray").unlink()
    with pytest.raises(DataError, match="not a valid GEFF"):
        read_geff(tmp_path / "t.geff")
    write_geff(tmp_path / "t.geff", cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph, metadata = geff.read(str(tmp_path / "t.geff"))
        for node in graph:
            graph.nodes[node]["t"] = graph.nodes[node]["t"] * 0.25
        geff.write(graph, str(tmp_path / "hours.geff"), metadata=metadata)
        geff.write(graph.to_undirected(), str(tmp_path / "lines.geff"), axis_names=["t", "y", "x"])
    with pytest.raises(DataError, match=r"time axis t holds \[0.25\], not frames"):
        read_geff(tmp_path / "hours.geff")
    with pytest.raises(DataError, match="edges have no direction"):
        read_geff(tmp_path / "lines.geff")


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    cells, labels = movie()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years")
    for write in (
        lambda: write_geff(tmp_path / "mine", cells),
        lambda: write_ctc(tmp_path / "mine", cells, labels),
    ):
        with pytest.raises(DataError, match="holds something else"):
            write()
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


def test_a_folder_is_whole_or_not_there(tmp_path):
    def fails(folder):
        folder.mkdir()
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_folder_atomically(tmp_path / "out", fails, lambda _: True)
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("kind", ["res", "man"])
def test_ctc_folder_is_read_by_the_challenges_metrics_library_and_comes_back(tmp_path, dimensions, kind):
    loaders = pytest.importorskip("traccuracy.loaders")
    cells, labels = movie(dimensions=dimensions)
    write_ctc(tmp_path / "01_RES", cells, labels, kind=kind)
    graph = loaders.load_ctc_data(str(tmp_path / "01_RES"))
    assert len(graph.nodes) == len(cells)
    assert len(graph.edges) == 10
    assert graph.segmentation.dtype == np.uint16
    back = match_tracks(read_ctc(tmp_path / "01_RES", pixel_size_um=0.5), cells.drop(columns="track"))
    assert same_links(back, cells)


def test_ctc_follows_the_rules(tmp_path):
    cells, labels = movie()
    write_ctc(tmp_path / "r", cells, labels)
    rows = np.loadtxt(tmp_path / "r" / "res_track.txt", dtype=int)
    # 1 divides into 2 and 3; 3 is cut at its gap and goes on as 4
    assert rows.tolist() == [
        [1, 0, 1, 0],
        [2, 2, 4, 1],
        [3, 2, 2, 1],
        [4, 4, 4, 3],
        [5, 0, 4, 0],
        [6, 1, 1, 0],
    ]
    assert sorted(path.name for path in (tmp_path / "r").glob("*.tif")) == [
        f"mask00{t}.tif" for t in range(5)
    ]


def test_ctc_of_an_empty_movie(tmp_path):
    cells, labels = movie()
    write_ctc(tmp_path / "r", cells[:0], labels * 0)
    assert read_ctc(tmp_path / "r", pixel_size_um=1).empty


def test_what_is_no_ctc_folder_is_refused(tmp_path):
    cells, labels = movie()
    with pytest.raises(DataError, match="is no Cell Tracking Challenge folder"):
        read_ctc(tmp_path)
    write_ctc(tmp_path / "r", cells, labels)
    table = tmp_path / "r" / "res_track.txt"
    text = table.read_text()
    for new, said in (
        (text.replace("5 0 4 0", "5 0 3 0"), "1 tracks of its table do not agree with its masks"),
        (text.replace("2 2 4 1", "2 2 4 9"), "parents \\[9\\] are no tracks"),
        (text.replace("5 0 4 0", "5,0,4,0"), "rows are not four whole numbers"),
    ):
        table.write_text(new)
        with pytest.raises(DataError, match=said):
            read_ctc(tmp_path / "r")
    table.write_text(text)
    for path in (tmp_path / "r").glob("*.tif"):
        path.unlink()
    with pytest.raises(DataError, match="holds no masks"):
        read_ctc(tmp_path / "r")


def test_ctc_takes_one_movie_whose_masks_hold_its_cells(tmp_path):
    cells, labels = movie()
    with pytest.raises(DataError, match="cells are of 2 images"):
        write_ctc(tmp_path / "r", both(), labels)
    with pytest.raises(DataError, match="1 tracked cells of frame 1 are not in its mask"):
        write_ctc(
            tmp_path / "r",
            cells,
            np.where((labels == 3) & (np.arange(5) == 1)[:, None, None, None], 0, labels),
        )
    with pytest.raises(DataError, match="tracks reach frame 4, but labels have 3 frames"):
        write_ctc(tmp_path / "r", cells, labels[:3])
    with pytest.raises(DataError, match="give those of a movie"):
        write_ctc(tmp_path / "r", cells, labels[0, 0])
    many = pd.DataFrame(
        {"image_id": "a", "frame": 0, "cell": np.arange(1, 70001), "track": np.arange(1, 70001)}
    )
    with pytest.raises(DataError, match="more than the 65535"):
        write_ctc(tmp_path / "r", many, labels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_trackmate_tables_come_back(tmp_path, dimensions):
    cells, _ = movie(dimensions=dimensions)
    paths = write_trackmate(tmp_path, cells)
    assert [path.name for path in paths] == ["a-spots.csv", "a-edges.csv"]
    back = read_tracks(paths[0])
    assert same_links(back, cells)
    np.testing.assert_allclose(np.nanmean(back["link_probability"]), 0.9)
    paths[1].unlink()  # without edges the tracks are linked by frame, with the mothers that we add
    assert same_links(read_tracks(paths[0]), cells)


def test_trackmate_importer_finds_its_columns(tmp_path):
    """What Fiji's importer parses: x, y, z, radius, quality as numbers, frame, id and track as whole numbers."""
    cells, _ = movie()
    spots = pd.read_csv(write_trackmate(tmp_path, cells)[0])
    for name in ("FRAME", "ID", "TRACK_ID"):
        assert spots[name].dtype == np.int64
    for name in ("POSITION_X", "POSITION_Y", "POSITION_Z", "RADIUS", "QUALITY"):
        assert np.isfinite(spots[name]).all()
    assert not spots.duplicated(["TRACK_ID", "FRAME"]).any()


def test_trackmates_own_export_is_read(tmp_path):
    """Four lines of headings, places in pixels, TRACK_ID of the whole family, edges beside."""
    names = "LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS"
    text = [names, "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius"]
    text += [text[1], ",,,(quality),(pixel),(pixel),(pixel),(frame),,(pixel)"]
    places = [(0, 10), (1, 12), (2, 8), (2, 16)]
    text += [f"ID{7 + k},{7 + k},0,1.0,{x},20,0,{t},{t},4" for k, (t, x) in enumerate(places)]
    (tmp_path / "export-spots.csv").write_text("\n".join(text))
    with pytest.raises(DataError, match="1 tracks have several spots in a frame"):
        read_tracks(tmp_path / "export-spots.csv", pixel_size_um=0.5)
    edges = ["TRACK_ID,SPOT_SOURCE_ID,SPOT_TARGET_ID", "Track ID,Source spot ID,Target spot ID", ",,", ",,"]
    (tmp_path / "export-edges.csv").write_text("\n".join([*edges, "0,7,8", "0,8,9", "0,10,8"]))
    back = read_tracks(tmp_path / "export-spots.csv", pixel_size_um=0.5)
    assert back["parent"].notna().tolist() == [False, False, True, True]
    assert back["x_um"].tolist() == [5, 6, 4, 8]
    with pytest.raises(DataError, match="places are in pixels: give pixel_size_um"):
        read_tracks(tmp_path / "export-spots.csv")


def test_other_tables_are_no_trackmate(tmp_path):
    cells, _ = movie()
    spots, edges = write_trackmate(tmp_path, cells)
    table = pd.read_csv(spots)
    table.drop(columns=["FRAME", "POSITION_X"]).to_csv(spots, index=False)
    with pytest.raises(DataError, match="it lacks FRAME, POSITION_X; found LABEL, ID"):
        read_tracks(spots)
    table.assign(FRAME=["one", *table["FRAME"].iloc[1:]]).to_csv(spots, index=False)
    with pytest.raises(DataError, match="column FRAME should hold numbers, found 'one'"):
        read_tracks(spots)
    table.assign(ID=table["ID"].where(table["ID"] > 1, 1)).to_csv(spots, index=False)
    with pytest.raises(DataError, match="spots repeat ID 1"):
        read_tracks(spots)
    table[table["ID"] > 0].to_csv(spots, index=False)
    with pytest.raises(DataError, match="1 edges name a spot that is not"):
        read_tracks(spots)
    table.to_csv(spots, index=False)
    pd.read_csv(edges).drop(columns="SPOT_TARGET_ID").to_csv(edges, index=False)
    with pytest.raises(DataError, match="no table of TrackMate's edges: it lacks SPOT_TARGET_ID"):
        read_tracks(spots)
    spots.write_text("")
    with pytest.raises(DataError, match="not readable as a table"):
        read_tracks(spots)


def test_several_movies_as_folders_and_as_tables(tmp_path):
    parts = {name: movie(name) for name in "ab"}
    cells = pd.concat([part[0] for part in parts.values()], ignore_index=True)
    for name, (table, labels) in parts.items():
        write_ctc(tmp_path / "ctc" / name, table, labels)
    write_trackmate(tmp_path / "csv", cells)
    for folder in ("ctc", "csv"):
        back = match_tracks(read_tracks(tmp_path / folder, pixel_size_um=0.5), cells)
        assert same_links(back, cells)


def test_a_table_of_ours_is_tracks_too(tmp_path):
    cells, _ = movie()
    write_table(tmp_path / "cells.parquet", cells)
    write_table(tmp_path / "cells.csv", cells.drop(columns="link_probability"))
    for name in ("cells.parquet", "cells.csv"):
        assert same_links(read_tracks(tmp_path / name), cells)


def test_what_holds_no_tracks_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        read_tracks(tmp_path / "none")
    with pytest.raises(DataError, match="holds no tracks: give a GEFF"):
        read_tracks(tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="lacks columns image_id, frame, cell, track"):
        read_tracks(tmp_path / "x.csv")


def test_tracks_are_matched_by_number_whatever_their_place():
    cells, _ = movie()
    moved = cells.assign(y_um=cells["y_um"] + 500)
    assert same_links(match_tracks(moved, cells.drop(columns="track")), cells)


def test_tracks_are_matched_by_place_within_a_cells_radius():
    cells, _ = movie()
    near = cells.drop(columns="cell").assign(x_um=cells["x_um"] + 0.5)
    assert same_links(match_tracks(near, cells), cells)
    far = near.assign(x_um=cells["x_um"] + 3)
    with pytest.raises(DataError, match=r"13 of 13 cells of the tracks are no cell of the experiment"):
        match_tracks(far, cells)
    assert same_links(match_tracks(far, cells, radius_um=3.1), cells)


def test_cells_that_are_not_found_leave_a_gap():
    cells, _ = movie()
    less = cells[~((cells["frame"] == 2) & (cells["track"] == 4))]
    with pytest.raises(DataError, match="1 of 13 cells"):
        match_tracks(cells, less)
    with pytest.warns(
        RgbtrackWarning, match="1 of 13 cells of the tracks are no cell of the experiment, and were"
    ):
        back = match_tracks(cells, less, max_unmatched=0.1)
    assert same_links(back, less)


def test_a_mother_that_is_not_found_leaves_her_daughters_to_hers():
    cells, _ = movie()
    gone = cells[cells["frame"] != 1]
    with pytest.warns(RgbtrackWarning):
        back = match_tracks(cells, gone, max_unmatched=0.5)
    assert check_tracks(back).query("track == 2")["parent"].tolist() == [1, 1, 1]
    lost = cells[~cells["track"].isin([1])]
    with pytest.warns(RgbtrackWarning):
        back = match_tracks(cells, lost, max_unmatched=0.5)
    assert back["parent"].isna().all()


def test_tracks_need_an_image_and_a_way_to_be_matched():
    cells = both()
    one = cells[cells["image_id"] == "a"]
    nameless = one.drop(columns="image_id")
    with pytest.raises(DataError, match="do not name their image, and there are 2: give image_id"):
        match_tracks(nameless, cells)
    assert match_tracks(nameless, cells, image_id="a")["track"].notna().sum() == 13
    assert match_tracks(one, cells, image_id="b")["track"].notna().sum() == 13
    with pytest.raises(DataError, match="images that the experiment lacks: c; it has a, b"):
        match_tracks(one.assign(image_id="c"), cells)
    with pytest.raises(DataError, match="name no cells of the experiment"):
        match_tracks(one[["image_id", "frame", "track"]].assign(cell=99), cells)
    with pytest.raises(DataError, match="neither area_um2 nor volume_um3: give radius_um"):
        match_tracks(one.drop(columns="cell"), cells.drop(columns="area_um2"))
    with pytest.raises(DataError, match="name a cell twice"):
        match_tracks(pd.concat([one, one[:1]]), cells)


def test_missing_libraries_are_named():
    with pytest.raises(
        DataError, match=r"no_such_library is not installed: pip install 'rgbtrack\[tracks\]'"
    ):
        need_extra("no_such_library", "tracks")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t.assign(track=t["track"].replace({3: 2})),
            "1 tracks have several cells in a frame, the first is track 2",
        ),
        (
            lambda t: pd.concat([t, t[:1].assign(track=9)]),
            "1 cells are in two tracks, the first is cell 1 of frame 0",
        ),
        (lambda t: t.assign(parent=t["parent"].replace({1: 4})), "begin before their parent ends"),
        (lambda t: t.assign(parent=t["parent"].replace({1: 77})), "parent that is no track of their image"),
        (
            lambda t: t.assign(parent=t["parent"].mask((t["track"] == 2) & (t["frame"] == 3), 4)),
            "1 tracks have more than one parent, the first is track 2",
        ),
        (lambda t: t.drop(columns="track"), "lacks column track"),
    ],
)
def test_what_cannot_be_tracks_is_refused(change, said):
    with pytest.raises(DataError, match=said):
        check_tracks(change(movie()[0]))


def test_a_parent_written_once_holds_for_the_track():
    cells, _ = movie()
    once = cells.assign(parent=cells["parent"].mask(cells.duplicated("track")))
    assert same_links(once, cells)
    assert check_tracks(once)["parent"].equals(check_tracks(cells)["parent"])


def test_a_parent_in_another_image_is_refused():
    cells = both()
    cells["parent"] = cells["parent"].replace({11: 1})
    with pytest.raises(DataError, match="it is one of image a: a track lies in one image"):
        check_tracks(cells)


def test_links_that_are_no_tracks_are_refused():
    frame = np.array([0, 1, 1, 2])
    for source, target, said in (
        ([1, 2], [3, 3], "1 cells follow two cells each, the first in frame 2"),
        ([3], [0], "1 links do not lead forward in time, the first from frame 2 to 0"),
    ):
        with pytest.raises(DataError, match=said):
            tracks_of_links(frame, np.array(source), np.array(target))
    with pytest.raises(DataError, match="1 links lead from one image to another"):
        tracks_of_links(frame, np.array([0]), np.array([1]), np.array(["a", "b", "b", "b"]))


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_links_of_any_forest_come_back(data):
    n = data.draw(st.integers(1, 25))
    frame = np.array([data.draw(st.integers(0, 6)) for _ in range(n)])
    source, target = [], []
    for k in range(n):
        earlier = np.flatnonzero(frame < frame[k]).tolist()
        if earlier and data.draw(st.booleans()):
            source.append(data.draw(st.sampled_from(earlier)))
            target.append(k)
    tracks = tracks_of_links(frame, np.array(source, int), np.array(target, int))
    cells = tracks.assign(image_id="a", frame=frame, cell=np.arange(n))
    tracked = check_tracks(cells)
    assert tracked.set_index("cell")["tree"].sort_index().tolist() == tracks["tree"].tolist()
    a, b = track_links(tracked)
    number = tracked["cell"].to_numpy()
    assert set(zip(number[a], number[b], strict=True)) == set(zip(source, target, strict=True))
