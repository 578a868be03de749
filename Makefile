# Two commands matter: `make demo` and `make test`. Each sets itself up and skips what is done.
PYTHON ?= python3
PORT ?= 8501
SERVE ?= 1
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup demo app test check clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(VENV)/.runtime: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt requirements-cluster.txt requirements-remote.txt
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

setup: $(VENV)/.dev  ## make .venv and install everything, tools included

demo: $(VENV)/.runtime  ## sample corpus, sample sweep, dashboard (PORT=8501; SERVE=0 prepares and serves nothing)
	$(BIN)/dfd demo --port $(PORT) $(if $(filter 0,$(SERVE)),--no-serve,)

app: $(VENV)/.runtime  ## the dashboard alone, on what is in the store
	$(BIN)/dfd app --port $(PORT)

test: $(VENV)/.dev check  ## formatting, lint, types and every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.dev  ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:  ## remove the virtual environment and caches; data and runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
