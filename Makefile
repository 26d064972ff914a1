# Two commands on a machine with Python (3.11 or newer) and make:
#   make sample   set up, run the sample experiment, say where the report is
#   make test     set up for development, install what the windows need, run all tests

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

EXPORT = .venv-export
LOWEST = .venv-lowest

.PHONY: sample test test-export test-lowest lint types docs notebooks check clean

sample: $(VENV)/.installed
	$(BIN)/rgbtrack run sample_data/experiment.toml

test: $(VENV)/.installed-dev
	sh scripts/system-packages
	$(BIN)/python -m pytest -n auto
	$(MAKE) test-export

# exports are opened with libraries that are not yet at ease with the newest pandas
test-export: $(EXPORT)/.installed
	MPLBACKEND=agg $(EXPORT)/bin/python -m pytest -n auto tests/test_export.py tests/test_tables.py

# the lowest versions of all libraries that are allowed: these call what newer ones beside them will drop
test-lowest: $(LOWEST)/.installed
	MPLBACKEND=agg $(LOWEST)/bin/python -m pytest -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning $(patsubst %,tests/test_%.py,files vendor_files ome_zarr cli clones seeding growth plot report)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-dev
	$(BIN)/mypy

docs: $(VENV)/.installed-dev  # as a site: docs/_build/index.html
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build

notebooks: $(VENV)/.installed-dev  # the part of the tests that executes the notebooks and the README
	$(BIN)/python -m pytest tests/test_notebooks.py tests/test_readme.py

check: test lint types notebooks

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[docs,lint,napari,test]'
	touch $@ $(VENV)/.installed

$(EXPORT)/.installed: pyproject.toml
	$(PYTHON) -m venv $(EXPORT)
	$(EXPORT)/bin/python -m pip install --quiet --editable '.[test-export]'
	touch $@

$(LOWEST)/.installed: pyproject.toml scripts/lowest
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) scripts/lowest readers > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --editable '.[readers]' hypothesis pytest pytest-xdist --constraint $(LOWEST)/lowest.txt
	touch $@

clean:
	rm -rf $(VENV) $(EXPORT) $(LOWEST) build dist *.egg-info sample_data/results
