"""Segmentation methods by name: built-in ones, networks, plugins."""

import re
import shutil
import sys
import tomllib
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage as ndi
from typer.testing import CliRunner

from rgbtrack import DataError, ParamError, SegmentParams, read_experiment, run, segment_cells
from rgbtrack.cli import app
from rgbtrack.evaluate import match_cells
from rgbtrack.files import read_json, read_labels, read_table, write_table
from rgbtrack.pipeline import check_experiment
from rgbtrack.segment import cellpose, check_method, find_cells, find_segmenter, stardist

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "tests" / "segmenter_plugin"


def share_found(labels, scene):
    marked = scene.cells.loc[scene.cells["clone"].notna() & (scene.cells["frame"] == 0), "cell"]
    return match_cells(labels[0], scene.labels[0])["true_cell"].isin(marked).sum() / len(marked)


def install(folder, monkeypatch, name, entry, code):
    """Make a package discoverable as pip would: its module, and its metadata beside it."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rgbtrack.segmenters]\n{entry}\n")
    module = entry.split("=")[1].split(":")[0].strip()
    if code is not None:
        (folder / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The test plugin, installed."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    ((name, place),) = project["entry-points"]["rgbtrack.segmenters"].items()
    module = place.split(":")[0]
    code = (PLUGIN / f"{module}.py").read_text()
    install(tmp_path / "site", monkeypatch, project["name"], f"{name} = {place}", code)
    return name


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Install a method ``odd`` whose function has this body."""

    def make(body, name="odd-cells", module="odd_cells"):
        code = f"import numpy as np\n\n\ndef segment(stack, params):\n    {body}\n"
        install(tmp_path / name, monkeypatch, name, f"odd = {module}:segment", code)

    return make


# ---------------------------------------------------------------- plugins


def test_a_plugin_runs_by_name(plugin, sparse):
    found = find_cells(sparse.stack, SegmentParams(method=plugin))
    assert found.labels.dtype == np.uint32
    assert share_found(found.labels, sparse.scene) > 0.4
    own = find_cells(sparse.stack).diameter_um
    assert found.diameter_um == pytest.approx(own, rel=0.5)
    assert find_cells(sparse.stack, SegmentParams(method=plugin, diameter_um=11)).diameter_um == 11


def test_a_plugin_runs_in_an_experiment(plugin, small_experiment, tmp_path):
    folder = shutil.copytree(small_experiment, tmp_path / "experiment")
    with (folder / "experiment.toml").open("a") as file:
        file.write(f'\n[segment]\nmethod = "{plugin}"\n')
    assert not check_experiment(read_experiment(folder))
    outcome = run(folder, tmp_path / "out", workers=1, steps=("segment", "measure", "clones"))
    assert outcome.failed == {}
    assert outcome.counts["cells"] > 20
    told = read_json(tmp_path / "out" / "run.json")
    assert told["configuration"]["segment"]["method"] == plugin
    one = next(iter(told["images"]))
    labels = read_labels(tmp_path / "out" / "labels" / f"{one}.tif")
    assert labels.max() == told["images"][one]["n_cells"]


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, sparse):
    text = (ROOT / "docs" / "segmenters.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (project,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    project = tomllib.loads(project)["project"]
    ((name, place),) = project["entry-points"]["rgbtrack.segmenters"].items()
    install(tmp_path, monkeypatch, project["name"], f"{name} = {place}", code)
    assert share_found(segment_cells(sparse.stack, SegmentParams(method=name)), sparse.scene) > 0.8
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link


def test_labels_are_numbered_from_one_in_each_frame(offer, sparse):
    offer("out = np.zeros((2, 1, *stack.pixels.shape[3:]), float); out[0, 0, :9, :9] = 7; "
          "out[0, 0, 50:59] = 3; out[1, 0, :9] = 5; return out")  # fmt: skip
    two = replace(
        sparse.stack,
        pixels=np.repeat(sparse.stack.pixels, 2, axis=0),
        variance=np.repeat(sparse.stack.variance, 2, axis=0),
        saturated=None,
    )
    labels = segment_cells(two, SegmentParams(method="odd"))
    assert np.unique(labels[0]).tolist() == [0, 1, 2]
    assert labels[0, 0, 0, 0] == 2
    assert np.unique(labels[1]).tolist() == [0, 1]


def test_no_cells_have_no_diameter(offer, sparse):
    offer("return np.zeros((1, *stack.pixels.shape[2:]), int)")
    found = find_cells(sparse.stack, SegmentParams(method="odd"))
    assert found.labels.max() == 0
    assert np.isnan(found.diameter_um)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("return np.zeros((3, 3), int)", r"'odd' returned shape \(3, 3\), the image has"),
        ("return np.full((1, *stack.pixels.shape[2:]), 0.5)", "'odd' returned float64, not whole numbers"),
        ("return np.full((1, *stack.pixels.shape[2:]), np.nan)", "not whole numbers"),
        ("return np.ones((1, *stack.pixels.shape[2:]), bool)", "returned bool, not whole numbers"),
        ("return np.full((1, *stack.pixels.shape[2:]), -1)", "'odd' returned -1: labels are 0 for"),
        ("raise RuntimeError('no memory')", "'odd' failed: RuntimeError: no memory"),
        ("raise stack.missing", "'odd' failed: AttributeError"),
    ],
)
def test_what_a_method_does_wrong_is_told(offer, sparse, body, match):
    offer(body)
    with pytest.raises(DataError, match=match) as caught:
        segment_cells(sparse.stack, SegmentParams(method="odd"))
    assert ("failed" in match) == (caught.value.__cause__ is not None)


