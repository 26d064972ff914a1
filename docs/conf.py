"""The documentation as a site: make docs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import contract

import rgbtrack

project = "rgbtrack"
author = "the rgbtrack developers"
copyright = author  # noqa: A001
release = version = rgbtrack.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "smartquotes"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "rgbtrack"
html_static_path: list[str] = []
autodoc_typehints = "none"  # numpydoc tells types and shapes
napoleon_google_docstring = False
napoleon_use_rtype = False
copybutton_exclude = ".linenos, .gp"

contract.write_reference(Path(__file__).parent / "reference")
