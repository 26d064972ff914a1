# Two commands on a machine with Python (3.11 or newer) and make:
#   make sample   set up, run the sample experiment, say where the report is
#   make test     set up for development, install what the windows need, run all tests

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: sample test lint types notebooks check clean

sample: $(VENV)/.installed
	$(BIN)/rgbtrack run sample_data/experiment.toml

test: $(VENV)/.installed-dev
	sh scripts/system-packages
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-dev
	$(BIN)/mypy

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
	$(BIN)/python -m pip install --quiet --editable '.[napari,test,lint]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info sample_data/results