def test_errors_of_our_kind_pass_through(offer, sparse):
    offer("from rgbtrack import DataError; raise DataError('too dark: stain again')")
    with pytest.raises(DataError, match="too dark"):
        segment_cells(sparse.stack, SegmentParams(method="odd"))


def test_an_uncorrected_stack_is_refused_for_every_method(offer, sparse):
    offer("return 1 / 0")
    with pytest.raises(DataError, match="call correct_stack first"):
        segment_cells(replace(sparse.stack, variance=None), SegmentParams(method="odd"))


def test_an_unknown_method_names_those_there_are(plugin, sparse):
    with pytest.raises(ParamError, match="from plugins: 'otsu'; did you mean 'cellpose'") as caught:
        segment_cells(sparse.stack, SegmentParams(method="cellpos"))
    assert "'rgbtrack', 'cellpose', 'stardist'" in str(caught.value)
    with pytest.raises(ParamError, match="give one of these, or install the package"):
        find_segmenter("zzz")


def test_no_plugins_are_none():
    with pytest.raises(ParamError, match="from plugins: none"):
        find_segmenter("zzz")


def test_our_own_method_is_found_by_name(sparse):
    assert find_segmenter("rgbtrack") is segment_cells


@pytest.mark.parametrize(
    ("code", "match"),
    [
        (None, "'odd' of package 'odd-cells' cannot be loaded from odd_cells:segment .ModuleNotFoundError"),
        ("import odd_network", "ModuleNotFoundError: No module named 'odd_network'"),
        ("1 / 0", "ZeroDivisionError"),
        ("other = 1", "AttributeError"),
        ("segment = 1", "odd_cells:segment is a int, not a function"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_told(tmp_path, monkeypatch, code, match):
    install(tmp_path, monkeypatch, "odd-cells", "odd = odd_cells:segment", code)
    with pytest.raises(ParamError, match=match):
        find_segmenter("odd")


def test_two_plugins_of_one_name_are_refused(offer):
    offer("return 1")
    offer("return 2", name="odder-cells", module="odder_cells")
    with pytest.raises(ParamError, match="offered by 'odd-cells' and 'odder-cells': uninstall all but one"):
        find_segmenter("odd")


# ---------------------------------------------------------------- check and run


@pytest.fixture
def experiment(small_experiment, tmp_path):
    """Write an experiment with these lines in [segment]."""

    def make(lines):
        folder = shutil.copytree(small_experiment, tmp_path / "experiment")
        with (folder / "experiment.toml").open("a") as file:
            file.write(f"\n[segment]\n{lines}\n")
        return folder

    return make


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ('method = "stardisk"', "did you mean 'stardist'"),
        ('method = "cellpose"', r"not installed: pip install 'rgbtrack\[cellpose\]'"),
        ('model = "nets/mine"', "model: nets/mine: no such file"),
    ],
)
def test_check_tells_of_the_method_beside_all_else(experiment, lines, match):
    folder = experiment(lines)
    (folder / "images" / "vehicle_m1_d7.ome.tif").write_bytes(b"not an image")
    found = check_experiment(read_experiment(folder))
    assert re.search(match, "\n".join(found.fatal))
    assert list(found.images) == ["vehicle_m1_d7"]
    told = CliRunner().invoke(app, ["check", str(folder)])
    assert told.exit_code == 2
    with pytest.raises(ParamError, match=match):
        run(folder, workers=1)


def test_ready_masks_need_no_method(experiment):
    folder = experiment('method = "cellpose"')
    sheet = read_table(folder / "samples.csv")
    names = [path.split("/")[1].split(".")[0] for path in sheet["image"]]
    write_table(folder / "samples.csv", sheet.assign(labels=[f"truth/labels/{n}.tif" for n in names]))
    assert not check_experiment(read_experiment(folder))


def test_a_model_path_is_relative_to_the_experiment(experiment):
    folder = experiment('model = "net.pth"')
    assert read_experiment(folder).segment.model == "net.pth"
    (folder / "net.pth").write_bytes(b"weights")
    assert read_experiment(folder).segment.model == str((folder / "net.pth").absolute())


def test_another_model_of_the_same_name_is_segmented_anew(offer, experiment, tmp_path):
    offer("return np.ones((1, *stack.pixels.shape[2:]), int)")
    folder = experiment('method = "odd"\nmodel = "net"')
    (folder / "net").mkdir()
    (folder / "net" / "weights.h5").write_bytes(b"a")
    (folder / "other.pth").write_bytes(b"a")
    keys = []
    for change in (lambda: None, lambda: (folder / "net" / "weights.h5").write_bytes(b"ab"), lambda: None):
        change()
        run(folder, tmp_path / "out", workers=1, steps=("segment",))
        images = read_json(tmp_path / "out" / "run.json")["images"]
        keys.append(images["vehicle_m1_d7"]["segment_key"])
    assert keys[0] != keys[1] == keys[2]


# ---------------------------------------------------------------- networks


@pytest.fixture(autouse=True)
def fresh_models():
    """Forget loaded models."""
    yield
    cellpose._load.cache_clear()
    stardist._load.cache_clear()


def threshold(image):
    return ndi.label(ndi.gaussian_filter(image, 1) > 0.4 * np.percentile(image, 99.8))[0]


@pytest.fixture
def fake_cellpose(monkeypatch):
    """A Cellpose whose model thresholds; ``calls`` tells how it was used."""

    def make(version=3, broken=False):
        calls = []

        class CellposeModel:
            def __init__(self, **options):
                if broken:
                    raise OSError("network is unreachable")
                calls.append(options)

            def eval(self, x, **options):
                calls.append(options | {"shape": x.shape})
                grey = x[..., 0] if "channel_axis" in options else x
                return threshold(grey), [], []

        models = SimpleNamespace(
            CellposeModel=CellposeModel,
            MODEL_NAMES=["cyto3", "nuclei"] if version == 3 else ["cpsam"],
            get_user_models=lambda: ["ours"],
        )
        if version == 3:
            models.Cellpose = object
        module = ModuleType("cellpose")
        module.models, module.core = models, SimpleNamespace(use_gpu=lambda: False)
        module.__spec__ = ModuleSpec("cellpose", None)
        monkeypatch.setitem(sys.modules, "cellpose", module)
        return calls

    return make


@pytest.mark.parametrize("version", [3, 4])
def test_cellpose_in_2d(fake_cellpose, sparse, version):
    calls = fake_cellpose(version)
    found = find_cells(sparse.stack, SegmentParams(method="cellpose"))
    assert share_found(found.labels, sparse.scene) > 0.4
    loaded, used = calls
    assert loaded == ({"gpu": False, "model_type": "cyto3"} if version == 3 else {"gpu": False})
    assert used.get("channels") == ([0, 0] if version == 3 else None)
    assert used["shape"] == sparse.stack.pixels.shape[3:]
    # version 3 is told a diameter in pixels, version 4 needs none
    assert (used["diameter"] is None) == (version == 4)
    find_cells(sparse.stack, SegmentParams(method="cellpose", diameter_um=13))
    assert calls[-1]["diameter"] == pytest.approx(13 / sparse.stack.pixel_size_um)
    assert len(calls) == 3  # the model is loaded once


@pytest.mark.parametrize("version", [3, 4])
def test_cellpose_in_3d(fake_cellpose, corrected, version):
    calls = fake_cellpose(version)
    made = corrected("volume", seed=1)
    labels = segment_cells(made.stack, SegmentParams(method="cellpose"))
    assert labels.shape == made.scene.labels.shape
    used = calls[-1]
    assert used["do_3D"]
    assert used["z_axis"] == 0
    assert used["shape"] == made.stack.pixels.shape[2:]
    assert used["anisotropy"] == pytest.approx(made.stack.z_step_um / made.stack.pixel_size_um)


@pytest.mark.parametrize(("version", "preset"), [(3, "sparse"), (4, "volume")])
def test_cellpose_sees_nuclei_as_the_second_channel(fake_cellpose, corrected, version, preset):
    calls = fake_cellpose(version)
    stained = corrected(preset, seed=3).stack.select({"red": "red", "green": "green", "nucleus": "blue"})
    segment_cells(stained, SegmentParams(method="cellpose"))
    used = calls[-1]
    assert used["shape"][-1] == 2
    assert used["channel_axis"] == len(used["shape"]) - 1
    assert used.get("channels") == ([1, 2] if version == 3 else None)


@pytest.mark.parametrize("version", [3, 4])
def test_cellpose_with_a_model_file(fake_cellpose, sparse, tmp_path, version):
    calls = fake_cellpose(version)
    path = tmp_path / "mine.pth"
    path.write_bytes(b"weights")
    segment_cells(sparse.stack, SegmentParams(method="cellpose", model=str(path)))
    assert calls[0]["pretrained_model"] == str(path)
    assert calls[1]["diameter"] is None


@pytest.mark.parametrize(("version", "key"), [(3, "model_type"), (4, "pretrained_model")])
def test_cellpose_with_a_named_model(fake_cellpose, sparse, version, key):
    calls = fake_cellpose(version)
    segment_cells(sparse.stack, SegmentParams(method="cellpose", model="ours"))
    assert calls[0][key] == "ours"


@pytest.mark.parametrize("model", ["cyto9", "folder/cyto9"])
def test_cellpose_does_not_take_another_model_silently(fake_cellpose, sparse, model):
    fake_cellpose()
    with pytest.raises(DataError, match=f"no model '{model}'.*'cyto3', 'nuclei', 'ours'.*model = .path"):
        segment_cells(sparse.stack, SegmentParams(method="cellpose", model=model))


def test_cellpose_without_a_network(fake_cellpose, sparse):
    fake_cellpose(broken=True)
    with pytest.raises(DataError, match=r"'cyto3' of Cellpose cannot be loaded .*unreachable.*model = .path"):
        segment_cells(sparse.stack, SegmentParams(method="cellpose"))


@pytest.mark.parametrize("method", ["cellpose", "stardist"])
def test_a_missing_library_is_told_with_its_extra(sparse, method, monkeypatch):
    # as on a machine without it, whatever there is here
    monkeypatch.setattr("rgbtrack.segment.methods.find_spec", lambda name: None)
    with pytest.raises(ParamError, match=rf"'{method}' is not installed: pip install 'rgbtrack\[{method}\]'"):
        segment_cells(sparse.stack, SegmentParams(method=method))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(needed.startswith(method) for needed in extras[method])


@pytest.fixture
def fake_stardist(monkeypatch):
    """A StarDist whose model thresholds; ``calls`` tells how it was used."""

    def make(broken=False):
        calls = []

        class StarDist2D:
            dimensions = 2

            def __init__(self, config, name, basedir):
                assert config is None
                calls.append(Path(basedir) / name)

            @classmethod
            def from_pretrained(cls, name):
                if broken:
                    raise OSError("network is unreachable")
                if name not in ("2D_versatile_fluo", "3D_demo"):
                    return None
                calls.append(name)
                return object.__new__(cls)

            def predict_instances(self, image, **options):
                assert image.ndim == self.dimensions == len(options["n_tiles"])
                calls.append(options | {"image": image})
                return threshold(image), {}

        class StarDist3D(StarDist2D):
            dimensions = 3

        module = ModuleType("stardist")
        module.models = SimpleNamespace(StarDist2D=StarDist2D, StarDist3D=StarDist3D)
        module.__spec__ = ModuleSpec("stardist", None)
        monkeypatch.setitem(sys.modules, "stardist", module)
        return calls

    return make


def test_stardist_in_2d(fake_stardist, sparse):
    calls = fake_stardist()
    labels = segment_cells(sparse.stack, SegmentParams(method="stardist"))
    assert share_found(labels, sparse.scene) > 0.4
    assert calls[0] == "2D_versatile_fluo"
    assert calls[1]["scale"] is None
    assert np.percentile(calls[1]["image"], (1, 99.8)) == pytest.approx((0, 1), abs=1e-3)
    segment_cells(sparse.stack, SegmentParams(method="stardist", diameter_um=10))
    assert calls[2]["scale"] == pytest.approx(20 * sparse.stack.pixel_size_um / 10)


def test_stardist_in_3d(fake_stardist, corrected):
    calls = fake_stardist()
    made = corrected("volume", seed=1)
    labels = segment_cells(made.stack, SegmentParams(method="stardist", diameter_um=13))
    assert labels.shape == made.scene.labels.shape
    assert calls[0] == "3D_demo"
    assert calls[1]["scale"] is None


def test_stardist_sees_nuclei_where_there_is_a_stain(fake_stardist, sparse):
    calls = fake_stardist()
    stained = sparse.stack.select({"red": "red", "green": "green", "nucleus": "blue"})
    segment_cells(stained, SegmentParams(method="stardist"))
    blue = segment_cells(sparse.stack.select({"blue": "blue"}), SegmentParams(method="stardist"))
    assert np.corrcoef(calls[1]["image"].ravel(), calls[2]["image"].ravel())[0, 1] > 0.9
    assert blue.max() > 0


def test_stardist_with_a_model_folder(fake_stardist, sparse, tmp_path):
    calls = fake_stardist()
    folder = tmp_path / "mine"
    folder.mkdir()
    params = SegmentParams(method="stardist", model=str(folder), diameter_um=13)
    with pytest.raises(
        DataError, match=r"not a StarDist model: give the folder with config.json and weights"
    ):
        segment_cells(sparse.stack, params)
    (folder / "config.json").write_text("{}")
    (folder / "weights_best.h5").write_bytes(b"weights")
    segment_cells(sparse.stack, params)
    assert calls[0] == folder
    assert calls[1]["scale"] is None  # one's own model is given what it was trained on


def test_stardist_does_not_know_the_model(fake_stardist, sparse):
    fake_stardist()
    with pytest.raises(DataError, match=r"no 2-D model '2D_mine'.*'2D_versatile_fluo'.*model = .path"):
        segment_cells(sparse.stack, SegmentParams(method="stardist", model="2D_mine"))


def test_stardist_without_a_network(fake_stardist, sparse):
    fake_stardist(broken=True)
    with pytest.raises(DataError, match=r"of StarDist cannot be loaded .OSError: network is unreachable"):
        segment_cells(sparse.stack, SegmentParams(method="stardist"))


def test_a_named_model_needs_no_path():
    check_method(SegmentParams(model="cyto3"))
