"""A virtual screen for the tests of windows, and results to open."""

import os
import shutil
import subprocess
import time
import warnings

import pytest


@pytest.fixture(scope="session")
def screen():
    """Start a virtual X screen for the session; Qt draws no canvas without one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies, while it is imported
        pytest.importorskip("napari.viewer", reason="napari is not installed: pip install 'rgbtrack[napari]'")
    if shutil.which("Xvfb") is None:
        pytest.skip("no virtual screen: Xvfb is not installed, see scripts/system-packages")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    # waits until the screen is there; the line's end comes by itself, and a screen that cannot write it dies
    with os.fdopen(read) as told:
        display = told.readline().strip()
    if not display:
        pytest.skip("the virtual screen did not start")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", f":{display}")
        patch.setenv("QT_QPA_PLATFORM", "xcb")
        patch.setenv("LIBGL_ALWAYS_SOFTWARE", "1")
        yield display
    server.terminate()
    server.wait()


@pytest.fixture
def settle(screen):
    """Let the window draw what it has been told to."""
    from qtpy.QtWidgets import QApplication

    def wait(seconds: float = 0.4) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    return wait


@pytest.fixture
def no_figures(monkeypatch):
    """Runs in a process of their own whose report is without figures: they have tests of their own."""
    from napari_rgbtrack import background

    quick = "import rgbtrack.report.write as w; w.CHAPTERS = (); w.draw_figures = lambda *_: {}\n"
    monkeypatch.setattr(background, "SCRIPT", quick + background.SCRIPT)
